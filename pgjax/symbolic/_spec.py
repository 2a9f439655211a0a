"""What a field accepts: annotations read once, when a class is made, into objects that check values.

`Spec.check` returns the value to store: an int becomes a float where a float is declared, lists and dicts
become `pg.List` and `pg.Dict`, NumPy scalars become Python's; nothing else is coerced. Arrays and tracers are
accepted where a number or an array is declared, and only their dtype is looked at.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
import types
from typing import Any, TypeGuard

import jax
import numpy as np

from pgjax._errors import FieldTypeError, FieldValueError, show
from pgjax._keypath import Path
from pgjax.symbolic._placeholder import Placeholder

# Where a value stands, for messages only: (key, location of the parent) up to (class name, None).
# A chain of pairs costs nothing to extend; it is spelled out only when something is wrong.
Location = tuple[Any, Any]

# Immutable values of exactly these classes have no parts and compare by ==.
ATOMS = frozenset({int, float, str, bool, type(None), bytes, complex})


class Kind(enum.Enum):
    """How the values of a field reach JAX."""

    CHILD = 'child'  # always a pytree child: leaves or nodes
    STATIC = 'static'  # always part of the treedef
    BY_VALUE = 'by value'  # decided value by value


def format_location(where: Location) -> str:
    """The printed path of a location: 'Adam.lr', 'model.layers[2].units'."""
    keys: list[Any] = []
    node: Location | None = where
    while node is not None:
        key, node = node
        keys.append(key)
    head: list[Any] = []
    for key in reversed(keys):
        head.extend(key if isinstance(key, Path) else (key,))
    return str(Path(head))


def is_array(value: Any) -> TypeGuard[Any]:
    """Whether JAX would take `value` as an array: NumPy's, its own, a tracer, or the shape of one."""
    return isinstance(value, (np.ndarray, jax.Array, jax.ShapeDtypeStruct))


def is_traced(value: Any) -> bool:
    """Whether `value` is an array whose content is not known yet: a JAX transformation is running."""
    return isinstance(value, jax.Array) and 'Tracer' in type(value).__name__


def describe(value: Any) -> str:
    """What came, for a message: its type and its shortened value."""
    if is_array(value):
        traced = 'a traced' if is_traced(value) else 'an'
        return f'{traced} array {value.dtype}{list(value.shape)}'
    return f'{type(value).__name__} {show(value)}'


class Spec(abc.ABC):
    """Checks the values of a field. Immutable by convention; equal and hashed by its arguments.

    Subclasses are dataclasses that generate `__init__` alone: the rest would cost a tenth of what `import pgjax` may.
    """

    kind: Kind = Kind.BY_VALUE
    shallow: bool = True  # a value still fits when a part of it is replaced by another of the same class

    def stored_as_is(self) -> frozenset[type]:
        """Classes all of whose direct instances are stored as they come; it makes lists of them quick to check."""
        return frozenset()

    @abc.abstractmethod
    def accept(self, value: Any, where: Location) -> Any:
        """The value to store. Raises FieldTypeError or FieldValueError; `value` is no placeholder."""

    @abc.abstractmethod
    def __str__(self) -> str:
        """The annotation as a reader would write it."""

    def _arguments(self) -> tuple[Any, ...]:
        return tuple(self.__dict__[name] for name in getattr(self, '__dataclass_fields__', ()))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._arguments() == self._arguments()

    def __hash__(self) -> int:
        return hash((type(self), self._arguments()))

    def check(self, value: Any, where: Location) -> Any:
        """The value to store, where `value` may be a placeholder."""
        if isinstance(value, Placeholder):
            return value._conform(self, where)
        return self.accept(value, where)

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        """An expression over the variable `name` that is true only for values to be stored as they are.

        It may use what it adds to `names`. None where there is no such cheap test.
        """
        del name, names
        return None

    def refuse(self, value: Any, where: Location, hint: str = '') -> FieldTypeError:
        """The error for a value of the wrong type."""
        text = f'{format_location(where)}: expected {self}, got {describe(value)}.'
        return FieldTypeError(text + (f' {hint}' if hint else ''))


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class AnySpec(Spec):
    """Any value; containers become symbolic ones."""

    def stored_as_is(self) -> frozenset[type]:
        return ATOMS

    def accept(self, value: Any, where: Location) -> Any:
        from pgjax.symbolic._containers import symbolic

        return symbolic(value, where)

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        names['_atoms'] = ATOMS
        return f'{name}.__class__ in _atoms'

    def __str__(self) -> str:
        return 'Any'


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class NoneSpec(Spec):
    """None."""

    kind = Kind.STATIC

    def stored_as_is(self) -> frozenset[type]:
        return frozenset({type(None)})

    def accept(self, value: Any, where: Location) -> Any:
        if value is not None:
            raise self.refuse(value, where)
        return None

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        return f'{name} is None'

    def __str__(self) -> str:
        return 'None'


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class BoolSpec(Spec):
    """A bool; NumPy's becomes Python's."""

    traced: bool = False

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return Kind.CHILD if self.traced else Kind.STATIC

    def stored_as_is(self) -> frozenset[type]:
        return frozenset({bool})

    def accept(self, value: Any, where: Location) -> Any:
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        if is_array(value) and value.dtype == np.bool_:
            if self.traced:
                return value
            raise self.refuse(value, where, 'Declare the field with pg.field(traced=True) to make it a leaf.')
        raise self.refuse(value, where)

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        return f'{name}.__class__ is _bool'

    def __str__(self) -> str:
        return 'bool'


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class IntSpec(Spec):
    """An int, no bool; an integer array is a leaf."""

    traced: bool = False

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return Kind.CHILD if self.traced else Kind.BY_VALUE

    def stored_as_is(self) -> frozenset[type]:
        return frozenset({int})

    def accept(self, value: Any, where: Location) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, np.integer):
            return int(value)
        if is_array(value) and np.issubdtype(value.dtype, np.integer):
            return value
        raise self.refuse(value, where)

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        return f'{name}.__class__ is _int'

    def __str__(self) -> str:
        return 'int'


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class FloatSpec(Spec):
    """A float; an int becomes one; a real array is a leaf."""

    kind = Kind.CHILD

    def stored_as_is(self) -> frozenset[type]:
        return frozenset({float})

    def accept(self, value: Any, where: Location) -> Any:
        if isinstance(value, float):  # np.float64 is one
            return float(value)
        if isinstance(value, (int, np.integer, np.floating)) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                raise FieldValueError(
                    f'{format_location(where)}: {show(value)} is outside the float range (about +-1.8e308).'
                ) from None
        if is_array(value) and jax.numpy.issubdtype(value.dtype, np.number) and not _is_complex(value):
            return value
        raise self.refuse(value, where)

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        return f'{name}.__class__ is _float'

    def __str__(self) -> str:
        return 'float'


