"""Values that cannot be stored: how that is said, with the path, and which of them need not be stored."""

from __future__ import annotations

import functools
import types
from typing import Any

from pgjax._errors import EncodeError, shorten, show
from pgjax._keypath import Path
from pgjax.symbolic import Field, _registry, children

FUNCTIONS = frozenset({types.FunctionType, types.BuiltinFunctionType, functools.partial})


class RefusedError(Exception):
    """A value without a stored form, on its way up to where its path is found."""

    def __init__(self, value: Any, why: str):
        super().__init__(why)
        self.value, self.why = value, why


def is_nameless_default(field: Field, part: Any) -> bool:
    """Whether a part is a function without a name that its field has anyway: it need not be stored.

    The defaults of other libraries' constructors, which `pg.wrap` makes fields of, are often closures.
    """
    return part is field.info.default and _registry.function_name(part) is None


def encode_by(codec: Any, value: Any) -> Any:
    """What a codec makes of a value; raises RefusedError for whatever its function raises, and where it has no end."""
    try:
        made = codec.encode(value)
    except Exception as error:
        why = f'its codec {codec.name} raised {type(error).__name__}: {shorten(str(error), 160)}'
        raise RefusedError(value, why) from error
    if made.__class__ is value.__class__:
        why = f'its codec {codec.name} returned a {type(made).__name__} again, not what one is made of: a dict, a tuple'
        raise RefusedError(value, why)
    return made


def refusal(root: Any, error: RefusedError) -> EncodeError:
    """The error for a part of `root` without a stored form, with its path."""
    path = _find(root, error.value)
    where = f'{shorten(str(path), 120) or "the value"}: ' if path is not None else ''
    what = f'{type(error.value).__module__}.{type(error.value).__qualname__}'
    return EncodeError(f'{where}{what} {show(error.value)} cannot be stored: {error.why}.')


def _find(root: Any, part: Any) -> Path | None:
    """The path of a part, found by identity."""
    pending: list[tuple[Any, tuple[Any, ...]]] = [(root, ())]
    seen: set[int] = set()
    while pending:
        value, keys = pending.pop()
        if value is part:
            found: list[Any] = []
            while keys:
                key, keys = keys
                found.append(key)
            return Path(found[::-1])
        parts = None if id(value) in seen else children(value)
        if parts:
            seen.add(id(value))
            pending.extend([(item, (key, keys)) for key, item in parts][::-1])
    return None
