"""NEAT-style evolution: points compete inside their species, and species share what they earn."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from pgjax.search._controller import Controller, State, is_within, require, require_single_objective, sanitize
from pgjax.search._keys import require_key
from pgjax.search.evolution._seeding import mutants
from pgjax.search.evolution._speciation import NO_SPECIES, speciate
from pgjax.space import DNA, Space, concatenate
from pgjax.space._threefry import uniform


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NEATState:
    """A population of P individuals in at most S species.

    Attributes:
      dna: int32[P, C] and float32[P, F].
      fitness: float32[P], -inf in a slot never filled.
      trial: int32[P], the id of the trial that filled the slot; -1 if none did.
      species: int32[P], from 0 to S - 1; -1 in a slot never filled.
      representatives: int32[S, C] and float32[S, F], the best member of each species.
      asked: int32[], the number of points asked for so far.
      told: int32[], the number of points told so far.
      parents: int32[B, 1], the trials from which the last batch was made; -1 for random points.
    """

    dna: DNA
    fitness: jax.Array
    trial: jax.Array
    species: jax.Array
    representatives: DNA
    asked: jax.Array
    told: jax.Array
    parents: jax.Array


class NEAT(Controller, type_name='pgjax.search.NEAT'):
    """Speciation with fitness sharing (Stanley and Miikkulainen, 2002, NEAT, section 3.3).

    Points are of one species where their DNA is near (`distance`). A point's shared fitness is its fitness above the
    population's worst, divided by the size of its species, so a species has children in proportion to its mean and
    not to its size; a new kind of point gets time to improve. Parents are drawn evenly from the best
    `remaining_ratio` of their species, and children are mutations. New points replace the oldest; the champion of a
    species of more than `champion_size` members stays.

    Departures from the paper: a species is represented by its best member rather than by a random one, since `tell`
    is deterministic; children have one parent; there is a fixed number of places for species, and points that are
    near none when all are taken join the nearest; species are not dropped for stagnation.

    Attributes:
      batch_size: B, children per `ask`.
      population_size: P; at first so many points are random.
      max_species: S.
      disjoint_coefficient: the weight of decisions that only one of two points uses.
      matching_coefficient: the weight of differences in decisions that both use.
      compatibility_threshold: points nearer than this are of one species.
      remaining_ratio: the part of each species that may have children.
      champion_size: in species larger than this the best member is kept.

    >>> from pgjax import search
    >>> search.NEAT(population_size=50).max_species
    16
    """

    batch_size: int = 16
    population_size: int = 100
    max_species: int = 16
    disjoint_coefficient: float = 1.0
    matching_coefficient: float = 1.0
    compatibility_threshold: float = 0.3
    remaining_ratio: float = 0.5
    champion_size: int = 5

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> NEATState:
        """An empty population."""
        require_key(key, self)
        require_single_objective(self, num_objectives)
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.population_size >= 1, self, 'population_size', 'at least 1')
        allowed = f'between 1 and population_size {self.population_size}'
        require(1 <= self.max_species <= self.population_size, self, 'max_species', allowed)
        require(is_within(self.remaining_ratio, 0, 1), self, 'remaining_ratio', 'between 0 and 1')
        for setting in ('disjoint_coefficient', 'matching_coefficient', 'compatibility_threshold'):
            require(is_within(getattr(self, setting), 0), self, setting, 'a finite number of at least 0')
        size = self.population_size
        first = space.random(key, (size,))
        return NEATState(
            dna=first,
            fitness=jnp.full(size, -jnp.inf, jnp.float32),
            trial=jnp.full(size, -1, jnp.int32),
            species=jnp.full(size, NO_SPECIES, jnp.int32),
            representatives=first[: self.max_species],
            asked=jnp.int32(0),
            told=jnp.int32(0),
            parents=jnp.full((self.batch_size, 1), -1, jnp.int32),
        )

    def ask(self, space: Space, state: NEATState, key: jax.Array) -> tuple[DNA, NEATState]:
        """B points: random until P were asked for or told, then children; random also where all have failed."""
        require_key(key, self)
        random_key, select_key, mutate_key = jax.random.split(key, 3)
        size = self.batch_size
        share = jnp.cumsum(self.shares(state))
        drawn = uniform(select_key, (size,)) * share[-1]
        slots = jnp.minimum(jnp.searchsorted(share, drawn, side='right'), len(share) - 1)
        return mutants(space, random_key, mutate_key, state, slots, until=self.population_size)

    def tell(self, space: Space, state: NEATState, dna: DNA, fitness: Any) -> State:
        """The newest points and the champions of large species stay, and each finds its species."""
        fitness = sanitize(fitness)[:, 0]
        number, size = len(fitness), self.population_size
        trial = jnp.concatenate([state.trial, (state.told + jnp.arange(number)).astype(jnp.int32)])
        is_champion = jnp.concatenate([self._champions(state), jnp.zeros(number, bool)])
        stay = jnp.lexsort((-trial, ~is_champion))[:size]
        everyone = concatenate([state.dna, jax.tree.map(jnp.asarray, dna)])[stay]
        coefficients = self.disjoint_coefficient, self.matching_coefficient
        taken = self._members(state.species).any(-1)
        species = speciate(
            space,
            everyone,
            trial[stay] >= 0,
            state.representatives,
            taken,
            self.compatibility_threshold,
            *coefficients,
        )
        values = jnp.concatenate([state.fitness, fitness])[stay]
        best = self._best(species, values)
        return dataclasses.replace(
            state,
            dna=everyone,
            fitness=values,
            trial=trial[stay],
            species=species,
            representatives=everyone[best],
            told=state.told + number,
        )

    def shares(self, state: NEATState) -> jax.Array:
        """float32[P], not normalized: the part of the next children that each individual has."""
        succeeded = jnp.isfinite(state.fitness)
        part = state.fitness / 16  # else distances could be infinite, and their inverses subnormal
        worst = jnp.min(jnp.where(succeeded, part, jnp.inf))
        extent = jnp.max(jnp.where(succeeded, part - worst, 0.0))
        least = 1 / self.population_size  # the worst has a share as well
        above = jnp.where(succeeded, (part - worst) / jnp.where(extent > 0, extent, 1.0) + least, 0.0)
        members = self._members(state.species)
        size = jnp.maximum(members.sum(-1), 1)
        mean = (members * above).sum(-1) / size  # what its members have when each is divided by the size
        remains = succeeded & (_place(state) < jnp.ceil(self.remaining_ratio * size)[state.species])
        heirs = jnp.maximum((members & remains).sum(-1), 1)
        shares = jnp.where(remains, (mean / heirs)[state.species], 0.0)
        return jnp.where(succeeded.any(), shares, (state.trial >= 0).astype(jnp.float32))

    def _members(self, species: jax.Array) -> jax.Array:
        """bool[S, P]."""
        return species == jnp.arange(self.max_species)[:, None]

    def _best(self, species: jax.Array, fitness: jax.Array) -> jax.Array:
        """int32[S], the best member of each species, the first of equals."""
        members = self._members(species)
        return jnp.argmax(jnp.where(members, jnp.maximum(fitness, jnp.finfo(jnp.float32).min), -jnp.inf), axis=-1)

    def _champions(self, state: NEATState) -> jax.Array:
        """bool[P], the best of each species that is large enough."""
        large = self._members(state.species).sum(-1) > self.champion_size
        best = jnp.where(large, self._best(state.species, state.fitness), self.population_size)
        return jnp.zeros(self.population_size, bool).at[best].set(True, mode='drop')


def _place(state: NEATState) -> jax.Array:
    """int32[P], the position of each individual in its species by fitness; of equals the younger slot is behind."""
    earlier = jnp.tri(len(state.fitness), k=-1, dtype=bool)  # [i, j]: j stands before i
    ahead = (state.fitness > state.fitness[:, None]) | ((state.fitness == state.fitness[:, None]) & earlier)
    return (ahead & (state.species == state.species[:, None])).sum(-1)
