"""Patches by URI: `scale_width?scale=0.5 >> change_dataset?name=imagenet`; see `_uri_syntax` for the grammar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgjax._errors import FieldTypeError, FieldValueError, MissingFieldError, UriError, shorten, show
from pgjax.edit import _patcher_registry
from pgjax.edit._describe import describe
from pgjax.edit._uri_syntax import Call, Value, read_chain
from pgjax.edit._uri_values import Unreadable, read, write
from pgjax.symbolic import MISSING, Field
from pgjax.symbolic._compare import eq

_MAX_NESTING = 8  # patches as arguments of patches


def from_uri(uri: str) -> Any:
    """The patch that a URI names.

    Args:
      uri: `name`, `name?value&key=value`, or several joined by `>>`. Values are read by the annotations of the
        patcher's parameters: ints, floats, bools, None, strings, enums, `Literal`s, lists (`1:2:3`), and other
        patches by name. Quotes make a value a string; %XX is decoded. Nothing is evaluated or imported.

    Returns:
      A patch, or a chain of patches.

    Raises:
      UriError: the URI is malformed, or names an unknown patcher or argument, or a value does not fit.

    >>> import pgjax as pg
    >>> @pg.patcher(name='doc.scale')
    ... def scale(exp, by: float = 2.0, where: str = 'units'):
    ...   return pg.lens('**', where).modify(exp, lambda u: int(u * by))
    >>> from_uri('doc.scale?0.5').by
    0.5
    >>> str(from_uri('doc.scale?0.5&where=units') >> scale(where='a b'))
    'doc.scale?by=0.5 >> doc.scale?where="a b"'
    """
    return _from_uri(uri, 0)


def to_uri(patch: Any) -> str:
    """The canonical URI of a patch: arguments that differ from their defaults, by name, in order.

    Args:
      patch: an object that a `pg.patcher` made, or a chain of such.

    Returns:
      A text that `from_uri` reads as an equal patch.

    Raises:
      UriError: the patch, or one of its arguments, has no form in a URI: arrays, holes, functions, objects.
    """
    parts = getattr(patch, '_uri_parts', None)
    if parts is None:
        raise UriError(f'{type(patch).__name__} {show(patch)} has no URI; patches made by pg.patcher have.')
    return ' >> '.join(map(_call_text, parts()))


def _from_uri(uri: Any, depth: int) -> Any:
    if not isinstance(uri, str):
        raise UriError(f'A patch URI is a string, not {type(uri).__name__}.')
    if depth > _MAX_NESTING:
        raise UriError(f'{shorten(uri)!r}: patches as arguments of patches nest at most {_MAX_NESTING} deep.')
    first, *rest = [_build(call, uri, depth) for call in read_chain(uri)]
    return first >> rest if rest else first


def _build(call: Call, uri: str, depth: int) -> Any:
    cls: Any = _patcher_registry.find(call.name)
    fields: Mapping[str, Field] = cls.__pg_fields__
    names = list(fields)
    values: dict[str, Any] = {}
    for index, (key, value) in enumerate(call.arguments):
        if key is None and index >= len(names):
            raise UriError(
                f'{call.name} takes at most {len(names)} arguments ({_listed(names)}), got one more: '
                f'{shorten(value.raw, 40)!r}.'
            )
        name = names[index] if key is None else key
        if name not in fields:
            raise UriError(f'{call.name} has no argument {shorten(name, 40)!r}; its arguments are {_listed(names)}.')
        if name in values:
            raise UriError(f'{call.name}: argument {name!r} is given twice, by position and by name; keep one.')
        values[name] = _argument(call.name, fields[name], value, depth)
    missing = [name for name, field in fields.items() if field.required and name not in values]
    if missing:
        raise UriError(f'{shorten(uri)!r}: {call.name} needs {_listed(missing)}; write {call.name}?{missing[0]}=...')
    return cls(**values)


def _argument(patcher: str, field: Field, value: Value, depth: int) -> Any:
    """A value as the field stores it."""

    def refuse(what: str, index: int | None = None) -> UriError:
        place = field.name if index is None else f'{field.name}[{index}]'
        return UriError(
            f'{patcher}: argument {place} cannot be {shorten(value.raw, 40)!r}: {what} '
            f'(declared {describe(field.annotation)}).'
        )

    try:
        found = read(value, field.annotation, lambda text: _from_uri(text, depth + 1))
    except Unreadable as error:
        raise refuse(str(error), error.index) from None
    try:
        return field.spec.check(found, (field.name, None))
    except (FieldTypeError, FieldValueError, MissingFieldError) as error:
        raise refuse(str(error)) from None


def _call_text(patch: Any) -> str:
    cls = type(patch)
    arguments = []
    for name, field in cls.__pg_fields__.items():
        value = getattr(patch, name)
        if value is MISSING:
            raise UriError(f'{cls._name}: argument {name} is missing; rebind the patch with it.')
        if not field.required and eq(value, field.default, strict=True):
            continue
        try:
            text = write(value, field.annotation, to_uri, lambda uri: _from_uri(uri, 1))
        except UriError as error:
            raise UriError(f'{cls._name}: argument {name}: {error}') from None
        arguments.append(f'{name}={text}')
    return f'{cls._name}?{"&".join(arguments)}' if arguments else cls._name


def _listed(names: list[str]) -> str:
    return ', '.join(names) or 'none'
