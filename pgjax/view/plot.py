"""The plots of a study with matplotlib, for notebooks and papers; reports have the same ones without it.

Each function draws into one `Axes`, a new one by default, and returns it: labels, limits and saving are matplotlib's
own business. Needs the extra `plot`.

>>> import pgjax as pg
>>> from pgjax import search
>>> from pgjax.view import plot
>>> study = search.run(
...   pg.Dict(x=pg.oneof([0.0, 1.0])), lambda exp, key: {'y': exp.x}, search.Random(batch_size=8),
...   objectives=[pg.maximize('y')], generations=2)
>>> plot.history(study).get_ylabel()
'y'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pgjax._errors import PathError, did_you_mean, missing_extra
from pgjax.view._trials import Searched, best_so_far, columns_of, importances, ranks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DOT, _BEST, _FRONT = '#3d76ad', '#c94f00', '#00795c'


def history(study: Searched, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """A metric of every trial, and for an objective the best so far.

    Args:
      study: with its trials.
      metric: its name; by default the first objective.
      ax: where to draw.

    Raises:
      PathError: there is no such metric, or no trial.
      MissingExtraError: matplotlib is not installed.
    """
    name = metric or study.objectives[0].metric
    values = _metric(study, name)
    ax = _axes(ax)
    ax.scatter(study.history.trial, values, s=8, alpha=0.5, color=_DOT, linewidths=0, label='trial')
    for index, objective in enumerate(study.objectives):
        if objective.metric == name:
            best = best_so_far(study, index)
            ax.step(study.history.trial, best, where='post', color=_BEST, label='best so far')
    ax.set_xlabel('trial')
    ax.set_ylabel(name)
    ax.legend()
    return ax


def front(study: Searched, x: str | None = None, y: str | None = None, ax: Axes | None = None) -> Axes:
    """Two metrics against each other; trials that no other beats in every objective are marked.

    Args:
      study: with its trials.
      x: a metric; by default the first objective.
      y: a metric; by default the second objective.
      ax: where to draw.

    Raises:
      PathError: there is no such metric, no second objective to draw, or no trial.
      MissingExtraError: matplotlib is not installed.
    """
    names = [objective.metric for objective in study.objectives]
    if y is None and len(names) < 2:
        raise PathError(f'This study has the one objective {names[0]!r}; say which metric to draw against it: y=....')
    across, up = x or names[0], y or names[1]
    points = np.stack([_metric(study, across), _metric(study, up)], -1)
    ax = _axes(ax)
    ax.scatter(*points.T, s=8, alpha=0.5, color=_DOT, linewidths=0, label='trial')
    rows = np.searchsorted(study.history.trial, [trial.id for trial in study.front])
    ax.scatter(*points[rows].T, s=24, color=_FRONT, label='Pareto front')
    ax.set_xlabel(across)
    ax.set_ylabel(up)
    ax.legend()
    return ax


def importance(study: Searched, ax: Axes | None = None) -> Axes:
    """How much of the variance in the ranks of the trials each decision explains by itself.

    A one-way analysis of variance over the ranks in the first objective, corrected for what bins explain by chance;
    what decisions explain only together is not seen.

    Raises:
      PathError: fewer than 20 trials succeeded, too few to tell.
      MissingExtraError: matplotlib is not installed.
    """
    columns = columns_of(study)
    found = importances(columns, study.history.fitness[:, 0]) if columns else None
    if found is None:
        raise PathError('Too few trials succeeded to tell what matters; run more generations.')
    ax = _axes(ax)
    order = np.argsort(found, kind='stable')
    ax.barh([columns[i].name for i in order], 100 * found[order], color=_DOT)
    ax.set_xlabel('% of the variance explained')
    return ax


def parallel(study: Searched, ax: Axes | None = None) -> Axes:
    """Each trial as a line through its decisions to the first objective, coloured by rank.

    Each axis runs from the lowest to the highest value there was, candidates in their order; a line is broken where
    a trial does not use a decision. Failed trials are left out.

    Raises:
      PathError: there is no trial.
      MissingExtraError: matplotlib is not installed.
    """
    objective = study.objectives[0].metric
    metric = _metric(study, objective)
    ax = _axes(ax)
    import matplotlib as mpl

    rows = np.flatnonzero(np.isfinite(study.history.fitness[:, 0]))
    rows = rows[np.argsort(study.history.fitness[rows, 0], kind='stable')]  # the best are drawn last, on top
    columns = columns_of(study)
    heights = [_unit(np.where(c.used, c.values, np.nan)[rows]) for c in columns]
    heights.append(_unit(metric[rows].astype(np.float64)))
    shades = mpl.colormaps['viridis'](ranks_of(study.history.fitness[rows, 0])) if len(rows) else []
    places = np.arange(len(heights))
    for line, shade in zip(np.stack(heights, -1), shades, strict=True):
        ax.plot(places, line, color=shade, alpha=0.5, linewidth=0.8)
    ax.set_xticks(places, [c.name for c in columns] + [objective], rotation=30, ha='right')
    ax.set_yticks([])
    return ax


def _unit(values: np.ndarray) -> np.ndarray:
    """Values between 0 and 1; one half where all are equal."""
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    return (values - low) / (high - low) if high > low else np.where(np.isfinite(values), 0.5, np.nan)


def _metric(study: Searched, name: str) -> np.ndarray:
    metrics = study.history.metrics
    if not len(study.history):
        raise PathError(f'There is no trial yet, and so no {name!r} to draw; run the study first.')
    if name not in metrics:
        raise PathError(f'There is no metric {name!r}; there are {sorted(metrics)}.{did_you_mean(name, metrics)}')
    return metrics[name]


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise missing_extra('pgjax.view.plot', 'matplotlib', 'plot') from None
    return plt.subplots(layout='constrained')[1]