def _is_complex(value: Any) -> bool:
    return jax.numpy.issubdtype(value.dtype, np.complexfloating)


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class ComplexSpec(Spec):
    """A complex number; ints and floats become one; a numeric array is a leaf."""

    kind = Kind.CHILD

    def accept(self, value: Any, where: Location) -> Any:
        if isinstance(value, (int, float, complex, np.number)) and not isinstance(value, bool):
            return complex(value)
        if is_array(value) and jax.numpy.issubdtype(value.dtype, np.number):
            return value
        raise self.refuse(value, where)

    def __str__(self) -> str:
        return 'complex'


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class ArraySpec(Spec):
    """An array: `jax.Array`, `np.ndarray`, or one of jaxtyping's annotations, which checks shape and dtype."""

    annotation: Any
    name: str
    kind = Kind.CHILD

    def accept(self, value: Any, where: Location) -> Any:
        if isinstance(value, jax.ShapeDtypeStruct):
            return value
        typed = self.annotation if not isinstance(self.annotation, type) or self.name != 'Array' else None
        if is_array(value) and (typed is None or isinstance(value, typed)):
            return value
        raise self.refuse(value, where)

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class ClassSpec(Spec):
    """An instance of a class."""

    cls: type
    kind: Kind = Kind.BY_VALUE  # type: ignore[misc]

    def stored_as_is(self) -> frozenset[type]:
        return frozenset({self.cls})

    def accept(self, value: Any, where: Location) -> Any:
        if isinstance(value, self.cls):
            return value
        raise self.refuse(value, where)

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        label = f'_class_{len(names)}'
        names[label] = self.cls
        exact = f'{name}.__class__ is {label}'
        if self.kind is not Kind.CHILD:
            return exact
        # Quicker than isinstance of a class with a metaclass, and a placeholder must be asked to conform.
        return f'{exact} or ({label} in {name}.__class__.__mro__ and not {name}.__class__.__pg_placeholder__)'

    def __str__(self) -> str:
        return self.cls.__qualname__.rpartition('<locals>.')[2]


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class LiteralSpec(Spec):
    """One of a few values, of the same type as written."""

    values: tuple[Any, ...]
    kind = Kind.STATIC

    def accept(self, value: Any, where: Location) -> Any:
        for allowed in self.values:
            if type(allowed) is type(value) and allowed == value:
                return allowed
        near = f' The choices are {list(self.values)}.'
        raise FieldValueError(f'{format_location(where)}: expected {self}, got {describe(value)}.{near}')

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        if any(type(value) is not str for value in self.values):
            return None
        label = f'_choices_{len(names)}'
        names[label], names['_str'] = frozenset(self.values), str
        return f'{name}.__class__ is _str and {name} in {label}'

    def __str__(self) -> str:
        return f'Literal{list(self.values)}'


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class TypeSpec(Spec):
    """A class, derived from `base`."""

    base: type
    kind = Kind.STATIC

    def accept(self, value: Any, where: Location) -> Any:
        if isinstance(value, type) and issubclass(value, self.base):
            return value
        raise self.refuse(value, where)

    def __str__(self) -> str:
        return f'type[{self.base.__name__}]'


@dataclasses.dataclass(eq=False, repr=False, match_args=False)
class CallableSpec(Spec):
    """Something that can be called."""

    def accept(self, value: Any, where: Location) -> Any:
        if callable(value):
            return value
        raise self.refuse(value, where)

    def fast(self, name: str, names: dict[str, Any]) -> str | None:
        names['_function'] = types.FunctionType
        return f'{name}.__class__ is _function'

    def __str__(self) -> str:
        return 'Callable'
