"""Measurements of a trial while it runs: metrics by step, in the order in which they were made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    """Metrics of a trial at one of its steps.

    Attributes:
      step: of the trial's own counting, say epochs.
      metrics: numbers by name.
      order: counts the measurements of the whole study, so that what was known when can be told later.
      checkpoint: a path of the user's own, for those who go on from here.
    """

    step: int
    metrics: Mapping[str, float]
    order: int = 0
    checkpoint: str | None = None


def final(measurements: Sequence[Measurement]) -> Measurement | None:
    """The one of the largest step, the latest of equals: what a trial is judged by."""
    return max(measurements, key=lambda m: (m.step, m.order), default=None)


def to_note(measurements: Sequence[Measurement]) -> list[Any]:
    """Measurements as JSON: `[step, order, metrics, checkpoint]` each."""
    return [[m.step, m.order, numbers_to_json(m.metrics), m.checkpoint] for m in measurements]


def from_note(note: Mapping[str, Any]) -> list[Measurement]:
    """The measurements in the note of a trial, [] if there are none."""
    return [
        Measurement(step, numbers_from_json(metrics), order, checkpoint)
        for step, order, metrics, checkpoint in note.get('measurements', ())
    ]


def numbers_to_json(numbers: Mapping[str, float]) -> dict[str, float | str]:
    """Floats as JSON, which has no NaN and no infinity: these become 'nan', 'inf' and '-inf'."""
    return {name: number if math.isfinite(number) else str(number) for name, number in numbers.items()}


def numbers_from_json(numbers: Mapping[str, Any]) -> dict[str, float]:
    """The inverse of `numbers_to_json`."""
    return {name: float(number) for name, number in numbers.items()}
