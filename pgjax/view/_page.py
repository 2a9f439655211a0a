"""One HTML file that needs nothing else: no server, no network, no other file."""

from __future__ import annotations

import dataclasses
import html
import os
from typing import Any

from pgjax._errors import shorten
from pgjax.io import write_atomic
from pgjax.symbolic import children, format_
from pgjax.view._compare import Comparison
from pgjax.view._words import safe

# Treescope's page runs scripts of its own; that nothing is fetched, browsers see to by this policy.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    'img-src data:; font-src data:'
)
_STYLE = 'body{margin:2rem;font-family:system-ui,sans-serif}h1{font-size:1.1rem;font-weight:600}pre{overflow:auto}'
_MOST_PLAIN = 5_000  # nodes of a value that is also shown as text, where scripts are switched off
_MOST_CHARACTERS = 200_000  # of that text


def to_html(value: Any, *, title: str | None = None) -> str:
    """A page that shows a value as a tree that folds and unfolds.

    A class that wants another picture defines `__treescope_repr__`. PyGlove's controls (tabs, badges, tooltips) have no
    counterpart.

    Args:
      value: anything: an experiment, a comparison, a container of some.
      title: of the page; the name of the value's class unless told otherwise.

    Returns:
      The page as text. Opened anywhere, it asks for nothing outside itself.

    >>> import pgjax as pg
    >>> pg.view.to_html(pg.Dict(lr=0.1)).startswith('<!doctype html>')
    True
    """
    name = html.escape(safe(type(value).__name__ if title is None else title))
    plain = html.escape(safe(_plain(value)))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{name}</title><style>{_STYLE}</style></head>\n'
        f'<body><h1>{name}</h1>\n{fragment(value)}\n<noscript><pre>{plain}</pre></noscript></body></html>\n'
    )


def write_html(value: Any, path: str | os.PathLike[str], *, title: str | None = None) -> str:
    """Writes the page of `to_html`, in one step: a reader sees the old page or the new one.

    Returns:
      The path as text.

    Raises:
      StudyWriteError: the page cannot be written.
    """
    write_atomic(path, to_html(value, title=title).encode())
    return os.fsdecode(path)


def fragment(value: Any) -> str:
    """What a notebook shows: the tree without a page around it."""
    import treescope

    renderer = treescope.active_renderer.get()
    # Foreign objects may bring HTML of their own, with requests and scripts in it; their repr says enough.
    hooks = [h for h in renderer.wrapper_hooks if h is not treescope.handlers.append_repr_html_when_present]
    with treescope.active_renderer.set_scoped(dataclasses.replace(renderer, wrapper_hooks=hooks)):
        try:
            return treescope.render_to_html(value)
        except Exception:  # a foreign value outside our trees, whose __repr__ may raise anything
            return f'<pre>{html.escape(safe(_plain(value)))}</pre>'


def _plain(value: Any) -> str:
    """The value as code, where there is not too much of it: pages are read without scripts, too."""
    if isinstance(value, Comparison):
        return str(value.diff)
    pending, seen = [value], 0
    while pending and seen < _MOST_PLAIN:
        seen += 1
        pending += [part for _, part in children(pending.pop()) or ()]
    if pending:
        return 'Too large to be shown without scripts.'
    return shorten(format_(value, width=100), _MOST_CHARACTERS)
