"""The beginning of a search: random points until there is a population to breed from."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pgjax.space import DNA, Space


def seeds_first(
    space: Space, key: jax.Array, children: DNA, asked: jax.Array, until: int, known: Any
) -> tuple[DNA, jax.Array]:
    """Random points in place of the children that come too early.

    Args:
      space: static.
      key: consumed.
      children: B canonical points.
      asked: int32[], the number of points asked for before these.
      until: how many points are random in the beginning.
      known: bool[], whether there is anybody to be a parent; where not, all points are random.

    Returns:
      B canonical points, and which of them are random, bool[B].
    """
    size = len(children)
    is_seed = (asked + jnp.arange(size) < until) | ~known

    def with_seeds() -> DNA:
        return jax.tree.map(lambda a, b: jnp.where(is_seed[:, None], a, b), space.random(key, (size,)), children)

    return jax.lax.cond(is_seed.any(), with_seeds, lambda: children), is_seed
