"""Pickles of any depth: pickle calls itself for each level, so deep nodes go into a table, children first.

Parts of few levels stay what they are: pickle itself keeps what is shared among them, within a value and beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgjax.symbolic._nodes import is_node, iter_parts
from pgjax.symbolic._spec import ATOMS

HEIGHT = 64  # levels that are left to pickle; Python's recursion limit is some 250 of them


def reduce_node(self: Any) -> Any:
    """`__reduce__` of symbolic nodes; `_pg_reduced` says how a class stores one of them: its parts come last."""
    return (_restore_table, (_table(self),)) if _height(self, {}) > HEIGHT else self._pg_reduced()


class NodeReference:
    """An earlier entry of the table."""

    __slots__ = ('index',)

    def __init__(self, index: int):
        self.index = index

    def __reduce__(self) -> Any:
        return (NodeReference, (self.index,))


def _table(root: Any) -> list[Any]:
    """What makes each deep node below `root`, and at last `root`; parts that are deep themselves are references."""
    table: list[Any] = []
    heights: dict[int, int] = {}
    places: dict[int, NodeReference] = {}
    frames = [(root, _deep_parts(root, heights))]
    while frames:
        node, pending = frames[-1]
        part = next((part for part in pending if id(part) not in places), None)
        if part is not None:
            frames.append((part, _deep_parts(part, heights)))
            continue
        frames.pop()
        function, (*first, parts) = _reduced_tuple(node) if _is_plain_tuple(node) else node._pg_reduced()
        table.append((function, first, {key: places.get(id(part), part) for key, part in parts.items()}))
        places[id(node)] = NodeReference(len(table) - 1)
    return table


def _restore_table(table: list[Any]) -> Any:
    made: list[Any] = []
    for function, first, parts in table:
        whole = {key: made[part.index] if part.__class__ is NodeReference else part for key, part in parts.items()}
        made.append(function(*first, whole))
    return made[-1]


def _deep_parts(node: Any, heights: dict[int, int]) -> Iterator[Any]:
    """The parts that go into the table; not those of classes that pickle in a way of their own."""
    for _, part in iter_parts(node) or ():
        is_table_kind = _is_plain_tuple(part) or type(part).__reduce__ is reduce_node
        if is_table_kind and _height(part, heights) > HEIGHT:
            yield part


def _is_plain_tuple(node: Any) -> bool:
    return isinstance(node, tuple) and not hasattr(node.__class__, '__pg_node__')


def _reduced_tuple(node: tuple[Any, ...]) -> Any:
    return _restore_tuple, (node.__class__, dict(enumerate(node)))


def _restore_tuple(cls: Any, items: dict[int, Any]) -> Any:
    return cls._make(items.values()) if hasattr(cls, '_make') else cls(items.values())


def _height(root: Any, others: dict[int, int]) -> int:
    """The number of levels below and with `root`. Symbolic nodes remember theirs, `others` that of the rest."""
    pending = [root]
    while (known := _known_height(root, others)) is None:
        node = pending[-1]
        parts = [part for _, part in iter_parts(node) or () if part.__class__ not in ATOMS]
        unknown = [part for part in parts if _known_height(part, others) is None]
        if unknown:
            pending.extend(unknown)
            continue
        pending.pop()
        height = 1 + max((_known_height(part, others) or 0 for part in parts), default=0)
        if is_node(node):
            node.__dict__['_pg_height'] = height
        else:
            others[id(node)] = height
    return known


def _known_height(node: Any, others: dict[int, int]) -> int | None:
    return node.__dict__.get('_pg_height') if is_node(node) else others.get(id(node))
