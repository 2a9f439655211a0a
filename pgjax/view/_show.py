"""Shows values in the terminal."""

from __future__ import annotations

from typing import IO, Any

from pgjax.view._compare import Comparison
from pgjax.view._terminal import Terminal


def show(value: Any, *, file: IO[str] | None = None) -> None:
    """Prints a value in colours, as wide as the terminal; without colours where there is none.

    PyGlove's `pg.print(x)`, and with a query its `pg.inspect`: `show(pg.query(x, ...))`.

    Args:
      value: anything: an experiment, a difference, a comparison, what a query found.
      file: where to; standard output unless told otherwise.

    >>> import pgjax as pg
    >>> pg.view.show(pg.query({'a': {'x': 1}, 'b': {'x': 2}}, '.*x'))
    {'a.x': 1, 'b.x': 2}
    """
    from rich.console import Console

    Console(file=file).print(value if isinstance(value, Comparison) else Terminal(value))
