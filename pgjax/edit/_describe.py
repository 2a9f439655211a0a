"""What an annotation is, for URIs and for readers: its kind, the items of its lists, and its words."""

from __future__ import annotations

import collections.abc
import enum
import types
import typing
from typing import Any

import annotated_types

LISTS = (list, tuple, collections.abc.Sequence)
_BOUNDS = {'gt': 'more than', 'ge': 'min', 'lt': 'less than', 'le': 'max'}


def describe(annotation: Any) -> str:
    """An annotation in words: 'float, min 0', 'list[int]', "one of 'a', 'b'"."""
    if typing.get_origin(annotation) is typing.Annotated:
        base, *rest = typing.get_args(annotation)
        return ', '.join([describe(base), *_bounds(rest)])
    kind, arguments = kind_of(annotation)
    if kind in (typing.Union, types.UnionType):
        return ' or '.join(map(describe, arguments))
    if kind is typing.Literal:
        return f'one of {", ".join(map(repr, arguments))}'
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f'one of {", ".join(kind.__members__)}'
    if kind is None or kind is type(None):
        return 'None'
    name = getattr(kind, '__name__', str(kind))
    inner = ', '.join('...' if a is Ellipsis else describe(a) for a in arguments if not isinstance(a, list))
    return f'{name}[{inner}]' if inner else name


def _bounds(metadata: list[Any]) -> list[str]:
    """The constraints of an annotation that are about size: 'min 0'."""
    words = []
    for item in metadata:
        for part in item if isinstance(item, annotated_types.GroupedMetadata) else [item]:
            words += [f'{word} {getattr(part, name)}' for name, word in _BOUNDS.items() if hasattr(part, name)]
    return words


def kind_of(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """What an annotation is of, and its arguments, without constraints."""
    while typing.get_origin(annotation) in (typing.Annotated, typing.Final):
        annotation = typing.get_args(annotation)[0]
    if isinstance(annotation, typing.NewType):
        return kind_of(annotation.__supertype__)
    if isinstance(annotation, typing.TypeVar):
        return (annotation.__bound__ or Any), ()
    return typing.get_origin(annotation) or annotation, typing.get_args(annotation)


def elements_of(annotation: Any) -> list[Any]:
    """What the items of a list or tuple are, also where it is one of several types."""
    kind, arguments = kind_of(annotation)
    if kind in (typing.Union, types.UnionType):
        return next((elements_of(a) for a in arguments if kind_of(a)[0] in LISTS), [Any])
    return [a for a in arguments if a is not Ellipsis] or [Any]
