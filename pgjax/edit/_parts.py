"""Parts of any pytree: what symbolic values and Python's containers hold, and one level of other libraries' nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from pgjax._errors import PathError
from pgjax._keypath import Path, from_jax_keys
from pgjax.symbolic import MISSING, Insertion, Placeholder
from pgjax.symbolic._locate import find_part, no_such_part
from pgjax.symbolic._rebuild import same
from pgjax.symbolic._spec import ATOMS, is_array
from pgjax.symbolic._update import apply

_NEVER_FOREIGN = (tuple, list, dict, type, Placeholder)


def foreign_parts(value: Any) -> list[tuple[Any, Any]] | None:
    """(key, part) of a node that another library registered with JAX; None for leaves and for our own nodes."""
    cls = value.__class__
    if cls in ATOMS or hasattr(cls, '__pg_parts__') or isinstance(value, _NEVER_FOREIGN) or is_array(value):
        return None
    flat, _ = _one_level(value)
    return None if flat is None else [(from_jax_keys(path)[-1], part) for path, part in flat]


def put(root: Any, updates: Mapping[Path, Any]) -> Any:
    """`root` with new values at paths that may lead through other libraries' nodes; all together or none.

    Raises:
      PathError: a path leads nowhere.
      FieldTypeError, FieldValueError: a value does not fit its field.
    """
    ours: dict[Path, Any] = {}
    theirs: dict[Path, tuple[Any, dict[Path, Any]]] = {}  # by the path of the first foreign node on the way
    for path, value in updates.items():
        node = root
        for depth, key in enumerate(path):
            if foreign_parts(node) is not None:
                _, below = theirs.setdefault(Path(path[:depth]), (node, {}))
                below[Path(path[depth:])] = value
                break
            node = find_part(node, key)
        else:
            ours[path] = value
    for path, (node, below) in theirs.items():
        ours[path] = _with_foreign(node, below, path)
    return apply(root, ours)


def _with_foreign(node: Any, updates: Mapping[Path, Any], where: Path) -> Any:
    """A foreign node with some of what is below it replaced; `node` itself where nothing changes."""
    by_key: dict[Any, dict[Path, Any]] = {}
    for path, value in updates.items():
        by_key.setdefault(path[0], {})[Path(path[1:])] = value
    parts = dict(foreign_parts(node) or ())
    return with_foreign_parts(
        node, {k: put(parts[k], below) if k in parts else below for k, below in by_key.items()}, where
    )


def with_foreign_parts(node: Any, edits: Mapping[Any, Any], where: tuple[Any, ...]) -> Any:
    """A foreign node with some of its parts replaced; `node` itself where nothing changes.

    Raises:
      PathError: there is no such part, or it would come or go.
    """
    flat, treedef = _one_level(node)
    parts = {from_jax_keys(path)[-1]: part for path, part in flat or ()}
    for key, made in edits.items():
        if key not in parts:
            raise no_such_part(node, key, where)
        if made is MISSING or isinstance(made, Insertion):
            raise PathError(f'{Path((*where, key))}: {type(node).__name__} cannot gain or lose parts; set a value.')
    changed = {key: made for key, made in edits.items() if not same(parts[key], made)}
    return treedef.unflatten({**parts, **changed}.values()) if changed else node


def _one_level(value: Any) -> tuple[list[tuple[Any, Any]] | None, Any]:
    """JAX's own view of a node, one level deep: keyed parts and treedef; no parts for a leaf."""
    flat, treedef = jax.tree_util.tree_flatten_with_path(value, is_leaf=lambda part: part is not value)
    is_leaf = not flat or (len(flat) == 1 and not flat[0][0])
    return (None if is_leaf else flat), treedef
