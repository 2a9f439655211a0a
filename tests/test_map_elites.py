"""MAP-Elites: archives against a slow twin, and planted problems in which the best point of each cell is known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

import pgjax as pg
from pgjax import search

PLANE = pg.search_space(pg.Dict(x=pg.intv(0, 31), y=pg.intv(0, 31), z=pg.intv(0, 15)))
CONTROLLERS = {
    'grid': search.MapElites(bounds=[(0.0, 1.0), (-1.0, 1.0)], bins=[4, 3], batch_size=6, initial_size=8),
    'centroidal': search.MapElites(bounds=[(0.0, 1.0), (-1.0, 1.0)], cells=7, batch_size=5, initial_size=2),
    'one cell': search.MapElites(bounds=[(0.0, 1.0), (0.0, 1.0)], bins=1, batch_size=3, initial_size=1),
}


def archive_twin(cells, fitness):
    """Which row ends in each cell, told one after the other."""
    elites = {}
    for row, (cell, f) in enumerate(zip(cells, fitness, strict=True)):
        if np.isfinite(f) and (cell not in elites or f > fitness[elites[cell]]):
            elites[cell] = row
    return elites


@pytest.mark.parametrize('name', CONTROLLERS)
def test_contract(name):
    search.testing.check_controller(CONTROLLERS[name], num_objectives=3)


def test_contract_on_a_space_of_one_point():
    search.testing.check_controller(CONTROLLERS['grid'], pg.search_space({'x': pg.oneof(['a'])}), num_objectives=3)


GRID = search.MapElites(bounds=[(0.0, 4.0), (-2.0, 2.0)], bins=[2, 4], batch_size=6)
START = GRID.init(PLANE, jax.random.key(0), 3)
tell = jax.jit(lambda state, dna, values: GRID.tell(PLANE, state, dna, values))
values = st.sampled_from([-np.inf, np.nan, 0.0, 1.0, 2.0, 3.0])
descriptor = st.sampled_from([-9.0, -2.0, -0.5, 0.0, 0.5, 2.0, 3.9, 9.0, np.nan])


@given(st.lists(st.tuples(values, descriptor, descriptor), min_size=18, max_size=18))
def test_each_cell_keeps_its_best_and_of_equals_the_first(rows):
    rows = np.array(rows, np.float32)
    dna = pg.DNA(np.arange(54, dtype=np.int32).reshape(18, 3) % 16, np.zeros((18, 0), np.float32))
    state = START
    for part in np.split(np.arange(18), 3):
        state = tell(state, jax.tree.map(lambda genes, part=part: jnp.asarray(genes[part]), dna), rows[part])
    ok = np.isfinite(rows).all(-1)
    across = np.clip(np.floor(rows[:, 1] / 2), 0, 1)
    along = np.clip(np.floor(rows[:, 2] + 2), 0, 3)
    cells = np.where(ok, across * 4 + along, 0)
    wanted = archive_twin(cells, np.where(ok, rows[:, 0], np.nan))
    assert {int(c): int(state.trial[c]) for c in np.flatnonzero(state.filled)} == wanted
    for cell, row in wanted.items():
        assert state.dna.choices[int(cell)].tolist() == dna.choices[row].tolist()
        assert [float(state.fitness[int(cell)]), *state.descriptors[int(cell)].tolist()] == rows[row].tolist()
    assert int(state.told) == 18
    assert float(state.qd_score(-1.0)) == sum(rows[row, 0] + 1 for row in wanted.values())
    assert float(state.coverage) == pytest.approx(len(wanted) / 8)


def planted(exp, key):
    """In each cell of (x, y) the best z is known: it equals (x + y) % 16."""
    return {'f': -jnp.abs(exp.z - (exp.x + exp.y) % 16) * 1.0, 'x': exp.x / 32, 'y': exp.y / 32}


def test_planted_illumination():
    """Every one of the 64 cells is found, and in each its best point: fitness 0."""
    sizes = {'x': 32, 'y': 32, 'z': 16}
    template = pg.Dict({name: pg.oneof([float(v) for v in range(n)]) for name, n in sizes.items()})
    controller = search.MapElites(bins=8, batch_size=64, initial_size=64)
    loop = search.compile(template, planted, controller, objectives=['f', 'x', 'y'])
    result = jax.jit(loop, static_argnums=1)(jax.random.key(0), 400)
    assert bool(result.state.filled.all())
    assert float(result.state.fitness.min()) == 0.0
    found = jax.vmap(pg.search_space(template).decode)(result.state.dna)
    assert ((found.x // 4) * 8 + found.y // 4).tolist() == list(range(64))


def test_centroids_are_spread_and_own_what_is_nearest():
    controller = search.MapElites(bounds=[(0.0, 10.0), (-5.0, 5.0)], cells=16)
    state = controller.init(PLANE, jax.random.key(1), 3)
    centres = np.asarray(state.centroids)
    assert (centres > [0, -5]).all() and (centres < [10, 5]).all()
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + 99 * np.eye(16)
    assert gaps.min() > 1.0  # a square lattice of 16 points has gaps of 2.5
    points = np.random.default_rng(0).uniform([0, -5], [10, 5], (200, 2)).astype(np.float32)
    nearest = np.linalg.norm(points[:, None] - centres[None], axis=-1).argmin(-1)
    assert (np.asarray(controller.cell_of(state, points)) == nearest).mean() > 0.99  # ties aside
    grid = search.MapElites(bounds=[(0.0, 10.0), (-5.0, 5.0)], bins=[5, 2])
    state = grid.init(PLANE, jax.random.key(1), 3)
    assert grid.cell_of(state, state.centroids).tolist() == list(range(10))


@pytest.mark.slow
def test_parents_are_elites_drawn_evenly():
    controller = search.MapElites(bounds=[(0.0, 4.0)], bins=8, batch_size=512, initial_size=1)
    space = pg.search_space({'x': pg.intv(0, 10**6)})
    state = controller.init(space, jax.random.key(0), 2)
    dna = space.random(jax.random.key(1), (5,))
    state = controller.tell(space, state, dna, jnp.array([[1, 0.1], [2, 0.2], [jnp.nan, 1], [0, 1.6], [5, 3.9]]))
    state = dataclasses.replace(state, asked=jnp.int32(1))
    _, asked = jax.jit(lambda s, k: controller.ask(space, s, k))(state, jax.random.key(2))
    counts = np.bincount(np.asarray(asked.parents)[:, 0], minlength=5)
    assert counts[[0, 2]].tolist() == [0, 0]
    assert np.abs(counts[[1, 3, 4]] - 512 / 3).max() < 5 * (512 * (1 / 3) * (2 / 3)) ** 0.5


@pytest.mark.slow
def test_a_study_resumes_to_the_same_archive(tmp_path):
    template = pg.Dict(x=pg.floatv(0.0, 1.0), y=pg.floatv(0.0, 1.0))
    evaluate = lambda exp, key: {'f': exp.x - exp.y, 'x': exp.x, 'y': exp.y}  # noqa: E731
    controller = search.MapElites(bins=4, batch_size=8, initial_size=8)
    study = search.Study(template, controller, objectives=['f', 'x', 'y'], path=tmp_path / 'study')
    study.run(evaluate, 2, progress=False)
    again = search.Study.load(tmp_path / 'study').run(evaluate, 2, progress=False)
    whole = search.run(template, evaluate, controller, objectives=['f', 'x', 'y'], generations=4)
    for a, b in zip(jax.tree.leaves(again.state), jax.tree.leaves(whole.state), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize(
    ('settings', 'objectives', 'words'),
    [
        ({}, 2, 'one further objective for each of its 2 descriptors, 3 in all; got 2'),
        ({'bins': [4]}, 3, 'bins = .*one positive number, or one for each of the 2 descriptors'),
        ({'bins': 0}, 3, 'bins = 0'),
        ({'cells': 0}, 3, 'cells = 0'),
        ({'initial_size': 0}, 3, 'initial_size = 0'),
        ({'bounds': []}, 1, 'bounds'),
    ],
)
def test_settings_out_of_range(settings, objectives, words):
    with pytest.raises(pg.ControllerError, match=words):
        search.MapElites(**settings).init(PLANE, jax.random.key(0), objectives)


@pytest.mark.parametrize(
    'bound', [(0.0, float('nan')), (1.0, 0.0), (0.0, 0.0), (float('-inf'), 0.0), (0.0, float('inf'))]
)
def test_bounds_between_which_nothing_lies_are_refused(bound):
    with pytest.raises(pg.ControllerError, match=r'MapElites\.bounds = .*finite numbers \(low, high\) with low < high'):
        search.MapElites(bounds=[bound]).init(pg.search_space([pg.floatv(0.0, 1.0)]), jax.random.key(0), 2)
