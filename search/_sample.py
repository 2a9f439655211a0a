"""`pg.sample`: the loop over trials with any Python between the proposal and the reward."""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Hashable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from pgjax._errors import ControllerError, StudyMismatchError, show
from pgjax.io._places import is_url, place_of
from pgjax.search._controller import Controller
from pgjax.search._feedback import Feedback
from pgjax.search._objective import Objective
from pgjax.search._session import Session
from pgjax.search._settings import require_seconds
from pgjax.search._study import Study
from pgjax.search.early_stopping._policy import Policy
from pgjax.space import search_space

_NAMED: dict[str, Session] = {}  # studies in memory, by the name under which loops share them
_KEPT: weakref.WeakValueDictionary[str, Session] = weakref.WeakValueDictionary()  # studies on disk, by path
_REGISTRIES = threading.Lock()

MOST_REPEATS = 2  # of a trial without feedback before a warning


class TrialRepeatedWarning(UserWarning):
    """A loop goes on without feedback, and gets the same trial again and again."""


class Samples(Iterator[tuple[Any, Feedback]]):
    """The loop that `pg.sample` returns: an iterator over `(value, feedback)`, and the study that grows from it.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> with pg.sample(pg.Dict(x=pg.oneof([3, 1, 2])), search.Sweep(), num_trials=3) as loop:
    ...   for exp, feedback in loop:
    ...     feedback(exp.x)
    >>> loop.study.best.value
    {'x': 3}
    """

    def __init__(self, session: Session, num_trials: int | None, worker: Hashable, policy: Policy | None):
        self._session = session
        self._limit = float('inf') if num_trials is None else num_trials
        self._worker = worker
        self._policy = policy
        self._epoch = session.epoch
        self._last: tuple[int, Hashable, threading.Thread] | None = None
        self._repeats = 0

    @property
    def study(self) -> Study:
        """The study as it stands: every result up to the first trial that is open."""
        return self._session.study

    def __next__(self) -> tuple[Any, Feedback]:
        worker = ('thread', threading.get_ident()) if self._worker is None else self._worker
        trial = self._session.claim(worker, self._limit, self._epoch)
        if trial is None:
            self._last = None
            raise StopIteration
        now = trial.id, worker, threading.current_thread()
        self._repeats = self._repeats + 1 if self._last == now else 0
        self._last = now
        if self._repeats == MOST_REPEATS:
            warnings.warn(
                f'Trial {trial.id} is given out again, since nothing was said about it. Call feedback(reward), '
                'feedback.done() or feedback.skip() in the body of the loop.',
                TrialRepeatedWarning,
                stacklevel=2,
            )
        return trial.value, Feedback(self._session, trial, worker, self._policy)

    def close(self) -> None:
        """Ends the loop early: a trial that was begun is given back, and the study is saved."""
        self._give_back()
        self._session.commit()

    def _give_back(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            self._session.give_back(*last)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, '_last', None) is not None:
            self._give_back()


