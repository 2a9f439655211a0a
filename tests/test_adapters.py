"""Samplers of Optuna and strategies of evosax as controllers, against the libraries themselves."""

import dataclasses
import sys
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search
from pgjax.search import adapters

MIXED = search.testing.mixed_space()
BOX = pg.search_space(pg.Dict(x=pg.floatv(0.0, 1.0), y=pg.floatv(1e-3, 1.0, scale='log')))


@pytest.fixture(name='optuna', scope='module')
def fixture_optuna():
    return pytest.importorskip('optuna')


@pytest.fixture(name='algorithms', scope='module')
def fixture_algorithms():
    return pytest.importorskip('evosax.algorithms').algorithms


def bowl(exp: Any, key: jax.Array) -> dict[str, Any]:
    return {'y': -((exp.x - 0.3) ** 2) - (exp.y - 0.1) ** 2}


# --- Optuna


@pytest.mark.parametrize(
    ('sampler', 'options'), [('TPESampler', {}), ('NSGAIISampler', {'population_size': 5}), ('RandomSampler', {})]
)
def test_contract_of_optuna(optuna, sampler, options):
    search.testing.check_controller(adapters.optuna(sampler, batch_size=4, memory=10, **options))
    search.testing.check_controller(adapters.optuna(sampler), pg.search_space({'only': pg.oneof(['a'])}))


