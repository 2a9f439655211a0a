"""Factories as values: an object that is stored as the arguments of the function that builds it."""

from __future__ import annotations

import threading
import typing
from collections.abc import Callable
from typing import Any, ClassVar

from pgjax._errors import ClassDefinitionError, FieldTypeError, PlaceholderError, show
from pgjax.symbolic._bind import open_paths
from pgjax.symbolic._callables import Signature, make_class, read_signature
from pgjax.symbolic._object import Object, values_of

_LOCK = threading.RLock()


class Compound(Object):
    """The base of what `pg.compound` makes: fields are arguments, attributes are those of `.decomposed`.

    >>> import pgjax as pg
    >>> @pg.compound
    ... def Schedule(peak: float = 0.1) -> pg.Dict:
    ...   return pg.Dict(low=0.0, high=peak)
    >>> isinstance(Schedule(), pg.Compound), Schedule(peak=0.2).decomposed
    (True, {'low': 0.0, 'high': 0.2})
    """

    __pg_function__: ClassVar[Callable[..., Any]]
    __pg_signature__: ClassVar[Signature]
    __pg_base__: ClassVar[type] = object

    @property
    def decomposed(self) -> Any:
        """The object that the function builds, built once.

        Raises:
          PlaceholderError: an argument is still open.
          FieldTypeError: the function returned something of another class than it declares.
        """
        state: dict[str, Any] = vars(self)
        if '_pg_decomposed' not in state:
            if paths := open_paths(self):
                raise PlaceholderError(
                    f'{type(self).__name__} cannot be decomposed while parts are open: {", ".join(paths)}. '
                    'Decide them (materialize, rebind or resolve) first.'
                )
            args, kwargs = type(self).__pg_signature__.arguments(values_of(self))
            made = type(self).__pg_function__(*args, **kwargs)
            if not isinstance(made, type(self).__pg_base__):
                raise FieldTypeError(
                    f'{type(self).__name__} is declared to build {type(self).__pg_base__.__name__}, '
                    f'and built {type(made).__name__} {show(made)}.'
                )
            with _LOCK:  # threads may have built twice: all of them get the first
                state.setdefault('_pg_decomposed', made)
        return state['_pg_decomposed']

    def __getattr__(self, name: str) -> Any:
        if name.startswith(('__', '_pg_')):
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}', name=name, obj=self)
        return getattr(self.decomposed, name)


def _call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
    return self.decomposed(*args, **kwargs)


@typing.overload
def compound(target: Callable[..., Any]) -> Any: ...
@typing.overload
def compound(target: type | None = None, *, name: str | None = None) -> Callable[[Callable[..., Any]], Any]: ...
def compound(target: Any = None, *, name: str | None = None) -> Any:
    """Makes a function that builds an object a class whose fields are the function's arguments.

    The result stands wherever the built class may stand, has its attributes, and is stored, compared, edited and
    searched as its few arguments. `.decomposed` is the built object.

    Args:
      target: the function; or the class that it builds, where its return annotation does not say so.
      name: the stored name, where it is not `module.qualname`.

    Raises:
      ClassDefinitionError: `target` is neither.

    >>> import pgjax as pg
    >>> class Model(pg.Object):
    ...   widths: list[int]
    >>> @pg.compound
    ... def Tower(depth: int = 2, width: int = 8) -> Model:
    ...   return Model([width] * depth)
    >>> tower = Tower(depth=3)
    >>> tower, tower.decomposed, isinstance(tower, Model), tower.widths
    (Tower(depth=3, width=8), Model(widths=[8, 8, 8]), True, [8, 8, 8])
    """
    if target is None or isinstance(target, type):
        return lambda function: _compound_class(function, target, name)
    if not callable(target):
        raise ClassDefinitionError(
            f'compound takes a function, or the class that it builds, not {type(target).__name__}.'
        )
    return _compound_class(target, None, name)


def _compound_class(function: Any, base: type | None, name: str | None) -> Any:
    signature = read_signature(function)
    if base is None:
        base = _returned_class(function)
    attributes: dict[str, Any] = {
        '__pg_function__': staticmethod(function),
        '__wrapped__': staticmethod(function),
        '__pg_base__': base or object,
    }
    if base is not None and any('__call__' in vars(c) for c in base.__mro__):
        attributes['__call__'] = _call
    cls = make_class(function.__name__, (Compound,), signature, function, attributes, type_name=name)
    if base is not None and isinstance(base, type(Object)):
        base.register(cls)  # isinstance says yes, and no field of the base becomes one of the compound
    return cls


def _returned_class(function: Any) -> type | None:
    try:
        annotation = typing.get_type_hints(function).get('return')
    except NameError:
        return None
    annotation = typing.get_origin(annotation) or annotation
    return annotation if isinstance(annotation, type) and annotation is not type(None) else None
