"""Islands and species: populations inside a population."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search
from pgjax.search.evolution import distance

REGULARIZED = search.RegularizedEvolution(population_size=6, tournament_size=2, batch_size=2)
CONTROLLERS = {
    'islands': (search.Islands(REGULARIZED, number=3, interval=2, emigrants=2), 1),
    'islands of islands': (search.Islands(search.Islands(search.Random(batch_size=2), number=2), number=2), 1),
    'species': (search.NEAT(population_size=8, max_species=3, batch_size=6, champion_size=1), 1),
}  # fmt: skip


@pytest.mark.parametrize('name', ['islands', pytest.param('islands of islands', marks=pytest.mark.slow), 'species'])
def test_contract(name):
    controller, objectives = CONTROLLERS[name]
    search.testing.check_controller(controller, num_objectives=objectives)


LINE = pg.search_space([pg.floatv(0.0, 1.0)])


class Witness(search.Controller, type_name='tests.Witness'):
    """Remembers how many points it was told, and the best two."""

    batch_size: int = 2

    def init(self, space, key, num_objectives=1) -> Any:
        return {'number': jnp.int32(0), 'best': jnp.zeros(2), 'where': jnp.zeros(2)}

    def ask(self, space, state, key):
        return space.random(key, (self.batch_size,)), state

    def tell(self, space, state, dna, fitness):
        values = jnp.concatenate([state['best'], fitness[:, 0]])
        order = jnp.argsort(-values, stable=True)[:2]
        where = jnp.concatenate([state['where'], dna.floats[:, 0]])
        return {'number': state['number'] + len(fitness), 'best': values[order], 'where': where[order]}


def test_the_best_of_each_island_travel_to_the_next():
    islands = search.Islands(Witness(), number=3, interval=2)
    tell = jax.jit(lambda s, d, f: islands.tell(LINE, s, d, f))
    state = islands.init(LINE, jax.random.key(0))

    def told(values):
        floats = jnp.array(values, jnp.float32)[:, None] / 64
        return pg.DNA(jnp.zeros((len(values), 0), jnp.int32), floats), floats * 64

    state = tell(state, *told([1, 2, 3, 40, 5, 6]))  # point i belongs to island i % 3
    assert state.islands['best'].tolist() == [[40, 1], [5, 2], [6, 3]]
    assert state.islands['number'].tolist() == [2, 2, 2]
    state = tell(state, *told([7, 50]))  # an incomplete batch: the third island learns nothing
    assert state.islands['number'].tolist() == [2 + 1 + 1, 2 + 1 + 1, 2 + 0 + 1]  # and one immigrant each
    # 40, 50 and 6 were the best of their islands, and went on by one.
    assert state.islands['best'].tolist() == [[40, 7], [50, 40], [50, 6]]
    assert (state.islands['where'] * 64).tolist() == state.islands['best'].tolist()
    state = tell(state, *told([1, 1, 1, 2, 2, 2]))
    assert state.islands['number'].tolist() == [6, 6, 5]  # no migration now
    state = tell(state, *told([3, 3, 3]))
    assert state.islands['number'].tolist() == [8, 8, 7]
    assert state.islands['best'].tolist() == [[40, 7], [50, 40], [50, 6]]  # only what came since the last time travels


def test_resized_islands():
    assert search.Islands(REGULARIZED, number=3).resized(12).controller.batch_size == 4
    with pytest.raises(pg.ControllerError, match='3 islands need a batch size that is a multiple of it, got 8'):
        search.Islands(REGULARIZED, number=3).resized(8)


def test_islands_without_migration_are_searches_apart():
    islands = search.Islands(Witness(), number=2, interval=0)
    state = islands.init(LINE, jax.random.key(0))
    dna, state = islands.ask(LINE, state, jax.random.key(1))
    alone = Witness()
    for i, key in enumerate(jax.random.split(jax.random.key(1), 2)):
        assert alone.ask(LINE, None, key)[0].floats.tolist() == dna.floats[i::2].tolist()
    state = islands.tell(LINE, state, dna, dna.floats)
    assert state.islands['best'].tolist() == [sorted(dna.floats[i::2, 0].tolist(), reverse=True) for i in range(2)]


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'number': 0}, 'number = 0'),
        ({'emigrants': 3}, 'emigrants = 3 is out of range: between 1 and the batch size of one island, 2'),
        ({'interval': -1}, 'interval = -1'),
    ],
)
def test_island_settings_out_of_range(settings, words):
    with pytest.raises(pg.ControllerError, match=words):
        search.Islands(REGULARIZED, **settings).init(LINE, jax.random.key(0))


def distance_twin(space, a, b, disjoint, matching):
    """By the decisions' names: what `to_dict` gives for both."""
    (x, y), total = (space.to_dict(p, include_inactive_decisions=True) for p in (a, b)), 0.0
    used = 0
    for d in space.decisions:
        u, v = x[d.id], y[d.id]
        used += u is not None or v is not None
        if (u is None) != (v is None):
            total += disjoint
        elif u is not None:
            if d.kind == 'int':
                total += matching * abs(u - v) / max(d.high - d.low, 1)
            elif d.kind == 'choice':
                total += matching * (u != v)
            else:
                total += matching * abs(float(a.floats[d.column]) - float(b.floats[d.column]))
    return total / used


