"""Controllers: one contract for all, and what is special to each."""

import collections
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search
from pgjax.search.evolution import mutate


def compiled(controller, space):
    """`ask` and `tell` as jitted functions: op by op they take seconds to compile."""
    return (
        jax.jit(lambda state, key: controller.ask(space, state, key)),
        jax.jit(lambda state, dna, fitness: controller.tell(space, state, dna, fitness)),
    )


def mutated(space, key, parents):
    return jax.jit(lambda key, dna: mutate(space, key, dna))(key, parents)


CONTROLLERS = {
    'random': search.Random(batch_size=6),
    'regularized': search.RegularizedEvolution(population_size=8, tournament_size=3, batch_size=6),
    'regularized, one by one': search.RegularizedEvolution(population_size=4, tournament_size=2, batch_size=1),
    'regularized, large batch': search.RegularizedEvolution(population_size=4, tournament_size=4, batch_size=9),
    'regularized, forgetful': search.RegularizedEvolution(population_size=8, tournament_size=3, batch_size=6, memory=0),
}


@pytest.mark.parametrize('name', CONTROLLERS)
def test_contract(name):
    search.testing.check_controller(CONTROLLERS[name])


@pytest.mark.slow
@pytest.mark.parametrize('name', CONTROLLERS)
@pytest.mark.parametrize('template', [{'only': pg.oneof(['a'])}, {'x': pg.floatv(0.0, 1.0)}, {'x': pg.intv(3, 3)}])
def test_contract_on_tiny_spaces(name, template):
    search.testing.check_controller(CONTROLLERS[name], pg.search_space(template))


@pytest.mark.parametrize('name', CONTROLLERS)
def test_is_a_symbolic_value(name):
    controller = CONTROLLERS[name]
    assert controller.rebind(batch_size=3).batch_size == 3
    assert hash(controller) == hash(controller.rebind(batch_size=3).rebind(batch_size=controller.batch_size))
    assert eval(repr(controller), vars(search)) == controller


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'population_size': 0, 'tournament_size': 1}, 'population_size = 0'),
        ({'population_size': 4, 'tournament_size': 5}, 'tournament_size = 5 .*between 1 and population_size 4'),
        ({'tournament_size': 0}, 'tournament_size = 0'),
        ({'batch_size': 0}, 'batch_size = 0'),
        ({'memory': -1}, 'memory = -1'),
    ],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises(pg.ControllerError, match=words):
        search.RegularizedEvolution(**settings).init(search.testing.mixed_space(), jax.random.key(0))


def test_regularized_evolution_refuses_two_objectives():
    with pytest.raises(pg.ControllerError, match='one objective, got 2'):
        search.RegularizedEvolution().init(search.testing.mixed_space(), jax.random.key(0), 2)


@pytest.mark.parametrize('memory', [0, 4096])
def test_regularized_evolution_proposes_no_point_twice_unless_it_may(memory):
    space = pg.search_space([pg.oneof(range(3)) for _ in range(6)])
    controller = search.RegularizedEvolution(batch_size=5, memory=memory)
    ask, tell = compiled(controller, space)
    state = controller.init(space, jax.random.key(0))
    seen = []
    for key in jax.random.split(jax.random.key(1), 60):
        dna, state = ask(state, key)
        seen += map(tuple, np.asarray(dna.choices).tolist())
        state = tell(state, dna, dna.choices.sum(-1, keepdims=True))
    assert len(seen) == 300
    assert (len(set(seen)) == 300) == bool(memory)


def test_regularized_evolution_keeps_the_youngest():
    space = pg.search_space({'x': pg.intv(0, 1000)})
    controller = search.RegularizedEvolution(population_size=5, tournament_size=2, batch_size=3, memory=0)
    ask, tell = compiled(controller, space)
    state = controller.init(space, jax.random.key(0))
    told = []
    for generation in range(7):
        dna, state = ask(state, jax.random.key(generation))
        told += np.asarray(dna.choices)[:, 0].tolist()
        state = tell(state, dna, jnp.ones((3, 1)))
        alive = {int(t): int(x) for t, x in zip(state.trial, state.dna.choices[:, 0], strict=True) if t >= 0}
        assert alive == dict(list(enumerate(told))[-5:])


