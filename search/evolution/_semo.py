"""SEMO: an archive of points that none beats, any of which may be a parent."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from pgjax.search._controller import Controller, State, blank, require, sanitize
from pgjax.search._keys import require_key
from pgjax.search.evolution._seeding import mutants
from pgjax.search.multiobjective import crowding_distance, dominates
from pgjax.space import DNA, Space, concatenate


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SEMOState:
    """An archive with room for N points, the filled slots first.

    Attributes:
      dna: int32[N, C] and float32[N, F].
      fitness: float32[N, M], -inf in an empty slot.
      trial: int32[N], the id of the trial that filled the slot; -1 if none did.
      asked: int32[], the number of points asked for so far.
      told: int32[], the number of points told so far.
      parents: int32[B, 1], the trials from which the last batch was made; -1 for random points.
    """

    dna: DNA
    fitness: jax.Array
    trial: jax.Array
    asked: jax.Array
    told: jax.Array
    parents: jax.Array


class SEMO(Controller, type_name='pgjax.search.SEMO'):
    """The simple evolutionary multi-objective optimizer (Laumanns et al., 2002, PPSN VII, Algorithm 1).

    The archive holds the points that none beats in every objective; each child is a mutation of a point drawn
    uniformly from it. A point whose objectives equal those of one in the archive does not enter it.

    Departures from the paper: the first `initial_size` points are random; `batch_size` children are made from one
    archive; an archive that is full drops its most crowded points.

    Attributes:
      batch_size: B, children per `ask`.
      archive_size: N.
      initial_size: random points in the beginning.

    >>> from pgjax import search
    >>> search.SEMO(batch_size=8)
    SEMO(batch_size=8, archive_size=256, initial_size=16)
    """

    batch_size: int = 16
    archive_size: int = 256
    initial_size: int = 16

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> SEMOState:
        """An empty archive."""
        require_key(key, self)
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.archive_size >= 1, self, 'archive_size', 'at least 1')
        require(self.initial_size >= 1, self, 'initial_size', 'at least 1')
        size = self.archive_size
        return SEMOState(
            dna=blank(space, size),
            fitness=jnp.full((size, num_objectives), -jnp.inf, jnp.float32),
            trial=jnp.full(size, -1, jnp.int32),
            asked=jnp.int32(0),
            told=jnp.int32(0),
            parents=jnp.full((self.batch_size, 1), -1, jnp.int32),
        )

    def ask(self, space: Space, state: SEMOState, key: jax.Array) -> tuple[DNA, SEMOState]:
        """B points: random until `initial_size` were asked for or told and there is an archive, then children."""
        require_key(key, self)
        random_key, select_key, mutate_key = jax.random.split(key, 3)
        size, filled = self.batch_size, (state.trial >= 0).sum()
        slots = jax.random.randint(select_key, (size,), 0, jnp.maximum(filled, 1), jnp.int32)
        return mutants(space, random_key, mutate_key, state, slots, until=self.initial_size)

    def tell(self, space: Space, state: SEMOState, dna: DNA, fitness: Any) -> State:
        """The archive of everything that was in it, or is told, and that none of these beats."""
        del space
        fitness = sanitize(fitness)
        number = len(fitness)
        everyone = concatenate([state.dna, jax.tree.map(jnp.asarray, dna)])
        values = jnp.concatenate([state.fitness, fitness])
        trial = jnp.concatenate([state.trial, (state.told + jnp.arange(number)).astype(jnp.int32)])
        kept = unbeaten(values)
        crowding = crowding_distance(values, jnp.where(kept, 0, 1))
        order = jnp.lexsort((-crowding, ~kept))[: self.archive_size]
        stays = kept[order]
        return dataclasses.replace(
            state,
            dna=everyone[order],
            fitness=jnp.where(stays[:, None], values[order], -jnp.inf),
            trial=jnp.where(stays, trial[order], -1),
            told=state.told + number,
        )


def unbeaten(fitness: jax.Array) -> jax.Array:
    """bool[P]: the rows of float[P, M] that succeeded, that none beats, and that no earlier row equals."""
    earlier = jnp.tri(len(fitness), k=-1, dtype=bool).T
    equal = (fitness[:, None] == fitness[None, :]).all(-1)
    return ~(dominates(fitness) | (equal & earlier)).any(0) & jnp.isfinite(fitness).all(-1)
