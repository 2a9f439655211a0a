"""A trial: one evaluated point of a study."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from pgjax.search._history import History, TrialStatus
from pgjax.search._notes import Note
from pgjax.space import DNA, Space


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """One point, with what is known of it.

    Attributes:
      id: counts from 0; the trial's randomness derives from it.
      dna: int32[C] and float32[F].
      generation: when it was asked for.
      metrics: what the evaluator returned, empty before.
      fitness: M floats, maximized; empty before evaluation.
      space: of its point.
      status: how it ended, None before.
      note: what else is known of it: 'error', 'traceback', 'measurements', 'metadata', 'links'.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> study = search.run(
    ...   pg.Dict(x=pg.oneof([1.0, 2.0])), lambda exp, key: {'loss': exp.x}, search.Sweep(batch_size=2),
    ...   objectives=[pg.minimize('loss')], generations=1)
    >>> study.best
    Trial(id=0, loss=1, value={'x': 1.0})
    >>> study.best.value, study.best.metrics, study.best.fitness, study.best.status.name
    ({'x': 1.0}, {'loss': 1.0}, (-1.0,), 'COMPLETE')
    """

    id: int
    dna: DNA
    generation: int
    space: Space
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    fitness: tuple[float, ...] = ()
    status: TrialStatus | None = None
    note: Note = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def value(self) -> Any:
        """The object at this point."""
        return self.space.decode(self.dna)

    def __repr__(self) -> str:
        metrics = ', '.join(f'{name}={value:.6g}' for name, value in self.metrics.items())
        return f'Trial(id={self.id}, {metrics or "pending"}, value={self.value!r})'


def trial_at(space: Space, history: History, row: int, notes: Mapping[int, Note] | None = None) -> Trial:
    """The trial in a row of a history."""
    number = int(history.trial[row])
    return Trial(
        id=number,
        dna=DNA(np.array(history.dna.choices[row]), np.array(history.dna.floats[row])),
        generation=int(history.generation[row]),
        space=space,
        metrics={name: float(column[row]) for name, column in history.metrics.items()},
        fitness=tuple(float(f) for f in history.fitness[row]),
        status=TrialStatus(int(history.status[row])),
        note=(notes or {}).get(number, {}),
    )