def test_regularized_evolution_breeds_from_tournament_winners():
    """With tournaments as large as possible nearly every parent is the best; failed ones never are."""
    space = pg.search_space({'x': pg.intv(0, 10**6)})
    controller = search.RegularizedEvolution(population_size=8, tournament_size=8, batch_size=64, memory=0)
    ask, tell = compiled(controller, space)
    state = controller.init(space, jax.random.key(0))
    dna, state = ask(state, jax.random.key(1))
    fitness = jnp.array([1.0, 5.0, jnp.nan, jnp.inf, 2.0, -jnp.inf, 3.0, 4.0])[:, None]
    state = tell(state, dna[:8], fitness)
    dna, state = ask(state, jax.random.key(2))
    parents = collections.Counter(np.asarray(state.parents)[:, 0].tolist())
    assert not parents.keys() & {2, 3, 5}
    # P(a tournament of 8 draws from 8 misses the best) = (7/8)**8 = 0.34; 64 draws: mean 42, deviation 3.8.
    assert 42 - 5 * 3.8 < parents[1] < 42 + 5 * 3.8
    assert parents[1] > parents[7] > parents[6]


def test_equals_are_parents_alike():
    space = pg.search_space({'x': pg.intv(0, 10**6)})
    controller = search.RegularizedEvolution(population_size=4, tournament_size=4, batch_size=4096, memory=0)
    ask, tell = compiled(controller, space)
    state = controller.init(space, jax.random.key(0))
    dna, state = ask(state, jax.random.key(1))
    state = tell(state, dna[:4], jnp.ones((4, 1)))
    _, state = ask(state, jax.random.key(2))
    parents = np.bincount(np.asarray(state.parents)[:, 0], minlength=4)
    assert (np.abs(parents - 1024) < 5 * (4096 * 3 / 16) ** 0.5).all()


def test_asking_before_telling_gives_random_points():
    space = search.testing.mixed_space()
    controller = search.RegularizedEvolution(population_size=2, tournament_size=2, batch_size=4, memory=0)
    ask, _ = compiled(controller, space)
    state = controller.init(space, jax.random.key(0))
    for key in jax.random.split(jax.random.key(1), 3):
        dna, state = ask(state, key)
        assert len(np.unique(np.asarray(space.fingerprint(dna)), axis=0)) > 1
        assert (state.parents == -1).all()


def test_mutation_always_moves_to_a_legal_neighbour():
    space = search.testing.mixed_space()
    parents = space.random(jax.random.key(0), (2000,))
    children = mutated(space, jax.random.key(1), parents)
    assert not np.asarray(space.violations(children)).any()
    assert children == space.canonical(children)
    same = (np.asarray(space.fingerprint(parents)) == np.asarray(space.fingerprint(children))).all(-1)
    assert not same.any()


def test_mutation_reaches_every_decision_evenly():
    """Four decisions in use: each is the one that changes in a quarter of the children."""
    space = pg.search_space({'a': pg.oneof([0, 1]), 'b': pg.intv(0, 9), 'c': pg.floatv(0.0, 1.0), 'd': pg.oneof('xyz')})
    number = 8000
    parents = jax.tree.map(lambda x: jnp.repeat(x[None], number, 0), space.random(jax.random.key(3)))
    children = mutated(space, jax.random.key(4), parents)
    changed = np.concatenate(
        [np.asarray(children.choices != parents.choices), np.asarray(children.floats != parents.floats)], -1
    )
    assert (changed.sum(-1) == 1).all()
    deviation = (0.25 * 0.75 / number) ** 0.5
    assert np.abs(changed.mean(0) - 0.25).max() < 5 * deviation


def test_mutation_opens_branches_with_random_genes():
    inner = pg.Dict(x=pg.floatv(0.0, 1.0), y=pg.oneof([0, 1, 2, 3]))
    space = pg.search_space({'z': pg.oneof([pg.Dict(), inner])})
    closed = space.encode({'z': {}})
    number = 4000
    parents = jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x)[None], number, 0), closed)
    children = mutated(space, jax.random.key(0), parents)
    assert (children.choices[:, 0] == 1).all()
    x, y = np.asarray(children.floats[:, 0]), np.asarray(children.choices[:, 1])
    assert abs(x.mean() - 0.5) < 5 / (12 * number) ** 0.5
    assert np.abs(np.bincount(y, minlength=4) / number - 0.25).max() < 5 * (0.25 * 0.75 / number) ** 0.5


