"""Two values side by side: a table in terminals, a marked tree on pages."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from pgjax._errors import shorten
from pgjax.edit import Diff, diff
from pgjax.symbolic import format_
from pgjax.view._drawing import Marks
from pgjax.view._terminal import highlight
from pgjax.view._tree import marked_tree

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_MOST = 300  # characters of a value in the table


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` returns: two values and their difference, to look at. It is false where they are equal."""

    before: Any
    after: Any

    @functools.cached_property
    def diff(self) -> Diff:
        """The difference as a patch."""
        return diff(self.before, self.after)

    def __bool__(self) -> bool:
        return bool(self.diff)

    def __repr__(self) -> str:
        return str(self.diff)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A table with a row for each difference."""
        from rich.table import Table

        del console, options
        changes = self.diff.changes
        title = f'{len(changes)} difference{"" if len(changes) == 1 else "s"}'
        table = Table('path', 'before', 'after', title=title, title_justify='left')
        for change in changes:
            before = '' if change.kind == 'add' else highlight(shorten(format_(change.old), _MOST))
            after = '' if change.kind == 'remove' else highlight(shorten(format_(change.new), _MOST))
            table.add_row(highlight(change.path or '(root)'), before, after)
        yield table

    def __treescope_repr__(self, path: str | None, subtree_renderer: Any) -> Any:
        """The later value as a tree, unfolded where it differs."""
        del path  # paths are those of the compared values
        return marked_tree(self.after, Marks(self.diff.changes), subtree_renderer)


def compare(before: Any, after: Any) -> Comparison:
    """Two values to look at side by side; `pg.diff` is the same as a patch.

    >>> import pgjax as pg
    >>> comparison = pg.view.compare(pg.Dict(lr=0.1, steps=5), pg.Dict(lr=0.2, steps=5))
    >>> comparison
    - lr: 0.1
    + lr: 0.2
    >>> bool(comparison), comparison.diff.changes[0].path
    (True, 'lr')
    """
    return Comparison(before, after)
