"""Selectors: each against a slow twin in plain Python; those that draw, against their distribution."""

import collections
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import pgjax as pg
from pgjax.search.evolution import STEP, Context, Population, selectors, told

SPACE = pg.search_space({'x': pg.intv(0, 100)})
N = 7
VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.5, -1.0, float('nan'), float('-inf')])


def population(fitness, count) -> Population:
    made = told(SPACE, pg.DNA(jnp.zeros((N, 1), jnp.int32), jnp.zeros((N, 0))), jnp.asarray(fitness)[:, None], 0, 0)
    there = jnp.arange(N) < count
    return jax.tree.map(lambda x: jnp.where(there.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.zeros_like(x)), made)


def trials(selector):
    """The selected trials as a function of fitness float[N], count, step and key; compiled once."""

    @jax.jit
    def run(fitness, count, step=0, key=None):
        key = jax.random.key(0) if key is None else key
        result, _ = selector.apply(key, population(fitness, count), Context.start(SPACE, step))
        return result.trial, result.mask

    def on_host(*args):
        trial, mask = map(np.asarray, run(*args))
        assert (np.diff(mask.astype(int)) <= 0).all(), 'those that are there come first'
        return trial[mask].tolist()

    return on_host


def best_first(fitness, count):
    def badness(trial):
        return -fitness[trial] if fitness[trial] == fitness[trial] else math.inf, trial

    return sorted(range(count), key=badness)


def largest_remainders(n, fitness, count):
    weights = [max(f, 0.0) if math.isfinite(f) else 0.0 for f in fitness[:count]]
    weights = weights if sum(weights) > 0 else [1.0] * count
    quota = [n * w / sum(weights) for w in weights]
    times = [int(q + 1e-6) for q in quota]
    by_remainder = sorted(range(count), key=lambda i: (-round(quota[i] - times[i], 4), i))
    for i in by_remainder[: n - sum(times)]:
        times[i] += 1
    return [i for i in range(count) for _ in range(times[i])]


TWINS = {
    'top': (selectors.Top(3), lambda f, c: best_first(f, c)[:3]),
    'top part': (selectors.Top(0.34), lambda f, c: best_first(f, c)[: math.ceil(0.34 * c)]),
    'top in place': (selectors.Top(3, in_order=False), lambda f, c: sorted(best_first(f, c)[:3])),
    'top part in place': (
        selectors.Top(0.34, in_order=False),
        lambda f, c: sorted(best_first(f, c)[: math.ceil(0.34 * c)]),
    ),
    'bottom': (selectors.Bottom(3), lambda f, c: best_first(f, c)[::-1][:3]),
    'first': (selectors.First(3), lambda f, c: list(range(c))[:3]),
    'last': (selectors.Last(3), lambda f, c: list(range(c))[-3:]),
    'all': (selectors.Last(), lambda f, c: list(range(c))),
    'filter': (selectors.Filter(4, lambda i: i.fitness[0] > 0), lambda f, c: [i for i in range(c) if f[i] > 0][:4]),
    'by key': (selectors.Top(2, key=lambda i: -i.trial), lambda f, c: list(range(c))[:2]),
    'proportional': (selectors.Proportional(6), lambda f, c: largest_remainders(6, f, c)),
}
COMPILED = {name: trials(selector) for name, (selector, _) in TWINS.items()}


@jax.jit
def five_best(rows, fitness, count):
    everyone = population(fitness, N)[rows]  # by trial, then moved
    old = everyone.take(jnp.arange(N), jnp.arange(N) < count)
    new = told(SPACE, pg.DNA(jnp.zeros((N, 1), jnp.int32), jnp.zeros((N, 0))), fitness[:, None], N, 0)
    chosen, _ = selectors.Top(5).merge(jax.random.key(0), old, new, Context.start(SPACE))
    return chosen.trial, chosen.mask


