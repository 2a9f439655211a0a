"""The plots of trials: history and Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pgjax.view._svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    NOTHING,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    count_scale,
    dot,
    frame,
    number,
    scale_of,
    text,
)

MOST_DOTS = 3000  # beyond, evenly many trials are drawn, and always those that were the best so far
_MOST_MARKS = 600
_GENERATIONS_LABELLED = 12


def svg_history(trial: np.ndarray, values: np.ndarray, best: np.ndarray, generation: np.ndarray, name: str) -> str:
    """Every trial as a dot, the best so far as a line, where generations begin as ticks.

    Args:
      trial: int[T], ids in rising order.
      values: float[T], the metric; what is not finite is marked as failed.
      best: float[T], the best so far; NaN before there is one.
      generation: int[T].
      name: of the metric.

    Returns:
      An SVG element, or a paragraph where there is nothing to plot.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return NOTHING
    x = count_scale(float(trial[0]), float(trial[-1]), LEFT, WIDTH - RIGHT)
    y = scale_of(values, HEIGHT - BOTTOM, TOP, include=best)
    records = np.flatnonzero(np.isfinite(best) & (np.diff(best, prepend=np.nan) != 0))
    chosen = thinned(np.flatnonzero(finite), MOST_DOTS, records)
    outside = (values < y.low) | (values > y.high)
    content = _generation_ticks(trial, generation, x) + _failed_marks(trial[~finite], x)
    content += ''.join(
        dot(px, py, 'off' if outside[row] else 'dot', 2.5, f'trial {trial[row]}: {number(values[row])}')
        for row, px, py in zip(chosen, x(trial[chosen]), y(values[chosen]), strict=True)
    )
    content += f'<path class="line" d="{_steps(x(trial), y(best), np.isfinite(best))}"/>'
    keys = [('dot', 'trial'), ('line', 'best so far')]
    keys += [('off', 'beyond the scale')] if outside[finite].any() else []
    keys += [('fail', 'failed')] if not finite.all() else []
    return frame(x, y, 'trial', name, keys, content)


