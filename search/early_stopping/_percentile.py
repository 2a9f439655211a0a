"""The median stopping rule, and its generalization to other percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from pgjax.search._objective import Objective
from pgjax.search.early_stopping._policy import Curves, Policy, beaten_by, fitness_along


class Percentile(Policy, type_name='pgjax.search.early_stopping.Percentile'):
    """Stops a trial whose best so far is below a percentile of the others' running averages.

    The rule of Google Vizier (Golovin et al., 2017, section 3.2.1, https://doi.org/10.1145/3097983.3098043), where
    the percentile is 50: a trial at step s is compared with the averages of the others' measurements up to s.
    Departures: others count as soon as they have reached step s, complete or not; with several objectives the
    best so far is the measurement of the latest step, and a trial stops when more than the rest of the others
    beat it.

    Attributes:
      percentile: of the others that a trial must be level with, 0 to 100.
      warmup_steps: nothing stops before this step.
      min_trials: nothing stops with fewer others.
      objectives: what is compared; the study's if there are none.
    """

    percentile: Annotated[float, Ge(0), Le(100)] = 50.0
    warmup_steps: int = 0
    min_trials: int = 5
    objectives: tuple[Objective, ...] = ()

    def should_stop(self, curves: Curves, trial: int) -> bool:
        """Whether too many others have done better on average up to the trial's step."""
        curves, last = curves.by(self.objectives), curves.trials[trial][-1]
        if last.step < self.warmup_steps:
            return False
        mine = fitness_along(curves, curves.trials[trial])
        averages = []
        for curve in curves.before(trial, last).values():
            if max(m.step for m in curve) >= last.step:
                known = fitness_along(curves, (m for m in curve if m.step <= last.step))
                averages += [known.mean(0)] if len(known) else []
        if not len(mine) or len(averages) < max(self.min_trials, 1):
            return False
        table = np.stack(averages)
        if table.shape[1] == 1:
            with np.errstate(invalid='ignore'):  # next to one that failed it may be NaN, and nobody is below that
                return bool(mine.max() < np.percentile(table, self.percentile))
        return beaten_by(mine[-1], table) > len(table) * (1 - self.percentile / 100)


def median(warmup_steps: int = 0, min_trials: int = 5, objectives: Sequence[Objective] = ()) -> Percentile:
    """The median stopping rule: `Percentile` at 50."""
    return Percentile(percentile=50.0, warmup_steps=warmup_steps, min_trials=min_trials, objectives=tuple(objectives))
