"""`exp.at(lambda e: e.optimizer.lr)`: one part of one object, typed, so that a misspelt path is a type error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from pgjax._errors import PathError, show
from pgjax._keypath import Path
from pgjax.edit._lens import Lens, lens
from pgjax.symbolic import Object

S = TypeVar('S')
T = TypeVar('T')


class Focus(Generic[S, T]):
    """One part of one object; made by `at`. Setting it returns a changed copy of the whole object.

    >>> import pgjax as pg
    >>> rate = pg.at(pg.Dict(optimizer={'lr': 0.1}, steps=10), lambda e: e.optimizer.lr)
    >>> rate, rate.get(), str(rate.path)
    (<'optimizer.lr' of {'optimizer': {'lr': 0.1}, 'steps': 10}>, 0.1, 'optimizer.lr')
    >>> rate.set(0.2)
    {'optimizer': {'lr': 0.2}, 'steps': 10}
    """

    __slots__ = ('_lens', '_root')

    def __init__(self, root: S, way: Lens):
        self._root, self._lens = root, way

    @property
    def path(self) -> Path:
        """Where the part is."""
        return Path(self._lens.steps)

    def get(self) -> T:
        """The part."""
        return self._lens.get(self._root)

    def set(self, value: T) -> S:
        """The object with another value there; see `Object.rebind`."""
        return self._lens.set(self._root, value)

    def modify(self, function: Callable[[T], T]) -> S:
        """The object with `function` applied there."""
        return self._lens.modify(self._root, function)

    def __repr__(self) -> str:
        return f'<{str(self.path) or "root"!r} of {show(self._root)}>'


@overload
def at(root: S, selector: Callable[[S], T]) -> Focus[S, T]: ...
@overload
def at(root: S, selector: str | Path) -> Focus[S, Any]: ...
def at(root: Any, selector: Any) -> Focus[Any, Any]:
    """One part of `root`, to read, set or map; `exp.at(...)` on objects.

    Args:
      root: any pytree.
      selector: a function that reads the part by attributes and indices, or a path.

    Returns:
      A focus with `.get()`, `.set(value)`, `.modify(function)` and `.path`.

    Raises:
      PathError: the selector does more than read a part, or there is no such part.

    >>> import pgjax as pg
    >>> class Adam(pg.Object):
    ...   lr: float = 1e-3
    >>> Adam().at(lambda a: a.lr).set(0.01)
    Adam(lr=0.01)
    >>> at(pg.Dict(optimizer=Adam()), lambda e: e.optimizer.lr).modify(lambda lr: 2 * lr)
    {'optimizer': Adam(lr=0.002)}
    """
    way = lens(selector)
    if way.is_many:
        raise PathError(f'at() leads to one part; {selector!r} has patterns. Use pg.lens({selector!r}).')
    way.get(root)
    return Focus(root, way)


Object.at = at  # type: ignore[method-assign]  declared there, written here: floors know only what is below them
