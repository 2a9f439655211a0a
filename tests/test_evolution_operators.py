"""Mutators and recombinators: laws on conditional spaces with groups, slow twins, textbook vectors, distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import pgjax as pg
from pgjax import search
from pgjax.search import evolution as ev
from pgjax.search.evolution import Context, mutators, recombinators, selectors, told
from pgjax.search.evolution.recombinators._permutations import in_order, odd_cycles, partially_mapped

MIXED = search.testing.mixed_space()
TREE = pg.search_space(
    {
        'slots': pg.permutate([pg.Dict(a=pg.oneof([1, 2, 3])), pg.Dict(b=pg.floatv(0.0, 1.0)), 3, 4]),
        'pair': pg.manyof(2, ['a', 'b', 'c', 'd', 'e']),
        'falling': pg.manyof(2, [1, 2], sorted=True),
        'x': pg.oneof([pg.floatv(0.0, 1.0), 7]),
    }
)
N = 256


def parents(space, number=N):
    dna = jax.jit(lambda key: space.random(key, (number,)))(jax.random.key(5))
    return told(space, dna, jnp.arange(float(number))[:, None], 0, 0)


def children(operation, space, population=None, key=1):
    population = parents(space) if population is None else population
    context = Context.start(space)
    return jax.jit(lambda key, p: operation.apply(key, p, context)[0])(jax.random.key(key), population)


def same_points(a, b):
    return (np.asarray(a.choices) == np.asarray(b.choices)).all(-1) & (
        np.asarray(a.floats) == np.asarray(b.floats)
    ).all(-1)


def assert_legal(space, dna):
    host = jax.tree.map(np.asarray, dna)
    assert not space.violations(host).any()
    assert host == space.canonical(host)


OPERATIONS = [
    mutators.Uniform(),
    mutators.Gaussian(rate=0.3),
    mutators.Swap(),
    mutators.Insert(),
    mutators.Invert(),
    mutators.Each(lambda key, dna: pg.DNA(dna.choices + 1, dna.floats - 0.7)),
    recombinators.Uniform(),
    recombinators.Uniform(num_parents=3),
    recombinators.Sample(),
    recombinators.WeightedAverage(),
    recombinators.KPoint(k=3),
    recombinators.Segmented(lambda decisions: [1, 4]),
    recombinators.PartiallyMapped(),
    recombinators.Order(),
    recombinators.Cycle(),
    recombinators.Together(lambda key, dna: jax.tree.map(lambda x: x.max(0), dna)),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    'operation', OPERATIONS, ids=lambda o: f'{type(o).__module__.split(".")[-2]}.{type(o).__name__}'
)
def test_children_are_legal_and_canonical(operation):
    population = parents(TREE)
    made = children(operation, TREE, population)
    assert_legal(TREE, made.dna)
    if isinstance(operation, (mutators.Uniform, mutators.Arrangement)):
        assert not same_points(made.dna, population.dna).any(), 'a mutation always changes something'
    if isinstance(operation, mutators.Arrangement):
        assert_only_places_change(population.dna, made.dna)


def assert_only_places_change(old, new):
    """What is in the slots, with what was decided below it, is what it was."""
    for before, after in zip(
        TREE.decode(jax.tree.map(np.asarray, old)), TREE.decode(jax.tree.map(np.asarray, new)), strict=True
    ):
        assert sorted(map(repr, before['slots'])) == sorted(map(repr, after['slots']))
        assert sorted(before['pair']) == sorted(after['pair'])
        assert (before['falling'], before['x']) == (after['falling'], after['x'])


@pytest.mark.parametrize(
    'space', [pg.search_space({'x': pg.oneof(['a'])}), pg.search_space([pg.manyof(2, [1, 2], sorted=True)])]
)
def test_a_space_of_one_point_stays(space):
    population = parents(space, 4)
    assert same_points(children(mutators.Uniform(rate=0.5), space, population).dna, population.dna).all()


def test_where_restricts_what_changes():
    space = pg.search_space({'a': pg.oneof([1, 2, 3], hints='nas'), 'b': pg.oneof([1, 2, 3]), 'c': pg.intv(0, 9)})
    population = parents(space)
    where = lambda d: d.hints == 'nas'  # noqa: E731  one predicate for all
    for operation in [mutators.Uniform(where=where), mutators.Uniform(where=where, rate=0.9)]:
        changed = np.asarray(children(operation, space, population).dna.choices) != np.asarray(population.dna.choices)
        assert changed[:, 0].all() and not changed[:, 1:].any()
    crossed = np.asarray(children(recombinators.Uniform(where=where), space, population).dna.choices)
    first, second = np.asarray(population.dna.choices).reshape(-1, 2, 3).transpose(1, 0, 2)
    assert (crossed[:, 1:] == first[:, 1:]).all()
    assert (crossed[:, 0] == second[:, 0]).mean() > 0.4
    with pytest.raises(pg.ControllerError, match=r"`where` selects none of the 3 decisions.*hints 'nas'"):
        children(mutators.Uniform(where=lambda d: False), space, population)
    with pytest.raises(pg.ControllerError, match='No slots can change places'):
        children(mutators.Swap(), space, population)


def test_uniform_mutation_is_uniform():
    """Four decisions: each changes in a quarter of the children, and to each other value equally often."""
    space = pg.search_space([pg.oneof([0, 1, 2, 3]) for _ in range(4)])
    number = 8000
    population = jax.tree.map(lambda x: jnp.zeros_like(x), parents(space, number))
    made = np.asarray(children(mutators.Uniform(), space, population).dna.choices)
    assert ((made != 0).sum(-1) == 1).all()
    seen = np.array([[(made[:, gene] == value).mean() for value in (1, 2, 3)] for gene in range(4)])
    assert np.abs(seen - 1 / 12).max() < 5 * (1 / 12 * 11 / 12 / number) ** 0.5


def test_rate_is_the_chance_of_each_decision():
    space = pg.search_space([pg.oneof([0, 1, 2]) for _ in range(20)])
    number, rate = 2000, 0.25
    population = parents(space, number)
    made = children(mutators.Uniform(rate=rate), space, population).dna
    changed = (np.asarray(made.choices) != np.asarray(population.dna.choices)).mean(0)
    forced = (1 - rate) ** 20  # of children that chance leaves alone, one decision in 20 is changed
    assert np.abs(changed - rate - forced / 20).max() < 5 * (rate * (1 - rate) / number) ** 0.5


def test_steps_of_numbers():
    space = pg.search_space({'x': pg.floatv(0.0, 1.0), 'n': pg.intv(0, 1000)})
    number = 4000
    middle = jax.tree.map(lambda x: jnp.broadcast_to(x, (number, 1)), pg.DNA([500], [0.5]))
    population = told(space, middle, jnp.zeros((number, 1)), 0, 0)
    made = children(mutators.Gaussian(std=0.1), space, population).dna
    for genes, scale in [(np.asarray(made.floats)[:, 0] - 0.5, 1.0), (np.asarray(made.choices)[:, 0] - 500, 1000.0)]:
        moved = genes[genes != 0] / scale
        assert abs(moved.mean()) < 5 * 0.1 / len(moved) ** 0.5
        assert abs(moved.std() - 0.1) < 5 * 0.1 / (2 * len(moved)) ** 0.5
    # Deb's distribution far from the ends: P(|step| <= d) = 1 - (1 - d) ** (eta + 1).
    steps = np.asarray(children(mutators.Polynomial(eta=20.0), space, population).dna.floats)[:, 0] - 0.5
    steps = np.abs(steps[steps != 0])
    expected = 1 - (1 - 0.03) ** 21
    assert abs((steps <= 0.03).mean() - expected) < 5 * (expected * (1 - expected) / len(steps)) ** 0.5


def pmx_twin(a, b, low, high):
    child = list(a)
    child[low:high] = b[low:high]
    for i in [*range(low), *range(high, len(a))]:
        value = a[i]
        while value in b[low:high]:
            value = a[b.index(value)]
        child[i] = value
    return child


def ox_twin(a, b, low, high):
    k = len(a)
    child = list(a)
    others = [b[(high + i) % k] for i in range(k) if b[(high + i) % k] not in a[low:high]]
    for i in range(k - (high - low)):
        child[(high + i) % k] = others[i]
    return child


def cx_twin(a, b):
    child, number, done = list(a), 0, set()
    for start in range(len(a)):
        place = start
        if place in done:
            continue
        while place not in done:
            done.add(place)
            if number % 2:
                child[place] = b[place]
            place = a.index(b[place])
        number += 1
    return child


CROSS = jax.jit(
    lambda a, b, low, high: (
        partially_mapped(a, b, low, high, 8),
        in_order(a, b, low, high, 8),
        jnp.where(odd_cycles(a, b, 8), b, a),
    )
)


@given(
    a=st.permutations(range(8)), b=st.permutations(range(8)), cuts=st.sets(st.integers(0, 8), min_size=2, max_size=2)
)
def test_permutation_crossovers_are_what_their_twins_say(a, b, cuts):
    low, high = sorted(cuts)
    made = [x.tolist() for x in CROSS(np.array(a), np.array(b), low, high)]
    assert made == [pmx_twin(a, b, low, high), ox_twin(a, b, low, high), cx_twin(a, b)]


def test_textbook_vectors():
    """Eiben and Smith, Introduction to Evolutionary Computing, section 4.5; Goldberg (1989) for the first."""
    a, b = np.array([9, 8, 4, 5, 6, 7, 1, 3, 2, 0]), np.array([8, 7, 1, 2, 3, 0, 9, 5, 4, 6])
    assert partially_mapped(a, b, 3, 6, 10).tolist() == [9, 8, 4, 2, 3, 0, 1, 6, 5, 7]
    assert partially_mapped(b, a, 3, 6, 10).tolist() == [8, 0, 1, 5, 6, 7, 9, 2, 4, 3]
    a, b = np.arange(1, 10), np.array([9, 3, 7, 8, 2, 6, 5, 1, 4])
    assert partially_mapped(b, a, 3, 7, 10).tolist() == [9, 3, 2, 4, 5, 6, 7, 1, 8]
    assert in_order(a, b, 3, 7, 10).tolist() == [3, 8, 2, 4, 5, 6, 7, 1, 9]
    assert jnp.where(odd_cycles(a, b, 10), b, a).tolist() == [1, 3, 7, 4, 2, 6, 5, 8, 9]
    assert jnp.where(odd_cycles(a, b, 10), a, b).tolist() == [9, 2, 3, 8, 5, 6, 7, 1, 4]


def test_each_gene_comes_from_a_parent_that_uses_it():
    population = parents(MIXED, 300)
    active = np.asarray(MIXED.active(population.dna)).reshape(-1, 3, MIXED.num_choices + MIXED.num_floats)
    genes = np.concatenate([population.dna.choices, population.dna.floats], -1).reshape(active.shape)
    made = children(recombinators.Uniform(num_parents=3), MIXED, population).dna
    used = np.asarray(MIXED.active(made))
    got = np.concatenate([made.choices, made.floats], -1)
    from_parent = (active & (genes == got[:, None])).any(1)
    assert from_parent[used].all()
    assert not same_points(made, population.dna[::3]).all()


def test_averages_of_numbers():
    space = pg.search_space({'x': pg.floatv(1.0, 100.0, scale='log'), 'n': pg.intv(0, 9), 'c': pg.oneof('abc')})
    population = parents(space, 3)
    x, n = np.asarray(population.dna.floats)[:, 0], np.asarray(population.dna.choices)[:, 0]
    for operation, weights in [
        (recombinators.Average(num_parents=None), np.ones(3)),
        (recombinators.WeightedAverage(num_parents=3), np.arange(3)),
        (recombinators.WeightedAverage(num_parents=3, weights=lambda i: i.trial == 2), np.array([0, 0, 1])),
    ]:
        made = children(operation, space, population).dna
        assert made.floats[0, 0] == pytest.approx((weights * x).sum() / weights.sum(), abs=1e-6)
        assert int(made.choices[0, 0]) == int((weights * n).sum() / weights.sum() + 0.5)
        assert int(made.choices[0, 1]) == int(population.dna.choices[0, 1])


@pytest.mark.slow
@settings(max_examples=20)
@given(cuts=st.sets(st.integers(1, 7), max_size=4))
def test_segments_are_exchanged(cuts):
    space = pg.search_space([pg.oneof([0, 1]) for _ in range(8)])
    pair = told(
        space,
        pg.DNA(np.stack([np.zeros(8, np.int32), np.ones(8, np.int32)]), np.zeros((2, 0))),
        jnp.zeros((2, 1)),
        0,
        0,
    )
    operation = recombinators.Segmented(lambda decisions: sorted(cuts))
    made, _ = operation.apply(jax.random.key(0), pair, Context.start(space))
    expected = [sum(cut <= place for cut in cuts) % 2 for place in range(8)]
    assert made.dna.choices.tolist() == [expected, [1 - x for x in expected]]


def test_k_points_are_different_places():
    space = pg.search_space([pg.oneof([0, 1]) for _ in range(8)])
    rows = np.tile(np.repeat([[0], [1]], 8, axis=1), (2000, 1)).astype(np.int32)
    population = told(space, pg.DNA(rows, np.zeros((4000, 0), np.float32)), jnp.zeros((4000, 1)), 0, 0)
    made = np.asarray(children(recombinators.KPoint(k=2), space, population).dna.choices)[::2]
    cuts = np.diff(np.pad(made, [(0, 0), (0, 0)]), axis=1) != 0
    assert (cuts.sum(-1) == 2).all() and (made[:, 0] == 0).all()
    chance = 2 / 7  # of a place to be one of 2 among 7
    assert np.abs(cuts.mean(0) - chance).max() < 5 * (chance * (1 - chance) / 2000) ** 0.5


def test_absent_parents_are_replaced_and_too_few_refused():
    population = parents(MIXED, 6).resized(8)
    made = children(recombinators.KPoint(), MIXED, population)
    assert len(made) == 8 and int(made.count) == 6
    with pytest.raises(pg.ControllerError, match='Uniform needs 3 parents, got 2 rows'):
        children(recombinators.Uniform(num_parents=3), MIXED, population[:2])


@pytest.mark.parametrize(
    'operation',
    [recombinators.Uniform(children=2), recombinators.Uniform(num_parents=3), recombinators.KPoint(3)],
    ids=lambda operation: type(operation).__name__,
)
def test_a_group_is_recombined_as_a_whole_or_not_at_all(operation):
    space = pg.search_space({'order': pg.permutate(list(range(6))), 'x': pg.intv(0, 200)})
    people = parents(space, 96)
    some = operation.rebind(where=lambda decision: decision.column in (0, 1, 6))
    made, _ = some.apply(jax.random.key(1), people, Context.start(space))
    rows = np.asarray(made.dna.choices)
    assert (np.sort(rows[:, :6], axis=1) == np.arange(6)).all()
    assert {tuple(row) for row in rows[:, :6]} <= {tuple(row) for row in np.asarray(people.dna.choices)[:, :6]}
    assert not {tuple(row) for row in rows} <= {tuple(row) for row in np.asarray(people.dna.choices)}


def test_an_operation_of_ones_own_moves_points_anywhere():
    space = pg.search_space([pg.intv(0, 9), pg.oneof('ab')])

    def highest(population, context):
        return population.with_dna(pg.DNA(population.dna.choices.at[:, 0].set(9), population.dna.floats))

    controller = search.Evolution(
        batch_size=4,
        population_init=4,
        reproduction=selectors.Random(4) >> ev.Lambda(highest).with_prob(0.5),
        population_update=selectors.Top(6) >> highest,
    )
    state = controller.init(space, jax.random.key(0))
    for key in jax.random.split(jax.random.key(1), 4):
        dna, state = jax.jit(controller.ask, static_argnums=0)(space, state, key)
        state = jax.jit(controller.tell, static_argnums=0)(space, state, dna, jnp.ones((4, 1)))
    assert state.population.dna.choices[:, 0].tolist() == [9] * 6


@pytest.mark.parametrize(
    ('points', 'said'),
    [
        (lambda dna: pg.DNA(dna.choices[:4], dna.floats[:4]), 'shapes (4, 2) and (4, 0)'),
        (lambda dna: pg.DNA(dna.choices[:, :1], dna.floats), 'shapes (8, 1) and (8, 0)'),
        (lambda dna: pg.DNA(dna.choices, jnp.zeros((8, 1))), 'shapes (8, 2) and (8, 1)'),
        (lambda dna: dna.choices, 'ArrayImpl'),
        (lambda dna: None, 'NoneType'),
    ],
)
def test_individuals_take_only_as_many_points_of_their_space(points, said):
    people = parents(pg.search_space([pg.intv(0, 9), pg.oneof('ab')]), 8)
    with pytest.raises(pg.DnaError) as refused:
        people.with_dna(points(people.dna))
    assert said in str(refused.value)
    assert 'choices (8, 2) and floats (8, 0)' in str(refused.value)
