"""What a search has seen: arrays over trials in order, append-only, shared between the studies that grow from it."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgjax.space import DNA


class TrialStatus(enum.IntEnum):
    """How a trial ended.

    Attributes:
      COMPLETE: with metrics.
      FAILED: an objective was NaN or infinite, or the evaluator raised, hung or died.
      SKIPPED: the user's loop gave it up.
    """

    COMPLETE = 1
    FAILED = 2
    SKIPPED = 3


METRIC = 'metric/'
FAN = 16
_COMPLETE, _FAILED = int(TrialStatus.COMPLETE), int(TrialStatus.FAILED)


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """T trials in the order of their ids.

    Attributes:
      chunks: columns by name, for some trials each; the properties join them. Small ones are merged, as in a
        binary counter: T appends copy each trial O(log T) times and leave O(log T) chunks.
      recent: how many of the last chunks are as they were appended; `FAN` of them are merged at once.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> study = search.run(
    ...   pg.Dict(x=pg.oneof([1.0, 2.0])), lambda exp, key: {'loss': exp.x}, search.Random(batch_size=4),
    ...   objectives=[pg.minimize('loss')], generations=3)
    >>> study.history
    History(trials=12, metrics=['loss'])
    >>> study.history.generation, study.history.fitness.shape, study.history.metrics['loss'].min()
    (array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], dtype=int32), (12, 1), np.float32(1.0))
    """

    chunks: tuple[Mapping[str, np.ndarray], ...] = ()
    recent: int = 0

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        metrics = [name.removeprefix(METRIC) for name in column_names(self.chunks) if name.startswith(METRIC)]
        return f'History(trials={len(self)}, metrics={metrics})'

    @functools.cached_property
    def _length(self) -> int:
        return sum(len(chunk['trial']) for chunk in self.chunks)

    @functools.cached_property
    def _joined(self) -> dict[str, np.ndarray]:
        return {}

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Every column over all trials, metrics under 'metric/NAME'."""
        return {name: self._column(name) for name in column_names(self.chunks)}

    @property
    def trial(self) -> np.ndarray:
        """int64[T], the ids: 0, 1, 2, ..."""
        return self._column('trial')

    @property
    def generation(self) -> np.ndarray:
        """int32[T], the generation in which each was asked for."""
        return self._column('generation')

    @property
    def dna(self) -> DNA:
        """int32[T, C] and float32[T, F]."""
        return DNA(self._column('choices'), self._column('floats'))

    @property
    def parents(self) -> np.ndarray:
        """int32[T, K], the trials each was made from; -1 for none."""
        return self._column('parents')

    @property
    def fitness(self) -> np.ndarray:
        """float32[T, M], maximized; -inf for failed trials."""
        return self._column('fitness')

    @property
    def status(self) -> np.ndarray:
        """int8[T], values of `TrialStatus`."""
        return self._column('status')

    @property
    def seconds(self) -> np.ndarray:
        """float32[T], wall time of each trial (in a compiled program its share); not part of what is reproducible."""
        return self._column('seconds')

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """float32[T] by metric name, as the evaluator returned them."""
        return {n.removeprefix(METRIC): c for n, c in self.columns.items() if n.startswith(METRIC)}

    def _column(self, name: str) -> np.ndarray:
        if not self.chunks:
            return _EMPTY[name]
        if name not in self._joined:
            self._joined[name] = np.concatenate([column_of(chunk, name) for chunk in self.chunks])
        return self._joined[name]

    def append(self, rows: Mapping[str, np.ndarray]) -> History:
        """The history with more trials; this one stays as it is."""
        chunks, recent = (*self.chunks, rows), self.recent + 1
        if recent == FAN:
            chunks, recent = _merged(chunks), 0
        made = History(chunks, recent)
        made.__dict__['_length'] = self._length + len(rows['trial'])  # counting them would take longer
        return made

    def since(self, first: int) -> dict[str, np.ndarray]:
        """The columns of the trials from the `first` on, in time that does not grow with those before."""
        parts: list[Mapping[str, np.ndarray]] = []
        start = self._length
        for chunk in reversed(self.chunks):
            if start <= first and parts:
                break
            start -= len(chunk['trial'])
            parts.insert(0, {name: column[max(0, first - start) :] for name, column in chunk.items()})
        return join_rows(parts)


