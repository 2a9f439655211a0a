"""`search.Study`: a search with its history, kept on disk and continued bit for bit."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np

from pgjax._errors import ControllerError, FitnessError, TrialStateError, show
from pgjax.search import _checkpoint, _document
from pgjax.search._controller import Controller
from pgjax.search._evaluation import ASK, INIT, Batch, Clock, Evaluate, Evaluator, resolve_batch, trial_key
from pgjax.search._history import History, best_row, front_rows, rows_of
from pgjax.search._objective import Objective, as_objectives, check_metrics, to_fitness
from pgjax.search._progress import Progress
from pgjax.search._signals import stop_requests
from pgjax.search._store import StudyStore
from pgjax.search._trial import Trial, trial_at
from pgjax.space import DNA, Space, search_space

MAX_SEED = 2**32


class Study:
    """A search over a space: a value that `run` and `tell` return advanced, while it stays as it is.

    With a `path` it is kept in that directory: made if there is none, and continued from its last checkpoint if
    the directory holds the same study.

    Attributes:
      space: what is searched.
      controller: what proposes points.
      objectives: what is maximized or minimized.
      seed: of all randomness.
      path: the directory, or None.
      state: the controller's state.
      history: every trial so far.
      generation: the number of generations so far.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> study = search.Study(pg.Dict(x=pg.floatv(0.0, 1.0)), search.Random(batch_size=8), objectives=['y'])
    >>> study = study.run(lambda exp, key: {'y': -(exp.x - 0.5) ** 2}, generations=4, progress=False)
    >>> len(study.history), bool(abs(study.best.value.x - 0.5) < 0.2)
    (32, True)
    """

    space: Space
    controller: Controller
    objectives: tuple[Objective, ...]
    seed: int
    path: str | None
    state: Any
    history: History
    generation: int

    def __init__(
        self,
        space: Any,
        controller: Controller,
        *,
        objectives: Objective | str | Sequence[Objective | str],
        seed: int = 0,
        path: str | os.PathLike[str] | None = None,
        tile: int = 16,
        batch: Batch = 'auto',
        mesh: jax.sharding.Mesh | None = None,
        create: bool = True,
    ):
        """Makes a study, or opens the one that is kept at `path`.

        Args:
          space: a `Space`, or a template with holes.
          controller: its settings; they become part of the study.
          objectives: `pg.maximize(...)`, `pg.minimize(...)`, or names of metrics to maximize.
          seed: 0 to 2**32 - 1.
          path: a directory.
          tile: members evaluated together; it decides last bits, so it is part of the study.
          batch: 'vmap', 'map', or 'auto' by backend; part of the study once decided.
          mesh: devices under the one axis 'pop'; results do not depend on it.
          create: whether `path` may be made; else it must hold this study already.

        Raises:
          SpaceError, ControllerError, FitnessError: the arguments do not make a search.
          StudyMismatchError: `path` holds another study; the first difference is named.
          StudyNotFoundError: there is no study at `path`, and `create` is False.
          StudyExistsError: `path` holds something else.
          StudyWriteError: `path` cannot be written.
        """
        if not isinstance(controller, Controller):
            raise ControllerError(
                f'controller must be a search.Controller, got {type(controller).__name__} {show(controller)}.'
            )
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < MAX_SEED:
            raise ControllerError(f'seed must be an int from 0 to 2**32 - 1, got {show(seed)}.')
        if isinstance(tile, bool) or not isinstance(tile, int) or tile < 1:
            raise ControllerError(f'tile must be a positive int, got {show(tile)}.')
        if batch not in ('auto', 'vmap', 'map'):
            raise ControllerError(f"batch must be 'auto', 'vmap' or 'map', got {show(batch)}.")
        self.space = search_space(space)
        self.controller = controller
        self.objectives = as_objectives(objectives)
        self.seed = int(seed)
        self.path = None if path is None else os.path.abspath(path)
        self.mesh = mesh
        self.tile = tile
        self.batch: Literal['vmap', 'map'] = resolve_batch(batch)
        self.history = History()
        self.generation = 0
        self._trials_asked = 0
        self.state = controller.init(self.space, jax.random.fold_in(self._key, INIT), len(self.objectives))
        self._store: StudyStore | None = None
        if self.path is not None:
            self._open(self.path, batch, create)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mesh: jax.sharding.Mesh | None = None) -> Study:
        """The study kept at `path`, as of its last intact checkpoint.

        Raises:
          StudyNotFoundError: there is none.
          StudyCorruptError: no checkpoint is intact.
          StudyVersionError: a newer version wrote it.
          UnknownTypeError: it names a class that nobody imported.
        """
        store = StudyStore.open(path)
        return cls(**_document.parse(store.document), path=path, mesh=mesh)

    @functools.cached_property
    def _key(self) -> jax.Array:
        return jax.random.key(self.seed, impl='threefry2x32')  # the one generator whose bits do not depend on batching

    @functools.cached_property
    def _document(self) -> dict[str, Any]:
        return _document.make(
            template=self.space.template,
            controller=self.controller,
            objectives=self.objectives,
            seed=self.seed,
            tile=self.tile,
            batch=self.batch,
        )

    def _open(self, path: str, requested: Batch, create: bool) -> None:
        """Creates the directory, or takes over the progress that it keeps."""
        if create and not StudyStore.exists(path):
            self._store = StudyStore.create(path, self._document)
            return
        self._store = StudyStore.open(path)
        stored = self._store.document
        if requested == 'auto':  # whatever the backend is now, the study keeps how it began
            self.batch = stored['batch']
        _document.refuse_mismatch(path, stored, self._document)
        if self._store.steps():
            self._restore(path, self._store)

    def _restore(self, path: str, store: StudyStore) -> None:
        checkpoint = store.load()
        _checkpoint.warn_if_moved(path, checkpoint.attributes['environment'])
        self.state = _checkpoint.restore_state(self.state, checkpoint.state, path)
        self.generation = checkpoint.step
        self._trials_asked = checkpoint.attributes['asked']
        if len(checkpoint.rows['trial']):
            self.history = History((checkpoint.rows,))

    def _advanced(self, **changes: Any) -> Study:
        """A study that differs in some attributes and shares the rest."""
        made = object.__new__(Study)
        made.__dict__.update(self.__dict__)
        made.__dict__.update(changes)
        return made

    def run(
        self,
        evaluate: Evaluate,
        generations: int = 1,
        *,
        progress: bool | Progress = True,
        checkpoint_seconds: float = 30.0,
    ) -> Study:
        """Searches for some more generations.

        On SIGTERM the generation is finished and saved, and the program exits with status 143; on SIGINT
        likewise, with KeyboardInterrupt.

        Args:
          evaluate: `evaluate(exp, key)` returns a dict of scalar metrics; pure JAX in its floats.
          generations: how many; each evaluates the controller's `batch_size` points.
          progress: shows a display in the terminal; False shows nothing.
          checkpoint_seconds: least time between checkpoints; there is always one at the end. 0 saves every
            generation.

        Returns:
          The study with the new trials. `self` stays as it is.

        Raises:
          FitnessError: `evaluate` does not return what the objectives need.
          EvaluatorError: `evaluate` raised.
          StudyMismatchError: the directory has gone on since this study was read.
          StudyWriteError, StudyLockedError: the study cannot be kept.
        """
        evaluator = Evaluator(evaluate, self.objectives, tile=self.tile, batch=self.batch, mesh=self.mesh)
        display = progress if isinstance(progress, Progress) else Progress(enabled=bool(progress))
        if self._store is None:
            with stop_requests() as stop, display:
                study = self._loop(evaluator, generations, display, stop, None, checkpoint_seconds)
        else:
            with self._store.lock(), stop_requests() as stop, display:
                self._store.continue_from(self.generation or None)
                writer = _checkpoint.Writer(self._store, len(self.history))
                try:
                    study = self._loop(evaluator, generations, display, stop, writer, checkpoint_seconds)
                finally:
                    writer.close()
        stop.end()
        return study

    def _loop(
        self,
        evaluator: Evaluator,
        generations: int,
        display: Progress,
        stop: Any,
        writer: _checkpoint.Writer | None,
        checkpoint_seconds: float,
    ) -> Study:
        study, since = self, Clock()
        unsaved = 0.0
        display.start(self, generations)
        for _ in range(generations):
            study = study._step(evaluator)
            display.update(study, evaluator.compiles)
            unsaved += since.lap()
            if writer is not None and unsaved >= checkpoint_seconds:
                writer.save(study.generation, study.state, study.history, study._trials_asked)
                unsaved = 0.0
            if stop.signal is not None:
                break
        if writer is not None and unsaved and study.generation > self.generation:
            writer.save(study.generation, study.state, study.history, study._trials_asked)
        return study

    def _step(self, evaluator: Evaluator) -> Study:
        """One generation."""
        clock = Clock()
        dna, asked = self._ask()
        trials = np.arange(self._trials_asked, self._trials_asked + len(dna))
        metrics = evaluator(self.space, dna, trials, self._key)
        return self._tell(asked, dna, metrics, clock.lap())

    def _ask(self) -> tuple[DNA, Any]:
        """The next batch on the host, and the state that remembers it."""
        dna, asked = _ask(self.space, self.controller, self.state, self._key, self.generation)
        return jax.tree.map(np.asarray, dna), asked

    def _tell(self, asked: Any, dna: DNA, metrics: Mapping[str, np.ndarray], seconds: float) -> Study:
        fitness = to_fitness(metrics, self.objectives)
        rows = rows_of(
            first=self._trials_asked,
            generation=self.generation,
            dna=dna,
            parents=getattr(asked, 'parents', None),
            metrics=metrics,
            fitness=fitness,
            seconds=seconds,
        )
        return self._advanced(
            state=_tell(self.space, self.controller, asked, dna, fitness),
            history=self.history.append(rows),
            generation=self.generation + 1,
            _trials_asked=self._trials_asked + len(dna),
        )

    def ask(self, number: int | None = None) -> list[Trial]:
        """The next trials, for a loop of your own; asking again gives the same ones until `tell`.

        Args:
          number: how many, at most the controller's batch size, which is the default.
        """
        dna, _ = self._ask()
        number = len(dna) if number is None else number
        if not 1 <= number <= len(dna):
            raise TrialStateError(f'ask gives 1 to batch_size = {len(dna)} trials, got {show(number)}.')
        return [Trial(self._trials_asked + i, dna[i], self.generation, self.space) for i in range(number)]

    def key_of(self, trial: Trial | int) -> jax.Array:
        """The key of a trial: what `evaluate` gets for it."""
        return trial_key(self._key, trial.id if isinstance(trial, Trial) else trial)

    def tell(self, trials: Sequence[Trial], metrics: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Study:
        """The study after learning the metrics of the trials that `ask` gave.

        Args:
          trials: all of one `ask`, in any order.
          metrics: by name an array over the trials, or one dict for each trial.

        Raises:
          TrialStateError: a trial was told already, or never asked for.
          FitnessError: a metric is missing or no number; the trials stay open.
        """
        each = _by_trial(trials, metrics)
        wanted = range(self._trials_asked, self._trials_asked + len(trials))
        if sorted(t.id for t in trials) != list(wanted) or not trials:
            raise TrialStateError(
                f'tell got the trials {show([t.id for t in trials])}; pending are those from {self._trials_asked} on, '
                'each once. What was told before stays.'
            )
        ordered = [m for _, m in sorted(zip((t.id for t in trials), each, strict=True), key=lambda pair: pair[0])]
        checked = [check_metrics(m, self.objectives, f'trial {i}') for i, m in zip(wanted, ordered, strict=True)]
        if any(c.keys() != checked[0].keys() for c in checked):
            raise FitnessError('Every trial of one tell must have the same metrics.')
        columns = {name: np.array([float(c[name]) for c in checked], np.float32) for name in sorted(checked[0])}
        dna, asked = self._ask()
        advanced = self._tell(asked, dna[: len(trials)], columns, 0.0)
        if self._store is not None:
            with self._store.lock():
                self._store.continue_from(self.generation or None)
                writer = _checkpoint.Writer(self._store, len(self.history))
                writer.save(advanced.generation, advanced.state, advanced.history, advanced._trials_asked)
                writer.close()
        return advanced

    @property
    def best(self) -> Trial | None:
        """The trial of highest fitness (in the first objective), the earliest of equals; None before any succeeded."""
        row = best_row(self.history.fitness)
        return None if row is None else trial_at(self.space, self.history, row)

    @property
    def front(self) -> list[Trial]:
        """The trials that no other beats in every objective, in order of their ids."""
        return [trial_at(self.space, self.history, row) for row in front_rows(self.history.fitness)]

    def report(self, path: str | os.PathLike[str]) -> str:
        """Writes one self-contained HTML page: history, best experiment, table of trials. Returns its path."""
        from pgjax.search._report import write_report

        return write_report(self, path)

    def __repr__(self) -> str:
        best = self.best
        return (
            f'Study(generation={self.generation}, trials={len(self.history)}, '
            f'best={None if best is None else best.metrics}, path={self.path!r})'
        )


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


@functools.partial(jax.jit, static_argnums=0)
def _ask(space: Space, controller: Controller, state: Any, key: jax.Array, generation: Any) -> tuple[DNA, Any]:
    return controller.ask(space, state, jax.random.fold_in(jax.random.fold_in(key, ASK), generation))


@functools.partial(jax.jit, static_argnums=0)
def _tell(space: Space, controller: Controller, state: Any, dna: DNA, fitness: Any) -> Any:
    return controller.tell(space, state, dna, fitness)