def test_optuna_proposes_what_optuna_would(optuna):
    """The same trials in a study of Optuna's own, and a sampler of the same seed."""
    template = pg.Dict(
        op=pg.oneof([pg.Dict(n=pg.intv(1, 64, scale='log')), pg.Dict(k=pg.intv(2, 8, step=2))]), x=pg.floatv(0.0, 1.0)
    )
    space, controller = pg.search_space(template), adapters.optuna('TPESampler', n_startup_trials=2)
    state = controller.init(space, jax.random.key(0))
    told = space.check(space.random(jax.random.key(1), (12,)))
    fitness = np.sin(np.arange(12.0))
    state = controller.tell(space, state, told, fitness[:, None])
    dna, _ = controller.ask(space, state, jax.random.key(2))

    def suggest(trial):
        op = trial.suggest_categorical('op', (0, 1))
        inner = trial.suggest_int('n', 1, 64, log=True) if op == 0 else 2 * trial.suggest_int('k', 0, 3) + 2
        return op, inner, trial.suggest_float('x', 0.0, 1.0)

    seed = int(jax.random.bits(jax.random.key(2), dtype=jnp.uint32))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction='maximize', sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=2))
    for i in range(12):
        op, inner, x = space.to_numbers(told[i])
        params = {'op': op, **({'n': inner} if op == 0 else {'k': (inner - 2) // 2}), 'x': x}
        trial = optuna.trial.FixedTrial(params)
        suggest(trial)
        made = optuna.trial.create_trial(params=params, distributions=trial.distributions, value=fitness[i])
        study.add_trial(made)
    assert space.to_numbers(space.check(dna[0])) == pytest.approx(list(suggest(study.ask())), rel=1e-6)


def test_genetic_samplers_count_their_generations(optuna):
    controller = adapters.optuna('NSGAIISampler', batch_size=5, memory=40, population_size=10)
    state = controller.init(BOX, jax.random.key(0), 2)
    for key in jax.random.split(jax.random.key(1), 8):
        dna, state = controller.ask(BOX, state, key)
        state = controller.tell(BOX, state, dna, np.asarray(dna.floats))
    assert np.asarray(state.generation).tolist() == [0] * 10 + [1] * 10 + [2] * 10 + [3] * 10
    best = np.asarray(state.fitness)[-10:].sum(-1).mean()
    assert best > np.asarray(state.fitness)[:10].sum(-1).mean() + 0.3, 'its children are better than random points'


@pytest.mark.parametrize('sampler', ['NSGAIISampler', 'NSGAIIISampler'])
def test_genetic_samplers_go_on_where_parents_are_forgotten(optuna, sampler):
    """A memory of one population loses the parents while their children are made; they once were drawn from nobody."""
    controller = adapters.optuna(sampler, memory=4, population_size=4)
    state, generations = controller.init(BOX, jax.random.key(0), 2), []
    for i, key in enumerate(jax.random.split(jax.random.key(1), 20)):
        dna, state = controller.ask(BOX, state, key)
        generations += state.asked.tolist()
        state = controller.tell(BOX, state, dna, np.where(i < 14, dna.floats, np.nan))
    assert generations[:16] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert np.isinf(state.fitness).all(), 'nothing that succeeded is left, and points are random'


def test_genetic_samplers_have_as_many_generations_as_they_like(optuna):
    """Optuna asks each generation for the one before; in a study made anew that was beyond Python's limit."""
    controller = adapters.optuna('NSGAIISampler', memory=1200, population_size=2)
    told = BOX.check(BOX.random(jax.random.key(0), (1200,)))
    state = controller.tell(BOX, controller.init(BOX, jax.random.key(0)), told, np.asarray(told.floats)[:, :1])
    state = dataclasses.replace(state, generation=np.arange(1200, dtype=np.int32) // 2)
    _, asked = controller.ask(BOX, state, jax.random.key(1))
    assert asked.asked.tolist() == [600]


def test_optuna_forgets_the_oldest(optuna):
    controller = adapters.optuna('RandomSampler', memory=4)
    state = controller.init(BOX, jax.random.key(0))
    floats = np.linspace(0.0, 1.0, 14, dtype=np.float32).reshape(7, 2)
    for rows in (slice(0, 3), slice(3, 5), slice(5, 7)):
        dna = pg.DNA(np.zeros((len(floats[rows]), 0), np.int32), floats[rows])
        state = controller.tell(BOX, state, dna, floats[rows, :1])
    order = [4, 5, 6, 3]  # trial t is in row t % 4
    np.testing.assert_array_equal(state.dna.floats, floats[order])
    np.testing.assert_array_equal(state.fitness, floats[order, :1])


def test_a_study_of_optuna_goes_on_bit_for_bit(optuna, tmp_path):
    def study(path=None):
        controller = search.Prior(adapters.optuna(batch_size=4, n_startup_trials=4), [{'x': 0.5, 'y': 1.0}])
        return search.Study(BOX, controller, objectives='y', path=path)

    whole = study().run(bowl, 5, progress=False)
    study(tmp_path / 's').run(bowl, 3, progress=False)
    resumed = search.Study.load(tmp_path / 's').run(bowl, 2, progress=False)
    assert resumed.history.dna == whole.history.dna
    assert whole.trial(0).value == {'x': 0.5, 'y': 1.0}


def test_host_controllers_are_refused_by_compiled_loops(optuna):
    with pytest.raises(pg.ControllerError, match='host alone'):
        search.compile(BOX, bowl, adapters.optuna(), objectives='y')


@pytest.mark.parametrize(
    ('controller', 'words'),
    [
        (lambda: adapters.optuna('CmaEsSampler'), r"pickles.*evosax\('CMA_ES'\)"),
        (lambda: adapters.optuna('GridSampler'), 'search.Sweep'),
        (lambda: adapters.optuna('nothing'), "one of TPESampler.*'nothing'"),
        (lambda: adapters.optuna('TPESampler', wrong=1), 'does not take the options.*wrong'),
        (lambda: adapters.optuna(batch_size=0), 'batch_size = 0'),
        (lambda: adapters.optuna(memory=0), 'memory = 0'),
        (lambda: adapters.optuna('NSGAIISampler', memory=49), 'memory = 49.*at least the population_size 50'),
        (lambda: adapters.optuna('TPESampler', constraints_func=len), r'know nothing.*search.constrained'),
    ],
)
def test_samplers_that_will_not_do(optuna, controller, words):
    with pytest.raises(pg.ControllerError, match=words):
        controller().init(BOX, jax.random.key(0))
    with pytest.raises(pg.ControllerError, match='a sampler class or its name'):
        adapters.optuna(optuna.samplers.RandomSampler())  # pyright: ignore[reportArgumentType]
    assert adapters.optuna(optuna.samplers.TPESampler) == adapters.optuna()


def test_the_gaussian_process_of_optuna_needs_torch(optuna, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    with pytest.raises(pg.MissingExtraError, match='pip install torch'):
        adapters.optuna('GPSampler').init(BOX, jax.random.key(0))


# --- evosax


@pytest.mark.slow
@pytest.mark.parametrize('strategy', ['CMA_ES', 'DifferentialEvolution'])
def test_contract_of_evosax(algorithms, strategy):
    search.testing.check_controller(adapters.evosax(strategy, batch_size=6), BOX)


@pytest.mark.slow
def test_evosax_proposes_what_evosax_would(algorithms):
    controller = adapters.evosax('CMA_ES', batch_size=8, std_init=0.05)
    strategy = algorithms['CMA_ES'](population_size=8, solution=jnp.zeros(2))
    params = strategy.default_params.replace(std_init=0.05)
    init_key, *keys = jax.random.split(jax.random.key(0), 4)
    ours = controller.init(BOX, init_key)
    theirs = strategy.init(jax.random.split(init_key, 3)[0], jnp.full(2, 0.5), params)
    tell = jax.jit(lambda state, dna, fitness: controller.tell(BOX, state, dna, fitness))
    ask = jax.jit(lambda state, key: controller.ask(BOX, state, key))
    for key in keys:
        dna, ours = ask(ours, key)
        population, theirs = strategy.ask(jax.random.split(key)[0], theirs, params)
        np.testing.assert_allclose(dna.floats, population, rtol=1e-5)
        loss = ((population - 0.4) ** 2).sum(-1)
        theirs, _ = strategy.tell(key, population, loss, theirs, params)
        ours = tell(ours, dna, -loss[:, None])


def test_evosax_is_told_of_what_it_proposed_beyond_the_ends(algorithms):
    """The best lies outside of the box: points are evaluated at its corner, and the mean goes on beyond it."""
    study = search.run(
        pg.Dict(x=pg.floatv(0.0, 1.0), y=pg.floatv(0.0, 1.0)),
        lambda exp, key: {'y': exp.x + exp.y},
        adapters.evosax('CMA_ES', batch_size=8),
        objectives='y',
        generations=12,
    )
    assert study.best is not None and study.best.value == {'x': 1.0, 'y': 1.0}
    assert study.state.strategy.mean.sum() > 2.0


def test_evosax_learns_nothing_from_a_batch_that_failed(algorithms):
    """A population that keeps its best once stayed with failed points, which counted as 0 where losses are above."""
    controller = adapters.evosax('DifferentialEvolution', batch_size=8)
    state = controller.init(BOX, jax.random.key(0))
    dna, asked = jax.jit(lambda key: controller.ask(BOX, state, key))(jax.random.key(1))
    tell = jax.jit(lambda fitness: controller.tell(BOX, asked, dna, fitness))
    chex.assert_trees_all_equal(tell(jnp.full((8, 1), jnp.nan)), asked)
    learned = tell(jnp.full((8, 1), jnp.nan).at[3].set(-1.0))
    np.testing.assert_array_equal(learned.strategy.best_fitness, 1.0)


def test_evosax_is_told_in_any_order_and_in_part(algorithms):
    """MA-ES keeps the noise of its proposals: row by row, a point in another place was taken for another one."""
    controller = adapters.evosax('MA_ES', batch_size=8)
    dna, asked = controller.ask(BOX, controller.init(BOX, jax.random.key(0)), jax.random.key(1))
    fitness = -jnp.square(dna.floats - 0.4).sum(-1, keepdims=True)
    tell = jax.jit(lambda dna, fitness: controller.tell(BOX, asked, dna, fitness))
    order = np.array([5, 2, 7, 0, 1, 6, 4, 3])
    chex.assert_trees_all_equal(tell(dna[order], fitness[order]), tell(dna, fitness))
    others_failed = tell(dna, jnp.where(jnp.arange(8)[:, None] < 5, jnp.nan, fitness))
    chex.assert_trees_all_equal(tell(dna[5:], fitness[5:]), others_failed)


@pytest.mark.parametrize('strategy', ['LGA', 'DiffusionEvolution'])
def test_evosax_evaluates_the_population_that_it_breeds_from(algorithms, strategy):
    """These once made children of points of unknown fitness: all were NaN, and evaluated at one corner."""
    controller = adapters.evosax(strategy, batch_size=8)
    ask = jax.jit(lambda state, key: controller.ask(BOX, state, key))
    tell = jax.jit(lambda state, dna, fitness: controller.tell(BOX, state, dna, fitness))
    state, seen = controller.init(BOX, jax.random.key(0)), []
    for i, key in enumerate(jax.random.split(jax.random.key(1), 4)):
        dna, state = ask(state, key)
        seen.append(dna.floats)
        assert len(np.unique(dna.floats, axis=0)) > 4 and np.isfinite(state.asked).all()
        state = tell(state, dna, jnp.full((8, 1), jnp.nan) if i == 0 else -dna.floats[:, :1])
        if i == 1:
            np.testing.assert_array_equal(state.strategy.population, dna.floats)
    assert not np.array_equal(seen[0], seen[1]), 'nothing succeeded: another random population'


def test_evosax_keeps_no_failed_point_in_place_of_another(algorithms):
    """Counted as the worst of its batch, a failed child took the place of a parent that had succeeded."""
    controller = adapters.evosax('DifferentialEvolution', batch_size=8)
    ask = jax.jit(lambda state, key: controller.ask(BOX, state, key))
    tell = jax.jit(lambda state, dna, fitness: controller.tell(BOX, state, dna, fitness[:, None]))
    state, best = controller.init(BOX, jax.random.key(0)), jnp.arange(8) == 5
    dna, state = ask(state, jax.random.key(1))
    state = tell(state, dna, jnp.where(best, 0.0, jnp.nan))
    assert (state.strategy.fitness > 0.0).tolist() == (~best).tolist(), 'the one that succeeded is the best'
    dna, state = ask(state, jax.random.key(2))
    parents = tell(state, dna, jnp.full(8, -1.0).at[5].set(0.0))
    dna, state = ask(parents, jax.random.key(3))
    state = tell(state, dna, jnp.where(best, 0.5, jnp.nan))
    np.testing.assert_array_equal(state.strategy.population[~best], parents.strategy.population[~best])


def test_evosax_strategies_whose_sizes_depend_on_the_space_compile(algorithms):
    loop = search.compile(BOX, bowl, adapters.evosax('LM_MA_ES', batch_size=4), objectives='y')
    assert len(jax.jit(loop, static_argnums=1)(jax.random.key(0), 2).history.fitness) == 8


def test_evosax_compiles_into_a_loop_without_callbacks(algorithms):
    loop = search.compile(BOX, bowl, adapters.evosax('CMA_ES', batch_size=8), objectives='y')
    assert 'callback' not in str(jax.make_jaxpr(loop, static_argnums=1)(jax.random.key(0), 3))
    best = jax.jit(loop, static_argnums=1)(jax.random.key(0), 20).best
    assert best is not None and best.metrics['y'] > -1e-4  # random points of a unit square: about -5e-3


@pytest.mark.parametrize(
    ('controller', 'space', 'words'),
    [
        (lambda: adapters.evosax('CMA_ES'), MIXED, 'floats alone.*partition'),
        (lambda: adapters.evosax('CMA-ES'), BOX, "no strategy 'CMA-ES'.*Did you mean 'CMA_ES'"),
        (lambda: adapters.evosax('CMA_ES', speed=2.0), BOX, "no parameter 'speed'.*std_init"),
        (
            lambda: adapters.evosax('CMA_ES', std_init='wide'),
            BOX,
            "must be a number or an array, got 'wide'",
        ),
        (lambda: adapters.evosax('CMA_ES', options={'speed': 2}), BOX, "CMA_ES does not take the options .*'speed'"),
        (lambda: adapters.evosax(5), BOX, 'a strategy class or its name, got 5'),
        (lambda: adapters.evosax('CMA_ES', batch_size=1), BOX, 'batch_size = 1'),
        (lambda: adapters.evosax('Open_ES', batch_size=7), BOX, 'batch_size = 7 will not do for Open_ES.*even'),
        (lambda: adapters.evosax('SV_CMA_ES', options={'num_populations': 2}), BOX, 'several populations.*Islands'),
    ],
)
def test_strategies_that_will_not_do(algorithms, controller, space, words):
    with pytest.raises(pg.ControllerError, match=words):
        controller().init(space, jax.random.key(0))


@pytest.mark.parametrize(('name', 'extra'), [('optuna', 'optuna'), ('evosax', 'evosax')])
def test_a_missing_library_names_its_extra(monkeypatch, name, extra):
    for module in [m for m in sys.modules if m.split('.')[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(pg.MissingExtraError, match=extra):
        getattr(adapters, name)(batch_size=13).init(BOX, jax.random.key(0))
