"""Walking through a value with callbacks, and standing in it with a cursor."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from pgjax._errors import PathError, note_place
from pgjax._keypath import Path
from pgjax.symbolic._cycles import refuse_cycles
from pgjax.symbolic._nodes import children
from pgjax.symbolic._query import get
from pgjax.symbolic._spec import ATOMS
from pgjax.symbolic._update import apply


class TraverseAction(enum.Enum):
    """What a visitor of `pg.traverse` wants next.

    Attributes:
      ENTER: to go on, inside too.
      CONTINUE: to go on, but not inside.
      STOP: to see nothing more.

    >>> import pgjax as pg
    >>> seen = []
    >>> def visit(path, value, parent):
    ...   seen.append(str(path))
    ...   return pg.TraverseAction.CONTINUE if path.key == 'a' else pg.TraverseAction.ENTER
    >>> pg.traverse({'a': [1, 2], 'b': 3}, visit), seen
    (True, ['', 'a', 'b'])
    """

    ENTER = 'enter'
    CONTINUE = 'continue'
    STOP = 'stop'


Visitor = Callable[[Path, Any, Any], TraverseAction | None]


def traverse(value: Any, pre: Visitor | None = None, post: Visitor | None = None) -> bool:
    """Visits each part of a value, parents before their parts (`pre`) and after them (`post`).

    Args:
      value: any tree of objects and containers.
      pre: called with `(path, value, parent)`; returns a `TraverseAction`, None meaning ENTER.
      post: the same, after the parts; CONTINUE from `pre` skips the parts but not `post`.

    Returns:
      False if a visitor stopped the walk, else True.

    Raises:
      CycleError: the value contains itself.

    >>> import pgjax as pg
    >>> seen = []
    >>> pg.traverse({'a': [1, 2]}, lambda path, value, parent: seen.append(str(path)))
    True
    >>> seen
    ['', 'a', 'a[0]', 'a[1]']
    """
    refuse_cycles(value)
    pending: list[tuple[Path, Any, Any, bool]] = [(Path(), value, None, False)]
    while pending:
        path, node, parent, is_leaving = pending.pop()
        visitor = post if is_leaving else pre
        try:
            action = None if visitor is None else visitor(path, node, parent)
        except Exception as error:
            note_place(error, 'a visitor', path)
            raise
        if action is TraverseAction.STOP:
            return False
        if is_leaving:
            continue
        if post is not None:
            pending.append((path, node, parent, True))
        if action is not TraverseAction.CONTINUE and node.__class__ not in ATOMS:
            parts = children(node) or ()
            pending.extend((Path((*path, key)), part, node, False) for key, part in reversed(parts))
    return True


class Cursor:
    """A place in a tree: objects have no parent pointers, so the way up is remembered here.

    >>> import pgjax as pg
    >>> place = pg.cursor(pg.Dict(a=pg.Dict(b=1, c=2)), 'a.b')
    >>> place.value, place.up().value, str(place.path)
    (1, {'b': 1, 'c': 2}, 'a.b')
    >>> place.set(5).up().down('c').set(6).root
    {'a': {'b': 5, 'c': 6}}
    """

    __slots__ = ('_path', '_root')

    def __init__(self, root: Any, path: Path):
        self._root, self._path = root, path
        get(root, path)

    @property
    def root(self) -> Any:
        """The whole tree, with all that was set."""
        return self._root

    @property
    def path(self) -> Path:
        """Where the cursor stands."""
        return self._path

    @property
    def value(self) -> Any:
        """What stands there."""
        return get(self._root, self._path)

    def up(self, levels: int = 1) -> Cursor:
        """The cursor at the parent, or `levels` further up.

        Raises:
          PathError: the root has no parent.
        """
        if levels > len(self._path):
            raise PathError(f'{str(self._path)!r} is {len(self._path)} levels below the root; cannot go up {levels}.')
        return Cursor(self._root, Path(self._path[: len(self._path) - levels]))

    def down(self, path: Any) -> Cursor:
        """The cursor further down. Raises PathError where the path leads nowhere."""
        return Cursor(self._root, Path((*self._path, *Path.parse(path))))

    def ancestor(self, where: Callable[[Any], bool] | type) -> Cursor | None:
        """The cursor at the nearest node above that is of a class, or for which `where` is true; None without one."""
        fits = (lambda value: isinstance(value, where)) if isinstance(where, type) else where
        place = self
        while place.path:
            place = place.up()
            if fits(place.value):
                return place
        return None

    def set(self, value: Any) -> Cursor:
        """The cursor at the same place of the tree in which `value` stands there."""
        return Cursor(apply(self._root, {self._path: value}), self._path)

    def map(self, function: Callable[[Any], Any]) -> Cursor:
        """The cursor at the same place of the tree with `function` applied there."""
        return self.set(function(self.value))

    def __repr__(self) -> str:
        return f'Cursor({str(self._path)!r}: {self.value!r})'


def cursor(root: Any, path: Any = '') -> Cursor:
    """A place in a tree that knows its way up; see `Cursor`.

    Args:
      root: any tree of objects and containers.
      path: where to stand.

    Raises:
      PathError: the path leads nowhere.

    >>> import pgjax as pg
    >>> pg.cursor({'a': [1, 2]}, 'a[1]').set(3).root
    {'a': [1, 3]}
    """
    return Cursor(root, Path.parse(path))
