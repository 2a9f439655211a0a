"""Regular classes made symbolic: their constructor arguments become fields, what `__init__` sets is derived state."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from pgjax._errors import ClassDefinitionError, FrozenError, PlaceholderError
from pgjax.symbolic._bind import open_paths, run
from pgjax.symbolic._callables import Signature, make_class, read_signature
from pgjax.symbolic._field import FieldInfo
from pgjax.symbolic._functor import functor
from pgjax.symbolic._object import Object, values_of

T = TypeVar('T')
_SHADOW = '_pg_attribute_'  # where an attribute that has a field's name, but another value, is kept


def symbolize(target: T, *, name: str | None = None) -> T:
    """Makes a class or function symbolic in one line.

    A class becomes a subclass of it and of `Object` whose fields are the parameters of its `__init__`. `__init__`
    runs when all of them are known, and again for the objects that JAX builds, at first use; what it sets is
    derived state, not part of equality or of the pytree, and frozen like the rest. A function becomes a functor.

    Args:
      target: a class with a Python `__init__` (or a dataclass), or a function.
      name: the stored name, where it is not `module.qualname`.

    Raises:
      ClassDefinitionError: the class's constructor has no readable signature, or a parameter has a reserved name.

    >>> import pgjax as pg
    >>> @pg.symbolize
    ... class Hello:
    ...   def __init__(self, subject):
    ...     self._greeting = f'Hello, {subject}!'
    ...   def greet(self):
    ...     print(self._greeting)
    >>> hello = Hello('World')
    >>> hello.greet()
    Hello, World!
    >>> hello.rebind(subject='JAX').greet()
    Hello, JAX!
    >>> hello
    Hello(subject='World')
    """
    if not isinstance(target, type):
        if not callable(target):
            raise ClassDefinitionError(f'symbolize takes a class or a function, not {type(target).__name__}.')
        return functor(target, name=name)  # type: ignore[return-value]
    if issubclass(target, Object):
        return target  # type: ignore[return-value]
    if target.__init__ is object.__init__:
        signature = Signature({}, {})
    else:
        signature = read_signature(target.__init__, skip_first=True, factories=_factories(target))
    attributes: dict[str, Any] = {
        '__pg_plain__': target,
        '_on_bound': _initialise,
        **({'_format_call': _format_call} if signature.is_open_ended else {}),
        '__getattr__': _derived,
        '__setattr__': _assign,
    }
    try:
        cls = make_class(target.__name__, (Object, target), signature, target, attributes, type_name=name)
    except ClassDefinitionError:
        raise
    except TypeError as error:  # conflicting metaclasses or layouts
        raise ClassDefinitionError(
            f'{target.__name__} cannot become symbolic itself ({error}); wrap it instead: pg.wrap({target.__name__}).'
        ) from None
    for field in signature.annotations:
        setattr(cls, field, _Attribute(field))
    return cls


class _Attribute:
    """A field of a symbolized class, read as an attribute: what `__init__` made of it, else the field's value.

    Edits, comparison, printing and JAX see the field; `self.x` in the class's own methods sees what
    `self.x = ...` in its `__init__` stored.
    """

    def __init__(self, name: str):
        self._name = name

    def __get__(self, node: Any, owner: type) -> Any:
        if node is None:
            return self
        state = node.__dict__
        if '_pg_bound' not in state and '_pg_binding' not in state and not open_paths(node, 1):
            run(node)
        return state.get(_SHADOW + self._name, state[self._name])

    def __set__(self, node: Any, value: Any) -> None:
        _assign(node, self._name, value)


def _factories(target: type) -> dict[str, FieldInfo]:
    """The default factories of a dataclass, which its `__init__` shows as '<factory>'."""
    if not dataclasses.is_dataclass(target):
        return {}
    made = {field.name: field.default_factory for field in dataclasses.fields(target)}
    return {n: FieldInfo(default_factory=make) for n, make in made.items() if make is not dataclasses.MISSING}


def _initialise(self: Any) -> None:
    """Runs the class's own `__init__` on its parameters; what a subclass declares besides is a field and no more."""
    cls = type(self)
    values = values_of(self)
    args, kwargs = cls.__pg_signature__.arguments({name: values[name] for name in cls.__pg_signature__.annotations})
    if cls.__pg_plain__.__init__ is not object.__init__:
        cls.__pg_plain__.__init__(self, *args, **kwargs)


def _format_call(self: Any) -> tuple[str, list[tuple[str | None, Any]]]:
    return type(self).__name__, type(self).__pg_signature__.parts(values_of(self))


def _assign(self: Any, name: str, value: Any) -> None:
    state = self.__dict__
    if '_pg_binding' not in state:
        raise FrozenError(
            f'{type(self).__name__} is symbolic and so immutable: outside __init__ nothing can assign {name!r}. '
            f'Use the copy that x.rebind(...) returns.'
        )
    if name not in type(self).__pg_fields__:
        state[name] = value
    elif state[name] is not value:
        state[_SHADOW + name] = value


def _derived(self: Any, name: str) -> Any:
    """An attribute that is not there yet: runs `__init__` and reads it."""
    state = self.__dict__
    if name.startswith(('__', '_pg_')) or '_pg_bound' in state or '_pg_binding' in state:
        own = getattr(type(self).__pg_plain__, '__getattr__', None)
        if own is not None and not name.startswith(('__', '_pg_')):
            return own(self, name)
        raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}', name=name, obj=self)
    still_open = open_paths(self)
    if still_open:
        raise PlaceholderError(
            f'{type(self).__name__}.{name} is set by __init__, which has not run: still open are '
            f'{", ".join(still_open)}. Decide them (materialize, rebind or resolve) before the state is used.'
        )
    run(self)
    return getattr(self, name)
