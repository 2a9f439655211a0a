"""The language of holes: scales and steps, subsets, arithmetic and ties, derived and custom values, partitions."""

import itertools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax.space import custom, derive, iter_, random_sample, subset

N = 20_000


class Adam(pg.Object):
    lr: float = 0.1


class SGD(pg.Object):
    lr: float = 0.1
    momentum: float = 0.9


class Model(pg.Object):
    units: int = 32
    optimizer: Adam | SGD = Adam()
    frozen: float = pg.field(default=0.5, static=True)
    activation: object = pg.field(default=jnp.tanh, dispatch='switch')
    traced: int = pg.field(default=1, traced=True)


def drawn(space, n=N, seed=0):
    return space.check(space.random(jax.random.key(seed), (n,)))


def check_proportion(hits, p):
    """Within five standard deviations of a proportion of N draws."""
    assert abs(np.mean(hits) - p) < 5 * math.sqrt(p * (1 - p) / len(hits))


@pytest.mark.parametrize(
    ('scale', 'low', 'high', 'middle'),
    [
        ('linear', -1.0, 3.0, 1.0),
        ('log', 1e-4, 1.0, 1e-2),
        ('rlog', 1e-4, 1.0, 1.0 + 1e-4 - 1e-2),
        ('logit', 0.01, 0.99, 0.5),
    ],
)
def test_floats_are_uniform_on_their_scale(scale, low, high, middle):
    space = pg.search_space([pg.floatv(low, high, scale=scale)])
    u = drawn(space).floats[:, 0]
    assert u.min() >= 0 and u.max() < 1
    for edge in np.linspace(0.1, 0.9, 9):
        check_proportion(u < edge, edge)
    for gene, value in ((0.0, low), (0.5, middle), (1.0, high)):
        assert space.decode(pg.DNA([], [gene]))[0] == pytest.approx(value, rel=1e-9)
    values = [space.decode(pg.DNA([], [g]))[0] for g in np.linspace(0, 1, 50)]
    assert values == sorted(values)


@pytest.mark.parametrize('scale', ['log', 'rlog'])
def test_scaled_ints_are_uniform_on_their_scale(scale):
    low, high = 1, 100
    space = pg.search_space([pg.intv(low, high, scale=scale)])
    genes = drawn(space).choices[:, 0]
    cells = np.log((np.arange(low, high + 1) + 1) / np.arange(low, high + 1)) / math.log((high + 1) / low)
    cells = cells if scale == 'log' else cells[::-1]
    for k in (0, 1, 10, 98, 99):
        check_proportion(genes == k, cells[k])


def test_choices_and_groups_have_the_stated_distributions():
    pair = {'distinct': True, 'sorted': False}
    for distinct, is_sorted in itertools.product((True, False), repeat=2):
        pair = pg.manyof(2, range(4), distinct=distinct, sorted=is_sorted)
        space = pg.search_space(pg.Dict(x=pair, y=pg.oneof(range(5))))
        dna = drawn(space)
        tuples = dna.choices[:, 0] * 4 + dna.choices[:, 1]
        expected = dict.fromkeys(range(16), 0.0)
        for a, b in itertools.product(range(4), repeat=2):
            if not (distinct and a == b):
                a, b = sorted((a, b)) if is_sorted else (a, b)
                expected[4 * a + b] += 1 / (12 if distinct else 16)
        for code, p in expected.items():
            check_proportion(tuples == code, p) if p else np.testing.assert_array_less(-1, (tuples == code).sum())
            assert p or not (tuples == code).any()
        for k in range(5):
            check_proportion(dna.choices[:, 2] == k, 0.2)


def test_conditional_genes_are_drawn_as_if_alone():
    space = pg.search_space([pg.oneof([pg.oneof([1, 2]), pg.floatv(0.0, 1.0), 3])])
    dna = drawn(space)
    inside = dna.choices[dna.choices[:, 0] == 0]
    check_proportion(inside[:, 1] == 1, 0.5)
    assert not dna.choices[dna.choices[:, 0] != 0, 1].any()
    assert not dna.floats[dna.choices[:, 0] != 1].any()


