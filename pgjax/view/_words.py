"""Leaves as short, safe text: what terminals and pages have in common."""

from __future__ import annotations

from typing import Any

from pgjax._errors import shorten
from pgjax.symbolic import format_leaf

MOST_CHARACTERS = 2000  # of one leaf


def safe(text: str) -> str:
    r"""`text` with what cannot be printed written as an escape, the way `repr` does; lines stay.

    What a foreign `__repr__` returns can then neither drive a terminal nor hide or reorder what is beside it.

    >>> print(safe('red: \x1b[31m'))
    red: \x1b[31m
    """
    if all(map(str.isprintable, text.split('\n'))):
        return text
    return ''.join(c if c.isprintable() or c == '\n' else c.encode('unicode_escape').decode() for c in text)


def safe_line(text: str) -> str:
    """`safe` text on one line."""
    return safe(text).replace('\n', '\\n')


def leaf_text(value: Any) -> str:
    """A leaf on one line; a long one loses its middle."""
    return safe_line(shorten(format_leaf(value), MOST_CHARACTERS))
