"""Which patches led to an object: kept beside the object, outside its fields, leaves, equality and hash.

The record lives on the very object that `pg.patch` returned. Everything else that makes objects (rebind, JAX,
pickle, files) makes them without one, so a history never claims more than what happened: after a rebind it starts
anew. `pg.patch` puts it on a copy of the root, since a patch may return an object that others hold too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgjax._errors import UriError
from pgjax._keypath import Path
from pgjax.edit._uri import to_uri
from pgjax.symbolic import Dict, List
from pgjax.symbolic._containers import symbolic
from pgjax.symbolic._nodes import is_node

_KEY = '_pg_history'


def history(x: Any) -> list[Any]:
    """The patches that led to `x`, first to last.

    Args:
      x: what `pg.patch` returned. Other values have an empty history: one that was rebound, loaded, or rebuilt by
        JAX since, and values without symbolic root such as plain dicts.

    Returns:
      A list of rules: the canonical URI of each patch that has one; else the rule itself. It is a rule too:
      `pg.patch(base, pg.history(x)) == x`.

    >>> import pgjax as pg
    >>> @pg.patcher(name='doc.steps')
    ... def steps(exp, n: int):
    ...   return {'steps': n}
    >>> longer = pg.patch(pg.Dict(steps=1, lr=0.1), ['doc.steps?5', {'lr': 0.2}])
    >>> pg.history(longer)
    ['doc.steps?n=5', {'lr': 0.2}]
    >>> pg.history(longer.rebind(lr=0.3))
    []
    """
    return [_shown(rule) for rule in _record_of(x)]


def with_history(result: Any, before: Any, rules: list[Any]) -> Any:
    """`result` of patching `before`, as an object that remembers the rules."""
    if result is before or not is_node(result):
        return result
    return _copy(result, (*_record_of(before), *map(_kept, rules)))


def _record_of(x: Any) -> tuple[Any, ...]:
    return x.__dict__.get(_KEY, ()) if is_node(x) else ()


def _copy(node: Any, record: tuple[Any, ...]) -> Any:
    """The same object once more: equal, with the same parts and the same derived state."""
    cls = type(node)
    if isinstance(node, tuple):
        made: Any = tuple.__new__(List, node)
    elif isinstance(node, dict):
        made = Dict._of(node)
    else:
        made = object.__new__(cls)
    made.__dict__.update(node.__dict__)
    made.__dict__[_KEY] = record
    return made


def _kept(rule: Any) -> Any:
    """A rule that the user cannot change any more."""
    if not isinstance(rule, Mapping):
        return rule
    return {path: symbolic(value, (path, None)) for path, value in rule.items()}


def _shown(rule: Any) -> Any:
    if isinstance(rule, Mapping):
        return Dict({str(Path.parse(path)): value for path, value in rule.items()})
    try:
        return to_uri(rule)
    except UriError:
        return rule
