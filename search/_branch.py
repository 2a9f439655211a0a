"""Studies that go on from others: forks, larger spaces, and the trials of somebody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import jax
import numpy as np

from pgjax._errors import DnaError, FitnessError, StudyMismatchError, TrialStateError, shorten, show
from pgjax.search._history import METRIC, History, TrialStatus
from pgjax.search._notes import Note
from pgjax.search._outcome import Outcome, of_arrays
from pgjax.space import DNA, Space

if TYPE_CHECKING:
    from pgjax.search._study_state import StudyState

S = TypeVar('S', bound='StudyState')
Rows = Mapping[str, np.ndarray]


def merged(study: S, other: StudyState) -> S:
    """The study after learning of all trials of another one, as if its controller had asked for them."""
    if not isinstance(getattr(other, 'history', None), History):
        raise StudyMismatchError(f'merge takes another study, got {type(other).__name__} {show(other)}.')
    if len(study.history) > study._first:
        raise TrialStateError(
            f'The generation under way has {len(study._rest)} open trials; tell them before merging others.'
        )
    rows = other.history.columns
    needed = [n for o in study.objectives for n in o.metrics] if len(other.history) else []
    missing = [name for name in needed if METRIC + name not in rows]
    if missing:
        raise FitnessError(f'The other study has no metric {missing[0]!r}; it has {list(other.history.metrics)}.')
    if len(other.history):
        dna = _moved(study.space, other.space, other.history.dna)
        rows = {**rows, 'choices': dna.choices, 'floats': dna.floats}
    size = max(1, study.controller.batch_size)
    for begin in range(0, len(other.history), size):
        part = {name: column[begin : begin + size] for name, column in rows.items()}
        study = _learned(study, part, {int(t): other.notes[t] for t in part['trial'].tolist() if t in other.notes})
    return study


def _learned(study: S, rows: Rows, notes: Mapping[int, Note]) -> S:
    """The study one generation later, whose points are those in `rows` instead of what it would have asked for."""
    first = len(study.history)
    names = {int(old): first + i for i, old in enumerate(rows['trial'])}
    metrics = {name.removeprefix(METRIC): column for name, column in rows.items() if name.startswith(METRIC)}
    done = of_arrays(metrics, study.objectives, rows['seconds'])
    status = np.where(rows['status'] == TrialStatus.COMPLETE, done.status, rows['status'])
    fitness = np.where((status == TrialStatus.COMPLETE)[:, None], done.fitness, np.float32(-np.inf))
    told = Outcome(metrics, fitness, status, rows['seconds'], {names[t]: note for t, note in notes.items()})
    return study._taught(DNA(rows['choices'], rows['floats']), told)


def extended(study: S, stored: StudyState) -> S:
    """`study`, of a larger space, after all trials of the one it goes on from: the same ids, generations and notes.

    Raises:
      StudyMismatchError: a trial is no point of the larger space; what was changed is shown.
    """
    rows = dict(stored.history.columns)
    for part in _by_generation(rows):
        dna = _moved(study.space, stored.space, DNA(part['choices'], part['floats']))
        study = study._replayed(dna, part['fitness'])
    if rows:
        dna = _moved(study.space, stored.space, stored.history.dna)
        rows |= {'choices': dna.choices, 'floats': dna.floats}
        study = study._advanced(history=History((rows,)), notes=stored.notes)
    return study._advanced(_first=len(stored.history), _saved=stored._saved)


def _by_generation(rows: Rows) -> Iterator[Rows]:
    generations = rows['generation'] if rows else np.zeros(0, int)
    for number in np.unique(generations):
        chosen = generations == number
        yield {name: column[chosen] for name, column in rows.items()}


def _moved(new: Space, old: Space, dna: DNA) -> DNA:
    """Points of one space as those points of another that decode to the same objects."""
    try:
        return jax.tree.map(np.asarray, new.transfer(dna, old))
    except DnaError as error:
        changes = '; '.join(map(str, old.compare(new)))
        raise StudyMismatchError(
            f'The spaces do not fit: {shorten(changes, 200)}. A trial of the old one is no point of the new one: '
            f'{shorten(str(error), 160)}'
        ) from error