def fingerprints(space, dna):
    """uint64[n], the two words of each fingerprint as one number."""
    prints = np.asarray(space.fingerprint(dna)).astype(np.uint64)
    return (prints[:, 0] << 32) | prints[:, 1]


def test_a_million_random_points_collide_only_where_they_are_equal():
    space = pg.search_space(pg.Dict(a=pg.oneof(range(1000)), b=pg.oneof([0, pg.floatv(0.0, 1.0)]), c=pg.intv(0, 999)))
    dna = space.random(jax.random.key(0), (1_000_000,))
    genes = np.concatenate([np.asarray(dna.choices), np.asarray(dna.floats).view(np.int32)], -1)
    packed = np.ascontiguousarray(genes).view(np.dtype((np.void, genes.dtype.itemsize * genes.shape[1]))).reshape(-1)
    assert len(np.unique(fingerprints(space, dna))) == len(np.unique(packed)) < 1_000_000


@pytest.mark.slow
def test_a_million_points_that_differ_in_single_bits_do_not_collide():
    space = pg.search_space([pg.oneof([0.0, 1.0]) for _ in range(20)])
    everything = space.nth(np.arange(2**20))
    assert len(np.unique(fingerprints(space, everything))) == 2**20


def test_steps():
    assert list(iter_([pg.intv(8, 32, step=8)])) == [[8], [16], [24], [32]]
    assert list(iter_([pg.floatv(0.1, 0.4, step=0.1)])) == [[0.1], [0.2], pytest.approx([0.3]), [0.4]]
    space = pg.search_space([pg.floatv(0.0, 1.0, step=0.25)])
    assert space.traced and space.size == 5
    assert space.from_dict(space.to_dict(space.nth(3))) == space.nth(3)


def test_subset_has_every_length():
    found = [tuple(p['s']) for p in iter_({'s': subset([1, 2, 3])})]
    assert sorted(found) == sorted(c for k in range(4) for c in itertools.combinations([1, 2, 3], k))


def test_grid_counts_and_ends():
    space = pg.search_space(pg.Dict(a=pg.oneof('xy'), b=pg.floatv(0.0, 1.0), c=pg.intv(1, 100), d=pg.intv(0, 1)))
    points = [space.decode(p) for p in space.grid(3)]
    assert len(points) == 2 * 3 * 3 * 2
    assert {p.b for p in points} == {0.0, 0.5, 1.0} and {p.c for p in points} == {1, 51, 100}


def test_arithmetic_is_one_tied_decision():
    width = pg.oneof([1, 2])
    space = pg.search_space([Model(units=64 * width), Model(units=width * 32 + 1)])
    assert space.size == 2
    assert [[m.units for m in space.decode(d)] for d in space.iterate()] == [[64, 33], [128, 65]]
    assert 64 * pg.oneof([1, 2]) == pg.oneof([64, 128]).rebind(origin=pg.oneof([1, 2]))


def test_arithmetic_on_numbers_and_between_holes():
    rate = pg.floatv(1.0, 2.0)
    space = pg.search_space(pg.Dict(a=2 * rate, b=rate / 2 + 1, c=pg.oneof([1, 2]) ** pg.intv(2, 3), d=-pg.intv(1, 2)))
    assert space.num_floats == 1 and space.num_choices == 3
    point = space.decode(space.from_numbers([1.5, 1, 3, 2]))
    assert point == {'a': 3.0, 'b': 1.75, 'c': 8, 'd': -2}
    assert space.from_numbers([1.5, 1, 3, 2]) == space.encode(point)


@pytest.mark.parametrize('name', ['add', 'sub', 'mul', 'truediv', 'floordiv', 'mod', 'pow'])
def test_operators_take_a_hole_on_either_side(name):
    operate = getattr(operator, name)
    for hole in (pg.oneof([2, 3]), pg.intv(2, 3)):
        space = pg.search_space([operate(hole, 7), operate(7, hole)])
        assert [space.decode(d) for d in space.iterate()] == [[operate(x, 7), operate(7, x)] for x in (2, 3)]


