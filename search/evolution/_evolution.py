"""`search.Evolution`: a controller made of operations on populations."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from pgjax._errors import ControllerError
from pgjax.search._controller import Controller, require, sanitize
from pgjax.search._keys import require_key, seed_of
from pgjax.search.evolution._algebra import Repeat, with_memory_of
from pgjax.search.evolution._operation import Context, Operation
from pgjax.search.evolution._population import NO_TRIAL, NUM_PARENTS, Population, empty, told, wide
from pgjax.search.evolution._seeding import is_random, seeded
from pgjax.search.evolution.mutators import Gaussian
from pgjax.search.evolution.selectors import Last, Top, Tournament
from pgjax.space import DNA, Space
from pgjax.space._threefry import IMPL
from pgjax.symbolic import field

_MANY = 2**20  # more individuals than an update that keeps a fixed number of them would ever keep


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EvolutionState:
    """What evolution remembers.

    Attributes:
      population: those that survived, in P rows.
      asked: int32[], the number of points asked for so far.
      told: int32[], the number of points told so far.
      generation: int32[], how often children were made.
      parents: int32[B, 2], the trials from which the last batch was made; -1 for random points.
      memory: the global state, by name.
      seed: uint32[2], the data of the key for survival by chance.
    """

    population: Population
    asked: jax.Array
    told: jax.Array
    generation: jax.Array
    parents: jax.Array
    memory: Mapping[str, Any]
    seed: jax.Array


class Evolution(Controller, type_name='pgjax.search.Evolution'):
    """Evolution by an algebra of operations; all of a step is one program.

    The first `population_init` points are random; those that others found count too. Then `reproduction` makes children
    of the population: where it makes fewer than `batch_size`, it does so again with new randomness; where it makes
    more, the first count; where no individual is there for it to work with, points are random. Whatever is told joins
    the population, and `population_update` says who stays.

    PyGlove's takes a pair `(generator, n)` as its first population; here it is n random points, and a warm start is
    a controller around this one. Its step counts proposals; ours counts reproductions.

    Attributes:
      batch_size: B, children per `ask`.
      population_init: how many points are random.
      reproduction: an operation that makes children of the population.
      population_update: an operation on the population and those just told, in that order; None keeps the youngest
        `capacity`.
      capacity: the most individuals that are kept; known from `population_update` where that keeps a fixed number.
      global_state: first values of numbers and arrays of the global state, by name.

    >>> from pgjax.search.evolution import Evolution, mutators, selectors
    >>> Evolution(
    ...   population_init=100,
    ...   reproduction=selectors.Tournament(16, size=10) >> mutators.Gaussian(),
    ...   population_update=selectors.Last(100)).batch_size
    16
    """

    batch_size: int = 16
    population_init: int = 20
    reproduction: Operation = Tournament(16) >> Gaussian()
    population_update: Operation | None = Top(20)
    capacity: int | None = None
    global_state: dict[str, Any] = field(default_factory=dict)

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> EvolutionState:
        """An empty population.

        Raises:
          ControllerError: a setting is out of range, or the population would grow without end.
        """
        seed = seed_of(key, self)
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.population_init >= 1, self, 'population_init', 'at least 1')
        require(self.capacity is None or self.capacity >= 1, self, 'capacity', 'at least 1, or None')
        context = Context.start(space, 0, {name: jnp.asarray(value) for name, value in self.global_state.items()})
        size = self._capacity(context, key, num_objectives)
        population = empty(space, size, num_objectives)
        context = with_memory_of([self.reproduction], key, population, context)
        context = self._remembering_update(context, key, population)
        return EvolutionState(
            population=population,
            asked=jnp.int32(0),
            told=jnp.int32(0),
            generation=jnp.int32(0),
            parents=jnp.full((self.batch_size, NUM_PARENTS), NO_TRIAL, jnp.int32),
            memory=dict(context.memory),
            seed=seed,
        )

    def ask(self, space: Space, state: EvolutionState, key: jax.Array) -> tuple[DNA, EvolutionState]:
        """Random points until enough were asked for or told, then children; random also where all have failed."""
        require_key(key, self)
        random_key, reproduce_key = jax.random.split(key)
        size = self.batch_size
        context = Context.start(space, state.generation, state.memory)
        children, context = self._children(reproduce_key, state.population, context)
        is_seed = is_random(state, state.population.fitness, size=size, until=self.population_init) | ~children.mask
        dna = wide(seeded(space, random_key, is_seed, lambda: children.genes))
        bred = ~is_seed.all()
        memory = _as_before(state.memory, context.memory)
        return dna, dataclasses.replace(
            state,
            asked=state.asked + size,
            generation=state.generation + bred,
            parents=jnp.where(is_seed[:, None], NO_TRIAL, children.parents),
            memory=jax.tree.map(lambda old, new: jnp.where(bred, new, old), state.memory, memory),
        )

    def tell(self, space: Space, state: EvolutionState, dna: DNA, fitness: Any) -> EvolutionState:
        """Points join the population, and some stay."""
        fitness = sanitize(fitness)
        new = told(space, dna, fitness, state.told, state.generation)
        key = jax.random.fold_in(jax.random.wrap_key_data(state.seed, impl=IMPL), state.told)
        context = Context.start(space, state.generation, state.memory)
        capacity = len(state.population)
        survivors, context = self._update(capacity).merge(key, state.population, new, context)
        return dataclasses.replace(
            state,
            population=survivors.resized(capacity),
            told=state.told + fitness.shape[0],
            memory=_as_before(state.memory, context.memory),
        )

    def _children(self, key: jax.Array, population: Population, context: Context) -> tuple[Population, Context]:
        """B children, those that are there first."""
        made = len(jax.eval_shape(self.reproduction.apply, key, population, context)[0])
        if not made:
            raise ControllerError('reproduction makes no children: it selects none of the population.')
        times = -(-self.batch_size // made)
        operation = self.reproduction if times == 1 else Repeat(self.reproduction, times)
        children, context = operation.apply(key, population, context)
        return children.resized(self.batch_size), context

    def _update(self, capacity: int) -> Operation:
        return Last(capacity) if self.population_update is None else self.population_update

    def _capacity(self, context: Context, key: jax.Array, num_objectives: int) -> int:
        """P: how many individuals `population_update` keeps of however many.

        Raises:
          ControllerError: the more there are, the more it keeps, and `capacity` does not say where to stop.
        """
        if self.capacity is not None:
            return self.capacity
        if self.population_update is not None:
            kept = [self._kept(size, context, key, num_objectives) for size in (_MANY, 2 * _MANY)]
            if kept[0] == kept[1]:
                return max(1, kept[0])
        raise ControllerError(
            'The population would grow without end: give Evolution(capacity=...), or a population_update that keeps a '
            'fixed number, such as selectors.Last(100) or selectors.Top(100).'
        )

    def _kept(self, size: int, context: Context, key: jax.Array, num_objectives: int) -> int:
        old = jax.eval_shape(lambda: empty(context.space, size, num_objectives))
        new = jax.eval_shape(lambda: empty(context.space, self.batch_size, num_objectives))
        return len(jax.eval_shape(self._update(size).merge, key, old, new, context)[0])

    def _remembering_update(self, context: Context, key: jax.Array, population: Population) -> Context:
        """The context with a place for what `population_update` will remember."""
        update = self._update(len(population))
        return with_memory_of([_Merging(update, self.batch_size)], key, population, context)


class _Merging(Operation, type_name='pgjax.search.evolution._Merging'):
    """The update of a population with some of its own rows in place of new ones: for shapes alone."""

    update: Operation
    size: int

    def apply(self, key: jax.Array, population: Population, context: Context) -> tuple[Population, Context]:
        """What would stay."""
        new = population[jnp.zeros(self.size, jnp.int32)]
        return self.update.merge(key, population, new, context)


def _as_before(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What is remembered, with populations of as many rows as there is place for."""
    return {name: new[name].resized(len(v)) if isinstance(v, Population) else new[name] for name, v in old.items()}


class Composed(Controller):
    """A named controller that is a composition: `evolution` says of what."""

    @property
    @abc.abstractmethod
    def evolution(self) -> Evolution:
        """The controller in terms of operations."""

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> EvolutionState:
        """An empty population."""
        return self.evolution.init(space, key, num_objectives)

    def ask(self, space: Space, state: EvolutionState, key: jax.Array) -> tuple[DNA, EvolutionState]:
        """Random points at first, then children."""
        return self.evolution.ask(space, state, key)

    def tell(self, space: Space, state: EvolutionState, dna: DNA, fitness: Any) -> EvolutionState:
        """Points join the population, and some stay."""
        return self.evolution.tell(space, state, dna, fitness)
