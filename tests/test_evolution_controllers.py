"""Controllers made of evolution: the contract, planted problems, edge cases, and that a step is one program."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search
from pgjax.search import evolution as ev
from pgjax.search.evolution import mutators, recombinators, selectors

SMALL = pg.search_space([pg.oneof([0, 1, 2]) for _ in range(4)])
CONTROLLERS = {
    'evolution': search.Evolution(batch_size=4, population_init=5, population_update=selectors.Top(6)),
    'evolution, one child a time': search.Evolution(
        batch_size=3,
        population_init=4,
        reproduction=selectors.Random(3) >> selectors.Top(1) >> mutators.Uniform(),
        population_update=None,
        capacity=5,
    ),
    'evolution with memory and chance': search.Evolution(
        batch_size=4,
        population_init=4,
        reproduction=(selectors.Top(2).as_global_state('elite') >> mutators.Uniform()) + ev.global_state('elite'),
        population_update=ev.SetGlobalState('step', lambda p, c: c.memory['step'] + 1) >> selectors.Random(5),
        global_state={'step': 0},
    ),
    'genetic': search.Genetic(batch_size=5, population_size=6),
    'hill climb': search.HillClimb(batch_size=3, init_population_size=2),
    'local search': search.LocalSearch(batch_size=3),
}


@pytest.mark.parametrize('name', ['evolution with memory and chance', 'genetic', 'hill climb', 'local search'])
def test_contract(name):
    search.testing.check_controller(CONTROLLERS[name], SMALL)


@pytest.mark.slow
@pytest.mark.parametrize('name', CONTROLLERS)
def test_contract_on_a_conditional_space(name):
    search.testing.check_controller(CONTROLLERS[name])


@pytest.mark.slow
@pytest.mark.parametrize('name', ['evolution', 'genetic', 'local search'])
@pytest.mark.parametrize('template', [{'only': pg.oneof(['a'])}, {'x': pg.intv(3, 3)}])
def test_contract_on_a_space_of_one_point(name, template):
    search.testing.check_controller(CONTROLLERS[name], pg.search_space(template))


@pytest.mark.slow
def test_several_objectives():
    search.testing.check_controller(CONTROLLERS['genetic'], SMALL, num_objectives=2)
    with pytest.raises(pg.ControllerError, match='one objective, got 2'):
        search.LocalSearch().init(SMALL, jax.random.key(0), 2)


def test_local_search_over_ints_of_billions_of_values():
    """Not all of them are neighbours: they would not fit into memory."""
    search.testing.check_controller(search.LocalSearch(), pg.search_space([pg.intv(0, 2**31 - 2), pg.intv(0, 10**7)]))


@pytest.mark.parametrize('name', CONTROLLERS)
def test_is_a_symbolic_value(name):
    controller = CONTROLLERS[name]
    names = {**vars(ev), **vars(selectors), **vars(mutators), 'Uniform': None, **vars(search)}
    assert controller.rebind(batch_size=7).batch_size == 7
    if name in ('hill climb', 'local search', 'evolution'):
        assert eval(repr(controller), {**names, 'Gaussian': mutators.Gaussian}) == controller
    assert hash(controller) == hash(controller.rebind(batch_size=7).rebind(batch_size=controller.batch_size))


@pytest.mark.parametrize(
    ('controller', 'words'),
    [
        (search.Evolution(population_init=0), 'population_init = 0'),
        (search.Evolution(batch_size=0), 'batch_size = 0'),
        (search.Evolution(population_update=None), 'grow without end: give Evolution'),
        (search.Evolution(population_update=selectors.Top(0.5)), 'grow without end: give Evolution'),
        (search.Genetic(population_size=0), 'population_size = 0'),
        (search.Genetic(tournament_size=0), 'tournament_size = 0'),
        (search.Genetic(tournament_size=21), 'tournament_size = 21 .*between 1 and population_size 20'),
        (search.Genetic(batch_size=0), r'Genetic\.batch_size = 0'),
        (search.HillClimb(batch_size=0), r'HillClimb\.batch_size = 0'),
        (search.HillClimb(init_population_size=0), 'init_population_size = 0'),
        (search.LocalSearch(float_steps=0), 'float_steps = 0'),
    ],
)
def test_settings_out_of_range(controller, words):
    with pytest.raises(pg.ControllerError, match=words):
        controller.init(SMALL, jax.random.key(0))


def searched(controller, space, score, generations, key=0):
    """The state after a whole search as one scan, and the fitness of every point, [G, B]."""

    def step(state, key):
        dna, state = controller.ask(space, state, key)
        fitness = score(dna)
        return controller.tell(space, state, dna, fitness[:, None]), (fitness, dna)

    @jax.jit
    def run(key):
        return jax.lax.scan(step, controller.init(space, key), jax.random.split(key, generations))

    state, (fitness, dna) = run(jax.random.key(key))
    return state, np.asarray(fitness), dna


BITS = pg.search_space([pg.oneof([0, 1]) for _ in range(30)])


def ones(dna):
    return dna.choices.sum(-1).astype(jnp.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('controller', 'generations'),
    [
        (search.Genetic(population_size=16, batch_size=16), 60),
        (search.HillClimb(batch_size=8), 100),
        (search.LocalSearch(), 30 * 30),  # of 30 neighbours at least one is better, so that 30 moves take 30 * 30
    ],
)
def test_finds_all_ones(controller, generations):
    _, fitness, _ = searched(controller, BITS, ones, generations)
    assert fitness.max() == 30


@pytest.mark.slow
@pytest.mark.parametrize('value', [jnp.nan, -jnp.inf, jnp.inf, 0.0])
@pytest.mark.parametrize('name', ['genetic', 'local search'])
def test_constant_or_failed_fitness_does_no_harm(name, value):
    state, _, dna = searched(CONTROLLERS[name], SMALL, lambda dna: jnp.full(len(dna), value), 8)
    assert not np.asarray(SMALL.violations(jax.tree.map(np.asarray, dna))).any()
    assert all(np.isfinite(x).all() for x in map(np.asarray, [state.told]))


def test_failed_points_are_never_parents_while_others_are_known():
    controller = search.Genetic(population_size=8, batch_size=8, tournament_size=8)
    score = lambda dna: jnp.where(dna.choices[:, 0] == 0, jnp.nan, ones(dna))  # noqa: E731
    state, _, _ = searched(controller, BITS, score, 6)
    assert (np.asarray(state.population.fitness) > -np.inf).all()


TOURNAMENTS = {
    'regularized': search.RegularizedEvolution(population_size=8, tournament_size=2, memory=0),
    'genetic': search.Genetic(population_size=8),
    'evolution': search.Evolution(8, 8, selectors.Tournament(8) >> mutators.Gaussian(), selectors.Last(8)),
    'nsga2': search.NSGA2(population_size=8),
}


@pytest.mark.parametrize('name, objectives', [*((n, 1) for n in TOURNAMENTS), ('evolution', 2), ('nsga2', 2)])
@pytest.mark.parametrize('batch_size', [1, 3, 100])
def test_a_tournament_of_failed_points_has_no_winner(name, objectives, batch_size):
    """One point in eight succeeds, and tournaments are of two: nobody who failed is a parent."""
    controller = TOURNAMENTS[name].rebind(batch_size=batch_size)
    study = search.Study(SMALL, controller, objectives=['y', 'z'][:objectives])
    for _ in range(max(4, 12 // batch_size)):
        trials = study.ask()
        y = np.array([1.0 if t.id % 8 == 0 else np.nan for t in trials])
        study = study.tell(trials, {'y': y, 'z': -y})
    parents = study.history.parents[study.history.parents >= 0]
    assert len(parents) and (parents % 8 == 0).all()


def test_genetic_keeps_the_best():
    controller = search.Genetic(population_size=4, batch_size=6)
    state, fitness, _ = searched(controller, BITS, ones, 10)
    assert sorted(np.asarray(state.population.fitness)[:, 0]) == sorted(fitness.ravel())[-4:]
    assert int(state.generation) == 9  # all but the first batch were children


def from_a_peak(controller):
    """`ask` and `tell` on SMALL, compiled, and the state in which the one point known is the best there can be."""
    tell = jax.jit(lambda s, d, f: controller.tell(SMALL, s, d, f))
    ask = jax.jit(lambda s, k: controller.ask(SMALL, s, k))
    peak = pg.DNA([[1, 1, 1, 1]], np.zeros((1, 0)))
    return ask, tell, tell(controller.init(SMALL, jax.random.key(0)), peak, jnp.ones((1, 1)))


def test_local_search_tries_every_neighbour_once_and_starts_anew():
    """From a peak it asks for all 8 neighbours, each once, and then for a random point."""
    peak = lambda dna: jnp.where((dna.choices == 1).all(-1), 1.0, 0.0)  # noqa: E731
    ask, tell, state = from_a_peak(search.LocalSearch())
    seen = []
    for key in jax.random.split(jax.random.key(1), 8):
        dna, state = ask(state, key)
        assert int(state.parents[0, 0]) == 0
        seen.append(tuple(np.asarray(dna.choices)[0].tolist()))
        state = tell(state, dna, peak(dna)[:, None])
    assert len(set(seen)) == 8 and all(sum(x != 1 for x in point) == 1 for point in seen)
    _, state = ask(state, jax.random.key(9))
    assert int(state.parents[0, 0]) == -1 and float(state.fitness) == -np.inf


def test_local_search_does_not_give_up_for_what_others_have_tried():
    """In a portfolio it is told of many points that are not its own, and tries its 8 neighbours all the same."""
    controller = search.Portfolio([search.Random(batch_size=15), search.LocalSearch()])
    ask, tell, state = from_a_peak(controller)
    around = []
    for key in jax.random.split(jax.random.key(1), 9):
        dna, state = ask(state, key)
        around.append(int(state.parents[-1, 0]))
        state = tell(state, dna, jnp.zeros((16, 1)))
    assert around == [0] * 8 + [-1]


def test_regularized_evolution_is_a_composition():
    """The same mean progress as the algebra's version, within the error of 64 searches each."""
    named = search.RegularizedEvolution(population_size=10, tournament_size=4, batch_size=5)
    composed = search.Evolution(
        batch_size=5,
        population_init=10,
        reproduction=selectors.Tournament(5, size=4) >> mutators.Gaussian(),
        population_update=selectors.Last(10),
    )

    def best(controller):
        def step(state, key):
            dna, state = controller.ask(BITS, state, key)
            return controller.tell(BITS, state, dna, ones(dna)[:, None]), ones(dna).mean()

        def run(key):
            return jax.lax.scan(step, controller.init(BITS, key), jax.random.split(key, 30))[1][-1]

        return np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(3), 64)))

    a, b = best(named), best(composed)
    assert a.mean() > 19  # random points have 15
    assert abs(a.mean() - b.mean()) < 5 * ((a.var() + b.var()) / 64) ** 0.5