def test_a_candidate_is_checked_where_it_stands():
    class Strict(pg.Object):
        lr: float
        n: int = 1

    assert pg.search_space(Strict(pg.oneof([1, 2]))).decode(pg.DNA([0])).lr == 1.0
    with pytest.raises(pg.FieldTypeError, match='candidates'):
        Strict(0.1, pg.oneof([1, 'x']))
    with pytest.raises(pg.FieldTypeError):
        Strict(0.1, pg.floatv(0.0, 1.0))


def test_names_tie_wherever_they_stand():
    named = pg.oneof([1, 2], name='n')
    space = pg.search_space(pg.Dict(a=named, b=[named, (named, 3)], c=pg.oneof([named, 5])))
    assert space.size == 4 and [d.label for d in space.decisions] == ['n', 'c']
    assert space.decode(space.from_dict({'n': 1, 'c': 0})) == {'a': 2, 'b': [2, (2, 3)], 'c': 2}


def test_a_tie_between_a_traced_and_a_structural_field_is_structural():
    named = pg.oneof([1, 2], name='n')
    space = pg.search_space([Model(traced=named), Model(units=named)])
    assert [d.structural for d in space.decisions] == [True]
    assert len(space.groups(pg.DNA([[0], [1], [0]], np.zeros((3, 0), np.float32)))) == 2


def test_derived_values_follow_their_sources():
    template = pg.Dict(
        model=Model(units=pg.oneof([1, 2]), optimizer=pg.oneof([Adam(pg.floatv(0.1, 0.2)), SGD(0.3)])),
        doubled=derive(lambda u: 2 * u, 'model.units'),
        rate=derive(lambda r: r / 2, 'model.optimizer.lr'),
        both=derive(lambda a, b: a + b, 'doubled', 'model.units'),
    )
    space = pg.search_space(template)
    point = space.decode(space.from_numbers([1, 1]))
    assert (point.doubled, point.rate, point.both) == (4, 0.15, 6)
    assert space.encode(point) == space.from_numbers([1, 1])
    with pytest.raises(pg.DnaError, match='doubled'):
        space.encode(point.rebind(doubled=5))


def test_a_derived_value_is_checked_by_its_field():
    class Positive(pg.Object):
        n: int = 1

    space = pg.search_space(pg.Dict(x=pg.oneof([1, 2]), p=Positive(n=derive(lambda x: x / 2, 'x'))))
    with pytest.raises(pg.FieldTypeError, match='n'):
        space.decode(space.first())


def test_custom_decisions():
    point = custom(
        pg.Dict(r=pg.floatv(0.0, 1.0), n=pg.intv(0, 3)), lambda p: (p.r, p.n), lambda v: {'r': v[0], 'n': v[1]}
    )
    space = pg.search_space([point])
    (value,) = space.decode(space.from_numbers([0.25, 2]))
    assert value == (0.25, 2)
    assert space.encode([value]) == space.from_numbers([0.25, 2])


def test_floats_in_static_fields_are_structure():
    space = pg.search_space(Model(frozen=pg.floatv(0.0, 1.0)))
    assert [d.structural for d in space.decisions] == [True]
    groups = space.groups(pg.DNA(np.zeros((3, 0), np.int32), [[0.0], [0.5], [0.5]]))
    assert [g.population.frozen for g in groups] == [0.0, 0.5]


def test_callables_are_switched():
    space = pg.search_space(Model(activation=pg.oneof([jnp.tanh, jnp.sin]), optimizer=Adam(pg.floatv(0.0, 1.0))))
    assert not space.structural
    dna = pg.DNA([[0], [1]], [[0.5], [0.5]])
    (group,) = space.groups(dna)
    found = jax.vmap(lambda m: m.activation(0.5))(group.population)
    np.testing.assert_allclose(found, [math.tanh(0.5), math.sin(0.5)], rtol=1e-6)


