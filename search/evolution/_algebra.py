"""The algebra of operations: one after another, side by side, as sets, repeated, in part."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp

from pgjax._errors import ControllerError, show
from pgjax.search._settings import is_whole
from pgjax.search.evolution._operation import Context, Operation
from pgjax.search.evolution._population import FIRST_MADE, LAST, Population, concatenate

Applied = tuple[Population, Context]


class Identity(Operation, type_name='pgjax.search.evolution.Identity'):
    """Everything as it is."""

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The population itself."""
        del key
        return population, context


class Lambda(Operation, type_name='pgjax.search.evolution.Lambda'):
    """A plain function as an operation: `fn(population, context)` gives a population."""

    fn: Callable[..., Any]

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """What the function gives."""
        del key
        return self.fn(population, context), context


class Pipeline(Operation, type_name='pgjax.search.evolution.Pipeline'):
    """One operation after another: `a >> b >> c`."""

    operations: list[Operation]

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """What the last one makes of what those before it made."""
        keys = jax.random.split(key, len(self.operations))
        for operation, own in zip(self.operations, keys, strict=True):
            population, context = operation.apply(own, population, context)
        return population, context

    def merge(self, key: jax.Array, old: Population, new: Population, context: Context) -> Applied:
        """The first one merges, the others follow."""
        first_key, rest_key = jax.random.split(key)
        population, context = self.operations[0].merge(first_key, old, new, context)
        return Pipeline(list(self.operations[1:])).apply(rest_key, population, context)


class Concatenation(Operation, type_name='pgjax.search.evolution.Concatenation'):
    """All operations on the same population, their results one after the other: `a + b`."""

    operations: list[Operation]

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The results together."""
        results, context = results_of(list(self.operations), key, population, context)
        return concatenate(results), context


class Union(Operation, type_name='pgjax.search.evolution.Union'):
    """What any of the operations gives, each individual once, where it comes first: `a | b`."""

    operations: list[Operation]

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The results together, without repeats."""
        results, context = results_of(list(self.operations), key, population, context)
        joined = concatenate(results)
        return joined.keep(is_first(joined)), context


class Intersection(Operation, type_name='pgjax.search.evolution.Intersection'):
    """What all operations give, each individual once, in the order of the first: `a & b`."""

    operations: list[Operation]

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """Those of the first result that are in all others."""
        (first, *others), context = results_of(list(self.operations), key, population, context)
        in_all = [is_in(first, other) for other in others]
        return first.keep(jnp.stack([is_first(first), *in_all]).all(0)), context


class Difference(Operation, type_name='pgjax.search.evolution.Difference'):
    """What the first operation gives and the second does not, each individual once: `a - b`."""

    left: Operation
    right: Operation

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """Those of the first result that are not in the second."""
        (left, right), context = results_of([self.left, self.right], key, population, context)
        return left.keep(is_first(left) & ~is_in(left, right)), context


class SymmetricDifference(Operation, type_name='pgjax.search.evolution.SymmetricDifference'):
    """What one of two operations gives and the other does not, each individual once: `a ^ b`."""

    left: Operation
    right: Operation

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """Those of the first result that are not in the second, then the other way round."""
        (left, right), context = results_of([self.left, self.right], key, population, context)
        only_left = left.keep(is_first(left) & ~is_in(left, right))
        only_right = right.keep(is_first(right) & ~is_in(right, left))
        return concatenate([only_left, only_right]), context


class Repeat(Operation, type_name='pgjax.search.evolution.Repeat'):
    """An operation several times on the same population, with new randomness, the results together: `a * 3`."""

    operation: Operation
    times: int

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The results one after the other; the operation is compiled once."""
        context = with_memory_of([self.operation], key, population, context)

        def once(context: Context, key: jax.Array) -> tuple[Context, Population]:
            result, context = self.operation.apply(key, population, context)
            return context, result

        context, results = jax.lax.scan(once, context, jax.random.split(key, self.times))
        joined = _flat(results)
        return joined.keep(joined.mask), context


class Slice(Operation, type_name='pgjax.search.evolution.Slice'):
    """Some of the results, by position among those that are there, as Python slices a list: `a[0]`, `a[2:-1]`."""

    operation: Operation
    start: int | None = None
    stop: int | None = None
    step: int = 1

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The results from `start` to `stop`."""
        result, context = self.operation.apply(key, population, context)
        wanted = slice(self.start, self.stop, self.step)
        spans = [range(*wanted.indices(count)) for count in range(len(result) + 1)]
        size = max(map(len, spans))
        first = jnp.array([span.start for span in spans])[result.count]
        length = jnp.array([len(span) for span in spans])[result.count]
        rows = jnp.clip(first + self.step * jnp.arange(size), 0, max(0, len(result) - 1))
        return result.take(rows, jnp.arange(size) < length), context


class ForEach(Operation, type_name='pgjax.search.evolution.ForEach'):
    """An operation on each individual alone, the results together: `a.for_each(b)`.

    They happen side by side, so what one of them changes in the global state is not kept.
    """

    operation: Operation

    def apply(self, key: jax.Array, population: Population, context: Context) -> Applied:
        """The results in the order of the individuals."""
        size, first = len(population), context.made
        alone = jax.tree.map(lambda x: x[:, None], population)
        apply = jax.vmap(self.operation.apply, in_axes=(0, 0, None))
        results, after = apply(jax.random.split(key, size), alone, context)
        each = jnp.max(after.made) - first  # how many one of them made at most; all counted from the same number on
        mine = (results.trial < 0) & (results.trial >= FIRST_MADE + first)
        number = results.trial + jnp.arange(size, dtype=jnp.int32)[:, None] * each
        results = dataclasses.replace(results, trial=jnp.where(mine, number, results.trial))
        joined = _flat(results)
        return joined.keep(joined.mask), dataclasses.replace(context, made=first + each * size)


