"""Several objectives: sorting, crowding and hypervolume against slow twins."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

import pgjax as pg
from pgjax import search
from pgjax.search import multiobjective

ROWS = 8  # one shape for all examples: one compile
ranks_of = jax.jit(multiobjective.nondominated_ranks)
crowding_of = jax.jit(multiobjective.crowding_distance)
order_of = jax.jit(multiobjective.best_first)


@st.composite
def populations(draw, objectives=2):
    """float32[ROWS, M] with many equal values, and failed rows."""
    values = st.integers(-3, 3).map(float)
    rows = st.one_of(st.lists(values, min_size=objectives, max_size=objectives), st.just([-math.inf] * objectives))
    return np.array(draw(st.lists(rows, min_size=ROWS, max_size=ROWS)), np.float32)


def beats(a, b):
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


def peeled(rows):
    """The rank of each row by the definition: peel what nothing left beats."""
    ranks, left, front = {}, set(range(len(rows))), 0
    while left:
        best = {j for j in left if not any(beats(rows[i], rows[j]) for i in left)}
        ranks.update(dict.fromkeys(best, front))
        left, front = left - best, front + 1
    return [ranks[i] for i in range(len(rows))]


def crowded(rows, ranks):
    """Crowding as in the paper's pseudo-code: front by front, objective by objective, the first one upwards."""
    distance = [0.0] * len(rows)
    for front in set(ranks):
        members = [i for i in range(len(rows)) if ranks[i] == front]
        for m in range(len(rows[0])):
            members.sort(key=lambda i: (-rows[i][m] if m else rows[i][m], i))
            extent = abs(rows[members[-1]][m] - rows[members[0]][m])
            distance[members[0]] = distance[members[-1]] = math.inf
            for before, i, after in zip(members, members[1:], members[2:], strict=False):
                if extent > 0:
                    distance[i] += abs(rows[after][m] - rows[before][m]) / extent
    return distance


@pytest.mark.parametrize('objectives', [1, 2, 3])
def test_ranks_are_those_of_brute_force(objectives):
    @given(populations(objectives))
    def check(rows):
        assert ranks_of(rows).tolist() == peeled(rows.tolist())

    check()


@given(populations(), st.integers(1, ROWS))
def test_peeling_may_stop_when_enough_are_ranked(rows, enough):
    full, part = np.array(peeled(rows.tolist())), np.asarray(stopped_at[enough](rows))
    last = np.sort(full)[enough - 1]
    assert (part == np.where(full <= last, full, ROWS)).all()


stopped_at = {n: jax.jit(lambda rows, n=n: multiobjective.nondominated_ranks(rows, n)) for n in range(1, ROWS + 1)}


@pytest.mark.parametrize('number', [1, 31, 32, 33, 100])
def test_ranks_of_populations_that_do_not_fill_a_word(number):
    rows = np.random.default_rng(number).integers(0, 6, (number, 2)).astype(np.float32)
    assert ranks_of(rows).tolist() == peeled(rows.tolist())


@given(populations(3))
def test_crowding_is_that_of_the_pseudo_code(rows):
    ranks = peeled(rows.tolist())
    wanted = crowded(rows.tolist(), ranks)
    # A sum of three quotients of small integers: each is rounded once to 2**-24 of itself, and each sum again.
    np.testing.assert_allclose(crowding_of(rows, jnp.array(ranks)), wanted, rtol=6 * 2**-24)


@given(populations())
def test_best_first_is_the_crowded_comparison(rows):
    ranks = peeled(rows.tolist())
    crowding = np.asarray(crowding_of(rows, jnp.array(ranks))).tolist()
    assert order_of(rows).tolist() == sorted(range(ROWS), key=lambda i: (ranks[i], -crowding[i], i))


