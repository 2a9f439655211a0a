"""Controllers in NumPy: the same bits as compiled, whichever path a study takes and when it changes over."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from space_zoo import ZOO, build

import pgjax as pg
from pgjax import search

FLAT = pg.search_space(
    {
        'choice': pg.oneof('abc'),
        'only': pg.oneof('a'),
        'int': pg.intv(0, 6),
        'scaled': pg.intv(1, 10**6, scale='log'),
        'float': pg.floatv(0.0, 1.0),
        'rate': pg.floatv(1e-4, 1.0, scale='log'),
        'free': pg.manyof(2, [1, 2, 3], distinct=False, sorted=True),
        'some': pg.manyof(2, 'abcd', distinct=True, sorted=True),
        'order': pg.permutate('abcd'),
    }
)
SPACES = {
    'flat': FLAT,
    'conditional': search.testing.mixed_space(),
    'one int': pg.search_space([pg.intv(0, 6)]),  # whose arity is a constant of the compiled program
    'one point': pg.search_space([pg.oneof('a')]),
}
CONTROLLERS = {
    'random': search.Random(batch_size=3),
    'regularized': search.RegularizedEvolution(population_size=5, tournament_size=3, batch_size=1, memory=0),
    'regularized, remembering': search.RegularizedEvolution(population_size=5, tournament_size=3, batch_size=1),
    'random, remembering': search.Dedup(search.Random(batch_size=3), memory=20),
    'regularized, of more than one': search.RegularizedEvolution(population_size=7, tournament_size=2, batch_size=3),
    'regularized, smaller than its batch': search.RegularizedEvolution(
        population_size=2, tournament_size=2, batch_size=5
    ),
}
FITNESS = st.one_of(
    st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e-40, 1.0]),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
)


@pytest.mark.parametrize('space', SPACES)
@given(seed=st.integers(0, 2**32 - 1), fitness=st.lists(FITNESS, min_size=30, max_size=30))
@settings(max_examples=10)
def test_single_trials_of_regularized_evolution(space, seed, fitness):
    check(CONTROLLERS['regularized'], SPACES[space], seed, fitness)


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == 'regularized, smaller than its batch'))
        for name in CONTROLLERS
        if name != 'regularized'
    ],
)
@given(seed=st.integers(0, 2**32 - 1), fitness=st.lists(FITNESS, min_size=60, max_size=60))
@settings(max_examples=5)
def test_batches(name, seed, fitness):
    check(CONTROLLERS[name], FLAT, seed, fitness)


@pytest.mark.slow
@pytest.mark.parametrize('space', ZOO)
def test_all_spaces(space):
    fitness = np.random.default_rng(0).normal(size=90).round(1)
    fitness[::7], fitness[::11] = np.nan, -np.inf
    for name in ('random', 'regularized', 'regularized, of more than one'):
        check(CONTROLLERS[name], pg.search_space(build(ZOO[space], pg)), 0, fitness)


def check(controller, space, seed, fitness):
    rounds = len(fitness) // controller.batch_size
    columns = np.asarray(fitness, np.float32)[: rounds * controller.batch_size].reshape(rounds, -1, 1)
    search.testing.check_on_host(controller, space, columns, seed=seed)


@pytest.mark.parametrize('number', [2, 6, 9])
def test_points_that_others_found(number):
    """Fewer than the population, more, and so many that only children are left to propose."""
    controller, key = CONTROLLERS['regularized, of more than one'], jax.random.key(number)
    found = FLAT.random(key, (number,))
    start = controller.tell(FLAT, controller.init(FLAT, key), found, np.arange(number, dtype=np.float32)[:, None])
    search.testing.check_on_host(controller, FLAT, np.zeros((6, 3, 1), np.float32), start=start)


def test_every_controller_that_has_a_form_in_numpy_is_among_these():
    """Whoever adds one, adds it to the tests above."""
    kinds = [getattr(search, name) for name in search.__all__ if isinstance(getattr(search, name), type)]
    with_one = {
        kind for kind in kinds if issubclass(kind, search.Controller) and kind.on_host is not search.Controller.on_host
    }
    assert with_one == {type(controller) for controller in CONTROLLERS.values()}


@pytest.mark.parametrize(
    ('settings_', 'space'),
    [
        ({'batch_size': 64}, FLAT),
        ({'batch_size': 1, 'population_size': 2**17}, FLAT),
        ({'batch_size': 1}, pg.search_space([pg.intv(0, 2**24)])),
    ],
)
def test_what_numpy_would_do_otherwise_or_more_slowly_stays_compiled(settings_, space):
    assert search.RegularizedEvolution(**settings_).on_host(space) is None


@pytest.mark.parametrize('name', ['random', 'regularized', 'regularized, of more than one'])
def test_a_study_goes_on_in_either_form(name, tmp_path, monkeypatch):
    """Trials one to thirteen are asked for in NumPy, the others by the compiled program; then the other way round."""
    controller = CONTROLLERS[name]

    def part_of_study(path, compiled, trials):
        with monkeypatch.context() as patch:
            if compiled:
                patch.setattr(type(controller), 'on_host', search.Controller.on_host)
            study = search.Study(FLAT, controller, objectives='y', path=path, seed=3)
            while len(study.history) < trials:
                study = study.tell(asked := study.ask(1), [{'y': float(asked[0].dna.floats.sum())}])
            return study

    whole = part_of_study(None, False, 26)
    for begins_compiled in (False, True):
        path = tmp_path / str(begins_compiled)
        part_of_study(path, begins_compiled, 13)
        mixed = part_of_study(path, not begins_compiled, 26)
        assert mixed.history.dna == whole.history.dna
        assert (mixed.history.parents == whole.history.parents).all()
        for ours, theirs in zip(jax.tree.leaves(mixed.state), jax.tree.leaves(whole.state), strict=True):
            assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


def test_what_was_handed_out_is_not_changed_by_what_follows():
    """The state is as immutable in NumPy as it is in JAX."""
    controller = CONTROLLERS['regularized']
    host = controller.on_host(FLAT)
    state = jax.device_get(controller.init(FLAT, jax.random.key(0)))
    seen = []
    for drawn in host.draw(jax.random.split(jax.random.key(1), 20)):
        dna, state = host.ask(state, drawn)
        state = host.tell(state, dna, np.ones((1, 1), np.float32))
        seen.append(((dna, state), jax.tree.map(np.array, (dna, state))))
    for kept, copy in seen:
        for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(copy), strict=True):
            assert a.tobytes() == b.tobytes()


def test_subnormal_fitness_counts_as_zero():
    """A device that takes it for zero when it compares, and one that does not, choose the same parents."""
    fitness = np.full((20, 3, 1), np.nan, np.float32)
    fitness[10, 2], fitness[11, 0] = 0.0, 8.6e-40
    for seed in range(2337, 2340):
        search.testing.check_on_host(CONTROLLERS['regularized, of more than one'], FLAT, fitness, seed=seed)
