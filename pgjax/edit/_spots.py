"""Parts of a value with the way to them, and the value with such parts replaced: one pass from the leaves up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pgjax._keypath import Path
from pgjax.edit._parts import foreign_parts, with_foreign_parts
from pgjax.symbolic._locate import Where, keys_of
from pgjax.symbolic._rebuild import is_trusted, remade


class Spot:
    """A part and the way to it; the path is spelled out only when asked for, since most parts are no focus.

    Attributes:
      where: the way from the root, as `(key, way to the parent)`.
      edits: new values by key, once something in the part changes.
      spine: rebuilt children by key.
      trusted: whether these surely fit.
    """

    __slots__ = ('edits', 'key', 'parent', 'spine', 'trusted', 'value', 'where')

    def __init__(self, parent: Spot | None, key: Any, value: Any):
        self.parent, self.key, self.value = parent, key, value
        self.where: Where = None if parent is None else (key, parent.where)
        self.edits: dict[Any, Any] | None = None
        self.spine: dict[Any, Any] = {}
        self.trusted = True

    @property
    def path(self) -> Path:
        """The keys from the root."""
        return Path(keys_of(self.where))

    def made(self) -> Any:
        """The part with its changes."""
        edits = self.edits or {}
        if foreign_parts(self.value) is not None:
            return with_foreign_parts(self.value, {**edits, **self.spine}, keys_of(self.where))
        return remade(self.value, edits, self.spine, self.trusted, self.where)


def put_spots(root: Any, changes: Iterable[tuple[Spot, Any]]) -> Any:
    """`root` with new values in some of its spots; all together or none.

    Args:
      root: the value.
      changes: (spot, new value) in the order of a walk from the root; no spot lies inside another.

    Raises:
      PathError: a part of another library's node would come or go.
      FieldTypeError, FieldValueError: a value does not fit its field.
    """
    stack: list[Spot] = []
    for spot, value in changes:
        if spot.parent is None:
            return value
        _enter(spot.parent, stack)
        spot.parent.edits[spot.key] = value  # type: ignore[index]
    made = root
    while stack:
        made = _leave(stack)
    return made


def _enter(spot: Spot, stack: list[Spot]) -> None:
    """Brings a spot to the top of the stack: leaves those that are done, and enters those on the way."""
    way: list[Spot] = []
    here: Spot | None = spot
    while here is not None and here.edits is None:
        here.edits = {}
        way.append(here)
        here = here.parent
    while stack and stack[-1] is not here:
        _leave(stack)
    stack.extend(reversed(way))


def _leave(stack: list[Spot]) -> Any:
    """Makes the last part on the stack and hands it to the one above."""
    spot = stack.pop()
    made = spot.made()
    if made is not spot.value and stack:
        above = stack[-1]
        above.spine[spot.key] = made
        above.trusted = above.trusted and is_trusted(spot.value, spot.edits, spot.trusted)
    return made
