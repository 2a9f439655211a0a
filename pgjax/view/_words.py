"""Leaves as short, safe text: what terminals and pages have in common."""

from __future__ import annotations

import re
from typing import Any

from pgjax._errors import shorten
from pgjax.symbolic import format_leaf

MOST_CHARACTERS = 2000  # of one leaf

# Control characters, and those that reorder or hide text: a value can neither drive a terminal nor disguise itself.
_UNSAFE = re.compile(
    '[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]'
)


def safe(text: str) -> str:
    r"""`text` with every character that could change how the rest is shown written as an escape; lines stay.

    >>> print(safe('red: \x1b[31m'))
    red: \x1b[31m
    """
    return _UNSAFE.sub(lambda match: match[0].encode('unicode_escape').decode(), text)


def leaf_text(value: Any) -> str:
    """A leaf on one line; a long one loses its middle."""
    return safe(shorten(format_leaf(value), MOST_CHARACTERS)).replace('\n', '\\n')