def _merged(chunks: tuple[Mapping[str, np.ndarray], ...]) -> tuple[Mapping[str, np.ndarray], ...]:
    """The chunks with the last `FAN` in one, and with those before it that are not larger."""
    begin, size = len(chunks) - FAN, sum(len(chunk['trial']) for chunk in chunks[-FAN:])
    while begin and len(chunks[begin - 1]['trial']) <= size:
        begin -= 1
        size += len(chunks[begin]['trial'])
    return (*chunks[:begin], join_rows(chunks[begin:]))


def column_names(parts: Sequence[Mapping[str, np.ndarray]]) -> list[str]:
    """The names of all columns; some parts may lack some metrics."""
    return list(dict.fromkeys(name for part in parts for name in part))


def column_of(part: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A column, NaN where none of these trials has the metric."""
    return part[name] if name in part else np.full(len(part['trial']), np.nan, np.float32)


def join_rows(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The trials of some parts in one."""
    return {name: np.concatenate([column_of(part, name) for part in parts]) for name in column_names(parts)}


_EMPTY: dict[str, np.ndarray] = {
    'trial': np.zeros(0, np.int64),
    'generation': np.zeros(0, np.int32),
    'choices': np.zeros((0, 0), np.int32),
    'floats': np.zeros((0, 0), np.float32),
    'parents': np.zeros((0, 1), np.int32),
    'fitness': np.zeros((0, 1), np.float32),
    'status': np.zeros(0, np.int8),
    'seconds': np.zeros(0, np.float32),
}


def rows_of(
    *,
    first: int,
    generation: int,
    dna: DNA,
    parents: Any,
    metrics: Mapping[str, np.ndarray],
    fitness: np.ndarray,
    seconds: float | np.ndarray,
    status: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Some trials of one generation as history columns.

    Args:
      first: the id of the first of them.
      generation: its number.
      dna: n points on the host.
      parents: int32[n, K], or None.
      metrics: float[n] by name.
      fitness: float32[n, M].
      seconds: wall time of each, or one for all.
      status: int[n], values of `TrialStatus`; by default as `fitness` says.
    """
    number = len(fitness)
    if status is None:
        status = status_of(fitness)
    return {
        'trial': np.arange(first, first + number, dtype=np.int64),
        'generation': np.array([generation] * number, np.int32),
        'choices': np.asarray(dna.choices, np.int32),
        'floats': np.asarray(dna.floats, np.float32),
        'parents': np.array([[-1]] * number, np.int32) if parents is None else np.asarray(parents, np.int32),
        'fitness': np.asarray(fitness, np.float32),
        'status': status.astype(np.int8),
        'seconds': np.full(number, seconds, np.float32) if np.ndim(seconds) == 0 else np.asarray(seconds, np.float32),
        **{METRIC + name: np.asarray(values, np.float32) for name, values in metrics.items()},
    }


def status_of(fitness: np.ndarray) -> np.ndarray:
    """int8[n], of trials that were evaluated: failed where fitness, float32[n, M], is -inf."""
    failed = (fitness == -np.inf).any(-1)
    return np.where(failed, np.int8(_FAILED), np.int8(_COMPLETE))


def best_row(fitness: np.ndarray) -> int | None:
    """The row of the highest fitness in the first objective, the lowest where several are equal; None if all failed."""
    first = fitness[:, 0] if fitness.size else np.zeros(0, np.float32)
    if not len(first) or np.isneginf(first).all():
        return None
    return int(np.argmax(first))


def front_rows(fitness: np.ndarray) -> np.ndarray:
    """int[K], the rows that no other row beats in every objective (of equal rows the first), in order."""
    rows = np.flatnonzero(np.isfinite(fitness).all(-1)) if fitness.size else np.zeros(0, int)
    if not len(rows):
        return rows
    order = rows[np.lexsort(-fitness[rows].T[::-1])]  # best first objective first: only rows before can beat a row
    values = fitness[order]
    if fitness.shape[-1] == 1:
        return order[:1]
    if fitness.shape[-1] == 2:
        before = np.maximum.accumulate(np.concatenate([[-np.inf], values[:-1, 1]]))
        return np.sort(order[values[:, 1] > before])
    kept = 0
    for row, value in zip(order.tolist(), values.copy(), strict=True):
        if not (values[:kept] >= value).all(-1).any():
            order[kept], values[kept] = row, value  # kept rows gather at the front, over those that were seen
            kept += 1
    return np.sort(order[:kept])
