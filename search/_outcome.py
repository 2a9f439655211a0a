"""What became of some trials in a row, in the form in which a study learns it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgjax.search._history import TrialStatus, status_of
from pgjax.search._notes import Note
from pgjax.search._objective import Objective, to_fitness

_COMPLETE = TrialStatus.COMPLETE


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What became of one trial.

    Attributes:
      metrics: numbers by name; an objective may be absent where the status is not COMPLETE.
      status: how it ended.
      seconds: how long it took.
      note: JSON values to keep with it.
    """

    metrics: Mapping[str, float]
    status: TrialStatus = TrialStatus.COMPLETE
    seconds: float = 0.0
    note: Note = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What became of n trials, in the order of their ids.

    Attributes:
      metrics: float[n] by name.
      fitness: float32[n, M], maximized, -inf for trials that are not COMPLETE.
      status: int8[n], values of `TrialStatus`.
      seconds: float32[n] or one for all.
      notes: by trial id.
    """

    metrics: Mapping[str, np.ndarray]
    fitness: np.ndarray
    status: np.ndarray
    seconds: Any = 0.0
    notes: Mapping[int, Note] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.fitness)


def of_arrays(metrics: Mapping[str, np.ndarray], objectives: Sequence[Objective], seconds: Any = 0.0) -> Outcome:
    """The outcome of trials that were evaluated; those with an objective that is no finite number have failed."""
    fitness = to_fitness(metrics, objectives)
    return Outcome(metrics, fitness, status_of(fitness), seconds)


def of_trials(first: int, told: Sequence[Told], objectives: Sequence[Objective]) -> Outcome:
    """The outcome of the trials from `first` on, one by one; a metric that a trial lacks is NaN."""
    names = dict.fromkeys(n for o in objectives for n in o.metrics) | dict.fromkeys(
        n for t in told for n in sorted(t.metrics)
    )
    with np.errstate(over='ignore'):  # a number too large for float32 is infinite
        metrics = {name: np.array([t.metrics.get(name, np.nan) for t in told], np.float64) for name in names}
        metrics = {name: column.astype(np.float32) for name, column in metrics.items()}
    done = of_arrays(metrics, objectives)
    fitness, status = done.fitness, done.status
    if any(t.status is not _COMPLETE for t in told):
        said = np.array([t.status for t in told], np.int8)
        status = np.where(said == _COMPLETE, status, said)
        fitness = np.where((said == _COMPLETE)[:, None], fitness, np.float32(-np.inf))
    seconds = np.array([t.seconds for t in told], np.float32)
    return Outcome(metrics, fitness, status, seconds, {first + i: t.note for i, t in enumerate(told) if t.note})
