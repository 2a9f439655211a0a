"""Reading a stored study: its checkpoints, their part of the history, and what is wrong with them.

Nothing here needs the lock, and all of it may go on while another process writes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from typing import Any

import numpy as np

from pgjax._errors import PgjaxError, StudyCorruptError, StudyNotFoundError, shorten, show
from pgjax.io._storage import Storage
from pgjax.search._store_document import damage_error, read_document, steps_in
from pgjax.search._store_history import Head, Segment, concatenate, describe, empty_column, head_of, names_of


class StudyDamagedWarning(UserWarning):
    """A part of a stored study is damaged, and an older, intact one is used."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What one save stored.

    Attributes:
      step: its number.
      state: arrays by name.
      rows: the columns of the history up to it, in trial order, each [T, ...]; empty if not asked for.
      attributes: as given to `save`.
    """

    step: int
    state: dict[str, Any]
    rows: dict[str, np.ndarray]
    attributes: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Reader:
    """What reads the study of one identity.

    Attributes:
      files: where the study is.
      identity: of the study, which every checkpoint of it names.
    """

    files: Storage
    identity: str

    def steps(self) -> list[int]:
        """The numbers of the committed checkpoints, ascending."""
        return steps_in(self.files)

    def newest(self, step: int | None, history: bool) -> tuple[Checkpoint, Head]:
        """The checkpoint `step`, or the newest intact one; see `StudyStore.load`."""
        path, steps = self.files.path, self.steps()
        if not steps or (step is not None and step not in steps):
            wanted = 'no checkpoint yet; run the study first' if step is None else f'no step {step}'
            raise StudyNotFoundError(f'{path} has {wanted}; its steps are {show(steps)}.')
        damage: list[str] = []
        for candidate in reversed(steps) if step is None else [step]:
            try:
                found = self.read(candidate, history)
            except StudyCorruptError as error:
                if not self.files.has(step_name(candidate)):  # a writer pruned it meanwhile
                    return self.newest(step, history)
                damage.append(f'step {candidate} is damaged: {shorten(str(error), 300)}')
                continue
            if damage:
                warn_damaged(f'{path}: {"; ".join(damage)} Using step {candidate} instead.', 4)
            return found
        intact = next((s for s in reversed(steps) if step is not None and self.is_intact(s)), None)
        cure = 'No step is intact' if intact is None else f'The newest intact step is {intact}'
        raise StudyCorruptError(f'{cure}; {damage[0]}')

    def read(self, step: int, history: bool = True) -> tuple[Checkpoint, Head]:
        """A checkpoint, and what a save would go on from; raises StudyCorruptError."""
        name = step_name(step)
        path = self.files.where(name)
        state, about = self.files.load_bundle(name)
        head = head_of(path, self.identity, step, about)
        rows: dict[str, np.ndarray] = {}
        if history:
            if head.segments:
                rows = concatenate([self.read_segment(segment) for segment in head.segments])
            else:
                columns = head.columns.items()
                rows = {name: empty_column(dtype, shape) for name, (dtype, shape) in columns}
            if describe(rows) != head.columns:
                raise damage_error(path, 'columns', show(head.columns), show(describe(rows)))
        return Checkpoint(step, state, rows, about['attributes']), head

    def read_segment(self, segment: Segment) -> dict[str, np.ndarray]:
        """The rows of a segment; raises StudyCorruptError."""
        name = segment_name(segment.name)
        rows, about = self.files.load_bundle(name, segment.digest)
        lengths = {len(column) if column.ndim else -1 for column in rows.values()}
        if lengths != {segment.count} or about.get('first') != segment.first:
            expected = f'{segment.count} from {segment.first} on'
            raise damage_error(self.files.where(name), 'trials', expected, f'{lengths}')
        return rows

    def is_intact(self, step: int) -> bool:
        """Whether every byte of a checkpoint is as it was written."""
        try:
            self.read(step)
        except StudyCorruptError:
            return False
        return True

    def attributes(self, step: int) -> dict[str, Any]:
        """The attributes of a checkpoint alone; raises StudyCorruptError."""
        return self.files.load_attributes(step_name(step)).get('attributes', {})

    def segments_of(self, step: int) -> frozenset[str]:
        """The names of the segments that a checkpoint lists; raises StudyCorruptError."""
        name = step_name(step)
        head = head_of(self.files.where(name), self.identity, step, self.files.load_attributes(name))
        return names_of(head.segments)

    def verify(self) -> list[str]:
        """Reads everything and says what is wrong, a line each; empty if all is well."""
        problems = []
        for step in (None, *self.steps()):
            try:
                read_document(self.files) if step is None else self.read(step)
            except PgjaxError as error:
                if step is None or self.files.has(step_name(step)):  # else pruned meanwhile
                    problems.append(f'{"study.json" if step is None else f"step {step}"}: {error}')
        with contextlib.suppress(NotADirectoryError):
            names = self.files.names('checkpoints')
            problems += [f'{name} was set aside as damaged.' for name in names if name.startswith('damaged-')]
        return problems


def step_name(step: int) -> str:
    """The bundle of a checkpoint."""
    return f'checkpoints/step-{step:010d}'


def segment_name(name: str) -> str:
    """The bundle of a segment."""
    return f'history/{name}'


def warn_damaged(message: str, level: int = 3) -> None:
    """Warns the caller `level` calls up."""
    warnings.warn(shorten(message, 1000), StudyDamagedWarning, stacklevel=level)
