"""How many individuals a selector takes: a number, a part of those there, all, or as a schedule says."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError, show
from pgjax.search.evolution._operation import Context
from pgjax.search.evolution._population import Population
from pgjax.search.evolution._schedule import value_at

Count = Any  # int | float | Schedule | Callable[[step], int] | None


def size_and_count(n: Count, population: Population, context: Context, *, repeats: bool) -> tuple[int, jax.Array]:
    """The rows that a selector gives, and how many individuals are in them, int32[].

    Args:
      n: an int; a float, the part of those there, rounded up; None, all; or a schedule of ints.
      population: N rows.
      context: has the step.
      repeats: whether an individual can be taken more than once, so that there may be more than there were.

    Raises:
      ControllerError: `n` is negative or NaN, a part above 1, or no number.
    """
    _require_count(n)
    there, rows = population.count, len(population)
    if n is None:
        return rows, there
    if callable(n):
        wanted = jnp.clip(jnp.asarray(value_at(n, context.step)).astype(jnp.int32), 0, rows)
        return rows, jnp.where(there > 0, wanted, 0) if repeats else jnp.minimum(wanted, there)
    if isinstance(n, (float, np.floating)):
        parts = np.array([_part(float(n), i) for i in range(rows + 1)], np.int32)
        return int(parts[-1]), jnp.asarray(parts)[there]
    if repeats:
        return int(n), jnp.where(there > 0, n, 0)
    return min(int(n), rows), jnp.minimum(n, there)


def _require_count(n: Any) -> None:
    if n is None or callable(n):
        return
    is_number, is_part = isinstance(n, (int, float, np.number)), isinstance(n, (float, np.floating))
    if not is_number or not n >= 0 or (is_part and n > 1):  # NaN is not at least 0
        raise ControllerError(f'A selector takes a number of individuals or a part in [0, 1] of them, not {show(n)}.')


def _part(fraction: float, of: int) -> int:
    return math.ceil(fraction * of - 1e-9)  # 0.1 * 30 is a little more than 3