@pytest.mark.slow
def test_ten_thousand_decisions():
    space = pg.search_space([pg.oneof([0, 1, 2]) for _ in range(10_000)])
    _, fitness, dna = searched(search.Genetic(population_size=4, batch_size=4), space, ones, 5)
    assert dna.choices.shape == (5, 4, 10_000) and fitness[-1].mean() > 0


def test_a_step_is_one_program_without_callbacks():
    controller = search.Genetic(population_size=4, batch_size=4, crossover=recombinators.KPoint())
    traces = []

    @jax.jit
    def step(state, key):
        traces.append(1)
        dna, state = controller.ask(SMALL, state, key)
        return controller.tell(SMALL, state, dna, jnp.zeros((4, 1)))

    state = controller.init(SMALL, jax.random.key(0))
    for key in jax.random.split(jax.random.key(1), 3):
        state = step(state, key)
    assert len(traces) == 1
    assert 'callback' not in str(jax.make_jaxpr(step)(state, jax.random.key(0)))


@pytest.mark.slow
def test_schedules_reach_the_operators():
    controller = search.Evolution(
        batch_size=2,
        population_init=2,
        reproduction=selectors.Top(2) >> mutators.Uniform().with_prob(ev.STEP.clip(0, 1)),
        population_update=selectors.First(2),
    )
    _, _, dna = searched(controller, SMALL, lambda dna: jnp.arange(2.0), 3)
    first, second, third = np.asarray(dna.choices)
    assert sorted(map(tuple, first)) == sorted(map(tuple, second)), 'at step 0 nothing mutates'
    assert sorted(map(tuple, first)) != sorted(map(tuple, third))


