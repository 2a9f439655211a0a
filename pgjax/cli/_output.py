"""What commands print: text that cannot drive a terminal, tables as wide as they need, failures in words."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgjax._errors import PgjaxError
from pgjax.view._words import safe, safe_line

_WIDEST = 1_000_000  # characters of a line where no terminal folds it


class OutputError(PgjaxError, OSError):
    """What a command prints cannot be written."""


def say(text: str) -> None:
    """Prints a text in which names, paths and reprs are somebody else's."""
    print_result(safe(text))


def print_result(text: str) -> None:
    """Prints a text as it is: what a program of the user returned."""
    with _writing():
        print(text)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table: folded to the width of a terminal, and elsewhere, where programs read it, a line a row."""
    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(safe_line(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=Console(width=_WIDEST).measure(table).maximum)
    with _writing():
        console.print(table)


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """What is printed meanwhile is all written in the end, as escapes where the encoding lacks a character.

    A reader that has left, as `head` does when it has seen enough, is no failure.

    Raises:
      OutputError: it cannot be written.
    """
    stream = sys.stdout
    with _escaping(stream):
        try:
            yield
            if stream is not None:  # it is None where it was closed before the start
                with _writing():
                    stream.flush()
        except BrokenPipeError:
            _drop(stream)
        except OutputError:
            _drop(stream)
            raise


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f'Cannot write to standard output: {error.strerror or error}.') from error


@contextlib.contextmanager
def _escaping(stream: Any) -> Iterator[None]:
    if not isinstance(stream, io.TextIOWrapper) or stream.errors != 'strict':
        yield
        return
    stream.reconfigure(errors='backslashreplace')
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it writes what is left, and whoever has not been told of that is by now
            stream.reconfigure(errors='strict')


def _drop(stream: Any) -> None:
    """Leads what is still to be written to nowhere, or the interpreter would fail on it as it ends."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, 'wb') as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
