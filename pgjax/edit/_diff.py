"""The difference of two values, as a patch that turns one into the other and can be inverted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pgjax._keypath import Path, format_keys
from pgjax.edit._patch import Patch
from pgjax.edit._show_diff import show_change
from pgjax.edit._work import Value
from pgjax.symbolic import MISSING, List, Object, eq
from pgjax.symbolic._compare import PATIENCE
from pgjax.symbolic._cycles import refuse_cycles
from pgjax.symbolic._locate import keys_of, part_of
from pgjax.symbolic._nodes import fields_of, is_list
from pgjax.symbolic._object import new
from pgjax.symbolic._spec import ATOMS
from pgjax.symbolic._update import VALUE, apply_tree, branch_of, edit_tree

_ABSENT: Any = type('Absent', (), {'__slots__': ()})()
_SEEN: Any = object()  # in place of a way: all below the pair has been seen, before which so many changes were found
# Two values, one of which may be absent, and the way to them: (key, the way to what holds them), None at the root.
_Pair = tuple[Any, Any, Any]


class Change(Object, type_name='pgjax.Change'):
    """One difference.

    Attributes:
      kind: 'set', or for items of lists and dicts 'add' and 'remove'.
      path: where. The index of an item removed from a list counts in the old list, that of one added in the new.
      old: what was there; None for 'add'.
      new: what is there now; None for 'remove'.
    """

    kind: Literal['set', 'add', 'remove']
    path: str
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        return show_change(self.kind, self.path, self.old, self.new)


class Diff(Patch, type_name='pgjax.Diff'):
    """What `pg.diff` returns: a patch, false when empty, that prints like a diff.

    Attributes:
      changes: in the order of a walk from the root; none lies below another.

    >>> import pgjax as pg
    >>> change = pg.diff({'lr': 0.1, 'steps': 10}, {'lr': 0.2, 'steps': 10})
    >>> change.inverse()({'lr': 0.2, 'steps': 20})
    {'lr': 0.1, 'steps': 20}
    >>> [(str(c.path), c.kind, c.old, c.new) for c in change.changes]
    [('lr', 'set', 0.1, 0.2)]
    """

    __pg_whole__ = True

    changes: list[Change] = ()  # type: ignore[assignment]

    def inverse(self) -> Diff:
        """The patch back: `pg.patch(b, pg.diff(a, b).inverse()) == a`."""
        back = {'set': 'set', 'add': 'remove', 'remove': 'add'}
        return _diff_of(
            [new(Change, {'kind': back[c.kind], 'path': c.path, 'old': c.new, 'new': c.old}) for c in self.changes]
        )

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        return '\n'.join(map(str, self.changes)) or '(no differences)'

    def _rewrite(self, target: Any) -> Any:
        return Value(_apply_changes(target, self.changes))


def diff(a: Any, b: Any) -> Diff:
    """What differs between two values: objects, containers and arrays, equality being that of `pg.eq`.

    Parts that are the same object are not looked at, so the difference of an object and a changed copy takes time
    by the size of the change. Lists of different lengths are matched from both ends, and what is left over in the
    middle was added or removed there. Values of different classes differ as wholes.

    Args:
      a: the value before.
      b: the value after.

    Returns:
      A patch: `pg.patch(a, pg.diff(a, b)) == b`. It holds parts of `a` and `b` themselves, not copies.

    Raises:
      CycleError: one of them contains itself.

    >>> import pgjax as pg
    >>> a = pg.Dict(lr=0.1, widths=[64, 64])
    >>> d = diff(a, a.rebind({'lr': 0.2, 'widths[2]': 32}))
    >>> print(d)
    - lr: 0.1
    + lr: 0.2
    + widths[2]: 32
    >>> pg.patch(a, d)
    {'lr': 0.2, 'widths': [64, 64, 32]}
    >>> bool(diff(a, a))
    False
    """
    refuse_cycles(a)
    refuse_cycles(b)  # what is added is held by the difference
    found: list[Change] = []
    pending: list[_Pair] = [(a, b, None)]
    equal: set[int] = set()  # pairs of parts; only those that many turns have shown to be worth remembering
    for turn in itertools.count():
        if not pending:
            break
        x, y, way = pending.pop()
        if way is _SEEN:
            if len(found) == y:
                equal.add(x)
            continue
        if turn > PATIENCE:
            pair = id(x) << 64 | id(y)
            if pair in equal:
                continue
            pending.append((pair, len(found), _SEEN))
        mark, is_whole = len(pending), False
        kind = x.__class__
        ours = getattr(kind, '__pg_parts__', None) if kind is y.__class__ else None
        if ours is fields_of:
            left, right = x.__dict__, y.__dict__
            for name in kind.__pg_fields__:
                u, v = left[name], right[name]
                if u is not v:
                    is_whole = is_whole or u is MISSING or v is MISSING
                    pending.append((u, v, (name, way)))
        elif ours is enumerate and len(x) == len(y):
            for index, (u, v) in enumerate(zip(x, y)):  # noqa: B905
                if u is not v:
                    is_whole = is_whole or u is MISSING or v is MISSING
                    pending.append((u, v, (index, way)))
        elif x is _ABSENT or y is _ABSENT:
            found.append(_change('add', way, None, y) if x is _ABSENT else _change('remove', way, x, None))
        elif (below := _below(x, y, way)) is not None:
            is_whole = any(u is MISSING or v is MISSING for u, v, _ in below)
            pending += below
        else:
            is_whole = True
        if is_whole:  # no rebind could set one of these parts: there MISSING means the default
            del pending[mark:]
            found.append(_change('set', way, x, y))
        elif len(pending) > mark + 1:
            pending[mark:] = pending[mark:][::-1]
    return _diff_of(found)


def _below(x: Any, y: Any, way: Any) -> list[_Pair] | None:
    """What may differ inside two values; None where they differ as wholes."""
    if x.__class__ is y.__class__ and x.__class__ in ATOMS:
        return [] if x == y or (x != x and y != y) else None
    if isinstance(x, dict) and isinstance(y, dict):
        return _below_dicts(x, y, way)
    if isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)) and is_list(x) == is_list(y):
        return _below_sequences(x, y, way)
    return [] if eq(x, y) else None


def _unequal(keys: Iterable[Any], olds: Iterable[Any], news: Iterable[Any], way: Any) -> list[_Pair]:
    """The pairs that may differ."""
    return [(u, v, (key, way)) for key, u, v in zip(keys, olds, news, strict=False) if u is not v]


def _below_dicts(x: Mapping[Any, Any], y: Mapping[Any, Any], way: Any) -> list[_Pair] | None:
    if x.keys() == y.keys() and all(type(key) in (str, int) for key in x):
        return _unequal(x, x.values(), map(y.__getitem__, x), way)
    if any(type(key) not in (str, int) for key in (*x, *y)):
        return [] if eq(x, y) else None  # no path names such a key
    keys = dict.fromkeys((*x, *y))
    return _unequal(keys, (x.get(key, _ABSENT) for key in keys), (y.get(key, _ABSENT) for key in keys), way)


def _below_sequences(x: Any, y: Any, way: Any) -> list[_Pair] | None:
    if len(x) == len(y):
        return _unequal(itertools.count(), x, y, way)
    if hasattr(x, '_fields') or hasattr(y, '_fields'):
        return None
    x, y = tuple(x), tuple(y)
    shorter = min(len(x), len(y))
    tail = 0
    while tail < shorter and eq(x[-1 - tail], y[-1 - tail]):
        tail += 1
    split = shorter - tail  # up to here items are matched from the front
    removed, added = x[split : len(x) - tail], y[split : len(y) - tail]
    keys = (*range(split), *range(split, split + len(removed)), *range(split, split + len(added)))
    olds = (*x[: split + len(removed)], *[_ABSENT] * len(added))
    return _unequal(keys, olds, (*y[:split], *[_ABSENT] * len(removed), *added), way)


def _change(kind: str, way: Any, old: Any, new_value: Any) -> Change:
    return new(Change, {'kind': kind, 'path': format_keys(keys_of(way)), 'old': old, 'new': new_value})


def _diff_of(changes: list[Change]) -> Diff:
    return new(Diff, {'changes': List._of(changes)})


def _apply_changes(root: Any, changes: Any) -> Any:
    """`root` with all changes, in one validated edit; lists that grow or shrink are rebuilt first, inner ones first."""
    updates: dict[Path, Any] = {}
    spliced: dict[Path, list[tuple[int, Change]]] = {}
    for change in changes:
        path = Path.parse(change.path)
        if change.kind == 'set':
            updates[path] = change.new
        elif isinstance(_part(root, path.parent), (list, tuple)):
            spliced.setdefault(path.parent, []).append((int(path[-1]), change))
        else:
            updates[path] = change.new if change.kind == 'add' else MISSING
    tree = edit_tree(updates)
    for path in sorted(spliced, key=len, reverse=True):
        branch = branch_of(tree, path)
        whole = _splice(apply_tree(_part(root, path), branch), spliced[path])
        branch.clear()
        branch[VALUE] = whole
    return apply_tree(root, tree)


def _part(root: Any, path: Path) -> Any:
    for depth, key in enumerate(path):
        root = part_of(root, key, path, depth)
    return root


def _splice(node: Any, changes: list[tuple[int, Change]]) -> Any:
    """A list without what was removed from it (by old index) and with what was added (by new index)."""
    items = list(node)
    changes = sorted(changes, key=lambda indexed: indexed[0])
    for index in [index for index, change in changes if change.kind == 'remove'][::-1]:
        part_of(node, index, (index,), 0)
        del items[index]
    for index, change in changes:
        if change.kind == 'add':
            items.insert(index, change.new)
    return List._of(items) if type(node) is List else type(node)(items)
