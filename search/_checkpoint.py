"""A study's progress as named arrays, and back: the state is a pytree, which is all that is known of it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from pgjax._errors import PgjaxError, StudyCorruptError, StudyMismatchError, StudyVersionError
from pgjax.io import to_host
from pgjax.search import _document
from pgjax.search._history import History
from pgjax.search._notes import Notes, NotesFile
from pgjax.search._store import StudyStore


class EnvironmentChangedWarning(UserWarning):
    """A study goes on somewhere else than it began: results agree to rounding, not to the bit."""


def state_arrays(state: Any) -> dict[str, Any]:
    """The leaves of a controller's state by their key paths."""
    leaves, treedef = jax.tree.flatten(state)
    return dict(zip(_names(treedef), leaves, strict=True))


@functools.lru_cache(maxsize=16)
def _names(treedef: Any) -> tuple[str, ...]:
    """The key paths of all leaves; to make them takes longer than to fetch what is there."""
    state = treedef.unflatten(range(treedef.num_leaves))
    return tuple(jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(state)[0])


def restore_state(like: Any, arrays: Mapping[str, Any], path: str) -> Any:
    """The state whose leaves are `arrays`.

    Args:
      like: a state of the same controller, or the shapes of one.
      arrays: by key path.
      path: of the study, for messages.

    Raises:
      StudyMismatchError: leaves are missing, too many, or of another shape or dtype; all of them are named.
    """
    wanted, treedef = state_arrays(like), jax.tree.structure(like)
    wrong = [
        f'{name}: expected {_about(wanted.get(name))}, the checkpoint has {_about(arrays.get(name))}'
        for name in sorted(wanted.keys() | arrays.keys())
        if _about(wanted.get(name)) != _about(arrays.get(name))
    ]
    if wrong:
        raise StudyMismatchError(f'{path}: the checkpoint does not fit the controller: {"; ".join(wrong)}.')
    return treedef.unflatten([jnp.asarray(arrays[name]) for name in wanted])


def _about(leaf: Any) -> str:
    return 'nothing' if leaf is None else f'{leaf.dtype}{list(leaf.shape)}'


def document_of(store: StudyStore) -> dict[str, Any]:
    """What the study is: as its document says, or its last checkpoint, where a crash came between the two.

    Raises:
      StudyVersionError: a newer version wrote it.
      StudyCorruptError: it is the document of no study.
    """
    document = store.document
    with contextlib.suppress(StudyCorruptError, StudyVersionError, LookupError):
        document = store.attributes(store.steps()[-1])['document']
    _document.require_readable(store.path, document)
    return document


def problems_of(store: StudyStore) -> list[str]:
    """What is wrong with a stored study, after reading all of it; a line each, none if all is well."""
    problems = store.verify()
    with contextlib.suppress(PgjaxError, LookupError):  # of a checkpoint that is among the problems, or not there yet
        problems += NotesFile(store.files).problems(store.attributes(store.steps()[-1])['notes'])
    return problems


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """How far a study has come: all that a checkpoint keeps of it.

    Attributes:
      state: of the controller, as of the start of the generation under way.
      history: every trial told so far.
      notes: on trials.
      generation: the number of generations told to the controller.
      first: the id of the first trial of the generation under way.
    """

    state: Any
    history: History
    notes: Notes
    generation: int
    first: int


@dataclasses.dataclass(frozen=True)
class Saved:
    """What the last checkpoint holds.

    Attributes:
      step: its number; 0 where there is none. Steps count the saves.
      trials: the number of trials in it.
      notes: the bytes of notes that belong to it.
    """

    step: int = 0
    trials: int = 0
    notes: int = 0


class Writer:
    """Writes checkpoints behind the search: at most one at a time, on a thread of its own.

    States and histories never change, so nothing is copied and nothing waits.

    Attributes:
      saved: the last checkpoint that is on disk.
    """

    def __init__(self, store: StudyStore, saved: Saved):
        self.saved = saved
        self._store = store
        self._thread = concurrent.futures.ThreadPoolExecutor(1, 'pgjax-checkpoint')
        self._pending: concurrent.futures.Future[Saved] | None = None

    def save(self, snapshot: Snapshot, attributes: Mapping[str, Any] | None = None) -> None:
        """Begins to write a checkpoint, after the one before is done.

        Args:
          snapshot: what to write; its trials and notes after those of the last checkpoint.
          attributes: more JSON to store with it.

        Raises:
          StudyWriteError: the one before could not be written.
        """
        self.wait()
        arrays = to_host(state_arrays(snapshot.state))  # a later step may donate the buffers
        about = {
            'trials': len(snapshot.history),
            'generation': snapshot.generation,
            'first': snapshot.first,
            'environment': _document.environment(),
            **(attributes or {}),
        }
        self._pending = self._thread.submit(self._write, self.saved, arrays, snapshot, about)

    def _write(self, saved: Saved, arrays: Mapping[str, Any], snapshot: Snapshot, about: dict[str, Any]) -> Saved:
        notes = NotesFile(self._store.files).append(saved.notes, snapshot.notes.since(saved.trials))
        rows = snapshot.history.since(saved.trials)
        self._store.save(saved.step + 1, arrays, rows, {**about, 'notes': notes}, first=saved.trials)
        return Saved(saved.step + 1, len(snapshot.history), notes)

    def wait(self) -> None:
        """Returns when the last checkpoint is on disk."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self.saved = pending.result()

    def close(self) -> None:
        """Waits, and ends the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()


def warn_if_moved(path: str, stored: Mapping[str, Any]) -> None:
    """Warns of every difference between where a study was written and where it goes on."""
    here = _document.environment()
    changed = [
        f'{name} {stored[name]} -> {here[name]}' for name in here if name in stored and stored[name] != here[name]
    ]
    if changed:
        warnings.warn(
            f'{path} was written elsewhere ({", ".join(changed)}): results agree to rounding, not to the bit.',
            EnvironmentChangedWarning,
            stacklevel=4,
        )
