"""The parts of a value: one answer to 'what is inside?' for objects, containers and plain Python ones."""

from __future__ import annotations

from typing import Any


def children(value: Any) -> list[tuple[Any, Any]] | None:
    """(key, part) for each part of a container, or None where `value` is entered by nobody."""
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, dict):
        return list(value.items())
    fields = getattr(value.__class__, '__pg_fields__', None)
    if fields is None:
        return None
    state = value.__dict__
    return [(name, state[name]) for name in fields]


def is_list(value: Any) -> bool:
    """Whether `value` is a list or its symbolic twin, which is a tuple to Python."""
    return isinstance(value, list) or (isinstance(value, tuple) and hasattr(value.__class__, '__pg_node__'))
