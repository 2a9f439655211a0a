"""`pg.Object`: a frozen, typed class whose objects are immutable pytrees."""

from __future__ import annotations

import abc
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, dataclass_transform, overload

import jax

from pgjax._errors import FieldTypeError, FrozenError, MissingFieldError, UnknownFieldError, did_you_mean
from pgjax.symbolic import _pytree, _registry
from pgjax.symbolic._bind import bind
from pgjax.symbolic._compare import eq, hash_
from pgjax.symbolic._define import define, finish
from pgjax.symbolic._field import Field, FieldInfo, field
from pgjax.symbolic._format import format_, repr_node
from pgjax.symbolic._nodes import fields_of
from pgjax.symbolic._pickle import reduce_node
from pgjax.symbolic._update import updated

if TYPE_CHECKING:
    from pgjax._keypath import Path
    from pgjax.edit._at import Focus

T = TypeVar('T')


def new_like(node: Any, name: str, value: Any) -> Any:
    """A copy with one field replaced; `define` writes a quicker one for each class."""
    return new(type(node), {**values_of(node), name: value})


class ObjectMeta(abc.ABCMeta):
    """Makes a class symbolic before anybody can use it. `override=True` replaces a registered type name."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        own = {key: options.pop(key) for key in ('override', 'type_name') if key in options}
        cls = super().__new__(mcs, name, bases, namespace, **options)
        if bases:
            define(cls, sys._getframe(1), **own)
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any):
        del options
        super().__init__(name, bases, namespace)


@dataclass_transform(frozen_default=True, field_specifiers=(field, FieldInfo))
class Object(metaclass=ObjectMeta):
    """Base of symbolic classes: fields from annotations, validated construction, immutable objects.

    An object is a pytree: floats, complex numbers and arrays below it are leaves; everything else is part of
    its structure (`jax.tree.structure`). Editing returns a new object that shares what did not change.

    >>> import pgjax as pg
    >>> class Adam(pg.Object):
    ...   lr: float = 1e-3
    ...   b1: float = 0.9
    >>> adam = Adam(lr=0.01)
    >>> adam.rebind(b1=0.95)
    Adam(lr=0.01, b1=0.95)
    >>> adam
    Adam(lr=0.01, b1=0.9)
    """

    __pg_node__ = True
    __pg_parts__ = staticmethod(fields_of)
    __pg_fields__: ClassVar[Mapping[str, Field]] = {}
    __pg_type_name__: ClassVar[str] = 'pgjax.Object'
    __pg_pending__: ClassVar[Callable[[], None] | None] = None
    __match_args__: ClassVar[tuple[str, ...]] = ()
    __pg_derives__: ClassVar[bool] = False
    __pg_placeholder__: ClassVar[bool] = False
    __pg_call_signature__: Any = None  # where it is not that of `__call__`
    __pg_reserved__: ClassVar[frozenset[str]] = frozenset({'replace', 'to_json', 'at', 'raise_on_no_change'})
    __pg_fit__: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    __pg_edit__: ClassVar[tuple[Callable[..., Any], frozenset[str], bool]] = (new_like, frozenset(), True)

    def rebind(
        self,
        updates: Mapping[Any, Any] | Callable[..., Any] | None = None,
        /,  # a field may have either name
        *,
        raise_on_no_change: bool = True,
        **fields: Any,
    ) -> Self:
        """A changed copy; the object itself stays as it is (PyGlove's changes in place).

        Args:
          updates: new values by path, `{'optimizer.lr': 1e-2}`, or a rule called with `(path, value)` or
            `(path, value, parent)` for each part that returns its new value.
          raise_on_no_change: whether an update that changes nothing is an error; it catches misspelt rules.
          **fields: new values by field name; they win over `updates`.

        Returns:
          A new object of the same class; untouched parts are the same objects.

        Raises:
          PathError: a path leads nowhere, or two paths conflict.
          FieldTypeError, FieldValueError: a new value does not fit its field, or `updates` is no mapping and no rule.
          ValueError: nothing was given, or nothing changed.
        """
        return updated(self, updates, fields, raise_on_no_change)

    if TYPE_CHECKING:  # the room that edits gives the method to this class, and checkers its types

        @overload
        def at(self, selector: Callable[[Self], T]) -> Focus[Self, T]: ...
        @overload
        def at(self, selector: str | Path) -> Focus[Self, Any]: ...
        def at(self, selector: Any) -> Focus[Self, Any]: ...

    @classmethod
    def partial(cls, /, *args: Any, **fields: Any) -> Self:
        """An object in which fields may be missing; each absent required field holds `pg.MISSING`."""
        finish(cls)
        names = list(cls.__pg_fields__)
        if len(args) > len(names):
            refuse_arguments(cls, args[len(names) :], {})
        if twice := [name for name in names[: len(args)] if name in fields]:
            raise FieldTypeError(f'{cls.__name__}.partial: {twice[0]!r} is given twice, by position and by name.')
        values = {**dict(zip(names, args, strict=False)), **fields}
        for name in values.keys() - set(names):
            refuse_arguments(cls, (), {name: values[name]})
        return make(cls, {name: values.get(name, cls.__pg_fields__[name].default) for name in names}, cls.__name__)

    def _on_bound(self) -> None:
        """Called once per new object whose parts are all known; may set private (underscore) attributes.

        It must be a pure function of the fields: after JAX rebuilds an object it runs again, at first use.
        """

    def __setattr__(self, name: str, value: Any) -> None:
        state: dict[str, Any] = vars(self)
        if name.startswith('_') and '_pg_binding' in state:
            state[name] = value
            return
        raise FrozenError(
            f'{type(self).__name__} is immutable: cannot assign {name!r}. '
            f'Use the copy that x.rebind({name}=...) returns.'
        )

    def __delattr__(self, name: str) -> None:
        raise FrozenError(
            f'{type(self).__name__} is immutable: cannot delete {name!r}. '
            f'x.rebind({name}=pg.MISSING) returns a copy with the default.'
        )

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return eq(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        known = self.__dict__.get('_pg_hash')
        if known is not None:
            return known
        return hash_(self)

    __repr__ = repr_node

    def __str__(self) -> str:
        return format_(self, width=100)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        del memo  # nothing below an immutable object needs a copy
        return self

    def __replace__(self, /, **fields: Any) -> Self:
        return updated(self, fields, {}, False)

    __reduce__ = reduce_node

    def _pg_reduced(self) -> Any:
        return (restore, (type(self), _registry.to_portable(values_of(self))))


# Gives an object its attributes in one go: the fields first and in order, on which `_nodes` relies. Python reads
# attributes of a dict set in this way nearly as fast as those of a plain class, and twice as fast as those of a
# `__dict__` that was filled key by key.
set_state: Callable[[Any, dict[str, Any]], None] = Object.__dict__['__dict__'].__set__


def new(cls: type, values: Mapping[str, Any]) -> Any:
    """An object of values that are known to be valid, one for each field, in order."""
    made = object.__new__(cls)
    set_state(made, dict(values))
    return made


def restore(cls: type, values: dict[str, Any]) -> Any:
    """An object out of a pickle, which may be older than the order of the fields, or than some of them."""
    fields: Mapping[str, Field] = cls.__pg_fields__  # type: ignore[attr-defined]
    known = _registry.from_portable(values)
    known.update({name: field.default for name, field in fields.items() if name not in known})
    return new(cls, {name: known[name] for name in fields})


def make(cls: type, values: Mapping[str, Any], label: Any) -> Any:
    """An object of values to be validated, MISSING among them; `label` is how messages name it."""
    where = (label, None)
    checked = {n: f.spec.check(values[n], (n, where)) for n, f in cls.__pg_fields__.items()}  # type: ignore[attr-defined]
    made = new(cls, checked)
    bind(made)
    return made


def values_of(node: Object) -> dict[str, Any]:
    """The fields of an object, by name and in order."""
    state = node.__dict__
    return {name: state[name] for name in type(node).__pg_fields__}


def refuse_arguments(cls: type, extra: tuple[Any, ...], unknown: Mapping[str, Any]) -> None:
    """Raises for arguments that a constructor does not know."""
    names = list(cls.__pg_fields__)  # type: ignore[attr-defined]
    if extra:
        raise FieldTypeError(
            f'{cls.__name__} takes at most {len(names)} positional arguments ({", ".join(names) or "none"}), '
            f'got {len(names) + len(extra)}.'
        )
    name = next(iter(unknown))
    raise UnknownFieldError(
        f'{cls.__name__} has no field {name!r}; its fields are {", ".join(names) or "none"}.'
        + did_you_mean(name, names)
    )


def refuse_missing(cls: type, missing: Iterable[str]) -> None:
    """Raises for required fields without a value, naming all of them."""
    names = ', '.join(missing)
    raise MissingFieldError(
        f'{cls.__name__}() is missing required fields: {names}. '
        f'Give them, or make a partial object with {cls.__name__}.partial(...).'
    )


def flat_object(node: Object) -> _pytree.Flat:
    """Children and aux of an object, by the kinds of its fields."""
    cls = type(node)
    return _pytree.flat_sequence(map(node.__dict__.__getitem__, cls.__pg_fields__), cls.__pg_kinds__)  # type: ignore[attr-defined]


def register_pytree(cls: type) -> None:
    """Makes objects of a symbolic class pytree nodes with key paths; unflattening runs no user code."""

    def with_keys(node: Any) -> Any:
        children, aux = node._pg_flat
        return _pytree.keyed(cls.__pg_fields__, children, aux, jax.tree_util.GetAttrKey), aux  # type: ignore[attr-defined]

    def unflatten(aux: Any, children: Iterable[Any]) -> Any:
        children = tuple(children)
        state = dict(zip(cls.__pg_fields__, _pytree.fill(aux, children), strict=True))  # type: ignore[attr-defined]
        state['_pg_flat'] = (children, aux)
        made = object.__new__(cls)
        set_state(made, state)
        return made

    jax.tree_util.register_pytree_with_keys(cls, with_keys, unflatten, operator.attrgetter('_pg_flat'))


Object._pg_flat = _pytree.FlatForm(flat_object)  # type: ignore[attr-defined]
