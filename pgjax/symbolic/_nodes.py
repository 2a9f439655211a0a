"""The parts of a value: one answer to 'what is inside?' for objects, containers and plain Python ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def children(value: Any) -> list[tuple[Any, Any]] | None:
    """(key, part) for each part of a container, or None where `value` is entered by nobody."""
    parts = iter_parts(value)
    return None if parts is None else list(parts)


def iter_parts(value: Any) -> Iterator[tuple[Any, Any]] | None:
    """`children`, one at a time; what the caller does meanwhile changes nothing about them."""
    of_ours = getattr(value.__class__, '__pg_parts__', None)
    if of_ours is not None:
        return of_ours(value)
    if isinstance(value, tuple):
        return enumerate(value)
    if isinstance(value, list):
        return enumerate(value.copy())
    return iter(value.copy().items()) if isinstance(value, dict) else None


def fields_of(node: Any) -> Iterator[tuple[str, Any]]:
    """(name, value) for each field of an object."""
    state, fields = node.__dict__, node.__class__.__pg_fields__
    if len(state) == len(fields):  # else something is remembered about the object, behind its fields
        return iter(state.copy().items())
    return iter([(name, state[name]) for name in fields])


def is_node(value: Any) -> bool:
    """Whether `value` is symbolic, and no class."""
    return hasattr(value.__class__, '__pg_node__') and not isinstance(value, type)


def is_list(value: Any) -> bool:
    """Whether `value` is a list or its symbolic twin, which is a tuple to Python."""
    return isinstance(value, list) or (isinstance(value, tuple) and hasattr(value.__class__, '__pg_node__'))
