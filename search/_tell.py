"""Reads what `Study.tell` is given: metrics by name over trials, or trial by trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgjax._errors import FitnessError, TrialStateError, show
from pgjax.search._objective import Objective, check_metrics
from pgjax.search._outcome import Outcome, of_arrays
from pgjax.search._trial import Trial


def outcome_of(trials: Sequence[Trial], metrics: Any, first: int, end: int, objectives: Sequence[Objective]) -> Outcome:
    """What became of the trials from `first` on, in order.

    Args:
      trials: some of those from `first` on and before `end`, none left out, in any order.
      metrics: by name an array over the trials, or one dict for each.
      first: the first trial that is not known.
      end: after the last that was asked for.
      objectives: the metrics that must be there.

    Raises:
      TrialStateError: other trials.
      FitnessError: other metrics.
    """
    each = _by_trial(trials, metrics)
    wanted = range(first, first + len(trials))
    if not trials or wanted.stop > end or sorted(t.id for t in trials) != list(wanted):
        raise TrialStateError(
            f'tell got the trials {show([t.id for t in trials])}; pending are those from {first} to {end - 1}, '
            'each once and in order. What was told before stays.'
        )
    ordered = [m for _, m in sorted(zip((t.id for t in trials), each, strict=True), key=lambda pair: pair[0])]
    checked = [check_metrics(m, objectives, f'trial {i}') for i, m in zip(wanted, ordered, strict=True)]
    if any(c.keys() != checked[0].keys() for c in checked):
        raise FitnessError('Every trial of one tell must have the same metrics.')
    columns = {name: np.array([float(c[name]) for c in checked], np.float32) for name in sorted(checked[0])}
    return of_arrays(columns, objectives)


def _by_trial(trials: Sequence[Trial], metrics: Any) -> list[Mapping[str, Any]]:
    if isinstance(metrics, Mapping):
        lengths = {name: np.shape(column)[:1] for name, column in metrics.items()}
        if any(length != (len(trials),) for length in lengths.values()):
            raise FitnessError(
                f'Each metric needs one value for each of the {len(trials)} trials, got {show(lengths)}.'
            )
        return [{name: np.asarray(column)[i] for name, column in metrics.items()} for i in range(len(trials))]
    if len(metrics) != len(trials):
        raise FitnessError(f'There are {len(trials)} trials and metrics of {len(metrics)}.')
    return list(metrics)