def test_pyglove_s_fronts_and_infinite_ends():
    assert multiobjective.nondominated_sort([[0, 0], [1, 1], [3, 2], [2, 3]]) == [[2, 3], [1], [0]]
    four = jnp.array([[0.0, 3.0], [1.0, 2.0], [2.0, 1.0], [3.0, 0.0]])
    assert np.isinf(crowding_of(four)).tolist() == [True, False, False, True]
    assert multiobjective.nondominated_sort(np.zeros((0, 2))) == []


def test_many_objectives_with_one_is_the_order_of_fitness():
    fitness = jnp.array([[1.0], [3.0], [-jnp.inf], [3.0]])
    assert order_of(fitness).tolist() == [1, 3, 0, 2]


def covered(rows, reference):
    """The volume by inclusion and exclusion over every subset of boxes."""
    total = 0.0
    for size in range(1, len(rows) + 1):
        for subset in itertools.combinations(rows, size):
            sides = [min(row[m] for row in subset) - reference[m] for m in range(len(reference))]
            total += (-1) ** (size + 1) * math.prod(max(side, 0.0) for side in sides)
    return total


@given(st.integers(1, 4), st.data())
def test_hypervolume_is_that_of_inclusion_and_exclusion(objectives, data):
    values = st.lists(st.integers(-2, 5).map(float), min_size=objectives, max_size=objectives)
    rows = data.draw(st.lists(values, max_size=5))
    found = multiobjective.hypervolume(np.reshape(rows, (-1, objectives)), [0.0] * objectives)
    assert found == covered(rows, [0.0] * objectives)  # whole numbers: exact


def test_hypervolume_leaves_out_what_failed_or_is_too_bad():
    rows = [[2.0, 2.0], [np.nan, 5.0], [-np.inf, 5.0], [9.0, 0.0], [1.0, 1.0]]
    assert multiobjective.hypervolume(rows, [0.0, 0.0]) == 4.0
    assert multiobjective.hypervolume(np.zeros((0, 2)), [0.0, 0.0]) == 0.0


@pytest.mark.parametrize(
    ('fitness', 'reference', 'words'),
    [
        ([1.0, 2.0], [0.0, 0.0], r'got shapes \(2,\) and \(2,\)'),
        ([[1.0, 2.0]], [0.0], r'got shapes \(1, 2\) and \(1,\)'),
        ([[1.0, 2.0]], [0.0, -np.inf], 'must be finite'),
    ],
)
def test_hypervolume_refuses(fitness, reference, words):
    with pytest.raises(pg.FitnessError, match=words):
        multiobjective.hypervolume(fitness, reference)


UNDER = search.constrained(
    [pg.maximize('value'), pg.minimize('cost')], [search.at_most('weight', 4.0), search.at_least('length', -2.0)]
)


@given(st.lists(st.tuples(*[st.integers(-6, 6).map(float)] * 4), min_size=ROWS, max_size=ROWS))
def test_feasible_comes_first_and_then_the_least_violation(rows):
    columns = dict(zip(('value', 'cost', 'weight', 'length'), np.array(rows, np.float32).T, strict=True))
    fitness = np.stack([np.asarray(o.fitness(columns)) for o in UNDER], -1)
    violation = np.maximum(columns['weight'] - 4, 0) / 4 + np.maximum(-2 - columns['length'], 0) / 2
    for i, j in itertools.permutations(range(ROWS), 2):
        if violation[i] < violation[j]:
            assert beats(fitness[i], fitness[j])
        elif violation[i] == violation[j] > 0:
            assert (fitness[i] == fitness[j]).all()
    feasible = violation == 0
    assert (fitness[feasible] == np.stack([columns['value'], -columns['cost']], -1)[feasible]).all()


