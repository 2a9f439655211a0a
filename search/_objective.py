"""Objectives: which metrics count, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from pgjax._errors import FitnessError, did_you_mean, show
from pgjax.symbolic import Object


class Objective(Object, type_name='pgjax.Objective'):
    """A metric with a direction.

    Attributes:
      metric: its name in what an evaluator returns.
      goal: 'maximize' or 'minimize'.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> search.Objective('loss', goal='minimize') == pg.minimize('loss')
    True
    """

    metric: str
    goal: Literal['maximize', 'minimize'] = 'maximize'

    @property
    def sign(self) -> float:
        """+1 where more is better, -1 where less is: fitness is always maximized."""
        return 1.0 if self.goal == 'maximize' else -1.0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics that fitness is made of."""
        return (self.metric,)

    def fitness(self, metrics: Mapping[str, Any]) -> Any:
        """float32[...] of arrays of metrics [...], on the host or traced; more is better."""
        return metrics[self.metric].astype(np.float32) * np.float32(self.sign)


def maximize(metric: str) -> Objective:
    """The objective 'more of this metric'.

    >>> import pgjax as pg
    >>> pg.maximize('accuracy')
    Objective(metric='accuracy', goal='maximize')
    """
    return Objective(metric=metric)


def minimize(metric: str) -> Objective:
    """The objective 'less of this metric'.

    >>> import pgjax as pg
    >>> pg.minimize('loss').sign
    -1.0
    """
    return Objective(metric=metric, goal='minimize')


def as_objectives(objectives: Objective | str | Sequence[Objective | str]) -> tuple[Objective, ...]:
    """A tuple of objectives; a bare metric name is maximized.

    Raises:
      FitnessError: there is none, one is given twice, or something else is among them.
    """
    if isinstance(objectives, (str, Objective)):
        objectives = [objectives]
    if isinstance(objectives, Mapping) or not isinstance(objectives, Iterable):
        raise FitnessError(
            f'objectives must be pg.maximize(name), pg.minimize(name) or a list of them, got '
            f'{type(objectives).__name__} {show(objectives)}.'
        )
    made = []
    for item in objectives:
        if not isinstance(item, (str, Objective)):
            raise FitnessError(f'An objective is pg.maximize(name) or pg.minimize(name), got {show(item)}.')
        made.append(Objective(metric=item) if isinstance(item, str) else item)
    names = [o.metric for o in made]
    if not made or len(set(names)) < len(names):
        raise FitnessError(f'A search needs at least one objective and none twice, got {names}.')
    return tuple(made)


def check_metrics(metrics: Any, objectives: Sequence[Objective], what: str = 'evaluate') -> dict[str, Any]:
    """The metrics of one trial, each a scalar.

    Args:
      metrics: what an evaluator returned, traced or not.
      objectives: the metrics that must be among them.
      what: who returned them, for the message.

    Raises:
      FitnessError: not a mapping of names to scalar numbers, or an objective is missing.
    """
    wanted = ', '.join(dict.fromkeys(name for o in objectives for name in o.metrics))
    if not isinstance(metrics, Mapping):
        raise FitnessError(
            f'{what} must return a dict of scalar metrics with {wanted}, got {type(metrics).__name__} {show(metrics)}. '
            f"Return {{'{objectives[0].metric}': value}}."
        )
    checked = {}
    for name, value in metrics.items():
        if not isinstance(name, str):
            raise FitnessError(f'{what}: metric names are strings, got {show(name)}.')
        shape = shape_of(value)
        if shape != () or not _is_number(value):
            came = f'{type(value).__name__} {show(value)}'
            if shape:
                came = f'an array of shape {list(shape)}. Reduce it, e.g. by mean'
            raise FitnessError(f'{what}: the metric {name!r} must be a scalar number, got {came}.')
        if type(value) is int and not _is_float(value):
            raise FitnessError(
                f'{what}: the metric {name!r} is an int of {value.bit_length()} bits, larger than any float. '
                'Return its logarithm, or a float.'
            )
        checked[name] = value
    for needed in (name for objective in objectives for name in objective.metrics):
        if needed not in checked:
            raise FitnessError(
                f'{what}: the objective {needed!r} is not among the returned metrics {list(checked)}; '
                f'expected {wanted}.' + did_you_mean(needed, checked)
            )
    return checked


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of an array or number, traced or not; None for what is neither."""
    if value is None or isinstance(value, (str, bytes)):
        return None
    try:
        return np.shape(value)
    except ValueError:  # lists of several lengths
        return None


def _is_float(value: int) -> bool:
    """Whether an int is within the range of floats."""
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _is_number(value: Any) -> bool:
    dtype = getattr(value, 'dtype', None)
    if dtype is None:
        return isinstance(value, (int, float))
    return bool(jnp.issubdtype(dtype, np.number) or dtype == np.bool_) and not jnp.issubdtype(dtype, np.complexfloating)


def to_fitness(metrics: Mapping[str, Any], objectives: Sequence[Objective]) -> np.ndarray:
    """float32[B, M]: the objectives of B trials, maximized; -inf in every column of a trial that failed.

    A trial fails when an objective is NaN or infinite: +inf would otherwise take over the population.
    """
    arrays = {name: np.asarray(values) for name, values in metrics.items()}
    columns = [np.asarray(o.fitness(arrays), np.float32) for o in objectives]
    fitness = columns[0][:, None] if len(columns) == 1 else np.stack(columns, axis=-1)
    finite = np.isfinite(fitness)
    return fitness if finite.all() else np.where(finite.all(-1, keepdims=True), fitness, np.float32(-np.inf))
