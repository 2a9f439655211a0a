"""What a policy is: a pure function of what was measured, and when."""

from __future__ import annotations

import abc
import bisect
import dataclasses
import operator
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pgjax._errors import ControllerError
from pgjax.search._measurement import Measurement
from pgjax.search._objective import Objective
from pgjax.symbolic import Object

_ORDER = operator.attrgetter('order')
_LARGEST = np.finfo(np.float32).max  # beyond, a trial's fitness is infinite


@dataclasses.dataclass(frozen=True)
class Curves:
    """The measurements of all trials.

    Attributes:
      trials: by id, in the order in which they were made.
      objectives: of the study.
      settled: trials below this id are of earlier generations: they all have a result.
    """

    trials: Mapping[int, Sequence[Measurement]]
    objectives: Sequence[Objective]
    settled: int = 0

    def by(self, objectives: Sequence[Objective]) -> Curves:
        """The same, compared by other objectives, if there are any."""
        return dataclasses.replace(self, objectives=objectives) if objectives else self

    def before(self, trial: int, measurement: Measurement) -> dict[int, Sequence[Measurement]]:
        """What was known of the other trials when a trial's measurement was made.

        So an answer does not change when it is asked for again, whatever others have measured meanwhile.
        """
        known = {}
        for other, curve in self.trials.items():
            find = bisect.bisect_left if other >= trial else bisect.bisect_right  # of one order, the lower id was first
            end = find(curve, measurement.order, key=_ORDER)
            if end and other != trial:
                known[other] = curve[:end]
        return known


class Policy(Object):
    """Decides whether a trial should stop. Combine policies by `&`, `|` and `~`.

    A policy holds settings only: the same measurements give the same answer, in any process and after a resume.

    Those that compare have `objectives`, what is compared: the study's own if there are none. By several, a trial
    ranks by the number of others that dominate it: nowhere worse and somewhere better.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> from pgjax.search import early_stopping
    >>> policy = early_stopping.median(min_trials=2) & early_stopping.ByRank(gates=[(1, 0.5, 2)])
    >>> template = pg.Dict(loss=pg.oneof([1.0, 2.0, 3.0]))
    >>> loop = pg.sample(
    ...   template, search.Sweep(), num_trials=3, objectives=[pg.minimize('loss')], early_stopping=policy)
    >>> for exp, feedback in loop:
    ...   feedback.add_measure(exp.loss, step=1)
    ...   if feedback.should_stop_early():
    ...     feedback.skip()
    ...   else:
    ...     feedback.done()
    >>> [search.TrialStatus(status).name for status in loop.study.history.status]
    ['COMPLETE', 'COMPLETE', 'SKIPPED']
    """

    @abc.abstractmethod
    def should_stop(self, curves: Curves, trial: int) -> bool:
        """Whether `trial` should stop, at its last measurement."""

    def __and__(self, other: Policy) -> And:
        return And(policies=[self, other])

    def __or__(self, other: Policy) -> Or:
        return Or(policies=[self, other])

    def __invert__(self) -> Not:
        return Not(policy=self)


class And(Policy, type_name='pgjax.search.early_stopping.And'):
    """Stops where all of some policies do; `a & b`.

    Attributes:
      policies: all of them.
    """

    policies: list[Policy]

    def should_stop(self, curves: Curves, trial: int) -> bool:
        """Whether all do."""
        return all(policy.should_stop(curves, trial) for policy in self.policies)


class Or(Policy, type_name='pgjax.search.early_stopping.Or'):
    """Stops where any of some policies does; `a | b`.

    Attributes:
      policies: all of them.
    """

    policies: list[Policy]

    def should_stop(self, curves: Curves, trial: int) -> bool:
        """Whether any does."""
        return any(policy.should_stop(curves, trial) for policy in self.policies)


class Not(Policy, type_name='pgjax.search.early_stopping.Not'):
    """Stops where a policy does not; `~a`.

    Attributes:
      policy: the other one.
    """

    policy: Policy

    def should_stop(self, curves: Curves, trial: int) -> bool:
        """Whether it does not."""
        return not self.policy.should_stop(curves, trial)


class Settled(Policy, type_name='pgjax.search.early_stopping.Settled'):
    """Lets a policy see, besides the trial itself, only trials of earlier generations.

    What workers have measured at some moment depends on timing; what earlier generations measured does not. So
    this makes early stopping, and with it the study, the same at any number of workers.

    Attributes:
      policy: the one that decides.
    """

    policy: Policy

    def should_stop(self, curves: Curves, trial: int) -> bool:
        """What the policy says of the trial among those of earlier generations."""
        known = {
            i: [dataclasses.replace(m, order=-1) for m in c] for i, c in curves.trials.items() if i < curves.settled
        }
        known[trial] = list(curves.trials[trial])
        return self.policy.should_stop(dataclasses.replace(curves, trials=known), trial)


def fitness_along(curves: Curves, curve: Iterable[Measurement]) -> np.ndarray:
    """float64[n, M], the objectives' metrics, more is better, -inf where not finite in float32, of all that has them.

    Infinity is no feat: a trial that ends with it has failed, and must not stop others before.
    Of an objective under constraints, its metric alone: a trial may come to hold them later.
    """
    wanted = [(o.metric, o.sign) for o in curves.objectives]
    rows = [
        [sign * m.metrics[name] for name, sign in wanted] for m in curve if all(name in m.metrics for name, _ in wanted)
    ]
    values = np.array(rows, np.float64).reshape(len(rows), len(wanted))
    return np.where(np.abs(values) <= _LARGEST, values, -np.inf)


def beaten_by(own: np.ndarray, table: np.ndarray) -> int:
    """How many rows of a table are better: higher, or with several objectives nowhere lower and somewhere higher."""
    return int(((table >= own).all(-1) & (table > own).any(-1)).sum())


def at_gate(curves: Curves, curve: Sequence[Measurement], gates: Sequence[int], gate: int) -> Measurement | None:
    """What a trial shows at a gate: its first measurement from this gate on and before the next, None if none."""
    end = gates[gate + 1] if gate + 1 < len(gates) else float('inf')
    names = [o.metric for o in curves.objectives]
    return next((m for m in curve if gates[gate] <= m.step < end and all(name in m.metrics for name in names)), None)


def gate_of(gates: Sequence[int], step: int) -> int:
    """The last gate that `step` has reached, -1 before the first.

    >>> gate_of([1, 3, 9], 5)
    1
    """
    return bisect.bisect_right(gates, step) - 1


def standing(curves: Curves, trial: int, gates: Sequence[int]) -> tuple[int, int, int] | None:
    """How a trial stands at the gate it has reached.

    Args:
      curves: all measurements.
      trial: which one.
      gates: ascending steps.

    Returns:
      The gate, the number of others known there, and the number of those that beat the trial; None before the
      first gate. All as of the moment when the trial came to the gate.
    """
    gate = gate_of(gates, curves.trials[trial][-1].step)
    mine = at_gate(curves, curves.trials[trial], gates, gate) if gate >= 0 else None
    if mine is None:
        return None
    shown = [at_gate(curves, curve, gates, gate) for curve in curves.before(trial, mine).values()]
    others = fitness_along(curves, (m for m in shown if m is not None))
    return gate, len(others), beaten_by(fitness_along(curves, (mine,))[0], others)


def require_setting(condition: bool, policy: str, what: str) -> None:
    """Raises ControllerError that says what a setting of a policy must be."""
    if not condition:
        raise ControllerError(f'{policy}: {what}.')
