"""Step-wise policies: at some steps a trial must have reached a value, or a rank among the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgjax._errors import show
from pgjax.search._objective import Objective
from pgjax.search.early_stopping._policy import (
    Curves,
    Policy,
    at_gate,
    fitness_along,
    gate_of,
    require_setting,
    standing,
)


class ByValue(Policy, type_name='pgjax.search.early_stopping.ByValue'):
    """Stops a trial that is worse than a threshold at a gate.

    Between gates the last one that was reached holds: it judges the first measurement after it, once.

    Attributes:
      gates: `(step, threshold)` each. Equal to the threshold is good enough.
      objectives: the first of these counts, or of the study's.
    """

    gates: list[tuple[int, float]]
    objectives: tuple[Objective, ...] = ()

    def should_stop(self, curves: Curves, trial: int) -> bool:
        """Whether the trial is below the threshold of the gate it has reached."""
        curves, gates = curves.by(self.objectives), sorted(self.gates)
        steps = [step for step, _ in gates]
        gate = gate_of(steps, curves.trials[trial][-1].step)
        mine = at_gate(curves, curves.trials[trial], steps, gate) if gate >= 0 else None
        if mine is None:
            return False
        return bool(fitness_along(curves, (mine,))[0, 0] < curves.objectives[0].sign * gates[gate][1])


class ByRank(Policy, type_name='pgjax.search.early_stopping.ByRank'):
    """Stops a trial that ranks too low at a gate, among those that came to the gate before it.

    Attributes:
      gates: `(step, rank, least)` each. An int rank is a place: 3 stops what is worse than the third best. A float
        is a fraction of the others: 0.2 stops what is worse than the one at the top 20 %. With fewer than `least`
        others nothing stops.
      objectives: what is compared; the study's if there are none.
    """

    gates: list[tuple[int, int | float, int]]
    objectives: tuple[Objective, ...] = ()

    def should_stop(self, curves: Curves, trial: int) -> bool:
        """Whether too many others are better at the gate that the trial has reached."""
        gates = sorted(self.gates, key=lambda gate: gate[0])
        found = standing(curves.by(self.objectives), trial, [gate[0] for gate in gates])
        if found is None:
            return False
        gate, others, better = found
        _, rank, least = gates[gate]
        place = rank - 1 if isinstance(rank, int) else int((others - 1) * rank)
        return others >= max(least, 1) and better > place


def early_stop_by_value(
    step_values: Sequence[tuple[int, float]], metric: str | None = None, maximize: bool = True
) -> ByValue:
    """Stops trials that are worse than a threshold at a step.

    Args:
      step_values: `(step, threshold)` each.
      metric: what is compared; by default the study's objective, in its direction.
      maximize: whether more of `metric` is better.

    Raises:
      ControllerError: `step_values` is something else.

    >>> early_stop_by_value([(1, 0.2), (5, 0.8)], metric='accuracy').gates
    [(1, 0.2), (5, 0.8)]
    """
    good = _is_rows(step_values, 2) and all(
        type(v[0]) is int and v[0] >= 0 and isinstance(v[1], (int, float)) and v[1] == v[1] for v in step_values
    )
    require_setting(good, 'early_stop_by_value', f'expected (step, threshold) each, got {show(step_values)}')
    return ByValue(gates=[(step, float(value)) for step, value in step_values], objectives=_named(metric, maximize))


def early_stop_by_rank(
    step_ranks: Sequence[tuple[int, float, int]], metric: str | None = None, maximize: bool = True
) -> ByRank:
    """Stops trials that rank too low at a step.

    Args:
      step_ranks: `(step, rank, least)` each, as `ByRank` reads them.
      metric: what is compared; by default the study's objectives, in their directions.
      maximize: whether more of `metric` is better.

    Raises:
      ControllerError: `step_ranks` is something else.

    >>> early_stop_by_rank([(1, 0.8, 5), (3, 3, 3)]).gates
    [(1, 0.8, 5), (3, 3, 3)]
    """
    good = _is_rows(step_ranks, 3) and all(
        type(v[0]) is int
        and type(v[2]) is int
        and (0.0 <= v[1] <= 1.0 if isinstance(v[1], float) else type(v[1]) is int and v[1] >= 1)
        for v in step_ranks
    )
    require_setting(
        good,
        'early_stop_by_rank',
        f'expected (step, rank, least number of others) each, the rank an int from 1 or a float from 0 to 1, '
        f'got {show(step_ranks)}',
    )
    return ByRank(gates=[(step, rank, least) for step, rank, least in step_ranks], objectives=_named(metric, maximize))


def _is_rows(value: Any, width: int) -> bool:
    """Whether it is a sequence of tuples or lists of a length, and has some."""
    is_list = isinstance(value, Sequence) and len(value) > 0
    return is_list and all(isinstance(row, (tuple, list)) and len(row) == width for row in value)


def _named(metric: str | None, maximize: bool) -> tuple[Objective, ...]:
    return () if metric is None else (Objective(metric=metric, goal='maximize' if maximize else 'minimize'),)
