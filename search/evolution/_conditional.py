"""Operations that happen or not: by chance, by a condition, until something changes; and what they remember."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pgjax._errors import ControllerError, did_you_mean
from pgjax.search._controller import is_within, require
from pgjax.search.evolution._algebra import Applied, ForEach, Identity, Pipeline, as_operation, with_memory_of
from pgjax.search.evolution._operation import Context, Operation
from pgjax.search.evolution._population import Population
from pgjax.search.evolution._schedule import Number, value_at
from pgjax.space._threefry import uniform

Predicate = Callable[..., Any]  # (population, context) -> bool[]


class If(Operation, type_name='pgjax.search.evolution.If'):
    """One operation or another: `a.if_true(predicate)`, `a.if_false(predicate)`.

    Attributes:
      predicate: a function of a population and a context that gives a bool.
      then: where it is true.
      otherwise: where it is not.
    """

    predicate: Predicate
    then: Operation = Identity()
    otherwise: Operation = Identity()

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The result of one of both, with as many rows as the larger one has."""
        return either(self.predicate(population, context), self.then, self.otherwise, key, population, context)


class WithProbability(Operation, type_name='pgjax.search.evolution.WithProbability'):
    """An operation on the whole population with some probability, else the population as it is: `a.with_prob(0.5)`.

    Inside `for_each` each individual has a chance of its own.
    """

    operation: Operation
    probability: Number

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The result, or the population."""
        require(is_within(self.probability, 0, 1), self, 'probability', 'between 0 and 1')
        return Choice([(self.operation, self.probability)]).apply(key, population, context)


class Choice(Operation, type_name='pgjax.search.evolution.Choice'):
    """Each of some operations with a probability of its own, one after the other.

    Attributes:
      options: operations with their probabilities (numbers or schedules).
      limit: at most so many of them happen.
    """

    options: list[tuple[Operation, Any]]
    limit: int | None = None

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """What those that happened made of the population."""
        require(all(is_within(p, 0, 1) for _, p in self.options), self, 'options', 'probabilities are between 0 and 1')
        done = jnp.int32(0)
        for (operation, probability), own in zip(self.options, jax.random.split(key, len(self.options)), strict=True):
            coin_key, own = jax.random.split(own)
            happens = uniform(coin_key, ()) < value_at(probability, context.step)
            if self.limit is not None:
                happens &= done < self.limit
            done += happens
            population, context = either(happens, operation, Identity(), own, population, context)
        return population, context


class UntilChange(Operation, type_name='pgjax.search.evolution.UntilChange'):
    """An operation again for those individuals whose DNA it left as it was: `a.until_change(10)`.

    Attributes:
      operation: gives as many individuals as it gets, each in place of one.
      max_attempts: how often it is applied at most.
    """

    operation: Operation
    max_attempts: int = 10

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The first result for each individual that differs from it; the last one where none did.

        Raises:
          ControllerError: the operation gives another number of rows, or there is to be no attempt.
        """
        require(self.max_attempts >= 1, self, 'max_attempts', 'at least 1')
        context = with_memory_of([self.operation], key, population, context)
        keys = jax.random.split(key, self.max_attempts)
        first, context = self.operation.apply(keys[0], population, context)
        if len(first) != len(population):
            raise ControllerError(
                f'until_change compares individuals one by one, but {type(self.operation).__name__} makes {len(first)} '
                f'of {len(population)}.'
            )

        def same(result: Population) -> jax.Array:
            pairs = zip(jax.tree.leaves(result.dna), jax.tree.leaves(population.dna), strict=True)
            return jnp.stack([(a == b).all(-1) for a, b in pairs]).all(0) & result.mask

        def again(state: tuple[Any, Population, Context]) -> tuple[Any, Population, Context]:
            attempt, result, context = state
            new, context = self.operation.apply(keys[attempt], population, context)
            redo = same(result)
            mixed = jax.tree.map(lambda a, b: jnp.where(redo.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, result)
            return attempt + 1, mixed, context

        def unfinished(state: tuple[Any, Population, Context]) -> jax.Array:
            return (state[0] < self.max_attempts) & same(state[1]).any()

        _, result, context = jax.lax.while_loop(unfinished, again, (jnp.int32(1), first, context))
        return result, context


class Remember(Operation, type_name='pgjax.search.evolution.Remember'):
    """An operation whose result also becomes the global state of a name: `a.as_global_state('elite')`.

    Before it has happened for the first time, the state is a population of nobody.
    """

    operation: Operation
    name: str

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The result of the operation."""
        result, context = self.operation.apply(key, population, context)
        return result, dataclasses.replace(context, memory={**context.memory, self.name: result})


class Recall(Operation, type_name='pgjax.search.evolution.Recall'):
    """The population that is the global state of a name, whatever the input: `global_state('elite')`."""

    name: str

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """What was remembered.

        Raises:
          ControllerError: nothing of that name is ever remembered.
        """
        del key, population
        if self.name not in context.memory:
            raise ControllerError(
                f'There is no global state {self.name!r}: give Evolution(global_state=...) a first value, or let an '
                f'operation before this one call as_global_state.' + did_you_mean(self.name, context.memory)
            )
        return context.memory[self.name], context


class SetGlobalState(Operation, type_name='pgjax.search.evolution.SetGlobalState'):
    """Sets the global state of a name to a number or array, and leaves the population as it is.

    Attributes:
      name: of the state.
      value: a function of a population and a context, which has what was there as `context.memory[name]`.
    """

    name: str
    value: Callable[..., Any]

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The population itself."""
        del key
        value = jax.tree.map(jnp.asarray, self.value(population, context))
        known = context.memory.get(self.name)
        if known is not None:
            value = jax.tree.map(lambda new, old: jnp.asarray(new, jnp.asarray(old).dtype), value, known)
        return population, dataclasses.replace(context, memory={**context.memory, self.name: value})


def either(
    condition: Any, then: Operation, otherwise: Operation, key: jax.Array, population: Population, context: Context
) -> Applied:
    """One of two operations; only that one runs, unless under `vmap`."""
    context = with_memory_of([then, otherwise], key, population, context)
    size = max(len(jax.eval_shape(op.apply, key, population, context)[0]) for op in (then, otherwise))

    def run(operation: Operation) -> Callable[[], Applied]:
        def branch() -> Applied:
            result, after = operation.apply(key, population, context)
            return result.resized(size), after

        return branch

    return jax.lax.cond(jnp.asarray(condition, bool), run(then), run(otherwise))


def global_state(name: str) -> Operation:
    """The population that `as_global_state(name)` remembered last."""
    return Recall(name)


def set_global_state(name: str, value: Callable[..., Any]) -> Operation:
    """Sets a number or array of the global state; see `SetGlobalState`."""
    return SetGlobalState(name, value)


def _with_prob(operation: Operation, probability: Number) -> Operation:
    return WithProbability(operation, probability)


def _if_true(operation: Operation, predicate: Predicate) -> Operation:
    return If(predicate, operation)


def _if_false(operation: Operation, predicate: Predicate) -> Operation:
    return If(predicate, Identity(), operation)


def _for_each(operation: Operation, each: Any) -> Operation:
    return Pipeline([operation, ForEach(as_operation(each))])


def _until_change(operation: Operation, max_attempts: int = 10) -> Operation:
    return UntilChange(operation, max_attempts)


def _as_global_state(operation: Operation, name: str) -> Operation:
    return Remember(operation, name)


Operation.with_prob = _with_prob  # type: ignore[method-assign]  as for the operators in `_algebra.py`
Operation.if_true = _if_true  # type: ignore[method-assign]
Operation.if_false = _if_false  # type: ignore[method-assign]
Operation.for_each = _for_each  # type: ignore[method-assign]
Operation.until_change = _until_change  # type: ignore[method-assign]
Operation.as_global_state = _as_global_state  # type: ignore[method-assign]
