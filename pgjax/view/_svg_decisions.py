"""The plots of decisions: parallel coordinates coloured by fitness, and how much each decision explains."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pgjax.view._svg import NOTHING, Scale, clip, number, safe, svg, text
from pgjax.view._svg_trials import thinned
from pgjax.view._trials import Column, ranks_of

MOST_AXES = 14
MOST_LINES = 400
SHADES = 6  # of the colour by rank: classes r0 (worst) to r5 (best) of the style sheet
_MOST_CANDIDATES = 12  # labelled on one axis
_LEFT, _WIDTH, _TOP, _BOTTOM, _HEIGHT = 60, 800, 62, 300, 350
_UNUSED = 332  # where lines pass that do not use a decision


def svg_parallel(columns: Sequence[Column], fitness: np.ndarray, values: np.ndarray, name: str) -> str:
    """Each trial as a line through its decisions to its metric; the colour says its rank.

    Args:
      columns: the decisions to show, over T trials.
      fitness: float32[T], -inf for failed trials, which are left out.
      values: float[T], the metric.
      name: of the metric.

    Returns:
      An SVG element, or a paragraph where there is nothing to plot.
    """
    rows = np.flatnonzero(np.isfinite(fitness))
    if not len(rows) or not columns:
        return NOTHING
    rows = rows[np.argsort(fitness[rows], kind='stable')]  # the best are drawn last, on top
    shades = dict(zip(rows.tolist(), (ranks_of(fitness[rows]) * (SHADES - 1)).round().astype(int), strict=True))
    drawn = thinned(np.arange(len(rows)), MOST_LINES * 3 // 4, np.arange(len(rows))[-MOST_LINES // 4 :])
    chosen = rows[drawn]
    places = np.linspace(_LEFT, _LEFT + _WIDTH, len(columns) + 1)
    room = _WIDTH / len(columns)
    heights = [_heights(column, chosen) for column in columns]
    heights.append(_scale(float(values[rows].min()), float(values[rows].max()), False)(values[chosen]))
    lines = [
        f'<path class="{"top" if k == len(chosen) - 1 else f"r{shades[int(row)]}"}" d="{_line(places, ys)}"/>'
        for k, (row, ys) in enumerate(zip(chosen, np.stack(heights, -1), strict=True))
    ]
    axes = [_axis(column, x, i, room) for i, (column, x) in enumerate(zip(columns, places[:-1], strict=True))]
    axes.append(_metric_axis(values[rows], places[-1], len(columns), name))
    unused = any(not column.used[chosen].all() for column in columns)
    axes += [text(_LEFT - 56, _UNUSED + 4, 'not used', 'start', 'small')] if unused else []
    height = _HEIGHT if unused else _BOTTOM + 24
    return svg(f'<g class="lines">{"".join(lines)}</g>{"".join(axes)}', f'decisions by {name}', height)


def svg_importance(names: Sequence[str], importance: np.ndarray) -> str:
    """A bar for each decision.

    Args:
      names: of the decisions, in the order to show them.
      importance: float64 in [0, 1], in the same order.
    """
    row_height, left, width = 26, 300, 560
    parts = []
    for i, (name, value) in enumerate(zip(names, importance, strict=True)):
        y = row_height * i + 4
        label = text(left - 12, y + 14, clip(name, 44, end=True), 'end', 'name')
        parts.append(f'<g><title>{safe(name)}</title>{label}')
        parts.append(f'<rect class="track" x="{left}" y="{y}" width="{width}" height="18" rx="2"/>')
        parts.append(f'<rect class="bar" x="{left}" y="{y}" width="{width * value:.1f}" height="18" rx="2"/>')
        parts.append(f'{text(left + width + 10, y + 14, f"{100 * value:.0f} %", "start", "name")}</g>')
    return svg(''.join(parts), 'importance of decisions', row_height * len(names) + 4)


def _scale(low: float, high: float, is_log: bool) -> Scale:
    if not high > low:
        low, high, is_log = low - 0.5 * max(abs(low), 1e-6), high + 0.5 * max(abs(high), 1e-6), False
    return Scale(low, high, _BOTTOM, _TOP, is_log)


def _scale_of(column: Column) -> Scale:
    if column.is_choice:
        return Scale(-0.5, (column.decision.arity or 1) - 0.5, _BOTTOM, _TOP)
    low, high = float(column.decision.low), float(column.decision.high)
    return _scale(low, high, column.decision.scale == 'log' and low > 0)


def _heights(column: Column, rows: np.ndarray) -> np.ndarray:
    """Where lines cross an axis. Lines of one candidate are spread within its band, in the same way each time."""
    values = column.values[rows]
    if column.is_choice:
        golden = (math.sqrt(5) - 1) / 2
        values = values + 0.6 * (np.mod(rows * golden, 1) - 0.5)
    return np.where(column.used[rows], _scale_of(column)(values), _UNUSED)


def _line(places: np.ndarray, heights: np.ndarray) -> str:
    return 'M' + 'L'.join(f'{x:.0f},{y:.1f}' for x, y in zip(places, heights, strict=True))


def _axis(column: Column, x: float, position: int, room: float) -> str:
    letters = max(4, int((room - 14) / 6.4))
    return _axis_line(x) + _heading(column.name, x, position, room) + _marks(column, _scale_of(column), x, letters)


def _marks(column: Column, scale: Scale, x: float, letters: int) -> str:
    """The candidates of a choice, or the two ends and the middle of a range."""
    if column.is_choice:
        arity = column.decision.arity or 1
        every = -(-arity // _MOST_CANDIDATES)
        shown = [(float(i), column.label(i)) for i in range(0, arity, every)]
    else:
        low, high = scale.low, scale.high
        middle = math.sqrt(low * high) if scale.is_log else (low + high) / 2
        if column.decision.kind == 'int' and high > low:
            middle = round(middle)
        shown = [(v, number(v)) for v in dict.fromkeys((low, middle, high))]
    return ''.join(text(x + 6, scale(v) + 4, clip(label, letters), 'start', 'mark') for v, label in shown)


def _metric_axis(values: np.ndarray, x: float, position: int, name: str) -> str:
    low, high = float(values.min()), float(values.max())
    marks = [text(x + 6, y + 4, number(v), 'start', 'mark') for v, y in ((low, _BOTTOM), (high, _TOP))]
    return _axis_line(x) + _heading(name, x, position, 160) + ''.join(marks[: 2 if high > low else 1])


def _axis_line(x: float) -> str:
    return f'<path class="axle" d="M{x:.1f},{_TOP}V{_BOTTOM}"/>'


def _heading(name: str, x: float, position: int, room: float) -> str:
    """The name over an axis, on one of two rows, so that it has twice the room."""
    shown = clip(name, max(6, int(2 * (room - 8) / 6.8)), end=True)
    y = 20 if position % 2 == 0 else 40
    return f'<g><title>{safe(name)}</title>{text(x, y, shown, "middle", "name")}</g>'
