"""The order of points inside compiled programs: indices in arrays lead to the points that enumeration meets."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from space_zoo import ZOO, build, specs

import pgjax as pg

MOST = 64  # points compared of one space: one shape for all

shared = pg.oneof([1, 2, 3], name='shared')
SPACES = {
    'conditional tie': pg.Dict(a=pg.oneof([0, shared]), b=pg.oneof([shared, 0, pg.Dict(x=shared)])),
    'permutation': pg.Dict(order=pg.permutate('abcd'), flag=pg.oneof([True, False])),
    'sorted with repeats': [pg.manyof(3, range(4), distinct=False, sorted=True), pg.oneof('xy')],
    'groups of groups': build(ZOO['manyof_of_manyof'], pg),
    'one point': [pg.oneof(['only'])],
}


def stacked(points):
    points = list(points)
    return pg.DNA(np.stack([p.choices for p in points]), np.stack([p.floats for p in points]))


def check_indices(space, grid=None):
    size = space.size if grid is None else space.grid_size(grid)
    index = np.arange(MOST) % size
    points = list(itertools.islice(space.iterate() if grid is None else space.grid(grid), MOST))
    assert space.nth(index, grid) == stacked(points[i] for i in index)
    last = size - 1 - index
    assert space.nth(last, grid) == stacked(space.nth(int(i), grid) for i in last)


@pytest.mark.parametrize('name', SPACES)
def test_arrays_of_indices_agree_with_enumeration(name):
    check_indices(pg.search_space(SPACES[name]))


@settings(max_examples=8)
@given(specs(floats=False))
def test_random_spaces_agree_with_enumeration(spec):
    check_indices(pg.search_space(build(spec, pg)))


@pytest.mark.parametrize('grid', [1, 3])
def test_grids_have_positions_too(grid):
    template = pg.Dict(
        a=pg.oneof([pg.Dict(x=pg.floatv(1e-3, 1.0, scale='log'), n=pg.intv(1, 100)), 0]), b=pg.intv(0, 1)
    )
    space = pg.search_space(template)
    assert space.grid_size(grid) == len(list(space.grid(grid)))
    check_indices(space, grid)
    assert space.nth(-1, grid) == list(space.grid(grid))[-1]


def test_indices_of_arrays_are_taken_modulo_the_size():
    space = pg.search_space([pg.permutate('abc')])
    around = jax.jit(space.nth)(jnp.array([[-1, 0], [6, 2**31 - 1]]))
    assert around.shape == (2, 2)
    assert [space.rank(space.check(row)) for row in (around[0], around[1])] == [[5, 0], [0, (2**31 - 1) % 6]]


@pytest.mark.slow
def test_spaces_too_large_or_too_irregular_are_refused():
    with pytest.raises(pg.SpaceError, match=r'4294967296 points are too many.*coarser grid'):
        pg.search_space([pg.intv(0, 65535), pg.intv(0, 65535)]).nth(jnp.arange(2))
    with pytest.raises(pg.SpaceError, match='too irregular'):
        pg.search_space([pg.manyof(3, range(1200), distinct=True)]).nth(jnp.arange(2))
    with pytest.raises(pg.SpaceError, match='floats'):
        pg.search_space([pg.floatv(0.0, 1.0)]).nth(jnp.arange(2))
