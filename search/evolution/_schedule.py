"""Numbers that change with the step: plain ones, expressions of `STEP`, and any function of it such as Optax's.

All of them are pure functions of the step, so that asking out of order, again or in a resumed search gives the same
numbers; random ones draw from a key of their own, folded with the step.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from pgjax.space._threefry import IMPL, uniform
from pgjax.symbolic import Object

Number = Any  # float | int | Schedule | Callable[[step], number]; what `value_at` reads

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    '+': jnp.add,
    '-': jnp.subtract,
    '*': jnp.multiply,
    '/': jnp.divide,
    '//': jnp.floor_divide,
    '%': jnp.mod,
    '**': jnp.power,
    'min': jnp.minimum,
    'max': jnp.maximum,
}
_UNARY: dict[str, Callable[[Any], Any]] = {
    'neg': jnp.negative,
    'abs': jnp.abs,
    'floor': jnp.floor,
    'ceil': jnp.ceil,
    'sqrt': jnp.sqrt,
    'exp': jnp.exp,
    'log': jnp.log,
    'cos': jnp.cos,
    'sin': jnp.sin,
}


def value_at(number: Number, step: Any) -> Any:
    """What a number is at a step; plain numbers are themselves. Jittable."""
    return number(step) if callable(number) else number


class Schedule(Object):
    """A number that depends on the step: called with int32[], it gives a number. Arithmetic makes expressions.

    >>> 0.5 / (1 + STEP)
    Binary(op='/', left=0.5, right=Binary(op='+', left=1, right=Step()))
    >>> float((0.5 / (1 + STEP))(4))
    0.10000000149011612
    """

    @abc.abstractmethod
    def __call__(self, step: Any) -> Any:
        """The value at a step."""

    def __add__(self, other: Number) -> Schedule:
        return Binary('+', self, other)

    def __radd__(self, other: Number) -> Schedule:
        return Binary('+', other, self)

    def __sub__(self, other: Number) -> Schedule:
        return Binary('-', self, other)

    def __rsub__(self, other: Number) -> Schedule:
        return Binary('-', other, self)

    def __mul__(self, other: Number) -> Schedule:
        return Binary('*', self, other)

    def __rmul__(self, other: Number) -> Schedule:
        return Binary('*', other, self)

    def __truediv__(self, other: Number) -> Schedule:
        return Binary('/', self, other)

    def __rtruediv__(self, other: Number) -> Schedule:
        return Binary('/', other, self)

    def __floordiv__(self, other: Number) -> Schedule:
        return Binary('//', self, other)

    def __rfloordiv__(self, other: Number) -> Schedule:
        return Binary('//', other, self)

    def __mod__(self, other: Number) -> Schedule:
        return Binary('%', self, other)

    def __rmod__(self, other: Number) -> Schedule:
        return Binary('%', other, self)

    def __pow__(self, other: Number) -> Schedule:
        return Binary('**', self, other)

    def __rpow__(self, other: Number) -> Schedule:
        return Binary('**', other, self)

    def __neg__(self) -> Schedule:
        return Unary('neg', self)

    def __abs__(self) -> Schedule:
        return Unary('abs', self)

    def __floor__(self) -> Schedule:
        return Unary('floor', self)

    def __ceil__(self) -> Schedule:
        return Unary('ceil', self)

    def clip(self, low: Number, high: Number) -> Schedule:
        """The value, held between two others."""
        return Binary('min', Binary('max', self, low), high)


class Step(Schedule, type_name='pgjax.search.evolution.Step'):
    """The step itself."""

    def __call__(self, step: Any) -> Any:
        """The step."""
        return step


STEP = Step()


class Binary(Schedule, type_name='pgjax.search.evolution.Binary'):
    """Two numbers and what is done with them."""

    op: Literal['+', '-', '*', '/', '//', '%', '**', 'min', 'max']
    left: Any
    right: Any

    def __call__(self, step: Any) -> Any:
        """The value at a step."""
        return _BINARY[self.op](value_at(self.left, step), value_at(self.right, step))


class Unary(Schedule, type_name='pgjax.search.evolution.Unary'):
    """A function of one number."""

    op: Literal['neg', 'abs', 'floor', 'ceil', 'sqrt', 'exp', 'log', 'cos', 'sin']
    number: Any

    def __call__(self, step: Any) -> Any:
        """The value at a step."""
        return _UNARY[self.op](value_at(self.number, step))


class Optax(Schedule, type_name='pgjax.search.evolution.Optax'):
    """A schedule of Optax with its arguments, so that it prints, compares and is stored; bare ones serve too.

    >>> import optax
    >>> decay = Optax(optax.linear_schedule, {'init_value': 1.0, 'end_value': 0.0, 'transition_steps': 10})
    >>> [float(decay(step)) for step in (0, 5, 12)]
    [1.0, 0.5, 0.0]
    """

    factory: Callable[..., Any]
    arguments: dict[str, Any]

    def __call__(self, step: Any) -> Any:
        """The value at a step."""
        return self.factory(**self.arguments)(step)


class Phases(Schedule, type_name='pgjax.search.evolution.Phases'):
    """Schedules one after another, each starting from step 0 of its own; the last one lasts.

    Attributes:
      lengths: for each phase, how many steps it takes; the last one's goes on.
      values: for each phase, a number.

    >>> warm_up = Phases(lengths=[2, 2], values=[1, STEP])
    >>> [int(warm_up(step)) for step in (0, 1, 2, 3, 9, 0)]
    [1, 1, 0, 1, 7, 1]
    """

    lengths: list[int]
    values: list[Any]

    def __call__(self, step: Any) -> Any:
        """The value at a step."""
        starts = [sum(self.lengths[:i]) for i in range(len(self.lengths))]
        result = value_at(self.values[0], step)
        for start, value in zip(starts[1:], self.values[1:], strict=True):
            result = jnp.where(step >= start, value_at(value, jnp.maximum(step - start, 0)), result)
        return result


class Noise(Schedule, type_name='pgjax.search.evolution.Noise'):
    """A random number for each step: uniform on [a, b), or normal or log-normal of mean a and deviation b.

    >>> noise = Noise('uniform', 0.0, 1.0)
    >>> bool(noise(3) == noise(3)), bool(noise(3) == noise(4))
    (True, False)
    """

    kind: Literal['uniform', 'normal', 'log-normal']
    a: float
    b: float
    seed: int = 0

    def __call__(self, step: Any) -> Any:
        """The value at a step."""
        key = jax.random.fold_in(jax.random.key(self.seed, impl=IMPL), step)
        if self.kind == 'uniform':
            return self.a + (self.b - self.a) * uniform(key, ())
        normal = self.a + self.b * jax.random.normal(key, dtype=jnp.float32)
        return jnp.exp(normal) if self.kind == 'log-normal' else normal


def sqrt(number: Number) -> Schedule:
    """The square root of a schedule."""
    return Unary('sqrt', number)


def exp(number: Number) -> Schedule:
    """The exponential of a schedule."""
    return Unary('exp', number)


def log(number: Number) -> Schedule:
    """The natural logarithm of a schedule."""
    return Unary('log', number)


def cos(number: Number) -> Schedule:
    """The cosine of a schedule."""
    return Unary('cos', number)


def sin(number: Number) -> Schedule:
    """The sine of a schedule."""
    return Unary('sin', number)
