"""Derived state: `_on_bound` runs for objects all of whose parts are known, and again at first use after JAX."""

from __future__ import annotations

from typing import Any

from pgjax._errors import PlaceholderError
from pgjax._keypath import format_keys
from pgjax.symbolic._cycles import refuse_cycles
from pgjax.symbolic._locate import keys_of
from pgjax.symbolic._nodes import children
from pgjax.symbolic._placeholder import Placeholder
from pgjax.symbolic._traced import note_traced


def is_open(node: Any) -> bool:
    """Whether a placeholder stands anywhere in a value. Remembered by each object."""
    return bool(open_paths(node, 1))


def is_known_closed(node: Any) -> bool:
    """Whether an earlier walk found no placeholder in an object."""
    return hasattr(type(node), '__pg_node__') and '_pg_closed' in node.__dict__


def open_paths(root: Any, most: int = 8) -> list[str]:
    """The printed paths of the first placeholders in a value."""
    refuse_cycles(root)
    found: list[str] = []
    closed: list[Any] = []
    met: set[int] = set()  # ids of containers: a shared one is looked through once
    pending: list[tuple[Any, Any]] = [(None, root)]  # the way up shared, not copied: (key, way up)
    while pending and len(found) < most:
        way, value = pending.pop()
        if isinstance(value, Placeholder):
            found.append(format_keys(keys_of(way)))
            continue
        state = getattr(value, '__dict__', None) if hasattr(type(value), '__pg_node__') else None
        if state is not None:
            if '_pg_closed' in state:
                continue
            closed.append(state)
        parts = children(value)
        if parts:
            if id(value) in met and (not found or not is_open(value)):
                continue
            met.add(id(value))
            pending.extend(((key, way), child) for key, child in reversed(parts))
    if not found:  # nothing below any of them is open: siblings of a later edit need no second walk
        for state in closed:
            state['_pg_closed'] = True
    return found


def bind(node: Any) -> None:
    """Runs `_on_bound` of a new object if its class has one and nothing below it is open."""
    if type(node).__pg_derives__ and not is_open(node):
        run(node)


def run(node: Any) -> None:
    """Runs `_on_bound` once, with assignment to private attributes allowed meanwhile."""
    state = node.__dict__
    state['_pg_binding'] = True
    try:
        node._on_bound()
    except Exception as error:
        note_traced(error, node)
        raise
    finally:
        del state['_pg_binding']
    state['_pg_bound'] = True


def derived(node: Any, name: str) -> Any:
    """A private attribute that is not there yet: derives the state and reads it.

    Raises:
      PlaceholderError: parts of the object are still open, so there is no state.
      AttributeError: the class has no such attribute.
    """
    state = node.__dict__
    known = '_pg_bound' in state or '_pg_binding' in state
    if not known and name.startswith('_') and not name.startswith(('__', '_pg_')):
        still_open = open_paths(node)
        if still_open:
            raise PlaceholderError(
                f'{type(node).__name__}.{name} is derived from fields that are still open: {", ".join(still_open)}. '
                'Decide them (materialize, rebind or resolve) before the state is used.'
            )
        run(node)
        if name in state:
            return state[name]
    raise AttributeError(f'{type(node).__name__!r} object has no attribute {name!r}', name=name, obj=node)
