"""Other libraries' constructors as symbolic values: written down, edited and searched here, built on demand."""

from __future__ import annotations

import inspect
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from pgjax._errors import ClassDefinitionError, PlaceholderError
from pgjax.symbolic import _registry
from pgjax.symbolic._bind import open_paths
from pgjax.symbolic._callables import Signature, make_class, read_signature
from pgjax.symbolic._compare import eq
from pgjax.symbolic._nodes import is_list
from pgjax.symbolic._object import Object, new, values_of

_LOCK = threading.RLock()
_WRAPPED: dict[Any, Any] = {}


class Wrapped(Object):
    """The base of what `pg.wrap` makes: the arguments of a constructor that has not been called.

    Its objects are instances of the symbolic class, not of the library's: a lens or a patch on a type names the
    class that `pg.wrap` returned, the same one each time.

    >>> import fractions
    >>> import pgjax as pg
    >>> half = pg.wrap(fractions.Fraction)(1, 2)
    >>> isinstance(half, pg.Wrapped), isinstance(half, fractions.Fraction), half.build()
    (True, False, Fraction(1, 2))
    """

    __pg_target__: ClassVar[Callable[..., Any]]
    __pg_signature__: ClassVar[Signature]

    def build(self) -> Any:
        """The library's own object. Wrapped objects among the arguments are built first, a shared one only once.

        Raises:
          PlaceholderError: an argument is still open.
        """
        return build(self)

    def _format_call(self) -> tuple[str, list[tuple[str | None, Any]]]:
        """How the object prints: without the library's defaults."""
        cls, values = type(self), values_of(self)
        if cls.__pg_signature__.is_open_ended:
            return cls.__name__, cls.__pg_signature__.parts(values)
        fields = cls.__pg_fields__
        return cls.__name__, [(n, v) for n, v in values.items() if fields[n].required or not eq(fields[n].default, v)]

    def _pg_reduced(self) -> Any:
        fields = type(self).__pg_fields__  # defaults stay behind: many are closures, which nothing can pickle
        values = {name: value for name, value in values_of(self).items() if value is not fields[name].info.default}
        return (_restore, (type(self).__pg_target__, _registry.to_portable(values)))


def _restore(target: Any, values: dict[str, Any]) -> Any:
    cls = wrap(target)
    given = _registry.from_portable(values)
    return new(cls, {name: given.get(name, field.info.default) for name, field in cls.__pg_fields__.items()})


def build(value: Any) -> Any:
    """`value` with every wrapped object in it built, and symbolic lists and dicts made plain ones.

    Lists, dicts and tuples are entered, other objects are not. A wrapped object that stands in several places is built
    once.

    Raises:
      PlaceholderError: an argument of a wrapped object is still open.

    >>> import fractions
    >>> import pgjax as pg
    >>> half = pg.wrap(fractions.Fraction)(1, 2)
    >>> pg.build(pg.Dict(x=half, rest=[half, 3]))
    {'x': Fraction(1, 2), 'rest': [Fraction(1, 2), 3]}
    """
    return _build(value, {})


def _build(value: Any, built: dict[int, Any], closed: bool = False) -> Any:
    """Builds; `closed` says that it is known that nothing in the value is open."""
    if id(value) in built:
        return built[id(value)]
    made = value
    if isinstance(value, Wrapped):
        if not closed and (paths := open_paths(value)):
            raise PlaceholderError(
                f'{type(value).__name__} cannot be built while parts are open: {", ".join(paths)}. '
                'Decide them (materialize, rebind or resolve) first.'
            )
        values = {name: _build(part, built, True) for name, part in values_of(value).items()}
        args, kwargs = type(value).__pg_signature__.arguments(values)
        made = type(value).__pg_target__(*args, **kwargs)
    elif is_list(value):
        made = [_build(item, built, closed) for item in value]
    elif isinstance(value, dict):
        made = {key: _build(item, built, closed) for key, item in value.items()}
    elif isinstance(value, tuple):
        items = [_build(item, built, closed) for item in value]
        made = value._make(items) if hasattr(value, '_make') else tuple(items)  # type: ignore[attr-defined]
    built[id(value)] = made
    return made


