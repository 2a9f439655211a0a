"""`@pg.patcher`: a function of a value and some arguments becomes a patch with a name."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, ClassVar, Concatenate, ParamSpec, overload

from pgjax._errors import ClassDefinitionError, MissingFieldError, show
from pgjax.edit import _patcher_registry
from pgjax.edit._describe import describe
from pgjax.edit._patch import Patch
from pgjax.edit._patcher_registry import PatcherInfo
from pgjax.edit._uri_syntax import is_name
from pgjax.symbolic import MISSING, Field, field
from pgjax.symbolic._annotation import to_spec

P = ParamSpec('P')
Function = Callable[Concatenate[Any, P], Any]


class Patcher(Patch, type_name='pgjax.Patcher'):
    """Base of the classes that `pg.patcher` makes; their fields are the function's arguments."""

    _name: ClassVar[str] = ''
    _function: ClassVar[Callable[..., Any]]
    _target: ClassVar[tuple[str, Any]] = ('', Any)  # the first parameter and its annotation
    _validate: ClassVar[Callable[[Any], Any] | None] = None
    _positional: ClassVar[int] = 0

    def _rewrite(self, target: Any) -> Any:
        cls = type(self)
        parameter, annotation = cls._target
        if annotation is not Any:
            to_spec(annotation).check(target, (parameter, None))
        arguments = {name: self.__dict__[name] for name in cls.__pg_fields__}
        missing = [name for name, value in arguments.items() if value is MISSING]
        if missing:
            raise MissingFieldError(f'{cls._name} needs {", ".join(missing)}; rebind the patch, or call it with them.')
        first = list(arguments)[: cls._positional]
        return cls._function(target, *[arguments.pop(name) for name in first], **arguments)

    def _checks(self) -> list[Callable[[Any], Any]]:
        return [] if type(self)._validate is None else [type(self)._validate]  # type: ignore[list-item]

    def _uri_parts(self) -> list[Any]:
        return [self]

    @classmethod
    def _info(cls) -> PatcherInfo:
        doc = inspect.cleandoc(cls._function.__doc__ or '').partition('\n')[0]
        arguments = {name: _in_words(f) for name, f in cls.__pg_fields__.items()}
        return PatcherInfo(cls._name, doc, arguments, describe(cls._target[1]), cls.__module__)


@overload
def patcher(function: Function[P], /) -> Callable[P, Patch]: ...
@overload
def patcher(
    *, name: str | None = None, validate: Callable[[Any], Any] | None = None
) -> Callable[[Function[P]], Callable[P, Patch]]: ...
def patcher(function: Any = None, /, *, name: str | None = None, validate: Callable[[Any], Any] | None = None) -> Any:
    """Makes a function a patch that can be named, bound to arguments, composed and stored.

    Calling what it returns binds the arguments, the same as its URI does; calling *that* patches a value:
    `scale(by=0.5)(exp)`, `pg.patch(exp, scale(by=0.5))` and `pg.patch(exp, 'scale?by=0.5')` are one.

    Args:
      function: its first parameter is the value to patch; an annotation there restricts what it applies to. The
        others become typed fields. It returns the changed copy, or another rule that `pg.patch` takes (a mapping
        of paths, a function of `(path, value)`, a patch, a URI, a list of these), or `(rule, validator)`. A plain
        dict or list is a rule; to replace the value by one return `{'': new}`.
      name: the global name, with a namespace if you like: 'team.scale'. The function's own name by default.
      validate: called with the result of the whole chain of patches; fails by raising or returning False.

    Returns:
      A symbolic class whose objects are patches.

    Raises:
      ClassDefinitionError: the name is taken or is no name, or the parameters cannot be fields.

    >>> import pgjax as pg
    >>> from pgjax.edit import from_uri
    >>> @patcher(name='doc.train_for')
    ... def train_for(exp, steps: int = 100):
    ...   return {'steps': steps}
    >>> train_for(steps=5)(pg.Dict(steps=1))
    {'steps': 5}
    >>> str(train_for(steps=5)), train_for(5) == from_uri('doc.train_for?5')
    ('doc.train_for?steps=5', True)
    """
    frame = sys._getframe(1)  # the scope of the decorated function: its annotations may name local classes
    if function is None:
        return lambda function: _make(function, name, validate, frame)
    return _make(function, name, validate, frame)


def _make(function: Any, name: str | None, validate: Callable[[Any], Any] | None, frame: types.FrameType) -> type:
    if not inspect.isfunction(function):
        raise ClassDefinitionError(f'pg.patcher decorates a function, not {type(function).__name__} {show(function)}.')
    name = function.__name__ if name is None else name
    if not isinstance(name, str) or not is_name(name):
        raise ClassDefinitionError(
            f'{show(name)} is no name for a patcher: identifiers in ASCII, joined by dots. '
            "Give one: @pg.patcher(name='team.scale')."
        )
    if validate is not None and not callable(validate):
        raise ClassDefinitionError(f'{name}: validate= is a function of the result, not {type(validate).__name__}.')
    target, *parameters = _parameters(function, name)
    hints = _hints(function, frame)
    replaces = _patcher_registry.check_name(name, function)
    body: dict[str, Any] = {
        '__annotations__': {p.name: hints.get(p.name, Any) for p in parameters},
        '__doc__': function.__doc__,
        '__module__': function.__module__,
        '__qualname__': function.__qualname__,
        '__wrapped__': staticmethod(function),
        '_name': name,
        '_function': staticmethod(function),
        '_target': (target.name, hints.get(target.name, Any)),
        '_validate': None if validate is None else staticmethod(validate),
        '_positional': sum(p.kind is not p.KEYWORD_ONLY for p in parameters),
    }
    body.update({p.name: field(default=p.default) for p in parameters if p.default is not p.empty})
    options = {'type_name': name, 'override': replaces}
    cls = types.new_class(function.__name__, (Patcher,), options, lambda namespace: namespace.update(body))
    _patcher_registry.register(name, cls)
    return cls


def _parameters(function: Any, name: str) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        raise ClassDefinitionError(f'{name}: the first parameter is the value to patch: def scale(exp, ...).')
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ClassDefinitionError(f'{name}: a patcher lists its parameters; {parameter} cannot be fields.')
        if parameter.name.startswith('_') and parameter is not parameters[0]:
            raise ClassDefinitionError(f'{name}: parameter {parameter.name!r} cannot be a field; drop its underscore.')
    return parameters


def _hints(function: Any, frame: types.FrameType) -> dict[str, Any]:
    """The function's annotations, with strings evaluated where it stands."""
    try:
        return typing.get_type_hints(function, localns=_visible(frame), include_extras=True)
    except NameError as error:
        raise ClassDefinitionError(
            f'{function.__name__}: an annotation cannot be resolved: {error}. Define or import that name first.'
        ) from None


def _visible(frame: types.FrameType | None) -> dict[str, Any]:
    names: dict[str, Any] = {}
    while frame is not None and frame.f_code.co_name != '<module>':
        names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names


def _in_words(field: Field) -> str:
    default = '' if field.required else f' = {show(field.default)}'
    return describe(field.annotation) + default
