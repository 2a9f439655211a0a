"""Reads annotations: standard typing, jaxtyping arrays and `annotated_types` constraints, into specs."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import math
import operator
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import annotated_types
import jax
import numpy as np

from pgjax.symbolic import _composite, _spec
from pgjax.symbolic._spec import Kind, Spec

_SCALARS: dict[Any, Callable[[bool], Spec]] = {
    bool: lambda traced: _spec.BoolSpec(traced),
    int: lambda traced: _spec.IntSpec(traced),
    float: lambda traced: _spec.FloatSpec(),
    complex: lambda traced: _spec.ComplexSpec(),
    str: lambda traced: _spec.ClassSpec(str, Kind.STATIC),
    bytes: lambda traced: _spec.ClassSpec(bytes, Kind.STATIC),
}


def to_spec(annotation: Any, traced: bool = False, owner: type | None = None) -> Spec:
    """The spec of a resolved annotation.

    Args:
      annotation: what was written, with strings already evaluated.
      traced: whether ints and bools are leaves (`pg.field(traced=True)`).
      owner: the class that `typing.Self` means.

    Raises:
      TypeError: there is no such annotation.
    """
    if annotation is None or annotation is type(None):
        return _spec.NoneSpec()
    if annotation is Any or annotation is object:
        return _spec.AnySpec()
    if annotation in _SCALARS if isinstance(annotation, type) else False:
        return _SCALARS[annotation](traced)
    if annotation is typing.Self and owner is not None:
        return _spec.ClassSpec(owner, Kind.CHILD)
    if isinstance(annotation, typing.TypeVar):
        return _type_variable(annotation, traced, owner)
    if isinstance(annotation, typing.NewType):
        return to_spec(annotation.__supertype__, traced, owner)
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _generic(annotation, origin, traced, owner)
    if isinstance(annotation, type) or annotation is callable:
        return _class(annotation, traced)
    if annotation is typing.Callable:
        return _spec.CallableSpec()
    raise TypeError(f'{annotation!r} is no annotation that a field can check')


def _type_variable(variable: typing.TypeVar, traced: bool, owner: type | None) -> Spec:
    if variable.__constraints__:
        return _union([to_spec(c, traced, owner) for c in variable.__constraints__])
    return to_spec(variable.__bound__, traced, owner) if variable.__bound__ is not None else _spec.AnySpec()


def _class(cls: Any, traced: bool) -> Spec:
    if cls in (list, tuple, dict) or cls in (collections.abc.Sequence, collections.abc.Mapping):
        return _container(cls, (), traced, None)
    if cls is collections.abc.Callable or cls is callable:
        return _spec.CallableSpec()
    if cls is type:
        return _spec.TypeSpec(object)
    if cls in (jax.Array, np.ndarray):
        return _spec.ArraySpec(cls, 'Array')
    if getattr(cls, '__module__', '').startswith('jaxtyping'):
        return _spec.ArraySpec(cls, cls.__name__)
    if hasattr(cls, '__pg_fields__'):
        return _spec.ClassSpec(cls, Kind.CHILD)
    if getattr(cls, '_is_protocol', False) and not getattr(cls, '_is_runtime_protocol', False):
        raise TypeError(
            f'values of {cls.__qualname__} cannot be told from others, for it is a Protocol without '
            '@typing.runtime_checkable; add that, or declare the field Callable or Any'
        )
    return _spec.ClassSpec(cls, Kind.STATIC if issubclass(cls, enum.Enum) else Kind.BY_VALUE)


def _generic(annotation: Any, origin: Any, traced: bool, owner: type | None) -> Spec:
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return _constrained(to_spec(arguments[0], traced, owner), arguments[1:])
    if origin in (typing.Union, types.UnionType):
        return _union([to_spec(a, traced, owner) for a in arguments])
    if origin is typing.Literal:
        return _spec.LiteralSpec(arguments)
    if origin in (typing.Final, typing.Required, typing.NotRequired):
        return to_spec(arguments[0], traced, owner)
    if origin is collections.abc.Callable:
        return _spec.CallableSpec()
    if origin is type:
        (base,) = arguments
        bases = typing.get_args(base) if typing.get_origin(base) in (typing.Union, types.UnionType) else (base,)
        specs: list[Spec] = [_spec.TypeSpec(b if isinstance(b, type) else object) for b in bases]
        return _union(specs)
    if origin in (list, tuple, dict, collections.abc.Sequence, collections.abc.Mapping):
        return _container(origin, arguments, traced, owner)
    if origin in (np.ndarray, jax.Array):
        return _spec.ArraySpec(origin, 'Array')
    return _class(origin, traced)


def _container(origin: Any, arguments: tuple[Any, ...], traced: bool, owner: type | None) -> Spec:
    specs = [to_spec(a, traced, owner) for a in arguments if a is not Ellipsis]
    if origin in (dict, collections.abc.Mapping):
        key, value = specs or (_spec.AnySpec(), _spec.AnySpec())
        return _composite.DictSpec(key, value)
    if origin in (list, collections.abc.Sequence):
        return _composite.ListSpec(specs[0] if specs else _spec.AnySpec())
    if not arguments and origin is tuple:
        return _composite.TupleSpec((_spec.AnySpec(),), variadic=True)
    return _composite.TupleSpec(tuple(specs), variadic=Ellipsis in arguments)


def _union(options: list[Spec]) -> Spec:
    flat: list[Spec] = []
    for option in options:
        flat.extend(option.options if isinstance(option, _composite.UnionSpec) else [option])
    unique = list(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else _composite.UnionSpec(tuple(unique))


# Each comparison of annotated_types: its attribute, its test, its words and its inline form.
_COMPARISONS: list[tuple[type, str, Callable[[Any, Any], bool], str]] = [
    (annotated_types.Gt, 'gt', operator.gt, '>'),
    (annotated_types.Ge, 'ge', operator.ge, '>='),
    (annotated_types.Lt, 'lt', operator.lt, '<'),
    (annotated_types.Le, 'le', operator.le, '<='),
]


def _constrained(inner: Spec, metadata: tuple[Any, ...]) -> Spec:
    tests: list[tuple[Callable[[Any], bool], str, str | None]] = []
    for item in _unpacked(metadata):
        for cls, attribute, compare, symbol in _COMPARISONS:
            if isinstance(item, cls):
                bound = getattr(item, attribute)
                literal = type(bound) is int or (type(bound) is float and math.isfinite(bound))  # `inf` is a name
                inline = f'{symbol} {bound!r}' if literal else None
                tests.append((lambda v, c=compare, b=bound: c(v, b), f'{symbol} {bound}', inline))
        if isinstance(item, annotated_types.MultipleOf):
            tests.append((lambda v, m=item.multiple_of: v % m == 0, f'a multiple of {item.multiple_of}', None))
        elif isinstance(item, annotated_types.MinLen):
            tests.append((lambda v, n=item.min_length: len(v) >= n, f'of length >= {item.min_length}', None))
        elif isinstance(item, annotated_types.MaxLen):
            tests.append((lambda v, n=item.max_length: len(v) <= n, f'of length <= {item.max_length}', None))
        elif isinstance(item, annotated_types.Predicate):
            name = getattr(item.func, '__name__', 'accepted by the predicate')
            tests.append((lambda v, f=item.func: bool(f(v)), name, None))
    return _composite.Constrained(inner, tuple(tests)) if tests else inner


def _unpacked(metadata: tuple[Any, ...]) -> list[Any]:
    items: list[Any] = []
    for item in metadata:
        if typing.get_origin(item) is typing.Annotated:  # `Annotated[float, IsFinite]` for `IsFinite[float]`
            items.extend(_unpacked(item.__metadata__))
        else:
            items.extend(item if isinstance(item, annotated_types.GroupedMetadata) else [item])
    return items


def resolve_annotations(cls: type, names: list[str], frame: types.FrameType | None) -> dict[str, Any]:
    """Some of the class's own annotations with strings evaluated.

    Args:
      cls: the class being made.
      names: which ones.
      frame: where the class statement stands, so that classes local to a function can be named.

    Raises:
      NameError: an annotation names something that is not defined (yet).
    """
    written = inspect.get_annotations(cls)
    own: Mapping[str, Any] = {name: written[name] for name in names}
    if not any(isinstance(a, str) or _has_forward(a) for a in own.values()):
        return dict(own)
    module = sys.modules.get(cls.__module__)
    namespace = dict(vars(module)) if module else {}
    while frame is not None and frame.f_globals.get('__name__') == cls.__module__:
        namespace = {**namespace, **{k: v for k, v in frame.f_locals.items() if k not in own}}
        frame = frame.f_back
    namespace[cls.__name__] = cls
    stand_in = type('StandIn', (), {'__annotations__': dict(own)})  # a class, where Final may stand
    return typing.get_type_hints(stand_in, namespace, {}, include_extras=True)


def _has_forward(annotation: Any) -> bool:
    if isinstance(annotation, typing.ForwardRef):
        return True
    return any(
        isinstance(a, str) or _has_forward(a) for a in typing.get_args(annotation) if not _is_literal(annotation)
    )


def _is_literal(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Literal, typing.Annotated)
