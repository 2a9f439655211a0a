"""Regularized evolution: tournament parents, one mutation, the oldest dies."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from pgjax.search._controller import Controller, State, blank, require, require_single_objective, sanitize
from pgjax.search._host import HostController
from pgjax.search._keys import require_key
from pgjax.search._wrappers import Dedup
from pgjax.search.evolution._population import narrow
from pgjax.search.evolution._regularized_host import RegularizedOnHost
from pgjax.search.evolution._seeding import mutants
from pgjax.search.evolution.selectors import winners
from pgjax.space import DNA, Space

_MOST_RIVALS = 32  # where the size of tournaments is not given


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RegularizedState:
    """A population of P individuals, the oldest overwritten first.

    Attributes:
      dna: the points with their choices in as few bytes as they need, int8[P, C] mostly, and float32[P, F].
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

    The first `population_size` points are random; those that others found count too. Then each child is a mutation of
    the best of `tournament_size` individuals drawn with replacement, and takes the place of the oldest individual.

    Departures from the paper: `batch_size` children are made from one population before any of them is told
    (1 gives the paper's order); mutation always changes something, and floats and ints move by a normal step; no point
    is proposed twice, as by `Dedup`. With `memory=0` points may come again, for objectives so noisy that a second
    look is worth as much as a new point.

    The defaults were chosen on six tables (NAS-Bench-201, HPOBench, NAS-Bench-Graph), children made one by one, 1,000
    seeds. On NAS-Bench-201 (cifar10) accuracy is .31, .11, .05 and .0004 points off the optimum after 50, 100, 200 and
    500 evaluations; with tournaments of ten .36, .12, .03 and .002; without memory .34, .14, .09 and .06; with a
    population of 100 .80, .58, .03 and .002. Tournaments as large as the population are better than those of ten on all
    seven tables on which nothing was chosen (at all of these marks but one), and with batches of 16: on cifar100 .22
    off after 100 evaluations, not .35, on the loss of HPOLib (naval propulsion) a factor of 1.24, not 1.34.

    Attributes:
      batch_size: B, children per `ask`.
      population_size: P.
      tournament_size: S; larger is greedier. None for P, which leaves a third of the individuals out, but at most 32:
        each rival of each child takes a random number.
      memory: how many points are remembered, so that none of them is proposed again; 0 for none.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> search.RegularizedEvolution(population_size=64, batch_size=16)
    RegularizedEvolution(batch_size=16, population_size=64, tournament_size=None, memory=4096)
    """

    batch_size: int = 16
    population_size: int = 20
    tournament_size: int | None = None
    memory: int = 4096

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> State:
        """An empty population, `RegularizedState`; with a memory it is the inner state of a `DedupState`."""
        require_key(key, self)
        require_single_objective(self, num_objectives)
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.population_size >= 1, self, 'population_size', 'at least 1')
        allowed = f'between 1 and population_size {self.population_size}'
        require(1 <= self.rivals <= self.population_size, self, 'tournament_size', allowed)
        require(self.memory >= 0, self, 'memory', 'at least 0')
        if self.memory:
            return self._remembering.init(space, key, num_objectives)
        size = self.population_size
        return RegularizedState(
            dna=narrow(space, blank(space, size)),
            fitness=jnp.full(size, -jnp.inf, jnp.float32),
            trial=jnp.full(size, -1, jnp.int32),
            asked=jnp.int32(0),
            told=jnp.int32(0),
            parents=jnp.full((self.batch_size, 1), -1, jnp.int32),
        )

    def ask(self, space: Space, state: State, key: jax.Array) -> tuple[DNA, State]:
        """Random points until P were asked for or told, then children; random also where all have failed."""
        require_key(key, self)
        if self.memory:
            return self._remembering.ask(space, state, key)
        random_key, select_key, mutate_key = jax.random.split(key, 3)
        size = self.batch_size
        known = jnp.minimum(state.told, self.population_size)
        best = jnp.argmax(state.fitness)
        drawn, won = winners(select_key, (size,), self.rivals, state.fitness, known)
        slots = jnp.where(won > -jnp.inf, drawn, best)
        return mutants(space, random_key, mutate_key, state, slots, until=self.population_size)

    def tell(self, space: Space, state: State, dna: DNA, fitness: Any) -> State:
        """Each point takes the oldest slot."""
        if self.memory:
            return self._remembering.tell(space, state, dna, fitness)
        fitness = sanitize(fitness)[:, 0]
        number, size = fitness.shape[0], self.population_size
        kept = max(0, number - size)  # more than a population at once: the first would be overwritten at once
        points = narrow(space, jax.tree.map(lambda x: jnp.asarray(x)[kept:], dna))
        first = (state.told + kept).astype(jnp.int32)
        new = points, fitness[kept:], first + jnp.arange(number - kept, dtype=jnp.int32)
        if number < size:
            oldest = jnp.argmin(state.trial)  # a slot never filled has -1
            new = _overwritten((state.dna, state.fitness, state.trial), new, oldest)
        points, fitness, trial = new
        return dataclasses.replace(state, dna=points, fitness=fitness, trial=trial, told=state.told + number)

    def on_host(self, space: Space) -> HostController | None:
        """Children made one by one; None for large batches, populations and ints."""
        if self.memory:
            return self._remembering.on_host(space)
        return RegularizedOnHost(self, space) if RegularizedOnHost.is_exact(self, space) else None

    @property
    def rivals(self) -> int:
        """S, the number of individuals in each tournament."""
        return min(self.population_size, _MOST_RIVALS) if self.tournament_size is None else self.tournament_size

    @property
    def _remembering(self) -> Dedup:
        """Evolution by the paper, kept from proposing a point twice."""
        return Dedup(self.rebind(memory=0), memory=self.memory)


def _overwritten(old: Any, new: Any, start: jax.Array) -> Any:
    """The rows of `old` with those of `new` in the places from `start` on, round the end."""
    size, number = len(jax.tree.leaves(old)[0]), len(jax.tree.leaves(new)[0])
    if 8 * number < size:
        places = (start + jnp.arange(number)) % size
        return jax.tree.map(lambda a, b: a.at[places].set(b, unique_indices=True), old, new)
    place = (jnp.arange(size) - start) % size  # reading all rows costs less than writing one by one

    def chosen(a: jax.Array, b: jax.Array) -> jax.Array:
        is_new = (place < number).reshape(-1, *[1] * (a.ndim - 1))
        return jnp.where(is_new, b[jnp.minimum(place, number - 1)], a)

    return jax.tree.map(chosen, old, new)
