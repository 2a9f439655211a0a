"""PyGlove 0.4.5 as an oracle: the same spaces have the same points, in the same order, written in the same way.

Where pgjax differs on purpose, `test_differs_*` says why.
"""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from space_zoo import FINITE, ZOO, build, plain, specs

import pgjax as pg

pyglove = pytest.importorskip('pyglove')

MOST = 120  # points compared of one space

VIEWS = [
    ('id', 'value', 'subchoice', False),
    ('id', 'choice', 'parent', True),
    ('id', 'value', 'both', True),
    ('name_or_id', 'value', 'subchoice', True),
    ('name_or_id', 'choice', 'parent', False),
    ('name_or_id', 'value', 'both', False),
]


def pair(spec):
    """The space, and PyGlove's template and specification of it."""
    template = pyglove.template(build(spec, pyglove))
    return pg.search_space(build(spec, pg)), template, template.dna_spec()


def check_size(space, dna_spec):
    assert space.size == (math.inf if dna_spec.space_size == -1 else dna_spec.space_size)


def check_points(space, template, dna_spec):
    theirs = itertools.islice(dna_spec.iter_dna(), MOST)
    ours = itertools.islice(space.iterate(), MOST)
    for dna, point in itertools.zip_longest(ours, theirs):
        assert space.to_numbers(dna) == point.to_numbers()
        assert plain(space.decode(dna)) == plain(template.decode(point))


def check_views(space, template, dna_spec, seed=0, n=2):
    rng = random.Random(seed)
    for _ in range(n):
        point = dna_spec.random_dna(rng)
        dna = space.from_numbers(point.to_numbers())
        np.testing.assert_allclose(*map(_floats, (space.to_numbers(dna), point.to_numbers())), rtol=1e-6)
        assert _round(plain(space.decode(dna))) == _round(plain(template.decode(point)))
        for view in VIEWS:
            assert _round(space.to_dict(dna, *view)) == _round(point.to_dict(*view)), view
        assert space.from_dict(point.to_dict()) == dna


def _floats(numbers):
    return np.array(numbers, float)


def _round(value):
    """Floats to six digits: a gene of pgjax is a float32 on the scale, one of PyGlove a float64."""
    if isinstance(value, float):
        return float(f'{value:.5g}')
    if isinstance(value, dict):
        return {key: _round(part) for key, part in value.items()}
    return [_round(part) for part in value] if isinstance(value, (list, tuple)) else value


def test_the_zoo_is_large_enough():
    assert len(ZOO) >= 60


@pytest.mark.parametrize('name', ZOO)
def test_zoo_has_the_same_size_ids_and_views(name):
    space, template, dna_spec = pair(ZOO[name])
    check_size(space, dna_spec)
    ids = dict.fromkeys(d.id if d.parent is None else d.parent for d in space.decisions)
    assert list(ids) == [str(i) for i in dna_spec.decision_ids]
    check_views(space, template, dna_spec)


@pytest.mark.slow
@pytest.mark.parametrize('name', FINITE)
def test_zoo_has_the_same_points_in_the_same_order(name):
    check_points(*pair(FINITE[name]))


@settings(max_examples=40)
@given(specs())
def test_random_nested_spaces_agree(spec):
    space, template, dna_spec = pair(spec)
    check_size(space, dna_spec)
    check_views(space, template, dna_spec, n=1)
    if not space.num_floats:
        check_points(space, template, dna_spec)


@pytest.mark.parametrize('value_type', ['literal', 'choice_and_literal'])
def test_literals_of_constants_agree(value_type):
    space, _, dna_spec = pair({'x': ZOO['oneof_none']['x'], 'y': ZOO['permutate_4']['x']})
    for dna, point in zip(space.iterate(), dna_spec.iter_dna(), strict=True):
        assert space.to_dict(dna, value_type=value_type) == point.to_dict('name_or_id', value_type)


def test_partial_decoding_agrees():
    def template(library):
        return library.Dict(x=library.oneof([1, 2], hints='hw'), y=library.oneof([3, 4], hints='nas'))

    ours = pg.search_space(template(pg), where=lambda h: h.hints == 'hw')
    theirs = pyglove.template(template(pyglove), where=lambda h: h.hints == 'hw')
    assert ours.size == theirs.dna_spec().space_size == 2
    assert ours.decode(ours.first()) == {'x': 1, 'y': pg.oneof([3, 4], hints='nas')}
    assert isinstance(theirs.decode(theirs.dna_spec().first_dna()).y, pyglove.hyper.OneOf)


def test_differs_in_repeated_names():
    """PyGlove refuses two decisions of one name in a template, and ties them in running code; pgjax always ties."""
    template = build({'x': ZOO['named']['x'], 'y': ZOO['named']['x']}, pyglove)
    with pytest.raises(ValueError):
        pyglove.dna_spec(template)
    assert pg.search_space(build({'x': ZOO['named']['x'], 'y': ZOO['named']['x']}, pg)).size == 2


def test_differs_in_tuples():
    """PyGlove does not see a hole inside a tuple (trap T15)."""
    assert pyglove.dna_spec(pyglove.Dict(x=(pyglove.oneof([1, 2]), 3))).space_size == 1
    assert pg.search_space(pg.Dict(x=(pg.oneof([1, 2]), 3))).size == 2


def test_differs_in_scales():
    """PyGlove samples a log range linearly (trap T6); pgjax samples uniformly on the scale."""
    import jax

    rng = random.Random(0)
    dna_spec = pyglove.dna_spec(pyglove.Dict(x=pyglove.floatv(1e-4, 1.0, scale='log')))
    theirs = np.mean([dna_spec.random_dna(rng).to_numbers()[0] < 1e-2 for _ in range(400)])
    space = pg.search_space(pg.Dict(x=pg.floatv(1e-4, 1.0, scale='log')))
    ours = np.mean([p.x < 1e-2 for p in space.decode(space.random(jax.random.key(0), (400,)))])
    assert theirs < 0.05 and abs(ours - 0.5) < 5 * np.sqrt(0.25 / 400)


def test_differs_in_negative_and_bool_decisions():
    """PyGlove accepts both (trap T14)."""
    space = pg.search_space(pg.Dict(x=pg.oneof([1, 2])))
    for number in (-1, True):
        with pytest.raises(pg.DnaError):
            space.from_numbers([number])


def test_differs_in_arithmetic():
    """PyGlove's holes know no arithmetic (trap T20)."""
    with pytest.raises(TypeError):
        _ = 2 * pyglove.oneof([1, 2])  # pyright: ignore[reportOperatorIssue]
    assert pg.search_space([2 * pg.oneof([1, 2])]).size == 2
