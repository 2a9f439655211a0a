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
    space: Space, random_key: jax.Array, mutate_key: jax.Array, state: Any, slots: jax.Array, *, until: int
) -> tuple[DNA, Any]:
    """A mutation of the individual in each slot, with random points in place of those that come too early.

    Args:
      space: static.
      random_key: consumed.
      mutate_key: consumed.
      state: with `dna`, narrow or wide, `fitness`, `trial`, `asked`, `told` and `parents`.
      slots: int32[B], of the parents.
      until: see `is_random`.

    Returns:
      B canonical points, and the state that remembers having asked for them.
    """
    is_seed = is_random(state, state.fitness, size=len(slots), until=until)
    dna = seeded(space, random_key, is_seed, lambda: mutate(space, mutate_key, wide(state.dna[slots])))
    parents = jnp.where(is_seed, NO_TRIAL, state.trial[slots])[:, None]
    return dna, dataclasses.replace(state, asked=state.asked + len(slots), parents=parents)


def is_random(state: Any, fitness: jax.Array, *, size: int, until: int) -> jax.Array:
    """bool[B], which of the next B points are random: those that come too early, or all while all known ones failed.

    Args:
      state: with `asked` and `told`; what others found and told counts as if it had been asked for.
      fitness: of the individuals, -inf where they failed or are not there.
      size: B.
      until: how many points are random in the beginning.
    """
    begun = jnp.maximum(state.asked, state.told)
    return (begun + jnp.arange(size) < until) | ~(fitness > -jnp.inf).any()


def seeded(space: Space, key: jax.Array, is_seed: jax.Array, children: Callable[[], DNA]) -> DNA:
    """B children, with random points in place of those for which bool[B] is true; none are drawn where none is.

    Random points become as narrow as the children are. These are made within the branch that is taken: outside they
    would be written, and then copied.
    """

    def with_seeds() -> DNA:
        drawn = space.random(key, is_seed.shape)
        return jax.tree.map(lambda a, b: jnp.where(is_seed[:, None], a.astype(b.dtype), b), drawn, children())

    return jax.lax.cond(is_seed.any(), with_seeds, children)