KEYED = {
    'random': search.Random(batch_size=4),
    'regularized': search.RegularizedEvolution(population_size=4, tournament_size=2, batch_size=4),
    'genetic': search.Genetic(population_size=4, batch_size=4),
    'local': search.LocalSearch(batch_size=4),
    'nsga2': search.NSGA2(population_size=4, batch_size=4),
    'semo': search.SEMO(batch_size=4),
    'neat': search.NEAT(population_size=16, batch_size=4),
    'reinforce': search.REINFORCE(batch_size=4),
    'ppo': search.PPO(batch_size=4),
    'islands': search.Islands(search.NSGA2(population_size=4, batch_size=2), number=2),
    'prior': search.Prior(search.HillClimb(batch_size=4), [{'x': 1}]),
}


@pytest.mark.parametrize('name', KEYED)
def test_keys_of_other_generators_are_refused_with_the_reason(name):
    controller, space = KEYED[name], pg.search_space({'x': pg.oneof([1, 2, 3])})
    state = controller.init(space, jax.random.key(0))
    for key in (jax.random.key(0, impl='rbg'), jax.random.key(0, impl='unsafe_rbg')):
        with pytest.raises(pg.ControllerError, match=r'layout of a batch and on the device.*jax\.random\.key\(seed\)'):
            controller.init(space, key)
        with pytest.raises(pg.ControllerError, match=r'rbg.*layout of a batch and on the device'):
            controller.ask(space, state, key)
    old_style = jax.random.PRNGKey(0)
    assert jax.tree.structure(controller.init(space, old_style)) == jax.tree.structure(state)


@pytest.mark.parametrize(
    ('key', 'words'),
    [
        (jax.random.key(0, impl='rbg'), "A compiled search got a key of the generator 'rbg'"),
        (0, 'needs a key, .* got 0'),
        (jax.random.split(jax.random.key(0), 3), r'array of keys of shape \[3\]. Use jax.vmap'),
    ],
)
def test_a_compiled_search_refuses_what_it_cannot_draw_from(key, words):
    loop = search.compile(
        {'x': pg.floatv(0.0, 1.0)}, lambda e, k: {'y': e['x']}, search.Random(batch_size=4), objectives='y'
    )
    with pytest.raises(pg.ControllerError, match=words):
        loop(key, 2)
    if not isinstance(key, int):
        with pytest.raises(pg.ControllerError, match=words):
            jax.jit(loop, static_argnums=1)(key, 2)


def test_ask_and_tell_compile_once():
    space = search.testing.mixed_space()
    controller = CONTROLLERS['regularized']
    traces = []

    @jax.jit
    def step(state, key):
        traces.append(1)
        dna, state = controller.ask(space, state, key)
        return controller.tell(space, state, dna, jnp.zeros((6, 1)))

    state = controller.init(space, jax.random.key(0))
    for key in jax.random.split(jax.random.key(1), 4):
        state = step(state, key)
    assert len(traces) == 1


