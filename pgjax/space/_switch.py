"""A choice among callables inside a compiled program: `lax.switch` on a traced index."""

from __future__ import annotations

from typing import Any

import jax

from pgjax.symbolic import Object, field


class Switch(Object):
    """Calls one of `branches`: what a field with `dispatch='switch'` holds in a population.

    Under `vmap` every branch is computed and one is kept; under `lax.map` only the chosen one runs.

    Attributes:
      branches: callables of one signature; their own leaves are leaves.
      index: int32[...], which branch each member calls.
    """

    branches: tuple[Any, ...]
    index: Any = field(default=0, traced=True)

    def __call__(self, *args: Any) -> Any:
        """The chosen branch's result for positional arguments."""
        return jax.lax.switch(self.index, self.branches, *args)
