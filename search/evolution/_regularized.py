"""Regularized evolution: tournament parents, one mutation, the oldest dies."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from pgjax.search._controller import Controller, State, require, require_single_objective, sanitize
from pgjax.search.evolution._mutate import mutate
from pgjax.space import DNA, Space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RegularizedState:
    """A population of P individuals, the oldest overwritten first.

    Attributes:
      dna: int32[P, C] and float32[P, F].
      fitness: float32[P], -inf in a slot never filled.
      trial: int32[P], the id of the trial that filled the slot; -1 if none did.
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


class RegularizedEvolution(Controller, type_name='pgjax.search.RegularizedEvolution'):
    """Ageing evolution (Real et al., 2019, Algorithm 1, https://arxiv.org/abs/1802.01548).

    The first `population_size` points are random. Then each child is a mutation of the best of
    `tournament_size` individuals drawn with replacement, and takes the place of the oldest individual.

    Departures from the paper: `batch_size` children are made from one population before any of them is told
    (1 gives the paper's order); mutation always changes something, and floats and ints move by a normal step.

    Attributes:
      population_size: P.
      tournament_size: S; larger is greedier.
      batch_size: B, children per `ask`.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> search.RegularizedEvolution(population_size=64, batch_size=16)
    RegularizedEvolution(batch_size=16, population_size=64, tournament_size=10)
    """

    batch_size: int = 16
    population_size: int = 100
    tournament_size: int = 10

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> RegularizedState:
        """An empty population."""
        del key
        require_single_objective(self, num_objectives)
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.population_size >= 1, self, 'population_size', 'at least 1')
        allowed = f'between 1 and population_size {self.population_size}'
        require(1 <= self.tournament_size <= self.population_size, self, 'tournament_size', allowed)
        size = self.population_size
        return RegularizedState(
            dna=DNA(jnp.zeros((size, space.num_choices), jnp.int32), jnp.zeros((size, space.num_floats), jnp.float32)),
            fitness=jnp.full(size, -jnp.inf),
            trial=jnp.full(size, -1, jnp.int32),
            asked=jnp.int32(0),
            told=jnp.int32(0),
            parents=jnp.full((self.batch_size, 1), -1, jnp.int32),
        )

    def ask(self, space: Space, state: RegularizedState, key: jax.Array) -> tuple[DNA, RegularizedState]:
        """Random points until P were asked for, then children; random also while nothing has been told."""
        random_key, select_key, mutate_key = jax.random.split(key, 3)
        size = self.batch_size
        draws = jax.random.randint(select_key, (size, self.tournament_size), 0, jnp.maximum(filled(state), 1))
        slots = jax.vmap(lambda rivals: winner(rivals, state.fitness, state.trial))(draws)
        fresh = space.random(random_key, (size,), canonical=False)  # a point is random, or opens genes: never both
        children = mutate(space, mutate_key, state.dna[slots], fresh)
        is_seed = (state.asked + jnp.arange(size) < self.population_size) | (state.told == 0)
        dna = jax.tree.map(lambda a, b: jnp.where(is_seed[:, None], a, b), space.canonical(fresh), children)
        parents = jnp.where(is_seed, -1, state.trial[slots])[:, None]
        return dna, dataclasses.replace(state, asked=state.asked + size, parents=parents)

    def tell(self, space: Space, state: RegularizedState, dna: DNA, fitness: Any) -> State:
        """Each point takes the oldest slot."""
        del space
        fitness = sanitize(fitness)[:, 0]
        number, size = fitness.shape[0], self.population_size
        kept = max(0, number - size)  # more than a population at once: the first would be overwritten at once
        trials = (state.told + jnp.arange(kept, number)).astype(jnp.int32)
        slots = trials % size
        return dataclasses.replace(
            state,
            dna=jax.tree.map(lambda old, new: old.at[slots].set(jnp.asarray(new)[kept:]), state.dna, dna),
            fitness=state.fitness.at[slots].set(fitness[kept:]),
            trial=state.trial.at[slots].set(trials),
            told=state.told + number,
        )


def filled(state: RegularizedState) -> jax.Array:
    """int32[], the number of individuals; slots fill from the first on."""
    return jnp.minimum(state.told, len(state.trial))


def winner(rivals: jax.Array, fitness: jax.Array, trial: jax.Array) -> jax.Array:
    """int32[], the slot of the best of some rivals (int32[S]); ties go to the lowest trial."""
    best = fitness[rivals] == jnp.max(fitness[rivals])
    return rivals[jnp.argmin(jnp.where(best, trial[rivals], jnp.iinfo(jnp.int32).max))]