def test_constraints_that_failed_and_penalties():
    columns = {'value': jnp.ones(4), 'cost': jnp.ones(4), 'length': jnp.zeros(4)}
    columns['weight'] = jnp.array([4.0, jnp.nan, jnp.inf, 1e30])
    fitness = [float(f) for f in UNDER[0].fitness(columns)]
    assert fitness[:3] == [1.0, -math.inf, -math.inf] and -2e30 * (1 + 2**-23) <= fitness[3] < -1e30
    (soft,) = search.constrained('value', [search.at_most('weight', 4.0)], penalty=0.5)
    assert soft.fitness({'value': jnp.ones(2), 'weight': jnp.array([4.0, 8.0])}).tolist() == [1.0, 0.5]
    (zero,) = search.constrained('value', [search.at_most('weight', 0.0)], penalty=1.0)
    assert zero.fitness({'value': jnp.ones(1), 'weight': jnp.full(1, 3.0)}).tolist() == [-2.0]


def test_a_constrained_search_finds_the_best_feasible_point(tmp_path):
    template = pg.Dict(x=pg.oneof([float(x) for x in range(20)]))
    wanted = search.constrained(pg.maximize('x'), [search.at_most('square', 130.0)])
    evaluate = lambda exp, key: {'x': exp.x, 'square': exp.x**2}  # noqa: E731
    study = search.Study(template, search.Random(batch_size=64), objectives=wanted, path=tmp_path / 'study')
    study = study.run(evaluate, 2, progress=False)
    assert study.best.value.x == 11.0
    assert search.Study.load(tmp_path / 'study').best.value.x == 11.0
    loop = search.compile(template, evaluate, search.Random(batch_size=64), objectives=wanted)
    assert jax.jit(loop, static_argnums=1)(jax.random.key(0), 2).best.value.x == 11.0


def test_a_constraint_s_metric_must_be_there():
    with pytest.raises(pg.FitnessError, match=r"'square' is not among .*expected x, square"):
        search.run(
            pg.Dict(x=pg.oneof([1.0, 2.0])),
            lambda exp, key: {'x': exp.x},
            search.Random(batch_size=2),
            objectives=search.constrained('x', [search.at_most('square', 1.0)]),
            generations=1,
        )


@pytest.mark.parametrize('number', [1, 700, 1500])
@pytest.mark.parametrize('values', [3, 2**22])
def test_the_best_of_many_are_the_first_of_their_order(number, values):
    """Where few are wanted of many, they are found without sorting all; ties go by position."""
    generator = np.random.default_rng(values)
    fitness = generator.integers(-values, values, 3000).astype(np.float32) / 7
    fitness[::50], fitness[1::90], fitness[2::70] = -np.inf, 0.0, -0.0
    tier = generator.integers(0, 2, 3000)
    order = np.lexsort((np.arange(3000), -np.where(tier > 0, -np.inf, fitness), tier))
    first = jax.jit(functools.partial(multiobjective.best_first, size=number, tiers=2))
    found = first(jnp.asarray(fitness)[:, None], tier=jnp.asarray(tier))
    assert found.tolist() == order[:number].tolist()


def test_nan_counts_as_the_worst_in_its_objective():
    """Where nobody has made failures -inf in every column before."""
    rows = np.array([[math.nan, 5], [0, 3], [1, 2], [2, 1.5], [2.5, 0.1], [3, 0]], np.float32)
    low = np.where(np.isnan(rows), -100, rows)
    assert order_of(rows).tolist()[:2] == [0, 5] == order_of(low).tolist()[:2], 'the ends of the front'
    assert np.isinf(crowding_of(rows)).tolist() == np.isinf(crowding_of(low)).tolist()


def test_crowding_in_a_front_without_an_end():
    rows = np.array([[-math.inf, 4], [0, 3], [1, 2], [2, 0]], np.float32)
    assert crowding_of(rows).tolist() == [math.inf, 1.5, 0.75, math.inf], 'an infinite gap counts as a whole extent'


def test_an_order_of_nobody():
    assert multiobjective.best_first(np.zeros((0, 2))).tolist() == []


@pytest.mark.parametrize('bound', [math.nan, math.inf, -math.inf])
def test_a_bound_that_nothing_meets_or_breaks_is_refused(bound):
    for constrain in (search.at_most, search.at_least):
        with pytest.raises(pg.FieldValueError, match=r'Constraint\.bound: .* is out of range'):
            constrain('latency', bound)
