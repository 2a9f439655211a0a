"""What is still open in a value: missing fields, holes and inherited values; and what differs from defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgjax._keypath import Path
from pgjax.symbolic._bind import is_open
from pgjax.symbolic._compare import eq
from pgjax.symbolic._cycles import refuse_cycles
from pgjax.symbolic._nodes import children
from pgjax.symbolic._placeholder import MISSING, Placeholder


def is_partial(value: Any) -> bool:
    """Whether a field somewhere in a value is missing (`pg.MISSING`).

    >>> import pgjax as pg
    >>> class Adam(pg.Object):
    ...   lr: float
    >>> pg.is_partial([Adam.partial()]), pg.is_partial(Adam(0.1))
    (True, False)
    """
    return _holds(value, lambda part: part is MISSING)


def is_abstract(value: Any) -> bool:
    """Whether a value holds holes (`pg.oneof` and its kin), so that it stands for many values.

    PyGlove calls partial objects abstract too; here `is_partial` and `is_abstract` are two questions.

    >>> import pgjax as pg
    >>> pg.is_abstract({'lr': pg.floatv(0.1, 0.2)}), pg.is_abstract({'lr': 0.1})
    (True, False)
    """
    return _holds(value, lambda part: isinstance(part, Placeholder) and part.__pg_hole__)


def is_concrete(value: Any) -> bool:
    """Whether nothing in a value is open: no missing field, no hole, no inherited or inferred value.

    >>> import pgjax as pg
    >>> pg.is_concrete([1, 2]), pg.is_concrete([pg.inherited('x')])
    (True, False)
    """
    return not is_open(value)


def _holds(value: Any, test: Callable[[Any], bool]) -> bool:
    if not is_open(value):
        return False
    pending, met = [value], set()
    while pending:
        node = pending.pop()
        if isinstance(node, Placeholder) and test(node):
            return True
        if not _is_filled_in(node) and id(node) not in met:
            met.add(id(node))
            pending.extend(part for _, part in children(node) or ())
    return False


def _is_filled_in(node: Any) -> bool:
    """Whether a value is one that `resolve` fills in: what such a placeholder remembers is no part of the tree."""
    return isinstance(node, Placeholder) and not node.__pg_hole__


def missing(value: Any, flatten: bool = True) -> dict[str, Any]:
    """The missing parts of a value.

    Args:
      value: any tree of objects and containers.
      flatten: one level of printed paths, {'a.x': MISSING}; else a dict of dicts, {'a': {'x': MISSING}}.

    >>> import pgjax as pg
    >>> class Sgd(pg.Object):
    ...   lr: float
    >>> pg.missing(pg.Dict(opt=Sgd.partial()))
    {'opt.lr': MISSING}
    """
    return _shaped(_missing_parts(value), flatten)


def nondefault(value: Any, flatten: bool = True) -> dict[str, Any]:
    """The parts that differ from the defaults of their fields, down to single leaves: what makes a value itself.

    A part is compared with its field's default part by part as long as both are of one class. Items of containers
    have no default of their own: they are listed, as a whole where their own fields are all at their defaults.

    Args:
      value: any tree of objects and containers.
      flatten: one level of printed paths, or a dict of dicts.

    >>> import pgjax as pg
    >>> class Momentum(pg.Object):
    ...   lr: float = 1e-3
    ...   b1: float = 0.9
    >>> class Experiment(pg.Object):
    ...   optimizer: Momentum = Momentum()
    ...   steps: int = 100
    >>> pg.nondefault(Experiment().rebind({'optimizer.lr': 0.1}))
    {'optimizer.lr': 0.1}
    """
    refuse_cycles(value)
    found: dict[Path, Any] = {}
    pending: list[tuple[tuple[Any, ...], Any, Any]] = [((), value, _UNKNOWN)]
    while pending:
        keys, node, default = pending.pop()
        if default is not _UNKNOWN and eq(node, default):
            continue
        parts = children(node)
        if not parts or isinstance(node, Placeholder) or (keys and default is _UNKNOWN and _is_all_default(node)):
            found[Path(keys)] = node
            continue
        pending.extend(((*keys, key), part, _default_part(node, key, default)) for key, part in reversed(parts))
    return _shaped(found, flatten)


_UNKNOWN: Any = object()


def _is_all_default(node: Any) -> bool:
    fields = getattr(node.__class__, '__pg_fields__', None)
    return fields is not None and all(not f.required and eq(f.default, node.__dict__[n]) for n, f in fields.items())


def _default_part(node: Any, key: Any, default: Any) -> Any:
    """What stands under `key` by default: in the default of the node itself, else by the node's class."""
    fields = getattr(node.__class__, '__pg_fields__', None)
    if fields is None:
        same_size = default.__class__ is node.__class__ and len(default) == len(node)
        return default[key] if same_size and (not isinstance(default, dict) or key in default) else _UNKNOWN
    if default.__class__ is node.__class__:
        return default.__dict__[key]
    return _UNKNOWN if fields[key].required else fields[key].default


def _missing_parts(value: Any) -> dict[Path, Any]:
    refuse_cycles(value)
    found: dict[Path, Any] = {}
    pending: list[tuple[tuple[Any, ...], Any]] = [((), value)]
    while pending:
        keys, node = pending.pop()
        if node is MISSING:
            found[Path(keys)] = node
        elif not _is_filled_in(node):
            pending.extend(((*keys, key), part) for key, part in reversed(children(node) or ()))
    return found


def _shaped(found: dict[Path, Any], flatten: bool) -> dict[str, Any]:
    if flatten:
        return {str(path): value for path, value in found.items()}
    nested: dict[Any, Any] = {}
    for path, value in found.items():
        level = nested
        for key in path[:-1]:
            level = level.setdefault(key, {})
        if path:
            level[path[-1]] = value
    return nested
