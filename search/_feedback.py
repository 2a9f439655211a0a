"""What the body of a `pg.sample` loop says about its trial."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat

import jax

from pgjax._errors import EncodeError, FitnessError, TrialStateError, show
from pgjax.io._files import pack_json
from pgjax.search import _measurement
from pgjax.search._history import TrialStatus
from pgjax.search._measurement import Measurement
from pgjax.search._objective import Objective, check_metrics, shape_of
from pgjax.search._outcome import Told
from pgjax.search._session import Session
from pgjax.search._settings import is_whole
from pgjax.search._trial import Trial
from pgjax.search.early_stopping._policy import Curves, Policy
from pgjax.space import DNA

if TYPE_CHECKING:
    from pgjax.search._study import Study


class Feedback:
    """One trial's line to its study. Call it with the reward, or measure step by step and then say `done`.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> for x, feedback in pg.sample([pg.intv(1, 9)], search.Random(batch_size=4), num_trials=20):
    ...   with feedback.skip_on_exceptions((ZeroDivisionError,)):
    ...     feedback(1 / (x[0] - 5))
    >>> feedback.study.best.value
    [6]
    """

    def __init__(self, session: Session, trial: Trial, worker: Hashable, policy: Policy | None):
        self._session = session
        self._trial = trial
        self._worker = worker
        self._policy = policy
        self._began = time.perf_counter()
        self._metadata: dict[str, Any] = {}
        self._links: dict[str, str] = {}
        self._ignores_races = False

    def __call__(
        self,
        reward: SupportsFloat | Sequence[SupportsFloat] | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        step: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Measures and completes the trial: `add_measure` and `done` in one.

        Args:
          reward: the value of the objective, or of each of several in order.
          metrics: numbers by name; objectives may stand here instead of in `reward`.
          step: of the trial's own counting, by default one more than the last.
          metadata: JSON values to keep with the trial.
          checkpoint_path: of the trained model, for `parent_checkpoint` of later trials.

        Raises:
          FitnessError: an objective is missing or no number, or the step is no int of at least 0; the trial stays open.
          TrialStateError: the trial has a result already.
        """
        checked = self._numbers(self._metrics(reward, metrics), self._session.objectives)
        with self._racing():
            self._measure(checked, step, checkpoint_path)
            self.done(metadata)

    def add_measure(
        self,
        reward: SupportsFloat | Sequence[SupportsFloat] | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        step: int | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Adds a measurement of a trial that goes on; the arguments are those of calling the feedback.

        The measurement of the largest step, the latest of equals, is what the trial is judged by.

        Raises:
          FitnessError: there is no number, or the step is no int of at least 0.
          TrialStateError: the trial has a result already.
        """
        checked = self._numbers(self._metrics(reward, metrics), ())
        if not checked:
            raise FitnessError(f'Trial {self.id}: a measurement needs a reward or metrics, got none.')
        with self._racing():
            self._measure(checked, step, checkpoint_path)

    add_measurement = add_measure

    def done(self, metadata: Mapping[str, Any] | None = None, related_links: Mapping[str, str] | None = None) -> None:
        """Completes the trial with its final measurement.

        Raises:
          FitnessError: nothing was measured, or an objective was not.
          TrialStateError: the trial has a result already.
        """
        with self._racing():
            self._session.require_open(self.id)
            for what, kept in (('metadata', metadata), ('related_links', related_links)):
                if kept is not None and not isinstance(kept, Mapping):
                    raise EncodeError(f'Trial {self.id}: {what} are a dict by name, got {show(kept)}.')
            self._done(metadata or {}, related_links or {})

    def _done(self, metadata: Mapping[str, Any], related_links: Mapping[str, str]) -> None:
        metrics = self._final()
        if not all(n in metrics for o in self._session.objectives for n in o.metrics):
            self._numbers(metrics, self._session.objectives)  # which says what is missing
        for name, value in metadata.items():
            self.set_metadata(name, value)
        for name, url in related_links.items():
            self.add_link(name, url)
        self._complete(metrics, TrialStatus.COMPLETE, {})

    def skip(self, reason: str | None = None) -> None:
        """Gives the trial up: it counts as failed for the controller, and is never the best."""
        self._complete(self._final(), TrialStatus.SKIPPED, {'reason': reason} if reason else {})

    def should_stop_early(self) -> bool:
        """Whether the early stopping policy of the loop wants this trial to stop, by what was measured so far."""
        if self._policy is None or not self._session.measured(self.id):
            return False
        curves, settled = self._session.curves()
        return self._policy.should_stop(Curves(curves, self._session.objectives, settled), self.id)

    @contextlib.contextmanager
    def skip_on_exceptions(
        self, exceptions: type[Exception] | Sequence[type[Exception] | tuple[type[Exception], str]]
    ) -> Iterator[None]:
        """Inside, these exceptions end the trial as skipped instead of ending the loop.

        Args:
          exceptions: types, or pairs of a type and a regular expression that its text must hold.
        """
        import re

        wanted: list[Any] = list(exceptions) if isinstance(exceptions, Sequence) else [exceptions]
        pairs = [item if isinstance(item, tuple) else (item, '') for item in wanted]
        for kind, words in pairs:
            if not isinstance(kind, type) or not issubclass(kind, Exception) or not isinstance(words, str):
                raise FitnessError(
                    'skip_on_exceptions takes types of exceptions, or pairs of a type and a regular expression, got '
                    f'{show(exceptions)}.'
                )
        try:
            yield
        except Exception as error:
            if not any(isinstance(error, kind) and re.search(words, str(error)) for kind, words in pairs):
                raise
            note = {'reason': f'{type(error).__name__}: {error}', 'traceback': traceback.format_exc()}
            self._complete(self._final(), TrialStatus.SKIPPED, note)

    @contextlib.contextmanager
    def ignore_race_condition(self) -> Iterator[None]:
        """Inside, measuring or completing a trial that another worker of the group has completed does nothing."""
        before, self._ignores_races = self._ignores_races, True
        try:
            yield
        finally:
            self._ignores_races = before

    def end_loop(self) -> None:
        """Ends this loop, and those of other workers in this process over the same study."""
        self._session.end()

    # --- what is known and kept

    @property
    def id(self) -> int:
        """Of the trial: 0, 1, 2, ..."""
        return self._trial.id

    @property
    def dna(self) -> DNA:
        """The point."""
        return self._trial.dna

    @property
    def key(self) -> jax.Array:
        """The trial's own random key: it depends on the study's seed and the trial's id alone."""
        return self._session.study.key_of(self.id)

    @property
    def study(self) -> Study:
        """The study as it stands: every result up to the first trial that is open."""
        return self._session.study

    @property
    def measurements(self) -> list[Measurement]:
        """What was measured so far."""
        return self._session.measured(self.id)

    @property
    def parent_checkpoint(self) -> str | None:
        """The `checkpoint_path` of the trial that this one was made from, to warm start from; None if there is none."""
        parents = self._session.parents_of(self.id)
        found = [m for parent in parents for m in self._session.measured(parent) if m.checkpoint is not None]
        last = _measurement.final(found)
        return None if last is None else last.checkpoint

    def set_metadata(self, name: str, value: Any, per_trial: bool = True) -> None:
        """Keeps a JSON value with the trial, or with the study as long as this process shares it.

        Raises:
          EncodeError: `value` is not JSON.
        """
        pack_json({name: value})
        (self._metadata if per_trial else self._session.metadata)[name] = value

    def get_metadata(self, name: str, per_trial: bool = True) -> Any:
        """A value kept by `set_metadata`, None if there is none."""
        return (self._metadata if per_trial else self._session.metadata).get(name)

    def add_link(self, name: str, url: str) -> None:
        """Keeps a link with the trial: to logs, a dashboard, a model."""
        if not isinstance(name, str) or not isinstance(url, str):
            raise EncodeError(f'Trial {self.id}: a link is a name and a URL, got {show(name)} and {show(url)}.')
        self._links[name] = url

    def __repr__(self) -> str:
        return f'Feedback(trial {self.id}, {len(self.measurements)} measurements)'

    # --- inner parts

    def _metrics(self, reward: Any, metrics: Mapping[str, Any] | None) -> dict[str, Any]:
        """Metrics by name, the reward among them under the names of the objectives."""
        if metrics is not None and not isinstance(metrics, Mapping):
            raise FitnessError(f'Trial {self.id}: metrics are a dict of numbers, got {type(metrics).__name__}.')
        found = dict(metrics or {})
        if reward is None:
            return found
        if isinstance(reward, Mapping):
            return {**found, **reward}
        objectives = self._session.objectives
        if len(objectives) == 1 and isinstance(reward, (int, float)):  # what there is most of the time
            return {**found, objectives[0].metric: reward}
        several = isinstance(reward, (tuple, list)) or len(shape_of(reward) or ()) == 1
        rewards = tuple(reward) if several else (reward,)
        missing = [o.metric for o in objectives if o.metric not in found]
        if len(rewards) != len(missing) and len(rewards) != len(objectives):
            raise FitnessError(
                f'Trial {self.id}: the objectives are {[o.metric for o in objectives]}, got {len(rewards)} rewards '
                f'{show(reward)}. Give one for each, or metrics={{name: value}}.'
            )
        names = [o.metric for o in objectives] if len(rewards) == len(objectives) else missing
        return {**found, **dict(zip(names, rewards, strict=True))}

    def _numbers(self, metrics: Mapping[str, Any], objectives: Sequence[Objective]) -> dict[str, float]:
        if (
            objectives
            and len(metrics) == 1
            and all(type(metrics.get(n)) is float for o in objectives for n in o.metrics)
        ):
            return dict(metrics)  # what there is most of the time
        checked = check_metrics(metrics, objectives, f'trial {self.id}')
        return {name: float(value) for name, value in checked.items()}

    def _measure(
        self, checked: Mapping[str, float], step: int | None, checkpoint: str | os.PathLike[str] | None
    ) -> None:
        if step is not None and (not is_whole(step) or step < 0):
            raise FitnessError(f'Trial {self.id}: the step of a measurement is an int of at least 0, got {show(step)}.')
        if checkpoint is not None and not isinstance(checkpoint, (str, os.PathLike)):
            raise EncodeError(f'Trial {self.id}: checkpoint_path is a path, got {show(checkpoint)}.')
        self._session.measure(self.id, checked, step, None if checkpoint is None else os.fspath(checkpoint))

    def _racing(self) -> contextlib.AbstractContextManager[None]:
        """Inside, a trial that has its result ends what is said of it: by an error, or in silence where asked for."""
        return contextlib.suppress(TrialStateError) if self._ignores_races else contextlib.nullcontext()

    def _final(self) -> Mapping[str, float]:
        last = _measurement.final(self._session.measured(self.id))
        return {} if last is None else last.metrics

    def _complete(self, metrics: Mapping[str, float], status: TrialStatus, note: dict[str, Any]) -> None:
        measured = self._session.measured(self.id)
        if self._policy is not None or len(measured) > 1 or any(m.step or m.checkpoint for m in measured):
            note = {**note, 'measurements': _measurement.to_note(measured)}
        for name, kept in (('metadata', self._metadata), ('links', self._links)):
            note = {**note, name: dict(kept)} if kept else note
        told = Told(metrics, status, time.perf_counter() - self._began, note)
        with self._racing():
            self._session.complete(self.id, told)