@pytest.mark.parametrize(('highest', 'dtype'), [(127, 'int8'), (128, 'int16'), (32767, 'int16'), (10**6, 'int32')])
def test_a_population_holds_every_value_in_few_bytes(highest, dtype):
    space = pg.search_space([pg.intv(0, highest), pg.oneof('ab')])
    rows = np.array([[highest, 1], [0, 0], [highest // 2, 1]], np.int32)
    controller = search.HillClimb(init_population_size=3)
    state = controller.init(space, jax.random.key(0))
    state = controller.tell(space, state, pg.DNA(rows, np.zeros((3, 0), np.float32)), np.array([[9.0], [1.0], [2.0]]))
    assert state.population.genes.choices.dtype == dtype
    assert state.population.dna.choices.dtype == 'int32'
    assert state.population.dna.choices.tolist() == [[highest, 1]]
    children, _ = controller.ask(space, dataclasses.replace(state, asked=jnp.int32(3)), jax.random.key(1))
    assert children.choices.dtype == 'int32' and int(children.choices.max()) <= highest


BAD_RATES = [
    (mutators.Gaussian(rate=-1.0), r'Gaussian\.rate = -1\.0 is out of range: between 0 and 1, or None'),
    (mutators.Uniform(rate=float('nan')), r'Uniform\.rate = nan'),
    (mutators.Uniform(rate=jnp.float32(2.0)), r'Uniform\.rate = Array\(2'),
    (mutators.Gaussian(rate='often'), r"Gaussian\.rate = 'often'"),
    (mutators.Gaussian(std=float('nan')), r'Gaussian\.std = nan is out of range: a finite number of at least 0'),
    (mutators.Polynomial(eta=-1.0), r'Polynomial\.eta = -1\.0'),
    (mutators.Uniform().with_prob(float('nan')), r'WithProbability\.probability = nan is out of range'),
    (mutators.Uniform().with_prob(2.0), r'WithProbability\.probability = 2\.0'),
    (ev.Choice([(mutators.Uniform(), 1.5)]), r'Choice\.options = .*probabilities are between 0 and 1'),
]


@pytest.mark.parametrize(('mutator', 'words'), BAD_RATES)
def test_rates_out_of_range_are_refused_before_there_is_a_state(mutator, words):
    for controller in (search.Genetic(mutator=mutator), search.HillClimb(mutator=mutator)):
        with pytest.raises(pg.ControllerError, match=words):
            controller.init(pg.search_space([pg.intv(0, 9)]), jax.random.key(0))


def test_other_rates_out_of_range():
    space, key = pg.search_space([pg.intv(0, 9)]), jax.random.key(0)
    for controller, words in [
        (search.NSGA2(crossover_rate=1.5), r'NSGA2\.crossover_rate = 1\.5'),
        (search.NEAT(remaining_ratio=-0.5), r'NEAT\.remaining_ratio = -0\.5'),
        (search.NEAT(matching_coefficient=float('inf')), r'NEAT\.matching_coefficient = inf'),
    ]:
        with pytest.raises(pg.ControllerError, match=words):
            controller.init(space, key)


def test_rates_that_are_known_later_are_left_alone():
    """Schedules say a rate by step, and a vmap over rates is a meta-search."""
    space, key = pg.search_space([pg.intv(0, 9)]), jax.random.key(0)
    search.Genetic(mutator=mutators.Gaussian(rate=2.0 / (1.0 + ev.STEP))).init(space, key)
    asked = jax.vmap(lambda rate: search.Genetic(mutator=mutators.Gaussian(rate=rate)).init(space, key).asked)
    assert asked(jnp.array([0.1, 2.0])).shape == (2,)
