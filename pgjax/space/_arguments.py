"""Checks of the arguments from which holes are made; every refusal says what came and what would do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pgjax._errors import SpaceError, show

SCALES = ('linear', 'log', 'rlog', 'logit')
MOST_VALUES = 2**31 - 1  # genes are int32


def listed(what: str, candidates: Any) -> list[Any]:
    """The candidates of a hole as a list."""
    if not isinstance(candidates, (Sequence, np.ndarray)):
        why = ', which can be read once' if isinstance(candidates, Iterator) else f' {show(candidates)}'
        raise SpaceError(f'{what}: pass a list of candidates, not {type(candidates).__name__}{why}.')
    if len(candidates) == 0:
        raise SpaceError(f'{what}: at least one candidate is needed, got an empty list.')
    return list(candidates)


def count(what: str, name: str, value: Any, least: int) -> int:
    """A number of candidates, an int from `least` on."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise SpaceError(f'{what}: {name} must be an int, got {type(value).__name__} {show(value)}.')
    if value < least:
        raise SpaceError(f'{what}: {name} must be at least {least}, got {value}.')
    return int(value)


def bounds(what: str, low: Any, high: Any, types: tuple[type, ...]) -> tuple[Any, Any]:
    """Two finite numbers in order."""
    for value in (low, high):
        if isinstance(value, bool) or not isinstance(value, types):
            raise SpaceError(f'{what}: bounds are {"ints" if float not in types else "numbers"}, got {show(value)}.')
        if not math.isfinite(value):
            raise SpaceError(f'{what}: bounds must be finite, got {show(value)}.')
    if low > high:
        raise SpaceError(f'{what}: low {low!r} > high {high!r}; swap them.')
    return low, high


def check_float32(what: str, low: float, high: float) -> None:
    """Refuses bounds whose values programs could not hold."""
    most = float(np.finfo(np.float32).max)
    if max(abs(low), abs(high), high - low) > most:
        raise SpaceError(
            f'{what}: [{low!r}, {high!r}] does not fit float32, the type of decided floats in a program, whose '
            f'largest is {most:.3g}; to enable x64 does not widen it. Decide a smaller number, or a logarithm.'
        )


def scale_name(what: str, scale: Any, low: float, high: float) -> Any:
    """The name of a scale that covers [low, high]."""
    if scale is None:
        return 'linear'
    if scale not in SCALES:
        raise SpaceError(f'{what}: unknown scale {show(scale)}; one of {", ".join(SCALES)}.')
    if scale in ('log', 'rlog') and low <= 0:
        raise SpaceError(f'{what}: a {scale} scale needs low > 0, got low {low!r} (log of 0 or less).')
    if scale == 'logit' and not 0 < low < high < 1:
        raise SpaceError(f'{what}: a logit scale needs 0 < low < high < 1, got [{low!r}, {high!r}].')
    return scale


def check_step(what: str, low: float, high: float, step: Any, scale: str) -> None:
    """Refuses a step that does not lead from `low` to `high` in a whole number of steps."""
    number = isinstance(step, (int, float, np.integer, np.floating)) and not isinstance(step, bool)
    if not number or not math.isfinite(step) or step <= 0:
        raise SpaceError(f'{what}: step must be a positive number, got {show(step)}.')
    if scale == 'logit':
        raise SpaceError(f"{what}: a step does not go with scale 'logit'; use linear, log or rlog.")
    steps = round((high - low) / step)
    if abs(low + steps * step - high) > 1e-9 * max(abs(low), abs(high)):
        near = low + math.floor((high - low) / step) * step
        raise SpaceError(
            f'{what}: high {high!r} is not low {low!r} plus a whole number of steps {step!r}; '
            f'the nearest below is {near!r}.'
        )
    if steps + 1 > MOST_VALUES:
        raise SpaceError(f'{what}: {steps + 1} values do not fit int32, the type of genes; use a larger step.')
