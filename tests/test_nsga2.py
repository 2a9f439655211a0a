"""NSGA-II and SEMO: survival against slow twins, fronts that are known, and what callers rely on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from test_multiobjective import beats, crowded, peeled

import pgjax as pg
from pgjax import search

LINE = pg.search_space({'x': pg.intv(0, 10**6)})
CONTROLLERS = {
    'nsga2': search.NSGA2(population_size=8, batch_size=6),
    'nsga2, one by one': search.NSGA2(population_size=3, batch_size=1, unique=False),
    'semo': search.SEMO(archive_size=7, batch_size=5, initial_size=6),
}
TINY = {
    'nsga2': {'only': pg.oneof(['a'])},
    'nsga2, one by one': {'x': pg.floatv(0.0, 1.0)},
    'semo': {'x': pg.intv(3, 3)},
}


@pytest.mark.parametrize('name', ['nsga2', 'semo'])
def test_contract(name):
    search.testing.check_controller(CONTROLLERS[name], num_objectives=2)


@pytest.mark.slow
@pytest.mark.parametrize('name', CONTROLLERS)
def test_contract_on_tiny_spaces(name):
    search.testing.check_controller(CONTROLLERS[name], pg.search_space(TINY[name]), num_objectives=3)


def telling(controller):
    """`tell` of points on a line, compiled."""
    return jax.jit(
        lambda state, x, values: controller.tell(
            LINE, state, pg.DNA(x[:, None].astype(jnp.int32), jnp.zeros((len(x), 0))), values
        )
    )


def starting(controller, objectives=2):
    return controller.init(LINE, jax.random.key(0), objectives)


values = st.one_of(st.tuples(*[st.integers(0, 3).map(float)] * 2), st.just((np.nan, 1.0)), st.just((-np.inf, 2.0)))
rows = st.lists(st.tuples(st.integers(0, 12), values), min_size=12, max_size=12)
NSGA2 = CONTROLLERS['nsga2']
SEMO = CONTROLLERS['semo']
tell_nsga2, tell_semo = telling(NSGA2), telling(SEMO)


def clean(value):
    return value if np.isfinite(value).all() else (-np.inf, -np.inf)


@given(rows)
def test_survival_is_that_of_the_paper(told):
    """Told four at a time: sort all by front and crowding, then points met before, then failed ones; keep eight."""
    state, twin = starting(NSGA2), []  # of (trial, x, fitness, repeated)
    for start in range(0, 12, 4):
        part = told[start : start + 4]
        for i, (x, value) in enumerate(part):
            twin.append((start + i, x, clean(value), any(x == other[1] for other in twin)))
        fitness = [(-np.inf, -np.inf) if repeated else value for _, _, value, repeated in twin]
        ranks = peeled(fitness)
        far = crowded(fitness, ranks)
        tiers = [2 if value[0] == -np.inf else repeated for _, _, value, repeated in twin]
        order = sorted(range(len(twin)), key=lambda i: (tiers[i], ranks[i], -np.float32(far[i]), i))
        twin = [twin[i] for i in order[:8]]
        state = tell_nsga2(state, jnp.array([x for x, _ in part]), jnp.array([v for _, v in part], jnp.float32))
        found = [t for t in state.trial.tolist() if t >= 0]
        # Crowding is a float: rows that differ by its rounding may stand in either order.
        assert sorted(found) == sorted(t for t, *_ in twin) or near_ties(far, order, 8)
        assert state.trial.tolist()[: len(found)] == found  # empty slots come last
        by_trial = dict(zip(found, state.dna.choices[:, 0].tolist(), strict=False))
        assert all(by_trial.get(t, x) == x for t, x, *_ in twin)
        twin = sorted(twin, key=lambda row: found.index(row[0]) if row[0] in found else 99)


def near_ties(far, order, size):
    kept, cut = (far[order[i]] if i < len(order) else np.nan for i in (size - 1, size))
    return abs(kept - cut) < 1e-5


@given(rows)
def test_an_archive_holds_what_nothing_beats(told):
    state, twin = starting(SEMO), []
    for start in range(0, 12, 4):
        part = told[start : start + 4]
        for i, (_, value) in enumerate(part):
            if np.isfinite(value).all() and not any(beats(f, value) or f == value for _, f in twin):
                twin = [(t, f) for t, f in twin if not beats(value, f)] + [(start + i, value)]
        state = tell_semo(state, jnp.array([x for x, _ in part]), jnp.array([v for _, v in part], jnp.float32))
        found = {t: tuple(f) for t, f in zip(state.trial.tolist(), state.fitness.tolist(), strict=True) if t >= 0}
        assert found == dict(twin)  # at most 4 points of a 4 by 4 grid are apart: there is room for all
        assert (np.asarray(state.trial) >= 0).tolist() == [i < len(twin) for i in range(7)]


def test_a_full_archive_drops_the_most_crowded():
    controller = search.SEMO(archive_size=4)
    up = np.array([0, 1, 2, 5, 9], np.float32)
    state = telling(controller)(starting(controller), jnp.arange(5), jnp.stack([up, -up], -1))
    assert sorted(state.trial.tolist()) == [0, 2, 3, 4]  # gaps of the inner ones: 2, 4, 7


def test_parents_win_binary_tournaments():
    controller = search.NSGA2(population_size=4, batch_size=2048)
    fitness = jnp.array([[0.0, 0.0], [jnp.nan, 9.0], [3.0, 3.0], [2.0, 2.0]])
    state = telling(controller)(starting(controller), jnp.arange(4), fitness)
    state = dataclasses.replace(state, asked=jnp.int32(4))
    _, asked = jax.jit(lambda s, k: controller.ask(LINE, s, k))(state, jax.random.key(0))
    counts = np.bincount(np.asarray(asked.parents).ravel(), minlength=4)
    for trial, wins in ((2, 5), (3, 3), (0, 1), (1, 0)):  # of 9 equally likely pairs; the failed one meets nobody
        p, n = wins / 9, 4096
        assert abs(counts[trial] - n * p) <= 5 * (n * p * (1 - p)) ** 0.5


def test_failed_points_are_no_parents_where_there_are_others():
    controller = search.NSGA2(population_size=4, batch_size=64)
    state = telling(controller)(starting(controller), jnp.arange(2), jnp.array([[jnp.nan, 0.0], [1.0, 1.0]]))
    assert state.trial.tolist() == [1, 0, -1, -1]
    state = telling(controller)(state, jnp.array([1, 2]), jnp.array([[2.0, 2.0], [0.0, 3.0]]))
    assert state.trial.tolist() == [1, 3, 2, 0], 'trial 2 is trial 1 again, but has not failed'


def leading_ones_trailing_zeros(exp, key):
    bits = jnp.stack(list(exp))
    return {'ones': jnp.cumprod(bits).sum(), 'zeros': jnp.cumprod(1 - bits[::-1]).sum()}


@pytest.mark.parametrize(
    'controller',
    [search.NSGA2(population_size=24, batch_size=24), search.SEMO(batch_size=24, archive_size=24)],
    ids=['nsga2', 'semo'],
)
def test_the_whole_front_of_a_planted_problem_is_found(controller):
    """LOTZ on 10 bits: the front is the 11 points of i ones and then zeros, of 1,024."""
    template = [pg.oneof([0.0, 1.0]) for _ in range(10)]
    loop = search.compile(template, leading_ones_trailing_zeros, controller, objectives=['ones', 'zeros'])
    result = jax.jit(loop, static_argnums=1)(jax.random.key(0), 60)
    assert [trial.fitness for trial in sorted(result.front, key=lambda t: t.fitness)] == [
        (float(i), 10.0 - i) for i in range(11)
    ]
    kept = {tuple(f) for f in result.state.fitness.tolist()}
    assert kept >= {(float(i), 10.0 - i) for i in range(11)}


@pytest.mark.slow
def test_a_study_resumes_bit_for_bit(tmp_path):
    template = [pg.floatv(0.0, 1.0), pg.floatv(0.0, 1.0)]
    evaluate = lambda exp, key: {'f': exp[0], 'g': 1 - exp[0] * exp[1]}  # noqa: E731
    controller = search.NSGA2(population_size=8, batch_size=8)
    search.Study(template, controller, objectives=['f', 'g'], path=tmp_path / 's').run(evaluate, 2, progress=False)
    again = search.Study.load(tmp_path / 's').run(evaluate, 2, progress=False)
    whole = search.run(template, evaluate, controller, objectives=['f', 'g'], generations=4)
    for a, b in zip(jax.tree.leaves(again.state), jax.tree.leaves(whole.state), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert [t.id for t in again.front] == [t.id for t in whole.front]
    parents = again.history.parents
    assert parents.shape == (32, 2) and (parents[:8] == -1).all() and (parents[8:] >= 0).all()
    assert (parents[8:] < np.arange(8, 32)[:, None]).all()


@pytest.mark.parametrize(
    ('controller', 'words'),
    [
        (search.NSGA2(population_size=0), 'NSGA2.population_size = 0'),
        (search.NSGA2(batch_size=0), 'NSGA2.batch_size = 0'),
        (search.SEMO(archive_size=0), 'SEMO.archive_size = 0'),
        (search.SEMO(initial_size=0), 'SEMO.initial_size = 0'),
    ],
)
def test_settings_out_of_range(controller, words):
    with pytest.raises(pg.ControllerError, match=words):
        starting(controller)
