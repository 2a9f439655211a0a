"""Reads what `Study.tell` is given: metrics by name over trials, or trial by trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pgjax._errors import FitnessError, TrialStateError, show
from pgjax.search._objective import Objective, check_metrics, shape_of
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
    trials = list(trials) if isinstance(trials, Iterable) else [trials]
    if not all(isinstance(t, Trial) for t in trials):
        raise TrialStateError(f'tell takes the trials that ask gave, got {show(trials)}.')
    numbers = [t.id for t in trials]
    wanted = range(first, first + len(numbers))
    in_order = numbers == list(wanted)
    if not numbers or wanted.stop > end or not (in_order or sorted(numbers) == list(wanted)):
        raise TrialStateError(
            f'tell got the trials {show(numbers)}; pending are those from {first} to {end - 1}, '
            'each once and in order. What was told before stays.'
        )
    columns = _columns(metrics, len(numbers), objectives)
    if columns is None:
        columns = _checked_columns(_by_trial(trials, metrics), numbers, objectives)
    if not in_order:
        order = np.argsort(numbers)
        columns = {name: column[order] for name, column in columns.items()}
    return of_arrays(columns, objectives)


def _columns(metrics: Any, number: int, objectives: Sequence[Objective]) -> dict[str, np.ndarray] | None:
    """Metrics that are arrays of numbers over the trials already; None for anything else."""
    if not isinstance(metrics, Mapping) or not all(isinstance(name, str) for name in metrics):
        return None
    arrays = {name: metrics[name] for name in sorted(metrics)}
    plain = all(isinstance(a, np.ndarray) and a.dtype.kind in 'fiub' and a.shape == (number,) for a in arrays.values())
    if not plain:
        return None
    check_metrics({name: array[0] for name, array in arrays.items()}, objectives, 'tell')
    return {name: _single(array) for name, array in arrays.items()}


def _checked_columns(
    each: Sequence[Mapping[str, Any]], numbers: Sequence[int], objectives: Sequence[Objective]
) -> dict[str, np.ndarray]:
    checked = [check_metrics(m, objectives, f'trial {i}') for i, m in zip(numbers, each, strict=True)]
    if any(c.keys() != checked[0].keys() for c in checked):
        raise FitnessError('Every trial of one tell must have the same metrics.')
    return {name: _single(np.array([float(c[name]) for c in checked])) for name in sorted(checked[0])}


def _single(array: np.ndarray) -> np.ndarray:
    with np.errstate(over='ignore'):  # a number too large for float32 is infinite
        return array.astype(np.float32)


def _by_trial(trials: Sequence[Trial], metrics: Any) -> list[Mapping[str, Any]]:
    if isinstance(metrics, Mapping):
        lengths = {name: (shape_of(column) or ())[:1] for name, column in metrics.items()}
        if any(length != (len(trials),) for length in lengths.values()):
            raise FitnessError(
                f'Each metric needs one value for each of the {len(trials)} trials, got {show(lengths)}.'
            )
        return [{name: np.asarray(column)[i] for name, column in metrics.items()} for i in range(len(trials))]
    if not isinstance(metrics, Iterable):
        raise FitnessError(
            f'tell needs metrics by name, each an array over the {len(trials)} trials, or a list of one dict for each '
            f'trial; got {type(metrics).__name__} {show(metrics)}.'
        )
    if len(metrics := list(metrics)) != len(trials):
        raise FitnessError(f'There are {len(trials)} trials and metrics of {len(metrics)}.')
    return metrics
