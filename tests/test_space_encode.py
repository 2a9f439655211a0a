"""From objects back to points: whatever a point decodes to has a point, and it is that object's."""

import time

import jax
import pytest

import pgjax as pg


def named():
    return pg.oneof([1, 2], name='n')


def shared():
    hole = pg.oneof([1, 2])
    return pg.Dict(a=0 * hole, b=1 * hole)


AMBIGUOUS = {
    'slots that take each other': lambda: pg.permutate([pg.intv(0, 9), pg.intv(0, 4)]),
    'a derived value of any value': lambda: pg.Dict(
        a=pg.oneof([pg.derive(lambda b: b * 10, 'b'), 20, 'x']), b=pg.oneof([1, 2])
    ),
    'a tie met later': lambda: pg.Dict(a=pg.oneof([pg.Dict(x=named()), pg.Dict(x=pg.oneof([2, 1, 3]))]), b=named()),
    'equal results of one decision': shared,
    'equal candidates': lambda: [pg.manyof(3, [1, 1, 1, 2], sorted=True)],
    'equal candidates and holes': lambda: [pg.manyof(3, [1, 1, pg.intv(0, 3), 2], sorted=True)],
    'equal slots of two places': lambda: [pg.manyof(2, [named(), 2], name='m'), pg.manyof(2, [named(), 2], name='m')],
}


@pytest.mark.parametrize('name', AMBIGUOUS)
def test_every_decoded_object_is_encoded(name):
    space = pg.search_space(AMBIGUOUS[name]())
    for dna in space.iterate():
        value = space.decode(dna)
        assert pg.eq(space.decode(space.encode(value)), value, strict=True)


def refusing(value):
    raise OSError('a bug')


BRANCHES = {
    'times': (2 * pg.floatv(0.0, 1.0), 'none'),
    'minus': (-pg.intv(0, 3), None),
    'plus': (1 + pg.intv(0, 3), (1, 2)),
    'plus an object': (1 + pg.intv(0, 3), pg.Dict(x=1)),
    'custom': (pg.custom([pg.intv(0, 3)], lambda p: p[0], refusing), 'other'),
}


@pytest.mark.parametrize('name', BRANCHES)
def test_a_branch_whose_inverse_fails_is_another_branch(name):
    hole, value = BRANCHES[name]
    space = pg.search_space(pg.Dict(a=pg.oneof([hole, value])))
    assert space.decode(space.encode(pg.Dict(a=value))) == pg.Dict(a=value)


def test_an_inverse_that_fails_is_named():
    space = pg.search_space(pg.Dict(a=BRANCHES['custom'][0]))
    with pytest.raises(pg.DnaError, match=r'a: .*refuses 1: OSError: a bug'):
        space.encode(pg.Dict(a=1))


EXACT = {
    'tuple': (pg.oneof([pg.manyof(2, [1, 2]), (1, 2)]), (1, 2)),
    'float': (pg.oneof([pg.floatv(0.001, 10.0, scale='log'), 3.0]), 3.0),
    'float inside': (pg.oneof([pg.Dict(x=pg.floatv(0.001, 10.0, scale='log')), pg.Dict(x=3.0)]), pg.Dict(x=3.0)),
    'list': (pg.oneof([(pg.oneof([1, 2]), 3), [pg.oneof([1, 2]), 3]]), pg.List([1, 3])),
}


@pytest.mark.parametrize('name', EXACT)
def test_a_branch_that_is_exactly_the_value_is_preferred(name):
    hole, value = EXACT[name]
    space = pg.search_space(pg.Dict(a=hole))
    dna = space.encode(pg.Dict(a=value))
    assert dna.choices[0] == 1
    assert pg.eq(space.decode(dna), pg.Dict(a=value), strict=True)


def test_wide_spaces_are_encoded_and_hopeless_searches_given_up():
    space = pg.search_space([pg.oneof([1, 2, 1]) for _ in range(10_000)])
    value = space.decode(space.random(jax.random.key(0)))
    start = time.process_time()
    assert space.decode(space.encode(value)) == value
    with pytest.raises(pg.DnaError, match=r"\[9999\].*20,000 attempts; the first failed: 'z' is none of the 3"):
        space.encode(pg.List([*value[:-1], 'z']))
    assert time.process_time() - start < 20  # it does not hang


def test_what_stands_deep_inside_of_choices_is_compared_no_more_often():
    def compared(depth):
        met = []

        class Noted:
            def __eq__(self, other):
                met.append(other)
                return isinstance(other, Noted)

            __hash__ = object.__hash__

        value, hole = Noted(), pg.oneof([pg.oneof([1, 2]), Noted()])
        for _ in range(depth):
            value, hole = pg.Dict(x=value), pg.oneof([pg.Dict(x=hole), 0])
        assert pg.search_space(pg.Dict(a=hole)).encode(pg.Dict(a=value)).choices[-2:].tolist() == [1, 0]
        return len(met)

    assert compared(2) == compared(20)
