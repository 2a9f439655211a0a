"""A study's directory: one document, the last few checkpoints, and the history in append-only segments.

    study.json                         written once, with its own SHA-256
    checkpoints/step-0000000012/       a bundle: the state; its attributes list the segments and their digests
    history/segment-<first>-<last>-..  a bundle: the trials told since the checkpoint before
    lock                               held by the one writer

A checkpoint is committed by the rename of its folder (at a URL: by the write of its last object), after the segments
it lists are durable; segments are deleted only when no kept checkpoint lists them. Sixteen segments of a level are
merged into one of the next (a log-structured merge), so T trials lie in O(log T) segments and a save costs the same
at any T, but for the rare one that merges. Steps are ordered by number, never by time.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pgjax._errors import PgjaxError, StudyLockedError, StudyMismatchError
from pgjax.io._arrays import pack_bundle
from pgjax.io._files import pack_json
from pgjax.io._places import storage_at
from pgjax.io._storage import Storage
from pgjax.search._store_document import read_document, refuse_foreign, seal, steps_in
from pgjax.search._store_history import Head, Segment, merge_columns, names_of
from pgjax.search._store_read import Checkpoint, Reader, StudyDamagedWarning, step_name, warn_damaged
from pgjax.search._store_segments import Segments

__all__ = ['Checkpoint', 'StudyDamagedWarning', 'StudyStore']


class StudyStore:
    """The files of one study; made by `create` or `open`.

    Reading needs no lock and may go on while another process writes.

    Attributes:
      files: where it is.
      path: of the directory, absolute, or its URL.

    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = StudyStore.create(folder, {'seed': 0})
    ...     with store.lock():
    ...         store.save(1, {'key': np.zeros(2)}, {'fitness': np.ones(3)}, {'note': 'first'})
    ...     StudyStore.open(folder).load().rows
    {'fitness': array([1., 1., 1.])}
    """

    def __init__(self, files: Storage, content: Mapping[str, Any]):
        self.files = files
        self.path = files.path
        self._content = content
        self._reader = Reader(files, content['id'])
        self._lock = files.lock('lock')
        self._depth = 0
        self._head: Head | None = None
        self._segments = Segments(self._reader)

    # --- the directory and its document

    @classmethod
    def exists(cls, path: str | os.PathLike[str]) -> bool:
        """Whether there is a study at `path`, intact or not."""
        files = storage_at(path)
        return files.has('study.json') or bool(steps_in(files))

    @classmethod
    def create(cls, path: str | os.PathLike[str], document: Mapping[str, Any]) -> StudyStore:
        """Starts a study in a new or empty directory, and so finds out whether it can be written.

        Args:
          path: the directory; its parents are made too.
          document: JSON, what the study is.

        Raises:
          StudyExistsError: the directory holds a study, or anything else.
          StudyWriteError: it cannot be written.
          EncodeError: `document` is not JSON.
        """
        files = storage_at(path, writing=True)
        content = seal(document, hashlib.sha256(pack_json(document)).hexdigest()[:32])
        refuse_foreign(files)
        files.prepare('checkpoints', 'history')
        store = cls(files, content)
        with store.lock():
            refuse_foreign(files)  # again, now that nobody else can be creating it
            files.write('study.json', pack_json(content, sort_keys=False))
        store._head = Head()
        return store

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> StudyStore:
        """The study stored at `path`.

        Raises:
          StudyNotFoundError: there is none.
          StudyCorruptError: its document is damaged.
          StudyVersionError: a newer version wrote it.
        """
        files = storage_at(path)
        return cls(files, read_document(files))

    @property
    def document(self) -> dict[str, Any]:
        """What the study is, as given to `create` (a fresh copy)."""
        return copy.deepcopy(self._content['document'])

    def replace_document(self, document: Mapping[str, Any]) -> None:
        """Exchanges the document (for a compatible, larger space, say); the checkpoints stay valid."""
        self._require_lock()
        content = seal(document, self._content['id'])
        self.files.write('study.json', pack_json(content, sort_keys=False))
        self._content = content

    # --- the lock

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Makes this process the one writer; may be nested.

        Raises:
          StudyLockedError: another process (or store object) is; the message names it.
          StudyWriteError: the directory cannot be written.
        """
        self._refuse_fork()
        if not self._lock.held:
            self._lock.acquire()
            self._depth = 0
        self._depth += 1
        try:
            if self._depth == 1:
                self._segments.forget_all()  # others may have written since
                self._clean()
            yield
        finally:
            self._depth -= 1
            if self._depth == 0 and self._lock.held:
                self._lock.release()

    def _refuse_fork(self) -> None:
        if (parent := self._lock.forked_from) is not None:
            raise StudyLockedError(
                f'{self.path}: this process was forked after process {parent} took the lock, which stays '
                'there. Open the study in the child, after the fork.'
            )

    def _require_lock(self) -> None:
        self._refuse_fork()
        if not self._lock.held:
            raise StudyLockedError(f'{self.path}: writing needs the lock: `with store.lock(): ...`.')

    # --- saving

    def steps(self) -> list[int]:
        """The numbers of the committed checkpoints, ascending."""
        return self._reader.steps()

    def save(
        self,
        step: int,
        state: Mapping[str, Any],
        rows: Mapping[str, Any],
        attributes: Mapping[str, Any],
        *,
        keep: int = 3,
        first: int | None = None,
    ) -> None:
        """Commits a checkpoint; on return it is durable. May run in any thread, one save at a time.

        Args:
          step: its number, above that of the checkpoint it goes on from (the last loaded or saved).
          state: arrays by name; `io.to_host` first if they will be donated meanwhile.
          rows: columns of the history, for the trials since that checkpoint; each [n, ...].
          attributes: JSON to store with it.
          keep: how many checkpoints to keep, the newest ones.
          first: the number of the first of these trials, if it is to be checked.

        Raises:
          StudyLockedError: this process does not hold the lock.
          StudyMismatchError: intact checkpoints lie after the one this goes on from, or `rows` does not
            continue the stored columns.
          StudyWriteError: it cannot be written; all earlier checkpoints are intact, and a retry may succeed.
        """
        self._require_lock()
        if self._head is None and self.steps():
            self.load()
        head = self._head or Head()
        if step <= head.step or keep < 1 or first not in (None, head.trials):
            raise StudyMismatchError(
                f'{self.path} stands at step {head.step} with {head.trials} trials; got step {step}, trials '
                f'from {first} on, and keep={keep} (at least 1). Go on from there, or load another step.'
            )
        columns, arrays, count = merge_columns(self.path, rows, head)
        self._set_aside(head.step)
        segments = self._segments.append(head, arrays, count) if count else head.segments
        about = {
            'study': self._content['id'],
            'step': step,
            'columns': columns,
            'segments': [dataclasses.astuple(segment) for segment in segments],
            'attributes': dict(attributes),
        }
        self.files.write_bundle(step_name(step), pack_bundle(state, about))
        self._head = Head(step, segments, columns)
        self._segments.note(step, segments)
        self._prune(segments, keep)

    def continue_from(self, step: int | None) -> None:
        """Makes `step` what the next save goes on from (None: the start); needs the lock.

        Damaged checkpoints after it are set aside, under names that begin with `damaged-`.

        Raises:
          StudyMismatchError: intact checkpoints lie after it: the study has gone on.
          StudyNotFoundError: there is no such step.
          StudyCorruptError: it is damaged.
        """
        self._require_lock()
        if step is None:
            self._head = Head()
        elif self._head is None or self._head.step != step:
            self.load(step, history=False)
        self._set_aside(-1 if step is None else step)

    def restart(self) -> None:
        """Makes the next save write the whole history anew, under any columns; needs the lock and a step to go on from.

        Earlier checkpoints keep the history as it was.
        """
        self._require_lock()
        assert self._head is not None
        self._head = Head(self._head.step)

    def rewind(self, step: int) -> None:
        """Drops every checkpoint after `step`, which must be intact, so that saving goes on from there."""
        self._require_lock()
        self.load(step)
        for later in sorted((s for s in self.steps() if s > step), reverse=True):
            self.files.remove(step_name(later))  # the newest first: a crash leaves a study
            self._segments.forget(later)

    def _set_aside(self, step: int) -> None:
        """Renames the checkpoints after `step` if all are damaged; refuses if one is intact."""
        later = [s for s in self.steps() if s > step]
        if intact := [s for s in later if self._reader.is_intact(s)]:
            raise StudyMismatchError(
                f'{self.path} has gone on to step {intact[-1]}, and this would go on from step {step}. Load '
                'it again, or drop the later steps with `StudyStore.rewind`.'
            )
        for name in map(step_name, later):
            folder, _, own = name.rpartition('/')
            self.files.rename(name, f'{folder}/damaged-{own}-{os.urandom(4).hex()}')

    def _prune(self, segments: Sequence[Segment], keep: int) -> None:
        """Deletes all but the newest checkpoints, then what none of them lists; the save is done by now."""
        try:
            old = self.steps()[:-keep]
            self.files.remove(*map(step_name, old))
        except PgjaxError as error:
            warn_damaged(f'An old checkpoint was not removed: {error}')
            return
        if self._segments.forget(*old) - names_of(segments):  # a merge has left some behind
            self._segments.prune()

    def _clean(self) -> None:
        """Deletes what a crash left: unfinished and half deleted folders, segments that no step lists."""
        self.files.remove_leftovers('', 'checkpoints', 'history')
        self._segments.prune()

    # --- loading

    def load(self, step: int | None = None, *, history: bool = True) -> Checkpoint:
        """Reads a checkpoint, checking every byte; saving goes on from it.

        Args:
          step: its number; by default the newest intact one, with a warning if that is not the newest.
          history: whether to read the rows too.

        Raises:
          StudyNotFoundError: there is no such step, or no checkpoint at all.
          StudyCorruptError: it is damaged (the message names the newest intact one), or all are.
          StudyVersionError: a newer version wrote it.

        Warns:
          StudyDamagedWarning: the newest is damaged and an earlier one is used.
        """
        checkpoint, self._head = self._reader.newest(step, history)
        return checkpoint

    def attributes(self, step: int) -> dict[str, Any]:
        """The attributes of a checkpoint alone.

        Raises:
          StudyCorruptError: it is damaged.
        """
        return self._reader.attributes(step)

    def verify(self) -> list[str]:
        """Reads everything and says what is wrong, a line each; empty if all is well."""
        return self._reader.verify()
