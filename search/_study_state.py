"""The inside of a study: what it is made of, how it moves on, and the directory that keeps it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import jax
import numpy as np

from pgjax._errors import ControllerError, StudyMismatchError, show
from pgjax.search import _branch, _checkpoint, _document
from pgjax.search._controller import Controller, noting_untraceable, require_proposals
from pgjax.search._evaluation import ASK, Batch
from pgjax.search._history import History, rows_of
from pgjax.search._host import DrawsAhead, HostController
from pgjax.search._notes import Notes, NotesFile
from pgjax.search._objective import Objective
from pgjax.search._outcome import Outcome
from pgjax.search._settings import is_whole, require_seed
from pgjax.search._store import Checkpoint, StudyStore
from pgjax.search._topology import require_keeper
from pgjax.space import DNA, Space
from pgjax.space._threefry import IMPL


class StudyState:
    """The attributes of a `Study`, and how one study becomes the next: `_advanced` copies, nothing changes."""

    space: Space
    controller: Controller
    objectives: tuple[Objective, ...]
    seed: int
    path: str | None
    state: Any
    history: History
    notes: Notes
    generation: int
    tile: int
    batch: Literal['vmap', 'map']
    mesh: jax.sharding.Mesh | None
    _first: int  # the id of the first trial of the generation under way
    _store: StudyStore | None
    _saved: _checkpoint.Saved
    _unfinished: bool = False  # whether the document on disk is older than the last checkpoint

    @functools.cached_property
    def _key(self) -> jax.Array:
        return jax.random.key(self.seed, impl=IMPL)

    @functools.cached_property
    def _host(self) -> HostController | None:
        """The controller in NumPy, where it has such a form; then the state has arrays of NumPy."""
        return self.controller.on_host(self.space) if self.controller.traceable else None

    @functools.cached_property
    def _draws(self) -> DrawsAhead:
        assert self._host is not None
        return DrawsAhead(self._host, jax.random.fold_in(self._key, ASK), self.controller.batch_size)

    def _placed(self, state: Any) -> Any:
        """A state where its controller works."""
        return state if self._host is None else jax.device_get(state)

    @functools.cached_property
    def _document(self) -> dict[str, Any]:
        return _document.make(
            template=self.space.template,
            part=_document.part_of(self.space),
            decisions=[decision.id for decision in self.space.decisions],
            controller=self.controller,
            objectives=self.objectives,
            seed=self.seed,
            tile=self.tile,
            batch=self.batch,
        )

    def _open(self, path: str, requested: Batch, create: bool, extend: bool) -> None:
        """Creates the directory, or takes over the progress that it keeps. Only while the study is being made."""
        if create and not StudyStore.exists(path):
            require_keeper(self.mesh, path)
            self._store = StudyStore.create(path, self._document)
            return
        self._store = StudyStore.open(path)
        stored = _checkpoint.document_of(self._store)
        self._unfinished = stored != self._store.document
        if requested == 'auto':  # whatever the backend is now, the study keeps how it began
            self.batch = stored['batch']
            self.__dict__.pop('_document', None)
        if extend and stored['template'] != self._document['template']:
            larger = {name: self._document[name] for name in ('template', 'decisions')}
            _document.refuse_mismatch(path, {**stored, **larger}, self._document)
            self._extend(stored)
            return
        _document.refuse_mismatch(path, stored, self._document)
        if self._store.steps():
            self._restore(self._store.load())

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Takes over the progress in a checkpoint. Only while the study is being made."""
        assert self.path is not None and self._store is not None
        about = checkpoint.attributes
        _checkpoint.warn_if_moved(self.path, about['environment'])
        if len(trials := checkpoint.rows['choices']) and trials.shape[1] != self.space.num_choices:
            raise StudyMismatchError(
                f'{self.path}: step {checkpoint.step} is from before the space was extended, and later ones are '
                'damaged. Extend it again, with extend=True and the space as it was in study.json.'
            )
        self.state = self._placed(_checkpoint.restore_state(self.state, checkpoint.state, self.path))
        self.generation, self._first = about['generation'], about['first']
        self.history = History((checkpoint.rows,)) if len(trials) else History()
        self.notes = NotesFile(self._store.files).read(about['notes'])
        self._saved = _checkpoint.Saved(checkpoint.step, len(self.history), about['notes'])

    def _extend(self, stored: Mapping[str, Any]) -> None:
        """Takes over the progress of a study of a smaller space, and keeps it from now on in the larger one.

        One checkpoint, atomic as any, holds the whole history in the larger space and the new document; a crash
        before it leaves the old study, and one after it the new study.
        """
        assert self._store is not None
        make: Any = type(self)
        old = make(**_document.parse(dict(stored)), path=self.path, mesh=self.mesh)
        made = _branch.extended(self, old)
        require_keeper(self.mesh, self._store.path)
        with self._store.lock():
            self._store.continue_from(old._saved.step or None)
            if old._saved.step:
                self._store.restart()
                writer = _checkpoint.Writer(self._store, _checkpoint.Saved(old._saved.step, 0, old._saved.notes))
                writer.save(made._snapshot, {'document': self._document})
                writer.close()
                made._saved = writer.saved
            self._store.replace_document(self._document)
        self.__dict__.update(made.__dict__)

    def _advanced(self, **changes: Any) -> Self:
        """A study that differs in some attributes and shares the rest."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        if 'state' in changes:  # another generation has other points
            made.__dict__.pop('_proposed', None)
        made.__dict__.update(changes)
        return made

    @functools.cached_property
    def _proposed(self) -> tuple[DNA, Any]:
        """The points of the generation under way, on the host, and the controller's state that remembers them."""
        if self._host is not None:
            return self._host.ask(self.state, self._draws.of(self.generation))
        ask = _compiled_ask if self.controller.traceable else _ask
        dna, asked = ask(self.space, self.controller, self.state, self._key, self.generation)
        return jax.tree.map(np.asarray, dna), asked

    @property
    def _rest(self) -> DNA:
        """The points of the generation under way whose outcome is not known; the ids go on from the history."""
        dna, _ = self._proposed
        known = len(self.history) - self._first
        return dna[known:] if known else dna

    def _tell(self, told: Outcome) -> Self:
        """The study after the next `len(told)` trials; the controller learns when its generation is complete."""
        (dna, asked), begin = self._proposed, len(self.history) - self._first
        mine = slice(begin, begin + len(told))
        parents = getattr(asked, 'parents', None)
        points = dna if len(told) == len(dna) else dna[mine]
        known = self._known(points, told, None if parents is None else np.asarray(parents)[mine])
        if mine.stop < len(dna):
            return self._advanced(**known)
        fitness = told.fitness if not begin else known['history'].since(self._first)['fitness']
        return self._advanced(**known)._replayed(dna, fitness)

    def _taught(self, dna: DNA, told: Outcome) -> Self:
        """The study a generation later, which has learned of other points than those that it would have asked for."""
        _, asked = self._proposed
        width = np.shape(getattr(asked, 'parents', np.zeros((1, 1))))[1]
        known = self._known(dna, told, np.full((len(told), width), -1, np.int32))
        return self._advanced(**known)._replayed(dna, told.fitness)

    def _known(self, dna: DNA, told: Outcome, parents: np.ndarray | None) -> dict[str, Any]:
        """History and notes with some more trials."""
        rows = rows_of(
            first=len(self.history),
            generation=self.generation,
            dna=dna,
            parents=parents,
            metrics=told.metrics,
            fitness=told.fitness,
            seconds=told.seconds,
            status=told.status,
        )
        return {'history': self.history.append(rows), 'notes': self.notes.added(told.notes)}

    def _replayed(self, dna: DNA, fitness: np.ndarray) -> Self:
        """The study whose controller has learned of the generation under way, which were these points."""
        _, asked = self._proposed
        if self._host is not None:
            state = self._host.tell(asked, dna, fitness)
        else:
            learn = _compiled_learn if self.controller.traceable else _learn
            state = learn(self.space, self.controller, asked, dna, fitness)
        return self._advanced(state=state, generation=self.generation + 1, _first=len(self.history))

    @property
    def _snapshot(self) -> _checkpoint.Snapshot:
        return _checkpoint.Snapshot(self.state, self.history, self.notes, self.generation, self._first)

    def _save(self, attributes: Mapping[str, Any] | None = None) -> Self:
        """The study with its directory brought up to date, if it has one and lags behind."""
        if self._store is None or (self._saved.trials == len(self.history) and not attributes):
            return self
        with self._writer() as writer:
            writer.save(self._snapshot, attributes)
        return self._advanced(_saved=writer.saved)

    def _is_behind(self) -> bool:
        """Whether another process has saved later trials."""
        return self._store is not None and self._store.steps()[-1:] > [self._saved.step]

    def _reread(self) -> Self:
        """The same study as of its last checkpoint."""
        assert self.path is not None
        made = self._advanced(state=self.state)
        made._store = StudyStore.open(self.path)
        made._restore(made._store.load())
        return made

    @contextlib.contextmanager
    def _writer(self) -> Iterator[_checkpoint.Writer]:
        """The one writer of the study's directory."""
        assert self._store is not None
        require_keeper(self.mesh, self._store.path)
        with self._store.lock():
            self._store.continue_from(self._saved.step or None)
            if self._unfinished:  # a crash came between the two writes of an extension
                self._store.replace_document(self._document)
                self._unfinished = False
            writer = _checkpoint.Writer(self._store, self._saved)
            try:
                yield writer
            finally:
                writer.close()