def test_partitions_join():
    space = pg.search_space(
        pg.Dict(
            a=pg.floatv(0.0, 1.0, hints='x'),
            b=pg.oneof([1, 2]),
            c=pg.oneof([3, pg.oneof([4, 5], hints='x')], hints='x'),
        )
    )
    parts = space.partition({'x': lambda h: h.hints == 'x', 'rest': lambda h: True})
    dna = space.random(jax.random.key(0), (10,))
    assert parts.join(parts.split(dna)) == dna
    first = parts['x'].decode(parts['x'].check(parts.split(dna)['x'][0]))
    assert pg.search_space(first).size == 2, 'the rest of the space is still open'
    with pytest.raises(pg.SpaceError, match='b: the decision belongs to no part'):
        space.partition({'x': lambda h: h.hints == 'x'})


def test_columns_of_a_population():
    space = pg.search_space(pg.Dict(a=pg.oneof([0, pg.intv(5, 9)]), b=pg.floatv(0.0, 1.0)))
    columns = space.to_columns(pg.DNA([[0, 0], [1, 2]], [[0.0], [1.0]]))
    assert columns['a'].tolist() == [0, 1] and columns['b'].tolist() == [0.0, 1.0]
    assert columns['a[=1/2]'].tolist() == [None, 7]


def test_changes_in_words():
    old = pg.search_space(pg.Dict(a=pg.oneof([1, 2]), b=pg.floatv(0.0, 1.0), c=pg.intv(1, 2)))
    new = pg.search_space(pg.Dict(a=pg.oneof([1, 2, 3]), b=pg.floatv(0.0, 2.0), d=pg.oneof([1])))
    assert [str(c) for c in old.compare(new)] == [
        'changed a: candidates [1, 2] -> [1, 2, 3]',
        'changed b: float in [0.0, 1.0] -> float in [0.0, 2.0]',
        'removed c: int in [1, 2]',
        'added d: candidates [1]',
    ]
    assert old.compare(old) == []


def test_old_points_move_into_an_extension():
    old = pg.search_space(pg.Dict(a=pg.oneof([1, pg.floatv(5.0, 6.0)]), b=7))
    new = pg.search_space(pg.Dict(a=pg.oneof([0, 1, pg.floatv(4.0, 8.0)]), b=pg.intv(0, 9)))
    dna = drawn(old, 20)
    moved = new.transfer(dna, old)
    for ours, theirs in zip(new.decode(moved), old.decode(dna), strict=True):
        assert ours.b == theirs.b and ours.a == pytest.approx(theirs.a, rel=1e-6)
    with pytest.raises(pg.DnaError, match='a'):
        old.transfer(new.first(), new)


def test_materialize_takes_numbers_and_random_sample_is_reproducible():
    template = pg.Dict(x=pg.oneof(['a', 'b']), y=pg.intv(1, 3))
    assert pg.materialize(template, [1, 3]) == {'x': 'b', 'y': 3}
    assert random_sample(template, jax.random.key(0), 5) == random_sample(template, jax.random.key(0), 5)


def test_decisions_know_their_path_in_the_decoded_object():
    space = pg.search_space({'a': pg.oneof([{'b': pg.manyof(2, [1, 2, 3])}, {'b': [pg.floatv(0.0, 1.0)]}])})
    assert [d.path for d in space.decisions] == ['a', 'a.b[0]', 'a.b[1]', 'a.b[0]']
    assert [len(d.conditions) for d in space.decisions] == [0, 1, 1, 1]


def test_rounding_keeps_the_decision():
    half = pg.oneof([0.25, 0.5])
    space = pg.search_space(Model(units=round(10 * half), frozen=round(half, 1)))
    assert [(m.units, m.frozen) for m in map(space.decode, space.iterate())] == [(2, 0.2), (5, 0.5)]
    space = pg.search_space(Model(units=round(64 * pg.floatv(0.0, 1.0))))
    assert space.decode(pg.DNA([], [0.3])).units == 19
