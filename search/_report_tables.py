"""The tables and paragraphs of a report as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pgjax.symbolic import format_
from pgjax.view._svg import safe

_MOST_CODE = 20_000  # characters of an experiment


def section(name: str, title: str, *parts: str) -> str:
    """A part of the page that the navigation leads to."""
    return f'<section id="{name}">\n<h2>{safe(title)}</h2>\n' + '\n'.join(p for p in parts if p) + '\n</section>'


def note(words: str) -> str:
    """A remark."""
    return f'<p class="note">{safe(words)}</p>'


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], words: Iterable[int] = (), *, sorts: bool = False
) -> str:
    """A table.

    Args:
      heads: names of the columns.
      rows: cells as text.
      words: columns that hold words, which begin at the left; numbers end at the right.
      sorts: whether a click on a name sorts the rows.
    """
    left = set(words)
    mark = [' class="words"' if i in left else '' for i in range(len(heads))]
    head = ''.join(f'<th scope="col"{m}>{safe(name)}</th>' for m, name in zip(mark, heads, strict=True))
    body = ''.join(
        '<tr>' + ''.join(f'<td{m}>{safe(cell)}</td>' for m, cell in zip(mark, row, strict=True)) + '</tr>\n'
        for row in rows
    )
    kind = ' class="sorts"' if sorts else ''
    return f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def code(value: Any) -> str:
    """A value as the code that builds it."""
    written = format_(value, width=88)
    if len(written) <= _MOST_CODE:
        return f'<pre>{safe(written)}</pre>'
    cut = len(written) - _MOST_CODE
    return f'<pre>{safe(written[:_MOST_CODE])}</pre>' + note(f'{cut:,} more characters are left out.')


def folded(title: str, content: str) -> str:
    """Something that is shown on a click."""
    return f'<details><summary>{safe(title)}</summary>{content}</details>'


def numbers(items: Iterable[tuple[str, str]], first: int) -> str:
    """Figures with their names; the `first` ones stand out."""
    mark = ' class="first"'
    listed = ''.join(
        f'<li{mark if i < first else ""}><b>{safe(value)}</b><span>{safe(name)}</span></li>'
        for i, (name, value) in enumerate(items)
    )
    return f'<ul class="numbers">{listed}</ul>'


def left_out(shown: int, total: int, what: str) -> str:
    """How much of something is not there, if any."""
    return note(f'Shown: {shown:,} of {total:,} {what}; {total - shown:,} are left out.') if shown < total else ''
