"""Differences as text: lines that begin with - and +, arrays summarised."""

from __future__ import annotations

from typing import Any

import numpy as np

from pgjax._errors import shorten
from pgjax.symbolic import format_
from pgjax.symbolic._compare import host_array
from pgjax.symbolic._spec import is_array

_MOST = 200  # characters of a value


def show_change(kind: str, path: str, old: Any, new: Any) -> str:
    """One change, as one line or two."""
    label = path or '(root)'
    lines = [] if kind == 'add' else [f'- {label}: {_show(old)}']
    if kind != 'remove':
        lines.append(f'+ {label}: {_show(new)}{_distance(old, new) if kind == "set" else ""}')
    return '\n'.join(lines)


def _show(value: Any) -> str:
    return shorten(format_(value), _MOST)


def _distance(old: Any, new: Any) -> str:
    """How far apart two arrays of one shape are."""
    if not (is_array(old) and is_array(new) and old.shape == new.shape and old.size):
        return ''
    try:
        a, b = host_array(old), host_array(new)
        if not (np.issubdtype(a.dtype, np.number) and np.issubdtype(b.dtype, np.number)):
            return f'  ({int(np.sum(a != b))} of {a.size} elements differ)'
        with np.errstate(invalid='ignore', over='ignore'):
            apart = np.abs(a.astype(complex) - b.astype(complex))
        return f'  (largest difference {np.max(apart, where=~np.isnan(apart), initial=0.0):.3g})'
    except (TypeError, ValueError, AttributeError):  # traced, or only a shape: there is nothing to compare
        return ''
