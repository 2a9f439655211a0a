"""Sweeps: every point once and in order, in shards, over grids, and what comes after the last one."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search

SPACE = pg.search_space(
    pg.Dict(
        model=pg.oneof([pg.Dict(depth=pg.intv(1, 3), act=pg.oneof('ab')), 'flat']),
        order=pg.permutate([1, 2, 3]),
        pair=pg.manyof(2, range(3), sorted=True),
    )
)
NUMBERS = pg.search_space(pg.Dict(n=pg.intv(0, 100), x=pg.oneof([pg.floatv(1e-4, 1.0, scale='log'), 0.0])))


def swept(sweep, space, generations):
    """Every point of some generations, and the last state."""
    ask = jax.jit(lambda state: sweep.ask(space, state, jax.random.key(0)))
    state = sweep.init(space, jax.random.key(0))
    batches = []
    for _ in range(generations):
        dna, state = ask(state)
        batches.append(dna)
    return [space.check(dna[i]) for dna in batches for i in range(len(dna))], state


def test_contract():
    search.testing.check_controller(search.Sweep(batch_size=6, grid=2))
    search.testing.check_controller(search.Sweep(batch_size=5), pg.search_space({'only': pg.oneof(['a'])}))


def test_every_point_once_and_in_order():
    sweep = search.Sweep(batch_size=20)
    assert sweep.generations(SPACE) == 7
    points, _ = swept(sweep, SPACE, 7)
    assert points[: SPACE.size] == list(SPACE.iterate())


def test_after_the_last_point_comes_the_first():
    sweep = search.Sweep(batch_size=50)
    points, state = swept(sweep, SPACE, 6)
    assert points == list(itertools.islice(itertools.cycle(SPACE.iterate()), 300))
    assert int(state.rounds) == 300 // SPACE.size and int(state.position) == 300 % SPACE.size


def test_a_space_smaller_than_a_batch_goes_round_within_it():
    space = pg.search_space([pg.oneof('abc')])
    points, state = swept(search.Sweep(batch_size=8), space, 1)
    assert [space.decode(p)[0] for p in points] == list('abcabcab')
    assert int(state.rounds) == 2


def test_shards_are_ranges_of_positions():
    edges = [0, 31, 70, SPACE.size]
    shards = [search.Sweep(batch_size=8, start=a, stop=b) for a, b in itertools.pairwise(edges)]
    points = [p for s in shards for p in swept(s, SPACE, s.generations(SPACE))[0][: s.number(SPACE)]]
    assert points == list(SPACE.iterate())


def test_numbers_are_swept_on_a_grid():
    sweep = search.Sweep(batch_size=16, grid=3)
    points, _ = swept(sweep, NUMBERS, sweep.generations(NUMBERS))
    assert points[:12] == list(NUMBERS.grid(3)) and sweep.number(NUMBERS) == 12
    assert [round(NUMBERS.decode(p).x, 6) for p in points[:4]] == [1e-4, 1e-2, 1.0, 0.0]


def test_a_study_of_a_sweep_is_the_same_however_it_was_cut(tmp_path):
    def evaluate(exp, key):
        return {'y': jnp.float32(exp.y) * exp.x}

    def study(path):
        template = pg.Dict(x=pg.floatv(0.0, 1.0), y=pg.floatv(1.0, 2.0, step=0.25))
        return search.Study(template, search.Sweep(batch_size=4, grid=4), objectives='y', path=path)

    whole = study(None).run(evaluate, 4, progress=False)
    study(tmp_path / 's').run(evaluate, 3, progress=False)
    resumed = search.Study.load(tmp_path / 's').run(evaluate, 1, progress=False)
    assert resumed.history.dna == whole.history.dna
    assert len(np.unique(np.concatenate([resumed.history.dna.choices, resumed.history.dna.floats], 1), axis=0)) == 16


def test_positions_do_not_overflow():
    space = pg.search_space([pg.intv(0, 2**31 - 3)])
    sweep = search.Sweep(batch_size=4, start=2**31 - 5)
    points, state = swept(sweep, space, 1)
    top = 2**31 - 3
    assert [space.decode(p)[0] for p in points] == [top - 2, top - 1, top, top - 2]
    whole = search.Sweep(batch_size=4)
    late = dataclasses.replace(whole.init(space, jax.random.key(0)), position=jnp.int32(top - 1))
    dna, state = whole.ask(space, late, jax.random.key(0))
    assert dna.choices[:, 0].tolist() == [top - 1, top, 0, 1] and int(state.position) == 2


@pytest.mark.parametrize(
    ('sweep', 'template', 'words'),
    [
        (search.Sweep(), [pg.floatv(0.0, 1.0)], r'floats \(\[0\]\) has no end; .*grid=10'),
        (search.Sweep(), [pg.intv(0, 2**20), pg.intv(0, 2**20)], r'1099513724929 points.*coarser grid'),
        (search.Sweep(grid=0), [pg.intv(0, 3)], 'grid = 0'),
        (search.Sweep(start=4), [pg.intv(0, 3)], 'start = 4 .*between 0 and 3'),
        (search.Sweep(start=2, stop=2), [pg.intv(0, 3)], 'stop = 2 .*between 3 and 4'),
        (search.Sweep(batch_size=0), [pg.intv(0, 3)], 'batch_size = 0'),
    ],
)
def test_what_cannot_be_swept_is_refused(sweep, template, words):
    with pytest.raises(pg.ControllerError, match=words):
        sweep.init(pg.search_space(template), jax.random.key(0))
