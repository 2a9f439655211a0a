"""Parts of any pytree: what symbolic values and Python's containers hold, and one level of other libraries' nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from pgjax._errors import PathError
from pgjax._keypath import Path, from_jax_keys
from pgjax.symbolic import MISSING, Insertion, Placeholder, children
from pgjax.symbolic._rebuild import find_part, no_such_part, same
from pgjax.symbolic._spec import ATOMS, is_array
from pgjax.symbolic._update import apply


def foreign_parts(value: Any) -> list[tuple[Any, Any]] | None:
    """(key, part) of a node that another library registered with JAX; None for leaves and for our own nodes."""
    cls = value.__class__
    if cls in ATOMS or is_array(value) or isinstance(value, (type, Placeholder)) or children(value) is not None:
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
    flat, treedef = _one_level(node)
    assert flat is not None
    by_key: dict[Any, dict[Path, Any]] = {}
    for path, value in updates.items():
        by_key.setdefault(path[0], {})[Path(path[1:])] = value
    parts = []
    for path, part in flat:
        key = from_jax_keys(path)[-1]
        made = put(part, by_key.pop(key)) if key in by_key else part
        if made is MISSING or isinstance(made, Insertion):
            raise PathError(f'{where.child(key)}: {type(node).__name__} cannot gain or lose parts; set a value.')
        parts.append(part if same(part, made) else made)
    if by_key:
        raise no_such_part(node, next(iter(by_key)), where)
    unchanged = all(new is old for new, (_, old) in zip(parts, flat, strict=True))
    return node if unchanged else treedef.unflatten(parts)


def _one_level(value: Any) -> tuple[list[tuple[Any, Any]] | None, Any]:
    """JAX's own view of a node, one level deep: keyed parts and treedef; no parts for a leaf."""
    flat, treedef = jax.tree_util.tree_flatten_with_path(value, is_leaf=lambda part: part is not value)
    is_leaf = not flat or (len(flat) == 1 and not flat[0][0])
    return (None if is_leaf else flat), treedef