def svg_timeline(seconds: np.ndarray, values: np.ndarray, best: np.ndarray, name: str) -> str:
    """The best so far over the time spent on trials, with a dot where each trial ended.

    Args:
      seconds: float[T], spent on each trial, in order.
      values: float[T], the metric.
      best: float[T], the best so far; NaN before there is one.
      name: of the metric.

    Returns:
      An SVG element; a paragraph where nothing succeeded, and nothing where no time was measured.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return NOTHING
    ends = np.cumsum(np.nan_to_num(seconds.astype(np.float64)))
    if not ends[-1] > 0:
        return ''
    x = Scale(0.0, float(ends[-1]) * 1.01, LEFT, WIDTH - RIGHT)
    y = scale_of(values, HEIGHT - BOTTOM, TOP, include=best)
    shown = thinned(np.flatnonzero(finite), _MOST_MARKS)
    content = ''.join(
        dot(px, py, 'dot', 2, f'{number(values[row])} after {number(ends[row])} s')
        for row, px, py in zip(shown, x(ends[shown]), y(values[shown]), strict=True)
    )
    content += f'<path class="line" d="{_steps(x(ends), y(best), np.isfinite(best))}"/>'
    return frame(x, y, 'seconds spent on trials', name, [('dot', 'trial'), ('line', 'best so far')], content)


def svg_front(points: np.ndarray, front: Sequence[int], trial: np.ndarray, names: Sequence[str], joined: bool) -> str:
    """Two metrics against each other, with the trials that nothing beats marked.

    Args:
      points: float[T, 2].
      front: rows of the Pareto front.
      trial: int[T], ids.
      names: of the two metrics.
      joined: whether the front is a line in this plane, which it is of two objectives.

    Returns:
      An SVG element, or a paragraph where there is nothing to plot.
    """
    finite = np.isfinite(points).all(-1)
    if not finite.any():
        return NOTHING
    rows = np.asarray(front, int)
    x = scale_of(points[finite, 0], LEFT, WIDTH - RIGHT, include=points[rows, 0])
    y = scale_of(points[finite, 1], HEIGHT - BOTTOM, TOP, include=points[rows, 1])
    content = ''.join(_pair(points, trial, row, x, y, 'dot', 2.5) for row in thinned(np.flatnonzero(finite), MOST_DOTS))
    shown = thinned(rows, _MOST_MARKS)
    if joined and len(shown) > 1:
        ordered = shown[np.argsort(points[shown, 0], kind='stable')]
        corners = zip(x(points[ordered, 0]), y(points[ordered, 1]), strict=True)
        content += f'<path class="edge" d="M{"L".join(f"{px:.1f},{py:.1f}" for px, py in corners)}"/>'
    content += ''.join(_pair(points, trial, row, x, y, 'front', 4.5) for row in shown)
    return frame(x, y, names[0], names[1], [('dot', 'trial'), ('front', 'Pareto front')], content)


def thinned(rows: np.ndarray, most: int, always: np.ndarray | None = None) -> np.ndarray:
    """At most about `most` of `rows`, evenly spread and the same each time, and those of `always` among them.

    >>> thinned(np.arange(10), 3, np.array([1])).tolist()
    [0, 1, 4, 9]
    """
    if len(rows) <= most:
        return rows
    even = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    if always is None:
        return even
    if len(always) > most:
        always = always[np.linspace(0, len(always) - 1, most).astype(int)]
    return np.union1d(even, always)


def _pair(points: np.ndarray, trial: np.ndarray, row: int, x: Scale, y: Scale, kind: str, radius: float) -> str:
    first, second = points[row]
    return dot(x(first), y(second), kind, radius, f'trial {trial[row]}: {number(first)}, {number(second)}')


def _steps(x: np.ndarray, y: np.ndarray, known: np.ndarray) -> str:
    """A line of steps through the best values: at most one corner in each tenth of a pixel."""
    rows = np.flatnonzero(known)
    if not len(rows):
        return ''
    corners = {f'{x[rows[0]]:.1f}': f'{y[rows[0]]:.1f}'}
    start = f'M{x[rows[0]]:.1f},{y[rows[0]]:.1f}'
    for row in rows[1:][np.diff(y[rows]) != 0]:
        corners[f'{x[row]:.1f}'] = f'{y[row]:.1f}'  # the last one at a place is the best one
    steps = ''.join(f'H{px}V{py}' for px, py in corners.items())
    return f'{start}{steps}H{x[rows[-1]]:.1f}'


def _failed_marks(trial: np.ndarray, x: Scale) -> str:
    """A stroke on the axis for each failed trial."""
    if not len(trial):
        return ''
    places = dict.fromkeys(f'{px:.1f}' for px in x(thinned(trial, _MOST_MARKS)))
    return f'<path class="fail" d="{"".join(f"M{px},{HEIGHT - BOTTOM - 7}v7" for px in places)}"/>'


def _generation_ticks(trial: np.ndarray, generation: np.ndarray, x: Scale) -> str:
    """Numbers along the upper edge where generations begin, as many as there is room for."""
    begins = np.flatnonzero(np.diff(generation, prepend=generation[0] - 1) > 0)
    if len(begins) < 2:
        return ''
    every = -(-len(begins) // _GENERATIONS_LABELLED)
    every = next(nice for power in range(9) for nice in (10**power, 2 * 10**power, 5 * 10**power) if nice >= every)
    shown = begins[::every]
    ticks = ''.join(f'<path class="grid" d="M{px:.1f},{TOP - 10}v6"/>' for px in x(trial[shown]))
    numbers = ''.join(
        text(px, TOP - 14, str(generation[row]), kind='small')
        for row, px in zip(shown, x(trial[shown]), strict=True)
        if px > LEFT + 30
    )
    return ticks + numbers + text(LEFT, TOP - 14, 'generation', 'start', 'small')