def as_operation(value: Any) -> Operation:
    """An operation, or a plain function as one.

    Raises:
      ControllerError: it is neither.
    """
    if isinstance(value, Operation):
        return value
    if callable(value):
        return Lambda(value)
    raise ControllerError(
        f'Expected an operation, or a function of a population and a context, got {type(value).__name__} {show(value)}.'
    )


def results_of(
    operations: list[Operation], key: jax.Array, population: Population, context: Context
) -> tuple[list[Population], Context]:
    """What each operation makes of one population; the context goes from one to the next."""
    results = []
    for operation, own in zip(operations, jax.random.split(key, len(operations)), strict=True):
        result, context = operation.apply(own, population, context)
        results.append(result)
    return results, context


def with_memory_of(operations: list[Operation], key: jax.Array, population: Population, context: Context) -> Context:
    """The context with an empty place for whatever the operations will remember, so that its structure stays."""
    for operation in operations:
        _, after = jax.eval_shape(operation.apply, key, population, context)
        for name in after.memory.keys() - context.memory.keys():
            place = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), after.memory[name])
            context = dataclasses.replace(context, memory={**context.memory, name: place})
    return context


def is_first(population: Population) -> jax.Array:
    """bool[N], whether no row before it holds the same individual."""
    trial = jnp.where(population.mask, population.trial, LAST)
    order = jnp.argsort(trial, stable=True)
    repeats = jnp.concatenate([jnp.zeros(min(1, len(trial)), bool), trial[order][1:] == trial[order][:-1]])
    return jnp.zeros(len(trial), bool).at[order].set(~repeats) & population.mask


def is_in(population: Population, other: Population) -> jax.Array:
    """bool[N], whether an individual is one of another population."""
    return jnp.isin(population.trial, jnp.where(other.mask, other.trial, LAST)) & population.mask


def _flat(results: Population) -> Population:
    """Rows of rows, [k, n, ...], as rows; there may be no floats, so that sizes are said."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), results)


def _joined(cls: Any, left: Any, right: Any) -> Operation:
    """`left` and `right` side by side; nested ones of the same class are one."""
    parts: list[Operation] = []
    for side in (as_operation(left), as_operation(right)):
        parts.extend(cast(Any, side).operations if type(side) is cls else [side])
    return cls(parts)


def _apart(cls: Any, left: Any, right: Any) -> Operation:
    return cls(as_operation(left), as_operation(right))


def _sliced(operation: Operation, rows: int | slice) -> Operation:
    if not isinstance(rows, slice):
        row = _whole(rows, 'one of its results')
        return Slice(operation, row, row + 1 if row != -1 else None)
    start, stop, step = (None if i is None else _whole(i, 'a slice') for i in (rows.start, rows.stop, rows.step))
    if step == 0:
        raise ControllerError('A slice of an operation takes a step other than 0.')
    return Slice(operation, start, stop, 1 if step is None else step)


def _whole(value: Any, what: str) -> int:
    """Whatever Python takes for an index, as an int."""
    try:
        return operator.index(value)
    except TypeError as error:
        raise ControllerError(
            f'An operation is indexed by ints, as a list is, for {what}; got {type(value).__name__} {show(value)}.'
        ) from error


def _repeated(operation: Operation, times: int) -> Operation:
    return Repeat(operation, _times(times, 'repeated at least once'))


def _power(operation: Operation, times: int) -> Operation:
    times = _times(times, 'raised to a power of at least 1')
    return operation if times == 1 else Pipeline([operation] * times)


def _times(value: Any, what: str) -> int:
    if not is_whole(value) or value < 1:
        raise ControllerError(f'An operation is {what}, by an int, not by {show(value)}.')
    return int(value)


# Operators belong to the class that everybody subclasses, and what they make is written in terms of that class.
Operation.__rshift__ = lambda self, other: _joined(Pipeline, self, other)  # type: ignore[method-assign]
Operation.__rrshift__ = lambda self, other: _joined(Pipeline, other, self)  # type: ignore[method-assign]
Operation.__add__ = lambda self, other: _joined(Concatenation, self, other)  # type: ignore[method-assign]
Operation.__radd__ = lambda self, other: _joined(Concatenation, other, self)  # type: ignore[method-assign]
Operation.__or__ = lambda self, other: _joined(Union, self, other)  # type: ignore[method-assign]
Operation.__ror__ = lambda self, other: _joined(Union, other, self)  # type: ignore[method-assign]
Operation.__and__ = lambda self, other: _joined(Intersection, self, other)  # type: ignore[method-assign]
Operation.__rand__ = lambda self, other: _joined(Intersection, other, self)  # type: ignore[method-assign]
Operation.__sub__ = lambda self, other: _apart(Difference, self, other)  # type: ignore[method-assign]
Operation.__rsub__ = lambda self, other: _apart(Difference, other, self)  # type: ignore[method-assign]
Operation.__xor__ = lambda self, other: _apart(SymmetricDifference, self, other)  # type: ignore[method-assign]
Operation.__rxor__ = lambda self, other: _apart(SymmetricDifference, other, self)  # type: ignore[method-assign]
Operation.__mul__ = _repeated  # type: ignore[method-assign]
Operation.__rmul__ = _repeated  # type: ignore[method-assign]
Operation.__pow__ = _power  # type: ignore[method-assign]
Operation.__invert__ = lambda self: Difference(Identity(), self)  # type: ignore[method-assign]
Operation.__neg__ = lambda self: Difference(Identity(), self)  # type: ignore[method-assign]
Operation.__getitem__ = _sliced  # type: ignore[method-assign]