def check_settings(controller: Any, seed: Any, tile: Any, batch: Any) -> None:
    """Raises ControllerError for settings that make no study."""
    if not isinstance(controller, Controller):
        hint = ' Call it: a controller is an object.' if isinstance(controller, type) else ''
        raise ControllerError(
            f'controller must be a search.Controller, got {type(controller).__name__} {show(controller)}.{hint}'
        )
    require_seed(seed)
    if not is_whole(tile) or tile < 1:
        raise ControllerError(f'tile must be a positive int, got {show(tile)}.')
    if batch not in ('auto', 'vmap', 'map'):
        raise ControllerError(f"batch must be 'auto', 'vmap' or 'map', got {show(batch)}.")


def _ask(space: Space, controller: Controller, state: Any, key: jax.Array, generation: Any) -> tuple[DNA, Any]:
    with noting_untraceable(controller, 'ask'):
        asked = controller.ask(space, state, jax.random.fold_in(jax.random.fold_in(key, ASK), generation))
    require_proposals(controller, asked)
    return asked


def _learn(space: Space, controller: Controller, state: Any, dna: DNA, fitness: Any) -> Any:
    with noting_untraceable(controller, 'tell'):
        return controller.tell(space, state, dna, fitness)


_compiled_ask = jax.jit(_ask, static_argnums=0)
_compiled_learn = jax.jit(_learn, static_argnums=0)