def sample(
    template: Any,
    controller: Controller,
    num_trials: int | None = None,
    *,
    where: Any = None,
    objectives: Objective | str | Sequence[Objective | str] = 'reward',
    seed: int = 0,
    name: str | None = None,
    group: Hashable = None,
    path: str | os.PathLike[str] | None = None,
    early_stopping: Policy | None = None,
    checkpoint_seconds: float = 30.0,
) -> Samples:
    """Gives out trials one by one; the body of the loop says what became of each.

    Several workers may share a study: threads through `name`, threads and processes through `path`. Each trial
    goes to one of them; the trials of a worker that dies are given to others. The controller learns of its
    batch as a whole and in the order of the ids, so the study is the same whoever evaluated what: at most
    `controller.batch_size` workers are busy at once. A worker that says nothing about its trial gets it again.

    Args:
      template: a value with holes, or a `Space`; with one from `pg.trace(fn)`, run `space.apply(feedback.dna, fn)`.
      controller: what proposes points.
      num_trials: of the whole study, whoever makes them; None goes on until `feedback.end_loop()`.
      where: keeps only the holes for which it is true; the others stay holes in the value.
      objectives: as for `search.Study`; the name under which a bare reward is kept is the first one's.
      seed: of all randomness.
      name: under which loops of this process share a study in memory.
      group: workers of one group get the same trial: replicas of one training. By default each thread is one.
      path: a directory that keeps the study, and through which processes share it; or a URL, which one process at a
        time can use, and where results are kept with the checkpoints only.
      early_stopping: what `feedback.should_stop_early()` asks.
      checkpoint_seconds: least time between checkpoints, which are what `Study.load` reads; there is one at the end
        of the loop, too. In a directory, each result is durable at once, and a loop that goes on finds it.

    Returns:
      An iterator over `(value, feedback)`; its `study` is the study so far.

    Raises:
      SpaceError, ControllerError, FitnessError: the arguments do not make a search.
      StudyMismatchError: the study of that name or path is another one.
      StudyWriteError: `path` cannot be written.
      StudyLockedError: `path` is a URL that another process uses, or a directory in use by an older version of pgjax.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> loop = pg.sample(pg.Dict(x=pg.floatv(0.0, 1.0)), search.Random(batch_size=8), num_trials=20)
    >>> for exp, feedback in loop:
    ...   feedback(-(exp.x - 0.5) ** 2)
    >>> len(loop.study.history), bool(loop.study.best.metrics['reward'] > -0.01)
    (20, True)
    """
    if num_trials is not None and (isinstance(num_trials, bool) or not isinstance(num_trials, int) or num_trials < 0):
        raise ControllerError(f'num_trials must be a positive int or None, got {show(num_trials)}.')
    if early_stopping is not None and not isinstance(early_stopping, Policy):
        raise ControllerError(f'early_stopping must be a policy of search.early_stopping, got {show(early_stopping)}.')
    require_seconds(checkpoint_seconds, 'checkpoint_seconds')
    if name is not None and path is not None:
        raise ControllerError('A study is shared by name (in memory) or by path (on disk), not by both.')
    space = search_space(template, where)

    def made() -> Session:
        study = Study(space, controller, objectives=objectives, seed=seed, path=path)
        return Session(study, checkpoint_seconds)

    def like() -> Study:
        return Study(space, controller, objectives=objectives, seed=seed)

    with _REGISTRIES:
        if name is not None:
            session = _shared(_NAMED, name, made, like)
        elif path is not None:
            session = _shared(_KEPT, _place(path), made, like)
        else:
            session = made()
    return Samples(session, num_trials, None if group is None else ('group', group), early_stopping)


def _shared(registry: Any, key: str, made: Any, like: Any) -> Session:
    session = registry.get(key)
    if session is None:
        registry[key] = session = made()
        return session
    there, here = session.study, like()
    for what in ('space', 'controller', 'objectives', 'seed'):
        if getattr(there, what) != getattr(here, what):
            raise StudyMismatchError(
                f'The study {key!r} that other loops of this process share has {what} {show(getattr(there, what))}, '
                f'got {show(getattr(here, what))}. Give it another name.'
            )
    return session


def _place(path: str | os.PathLike[str]) -> str:
    """What all paths of one place have in common."""
    place = place_of(path, writing=False)
    return place if is_url(place) else os.path.realpath(place)


def poll(study: str | os.PathLike[str]) -> Study:
    """A study that loops are working on, as it stands now.

    Args:
      study: its name in this process, or the path of its directory, from any process.

    Raises:
      StudyNotFoundError: there is none.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> for x, feedback in pg.sample([pg.oneof([1, 2])], search.Random(batch_size=2), num_trials=4, name='polled'):
    ...   feedback(x[0])
    >>> len(search.poll('polled').history)
    4
    """
    key = os.fspath(study)
    session = _NAMED.get(key) or _KEPT.get(_place(key))
    return Study.load(key) if session is None else session.study
