"""What a model-based controller knows: up to N points with their fitness, and those whose fitness is awaited."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from pgjax.search._controller import blank, sanitize
from pgjax.search._identity import find_awaited
from pgjax.space import DNA, Space

_NEWER = 1 << 30  # more than any age: what it is added to is overwritten last


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Observations:
    """N slots of points, told or awaited.

    Attributes:
      dna: int32[N, C] and float32[N, F].
      fitness: float32[N], -inf where failed, awaited or empty.
      told: bool[N], whether the fitness is known.
      order: int32[N], the number of points put in before; -1 in an empty slot.
      asked: int32[], the number of points asked for so far.
      count: int32[], the number of points put in so far.
    """

    dna: DNA
    fitness: jax.Array
    told: jax.Array
    order: jax.Array
    asked: jax.Array
    count: jax.Array

    @property
    def awaited(self) -> jax.Array:
        """bool[N], points that were asked for and not told."""
        return (self.order >= 0) & ~self.told

    @property
    def begun(self) -> jax.Array:
        """int32[], the number of points asked for, or known where these are more: others found them."""
        return jnp.maximum(self.asked, self.told.sum(dtype=jnp.int32))


def empty(space: Space, size: int) -> Observations:
    """No observations, and room for `size`."""
    return Observations(
        dna=blank(space, size),
        fitness=jnp.full(size, -jnp.inf, jnp.float32),
        told=jnp.zeros(size, bool),
        order=jnp.full(size, -1, jnp.int32),
        asked=jnp.int32(0),
        count=jnp.int32(0),
    )


def await_points(known: Observations, dna: DNA) -> Observations:
    """The observations with B points asked for."""
    known = _put(known, dna, jnp.full(dna.shape, -jnp.inf, jnp.float32), jnp.ones(dna.shape, bool), told=False)
    return dataclasses.replace(known, asked=known.asked + dna.shape[0])


def observe(space: Space, known: Observations, dna: DNA, fitness: Any) -> Observations:
    """The observations with float32[n, 1] fitness told: of awaited points, or of points never asked for."""
    size = len(known.order)
    dna, values = jax.tree.map(lambda x: jnp.asarray(x)[-size:], (dna, sanitize(fitness)[:, 0]))
    prints = space.fingerprint(dna)
    found, match = find_awaited(prints, space.fingerprint(known.dna), known.awaited)
    slots = jnp.where(found, jnp.argmax(match, -1), size)  # out of range: dropped
    known = dataclasses.replace(
        known,
        fitness=known.fitness.at[slots].set(values, mode='drop'),
        told=known.told.at[slots].set(True, mode='drop'),
    )
    return _put(known, dna, values, ~found, told=True)


def told_first(known: Observations) -> Observations:
    """The slots in another order: those told, then those awaited, then empty ones."""
    rank = jnp.where(known.told, 0, jnp.where(known.order >= 0, 1, 2))
    rows = jnp.argsort(rank)
    return jax.tree.map(lambda x: x[rows] if x.ndim else x, known)


def _put(known: Observations, dna: DNA, fitness: jax.Array, new: jax.Array, told: bool) -> Observations:
    """Puts rows in: into empty slots, then over the oldest told below the median, then over the oldest."""
    there = known.told & jnp.isfinite(known.fitness)
    ascending = jnp.sort(jnp.where(there, known.fitness, jnp.inf))
    keep = ~known.told | (known.fitness >= ascending[there.sum() // 2])
    age = jnp.where(known.order < 0, -1, known.order + jnp.where(keep, _NEWER, 0))
    free = jnp.argsort(age)[: dna.shape[0]]
    place = jnp.cumsum(new) - 1
    slots = jnp.where(new, free[place], len(known.order))  # out of range: dropped
    return dataclasses.replace(
        known,
        dna=jax.tree.map(lambda old, x: old.at[slots].set(x, mode='drop'), known.dna, dna),
        fitness=known.fitness.at[slots].set(fitness, mode='drop'),
        told=known.told.at[slots].set(told, mode='drop'),
        order=known.order.at[slots].set(known.count + place.astype(jnp.int32), mode='drop'),
        count=known.count + new.sum(dtype=jnp.int32),
    )
