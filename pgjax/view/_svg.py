"""What every plot of a report is made of: numbers and text as SVG, scales with round ticks, a frame with axes.

No script, no request; colours come from the page's style sheet, so that plots follow light and dark.
"""

from __future__ import annotations

import dataclasses
import html
import math
import re
from typing import Any, SupportsFloat

import numpy as np

WIDTH, HEIGHT = 960, 340
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 46, 46
NOTHING = '<p class="note">No trial has succeeded yet: there is nothing to plot.</p>'

_LARGEST = 1e300  # beyond, differences would overflow
_HIDDEN = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]')


def safe(text: Any) -> str:
    r"""Text as HTML that shows it: names and reprs are somebody else's.

    What HTML forbids and what would turn the writing direction is shown as its escape.

    >>> safe('<b>\x00')
    '&lt;b&gt;\\x00'
    """
    encodable = str(text).encode('utf-8', 'backslashreplace').decode()
    shown = _HIDDEN.sub(lambda found: found[0].encode('unicode_escape').decode(), encodable)
    return html.escape(shown, quote=True)


def number(value: SupportsFloat) -> str:
    """A number as a reader wants it: four significant digits, whole numbers whole.

    >>> [number(v) for v in (0.123456, 64.0, 12345.6, 1e-5, 2.5e9, float('nan'))]
    ['0.1235', '64', '12346', '1e-5', '2.5e9', 'NaN']
    """
    value = float(value)
    if not math.isfinite(value):
        return {math.inf: '∞', -math.inf: '-∞'}.get(value, 'NaN')
    if abs(value) < 1e6 and (value == int(value) or abs(value) >= 1e4):
        return f'{value:.0f}'
    mantissa, _, exponent = f'{value:.4g}'.partition('e')
    return f'{mantissa}e{int(exponent)}' if exponent else mantissa


def clip(text: str, most: int, *, end: bool = False) -> str:
    """At most `most` characters of a text: its beginning, or its end, which tells paths apart."""
    if len(text) <= most:
        return text
    return f'…{text[len(text) - most + 1 :]}' if end else f'{text[: most - 1]}…'


@dataclasses.dataclass(frozen=True)
class Scale:
    """A map from data to pixels: linear, or in the logarithm of what is positive."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False
    is_whole: bool = False  # a counter: no ticks between whole numbers

    def __call__(self, values: Any) -> Any:
        """Pixels of a number or an array; what lies outside is moved to the edge."""
        low, high, x = self.low, self.high, np.clip(np.asarray(values, np.float64), self.low, self.high)
        if self.is_log:
            low, high, x = math.log(low), math.log(high), np.log(x)
        return self.start + (x - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """About five round numbers and how to write them."""
        if self.is_log:
            return _log_ticks(self.low, self.high)
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 4))
        step *= next(m for m in (1, 2, 5, 10) if (self.high - self.low) / (step * m) <= 6)
        step = max(step, 1.0) if self.is_whole else step
        values = np.arange(math.ceil(self.low / step), math.floor(self.high / step) + 1) * step
        return [(float(v), _tick(float(v), step)) for v in values]


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / 7))
    return [(10.0**e, number(10.0**e)) for e in range(first, last + 1, every)]


def _tick(value: float, step: float) -> str:
    decimals = max(0, -math.floor(math.log10(step)))
    if abs(value) < step / 2:
        return '0'
    if abs(value) < 1e6 and decimals <= 5:
        return f'{value:.{decimals}f}'
    digits = math.floor(math.log10(abs(value) / step)) + 2  # as many as tell two ticks apart
    mantissa, _, exponent = f'{value:.{min(digits, 12)}g}'.partition('e')
    return f'{mantissa}e{int(exponent)}' if exponent else mantissa


def scale_of(values: np.ndarray, start: float, end: float, include: np.ndarray | None = None) -> Scale:
    """The scale on which finite `values` are seen best, though not all: a few far outliers do not squeeze the rest.

    Args:
      values: float[N], at least one of them finite.
      start: pixel of the low end.
      end: pixel of the high end.
      include: values that must not be taken for outliers.
    """
    finite = _finite(values)
    must = finite[:0] if include is None else _finite(include)
    low, middle, high = (float(q) for q in np.quantile(finite, [0.05, 0.5, 0.95]))
    is_log = bool(finite.min() > 0 and must.min(initial=1) > 0 and high > 1000 * low)
    if is_log:
        low, high = float(min(finite.min(), must.min(initial=np.inf))), float(finite.max())
        return Scale(low / 1.3, max(high, must.max(initial=0)) * 1.3, start, end, True)
    spread = max(high - low, 1e-9 * max(1e-9, abs(middle)))
    low = min(max(float(finite.min()), low - spread), must.min(initial=np.inf))
    high = max(min(float(finite.max()), high + spread), must.max(initial=-np.inf))
    smallest = 1e-6 * max(abs(low), abs(high), 1e-6)  # where all are equal, there is a range nevertheless
    margin = 0.05 * (high - low) if high - low > smallest else 0.05 * max(abs(high), 1e-6)
    return Scale(low - margin, high + margin, start, end)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.clip(values[np.isfinite(values)].astype(np.float64), -_LARGEST, _LARGEST)


def count_scale(first: float, last: float, start: float, end: float) -> Scale:
    """The scale of a counter, with a little room at both ends."""
    room = max(0.5, 0.01 * (last - first))
    return Scale(first - room, last + room, start, end, is_whole=True)


def text(x: float, y: float, content: str, anchor: str = 'middle', kind: str = 'axis') -> str:
    """A text element."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{safe(content)}</text>'


def dot(x: float, y: float, kind: str, radius: float, title: str) -> str:
    """A circle that says what it is when it is pointed at."""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{safe(title)}</title></circle>'


def svg(content: str, label: str, height: int = HEIGHT) -> str:
    """A whole plot."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{safe(label)}">{content}</svg>'
    )


def frame(x: Scale, y: Scale, x_name: str, y_name: str, keys: list[tuple[str, str]], content: str) -> str:
    """A plot: grid, ticks and names of two axes, a legend of (style, words), and what is between the axes."""
    grid = ''.join(
        f'<path class="grid" d="M{LEFT},{y(value):.1f}H{WIDTH - RIGHT}"/>' + text(LEFT - 8, y(value) + 4, label, 'end')
        for value, label in y.ticks()
    )
    bottom = HEIGHT - BOTTOM
    grid += f'<path class="base" d="M{LEFT},{bottom}H{WIDTH - RIGHT}"/>'
    grid += ''.join(text(x(value), bottom + 18, label) for value, label in x.ticks())
    names = text(LEFT - 60, 16, clip(y_name, 60), 'start', 'name')
    names += text(WIDTH - RIGHT, HEIGHT - 6, clip(x_name, 60), 'end', 'name')
    return svg(f'{grid}{content}{names}{_legend(keys)}', f'{y_name} by {x_name}')


def _legend(keys: list[tuple[str, str]]) -> str:
    """The keys of a plot at its upper right; text of one width a character is good enough to place them."""
    x, parts = WIDTH - RIGHT, []
    for kind, words in keys[::-1]:
        x -= 6.3 * len(words)
        parts.append(text(x, 16, words, 'start'))
        mark = (
            f'<path class="{kind}" d="M{x - 22:.1f},12h16"/>'
            if kind in ('line', 'fail')
            else f'<circle class="{kind}" cx="{x - 12:.1f}" cy="12" r="4"/>'
        )
        parts.append(mark)
        x -= 40
    return ''.join(parts)
