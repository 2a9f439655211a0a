"""Parts by the keys that lead to them, and locations as chains that cost nothing to extend."""

from __future__ import annotations

from typing import Any

from pgjax._errors import PathError, did_you_mean, show
from pgjax._keypath import format_keys
from pgjax.symbolic._spec import Location

Where = Location | None  # the chain of keys from a node up to the root, which is None


class _Nowhere:
    """The type of `NOWHERE`, what a default is where none was given."""

    __slots__ = ()

    def __repr__(self) -> str:
        return '<nothing>'


NOWHERE: Any = _Nowhere()


def part_of(node: Any, key: Any, path: tuple[Any, ...], depth: int) -> Any:
    """The part of `node` under `key`; `path` and `depth` say where, for the message.

    Raises:
      PathError: there is no such part.
    """
    found = find_part(node, key)
    if found is NOWHERE:
        raise no_such_part(node, key, path[:depth])
    return found


def find_part(node: Any, key: Any) -> Any:
    """The part of `node` under `key`, or NOWHERE."""
    fields = getattr(node.__class__, '__pg_fields__', None)
    if fields is not None:
        return node.__dict__[key] if key in fields else NOWHERE
    if isinstance(node, (list, tuple)):
        index = index_of(node, key)
        return node[index] if index is not None and -len(node) <= index < len(node) else NOWHERE
    if isinstance(node, dict):
        return node.get(key, NOWHERE)
    return NOWHERE


def index_of(node: Any, key: Any) -> int | None:
    """The position that `key`, an int or the name of a NamedTuple's field, means in a sequence."""
    if isinstance(key, int) and not isinstance(key, bool):
        return key
    names = getattr(node, '_fields', ())
    return names.index(key) if key in names else None


def keys_of(where: Where) -> tuple[Any, ...]:
    """The keys of a location, outermost first."""
    keys: list[Any] = []
    while where is not None:
        key, where = where
        keys.append(key)
    return tuple(keys[::-1])


def no_such_part(node: Any, key: Any, keys: tuple[Any, ...]) -> PathError:
    """The error for a path that leads nowhere: what stands there, and what could be asked for."""
    here, label = format_keys(keys), format_keys((*keys, key))
    where = repr(here) if here else 'the root'
    name = type(node).__name__
    fields = getattr(node.__class__, '__pg_fields__', None)
    if fields is not None:
        text = f'{label}: {key!r} is not a field of {name} (at {where}); its fields are {", ".join(fields)}.'
        return PathError(text + did_you_mean(key, fields))
    if isinstance(node, (list, tuple)):
        return PathError(f'{label}: index {key!r} does not fit a sequence of length {len(node)} (at {where}).')
    if isinstance(node, dict):
        text = f'{label}: no key {key!r} (at {where}); its keys are {show(list(node))}.'
        return PathError(text + did_you_mean(key, node))
    return PathError(f'{label}: {where} is {name} {show(node)}; {name} has no children.')


def location_of(keys: tuple[Any, ...]) -> Where:
    """The location of the node under `keys`."""
    where: Where = None
    for key in keys:
        where = (key, where)
    return where
