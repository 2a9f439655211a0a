"""Holes: the values that make an experiment a search space. Each stands where a value stood.

Arithmetic on a hole gives a hole of the results, and keeps the decision: all expressions of one hole object
are decided together, as are all holes of one name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Literal, Self

from pgjax._errors import FieldTypeError, PlaceholderError, show
from pgjax.symbolic import List, Object, Placeholder, children, field
from pgjax.symbolic._object import values_of
from pgjax.symbolic._pytree import FlatForm
from pgjax.symbolic._spec import AnySpec, Location, Spec

Scale = Literal['linear', 'log', 'rlog', 'logit']

OPERATIONS: dict[str, Callable[..., Any]] = {
    'add': operator.add,
    'sub': operator.sub,
    'mul': operator.mul,
    'truediv': operator.truediv,
    'floordiv': operator.floordiv,
    'mod': operator.mod,
    'pow': operator.pow,
    'neg': operator.neg,
    'abs': operator.abs,
    'round': round,
}


class Hole(Placeholder, Object):
    """A decision that is still open. It is structure: JAX sees no leaf in it.

    Attributes:
      name: holes of one name and one specification are one, tied decision.
      hints: anything; `pg.search_space(x, where=...)` may select by it.
    """

    name: str | None = None
    hints: Any = None

    _pg_flat = FlatForm(lambda node: ((), tuple(values_of(node).values())))
    __array_ufunc__ = None  # NumPy scalars leave `np.float32(2) * hole` to the hole

    def _map(self, fn: Callable[[Any], Any]) -> Any:
        """The hole of `fn`'s results. `fn` is called when a point is decoded."""
        return Expression(fn=fn, args=[self])

    def _operate(self, name: str, *args: Any) -> Any:
        if any(isinstance(arg, Hole) for arg in args if arg is not self) or isinstance(self, ManyOf):
            return Expression(fn=name, args=list(args))
        return self._operate_alone(name, args)

    def _operate_alone(self, name: str, args: tuple[Any, ...]) -> Any:
        return Expression(fn=name, args=list(args))

    def __bool__(self) -> bool:
        """An open decision is neither true nor false: code that asked would always take the same branch."""
        raise PlaceholderError(
            f'{show(self)} is neither true nor false before it is decided. Decide it first (materialize, rebind, or a '
            'search), compare by `is`, or let pg.derive compute what depends on it.'
        )

    def __add__(self, other: Any) -> Any:
        return self._operate('add', self, other)

    def __radd__(self, other: Any) -> Any:
        return self._operate('add', other, self)

    def __sub__(self, other: Any) -> Any:
        return self._operate('sub', self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._operate('sub', other, self)

    def __mul__(self, other: Any) -> Any:
        return self._operate('mul', self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._operate('mul', other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._operate('truediv', self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._operate('truediv', other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self._operate('floordiv', self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._operate('floordiv', other, self)

    def __mod__(self, other: Any) -> Any:
        return self._operate('mod', self, other)

    def __rmod__(self, other: Any) -> Any:
        return self._operate('mod', other, self)

    def __pow__(self, other: Any) -> Any:
        return self._operate('pow', self, other)

    def __rpow__(self, other: Any) -> Any:
        return self._operate('pow', other, self)

    def __neg__(self) -> Any:
        return self._operate('neg', self)

    def __abs__(self) -> Any:
        return self._operate('abs', self)

    def __round__(self, digits: int | None = None) -> Any:
        return self._operate('round', self) if digits is None else self._operate('round', self, digits)

    def _format_call(self) -> tuple[str, list[tuple[str | None, Any]]]:
        """How the hole prints: as the call that builds it, without what it need not say."""
        shown: list[tuple[str | None, Any]] = [(None, value) for value in self._positional()]
        fields = type(self).__pg_fields__
        for key in (*self._keywords(), 'name', 'hints'):
            value = getattr(self, key)
            if value != fields[key].info.default:
                shown.append((key, value))
        return type(self).__name__.lower(), shown

    def _positional(self) -> tuple[Any, ...]:
        return ()

    def _keywords(self) -> tuple[str, ...]:
        return ()


class OneOf(Hole):
    """One of several candidates, which may hold more holes.

    Attributes:
      candidates: what may stand there.
      origin: for results of arithmetic, the hole whose decision this is.
    """

    candidates: list[Any] = field(default=())
    origin: Any = None

    def _conform(self, spec: Spec, where: Location) -> Any:
        if isinstance(spec, AnySpec):
            return self
        inside = ('candidates', where)
        checked = [spec.check(c, (i, inside)) for i, c in enumerate(self.candidates)]
        if all(map(operator.is_, checked, self.candidates)):
            return self
        return self._with(checked)

    def _with(self, candidates: list[Any]) -> Self:
        return type(self)(self.name, self.hints, candidates, self.origin)

    def _map(self, fn: Callable[[Any], Any]) -> Any:
        if any(children(c) and not isinstance(c, Hole) for c in self.candidates):
            return super()._map(fn)  # holes may be inside: they are decided first
        return self._mapped([c._map(fn) if isinstance(c, Hole) else fn(c) for c in self.candidates])

    def _mapped(self, results: list[Any]) -> Any:
        return OneOf(self.name, self.hints, results, self if self.origin is None else self.origin)

    def _operate_alone(self, name: str, args: tuple[Any, ...]) -> Any:
        fn = OPERATIONS[name]
        return self._mapped([fn(*(c if arg is self else arg for arg in args)) for c in self.candidates])

    def _positional(self) -> tuple[Any, ...]:
        return (self.candidates,)


class ManyOf(Hole):
    """`k` of several candidates: a list, or a tuple where the field is one."""

    k: int = 0
    candidates: list[Any] = field(default=())
    distinct: bool = True
    sorted: bool = False
    as_tuple: bool = False

    def _conform(self, spec: Spec, where: Location) -> Any:
        if isinstance(spec, AnySpec):
            return self
        inside = ('candidates', where)
        checked: list[Any] = []
        as_tuple = self.as_tuple
        for index, candidate in enumerate(self.candidates):
            made = spec.check(List._of([candidate] * self.k), (index, inside))
            as_tuple = type(made) is tuple
            checked.append(made[0])
        if as_tuple is self.as_tuple and all(map(operator.is_, checked, self.candidates)):
            return self
        return ManyOf(self.name, self.hints, self.k, checked, self.distinct, self.sorted, as_tuple)

    def _positional(self) -> tuple[Any, ...]:
        return (self.k, self.candidates)

    def _keywords(self) -> tuple[str, ...]:
        return ('distinct', 'sorted')


class FloatV(Hole):
    """A float in [low, high]; genes are its position in the unit interval of `scale`, or steps from `low`."""

    low: float = 0.0
    high: float = 1.0
    scale: Scale = 'linear'
    step: float | None = None

    def _conform(self, spec: Spec, where: Location) -> Any:
        for key in ('low', 'high'):
            bound = getattr(self, key)
            if not isinstance(spec.check(bound, (key, where)), float):
                raise FieldTypeError(f'{key} of floatv does not stay a float in a field declared {spec}.')
        return self

    def _positional(self) -> tuple[Any, ...]:
        return (self.low, self.high)

    def _keywords(self) -> tuple[str, ...]:
        return ('scale', 'step')


class IntV(Hole):
    """An int in [low, high], both included, in steps; `scale` says how random values spread."""

    low: int = 0
    high: int = 1
    scale: Scale = 'linear'
    step: int = 1
    as_float: bool = False

    def _conform(self, spec: Spec, where: Location) -> Any:
        values = {self.low, min(self.low + self.step, self.high), self.high}
        checked = [spec.check(value, ('intv', where)) for value in sorted(values)]
        as_float = isinstance(checked[0], float)
        if as_float is self.as_float:
            return self
        return IntV(self.name, self.hints, self.low, self.high, self.scale, self.step, as_float)

    def _positional(self) -> tuple[Any, ...]:
        return (self.low, self.high)

    def _keywords(self) -> tuple[str, ...]:
        return ('scale', 'step')


class Expression(Hole):
    """What a function makes of arguments that hold holes: `2 * pg.floatv(0.0, 1.0)`. It decides nothing itself.

    Attributes:
      fn: a key of OPERATIONS, or a function.
      args: its arguments; those that are holes are tied to their other uses in expressions.
    """

    fn: Any = None
    args: list[Any] = field(default=())

    def _positional(self) -> tuple[Any, ...]:
        return (self.fn, self.args)


class Custom(Hole):
    """A decision of a user's own type, coded as the decisions of `parts` (any value with holes).

    Attributes:
      parts: what is decided in its place.
      decode: makes the value of decided parts.
      encode: makes decided parts of a value, or None.
    """

    parts: Any = None
    decode: Any = None
    encode: Any = None

    def _positional(self) -> tuple[Any, ...]:
        return (self.parts, self.decode, self.encode)


class Derived(Hole):
    """The result of a function of what stands at other paths. It decides nothing itself."""

    fn: Any = None
    paths: tuple[str, ...] = ()

    def _positional(self) -> tuple[Any, ...]:
        return (self.fn, *self.paths)

    def _format_call(self) -> tuple[str, list[tuple[str | None, Any]]]:
        return 'derive', super()._format_call()[1]
