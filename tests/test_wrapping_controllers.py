"""Controllers made of controllers: no duplicates, a warm start, one after the other, side by side."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search

FIVE, THREE = [0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0]  # floats: the space has one structure
SMALL = pg.search_space(pg.Dict(x=pg.oneof(FIVE), y=pg.manyof(2, THREE, sorted=True)))  # 15 points


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Seen:
    asked: jax.Array
    told: jax.Array
    sum: jax.Array
    last: pg.DNA
    parents: jax.Array


class Recording(search.Controller):
    """Proposes the point that it was told last, and then the points `first`, `first` + 1, ... of a finite space."""

    batch_size: int = 2
    first: int = 0

    def init(self, space, key, num_objectives=1):
        zero, none = jnp.int32(0), jnp.full((self.batch_size, 1), -1, jnp.int32)
        return Seen(jnp.int32(self.first), zero, jnp.float32(0), jax.tree.map(jnp.asarray, space.first()), none)

    def ask(self, space, state, key):
        dna = space.nth(state.asked + jnp.arange(self.batch_size))
        dna = jax.tree.map(lambda new, last: new.at[0].set(jnp.where(state.told > 0, last, new[0])), dna, state.last)
        parents = jnp.full((self.batch_size, 1), -1, jnp.int32).at[0].set(state.told - 1)
        return dna, dataclasses.replace(state, asked=state.asked + self.batch_size, parents=parents)

    def tell(self, space, state, dna, fitness):
        last = jax.tree.map(lambda rows: jnp.asarray(rows[-1]), dna)
        total = state.sum + fitness.sum()
        return dataclasses.replace(state, told=state.told + len(fitness), sum=total, last=last)


class HostOnly(Recording):
    @property
    def traceable(self):
        return False


RANDOM = search.Random(batch_size=4)
RECORDING = Recording(batch_size=4)
EVOLUTION = search.RegularizedEvolution(population_size=6, tournament_size=2, batch_size=4)
CONTROLLERS = {
    'dedup': search.Dedup(RANDOM, memory=256),
    'portfolio': search.Portfolio([RANDOM, RECORDING]),
    'portfolio, apart': search.Portfolio([RECORDING, RANDOM.resized(2)], share=False),
    'chain': search.Chain([RANDOM, RECORDING], [8]),
    'prior': search.Prior(RECORDING, SMALL.nth(np.array([3, 9, 3, 11, 2, 0]))),
}


@functools.cache
def compiled(controller, space):
    """`ask` and `tell` as jitted functions."""
    return (
        jax.jit(lambda state, key: controller.ask(space, state, key)),
        jax.jit(lambda state, dna, fitness: controller.tell(space, state, dna, fitness)),
    )


def asks(controller, space, generations):
    """The ranks of all proposals, and the last state."""
    ask, tell = compiled(controller, space)
    state, ranks = controller.init(space, jax.random.key(0)), []
    for key in jax.random.split(jax.random.key(1), generations):
        dna, state = ask(state, key)
        ranks += space.rank(space.check(dna))
        state = tell(state, dna, dna.choices.sum(-1, keepdims=True).astype(jnp.float32))
    return ranks, state


@pytest.mark.parametrize('name', CONTROLLERS)
def test_contract(name):
    search.testing.check_controller(CONTROLLERS[name], SMALL)


@pytest.mark.slow
def test_contract_of_dedup_in_a_space_of_one_point():
    search.testing.check_controller(CONTROLLERS['dedup'], pg.search_space({'only': pg.oneof(['a'])}))


@pytest.mark.slow
def test_contract_of_dedup_in_a_mixed_space():
    search.testing.check_controller(search.Dedup(RANDOM))


@pytest.mark.parametrize('name', CONTROLLERS)
def test_is_a_symbolic_value(name):
    controller = CONTROLLERS[name]
    assert pg.from_json_str(pg.to_json_str(controller)) == controller
    assert controller.batch_size == {'portfolio': 8, 'portfolio, apart': 6}.get(name, 4)
    assert controller.resized(3).batch_size == 3


# --- Dedup


def test_dedup_finds_every_point_of_a_small_space_before_any_twice():
    ranks, state = asks(CONTROLLERS['dedup'], SMALL, 5)
    assert len(set(ranks[:12])) == 12 and set(ranks[:16]) == set(range(15)), 'all that there are'
    assert int(state.repeats) == 5, 'a full batch still comes when there is nothing new'


def test_dedup_of_evolution_repeats_nothing_until_it_must():
    ranks, state = asks(search.Dedup(EVOLUTION), SMALL, 4)
    assert len(set(ranks)) == 15
    assert int(state.repeats) == 1


@pytest.mark.slow
def test_dedup_knows_points_that_it_was_only_told():
    controller = CONTROLLERS['dedup']
    ask, tell = compiled(controller, SMALL)
    state = tell(controller.init(SMALL, jax.random.key(0)), SMALL.nth(np.arange(8)), jnp.zeros((8, 1)))
    dna, _ = ask(state, jax.random.key(3))
    ranks = SMALL.rank(SMALL.check(dna))
    assert min(ranks) >= 8 and len(set(ranks)) == 4


def test_dedup_of_a_controller_that_insists_falls_back_to_random_points():
    controller = search.Dedup(RECORDING)
    ask, _ = compiled(controller, SMALL)
    state = controller.init(SMALL, jax.random.key(0))
    first, asked = ask(state, jax.random.key(0))
    again, asked = ask(dataclasses.replace(asked, inner=state.inner), jax.random.key(1))  # the same four points
    ranks = SMALL.rank(SMALL.check(first)) + SMALL.rank(SMALL.check(again))
    assert ranks[:4] == [0, 1, 2, 3] and len(set(ranks)) == 8
    assert (np.asarray(asked.parents) == -1).all()


class Memory:
    """The plain twin of the hash table: lists that forget their oldest."""

    def __init__(self, buckets, size):
        self.buckets: list[list[Any]] = [[] for _ in range(buckets)]
        self.size = size

    def add(self, row):
        bucket = self.buckets[int(row[0]) % len(self.buckets)]
        bucket.append(tuple(row))
        del bucket[: -self.size]

    def has(self, row):
        return tuple(row) in self.buckets[int(row[0]) % len(self.buckets)]


def test_the_memory_forgets_the_oldest_of_a_full_bucket():
    from pgjax.search._wrappers import _memory

    twin, memory = Memory(4, _memory.BUCKET), _memory.empty(64)
    rng = np.random.default_rng(0)
    remember, contains = jax.jit(_memory.remember), jax.jit(_memory.contains)
    shown = rng.integers(0, 40, (12, 16, 2)).astype(np.uint32)  # few values: many are equal
    for rows in shown:
        found = np.array([twin.has(row) for row in rows])
        np.testing.assert_array_equal(contains(memory, rows), found)
        earlier = np.array([any((row == other).all() for other in rows[:i]) for i, row in enumerate(rows)])
        np.testing.assert_array_equal(_memory.repeats(jnp.asarray(rows)), earlier)
        new = ~found & ~earlier
        memory = remember(memory, rows, new)
        for row in rows[new]:
            twin.add(row)
    assert max(map(len, twin.buckets)) == _memory.BUCKET


@pytest.mark.parametrize('number', [200, 2000])
def test_a_batch_may_be_larger_than_the_memory(number):
    """Of what does not fit the last of each bucket stay, in whatever order a device writes."""
    from pgjax.search._wrappers import _memory

    twin, memory = Memory(4, _memory.BUCKET), _memory.empty(64)
    prints = np.random.default_rng(1).permutation(2 * number)[: 2 * number].reshape(number, 2).astype(np.uint32)
    memory = jax.jit(_memory.learn)(memory, prints[:40])
    memory = jax.jit(_memory.learn)(memory, np.concatenate([prints[10:], prints[50:90]]))
    for row in prints:
        twin.add(row)
    np.testing.assert_array_equal(jax.jit(_memory.contains)(memory, prints), [twin.has(row) for row in prints])
    counted = np.bincount(prints[:, 0] % 4, minlength=4)
    np.testing.assert_array_equal(memory.written, counted)


@pytest.mark.parametrize('number', [7, 40, 1500])
def test_no_settled_row_gives_way_to_an_equal_one(number):
    from pgjax.search._wrappers import _memory

    rng = np.random.default_rng(number)
    prints = rng.integers(0, number, (number, 2)).astype(np.uint32) % np.uint32(max(2, number // 20))
    settled = np.zeros(number, bool)
    settled[[np.flatnonzero((prints == row).all(1))[-1] for row in prints[:: number // 3]]] = True
    order = np.argsort(~settled, kind='stable')
    seen, expected = set(), np.zeros(number, bool)
    for row in order:
        expected[row] = tuple(prints[row]) in seen
        seen.add(tuple(prints[row]))
    np.testing.assert_array_equal(jax.jit(_memory.repeats)(prints, settled), expected)


# --- Prior


def test_prior_points_come_first_and_in_order():
    ranks, state = asks(CONTROLLERS['prior'], SMALL, 3)
    assert ranks[:8] == [3, 9, 3, 11, 2, 0, 6, 7], 'they stand where the first six of the controller would'
    assert ranks[8:] == [7, 9, 10, 11], 'which was told of them: the first is the last told'
    assert state.parents[:, 0].tolist() == [7, -1, -1, -1]


def test_prior_of_dna_and_of_objects_propose_the_same():
    points = SMALL.nth(np.array([12, 0, 5]))
    both = [search.Prior(RECORDING, p) for p in (points, SMALL.decode(points))]
    states = [c.init(SMALL, jax.random.key(0)) for c in both]
    assert states[0].dna == states[1].dna == points


@pytest.mark.parametrize(
    ('points', 'words'),
    [
        ([{'x': 9.0, 'y': [0.0, 1.0]}], r'Prior.points\[0\]: x'),
        ([], 'list of objects'),
        (3, 'list of objects, got 3'),
        (pg.DNA([0, 0, 1], []), 'leading axes'),
    ],
)
def test_prior_refuses_what_is_no_point(points, words):
    with pytest.raises(pg.ControllerError, match=words):
        search.Prior(RANDOM, points).init(SMALL, jax.random.key(0))


# --- Chain


def test_chain_takes_turns_and_all_learn_until_theirs_is_over():
    ranks, state = asks(search.Chain([Recording(batch_size=2), Recording(batch_size=2, first=8)], [3]), SMALL, 4)
    assert ranks == [0, 1, 1, 3, 3, 9, 9, 11], 'three points are two batches of two; the first is the last told'
    assert [int(inner.told) for inner in state.inner] == [2, 8], 'the first has made its last proposals by then'


LEARNERS = {
    'regularized': search.RegularizedEvolution(batch_size=4),
    'genetic': search.Genetic(batch_size=4),
    'nsga2': search.NSGA2(batch_size=4, population_size=8),
    'semo': search.SEMO(batch_size=4),
    'neat': search.NEAT(batch_size=4, population_size=32),
    'map-elites': search.MapElites(bounds=[(0.0, 1.0)], bins=4, batch_size=4),
    'bayesian': search.Bayesian(batch_size=4),
    'tpe': search.TPE(batch_size=4),
}


@pytest.mark.parametrize('name', LEARNERS)
def test_what_others_found_takes_the_place_of_random_points(name):
    """Random points would be the same whatever was told."""
    space = pg.search_space([pg.oneof(FIVE) for _ in range(6)])
    key, random_key = jax.random.key(0), jax.random.key(1)
    dna = space.random(random_key, (64,))
    goal = dna.choices.sum(-1, keepdims=True) / 24.0
    fitness = jnp.repeat(goal, 2, axis=1) if name == 'map-elites' else goal
    controller = LEARNERS[name]
    start = controller.init(space, key, num_objectives=fitness.shape[1])

    def proposals(state):
        return controller.ask(space, state, key)[0].choices.tolist()

    def informed(fitness):
        return proposals(controller.tell(space, start, dna, fitness))

    random, after_good, after_bad = proposals(start), informed(fitness), informed(-fitness)
    assert after_good != after_bad
    assert random not in (after_good, after_bad)
    if name not in ('bayesian', 'tpe'):
        assert informed(jnp.full_like(fitness, jnp.nan)) == random


@pytest.mark.parametrize(
    ('chain', 'words'),
    [
        (search.Chain([RANDOM, RANDOM], []), r'numbers = \[\]'),
        (search.Chain([RANDOM, RANDOM], [0]), r'numbers = \[0\]'),
        (search.Chain([RANDOM, RANDOM.resized(3)], [8]), r'batch sizes \[4, 3\]'),
        (search.Chain([RANDOM, HostOnly(batch_size=4)], [8]), 'HostOnly works on the host alone'),
        (search.Dedup(HostOnly()), 'HostOnly works on the host alone'),
        (search.Portfolio([RANDOM, HostOnly()]), 'HostOnly works on the host alone'),
        (search.Portfolio([]), 'controllers'),
        (search.Dedup(RANDOM, memory=0), 'memory = 0'),
        (search.Dedup(RANDOM, attempts=0), 'attempts = 0'),
    ],
)
def test_settings_out_of_range(chain, words):
    with pytest.raises(pg.ControllerError, match=words):
        chain.init(SMALL, jax.random.key(0))


# --- Portfolio


def test_portfolio_deals_rows_and_tells_everyone_or_each_their_own():
    parts = [Recording(batch_size=2), Recording(batch_size=3, first=7)]
    fitness = jnp.arange(1.0, 6.0)[:, None]
    sums = {}
    for share in (True, False):
        controller = search.Portfolio(parts, share=share)
        ask, tell = compiled(controller, SMALL)
        dna, state = ask(controller.init(SMALL, jax.random.key(0)), jax.random.key(0))
        assert SMALL.rank(SMALL.check(dna)) == [0, 1, 7, 8, 9]
        sums[share] = [float(inner.sum) for inner in tell(state, dna, fitness).inner]
        few = tell(state, dna[:3], fitness[:3])
        assert [int(inner.told) for inner in few.inner] == ([3, 3] if share else [2, 1])
    assert sums == {True: [15.0, 15.0], False: [3.0, 12.0]}


def test_shares_of_a_resized_portfolio_stay_in_proportion():
    portfolio = search.Portfolio([RANDOM, RECORDING.resized(8)])
    assert [c.batch_size for c in portfolio.resized(6).controllers] == [2, 4]
    assert [c.batch_size for c in portfolio.resized(100).controllers] == [33, 67]
    with pytest.raises(pg.ControllerError, match='a batch of 1 has no row'):
        portfolio.resized(1)


@pytest.mark.parametrize('share', [True, False])
def test_parents_of_a_portfolio_are_trials_of_the_study(share):
    """A point told last is proposed again: it must equal the trial that is named as its parent."""
    controller = search.Portfolio([RANDOM, RECORDING], share=share)
    study = search.run(SMALL, lambda exp, key: {'y': jnp.float32(0)}, controller, objectives='y', generations=4)
    choices, parents = study.history.dna.choices, study.history.parents[:, 0]
    assert np.flatnonzero(parents >= 0).tolist() == [12, 20, 28]
    assert parents[[12, 20, 28]].tolist() == [7, 15, 23], 'the last trial of the generation before'
    np.testing.assert_array_equal(choices[[12, 20, 28]], choices[[7, 15, 23]])


def test_parents_of_a_portfolio_are_known_after_batches_told_in_part():
    """A merge tells 7 of 8 points: the next batch begins anew with the rows of the first controller."""
    controller = search.Portfolio([RECORDING.resized(3), RANDOM, Recording(batch_size=1)], share=False)

    def ahead(study, batches):
        for _ in range(batches):
            study = study.tell(trials := study.ask(), {'y': np.zeros(len(trials))})
        return study

    def start(controller):
        return search.Study(SMALL, controller, objectives='y')

    study = ahead(start(controller), 1).merge(ahead(start(RANDOM.resized(15)), 1))
    study = ahead(ahead(study, 2).merge(ahead(start(RANDOM.resized(1)), 1)), 2)
    choices, parents = study.history.dna.choices, study.history.parents[:, 0]
    children = np.flatnonzero(parents >= 0)
    assert children.tolist() == [23, 30, 31, 38, 40, 47, 48, 55]
    assert parents[children].tolist() == [18, 15, 25, 30, 39, 38, 42, 47], 'the last trial of the same controller'
    np.testing.assert_array_equal(choices[children], choices[parents[children]])


# --- in a study


@pytest.mark.slow
@pytest.mark.parametrize('name', ['dedup', 'portfolio, apart', 'prior'])
def test_a_study_goes_on_bit_for_bit(name, tmp_path):
    def evaluate(exp, key):
        return {'y': jax.random.uniform(key)}

    def study(path=None):
        return search.Study(SMALL, CONTROLLERS[name], objectives='y', path=path, seed=3)

    whole = study().run(evaluate, 5, progress=False)
    study(tmp_path / 's').run(evaluate, 2, progress=False)
    resumed = search.Study.load(tmp_path / 's').run(evaluate, 3, progress=False)
    assert resumed.history.dna == whole.history.dna
    np.testing.assert_array_equal(resumed.history.parents, whole.history.parents)
    for ours, theirs in zip(jax.tree.leaves(resumed.state), jax.tree.leaves(whole.state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
