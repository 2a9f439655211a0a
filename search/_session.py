"""A study that several loops work on at once: who evaluates which trial, and what has been told so far.

Threads of one process share a `Session`; processes share a directory through `Pending`. Either way the
controller learns of a generation as a whole and in the order of the trials' ids, so the study does not depend
on who evaluated what, nor on how many they were. A URL has no `Pending`: there a session is the one writer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
import time
import weakref
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pgjax._errors import StudyLockedError, StudyMismatchError, TrialStateError, show
from pgjax.search import _measurement
from pgjax.search._measurement import Measurement
from pgjax.search._outcome import Told, of_trials
from pgjax.search._pending import Pending
from pgjax.search._trial import Trial

if TYPE_CHECKING:
    from pgjax.search._study import Study

POLL_SECONDS = 0.05  # between looks at what other processes have done
LOCK_SECONDS = 60.0  # to wait for another process that is saving


@dataclasses.dataclass
class Claim:
    """Who works on a trial: the threads of one worker."""

    worker: Hashable
    threads: set[threading.Thread]


class Session:
    """The mutable side of a study: safe to use from many threads, and across processes if it has a local folder."""

    def __init__(self, study: Study, checkpoint_seconds: float):
        self._study = study
        self._changed = threading.Condition(threading.RLock())
        self._claims: dict[int, Claim] = {}
        self._results: dict[int, Told] = {}  # not in the study, or not in its last checkpoint
        self._news: dict[int, Told] = {}  # of other processes, perhaps for later generations
        self._open: dict[int, Trial] = {}  # trials of the generation under way without a result, in order
        self._measured: dict[int, list[Measurement]] = {}
        self._order = 0
        self._pending = _share(self, study)
        self._checkpoint_seconds = checkpoint_seconds
        self._committed = self._looked = time.monotonic()
        self.objectives = study.objectives
        self.epoch = 0  # counts the calls of `end`
        self.metadata: dict[str, Any] = {}
        self._recalled = False  # whether the measurements in the notes are in `_measured`
        with self._changed:
            self._begin_generation()
            self._look_around(at_once=True)

    @property
    def study(self) -> Study:
        """The study with every result up to the first trial that is still open."""
        with self._changed:
            self._flush()
            return self._study

    # --- trials

    def claim(self, worker: Hashable, limit: float, epoch: int) -> Trial | None:
        """A trial for a worker: the one it has, or else the first that nobody has; waits while all are taken.

        Args:
          worker: whose claim it is.
          limit: the number of trials of the whole study.
          epoch: of the loop that asks.

        Returns:
          None when the study has as many trials as wanted, or `end` was called.

        Raises:
          TrialStateError: the calling thread itself has all the trials that could be waited for.
        """
        with self._changed:
            while True:
                self._look_around()
                if self.epoch != epoch:
                    self.commit()
                    return None
                for number in itertools.takewhile(lambda i: i < limit, self._open):
                    if self._take(number, worker):
                        return self._open[number]
                    if number not in self._open:  # somebody else was quicker, and the study has gone on
                        break
                else:
                    wanted = [i for i in self._open if i < limit]
                    if not wanted:
                        self.commit()
                        return None
                    self._refuse_waiting_for_oneself(wanted)
                    self._changed.wait(POLL_SECONDS)

    def _take(self, number: int, worker: Hashable) -> bool:
        """Whether the trial is the worker's, or could be made so."""
        me = threading.current_thread()
        claim = self._claims.get(number)
        if claim is None:
            if worker in (c.worker for c in self._claims.values()) or not self._claim_on_disk(number):
                return False
            self._claims[number] = Claim(worker, {me})
            return True
        if claim.worker == worker:
            claim.threads.add(me)
            return True
        return False

    def _claim_on_disk(self, number: int) -> bool:
        """Claims a trial before other processes do; not if it turns out to be done."""
        if self._pending is None or self._pending.is_claimed(number):
            return True
        if not self._pending.claim(number):
            return False
        if number in self._news or self._pending.is_marked(number):
            self._look_around(at_once=True)
        if number in self._open:
            return True
        self._pending.give_back(number)
        return False

    def _refuse_waiting_for_oneself(self, wanted: list[int]) -> None:
        me = threading.current_thread()
        mine = [number for number in wanted if number in self._claims and me in self._claims[number].threads]
        if mine == wanted:
            raise TrialStateError(
                f'This thread has all open trials {show(mine)} of the generation, for other groups, and would wait for '
                f'itself. Finish one, or give the controller a batch_size above {self._study.controller.batch_size}.'
            )

    def give_back(self, number: int, worker: Hashable, thread: threading.Thread) -> None:
        """Lets others have a trial that a worker's thread does not finish."""
        with self._changed:
            claim = self._claims.get(number)
            if claim is not None and claim.worker == worker:
                claim.threads.discard(thread)
                if not claim.threads:
                    self._drop_claim(number)

    def _drop_claim(self, number: int) -> None:
        self._claims.pop(number, None)
        if self._pending is not None:
            self._pending.give_back(number)
        self._changed.notify_all()

    def complete(self, number: int, told: Told) -> None:
        """Takes a result; the first one counts.

        Raises:
          TrialStateError: the trial has one already, or is not this process's to complete.
          StudyWriteError: it cannot be kept; the trial stays open.
        """
        with self._changed:
            if self._pending is not None:
                self._look_around()
            if number not in self._open or not self._claim_on_disk(number):
                raise self._not_open(number)
            if self._pending is not None:
                self._pending.publish(number, told)
            self._close(number, told)
            if time.monotonic() - self._committed >= self._checkpoint_seconds:
                self.commit()

    def require_open(self, number: int) -> None:
        """Raises TrialStateError where a trial has a result already."""
        with self._changed:
            if number not in self._open:
                raise self._not_open(number)

    def _not_open(self, number: int) -> TrialStateError:
        """What to say of a trial that takes nothing from this process."""
        state = 'has a result already' if number < self._next_id() else 'was never asked for'
        state = 'is evaluated by another process' if number in self._open else state
        return TrialStateError(
            f'Trial {number} {state}; open are {show(list(self._open))}. The first result stays. '
            'Workers of one group share trials: use `with feedback.ignore_race_condition()` there.'
        )

    def end(self) -> None:
        """Ends all loops of this process over the study."""
        with self._changed:
            self.epoch += 1
            self._changed.notify_all()

    # --- measurements

    def measured(self, number: int) -> list[Measurement]:
        """What was measured of a trial so far."""
        return list(self._measured.get(number, ()))

    def measure(self, number: int, metrics: Mapping[str, float], step: int | None, checkpoint: str | None) -> None:
        """Adds a measurement, with the next number in the order of all; by default one step after the last.

        Raises:
          TrialStateError: the trial has a result already.
        """
        with self._changed:
            self.require_open(number)
            self._recall()
            curve = self._measured.setdefault(number, [])
            if step is None:
                step = curve[-1].step + 1 if curve else 0
            curve.append(Measurement(int(step), metrics, self._order, checkpoint))
            self._order += 1

    def parents_of(self, number: int) -> list[int]:
        """The trials that an open trial was made from."""
        with self._changed:
            self._recall()
            dna, asked = self._study._proposed
            row = number - self._study._first
            if not 0 <= row < len(dna) or not hasattr(asked, 'parents'):
                return []
            return [int(p) for p in np.asarray(asked.parents)[row] if p >= 0]

    def curves(self) -> tuple[Mapping[int, list[Measurement]], int]:
        """All measurements by trial, and the id below which every trial is known to the controller."""
        with self._changed:
            self._recall()
            return {i: list(curve) for i, curve in self._measured.items()}, self._study._first

    def _recall(self) -> None:
        """Reads the measurements of earlier trials, when they are first needed."""
        if self._recalled:
            return
        self._recalled = True
        for number, note in self._study.notes.items():
            self._remember(number, note)

    def _remember(self, number: int, note: Mapping[str, Any]) -> None:
        if number not in self._measured and (curve := _measurement.from_note(note)):
            self._measured[number] = curve
            self._order = max(self._order, *(m.order + 1 for m in curve))

    # --- what is known

    def _next_id(self) -> int:
        """One above the ids of the generation under way."""
        return self._study._first + len(self._study._proposed[0])

    def _begin_generation(self) -> None:
        """Opens the trials of the generation under way that have no result."""
        self._open = {t.id: t for t in self._study.ask() if t.id not in self._results}
        for number in [i for i in self._claims if i not in self._open]:
            self._drop_claim(number)

    def _close(self, number: int, told: Told) -> None:
        """Notes a result; the controller learns when no trial of the generation is open."""
        self._results[number] = told
        self._remember(number, told.note)
        if 'measurements' not in told.note:
            self._measured.pop(number, None)  # nobody will ask for it
        self._open.pop(number)
        self._drop_claim(number)
        if not self._open:
            self._flush()
            self._begin_generation()

    def _flush(self) -> None:
        """Tells the study the results up to the first open trial, a generation at a time."""
        while (first := len(self._study.history)) in self._results:
            ids = itertools.takewhile(self._results.__contains__, range(first, self._next_id()))
            told = [self._results[number] for number in ids]
            self._study = self._study._tell(of_trials(first, told, self._study.objectives))
        if self._pending is None:
            self._results = {i: told for i, told in self._results.items() if i >= first}

    # --- other threads and processes

    def _look_around(self, at_once: bool = False) -> None:
        """Gives back the trials of threads that have ended, and takes in what other processes have done."""
        alive = threading.Thread.is_alive
        for number in [i for i, claim in self._claims.items() if not any(map(alive, claim.threads))]:
            self._drop_claim(number)
        now = time.monotonic()
        if self._pending is None or (not at_once and now - self._looked < POLL_SECONDS):
            return
        self._looked = now
        self._news |= self._pending.news()  # before the steps: a journal goes only after its trials are in one
        if self._study._is_behind():
            self._reload()
        while found := [number for number in self._open if number in self._news]:
            for number in found:
                if number in self._open:  # a commit in between may have gone on to another generation
                    self._close(number, self._news[number])
        self._news = {number: told for number, told in self._news.items() if number >= self._study._first}

    def commit(self) -> None:
        """Brings the directory up to date, if there is one. Who comes second takes over what the first saved."""
        self._flush()
        if self._study.path is None:
            return
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                self._study = self._study._save()
                break
            except StudyLockedError:
                if self._pending is None or time.monotonic() > until:  # nobody else gives it back, or soon enough
                    raise
                time.sleep(POLL_SECONDS / 10)
            except StudyMismatchError:  # another process was first: go on from what it saved
                self._reload()
        self._committed = time.monotonic()
        saved = self._study._saved.trials
        self._results = {i: told for i, told in self._results.items() if i >= saved}
        if self._pending is not None:
            self._pending.forget(saved)

    def _reload(self) -> None:
        """Goes on from the last checkpoint of another process, with the results that it does not hold."""
        self._study = self._study._reread()
        self._recalled = False
        if self._pending is not None:
            self._pending.forget(self._study._saved.trials)
        self._flush()
        self._begin_generation()


def _share(session: Session, study: Study) -> Pending | None:
    """What processes share a study through: a local folder. At a URL, the session holds the lock while it lives."""
    if (store := study._store) is None:
        return None
    if store.files.folder is not None:
        return Pending(store.files.folder)
    stack = contextlib.ExitStack()
    try:
        stack.enter_context(store.lock())
    except StudyLockedError as error:
        raise StudyLockedError(f'{error} Only in a local folder can processes share a study.') from error
    weakref.finalize(session, stack.close)
    return None
