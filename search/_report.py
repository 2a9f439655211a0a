"""The report of a study: one HTML page that asks for nothing outside itself."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pgjax.io import write_atomic
from pgjax.search._history import TrialStatus, front_rows
from pgjax.search._report_style import SCRIPT, STYLE
from pgjax.search._report_tables import code, folded, left_out, note, numbers, section, table
from pgjax.space._size import size_text
from pgjax.view._svg import number, safe
from pgjax.view._svg_decisions import MOST_AXES, svg_importance, svg_parallel
from pgjax.view._svg_trials import svg_front, svg_history, svg_timeline
from pgjax.view._trials import NONE, Column, best_so_far, changes, columns_of, importances, lineage, order_of

if TYPE_CHECKING:
    from pgjax.search._study import Study

MOST_ROWS = 200  # trials in the table; the best are kept
MOST_ANCESTORS = 30
MOST_FAILURES = 50


def write_report(study: Study, path: str | os.PathLike[str]) -> str:
    """Writes the page of a study, in one step: a reader sees the old page or the new one.

    Args:
      study: with or without trials.
      path: of the page.

    Returns:
      The path as text.

    Raises:
      StudyWriteError: the page cannot be written.
    """
    write_atomic(path, page(study).encode())
    return os.fspath(path)


def page(study: Study) -> str:
    """The page as text: the same text for the same study."""
    goals = ', '.join(f'{o.goal} {o.metric}' for o in study.objectives)
    sections = dict(_sections(study))
    links = ''.join(f'<a href="#{_anchor(title)}">{safe(title)}</a>' for title in sections)
    body = [f'<p class="kind">Study</p><h1>{safe(goals)}</h1>', _figures(study), f'<nav>{links}</nav>']
    body += [section(_anchor(title), title, *parts) for title, parts in sections.items()]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{safe(goals)}</title><style>{STYLE}</style></head>\n<body>\n{"".join(body)}\n'
        f'<script>{SCRIPT}</script></body></html>\n'
    )


def _sections(study: Study) -> Iterator[tuple[str, Sequence[str]]]:
    columns = columns_of(study)
    if not len(study.history):
        yield 'History', [note('The study has no trials yet.')]
    else:
        yield 'History', [_history(study)]
        if len(study.objectives) > 1:
            yield 'Pareto front', list(_fronts(study))
        yield 'Best experiment', list(_best(study, columns))
        yield 'Decisions', list(_decisions(study, columns))
        yield 'Time', [_timeline(study)]
        if (study.history.status != TrialStatus.COMPLETE).any():
            yield 'Failures', list(_failures(study, columns))
        yield 'Trials', [_trials(study, columns)]
    yield 'Set-up', [folded('Template', code(study.space.template)), folded('Controller', code(study.controller))]


def _anchor(title: str) -> str:
    return title.lower().replace(' ', '-')


def _figures(study: Study) -> str:
    history, best = study.history, study.best
    seconds = float(history.seconds.sum())
    rate = number(len(history) / seconds) if seconds > 0 else NONE
    shown = [(f'best {name}', number(value)) for name, value in best.metrics.items()] if best else []
    first = len(shown)
    shown += [
        ('trials', f'{len(history):,}'),
        ('generations', f'{study.generation:,}'),
        ('failed', f'{int((history.status == TrialStatus.FAILED).sum()):,}'),
        ('trials a second', rate),
        ('points in the space', _size(study.space.size)),
        ('seed', str(study.seed)),
    ]
    return numbers(shown, first)


def _size(size: int | float) -> str:
    return size_text(size, 9) if isinstance(size, int) else '∞'


def _history(study: Study) -> str:
    history, name = study.history, study.objectives[0].metric
    return svg_history(history.trial, history.metrics[name], best_so_far(study), history.generation, name)


def _timeline(study: Study) -> str:
    history, name = study.history, study.objectives[0].metric
    return svg_timeline(history.seconds, history.metrics[name], best_so_far(study), name)


def _failures(study: Study, columns: Sequence[Column]) -> Iterator[str]:
    """Which trials did not complete, and why; the latest first."""
    history = study.history
    rows = np.flatnonzero(history.status != TrialStatus.COMPLETE)[::-1]
    shown = []
    for row in rows[:MOST_FAILURES]:
        trial = int(history.trial[row])
        why = study.notes.get(trial, {}).get('error', '') or _not_finite(study, int(row))
        decided = ', '.join(f'{c.name} {c.at(int(row))}' for c in columns if c.used[row])
        shown.append((str(trial), TrialStatus(int(history.status[row])).name.lower(), why, decided))
    yield table(('trial', 'status', 'why', 'decisions'), shown, words=(1, 2, 3))
    yield left_out(len(shown), len(rows), 'failures')


def _not_finite(study: Study, row: int) -> str:
    metrics = study.history.metrics
    found = [(o.metric, float(metrics[o.metric][row])) for o in study.objectives]
    return ', '.join(f'{name} is {number(value)}' for name, value in found if not np.isfinite(value))


def _fronts(study: Study) -> Iterator[str]:
    history = study.history
    names = [o.metric for o in study.objectives]
    front = front_rows(history.fitness).tolist()
    for first, second in itertools.pairwise(names):
        points = np.stack([history.metrics[first], history.metrics[second]], -1)
        yield svg_front(points, front, history.trial, (first, second), joined=len(names) == 2)


def _best(study: Study, columns: Sequence[Column]) -> Iterator[str]:
    """The code that builds it, what was decided in it, and how it came about."""
    best = study.best
    if best is None:
        yield note('Every trial failed.')
        return
    metrics = ', '.join(f'{name} {number(value)}' for name, value in best.metrics.items())
    yield note(f'Trial {best.id}: {metrics}')
    yield code(best.value)
    row = int(np.searchsorted(study.history.trial, best.id))
    decided = [(c.name, c.at(row), c.range) for c in columns if c.used[row]]
    yield folded('Its decisions, in place of the holes of the template', table(_DECIDED, decided, words=(0, 1, 2)))
    yield _lineage(study, columns, row)


_DECIDED = ('decision', 'decided', 'out of')


def _lineage(study: Study, columns: Sequence[Column], row: int) -> str:
    history = study.history
    rows = lineage(history.trial, history.parents, history.fitness, row)
    if len(rows) < 2:
        return ''
    metric = history.metrics[study.objectives[0].metric]
    shown = rows[:MOST_ANCESTORS]
    steps = []
    for child, parent in zip(shown, [*rows[1:], None], strict=False):
        made = 'drawn at random' if parent is None else _changed(changes(columns, child, parent))
        steps.append((str(history.trial[child]), number(metric[child]), made))
    heads = ('trial', study.objectives[0].metric, 'what changed')
    rest = left_out(len(shown), len(rows), 'ancestors')
    return folded(f'Its lineage: {len(rows) - 1} ancestors', table(heads, steps, words=(2,)) + rest)


def _changed(found: Sequence[tuple[str, str, str]]) -> str:
    return '; '.join(f'{name}: {old} → {new}' for name, old, new in found) or 'nothing'


def _decisions(study: Study, columns: Sequence[Column]) -> Iterator[str]:
    fitness = study.history.fitness[:, 0]
    metric = study.objectives[0].metric
    importance = importances(columns, fitness)
    order = np.arange(len(columns)) if importance is None else np.argsort(-importance, kind='stable')
    shown = [columns[i] for i in order[:MOST_AXES]]
    yield note('Each trial is a line through what it decided to what came of it; darker is better.')
    yield svg_parallel(shown, fitness, study.history.metrics[metric], metric)
    if importance is not None and shown:
        yield note('How much of the variance in the ranks of the trials each decision explains by itself.')
        yield svg_importance([c.name for c in shown], importance[order[:MOST_AXES]])
    yield left_out(len(shown), len(columns), 'decisions')


def _trials(study: Study, columns: Sequence[Column]) -> str:
    history = study.history
    order = order_of(history.fitness)[:MOST_ROWS]
    metrics = list(history.metrics)
    heads = ['trial', 'generation', 'parent', *metrics, *(c.name for c in columns)]
    rows = []
    for row in order:
        parent = int(history.parents[row].max(initial=-1))
        cells = [str(history.trial[row]), str(history.generation[row]), str(parent) if parent >= 0 else NONE]
        cells += [number(history.metrics[name][row]) for name in metrics]
        rows.append([*cells, *(c.at(int(row)) for c in columns)])
    words = [3 + len(metrics) + i for i, column in enumerate(columns) if column.is_choice]
    return table(heads, rows, words, sorts=True) + left_out(len(order), len(history), 'trials')