@pytest.mark.parametrize('shuffled', [False, True])
def test_the_top_of_many(shuffled):
    """Of equals the earliest trials, wherever they stand: also those that are just taken, or just not."""
    generator, number = np.random.default_rng(0), 3000
    fitness = generator.integers(0, 5, number).astype(np.float32)
    dna = pg.DNA(jnp.zeros((number, 1), jnp.int32), jnp.zeros((number, 0)))
    many = told(SPACE, dna, jnp.asarray(fitness)[:, None], 0, 0)
    many = many[generator.permutation(number)] if shuffled else many
    order = np.lexsort((np.arange(number), -fitness))
    for size in (1, 700, 1400):
        chosen, _ = jax.jit(selectors.Top(size).apply)(jax.random.key(0), many, Context.start(SPACE))
        assert np.asarray(chosen.trial).tolist() == order[:size].tolist()


def test_the_top_of_many_in_place():
    """Old individuals, absent rows, new individuals: as many of the best as there are, of equals the first."""
    generator, number = np.random.default_rng(0), 3000
    fitness = generator.integers(0, 5, number).astype(np.float32)
    fitness[:100] = np.nan

    def halves(of, count):
        dna = pg.DNA(jnp.zeros((number, 1), jnp.int32), jnp.zeros((number, 0)))
        everyone = told(SPACE, dna, of[:, None], 0, 0)
        old = everyone[: number // 2]
        return old.take(jnp.arange(number // 2), jnp.arange(number // 2) < count), everyone[number // 2 :]

    def survivors(count, top, of):
        return top.merge(jax.random.key(0), *halves(of, count), Context.start(SPACE))[0]

    merge = jax.jit(survivors, static_argnums=1)
    for size in (1, 700, 1400):
        for count in (0, 50, 900, 1500):
            chosen = merge(count, selectors.Top(size, in_order=False), jnp.asarray(fitness))
            there = [*range(count), *range(number // 2, number)]
            badness = np.where(np.isnan(fitness), np.inf, -fitness)
            wanted = sorted(sorted(there, key=lambda row: (badness[row], row))[:size])
            assert np.asarray(chosen.trial)[np.asarray(chosen.mask)].tolist() == wanted
    few = selectors.Top(1400, in_order=False).apply(
        jax.random.key(0), halves(jnp.asarray(fitness), 30)[0], Context.start(SPACE)
    )[0]
    assert few.mask.tolist() == [True] * 30 + [False] * 1370 and few.trial[:30].tolist() == list(range(30))


@given(st.permutations(range(N)), st.lists(VALUES, min_size=N, max_size=N), st.integers(0, N))
def test_of_equals_the_earliest_trial_survives_wherever_it_stands(rows, fitness, count):
    trial, mask = map(np.asarray, five_best(jnp.array(rows), jnp.array(fitness), count))
    everyone = [*rows[:count], *range(N, 2 * N)]
    badness = lambda t: -fitness[t % N] if fitness[t % N] == fitness[t % N] else math.inf  # noqa: E731
    assert mask.all() and trial.tolist() == sorted(everyone, key=lambda t: (badness(t), t))[:5]


@pytest.mark.parametrize('name', TWINS)
@settings(max_examples=20)
@given(fitness=st.lists(VALUES, min_size=N, max_size=N), count=st.integers(0, N))
def test_is_what_the_twin_says(name, fitness, count):
    expected = TWINS[name][1](fitness, count) if count else []
    assert COMPILED[name](np.array(fitness, np.float32), count) == expected


def test_a_part_of_the_population_is_rounded_up_without_rounding_errors():
    for part, count, expected in [(0.34, 6, 3), (0.1, 7, 1), (1.0, 7, 7), (0.0, 7, 0), (3 / 7, 7, 3)]:
        assert len(trials(selectors.First(part))(np.zeros(N, np.float32), count)) == expected


def test_the_number_follows_a_schedule():
    select = trials(selectors.Top(1 + STEP // 2))
    assert [len(select(np.arange(N, dtype=np.float32), 5, step)) for step in (0, 1, 2, 4, 100)] == [1, 1, 2, 3, 5]
    in_place = trials(selectors.Top(1 + STEP // 2, in_order=False))
    assert in_place(np.arange(N, dtype=np.float32), 5, 2) == [3, 4]


@pytest.mark.parametrize('n', [-1, 1.5, float('nan'), np.float32('nan'), '2'])
def test_refuses_numbers_that_mean_nothing(n):
    with pytest.raises(pg.ControllerError, match='number of individuals or a part'):
        selectors.Top(n).apply(jax.random.key(0), population(jnp.zeros(N), N), Context.start(SPACE))


def test_refuses_tournaments_of_nobody():
    with pytest.raises(pg.ControllerError, match=r'Tournament\.size = 0 is out of range: at least 1'):
        selectors.Tournament(2, size=0).apply(jax.random.key(0), population(jnp.zeros(N), N), Context.start(SPACE))


def test_random_without_replacement_is_a_uniform_arrangement():
    draw = trials(selectors.Random(2))
    assert sorted(trials(selectors.Random())(np.zeros(N, np.float32), 5)) == [0, 1, 2, 3, 4]
    context, number = Context.start(SPACE), 12_000
    people = population(jnp.zeros(N), 4)
    pairs = jax.vmap(lambda key: selectors.Random(2).apply(key, people, context)[0].trial)(
        jax.random.split(jax.random.key(1), number)
    )
    seen = collections.Counter(map(tuple, np.asarray(pairs).tolist()))
    assert len(seen) == 12 and len(draw(np.zeros(N, np.float32), 1)) == 1
    deviation = (number * (1 / 12) * (11 / 12)) ** 0.5
    assert max(abs(times - number / 12) for times in seen.values()) < 5 * deviation


@pytest.mark.parametrize(
    ('selector', 'chances'),
    [
        (selectors.Random(20_000, replacement=True), [0.25, 0.25, 0.25, 0.25]),
        (selectors.Sample(20_000), [0.0, 1 / 4, 3 / 4, 0.0]),
        (selectors.Sample(20_000, weights=lambda i: 1.0 + (i.trial == 3)), [0.2, 0.2, 0.2, 0.4]),
        # The best of 3 draws from 4: the row of rank r wins with ((4 - r) / 4)**3 - ((3 - r) / 4)**3. Where the failed
        # one meets itself, 1 / 64, the best wins.
        (selectors.Tournament(20_000, size=3), [7 / 64, 19 / 64, 38 / 64, 0.0]),
    ],
)
def test_draws_follow_their_distribution(selector, chances):
    drawn = trials(selector)(np.array([0.0, 1.0, 3.0, np.nan, 9, 9, 9], np.float32), 4)
    seen = np.bincount(drawn, minlength=4) / 20_000
    expected = np.array(chances)
    assert (np.abs(seen - expected) <= 5 * np.sqrt(expected * (1 - expected) / 20_000)).all()


def test_equals_win_tournaments_alike():
    drawn = trials(selectors.Tournament(20_000, size=2))(np.ones(N, np.float32), 4)
    assert (np.abs(np.bincount(drawn) / 20_000 - 1 / 4) < 5 * (3 / 16 / 20_000) ** 0.5).all()


@pytest.mark.parametrize('selector', [selectors.Sample(5), selectors.Tournament(5), selectors.Random(5, True)])
def test_nobody_is_taken_of_nobody(selector):
    assert trials(selector)(np.zeros(N, np.float32), 0) == []


def test_several_objectives_rank_by_front_then_crowding():
    fitness = jnp.array([[0.0, 0.0], [1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [9.0, 9.0]])
    made = told(SPACE, pg.DNA(jnp.zeros((5, 1), jnp.int32), jnp.zeros((5, 0))), fitness, 10, 0)
    people = jax.tree.map(lambda x: x[:4], made).resized(6)  # the fifth is not there
    chosen, _ = jax.jit(selectors.Top(4).apply)(jax.random.key(0), people, Context.start(SPACE))
    assert chosen.trial.tolist() == [11, 13, 12, 10]
