"""Functional edits by path: new values go in at the leaves, new nodes are made along the way up, all or none."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pgjax._errors import FieldTypeError, NoChangeError, PathError, note_place, show
from pgjax._keypath import Path
from pgjax.symbolic._bind import bind
from pgjax.symbolic._containers import List
from pgjax.symbolic._cycles import refuse_cycles
from pgjax.symbolic._locate import NOWHERE, Where, find_part, index_of, keys_of, location_of, no_such_part, part_of
from pgjax.symbolic._nodes import iter_parts
from pgjax.symbolic._rebuild import (
    Insertion as Insertion,
    fitted_child,
    is_trusted,
    rebuild,
    remade,
    with_atom,
    with_parts,
)
from pgjax.symbolic._spec import ATOMS

Updates = Mapping[Any, Any] | Callable[..., Any]
T = TypeVar('T')


def rebind(root: T, updates: Updates | None = None, /, *, raise_on_no_change: bool = True, **fields: Any) -> T:
    """A changed copy of any tree of objects, containers and arrays; see `Object.rebind`.

    >>> import pgjax as pg
    >>> pg.rebind({'a': [1, 2], 'b': 3}, {'a[0]': 10})
    {'a': [10, 2], 'b': 3}
    """
    return updated(root, updates, fields, raise_on_no_change)


def updated(root: Any, updates: Updates | None, fields: dict[str, Any], raise_on_no_change: bool) -> Any:
    """What `rebind` does, without the repacking of keywords."""
    if updates.__class__ is dict and len(updates) == 1 and not fields:  # type: ignore[arg-type]
        ((path, value),) = updates.items()  # type: ignore[union-attr]  a dict, as the line above says
        path, keys, last = _split(path) if path.__class__ is str else _split_path(Path.parse(path))
        return _set(root, path, keys, last, value) if path else value
    if updates is None and len(fields) == 1:
        ((name, value),) = fields.items()
        return _set(root, (name,), (), name, value)
    if updates is None and not fields:
        if raise_on_no_change:
            raise NoChangeError('rebind was given no updates. Pass paths and values, a rule, or field=value.')
        return root
    if callable(updates) and not isinstance(updates, Mapping):
        changed = apply_rule(root, updates)
        if changed is root and not fields and raise_on_no_change:
            raise NoChangeError(
                'The rule changed nothing: no part of the object made it return a new value. '
                'Check its condition, or pass raise_on_no_change=False.'
            )
        return apply(changed, {Path((name,)): value for name, value in fields.items()}) if fields else changed
    if updates is not None and not isinstance(updates, Mapping):
        raise FieldTypeError(
            f'rebind takes a mapping of paths, a rule, or field=value, not {type(updates).__name__} {show(updates)}; '
            "to replace the whole value write {'': value}."
        )
    paths = {Path.parse(key): value for key, value in (updates or {}).items()}
    paths.update({Path((name,)): value for name, value in fields.items()})
    return apply(root, paths)


def apply_rule(root: Any, rule: Callable[..., Any]) -> Any:
    """`root` with the parts replaced for which `rule` returns something else.

    The rule sees parts from the root down, and not inside what it has just replaced.
    """
    three = rule_arity(rule) == 3
    refuse_cycles(root)
    path: Path | None = Path()  # where the rule is; None while a node is made of what it returned
    try:
        result = rule(path, root, None) if three else rule(path, root)
        if result is not root:
            return result
        node, above, where, pending, edits, spine, trusted = root, path, None, iter_parts(root) or (), {}, {}, True
        stack: list[Any] = []  # of the nodes above: what is still to be looked at in them, and what has changed
        while True:
            for key, part in pending:
                path = _new_tuple(Path, above + (key,))  # noqa: RUF005  half the time of (*above, key)
                result = rule(path, part, node) if three else rule(path, part)
                if result is not part:
                    edits[key] = result
                elif part.__class__ not in ATOMS and (inner := iter_parts(part)) is not None:
                    stack.append((node, above, where, pending, edits, spine, trusted, key))
                    node, above, where, pending, edits, spine, trusted = part, path, (key, where), inner, {}, {}, True
                    break
            else:
                path, child, made, fits = None, node, node, True
                if edits or spine:
                    made, fits = remade(node, edits, spine, trusted, where), is_trusted(node, edits, trusted)
                if not stack:
                    return made
                node, above, where, pending, edits, spine, trusted, key = stack.pop()
                if made is not child:
                    spine[key] = made
                    trusted = trusted and fits
    except Exception as error:
        if path is not None:
            note_place(error, 'a rebind rule', path)
        raise


def rule_arity(rule: Callable[..., Any]) -> int:
    """2 for `rule(path, value)`, 3 for `rule(path, value, parent)`."""
    code = getattr(rule, '__code__', None)
    bare = not hasattr(rule, '__self__') and not hasattr(rule, '__wrapped__')
    if code is not None and bare and code.co_argcount in (2, 3) and not code.co_flags & inspect.CO_VARARGS:
        return code.co_argcount
    try:
        parameters = inspect.signature(rule).parameters.values()
    except (TypeError, ValueError):
        return 3
    kinds = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) or len(kinds) == 3:
        return 3
    if len(kinds) == 2:
        return 2
    raise FieldTypeError(f'A rebind rule takes (path, value) or (path, value, parent), not {len(kinds)} arguments.')


def apply(root: Any, updates: Mapping[Path, Any]) -> Any:
    """`root` with each path set to its value, all together or not at all."""
    if len(updates) == 1:
        ((path, value),) = updates.items()
        return set_one(root, path, value)
    return apply_tree(root, edit_tree(updates))


_item = tuple.__getitem__
_new_tuple = tuple.__new__


@functools.lru_cache(maxsize=4096)
def _split(text: str) -> tuple[Path, tuple[Any, ...], Any]:
    return _split_path(Path.parse(text))


def _split_path(path: Path) -> tuple[Path, tuple[Any, ...], Any]:
    """A path, the keys of the node to edit, and the key to edit in it."""
    return path, path[:-1], path.key


def set_one(root: Any, path: Path, value: Any) -> Any:
    """`root` with one path set, validated like any edit."""
    return _set(root, path, path[:-1], path[-1], value) if path else value


def _set(root: Any, path: tuple[Any, ...], keys: tuple[Any, ...], last: Any, value: Any) -> Any:
    """The way down, one validated edit, then one copy of each node on the way up.

    A node on the way is replaced by one of its own class, so most fields need no second look: only those whose
    specs look inside their values (`Spec.shallow` is False), or that hold placeholders, are validated again.
    This is the path that editing speed hangs on: no lists of parts, no messages, no look at siblings.
    """
    spine = _way_down(root, keys, path) if keys else [root]
    node = spine.pop()
    edit = getattr(node.__class__, '__pg_edit__', None)
    if edit is not None:
        child = with_atom(node, last, value)
        if child is NOWHERE:
            child = rebuild(node, {last: value}, {}, where=location_of(keys))
        trusted = edit[2] or not node.__class__.__pg_placeholder__
    else:
        child = with_parts(node, {last: value}, keys)
        trusted = False
    if child is node:
        return root
    while spine:
        node, key = spine.pop(), keys[len(spine)]
        kind = node.__class__
        if kind is List:
            items = [*node]
            items[key] = child
            child = _new_tuple(List, items)
        elif (edit := getattr(kind, '__pg_edit__', None)) is not None:
            copy, deep, plain = edit
            if not trusted or key in deep:
                child = fitted_child(kind, key, child, keys[: len(spine)])
                trusted = True
            child = copy(node, key, child)
            if not plain:
                trusted = not kind.__pg_placeholder__
                if kind.__pg_derives__:
                    bind(child)
        else:
            child = rebuild(node, {}, {key: child}, trusted)
    return child


def _way_down(root: Any, keys: tuple[Any, ...], path: tuple[Any, ...]) -> list[Any]:
    """The nodes from the root to the one under `keys`, both included."""
    node = root
    nodes = [root]
    try:
        for key in keys:
            kind = node.__class__
            if kind is List:
                node = _item(node, key)
            elif key in kind.__pg_fields__:
                node = node.__dict__[key]
            else:
                break
            nodes.append(node)
    except (AttributeError, IndexError, TypeError):
        pass
    for depth in range(len(nodes) - 1, len(keys)):  # other containers, and paths that lead nowhere
        nodes.append(part_of(nodes[-1], keys[depth], path, depth))
    return nodes


VALUE = object()  # the key of a new value in an edit tree


def edit_tree(updates: Mapping[Path, Any]) -> dict[Any, Any]:
    """Updates as a tree of dicts by key, in which a new value stands under VALUE.

    Raises:
      PathError: one update lies inside another.
    """
    tree: dict[Any, Any] = {}
    for path, value in updates.items():
        branch = branch_of(tree, path)
        if branch:
            raise _conflict(path, next(p for p in updates if p != path and p.startswith(path)))
        branch[VALUE] = value
    return tree


def branch_of(tree: dict[Any, Any], path: Path) -> dict[Any, Any]:
    """The branch of an edit tree at a path, made where there is none yet.

    Raises:
      PathError: the path leads into a new value.
    """
    for depth, key in enumerate(path):
        if VALUE in tree:
            raise _conflict(Path(path[:depth]), path)
        tree = tree.setdefault(key, {})
    return tree


def _conflict(a: Path, b: Path) -> PathError:
    return PathError(
        f'The updates {str(a)!r} and {str(b)!r} conflict: they mean the same part, or one lies inside the other. '
        'Keep one of them.'
    )


class _Frame:
    """A node whose children are being edited: what is still to be looked at, and what has changed."""

    __slots__ = ('edits', 'key', 'node', 'pending', 'spine', 'trusted', 'up', 'where')

    def __init__(self, node: Any, parts: Iterable[tuple[Any, Any]], key: Any, up: _Frame | None):
        self.node, self.key, self.up = node, key, up
        self.where: Where = (key, up.where) if up is not None else None
        self.pending = iter(parts)
        self.edits: dict[Any, Any] = {}
        self.spine: dict[Any, Any] = {}
        self.trusted = True

    def close(self) -> Any:
        """The node with its changes, handed on to the frame above."""
        made = remade(self.node, self.edits, self.spine, self.trusted, self.where)
        if made is not self.node and self.up is not None:
            self.up.spine[self.key] = made
            self.up.trusted = self.up.trusted and is_trusted(self.node, self.edits, self.trusted)
        return made


def apply_tree(root: Any, tree: dict[Any, Any]) -> Any:
    """`root` with the new values of an edit tree: dicts by key, in which a new value stands under VALUE.

    Bottom-up with a stack of its own: deep trees do not use Python's.
    """
    if not tree or VALUE in tree:
        return tree.get(VALUE, root)
    _refuse_aliases(root, tree, None)
    frames = [_Frame(root, tree.items(), None, None)]
    while True:
        frame = frames[-1]
        for key, edit in frame.pending:
            if VALUE in edit:
                frame.edits[key] = edit[VALUE]
            else:
                child = find_part(frame.node, key)
                if child is NOWHERE:
                    raise no_such_part(frame.node, key, keys_of(frame.where))
                _refuse_aliases(child, edit, (key, frame.where))
                frames.append(_Frame(child, edit.items(), key, frame))
                break
        else:
            made = frames.pop().close()
            if not frames:
                return made


def _refuse_aliases(node: Any, edit: Mapping[Any, Any], where: Where) -> None:
    """Two keys of one update may mean the same item, `[2]` and `[-1]` of three: neither may silently win."""
    if not isinstance(node, (list, tuple)) or len(edit) < 2:
        return
    seen: dict[int, Any] = {}
    for key in edit:
        index = index_of(node, key)
        position = index + len(node) if index is not None and index < 0 else index
        if position is not None and seen.setdefault(position, key) is not key:
            keys = keys_of(where)
            raise _conflict(Path((*keys, seen[position])), Path((*keys, key)))
