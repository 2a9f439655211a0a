"""Evaluates the trials of a generation on an executor: threads, processes, a cluster.

Results are gathered in any order and told in that of the trials, so that a study does not depend on how many
workers there were, which was quicker, or which died.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import queue
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import jax
import numpy as np

from pgjax._errors import EvaluatorError, TrialTimeoutError, WorkerLostError, shorten, show
from pgjax.search._evaluation import trial_key
from pgjax.search._objective import Objective
from pgjax.search._outcome import Outcome, Told, of_trials
from pgjax.search._process_executor import ProcessExecutor, pickled
from pgjax.search._remote import failed, run_trial, takes_key
from pgjax.search._settings import is_whole
from pgjax.search._signals import StopRequest
from pgjax.space import DNA, Space

Executor = concurrent.futures.Executor
Future = concurrent.futures.Future[Told]
LOOK_SECONDS = 0.2  # between looks at signals and clocks


class LateResultWarning(UserWarning):
    """A trial that was given up for its time has returned after all; its result is not used."""


@dataclasses.dataclass
class _Run:
    """One attempt at one trial: its row, when it was seen to run, and whether nothing else ran then."""

    row: int
    alone: bool = False
    began: float | None = None


class ExecutorEvaluator:
    """Runs a Python objective on an executor, trial by trial."""

    def __init__(
        self,
        evaluate: Callable[..., Any],
        objectives: Sequence[Objective],
        executor: Executor | Callable[[], Executor],
        *,
        timeout: float | None = None,
        retries: int = 2,
        max_failures: int | None = 20,
    ):
        """The arguments are those of `Study.run`.

        Raises:
          EvaluatorError: `evaluate` cannot be sent to where it is to run, or a setting makes no sense.
        """
        if not callable(executor) and not isinstance(executor, Executor):
            raise EvaluatorError(
                f'executor must be a concurrent.futures.Executor or a function that makes one, got {show(executor)}.'
            )
        if timeout is not None and not (isinstance(timeout, (int, float)) and timeout > 0):
            raise EvaluatorError(f'timeout must be a positive number of seconds or None, got {show(timeout)}.')
        if not is_whole(retries) or retries < 0:
            raise EvaluatorError(f'retries must be an int of at least 0, got {show(retries)}.')
        if max_failures is not None and (not is_whole(max_failures) or max_failures < 1):
            raise EvaluatorError(
                f'max_failures must be a positive int, or None for any number, got {show(max_failures)}.'
            )
        self._make = None if isinstance(executor, Executor) else executor
        self._executor = executor if isinstance(executor, Executor) else executor()
        if not callable(getattr(self._executor, 'submit', None)):  # it may be one by its methods alone
            raise EvaluatorError(
                f'executor must make a concurrent.futures.Executor, and made {type(self._executor).__name__} '
                f'{show(self._executor)}.'
            )
        self._objectives = tuple(objectives)
        self._evaluate = evaluate
        self._takes_key = takes_key(evaluate)
        self._timeout = timeout
        self._retries = retries
        self._max_failures = max_failures
        self._done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._abandoned: set[Future] = set()
        self._streak: list[tuple[int, Told]] = []  # the failures since the last success
        if isinstance(self._executor, (concurrent.futures.ProcessPoolExecutor, ProcessExecutor)):
            pickled(evaluate)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        """Ends the executor, if it was made here."""
        if self._make is not None:
            self._executor.shutdown(wait=not self._abandoned, cancel_futures=True)

    def outcome(self, space: Space, dna: DNA, trials: np.ndarray, key: jax.Array, stop: StopRequest) -> Outcome:
        """What became of some trials; of the first of them, when it was asked to stop."""
        words = np.asarray(_key_words(key, trials)) if self._takes_key else None

        def submit(row: int) -> Future:
            args = (self._evaluate, self._objectives, space.decode(dna[row]), None if words is None else words[row])
            if isinstance(self._executor, ProcessExecutor):
                return self._executor.submit_within(self._timeout, run_trial, *args)
            return self._executor.submit(run_trial, *args)

        told = _Generation(self, submit, len(dna)).run(stop)
        known = [told[row] for row in itertools.takewhile(told.__contains__, range(len(dna)))]
        first = int(trials[0])
        for i, one in enumerate(known):
            self._streak = [*self._streak, (first + i, one)] if 'error' in one.note else []
        return of_trials(first, known, self._objectives)

    def check(self) -> None:
        """Raises EvaluatorError where too many trials in a row have failed by an exception."""
        if self._max_failures is not None and len(self._streak) >= self._max_failures:
            number, last = self._streak[-1]
            raise EvaluatorError(
                f'{len(self._streak)} trials in a row have failed (max_failures = {self._max_failures}); the last is '
                f'trial {number}: {shorten(last.note["error"], 200)} '
                f'The traceback is in study.trial({number}).note.'
            )


class _Generation:
    """The state of one generation: what waits, runs, and is done."""

    def __init__(self, of: ExecutorEvaluator, submit: Callable[[int], Future], size: int):
        self._of = of
        self._submit = submit
        self._waiting = collections.deque(range(size))
        self._suspects: collections.deque[int] = collections.deque()  # one of them has broken an executor
        self._running: dict[Future, _Run] = {}
        self._lost: collections.Counter[int] = collections.Counter()
        self._told: dict[int, Told] = {}
        self._broken = False

    def run(self, stop: StopRequest) -> dict[int, Told]:
        """What became of each row; of some, when it was asked to stop."""
        while self._waiting or self._suspects or self._running:
            if stop.signal is not None:
                self._waiting.clear()
                self._suspects.clear()
                for future in self._running:
                    future.cancel()  # those that run are waited for
            self._start()
            for future in self._finished():
                run = self._running.pop(future)
                if not future.cancelled():
                    self._settle(run, future)
            self._give_up_late_ones()
        return self._told

    def _start(self) -> None:
        """Submits what may run now: everything, or one suspect by itself."""
        if self._broken and not self._running:
            self._replace_executor()
        while not self._broken and (self._waiting or self._suspects):
            alone = bool(self._suspects)
            if self._running and (alone or any(run.alone for run in self._running.values())):
                return  # the last suspect, too, is by itself: else it would be charged for what another one does
            row = (self._suspects if alone else self._waiting).popleft()
            try:
                future = self._submit(row)
            except concurrent.futures.BrokenExecutor:
                self._waiting.appendleft(row)
                self._broken = True
                return
            self._running[future] = _Run(row, alone)
            future.add_done_callback(self._of._done.put)

    def _replace_executor(self) -> None:
        if self._of._make is None:
            raise WorkerLostError(
                'The executor is broken: a worker died. What was saved before stays. Pass a function that makes an '
                'executor, e.g. executor=lambda: ProcessPoolExecutor(4), so that it can be made again, or use '
                'search.ProcessExecutor, which replaces single workers.'
            )
        self._of._executor.shutdown(wait=False, cancel_futures=True)
        self._of._executor = self._of._make()
        self._broken = False

    def _finished(self) -> Iterator[Future]:
        """Waits a moment for some futures of this generation to be done, and gives those that are."""
        with contextlib.suppress(queue.Empty):
            future = self._of._done.get(timeout=LOOK_SECONDS)
            while True:
                if future in self._running:
                    yield future
                elif future in self._of._abandoned and not future.cancelled():
                    self._of._abandoned.discard(future)
                    warnings.warn(
                        'A trial returned after its timeout; that is ignored.', LateResultWarning, stacklevel=2
                    )
                future = self._of._done.get_nowait()

    def _settle(self, run: _Run, future: Future) -> None:
        error = future.exception()
        if error is None:
            self._told[run.row] = future.result()
        elif isinstance(error, concurrent.futures.BrokenExecutor):
            self._broken = True
            if run.alone:
                self._count_loss(run.row, WorkerLostError(f'The worker process ended: {error}'), self._suspects)
            else:
                self._suspects.append(run.row)
        elif isinstance(error, WorkerLostError):
            self._count_loss(run.row, error, self._waiting)
        else:
            self._told[run.row] = failed(error)

    def _count_loss(self, row: int, error: WorkerLostError, again: collections.deque[int]) -> None:
        """Tries a trial again that took its worker with it, a few times."""
        self._lost[row] += 1
        if self._lost[row] > self._of._retries:
            self._told[row] = failed(error)
        else:
            again.appendleft(row)

    def _give_up_late_ones(self) -> None:
        """Fails the trials whose time is over, on executors that cannot do so themselves."""
        timeout, now = self._of._timeout, time.monotonic()
        if timeout is None or isinstance(self._of._executor, ProcessExecutor):
            return
        for future, run in list(self._running.items()):
            if run.began is None and future.running():
                run.began = now
            elif run.began is not None and now - run.began > timeout and not future.done():
                del self._running[future]
                self._of._abandoned.add(future)
                self._told[run.row] = failed(TrialTimeoutError(f'It took more than timeout = {timeout:g} s.'))


@jax.jit
def _key_words(key: jax.Array, trials: Any) -> jax.Array:
    return jax.vmap(lambda trial: jax.random.key_data(trial_key(key, trial)))(trials)
