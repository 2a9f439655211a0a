"""The history of a stored study: which segments hold it, when they are merged, and what columns they share."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgjax._errors import StudyCorruptError, StudyMismatchError, show
from pgjax.io._arrays import DTYPES
from pgjax.search._store_document import damage_error

FAN = 16  # segments of one level that become one of the next
SEGMENT = re.compile(r'segment-\d{12,18}-\d{12,18}-[0-9a-f]{16}')


@dataclasses.dataclass(frozen=True)
class Segment:
    """`count` trials from `first` on, in the folder `name`; `level` says how often they were merged."""

    name: str
    digest: str
    first: int
    count: int
    level: int


@dataclasses.dataclass(frozen=True)
class Head:
    """What the next save goes on from: a step, its segments, and the dtype and shape of a row by column."""

    step: int = -1
    segments: tuple[Segment, ...] = ()
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def trials(self) -> int:
        return sum(segment.count for segment in self.segments)


def merge_from(levels: Sequence[int]) -> tuple[int, int]:
    """Where merging begins when a segment of level 0 is added after segments of these levels.

    Returns:
      `(start, level)`: the segments from `start` on and the new one become one of `level`.

    >>> merge_from([0] * 14), merge_from([0] * 15), merge_from([2] + [1] * 15 + [0] * 15)
    ((14, 0), (0, 1), (1, 2))
    """
    start, level, more = len(levels), 0, FAN - 1
    while start >= more and all(found == level for found in levels[start - more : start]):
        start, level = start - more, level + 1
    return start, level


def names_of(segments: Sequence[Segment]) -> frozenset[str]:
    return frozenset(segment.name for segment in segments)


def head_of(path: str, study: str, step: int, about: Mapping[str, Any]) -> Head:
    """What the attributes of a checkpoint say, which must be those of this step of this study."""
    if (about.get('study'), about.get('step')) != (study, step):
        found = f'step {show(about.get("step"))} of study {show(about.get("study"))}'
        raise damage_error(path, 'identity', f'step {step} of study {study}', found)
    try:
        segments = tuple(Segment(*fields) for fields in about['segments'])
        for before, segment in zip((None, *segments), segments, strict=False):
            first = before.first + before.count if before else 0
            if not SEGMENT.fullmatch(segment.name):
                raise ValueError(f'{show(segment.name)} lies outside the study directory')
            if segment.first != first or type(segment.count) is not int or segment.count < 1:
                raise ValueError(f'{segment.name} is not the segment from trial {first} on')
            if not isinstance(segment.digest, str) or type(segment.level) is not int:
                raise ValueError(f'{segment.name} has no digest')
        for dtype, shape in about['columns'].values():
            empty_column(dtype, shape)
        return Head(step, segments, about['columns'])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damage_error(path, 'attributes', 'a list of segments and columns', repr(error)) from error


def empty_column(dtype: str, shape: Sequence[int]) -> np.ndarray:
    """A column of no trials. Raises KeyError, TypeError or ValueError where a damaged file says nonsense."""
    return np.zeros([0, *shape], DTYPES[dtype])


def describe(rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """By column the dtype and the shape of a row, as JSON."""
    return {name: [column.dtype.name, list(column.shape[1:])] for name, column in rows.items()}


def merge_columns(
    path: str, rows: Mapping[str, Any], head: Head
) -> tuple[Mapping[str, Any], dict[str, np.ndarray], int]:
    """The columns of the study once `rows` is added, `rows` as arrays, and their number of trials."""
    arrays = {name: np.asarray(column) for name, column in rows.items()}
    lengths = {len(column) if column.ndim else -1 for column in arrays.values()} or {0}
    columns = describe(arrays)
    if len(lengths) > 1 or -1 in lengths:
        raise StudyMismatchError(f'{path}: the columns of `rows` have different lengths: {sorted(lengths)}.')
    if head.segments and lengths == {0}:
        return head.columns, arrays, 0
    if head.segments and (wider := widened(head.columns, columns)) is not None:
        return wider, arrays, lengths.pop()
    if head.segments:
        names = sorted(n for n in {**columns, **head.columns} if columns.get(n) != head.columns.get(n))
        raise StudyMismatchError(
            f'{path}: column {show(names[0])} is {show(columns.get(names[0]))}, and the stored history has '
            f'{show(head.columns.get(names[0]))} there; every save must have the same columns (metrics may be absent).'
        )
    return columns, arrays, lengths.pop()


def widened(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """All columns of both, or None where they differ in more than which metrics there are."""
    both = {**old, **new}
    fits = all(old.get(name, about) == new.get(name, about) for name, about in both.items())
    optional = all(name in old and name in new for name in both if not _may_be_absent(name, both[name]))
    return both if fits and optional else None


def _may_be_absent(name: str, about: Any) -> bool:
    """A metric of numbers: a trial may be without it, and NaN says so."""
    return name.startswith('metric/') and list(about) == ['float32', []]


def concatenate(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The rows of some segments in one, NaN where a segment lacks a metric."""
    columns: dict[str, Any] = describe(parts[0])
    for part in parts:
        wider = widened(columns, describe(part))
        if wider is None:
            raise StudyCorruptError('The history is damaged: its segments have different columns.')
        columns = wider

    def column(part: Mapping[str, np.ndarray], name: str) -> np.ndarray:
        length = len(next(iter(part.values())))
        return part[name] if name in part else np.full(length, np.nan, np.float32)

    return {name: np.concatenate([column(part, name) for part in parts]) for name in columns}
