"""Parts shared many times over: sixty pairs of pairs, 2**60 parts to a walk that does not see that they are one."""

from typing import Any

import pytest

import pgjax as pg


class Pair(pg.Object):
    left: Any
    right: Any


class Widths(pg.Object):
    widths: list[int]


def doubled(pair: Any, leaf: Any = 1) -> Any:
    part = pair(leaf, [2])
    for _ in range(60):
        part = pair(part, part)
    return part


PAIRS = {
    'object': Pair,
    'List': lambda a, b: pg.List([a, b]),
    'Dict': lambda a, b: pg.Dict(a=a, b=b),
    'list': lambda a, b: [a, b],
    'dict': lambda a, b: {'a': a, 'b': b},
    'tuple': lambda a, b: (a, b),
}


@pytest.mark.parametrize('pair', PAIRS.values(), ids=PAIRS)
def test_what_is_shared_many_times_over_is_looked_at_once(pair):
    left, right, other = doubled(pair), doubled(pair), doubled(pair, 7)
    assert pg.eq(left, right) and pg.eq(left, right, strict=True) and not pg.eq(left, other)
    assert pg.hash(left) == pg.hash(doubled(pair))
    assert not pg.diff(left, right)
    assert not pg.is_partial(left) and not pg.is_abstract(left) and pg.is_concrete(left)
    assert pg.contains(left, 2) and not pg.contains(left, 99)
    assert pg.resolve(left) is left
    held = Pair(left, 1)
    assert held.rebind(left=right, raise_on_no_change=False) is held


@pytest.mark.parametrize('pair', PAIRS.values(), ids=PAIRS)
def test_an_open_part_is_found_among_shared_ones(pair):
    shared = doubled(pair)
    value = [shared, pg.MISSING, shared, {'x': pg.MISSING}]
    assert pg.is_partial(value) and not pg.is_concrete(value)
    with pytest.raises(pg.PlaceholderError, match=r'a\[1\], a\[3\]\.x'):
        add(value)()


@pg.functor
def add(a):
    return a


def test_built_in_containers_that_are_shared_stay_shared():
    widths = [64, 32]
    both = pg.List([widths, widths])
    assert both[0] is both[1]


def test_a_difference_beside_much_that_is_shared():
    left, right = Pair(doubled(Pair), 1), Pair(doubled(Pair), 2)
    assert str(pg.diff(left, right)) == '- right: 1\n+ right: 2'


def test_a_message_does_not_write_all_of_a_large_value():
    with pytest.raises(pg.FieldTypeError, match=r'expected int, got List \[\['):
        Widths([doubled(PAIRS['List'])])
