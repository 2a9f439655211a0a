"""Plots with matplotlib: what they show is what the study says."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

import pgjax as pg
from pgjax import search
from pgjax.view import plot

SPACE = {'x': pg.floatv(0.0, 1.0), 'deep': pg.oneof([{'y': pg.intv(1, 9)}, {}]), 'idle': pg.oneof([1.0, 2.0])}


@pytest.fixture(scope='module')
def study():
    return search.run(
        SPACE,
        lambda e, k: {'y': jnp.where(e['x'] > 0.9, jnp.nan, e['x']), 'cost': e['x'] ** 2 - e['idle']},
        search.Random(batch_size=64),
        objectives=[pg.maximize('y'), pg.minimize('cost')],
        generations=1,
    )


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close('all')


def test_history_shows_each_trial_and_the_best_so_far(study):
    ax = plot.history(study)
    drawn = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_allclose(drawn[:, 1], study.history.metrics['y'], equal_nan=True)
    best = np.asarray(ax.lines[0].get_ydata())
    assert best[-1] == pytest.approx(study.best.metrics['y']) and (np.diff(best[~np.isnan(best)]) >= 0).all()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ('trial', 'y')


def test_the_best_so_far_of_what_is_minimized_falls(study):
    best = np.asarray(plot.history(study, 'cost').lines[0].get_ydata())
    assert (np.diff(best[~np.isnan(best)]) <= 0).all()


def test_front_marks_what_nothing_beats(study):
    _, marked = plot.front(study).collections
    expected = [[t.metrics['y'], t.metrics['cost']] for t in study.front]
    np.testing.assert_allclose(np.asarray(marked.get_offsets()), expected)


def test_importance_ranks_decisions(study):
    ax = plot.importance(study)
    widths = {label.get_text(): bar.get_width() for label, bar in zip(ax.get_yticklabels(), ax.patches, strict=True)}
    assert set(widths) == {d.label for d in study.space.decisions}
    assert max(widths, key=widths.get) == 'x' and widths['x'] > 80


def test_parallel_draws_a_line_for_each_success(study):
    succeeded = int(np.isfinite(study.history.fitness[:, 0]).sum())
    ax = plot.parallel(study)
    assert len(ax.lines) == succeeded < 64
    assert [t.get_text() for t in ax.get_xticklabels()] == [*(d.label for d in study.space.decisions), 'y']
    assert max(line.get_ydata()[-1] for line in ax.lines) == 1.0


def test_plots_go_where_they_are_told(study):
    _, axes = plt.subplots(2)
    assert plot.history(study, ax=axes[1]) is axes[1] and not axes[0].has_data()


def test_what_cannot_be_drawn(study):
    with pytest.raises(pg.PathError, match="Did you mean 'cost'"):
        plot.history(study, 'cst')
    single = search.run(SPACE, lambda e, k: {'y': e['x']}, search.Random(batch_size=4), objectives=['y'], generations=1)
    with pytest.raises(pg.PathError, match='one objective'):
        plot.front(single)
    with pytest.raises(pg.PathError, match='Too few'):
        plot.importance(single)


@pytest.mark.parametrize('draw', [plot.history, plot.front, plot.parallel])
def test_without_trials_there_is_nothing_to_draw(draw):
    open_figures = plt.get_fignums()
    study = search.Study(SPACE, search.Random(batch_size=4), objectives=['y', 'cost'])
    with pytest.raises(pg.PathError, match='no trial yet'):
        draw(study)
    assert plt.get_fignums() == open_figures
