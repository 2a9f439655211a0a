"""The beginning of a search: random points until there is a population to breed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pgjax.search.evolution._mutate import mutate
from pgjax.search.evolution._population import NO_TRIAL, wide
from pgjax.space import DNA, Space


def mutants(
    space: Space, random_key: jax.Array, mutate_key: jax.Array, state: Any, slots: jax.Array, *, until: int, known: Any
) -> tuple[DNA, Any]:
    """A mutation of the individual in each slot, with random points in place of those that come too early.

    Args:
      space: static.
      random_key: consumed.
      mutate_key: consumed.
      state: with `dna`, narrow or wide, `trial`, `asked`, `told` and `parents`.
      slots: int32[B], of the parents.
      until: see `seeds_first`.
      known: likewise.

    Returns:
      B canonical points, and the state that remembers having asked for them.
    """
    dna, is_seed = seeds_first(
        space,
        random_key,
        lambda: mutate(space, mutate_key, wide(state.dna[slots])),
        size=len(slots),
        begun=begun(state),
        until=until,
        known=known,
    )
    parents = jnp.where(is_seed, NO_TRIAL, state.trial[slots])[:, None]
    return dna, dataclasses.replace(state, asked=state.asked + len(slots), parents=parents)


def begun(state: Any) -> jax.Array:
    """int32[], the number of points asked for, or told where these are more: what others found counts too."""
    return jnp.maximum(state.asked, state.told)


def seeds_first(
    space: Space, key: jax.Array, children: Callable[[], DNA], *, size: int, begun: jax.Array, until: int, known: Any
) -> tuple[DNA, jax.Array]:
    """Random points in place of the children that come too early.

    Args:
      space: static.
      key: consumed.
      children: makes B canonical points; see `seeded`.
      size: B.
      begun: int32[], the number of points asked for before these, as `begun` counts them.
      until: how many points are random in the beginning.
      known: bool[], whether there is anybody to be a parent who has not failed; where not, all points are random.

    Returns:
      B canonical points, and which of them are random, bool[B].
    """
    is_seed = (begun + jnp.arange(size) < until) | ~known
    return seeded(space, key, is_seed, children), is_seed


def seeded(space: Space, key: jax.Array, is_seed: jax.Array, children: Callable[[], DNA]) -> DNA:
    """B children, with random points in place of those for which bool[B] is true; none are drawn where none is.

    They are as narrow as the children are.

    The children are made within the branch that is taken: outside they would be written, and then copied.
    """

    def with_seeds() -> DNA:
        drawn = space.random(key, is_seed.shape)
        return jax.tree.map(lambda a, b: jnp.where(is_seed[:, None], a.astype(b.dtype), b), drawn, children())

    return jax.lax.cond(is_seed.any(), with_seeds, children)
