"""`search.Study`: a search with its history, kept on disk and continued bit for bit."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax

from pgjax._errors import StudyMismatchError, TrialStateError, show
from pgjax.io._places import place_of
from pgjax.search import _branch, _checkpoint, _document, _export, _loop, _tell
from pgjax.search._controller import Controller
from pgjax.search._evaluation import INIT, Batch, Evaluate, Evaluator, resolve_batch, trial_key
from pgjax.search._executor import Executor, ExecutorEvaluator
from pgjax.search._history import History, best_row, front_rows
from pgjax.search._logger import Logger
from pgjax.search._notes import Notes
from pgjax.search._objective import Objective, as_objectives
from pgjax.search._progress import Progress
from pgjax.search._settings import is_whole, require_count, require_loggers, require_seconds
from pgjax.search._signals import stop_requests
from pgjax.search._store import StudyStore
from pgjax.search._study_state import StudyState, check_settings
from pgjax.search._trial import Trial, trial_at
from pgjax.space import search_space

if TYPE_CHECKING:
    import optuna


class Study(StudyState):
    """A search over a space: a value that `run` and `tell` return advanced, while it stays as it is.

    With a `path` it is kept in that directory: made if there is none, and continued from its last checkpoint if
    the directory holds the same study. A path may be a URL: `gs://bucket/...`, `s3://bucket/...`, or `memory://...`
    for the memory of this process.

    Attributes:
      space: what is searched.
      controller: what proposes points.
      objectives: what is maximized or minimized.
      seed: of all randomness.
      path: the directory or its URL, or None.
      state: the controller's state.
      history: every trial so far.
      notes: by trial id, what is known besides numbers: errors with traceback, measurements, metadata, links.
      generation: the number of generations that the controller has learned of.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> study = search.Study(pg.Dict(x=pg.floatv(0.0, 1.0)), search.Random(batch_size=8), objectives=['y'])
    >>> study = study.run(lambda exp, key: {'y': -(exp.x - 0.5) ** 2}, generations=4, progress=False)
    >>> len(study.history), bool(abs(study.best.value.x - 0.5) < 0.2)
    (32, True)
    """

    history: History  # named here too, for those who look for what a study offers

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
        extend: bool = False,
    ):
        """Makes a study, or opens the one that is kept at `path`.

        Args:
          space: a `Space`, or a template with holes.
          controller: its settings; they become part of the study.
          objectives: `pg.maximize(...)`, `pg.minimize(...)`, or names of metrics to maximize.
          seed: 0 to 2**32 - 1.
          path: a directory, or a URL.
          tile: members evaluated together; it decides last bits, so it is part of the study.
          batch: 'vmap', 'map', or 'auto' by backend; part of the study once decided.
          mesh: devices under the one axis 'pop'; results do not depend on it. Where several processes have some of
            them (`jax.distributed`), each makes the same study and calls `run` alike; the process of the first device
            alone has a `path`, and the others begin with None.
          create: whether `path` may be made; else it must hold this study already.
          extend: whether `path` may hold this study over a smaller space, each of whose trials is a point of this
            one. Its trials are carried over, and the controller learns of them again.

        Raises:
          SpaceError, ControllerError, FitnessError: the arguments do not make a search.
          StudyMismatchError: `path` holds another study; the first difference is named.
          StudyNotFoundError: there is no study at `path`, and `create` is False.
          StudyExistsError: `path` holds something else.
          StudyWriteError: `path` cannot be written.
          TopologyError: another one of several processes keeps the study.
        """
        check_settings(controller, seed, tile, batch)
        self.space = search_space(space)
        self.controller = controller
        self.objectives = as_objectives(objectives)
        self.seed = int(seed)
        self.path = None if path is None else place_of(path)
        self.mesh = mesh
        self.tile = tile
        self.batch = resolve_batch(batch)
        self.history = History()
        self.notes = Notes()
        self.generation = 0
        self._first = 0  # the id of the first trial of the generation under way
        self._saved = _checkpoint.Saved()
        state = controller.init(self.space, jax.random.fold_in(self._key, INIT), len(self.objectives))
        self.state = self._placed(state)
        self._store = None
        if self.path is not None:
            self._open(self.path, batch, create, extend)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mesh: jax.sharding.Mesh | None = None) -> Study:
        """The study kept at `path`, as of its last intact checkpoint.

        Raises:
          StudyNotFoundError: there is none.
          StudyCorruptError: no checkpoint is intact.
          StudyVersionError: a newer version wrote it.
          UnknownTypeError: it names a class that nobody imported.
          StudyMismatchError: its space was made with `where=`, which must be given again.
        """
        document = _checkpoint.document_of(store := StudyStore.open(path))
        if document.get('part') is not None:
            raise StudyMismatchError(
                f'{store.path} searches a part of its space, chosen by a function, which no file keeps: '
                f'{show(document["part"])}. Open it with search.Study(pg.search_space(template, where=...), ...).'
            )
        return cls(**_document.parse(document), path=path, mesh=mesh)

    def run(
        self,
        evaluate: Evaluate,
        generations: int = 1,
        *,
        executor: Executor | Callable[[], Executor] | None = None,
        timeout: float | None = None,
        retries: int = 2,
        max_failures: int | None = 20,
        progress: bool | Logger = True,
        loggers: Sequence[Logger] = (),
        checkpoint_seconds: float = 30.0,
    ) -> Study:
        """Searches for some more generations.

        By default `evaluate` is pure JAX and is compiled for populations. With an `executor` it is any Python,
        called for one experiment at a time, on any number of workers; the study is the same for any number. An
        exception, a timeout or the death of a worker fails that trial alone, and its note says why.

        On SIGTERM the generation is finished and saved, and the program exits with status 143; on SIGINT
        likewise, with KeyboardInterrupt.

        Args:
          evaluate: `evaluate(exp, key)` returns a dict of scalar metrics; pure JAX in its floats, or with an
            executor any Python, where the key may be left out: `evaluate(exp)`.
          generations: how many; each evaluates the controller's `batch_size` points.
          executor: threads, processes (`search.ProcessExecutor(8)`, or spawned ones), Dask, MPI, Ray; or a function
            that makes one, which is called again when a worker's death has broken it.
          timeout: seconds for one trial. A `search.ProcessExecutor` kills the worker; others cannot, and the
            trial goes on unheard.
          retries: how often a trial is tried again that took its worker with it.
          max_failures: how many trials may fail by exceptions in a row.
          progress: shows a display in the terminal; False shows nothing; or a display of your own.
          loggers: who else is told after each generation, such as `search.TensorBoardLogger(folder)`.
          checkpoint_seconds: least time between checkpoints; there is always one at the end. 0 saves every
            generation.

        Returns:
          The study with the new trials. `self` stays as it is.

        Raises:
          ControllerError: an argument makes no sense, such as a fraction of a generation.
          FitnessError: `evaluate` does not return what the objectives need.
          EvaluatorError: `evaluate` raised, on an executor `max_failures` times in a row; or it cannot be sent.
          WorkerLostError: a worker died and broke its executor, which cannot be made again.
          StudyMismatchError: the directory has gone on since this study was read.
          StudyWriteError, StudyLockedError: the study cannot be kept.
        """
        require_count(generations, 'generations')
        require_seconds(checkpoint_seconds, 'checkpoint_seconds')
        display = Progress(enabled=progress) if isinstance(progress, bool) else progress
        require_loggers([display])
        require_loggers(loggers)
        if executor is None:
            working = contextlib.nullcontext(
                Evaluator(evaluate, self.objectives, tile=self.tile, batch=self.batch, mesh=self.mesh)
            )
        else:
            working = ExecutorEvaluator(
                evaluate, self.objectives, executor, timeout=timeout, retries=retries, max_failures=max_failures
            )
        writing = contextlib.nullcontext() if self._store is None else self._writer()
        with working as evaluator, writing as writer, stop_requests() as stop:
            followers = (display, *loggers)
            study = _loop.advance(self, evaluator, generations, followers, stop, writer, checkpoint_seconds)
        if writer is not None:
            study = study._advanced(_saved=writer.saved)
        stop.end()
        return study

    def ask(self, number: int | None = None) -> list[Trial]:
        """The next trials, for a loop of your own; asking again gives the same ones until `tell`.

        The controller proposes `batch_size` trials at once and learns of them together. How you split them into
        asks and tells makes no difference to the study.

        Args:
          number: how many, at most and by default those that are left of the controller's batch.

        Raises:
          TrialStateError: so many are not left.

        >>> import pgjax as pg
        >>> from pgjax import search
        >>> study = search.Study([pg.oneof([1, 2, 3])], search.Random(batch_size=4), objectives='y')
        >>> trials = study.ask(2)
        >>> study = study.tell(trials, {'y': [trial.value[0] for trial in trials]})
        >>> len(study.history), [trial.id for trial in study.ask()]
        (2, [2, 3])
        """
        dna, first = self._rest, len(self.history)
        number = len(dna) if number is None else number
        if not is_whole(number) or not 1 <= number <= len(dna):
            raise TrialStateError(
                f'ask gives 1 to {len(dna)} trials now (batch_size = {self.controller.batch_size}), '
                f'got {show(number)}. Tell what you have asked for, and ask again.'
            )
        return [Trial(first + i, dna[i], self.generation, self.space) for i in range(number)]

    def key_of(self, trial: Trial | int) -> jax.Array:
        """The key of a trial, also of a later one: what `evaluate` gets for it.

        Raises:
          TrialStateError: that is no trial.
        """
        number = trial.id if isinstance(trial, Trial) else trial
        if not is_whole(number) or not 0 <= number < 2**32:  # what a key can be folded with
            raise TrialStateError(f'key_of takes a trial or its id, an int of at least 0, got {show(trial)}.')
        return trial_key(self._key, number)

    def tell(self, trials: Sequence[Trial], metrics: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Study:
        """The study after learning the metrics of the trials that `ask` gave.

        Args:
          trials: all of one `ask`, in any order.
          metrics: by name an array over the trials, or one dict for each trial.

        Raises:
          TrialStateError: a trial was told already, or never asked for.
          FitnessError: a metric is missing or no number; the trials stay open.
        """
        told = _tell.outcome_of(
            trials, metrics, len(self.history), self._first + len(self._proposed[0]), self.objectives
        )
        return self._tell(told)._save()

    @property
    def best(self) -> Trial | None:
        """The trial of highest fitness (in the first objective), the earliest of equals; None before any succeeded."""
        row = best_row(self.history.fitness)
        return None if row is None else self.trial(row)

    @property
    def front(self) -> list[Trial]:
        """The trials that no other beats in every objective, in order of their ids."""
        return [self.trial(row) for row in front_rows(self.history.fitness)]

    def trial(self, number: int) -> Trial:
        """The trial of an id, with its note.

        Raises:
          TrialStateError: it is not known.
        """
        if not is_whole(number) or not 0 <= number < len(self.history):
            raise TrialStateError(f'There is no trial {show(number)} in a history of {len(self.history)} trials.')
        return trial_at(self.space, self.history, number, self.notes)

    def fork(self, path: str | os.PathLike[str] | None = None) -> Study:
        """A copy that goes its own way from here: in a directory of its own, or in memory.

        Raises:
          StudyExistsError: `path` holds something.
          StudyWriteError: it cannot be written.
        """
        path = None if path is None else place_of(path)
        made = self._advanced(path=path, _store=None, _saved=_checkpoint.Saved(), notes=Notes((dict(self.notes),)))
        if path is None:
            return made
        return made._advanced(_store=StudyStore.create(path, self._document))._save()

    def merge(self, other: Study) -> Study:
        """The study after learning of the trials of another one: a warm start.

        They become trials of this study, in generations of the controller's batch size, as if it had asked for
        them; a `Sweep` therefore passes over as many points of its own. Trials that failed stay failed.

        Args:
          other: of a space whose points are points of this one, with the metrics of this study's objectives.

        Raises:
          StudyMismatchError: a trial of it is no point of this space.
          FitnessError: it lacks a metric.
          TrialStateError: the generation under way is not complete.
        """
        return _branch.merged(self, other)._save()

    def to_csv(self, path: str | os.PathLike[str]) -> str:
        """Writes the trials as CSV: 'trial', 'status', ..., 'decisions.NAME', 'metrics.NAME'. Returns the path."""
        return _export.to_csv(self, path)

    def to_json_lines(self, path: str | os.PathLike[str]) -> str:
        """Writes the trials as JSON, a line each, with their notes. Returns the path."""
        return _export.to_json_lines(self, path)

    def to_pandas(self) -> Any:
        """The trials as a data frame with the columns of `to_csv`; needs the extra 'pandas'."""
        return _export.to_pandas(self)

    def to_optuna(self, storage: Any = None, name: str | None = None) -> optuna.Study:
        """The trials as an Optuna study, for its dashboard and its plots; needs the extra 'optuna'.

        Args:
          storage: where Optuna keeps it, e.g. 'sqlite:///study.db'; in memory by default.
          name: of the study there.
        """
        return _export.to_optuna(self, storage, name)

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