ALONE = (
    *('Random', 'HillClimb', 'LocalSearch', 'RegularizedEvolution', 'Genetic', 'Evolution', 'NEAT', 'NSGA2', 'SEMO'),
    *('MapElites', 'REINFORCE', 'PPO', 'Bayesian', 'TPE', 'Auto'),
)
EVERY_KIND = {
    **{name: getattr(search, name)() for name in ALONE},
    'Islands': search.Islands(search.Genetic(batch_size=4), number=2),
    'Dedup': search.Dedup(search.Genetic(batch_size=4)),
    'Chain': search.Chain([search.Random(batch_size=4), search.NSGA2(batch_size=4)], [8]),
    'Portfolio': search.Portfolio([search.Random(batch_size=4), search.SEMO(batch_size=4)]),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', EVERY_KIND)
def test_states_keep_their_form_where_jax_has_64_bits(name):
    """Or no loop would carry them, and others would be drawn than where it has 32."""
    controller, space = EVERY_KIND[name], search.testing.mixed_space()
    objectives = {'NSGA2': 2, 'SEMO': 2, 'MapElites': 3}.get(name, 1)

    def round_of(state, key, fitness):
        dna, state = controller.ask(space, state, key)
        return controller.tell(space, state, dna, fitness), dna

    def form(state):
        return [(x.shape, x.dtype) for x in jax.tree.leaves(state)]

    usual = controller.init(space, jax.random.key(0), objectives)
    with jax.enable_x64(True):
        state = controller.init(space, jax.random.key(0), objectives)
        fitness = jax.ShapeDtypeStruct((controller.batch_size, objectives), jnp.float64)
        after, dna = jax.eval_shape(round_of, state, jax.random.key(0), fitness)
        assert form(usual) == form(state) == form(after)
    assert (dna.choices.dtype, dna.floats.dtype) == (jnp.int32, jnp.float32)


class Climber(search.Controller):
    """Random points around the best one; what derives from it breaks one rule of the contract."""

    batch_size: int = 4

    def init(self, space, key, num_objectives=1):
        return {'best': space.random(key), 'fitness': jnp.full(num_objectives, -jnp.inf)}

    def ask(self, space, state, key):
        return space.random(key, (self.batch_size,)), state

    def tell(self, space, state, dna, fitness):
        top = jnp.argmax(jnp.nan_to_num(fitness[:, 0], nan=-jnp.inf))
        return {'best': dna[top], 'fitness': fitness[top]}


class TooFew(Climber):
    def ask(self, space, state, key):
        return space.random(key, (3,)), state


class NoState(Climber):
    def ask(self, space, state, key):
        return space.random(key, (self.batch_size,))


class Illegal(Climber):
    def ask(self, space, state, key):
        dna = space.random(key, (self.batch_size,))
        return pg.DNA(dna.choices + 9, dna.floats), state


class OtherRandomness(Climber):
    def ask(self, space, state, key):
        return space.random(jax.random.key(np.random.randint(2**30)), (self.batch_size,)), state


class Growing(Climber):
    def tell(self, space, state, dna, fitness):
        return {'best': dna, 'fitness': fitness[0]}


class Forgetful(Climber):
    def tell(self, space, state, dna, fitness):
        return {'best': dna[0]}


class Branching(Climber):
    def tell(self, space, state, dna, fitness):
        return state if fitness[0, 0] > 0 else dict(state)


@pytest.mark.parametrize(
    ('controller', 'words'),
    [
        (TooFew, r'points of shape \(3,\); by its batch_size it is \(4,\)'),
        (NoState, r'ask must give \(dna, state\), gave DNA'),
        (Illegal, 'illegal points; space.repair makes them legal: DNA'),
        (OtherRandomness, 'no pure function of state and key: draw every random number from the key'),
        (Growing, r"tell changed .*: state\['best'\]\.choices was int32\[\d+\] and is int32\[\d, \d+\]"),
        (Forgetful, r"tell changed the structure of the state, from .*'fitness'.* to "),
    ],
)
def test_the_contract_says_what_is_broken_and_the_cure(controller, words):
    search.testing.check_controller(Climber())
    with pytest.raises(AssertionError, match=words):
        search.testing.check_controller(controller())


@pytest.mark.parametrize(
    ('controller', 'words'),
    [(TooFew, r'TooFew.ask must .*of shape \(4,\).*; got points of shape \(3,\)'), (NoState, 'NoState.ask must')],
)
def test_a_study_refuses_proposals_that_are_not_its_batch(controller, words):
    with pytest.raises(pg.ControllerError, match=words):
        search.run([pg.oneof([1.0, 2.0])], lambda e, key: {'y': e[0]}, controller(), objectives='y', generations=1)


def test_a_class_of_controllers_is_no_controller():
    with pytest.raises(pg.ControllerError, match=r'controller must be a search.Controller, got .*Call it'):
        search.Study([pg.oneof([1, 2])], search.Random, objectives='y')


def test_a_controller_that_looks_at_traced_values_is_told_the_cure():
    run = functools.partial(search.run, [pg.oneof([1.0, 2.0])], lambda e, key: {'y': e[0]}, objectives='y')
    for use in (search.testing.check_controller, functools.partial(run, generations=1)):
        with pytest.raises(jax.errors.TracerBoolConversionError) as caught:
            use(controller=Branching())
        assert any('Branching.tell is compiled: ' in note for note in caught.value.__notes__)
