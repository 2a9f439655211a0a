"""Points and spaces in files: they come back bit for bit, or not at all."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays

import pgjax as pg


@st.composite
def dnas(draw):
    """Any DNA: NaN, negative zeros and genes out of range too."""
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    choices = draw(arrays.arrays(np.int32, (*shape, draw(st.integers(0, 3)))))
    return pg.DNA(choices, draw(arrays.arrays(np.float32, (*shape, draw(st.integers(0, 3))))))


@given(dnas())
def test_text_gives_back_every_bit(dna):
    back = pg.from_json_str(pg.to_json_str(dna))
    for ours, theirs in ((back.choices, dna.choices), (back.floats, dna.floats)):
        assert type(ours) is type(theirs)
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


def test_populations_on_a_device_and_inside_other_values():
    space = pg.search_space(pg.Dict(x=pg.oneof([1, 2]), y=pg.floatv(0.0, 1.0)))
    dna = space.random(jax.random.key(0), (5,))
    back = pg.from_json(pg.to_json(pg.Dict(best=dna, note='kept')))
    assert back.best == dna and isinstance(back.best.choices, jax.Array)
    assert space.decode(back.best) == space.decode(dna)
    assert pg.content_hash(dna) == pg.content_hash(back.best) != pg.content_hash(dna[:4])


def test_equal_points_have_equal_hashes():
    zero, minus = pg.DNA([1, 2], [0.0]), pg.DNA([1, 2], [-0.0])
    assert len({zero, minus, pg.DNA([1, 2], [0.5]), pg.DNA([2, 1], [0.5])}) == 3
    assert hash(pg.Dict(a=zero)) == hash(pg.Dict(a=jax.device_put(zero)))


@pytest.mark.parametrize(
    ('value', 'words'),
    [
        (3, 'choices of a stored DNA'),
        ({'choices': [0], 'floats': []}, r'dtype int32, got \[0\]'),
        ({'choices': np.zeros(2, np.int64), 'floats': np.zeros(1, np.float32)}, 'dtype int32'),
        ({'choices': np.zeros(2, np.int32), 'floats': np.zeros(1, np.float64)}, 'dtype float32'),
        ({'choices': np.zeros((2, 1), np.int32), 'floats': np.zeros((3, 1), np.float32)}, 'leading axes'),
        ({'choices': np.zeros(1, np.int32)}, 'choices of a stored DNA'),
    ],
)
def test_what_is_no_dna_is_refused(value, words):
    stored = {'_pgjax': 1, '_type': 'pgjax.DNA', '_value': pg.to_json(value, stamp=False)}
    with pytest.raises(pg.DecodeError, match=words):
        pg.from_json(stored)


def test_a_traced_dna_has_no_stored_form():
    with pytest.raises(pg.EncodeError, match='traced'):
        jax.jit(pg.to_json_str)(pg.DNA([0], [0.5]))


def test_a_space_is_stored_as_its_template():
    template = pg.Dict(x=pg.oneof([1, pg.intv(2, 5)], name='x'), y=pg.floatv(1e-3, 1.0, scale='log', hints='rate'))
    space = pg.search_space(template)
    assert pg.from_json_str(pg.to_json_str(space)) == space
    for part in (
        pg.search_space(template, where=lambda h: h.name == 'x'),
        pg.trace(lambda: pg.oneof([1, 2]), lambda h: True),
    ):
        with pytest.raises(pg.EncodeError, match='store the template'):
            pg.to_json(part)
    with pytest.raises(pg.DecodeError, match='no decision points'):
        pg.from_json({'_pgjax': 1, '_type': 'pgjax.Space', '_value': 3})


def test_decisions_are_found_by_name_or_id():
    space = pg.search_space([pg.oneof([1, pg.oneof([2, 3], name='inner')]), pg.floatv(0.0, 1.0)])
    assert space.decision('inner') is space.decision('[0][=1/2]') is space.decisions[1]
    with pytest.raises(pg.SpaceError, match=r"no decision 'iner'.*Did you mean 'inner'"):
        space.decision('iner')


def test_random_points_are_legal_where_jax_has_64_bits():
    space = pg.search_space([pg.oneof('abc'), pg.permutate([1, 2, 3]), pg.intv(0, 200), pg.floatv(0.0, 1.0)])
    with jax.enable_x64(True):
        dna = jax.device_get(space.random(jax.random.key(0), (64,)))
    assert dna.choices.dtype == np.int32 and dna.floats.dtype == np.float32
    assert (dna.choices >= 0).all() and (dna.choices.max(0) < [3, 3, 3, 3, 201]).all()
    assert (np.sort(dna.choices[:, 1:4], axis=1) == np.arange(3)).all()


def test_random_points_of_wide_ints_are_the_same_where_jax_has_64_bits():
    space = pg.search_space([pg.intv(0, 2**31 - 2), pg.intv(-(10**9), 10**9)])
    with jax.enable_x64(True):
        wide = jax.device_get(space.random(jax.random.key(0), (64,)))
    np.testing.assert_array_equal(wide.choices, space.random(jax.random.key(0), (64,)).choices)


SPACES = {
    'plain': lambda: pg.search_space(pg.Dict(a=pg.oneof([1, 2]))),
    'code': lambda: pg.search_space(pg.Dict(a=pg.oneof([1, 2]) + pg.oneof([3, 4]), b=pg.derive(abs, 'a'))),
    'part': lambda: pg.search_space([pg.oneof([1, 2]), pg.oneof([3, 4], name='n')], lambda h: h.name == 'n'),
    'traced': lambda: pg.trace(lambda: pg.oneof([1, 2])),
}


@pytest.mark.parametrize('name', SPACES)
def test_a_space_pickles_after_use_too(name):
    space = SPACES[name]()
    point = space.nth(1)
    made = space.decode(point), space.nth(np.arange(2)), space.structural
    back = pickle.loads(pickle.dumps(space))
    assert back == space and hash(back) == hash(space)
    assert (back.decode(point), back.nth(np.arange(2)), back.structural) == made


ROOTS = {
    'functions': (pg.oneof([jnp.tanh, jnp.sin]), [jnp.tanh, jnp.sin]),
    'texts': (pg.oneof(['a', 'b']), ['a', 'b']),
    'a tuple': ((pg.oneof([1, 2]), 'n', None), [(1, 'n', None), (2, 'n', None)]),
}


@pytest.mark.parametrize('name', ROOTS)
def test_groups_hold_structure_outside_of_objects_as_it_is(name):
    template, values = ROOTS[name]
    space = pg.search_space(template)
    groups = space.groups(space.nth(np.arange(2)))
    assert [
        g.population if name != 'a tuple' else (int(g.population[0][0]), *g.population[1:]) for g in groups
    ] == values


def test_groups_stack_the_numbers_of_a_tuple():
    space = pg.search_space((pg.floatv(0.0, 1.0), 'n'))
    (group,) = space.groups(pg.DNA(np.zeros((2, 0), np.int32), [[0.25], [0.5]]))
    assert (group.population[0].tolist(), group.population[1]) == ([0.25, 0.5], 'n')


@pytest.mark.parametrize('shape', [(4,), (2, 3)])
def test_batches_go_to_lists_of_dictionaries_and_numbers_and_back(shape):
    inner = pg.Dict(lr=pg.floatv(0.0, 1.0), many=pg.manyof(2, ['a', 'b', 'c']))
    space = pg.search_space(pg.Dict(x=pg.oneof([inner, 'none']), y=pg.intv(3, 9)))
    dna = space.check(space.random(jax.random.key(0), shape))
    for view in ({}, {'value_type': 'choice_and_literal', 'multi_choice_key': 'both'}):
        dicts = space.to_dict(dna, **view)
        assert np.shape(dicts) == shape and space.from_dict(dicts) == dna
    assert space.from_numbers(space.to_numbers(dna)) == dna
    assert pg.materialize(space.template, space.to_numbers(dna)) == space.decode(dna)
    assert pg.materialize(space.template, space.to_dict(dna)) == space.decode(dna)
    assert space.to_dict(dna[:0]) == []
    assert space.from_dict([]).shape == (0,)


def test_numbers_and_values_may_be_arrays():
    space = pg.search_space(pg.Dict(x=pg.oneof([1, 2]), f=pg.floatv(0.0, 1.0), m=pg.manyof(2, [1, 2, 3])))
    wanted = pg.DNA([[0, 2, 1], [1, 0, 1]], [[0.5], [0.25]])
    rows = [[0, 0.5, 2, 1], [1, 0.25, 0, 1]]
    assert space.from_numbers(np.array(rows)) == space.from_numbers(jnp.array(rows)) == wanted
    for value in (np.float32(0.5), jnp.float32(0.5), np.array(0.5)):
        assert space.from_dict({'x': jnp.int32(0), 'f': value, 'm': np.array([2, 1])}) == wanted[0]
        assert space.from_numbers([jnp.int32(0), value, 2, 1]) == wanted[0]


LONG = 'x' * 80
CALLED_ALIKE = {
    'long texts': [LONG + 'a', LONG + 'b', 'c'],
    'long objects': [pg.Dict(text=LONG, n=1), pg.Dict(text=LONG, n=2)],
    'equal': ['a', 'a'],
    'numbers': [0.5, True, 1.0, float('nan')],
}


@pytest.mark.parametrize('name', CALLED_ALIKE)
def test_the_literal_view_names_one_point(name):
    space = pg.search_space([pg.oneof(CALLED_ALIKE[name])])
    for dna in space.iterate():
        assert space.from_dict(space.to_dict(dna, value_type='literal')) == dna


def test_a_literal_of_several_candidates_is_refused():
    space = pg.search_space(pg.Dict(a=pg.oneof(CALLED_ALIKE['long texts'])))
    with pytest.raises(pg.DnaError, match=r"a: 2 candidates are called .*'0/3'"):
        space.from_dict({'a': space.decision('a').literals[1]})


def test_an_array_of_no_points_is_an_empty_batch():
    space = pg.search_space([pg.oneof([1, 2]), pg.floatv(0.0, 1.0)])
    dna = space.from_numbers(np.zeros((0, 2)))
    assert dna.choices.shape == dna.floats.shape == (0, 1)
