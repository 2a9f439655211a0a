"""The numbers behind a report: pure functions of a study's history on the host."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from pgjax.space import Decision, Space
from pgjax.view._svg import clip, number

NONE = '-'  # where there is no value
BINS = 8  # of a number, to tell what it explains
FEWEST = 20  # trials that succeeded, below which importances would be noise
_MOST_LABEL = 40


class Searched(Protocol):
    """What plots need of a study."""

    @property
    def space(self) -> Space:
        """What was searched."""
        ...

    @property
    def history(self) -> Any:
        """Arrays over trials: trial, generation, dna, parents, fitness [T, M], metrics by name."""
        ...

    @property
    def objectives(self) -> Sequence[Any]:
        """Each with `metric` and `sign`."""
        ...

    @property
    def front(self) -> Sequence[Any]:
        """Trials, each with its `id`, that no other beats in every objective."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Column:
    """One decision over all trials.

    Attributes:
      name: what it is called.
      decision: its place in the space.
      values: float64[T], the number decided or the index of the candidate.
      used: bool[T], false where a point does not use the decision.
    """

    name: str
    decision: Decision
    values: np.ndarray
    used: np.ndarray

    @property
    def is_choice(self) -> bool:
        """Whether it picks one of some candidates."""
        return self.decision.kind == 'choice'

    def label(self, value: float) -> str:
        """A value in words: the candidate or the number."""
        if not self.is_choice:
            return number(value)
        literal = self.decision.literal(int(value))
        return number(literal) if isinstance(literal, float) else clip(str(literal), _MOST_LABEL)

    def at(self, row: int) -> str:
        """What was decided in one trial."""
        return self.label(self.values[row]) if self.used[row] else NONE

    @property
    def range(self) -> str:
        """What there is to decide."""
        if not self.is_choice:
            scale = '' if self.decision.scale == 'linear' else f', {self.decision.scale} scale'
            return f'{number(self.decision.low)} to {number(self.decision.high)}{scale}'
        shown = [self.label(i) for i in range(min(self.decision.arity or 0, 6))]
        more = f', … ({self.decision.arity} candidates)' if (self.decision.arity or 0) > len(shown) else ''
        return ', '.join(shown) + more


def columns_of(study: Searched) -> list[Column]:
    """The decisions of all trials, in the order of the space."""
    if not len(study.history):
        return []
    found = study.space.to_columns(study.history.dna)
    return [
        Column(name, decision, np.asarray(column.data, np.float64), ~np.ma.getmaskarray(column))
        for (name, column), decision in zip(found.items(), study.space.decisions, strict=True)
    ]


def best_so_far(study: Searched, objective: int = 0) -> np.ndarray:
    """float64[T], the metric of the trial that is best in an objective so far; NaN before there is one.

    Fitness says which trial that is, but not its metric: under constraints it may be something else altogether.
    """
    fitness = study.history.fitness[:, objective].astype(np.float64)
    best = np.maximum.accumulate(np.where(np.isfinite(fitness), fitness, -np.inf))
    is_new = best > np.concatenate([[-np.inf], best[:-1]])[: len(best)]
    rows = np.maximum.accumulate(np.where(is_new, np.arange(len(best)), 0))
    metric = study.history.metrics[study.objectives[objective].metric].astype(np.float64)
    return np.where(np.isfinite(best), metric[rows], np.nan)


def order_of(fitness: np.ndarray) -> np.ndarray:
    """int[T], rows by the first objective, the best first, the earlier of equals first."""
    first = fitness[:, 0].astype(np.float64)
    return np.lexsort((np.arange(len(first)), -np.where(np.isfinite(first), first, -np.inf)))


def ranks_of(fitness: np.ndarray) -> np.ndarray:
    """float64[N], 0 for the worst to 1 for the best; equal values have one rank, the mean of theirs."""
    _, inverse, count = np.unique(fitness, return_inverse=True, return_counts=True)
    above = np.cumsum(count)
    return ((above - (count + 1) / 2) / max(len(fitness) - 1, 1))[inverse]


def importances(columns: Sequence[Column], fitness: np.ndarray) -> np.ndarray | None:
    """The fraction of the variance of the trials' ranks that each decision explains by itself.

    Ranks, since one diverged trial would make up all of the variance of the fitness. Each decision is binned
    (candidates; numbers into eight bins of equal count; not used), and the fraction is corrected for what that
    many bins explain by chance (the adjusted R squared of a one-way analysis of variance).

    Args:
      columns: the decisions over T trials.
      fitness: float32[T], -inf for failed trials, which are left out.

    Returns:
      float64[number of decisions] in [0, 1], or None for too few trials.
    """
    rows = np.flatnonzero(np.isfinite(fitness))
    if len(rows) < FEWEST:
        return None
    ranks = ranks_of(fitness[rows])
    return np.array([_explained(_bins(column, rows), ranks) for column in columns])


def _bins(column: Column, rows: np.ndarray) -> np.ndarray:
    values, used = column.values[rows], column.used[rows]
    if not column.is_choice and len(np.unique(values[used])) > BINS:
        edges = np.quantile(values[used], np.linspace(0, 1, BINS + 1)[1:-1])
        values = np.searchsorted(edges, values, side='right')
    return np.unique(np.where(used, values, np.nan), return_inverse=True)[1]


def _explained(bins: np.ndarray, ranks: np.ndarray) -> float:
    count = np.bincount(bins)
    number_of_bins, total = len(count), float(np.sum((ranks - ranks.mean()) ** 2))
    if number_of_bins < 2 or total == 0 or number_of_bins >= len(ranks):
        return 0.0
    means = np.bincount(bins, ranks) / count
    unexplained = float(np.sum((ranks - means[bins]) ** 2)) / total
    return max(0.0, 1 - unexplained * (len(ranks) - 1) / (len(ranks) - number_of_bins))


def lineage(trial: np.ndarray, parents: np.ndarray, fitness: np.ndarray, row: int) -> list[int]:
    """Rows from `row` back to its oldest known ancestor, through the fittest parent where there are several."""
    found = [row]
    while True:
        child = found[-1]
        known = np.searchsorted(trial, parents[child])
        rows = [
            int(r)
            for r, parent in zip(known, parents[child], strict=True)
            if parent >= 0 and r < child and trial[r] == parent  # only what came before can be a parent: it ends
        ]
        if not rows:
            return found
        found.append(max(rows, key=lambda r: (fitness[r, 0], -r)))


def changes(columns: Sequence[Column], row: int, parent: int) -> list[tuple[str, str, str]]:
    """(decision, the parent's, the child's) for each decision in which two trials differ."""
    return [
        (column.name, column.at(parent), column.at(row))
        for column in columns
        if column.used[row] != column.used[parent] or (column.used[row] and column.values[row] != column.values[parent])
    ]
