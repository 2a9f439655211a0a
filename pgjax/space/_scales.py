"""Scales of numbers: from a position in the unit interval to a value and back, on the host or inside a program.

One formula serves Python floats, NumPy arrays and traced arrays; only `exp` differs, and on the host it is
always libm's, so that a batch has the bits of its points.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pgjax.space._plan import Decision, Number

SMALLEST = 2.0**-24  # a position below this one is 0: float32 genes are not resolved further, and XLA drops denormals


def at_position(u: Any, low: float, high: float, scale: str, exp: Any) -> Any:
    """The value at a position strictly inside the unit interval of a scale."""
    if scale == 'linear':
        return low + u * (high - low)
    if scale == 'log':
        return exp(u * math.log(high / low) + math.log(low))
    if scale == 'rlog':  # the log scale turned round, dense at the upper end
        return (low + high) - exp((1.0 - u) * math.log(high / low) + math.log(low))
    return 1.0 / (1.0 + exp(-(u * (_logit(high) - _logit(low)) + _logit(low))))


def position(value: float, low: float, high: float, scale: str) -> float:
    """The inverse of `at_position`, on the host."""
    if scale == 'linear':
        u = (value - low) / (high - low)
    elif scale == 'log':
        u = math.log(value / low) / math.log(high / low)
    elif scale == 'rlog':
        u = 1.0 - math.log((low + high - value) / low) / math.log(high / low)
    else:
        u = (_logit(value) - _logit(low)) / (_logit(high) - _logit(low))
    return min(max(u, 0.0), 1.0)


def _logit(p: float) -> float:
    return math.log(p / (1.0 - p))


def float_value(u: float, of: Number | Decision) -> float:
    """The value of one float gene; the ends are exact."""
    if not SMALLEST <= u < 1.0:
        return of.low if u < SMALLEST else of.high
    return min(max(at_position(u, of.low, of.high, of.scale, math.exp), of.low), of.high)


def float_values(u: np.ndarray, of: Number | Decision) -> np.ndarray:
    """float64[n]: `float_value` of float64[n] genes, bit for bit."""
    inside = np.clip(at_position(u, of.low, of.high, of.scale, _exp), of.low, of.high)
    return np.where(u < SMALLEST, of.low, np.where(u >= 1.0, of.high, inside))


def _exp(x: np.ndarray) -> np.ndarray:
    return np.fromiter(map(math.exp, x.tolist()), np.float64, len(x))


def int_value(gene: int, of: Number | Decision) -> Any:
    """The value of one stepped gene: an int where bounds and step are ints; the ends are exact."""
    if isinstance(of.low, float) and gene == (of.arity or 1) - 1:
        return of.high
    return of.low + gene * of.step


def float_gene(value: float, of: Number | Decision) -> float:
    """The float32 position that `float_value` takes to `value`; the nearest one where there is none.

    A value keeps fewer digits of a position where its bounds are large against their distance. Random positions
    are multiples of 2**-24, so the nearest of those is tried first.
    """
    u = position(value, of.low, of.high, of.scale)
    near = np.float32(u)
    grid = round(u * 2**24) * 2.0**-24
    around = (np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(1)))
    return next((float(g) for g in (grid, near, *around) if float_value(float(g), of) == value), float(near))
