"""What controllers made of controllers have in common."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from pgjax._errors import ControllerError
from pgjax.search._controller import Controller


def refuse_host(outer: Controller, inner: Sequence[Controller]) -> None:
    """Raises ControllerError where a controller that cannot be compiled would have to be part of one that is."""
    for controller in inner:
        if not controller.traceable:
            raise ControllerError(
                f'{type(outer).__name__} runs in one compiled program, and {type(controller).__name__} works on the '
                'host alone. Give it to a Study directly, or within search.Prior.'
            )


def widened(parents: jax.Array, width: int) -> jax.Array:
    """int32[B, width] of int32[B, K], K <= width: -1 for the parents that there are not."""
    return jnp.pad(parents, ((0, 0), (0, width - parents.shape[1])), constant_values=-1)
