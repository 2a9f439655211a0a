"""Edits by pattern, by PyGlove's names: every part whose key, path, value, type or place in a class fits.

Each returns a changed copy (PyGlove's change in place), does nothing where nothing fits, and does not look inside
what it has just replaced. For anything more, `pg.lens`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from pgjax._errors import FieldTypeError, shorten
from pgjax._keypath import Path
from pgjax.symbolic import eq
from pgjax.symbolic._update import apply_rule

T = TypeVar('T')
_UNSET: Any = type('Unset', (), {'__repr__': lambda _: '<unset>', '__slots__': ()})()


def patch_on_key(x: T, regex: str, value: Any = _UNSET, value_fn: Callable[[Any], Any] | None = None) -> T:
    """`x` with parts replaced whose key (the last one of their path) matches.

    Args:
      x: an object or container.
      regex: matched at the start of the key, as `re.match` does; indices are text here.
      value: the new value.
      value_fn: or a function from the old value to the new one.

    Raises:
      FieldTypeError: neither or both of value and value_fn are given, or `regex` is none.

    >>> patch_on_key({'a': 0, 'b': {'a': 2}}, 'a', value=3)
    {'a': 3, 'b': {'a': 3}}
    """
    pattern = _pattern(regex)
    return _edit(x, lambda path, v, parent: bool(path) and pattern.match(str(path.key)), value, value_fn)


def patch_on_path(x: T, regex: str, value: Any = _UNSET, value_fn: Callable[[Any], Any] | None = None) -> T:
    """`x` with parts replaced whose printed path matches; see `patch_on_key`.

    >>> patch_on_path({'a': {'x': 1}, 'b': 2}, '.*x', value_fn=lambda v: v + 1)
    {'a': {'x': 2}, 'b': 2}
    """
    pattern = _pattern(regex)
    return _edit(x, lambda path, v, parent: pattern.match(str(path)), value, value_fn)


def patch_on_value(x: T, old_value: Any, value: Any = _UNSET, value_fn: Callable[[Any], Any] | None = None) -> T:
    """`x` with parts replaced that equal `old_value` (by `pg.eq`, arrays by content); see `patch_on_key`.

    >>> patch_on_value({'a': {'x': 1}, 'b': 1}, 1, value=3)
    {'a': {'x': 3}, 'b': 3}
    """
    return _edit(x, lambda path, v, parent: eq(v, old_value), value, value_fn)


def patch_on_type(
    x: T,
    value_type: type | tuple[type, ...],
    value: Any = _UNSET,
    value_fn: Callable[[Any], Any] | None = None,
) -> T:
    """`x` with parts replaced that are instances of a class; see `patch_on_key`.

    >>> patch_on_type({'a': {'x': 1}, 'b': 'y'}, int, value_fn=lambda v: v * 2)
    {'a': {'x': 2}, 'b': 'y'}
    """
    return _edit(x, lambda path, v, parent: isinstance(v, value_type), value, value_fn)


def patch_on_member(
    x: T,
    cls: type | tuple[type, ...],
    name: str,
    value: Any = _UNSET,
    value_fn: Callable[[Any], Any] | None = None,
) -> T:
    """`x` with the field `name` of all instances of `cls` replaced; see `patch_on_key`.

    >>> import pgjax as pg
    >>> class Dense(pg.Object):
    ...   units: int
    >>> patch_on_member(pg.List([Dense(1), {'units': 1}]), Dense, 'units', 2)
    [Dense(units=2), {'units': 1}]
    """
    return _edit(x, lambda path, v, parent: path.key == name and isinstance(parent, cls), value, value_fn)


def _edit(x: Any, fits: Callable[[Path, Any, Any], Any], value: Any, value_fn: Callable[[Any], Any] | None) -> Any:
    if (value is _UNSET) == (value_fn is None):
        raise FieldTypeError('Give value= (the new value) or value_fn= (a function of the old one), and not both.')

    def rule(path: Path, old: Any, parent: Any) -> Any:
        if not fits(path, old, parent):
            return old
        return value_fn(old) if value_fn is not None else value

    return apply_rule(x, rule)


def _pattern(regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex)
    except (re.error, TypeError) as error:
        raise FieldTypeError(f'{shorten(str(regex))!r} is no regular expression: {error}.') from None
