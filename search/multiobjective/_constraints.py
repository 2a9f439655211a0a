"""Constraints: metrics that must stay on one side of a bound, whatever is maximized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax.numpy as jnp
from annotated_types import IsFinite

from pgjax.search._objective import Objective, as_objectives
from pgjax.symbolic import Object, field

WORST = 1e30  # every infeasible trial is below -WORST, so fitness itself must stay above


class Constraint(Object, type_name='pgjax.search.Constraint'):
    """A bound on a metric.

    Attributes:
      metric: its name in what an evaluator returns.
      bound: the last value that is allowed.
      side: on which side of it the metric must stay.
    """

    metric: str
    bound: IsFinite[float]
    side: Literal['at most', 'at least'] = 'at most'

    def violation(self, metrics: Mapping[str, Any]) -> Any:
        """float[...], how far the metric is on the wrong side, in parts of the bound (of 1, where that is 0)."""
        excess = metrics[self.metric] - self.bound
        scale = jnp.where(self.bound == 0, 1.0, jnp.abs(self.bound))
        return jnp.maximum(excess if self.side == 'at most' else -excess, 0.0) / scale


def at_most(metric: str, bound: float) -> Constraint:
    """The constraint that a metric is `bound` or less.

    >>> at_most('latency', 10.0)
    Constraint(metric='latency', bound=10.0, side='at most')
    """
    return Constraint(metric=metric, bound=bound)


def at_least(metric: str, bound: float) -> Constraint:
    """The constraint that a metric is `bound` or more.

    >>> at_least('accuracy', 0.9)
    Constraint(metric='accuracy', bound=0.9, side='at least')
    """
    return Constraint(metric=metric, bound=bound, side='at least')


class Constrained(Objective, type_name='pgjax.search.Constrained'):
    """An objective under constraints; made by `constrained`."""

    constraints: list[Constraint] = field(default=())
    penalty: float | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric, and those of the constraints."""
        return (self.metric, *(c.metric for c in self.constraints))

    def fitness(self, metrics: Mapping[str, Any]) -> Any:
        """float32[...], as `constrained` says."""
        fitness = jnp.asarray(super().fitness(metrics))
        violation = sum((c.violation(metrics) for c in self.constraints), jnp.zeros_like(fitness))
        if self.penalty is not None:
            return (fitness - self.penalty * violation).astype(jnp.float32)
        infeasible = -WORST * (1.0 + violation / (1.0 + violation))  # in order of the violation, and finite
        infeasible = jnp.where(jnp.isfinite(fitness + violation), infeasible, -jnp.inf)
        return jnp.where(violation == 0, fitness, infeasible).astype(jnp.float32)


def constrained(
    objectives: Objective | str | Sequence[Objective | str],
    constraints: Sequence[Constraint],
    penalty: float | None = None,
) -> list[Objective]:
    """Objectives under constraints, for any controller and any study.

    Without a penalty feasible trials come first (Deb, 2000; for several objectives it is the constrained dominance
    of NSGA-II, section VI): they keep their fitness, and every infeasible one has in all objectives one and the
    same, between -2e30 and -1e30, the lower the more it violates. So it is dominated by every feasible trial, and
    a study's `best` and `front` are feasible as soon as anything is. With a penalty, fitness is lowered by
    `penalty` times the violation, and infeasible trials may be best.

    Violations are added up, each in parts of its bound. A constraint whose metric is NaN or infinite makes the trial
    fail.

    Args:
      objectives: as for a study.
      constraints: from `at_most` and `at_least`.
      penalty: by how much fitness is lowered for a violation of the whole bound.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> wanted = search.constrained(pg.maximize('x'), [search.at_most('x', 2.0)])
    >>> template = pg.Dict(x=pg.oneof([1.0, 2.0, 3.0, 4.0]))
    >>> study = search.run(template, lambda exp, key: {'x': exp.x}, search.Random(), objectives=wanted, generations=1)
    >>> study.best.value
    {'x': 2.0}
    """
    return [
        Constrained(metric=o.metric, goal=o.goal, constraints=list(constraints), penalty=penalty)
        for o in as_objectives(objectives)
    ]
