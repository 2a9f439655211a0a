"""Laws of every space: over random nested templates, with ties, arithmetic, steps and everything together."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from space_zoo import ZOO, build, specs

import pgjax as pg
from pgjax.space import DNA, _decode, concatenate, custom, derive, subset

keys = st.integers(0, 2**31 - 1).map(jax.random.key)


class Layer(pg.Object):
    units: int = 32
    rate: float = 0.1
    flag: bool = pg.field(default=False, traced=True)


class Net(pg.Object):
    layers: list[Layer] = pg.field(default_factory=list)
    pair: tuple[float, float] = (0.0, 1.0)
    scale: float = 1.0


def tied():
    inner = pg.oneof([1, pg.oneof([2, 3], name='deep'), 4], name='shared')
    return pg.Dict(
        a=pg.oneof([0, inner]), b=pg.oneof([pg.oneof([2, 3], name='deep'), 5]), c=inner, d=[inner, pg.oneof([7, 8])]
    )


def conditional_tie():
    """A decision that stands in two branches of different decisions, the later of which is decided after it."""
    shared = pg.oneof([1, 2, 3], name='shared')
    return pg.Dict(a=pg.oneof([0, shared]), b=pg.oneof([shared, 0, pg.Dict(x=shared)]))


def tied_many():
    many = pg.manyof(2, [pg.oneof([1, 2], name='deep'), 3, 4], name='many')
    return pg.Dict(a=pg.oneof([many, 0]), b=pg.oneof([1, pg.Dict(m=many)]), c=pg.oneof([1, 2], name='deep'))


def everything():
    width = pg.oneof([1, 2, 4])
    rate = pg.floatv(1e-4, 1e-1, scale='log')
    layer = Layer(units=64 * width, rate=2 * rate, flag=pg.oneof([True, False]))
    return pg.Dict(
        net=Net(
            layers=[layer, Layer(units=32 * width, rate=rate), Layer(units=pg.intv(8, 64, step=8))],
            pair=(pg.floatv(0.0, 1.0), pg.oneof([1.0, 2.0])),
            scale=derive(lambda u: u / 2, 'net.layers[0].units'),
        ),
        subset=subset(['a', 'b', 'c'], 1, 2),
        point=custom([pg.intv(0, 3), pg.intv(0, 3)], lambda p: complex(*p), lambda z: [int(z.real), int(z.imag)]),
        stepped=pg.floatv(0.0, 1.0, step=0.25),
        drop=pg.floatv(0.01, 0.99, scale='logit'),
        late=pg.floatv(0.1, 10.0, scale='rlog'),
        mixed=pg.oneof([Layer(rate=pg.floatv(2.0, 3.0)), Layer(rate=0.5), Layer(rate=0.25)]),
    )


SPECIAL = {'tied': tied, 'conditional_tie': conditional_tie, 'tied_many': tied_many, 'everything': everything}
TEMPLATES = {name: functools.partial(build, spec, pg) for name, spec in ZOO.items()} | SPECIAL


N = 6  # points of one space


@functools.partial(jax.jit, static_argnums=0)
def on_device(space, key, rough):
    """What one program says of a space: random points, and what becomes of those and of arrays that are no points."""
    drawn = space.random(key, (N,), canonical=False)
    repaired = space.repair(concatenate([drawn, rough]))
    return drawn, space.violations(drawn), space.canonical(drawn), repaired, space.violations(repaired)


def rough_arrays(space, seed=0):
    """Arrays of the right shape with genes far out of range."""
    rng = np.random.default_rng(seed)
    choices = rng.integers(-3, 8, (N, space.num_choices)).astype(np.int32)
    return DNA(choices, rng.normal(size=(N, space.num_floats)).astype(np.float32))


def check_laws(space, key):
    """Laws of N random points; returns them, and how many objects stand at an earlier point too."""
    rough = rough_arrays(space)
    drawn, violations, canonical, repaired, left = jax.device_get(on_device(space, key, rough))
    assert not violations.any() and not space.violations(drawn).any()
    assert space.canonical(drawn) == canonical, 'host and device agree'
    assert space.canonical(canonical) == canonical
    assert repaired[:N] == canonical
    assert not left.any() and not space.violations(repaired).any()
    assert space.canonical(repaired) == repaired
    return drawn, check_points(space, drawn, canonical)


def check_points(space, drawn, canonical):
    """Each point has one object, one dictionary in each view and one list of numbers; returns as `check_laws`."""
    ambiguous = 0
    for i, point in enumerate(space.decode(drawn)):
        one = drawn[i]
        assert pg.eq(space.decode(one), point)
        interpreted = _decode.decode_one(space._layout.root, one.choices.tolist(), one.floats.tolist())
        assert pg.eq(interpreted, point, strict=True), 'generated code and interpreter agree'
        encoded = space.encode(point)
        assert pg.eq(space.decode(encoded), point)
        ambiguous += encoded != canonical[i]
        assert space.from_dict(space.to_dict(one)) == canonical[i]
        assert space.from_dict(space.to_dict(one, 'id', 'choice', 'both', True)) == canonical[i]
        assert space.from_numbers(space.to_numbers(one)) == canonical[i]
    return ambiguous


def check_order(space, most=60):
    """`nth`, `rank` and `iterate` agree; enumeration meets each point once."""
    points = list(itertools.islice(space.iterate(), most))
    for index, dna in enumerate(points):
        assert space.rank(dna) == index
        assert space.nth(index) == dna
        assert space.canonical(dna) == dna
    assert len(points) == min(space.size, most)
    assert len({dna.choices.tobytes() for dna in points}) == len(points)
    for index in {0, space.size // 3, space.size - 1}:
        assert space.rank(space.nth(index)) == index
    assert space.first() == points[0]


def check_groups(space, dna):
    """Groups partition the population, and equal the stacked members."""
    groups = space.groups(dna)
    assert sorted(np.concatenate([g.indices for g in groups]).tolist()) == list(range(len(dna)))
    rows = np.asarray(space.structure_key(dna))
    assert len({row.tobytes() for row in rows}) == len(groups)
    for group in groups:
        members = [space.decode(dna[i]) for i in group.indices]
        leaves, treedef = jax.tree.flatten(group.population)
        if isinstance(group.population, (pg.Dict, pg.List, pg.Object)):
            stacked = pg.stack(members)
            assert jax.tree.structure(stacked) == treedef
            for ours, theirs in zip(leaves, jax.tree.leaves(stacked), strict=True):
                assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
                np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize('name', TEMPLATES)
def test_laws_hold_in_the_zoo(name):
    space = pg.search_space(TEMPLATES[name]())
    dna, ambiguous = check_laws(space, jax.random.key(1))
    assert not ambiguous
    check_groups(space, dna)
    if math.isfinite(space.size):
        check_order(space)


@settings(max_examples=12)
@given(specs(), keys)
def test_laws_hold_in_random_nested_spaces(spec, key):
    """Equal candidates make a space ambiguous: then an object is encoded as one of its points."""
    space = pg.search_space(build(spec, pg))
    dna, _ = check_laws(space, key)
    check_groups(space, dna)


@settings(max_examples=25)
@given(specs(floats=False))
def test_order_is_exact_in_random_nested_spaces(spec):
    check_order(pg.search_space(build(spec, pg)), 30)


@pytest.mark.parametrize('make', [tied, conditional_tie, tied_many])
def test_ties_count_distinct_points_once(make):
    """Against brute force: all genes of the product, in canonical form."""
    space = pg.search_space(make())
    arities = [d.arity for d in sorted(space.decisions, key=lambda d: d.column)]
    assert math.prod(arities) < 300_000
    genes = np.array(list(itertools.product(*map(range, arities))), np.int32)
    dna = DNA(genes, np.zeros((len(genes), 0), np.float32))
    valid = dna[~space.violations(dna).any(-1)]
    distinct = np.unique(space.canonical(valid).choices, axis=0)
    assert space.size == len(distinct) == len(list(space.iterate()))


@pytest.mark.parametrize('name', ['manyof_deep_d', 'tied_many', 'everything'])
def test_every_array_method_jits_and_vmaps(name):
    """The compiled batch, the mapped point and the host give the same bits."""
    space = pg.search_space(TEMPLATES[name]())
    both = [space.active, space.canonical, space.violations, space.structure_key]  # on the host and on devices

    def methods(dna):
        return [m(dna) for m in (*both, space.repair, space.fingerprint)]

    dna = space.check(space.random(jax.random.key(0), (N,), canonical=False))
    batch = jax.tree.leaves(jax.jit(methods)(dna))
    mapped = jax.tree.leaves(jax.jit(jax.vmap(methods))(dna))
    for ours, theirs in zip(mapped, batch, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    host = jax.tree.leaves([m(dna) for m in both])
    for ours, theirs in zip(host, batch[: len(host)], strict=True):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_array_equal(ours, theirs)
    assert space.random(jax.random.key(0), (N,)) == space.canonical(dna)


def test_equal_templates_share_a_compiled_program():
    traces = []

    @functools.partial(jax.jit, static_argnums=0)
    def count(space, dna):
        traces.append(1)
        return space.active(dna).sum()

    for _ in range(3):
        space = pg.search_space(build(ZOO['optimizers'], pg))
        count(space, space.random(jax.random.key(0)))
    assert len(traces) == 1
    assert pg.search_space([pg.oneof([1, 2])]) != pg.search_space([pg.oneof([1, 3])])


def test_a_space_without_structure_decodes_inside_jit():
    template = pg.Dict(
        layer=Layer(rate=2 * pg.floatv(0.1, 10.0, scale='log'), flag=pg.oneof([True, False])),
        gathered=pg.oneof([Layer(rate=0.5), Layer(rate=pg.floatv(0.0, 1.0)), Layer(rate=0.25)]),
        halved=derive(lambda r: r / 2, 'layer.rate'),
        logit=pg.floatv(0.01, 0.99, scale='logit'),
        rlog=pg.floatv(0.01, 1.0, scale='rlog'),
        step=pg.floatv(0.0, 1.0, step=0.125),
    )
    space = pg.search_space(template)
    assert not space.structural
    dna = space.random(jax.random.key(0), (32,))
    traced = jax.jit(jax.vmap(space.decode))(dna)
    (group,) = space.groups(dna)
    assert jax.tree.structure(traced) == jax.tree.structure(group.population)
    for ours, theirs in zip(jax.tree.leaves(traced), jax.tree.leaves(group.population), strict=True):
        np.testing.assert_allclose(jnp.asarray(ours, float), jnp.asarray(theirs, float), rtol=2e-6)


ALIKE = {
    'few floats': lambda i: pg.oneof([0.5, 2.0, -1.0]),
    'many floats': lambda i: pg.oneof([j / 7 for j in range(30)]),
    'bools': lambda i: Layer(flag=pg.oneof([True, False])),
    'one value': lambda i: pg.oneof([4.0]),
    'floats': lambda i: pg.floatv(1e-3, 10.0, scale='log'),
    'steps': lambda i: pg.floatv(-1.0, 1.0, step=0.125),
    'two kinds by turns': lambda i: pg.oneof([0.5, 2.0]) if i % 2 else pg.oneof([2.0, 0.5]),
    'two kinds in halves': lambda i: pg.oneof([0.0, 1.0]) if i < 3 else pg.oneof([-0.0, 1.0]),
    'one decision': lambda i: pg.oneof([0.5, 2.0], name='everywhere'),
    'arrays': lambda i: pg.oneof([np.arange(3.0), np.ones(3)]),
    'branches': lambda i: pg.oneof([Layer(rate=pg.floatv(0.0, 1.0)), Layer(rate=pg.oneof([3.0, 4.0]))]),
}


@pytest.mark.parametrize('name', ALIKE)
def test_decisions_that_are_alike_decode_inside_jit_as_outside(name):
    space = pg.search_space(pg.Dict(first=pg.oneof([7.0, 8.0]), rest=[ALIKE[name](i) for i in range(6)]))
    dna = space.random(jax.random.key(0), (32,))
    traced = jax.jit(jax.vmap(space.decode))(dna)
    for ours, theirs in zip(jax.tree.leaves(traced), jax.tree.leaves(space.groups(dna)[0].population), strict=True):
        np.testing.assert_allclose(jnp.asarray(ours, float), jnp.asarray(theirs, float), rtol=2e-6)
        np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))


@pytest.mark.parametrize('name', ['few floats', 'many floats', 'floats', 'steps'])
def test_a_program_grows_by_reading_alone_with_decisions_that_are_alike(name):
    def steps(number):
        space = pg.search_space([ALIKE[name](i) for i in range(number)])
        equations = jax.make_jaxpr(space.decode)(space.first()).eqns
        return sum(equation.primitive.name not in ('slice', 'squeeze') for equation in equations)

    assert steps(100) == steps(2)


@pytest.mark.parametrize('number', [3, 30])
def test_decoded_numbers_of_python_take_the_dtype_of_what_they_meet(number):
    space = pg.search_space(pg.Dict(x=pg.oneof([float(i) for i in range(number)])))
    scaled = jax.jit(lambda dna: space.decode(dna).x * jnp.ones(2, jnp.bfloat16))(space.first())
    assert scaled.dtype == jnp.bfloat16


def test_structure_inside_jit_is_refused():
    space = pg.search_space(pg.Dict(n=pg.oneof([1, 2])))
    with pytest.raises(pg.SpaceError, match=r'n change the program itself.*space.groups'):
        jax.jit(space.decode)(space.random(jax.random.key(0)))


RANDOM_KEYS = {
    'threefry': lambda: jax.random.key(7),
    'raw': lambda: jax.random.PRNGKey(7),
    'large': lambda: jax.random.wrap_key_data(jnp.array([2**32 - 1, 2**31], jnp.uint32), impl='threefry2x32'),
}


@pytest.mark.parametrize('is_partitionable', [True, False])
@pytest.mark.parametrize('kind', RANDOM_KEYS)
def test_points_come_from_the_bits_that_jax_draws(kind, is_partitionable):
    """However pgjax makes them."""
    space = pg.search_space([pg.floatv(0.0, 1.0) for _ in range(3)])
    with jax.threefry_partitionable(is_partitionable):
        key = RANDOM_KEYS[kind]()
        bits = jax.random.bits(key, (5, 3), jnp.uint32)
        for draw in (space.random, jax.jit(space.random, static_argnums=1)):
            assert jnp.array_equal(draw(key, (5,)).floats, (bits >> 8) * 2.0**-24)
        if kind != 'raw':
            keys = jax.random.split(key, 4)
            wanted = jax.vmap(lambda key: jax.random.bits(key, (5, 3), jnp.uint32))(keys)
            assert jnp.array_equal(jax.vmap(lambda key: space.random(key, (5,)))(keys).floats, (wanted >> 8) * 2.0**-24)
