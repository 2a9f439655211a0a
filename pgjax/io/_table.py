"""The table of a document: parts that stand in several places, and parts that are deep, each written once.

An entry refers to earlier ones alone, `{"_ref": 3}`, so that a reader needs no second look and a document of
ours is never nested deeper than 100 levels, whatever the depth of the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgjax._errors import CycleError
from pgjax._keypath import Path

HEIGHT = 64  # levels of JSON above which a part moves into the table


def linearize(root: Any, shared: set[int], made: dict[int, Any]) -> tuple[Any, list[Any]]:
    """Moves shared and deep parts of an encoded value into a table, children before parents.

    Raises:
      CycleError: the value contains itself.
    """
    nodes = {id(out) for out in made.values()}  # what may move: encoded values, not the inside of a marker
    table: list[Any] = []
    references: dict[int, dict[str, int]] = {}
    heights: dict[int, int] = {}
    frames: list[tuple[Any, Iterator[tuple[Any, Any]], Any]] = [(root, _slots(root), None)]
    heights[id(root)] = 0
    open_ids = {id(root)}
    while frames:
        parent, slots, own_key = frames[-1]
        for key, child in slots:
            if child.__class__ is not dict and child.__class__ is not list:
                continue
            if id(child) in open_ids:
                keys = [frame[2] for frame in frames[1:]]
                raise CycleError(f'{Path([*keys, key])}: the value contains itself, so it cannot be stored.')
            if id(child) not in heights:
                heights[id(child)] = 0
                open_ids.add(id(child))
                frames.append((child, _slots(child), key))
                break
            _place(parent, key, child, references, heights)
        else:
            frames.pop()
            open_ids.discard(id(parent))
            height = heights[id(parent)] = heights[id(parent)] + 1
            if frames:
                if id(parent) in nodes and (id(parent) in shared or height >= HEIGHT):
                    references[id(parent)] = {'_ref': len(table)}
                    table.append(parent)
                _place(frames[-1][0], own_key, parent, references, heights)
    return root, table


def _slots(container: Any) -> Iterator[tuple[Any, Any]]:
    return iter(list(container.items() if container.__class__ is dict else enumerate(container)))


def _place(parent: Any, key: Any, child: Any, references: dict[int, Any], heights: dict[int, int]) -> None:
    """Puts a finished child, or the reference to it, into its parent."""
    reference = references.get(id(child))
    if reference is not None:
        parent[key] = reference
    heights[id(parent)] = max(heights[id(parent)], 1 if reference is not None else heights[id(child)])