def test_distance_is_that_of_the_decisions_in_use():
    space = search.testing.mixed_space()
    points = jax.tree.map(np.asarray, space.random(jax.random.key(0), (30,)))
    rolled = jax.tree.map(lambda x: np.roll(x, 1, 0), points)
    found = jax.jit(jax.vmap(lambda a, b: distance(space, a, b, 2.0, 0.5)))(points, rolled)
    wanted = [distance_twin(space, points[i], rolled[i], 2.0, 0.5) for i in range(30)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    same = jax.jit(jax.vmap(lambda a, b: distance(space, a, b)))(points, points)
    assert (same == 0).all()


NEAT = search.NEAT(population_size=12, max_species=4, batch_size=4, compatibility_threshold=0.1, champion_size=2)
tell = jax.jit(lambda s, x, f: NEAT.tell(LINE, s, pg.DNA(jnp.zeros((len(x), 0), jnp.int32), x[:, None]), f[:, None]))


def grown(places, fitness):
    state = NEAT.init(LINE, jax.random.key(0))
    return tell(state, jnp.array(places, jnp.float32), jnp.array(fitness, jnp.float32))


def test_every_point_is_of_one_species_and_near_its_first():
    rng = np.random.default_rng(0)
    for _ in range(5):
        places = rng.uniform(0, 1, 12).astype(np.float32)
        species, founders = [], []
        for x in places:  # by the definition
            near = [s for s, first in enumerate(founders) if abs(x - first) < np.float32(0.1)]
            if not near and len(founders) < 4:
                founders.append(x)
                near = [len(founders) - 1]
            species.append(near[0] if near else int(np.argmin([abs(x - first) for first in founders])))
        state = grown(places[::-1], np.zeros(12))  # the youngest come first in the population
        assert state.species.tolist() == species
        assert np.bincount(state.species, minlength=4).sum() == 12


def test_species_share_what_they_earn():
    """A large species of fitness 2 to 3 and a single point of fitness 4: children in proportion to their means."""
    state = grown([0.5] * 11 + [0.9], [2.0] * 5 + [3.0] * 5 + [math.nan] + [4.0])
    shares = np.asarray(NEAT.shares(state))
    above = {2.0: 0 + 2 / 12, 3.0: 1 + 2 / 12, 4.0: 2 + 2 / 12}  # above the worst, and a little for that one too
    large, small = (above[2.0] * 5 + above[3.0] * 5) / 11, above[4.0]
    single = int(np.flatnonzero(np.asarray(state.fitness) == 4.0)[0])
    assert shares[single] / shares.sum() == pytest.approx(small / (small + large), rel=1e-5)
    parents = np.flatnonzero(shares)
    heirs = [f for i, f in enumerate(state.fitness.tolist()) if i in parents and i != single]
    assert sorted(heirs) == [2.0] + [3.0] * 5  # the better half of 11, rounded up


def test_shares_of_fitness_whose_extent_is_infinite():
    """Two species of one: the better one has nearly all children, and the failed point none."""
    state = grown([0.1, 0.5, 0.9], [3e38, -3e38, math.nan])
    shares, fitness = np.asarray(NEAT.shares(state)), state.fitness.tolist()
    by_fitness = dict(zip(fitness, shares / shares.sum(), strict=True))
    assert by_fitness[np.float32(3e38)] == pytest.approx(13 / 14)
    assert by_fitness[np.float32(-3e38)] == pytest.approx(1 / 14)


def test_shares_where_all_are_equal_or_failed():
    state = grown([0.5] * 12, [1.0] * 12)
    assert np.count_nonzero(np.asarray(NEAT.shares(state))) == 6
    state = grown([0.5] * 6, [math.nan] * 6)
    assert np.asarray(NEAT.shares(state)).tolist() == [1.0] * 6 + [0.0] * 6


def test_champions_stay_and_the_oldest_go():
    state = grown([0.5] * 10 + [0.9, 0.1], [*range(10), 50, 60])
    for step in range(4):
        state = tell(state, jnp.full(4, 0.5) + 0.01 * step, jnp.zeros(4))
    trials = set(state.trial.tolist())
    assert 9 in trials  # the champion of the one large species
    assert trials - {9} == set(range(17, 28))  # small species are gone with their age


def test_neat_solves_a_problem_with_two_peaks():
    """The broad peak at 0.25 is half as high as the narrow one at 0.8; species keep looking elsewhere."""
    template = pg.Dict(x=pg.floatv(0.0, 1.0))

    def evaluate(exp, key):
        return {'f': jnp.maximum(1 - 4 * jnp.abs(exp.x - 0.25), 2 - 40 * jnp.abs(exp.x - 0.8))}

    controller = search.NEAT(population_size=20, batch_size=20, compatibility_threshold=0.1, max_species=8)
    loop = jax.jit(search.compile(template, evaluate, controller, objectives='f'), static_argnums=1)
    assert loop(jax.random.key(0), 30).best.fitness[0] > 1.9


def test_neat_settings_out_of_range():
    with pytest.raises(pg.ControllerError, match=r'max_species = 16 .*between 1 and population_size 8'):
        search.NEAT(population_size=8).init(LINE, jax.random.key(0))
    assert dataclasses.is_dataclass(NEAT.init(LINE, jax.random.key(0)))


def test_what_works_on_the_host_alone_is_refused():
    pytest.importorskip('optuna')
    with pytest.raises(pg.ControllerError, match='Islands runs in one compiled program, and Optuna works on the host'):
        search.Islands(search.adapters.optuna()).init(pg.search_space([pg.intv(0, 9)]), jax.random.key(0))