def wrap(target: Any, *, name: str | None = None) -> Any:
    """A symbolic class for a constructor of another library, which stays as it is.

    Its fields are the constructor's parameters. Annotations of scalars and callables are enforced; what other
    libraries write beyond that is often not meant literally and taken as Any. Wrap arguments that have state, too, such
    as the `Rngs` of Flax NNX: each `build()` then begins with fresh ones, and makes the same.

    Args:
      target: a class, or a function that makes something.
      name: the stored name, where it is not `module.qualname`.

    Returns:
      The symbolic class; the same one each time for the same `target`. `.build()` on its objects makes the real thing.

    Raises:
      ClassDefinitionError: `target` cannot be called, or its parameters cannot be read.

    >>> import fractions
    >>> import pgjax as pg
    >>> Fraction = pg.wrap(fractions.Fraction)
    >>> half = Fraction(1, denominator=2)
    >>> half
    Fraction(numerator=1, denominator=2)
    >>> half.build(), half.rebind(denominator=3).build()
    (Fraction(1, 2), Fraction(1, 3))
    """
    if isinstance(target, type) and issubclass(target, Object):
        return target
    if not callable(target):
        raise ClassDefinitionError(f'wrap takes a class or a function, not {type(target).__name__}.')
    with _LOCK:
        if target not in _WRAPPED:
            _WRAPPED[target] = _wrapped_class(target, name)
        return _WRAPPED[target]


def is_wrapped(target: Any) -> bool:
    """Whether `pg.wrap` has made a class for this one of another library."""
    return target in _WRAPPED


def _wrapped_class(target: Any, name: str | None) -> Any:
    signature = _library_signature(target)
    label = getattr(target, '__name__', type(target).__name__)
    stored = name or f'wrap:{getattr(target, "__module__", "")}.{getattr(target, "__qualname__", label)}'
    attributes = {'__pg_target__': staticmethod(target) if inspect.isfunction(target) else target}
    return make_class(label, (Wrapped,), signature, target, attributes, type_name=stored)


def _library_signature(target: Any) -> Signature:
    """The parameters, but for `parent` of Flax modules: where a module stands is decided when it is built."""
    signature = read_signature(target, lenient=True)
    if 'parent' in signature.annotations and 'flax' in {c.__module__.partition('.')[0] for c in inspect.getmro(target)}:
        del signature.annotations['parent'], signature.infos['parent']
    return signature


class WrappedModule(types.ModuleType):
    """A module whose constructors are symbolic: what `pg.wrap_module` returns. Members are wrapped at first use."""

    def __init__(self, module: types.ModuleType, where: Callable[[Any], bool]):
        super().__init__(module.__name__, module.__doc__)
        self.__dict__['_pg_module'], self.__dict__['_pg_where'] = module, where

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        member = getattr(self.__dict__['_pg_module'], name)
        if isinstance(member, types.ModuleType) or not self.__dict__['_pg_where'](member):
            return member
        return wrap(member)

    def __dir__(self) -> list[str]:
        return dir(self.__dict__['_pg_module'])

    def __iter__(self) -> Iterator[Any]:
        """The wrapped classes of all public members that are selected."""
        for name in dir(self):
            if not name.startswith('_'):
                member = getattr(self, name)
                if isinstance(member, type) and issubclass(member, Wrapped):
                    yield member


def wrap_module(module: types.ModuleType, where: Callable[[Any], bool] = inspect.isclass) -> Any:
    """A module whose classes are symbolic; the module itself stays as it is (PyGlove patches it).

    Args:
      module: another library's module.
      where: which members are wrapped; classes unless told otherwise. The rest are handed through.

    Returns:
      Something to use in the module's place.

    >>> import fractions
    >>> import pgjax as pg
    >>> symbolic = pg.wrap_module(fractions)
    >>> symbolic.Fraction(1, 2).build()
    Fraction(1, 2)
    """
    if not isinstance(module, types.ModuleType):
        raise ClassDefinitionError(f'wrap_module takes a module, not {type(module).__name__}; use wrap for one class.')
    return WrappedModule(module, where)
