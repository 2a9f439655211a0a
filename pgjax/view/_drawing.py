"""What the nodes of one tree share while it is drawn: how much of it may still be drawn, and what is marked in it."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from pgjax._keypath import Key, Path, format_keys
from pgjax.edit import Change

MAX_DEPTH = 20  # levels; treescope spends tens of Python frames on each
MAX_NODES = 5_000  # of one page: a thousand take treescope a third of a second


class Marks:
    """Differences by where they are seen in the newer of two values."""

    def __init__(self, changes: Iterable[Change] = ()):
        self.at: dict[str, Change] = {}
        self._removed: dict[str, list[Change]] = {}
        self._leads: set[str] = set()
        for change in changes:
            path = Path.parse(change.path)
            for depth in reversed(range(len(path))):
                above = format_keys(path[:depth])
                if above in self._leads:  # and so all that is above it
                    break
                self._leads.add(above)
            if change.kind == 'remove':
                self._removed.setdefault(str(path.parent), []).append(change)
            else:
                self.at[change.path] = change

    def __bool__(self) -> bool:
        return bool(self._leads or self.at)

    def leads_from(self, path: str | None) -> bool:
        """Whether something below `path` differs."""
        return path in self._leads

    def concern(self, path: str | None) -> bool:
        """Whether what stands at `path` differs, wholly or in part."""
        return path in self.at or path in self._leads

    def removed_from(self, path: str | None) -> Sequence[tuple[int | None, Change]]:
        """What is gone from the node at `path`, each with the index that now stands there (None in a dict)."""
        gone = self._removed.get(path, []) if path is not None else []
        keys = [Path.parse(change.path).key for change in gone]
        return [
            (key - i if isinstance(key, int) else None, c) for i, (key, c) in enumerate(zip(keys, gone, strict=True))
        ]


@dataclasses.dataclass
class Drawing:
    """A tree that is being drawn.

    Attributes:
      marks: what is shown as different.
      depth: the level of the node that is being drawn.
      left: how many nodes may still be drawn.
    """

    marks: Marks
    depth: int = 0
    left: int = MAX_NODES


_DRAWING: contextvars.ContextVar[Drawing | None] = contextvars.ContextVar('pgjax_drawing', default=None)


@contextlib.contextmanager
def one_level(marks: Marks | None = None) -> Iterator[Drawing]:
    """The drawing under way, one level further down; a new one at the root of a tree, or where `marks` are given."""
    above = _DRAWING.get()
    here = above if above is not None and marks is None else Drawing(marks or Marks())
    token = _DRAWING.set(here)
    here.depth += 1
    try:
        yield here
    finally:
        here.depth -= 1
        _DRAWING.reset(token)


def below(path: str | None, key: Key | None) -> str | None:
    """The printed path of a part; None where it cannot be reached by a path."""
    if path is None or key is None:
        return None
    text = format_keys((key,))
    return f'{path}.{text}' if path and not text.startswith('[') else path + text
