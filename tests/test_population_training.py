"""Populations in training: PBT, successive halving, Hyperband and ASHA on problems whose answers are known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search
from pgjax.search.population_training import explore

RATE = pg.Dict(rate=pg.floatv(0.0, 1.0))
FLAG_DAY = 10.0  # where the road turns: up to there a high rate is fast, beyond it a low one


def road_step(x, exp, key):
    x = x + jnp.where(x < FLAG_DAY, exp.rate, 1.0 - exp.rate)
    return x, {'way': x}


road = search.Training(init=lambda exp, key: jnp.float32(0), step=road_step, objectives=['way'])


def best_constant(steps):
    """How far the best unchanging rate gets."""
    ways = []
    for rate in np.linspace(0, 1, 201):
        x = 0.0
        for _ in range(steps):
            x += rate if x < FLAG_DAY else 1 - rate
        ways.append(x)
    return max(ways)


@pytest.mark.slow
def test_pbt_discovers_a_schedule_that_no_constant_setting_matches():
    pbt = search.PBT(population_size=16, steps=2, rounds=30)
    result = jax.jit(jax.vmap(pbt.compile(RATE, road)))(jax.random.split(jax.random.key(0), 8))
    reached = np.asarray(result.rounds.fitness[:, -1].max((1, 2)))
    assert reached.min() > best_constant(60)
    one = pbt.run(RATE, road)
    rates = one.schedule(one.best.id).floats[:, 0]
    assert rates[:4].mean() > 0.7 and rates[-8:].mean() < 0.3
    assert one.best.metrics['way'] == float(one.best.state)


@pytest.mark.slow
def test_pbt_s_toy_problem():
    """Figure 2 of the paper: each worker alone descends on one coordinate only, and ends below 0.8."""

    def step(theta, exp, key):
        theta = theta - 0.02 * 2 * jnp.stack([exp.h1, 1.0 - exp.h1]) * theta
        return theta, {'q': 1.2 - (theta**2).sum()}

    training = search.Training(init=lambda exp, key: jnp.array([0.9, 0.9]), step=step, objectives=['q'])
    space = pg.search_space(pg.Dict(h1=pg.oneof([0.0, 1.0])))
    result = search.PBT(population_size=4, steps=4, rounds=50, fraction=0.5, resample=0.5).run(space, training)
    assert result.best.metrics['q'] > 1.1
    alone = [1.2 - (0.81 * 0.96 ** (2 * 200) + 0.81)] * 2
    assert max(alone) < 0.5


tagged = search.Training(
    init=lambda exp, key: {'tag': exp.rate, 'steps': 0},
    step=lambda s, exp, key: (
        {'tag': s['tag'], 'steps': s['steps'] + 1},
        {'f': jnp.where(s['tag'] < 0.3, jnp.nan, s['tag'])},
    ),
    objectives=[pg.minimize('f')],
)


@pytest.fixture(scope='module')
def tagged_round():
    pbt = search.PBT(population_size=10, steps=3, resample=0.0)
    space = pg.search_space(RATE)
    return pbt, space, jax.jit(lambda state: pbt.round(space, tagged, state))


@pytest.mark.parametrize('seed', range(4))
def test_pbt_replaces_the_worst_and_the_failed_by_the_best(tagged_round, seed):
    pbt, space, one_round = tagged_round
    before = pbt.init(space, tagged, jax.random.key(seed))
    after, shown = one_round(before)
    tags, parents = np.asarray(before.members['tag']), np.asarray(shown.parents)
    failed = tags < 0.3
    order = sorted(range(10), key=lambda i: (failed[i], tags[i]))
    replaced = {i for i in range(10) if parents[i] != i}
    assert replaced == {i for i in order[2:] if failed[i]} | (set(order[-2:]) - set(order[:2]))
    assert {parents[i] for i in replaced} <= set(order[:2])
    assert np.asarray(after.members['tag']).tolist() == tags[parents].tolist()
    assert np.asarray(after.members['steps']).tolist() == [3] * 10
    old, new = (np.asarray(s.dna.floats)[:, 0] for s in (before, after))
    for i in range(10):
        if i in replaced:
            near = [min(1.0, old[parents[i]] * factor) for factor in (0.8, 1.2)]
            assert min(abs(new[i] - v) for v in near) < 1e-6
        else:
            assert new[i] == old[i]


def test_pbt_goes_on_where_it_stopped():
    pbt = search.PBT(population_size=6, steps=2, rounds=4)
    space = pg.search_space(RATE)
    step = jax.jit(lambda state: pbt.round(space, road, state)[0])
    state = pbt.init(space, road, jax.random.key(3))
    for _ in range(4):
        state = step(jax.tree.map(jnp.asarray, state))
    whole = jax.jit(pbt.compile(space, road))(jax.random.key(3)).state
    assert state.dna == whole.dna and int(state.round) == 4
    assert np.asarray(state.members).tobytes() == np.asarray(whole.members).tobytes()


def test_pbt_where_everything_fails():
    training = search.Training(
        init=lambda exp, key: exp.rate, step=lambda s, exp, key: (s, {'f': jnp.nan}), objectives=['f']
    )
    result = search.PBT(population_size=4, steps=1, rounds=3).run(RATE, training)
    assert result.best is None
    assert (np.asarray(result.rounds.parents) == np.arange(4)).all()


def test_pbt_with_two_objectives_keeps_both_ends_of_the_front():
    training = search.Training(
        init=lambda exp, key: 0,
        step=lambda s, exp, key: (s, {'f': exp.rate, 'g': 1 - exp.rate, 'same': 1.0}),
        objectives=['f', 'g'],
    )
    result = search.PBT(population_size=8, steps=1, rounds=5, fraction=0.25).run(RATE, training)
    ends = np.asarray(result.rounds.dna.floats[..., 0])
    assert (np.diff(ends.max(1)) >= 0).all() and (np.diff(ends.min(1)) <= 0).all()


SCALES = pg.search_space(
    pg.Dict(
        linear=pg.floatv(-2.0, 6.0),
        log=pg.floatv(1e-4, 1.0, scale='log'),
        rlog=pg.floatv(0.5, 0.999, scale='rlog'),
        count=pg.intv(2, 400),
        kind=pg.oneof(['a', 'b', pg.Dict(depth=pg.intv(0, 9))]),
    )
)


def test_explore_multiplies_values_on_every_scale():
    number = 400
    before = SCALES.random(jax.random.key(0), (number,))
    after = jax.jit(lambda key, dna: explore(SCALES, key, dna, resample=0.0))(jax.random.key(1), before)
    assert not np.asarray(SCALES.violations(after)).any()
    columns = {d.id: d.column + (SCALES.num_choices if d.kind == 'float' else 0) for d in SCALES.decisions}
    old, new = (np.asarray(SCALES.values(dna), np.float64) for dna in (before, after))
    for name, low, high, mirror in (('linear', -2, 6, 0), ('log', 1e-4, 1, 0), ('rlog', 0.5, 0.999, 1.499)):
        x, y = old[:, columns[name]], new[:, columns[name]]
        goals = [np.clip(mirror + factor * (x - mirror), low, high) for factor in (0.8, 1.2)]
        # A float32 position is off by 2**-24, which is up to 9.2 * 2**-24 of a value on the log scale.
        off = np.minimum(*(np.abs(y - goal) for goal in goals))
        assert off.max() < 20 * 2**-24 * max(abs(low), abs(high))
        assert all((np.abs(y - goal) < 1e-4).sum() > number / 3 for goal in goals)
    x, y = old[:, columns['count']], new[:, columns['count']]
    goals = [np.clip(np.round(x * f), 2, 400) for f in (0.8, 1.2)]
    far = np.abs(x - goals[0]) > 0
    assert ((y == goals[0]) | (y == goals[1]))[far & (goals[1] != x)].all()
    assert (y != x)[(x > 2) & (x < 400)].all()
    kind = columns['kind']
    assert (old[:, kind] == new[:, kind]).all()


@pytest.mark.slow
def test_explore_resamples_with_its_probability():
    number = 4000
    space = pg.search_space(pg.Dict(kind=pg.oneof(range(1000)), x=pg.floatv(0.5, 1.0)))
    before = space.random(jax.random.key(0), (number,))
    after = explore(space, jax.random.key(1), before, resample=0.25)
    drawn = (np.asarray(after.choices) != np.asarray(before.choices)).mean()
    assert abs(drawn - 0.25 * 0.999) < 5 * (0.25 * 0.75 / number) ** 0.5


def test_explore_leaves_settings_where_the_factors_are_1():
    space = pg.search_space(
        pg.Dict(few=pg.intv(-5, 5), wide=pg.intv(0, 2**31 - 2), rate=pg.floatv(1e-3, 1.0, scale='log'))
    )
    before = space.random(jax.random.key(0), (50,))
    assert explore(space, jax.random.key(1), before, 1.0, 1.0, resample=0.0) == before
    far = explore(space, jax.random.key(1), before, 0.0, 1e9, resample=0.0)
    wide = np.asarray(space.values(far))[:, [d.id for d in space.decisions].index('wide')]
    assert {round(value / 2**31, 6) for value in wide.tolist()} == {0.0, 1.0}  # values are multiplied in float32


@pytest.mark.parametrize('scale', [None, 'log', 'rlog', 'logit'])
def test_explore_moves_floats_to_the_same_bits_where_jax_has_64(scale):
    space = pg.search_space(pg.Dict(rate=pg.floatv(0.1, 0.9, scale=scale)))
    before = space.random(jax.random.key(0), (100,))
    usual = explore(space, jax.random.key(1), before)
    with jax.enable_x64(True):
        wide = explore(space, jax.random.key(1), before)
    assert np.asarray(usual.floats).tobytes() == np.asarray(wide.floats).tobytes()


# What a member shows depends on every key it got: 24 bits, which float32 holds exactly.
traced = search.Training(
    init=lambda exp, key: jax.random.bits(key),
    step=lambda s, exp, key: (s ^ jax.random.bits(key), {'bits': (s ^ jax.random.bits(key)) >> 8}),
    objectives=['bits'],
)


def test_successive_halving_keeps_the_best_and_trains_them_as_if_alone():
    halving = search.SuccessiveHalving(population_size=9, min_steps=2, max_steps=20, eta=3)
    space = pg.search_space(RATE)
    assert halving.rungs() == [(9, 2), (3, 6), (1, 18)]
    result = jax.jit(halving.compile(space, traced))(jax.random.key(0))
    assert result.steps == 9 * 2 + 3 * 4 + 1 * 12
    for rung, after in zip(result.rungs, result.rungs[1:], strict=False):
        order = np.argsort(-np.asarray(rung.fitness[:, 0]), kind='stable')
        assert np.asarray(rung.members)[order[: len(after.members)]].tolist() == after.members.tolist()
    full = search.SuccessiveHalving(population_size=9, min_steps=18, max_steps=18)
    alone = jax.jit(full.compile(space, traced))(jax.random.key(0))
    member = int(result.rungs[-1].members[0])
    assert result.best.id == member
    assert int(result.best.state) == int(alone.states[member])
    assert result.best.value == space.decode(jax.tree.map(lambda x: np.asarray(x[member]), alone.rungs[0].dna))


def test_successive_halving_never_keeps_what_failed_while_others_did_not():
    result = search.SuccessiveHalving(population_size=16, min_steps=1, max_steps=4, eta=2).run(RATE, tagged)
    first = result.rungs[0]
    tags = np.asarray(first.metrics['f'])
    assert np.isnan(tags).any() and result.best.metrics['f'] == np.nanmin(tags)


def test_hyperband_s_brackets_are_those_of_the_paper():
    assert search.Hyperband(max_steps=81, eta=3).brackets() == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


def test_hyperband_returns_the_best_of_its_brackets():
    result = search.Hyperband(max_steps=4, eta=2).run(RATE, road)
    assert [len(b.rungs) for b in result.brackets] == [3, 2, 1]
    assert result.best.fitness == max(b.best.fitness for b in result.brackets)
    assert result.steps == sum(b.steps for b in result.brackets)


def asha_twin(asha, fitness_at, ticks):
    """Algorithm 2 in plain Python, workers in lockstep: (trial, rung) of each worker, and promotions, tick by tick."""
    milestones, n = asha.milestones(), asha.max_trials
    rungs = [{} for _ in milestones]  # trial -> fitness
    promoted = [set() for _ in milestones]
    done, started = [0] * n, asha.workers
    jobs = [(t, 0) for t in range(asha.workers)]

    def take():
        nonlocal started
        for k in reversed(range(len(milestones) - 1)):
            order = sorted(rungs[k], key=lambda t: (-rungs[k][t], t))
            for t in order[: len(order) // asha.eta]:
                if t not in promoted[k] and math.isfinite(rungs[k][t]):
                    promoted[k].add(t)
                    return t, k + 1
        if started == n:
            return -1, 0
        started += 1
        return started - 1, 0

    for _ in range(ticks):
        free = []
        for w, (t, k) in enumerate(jobs):
            if t >= 0:
                done[t] += asha.min_steps
            if t < 0 or done[t] >= milestones[k]:
                free.append(w)
                if t >= 0:
                    rungs[k][t] = fitness_at(t, done[t])
        for w in free:
            jobs[w] = take()
        yield jobs[:], [sorted(p) for p in promoted], done[:]


def test_asha_is_algorithm_2():
    asha = search.ASHA(workers=3, max_trials=20, min_steps=2, max_steps=18, eta=3)
    rng = np.random.default_rng(0)
    table = jnp.asarray(rng.integers(0, 9, (64, 30)).astype(np.float32)).at[::7].set(jnp.nan)  # ties and failures
    space = pg.search_space(pg.Dict(row=pg.floatv(0.0, 63.999)))
    training = search.Training(
        init=lambda exp, key: 0,
        step=lambda s, exp, key: (s + 1, {'f': table[exp.row.astype(int), s + 1]}),
        objectives=['f'],
    )
    tick = jax.jit(lambda state: asha.tick(space, training, state))
    state = asha.init(space, training, jax.random.key(0))
    rows = [int(space.decode(jax.tree.map(lambda x, i=i: np.asarray(x[i]), state.dna)).row) for i in range(20)]
    host = np.nan_to_num(np.asarray(table), nan=-np.inf)
    for jobs, promoted, done in asha_twin(asha, lambda t, steps: host[rows[t], steps], 40):
        state = tick(state)
        assert list(zip(state.trial.tolist(), state.rung.tolist(), strict=True)) == jobs
        assert [np.flatnonzero(p).tolist() for p in np.asarray(state.promoted)] == promoted
        assert state.done.tolist() == done
    assert max(done) == 18 and (-1, 0) in jobs  # members reached the top, and workers ran out of work


def test_asha_with_one_rung_is_random_search():
    result = search.ASHA(workers=2, max_trials=6, min_steps=3, max_steps=3, ticks=4).run(RATE, road)
    assert result.state.done.tolist() == [3] * 6
    assert result.best.fitness == (float(result.state.fitness.max()),)


def test_asha_where_everything_fails():
    failing = search.Training(init=lambda exp, key: 0, step=lambda s, exp, key: (s, {'f': jnp.inf}), objectives=['f'])
    result = search.ASHA(workers=2, max_trials=4, max_steps=3, ticks=6).run(RATE, failing)
    assert result.best is None and not np.asarray(result.state.promoted).any()


def test_the_best_of_asha_has_not_failed_since_it_reached_its_rung():
    """Those with more at the first rung have nothing at the second: their weights are NaN by then."""

    def step(x, exp, key):
        x = jnp.where((x >= 1) & (exp.rate > 0.5), jnp.nan, x + 1)
        return x, {'f': x + exp.rate}

    diverging = search.Training(init=lambda exp, key: jnp.float32(0.0), step=step, objectives=['f'])
    space = pg.Dict(rate=pg.floatv(0.0, 1.0))
    result = search.ASHA(workers=2, max_trials=6, max_steps=2, eta=2, ticks=3).run(space, diverging)
    assert np.isnan(np.asarray(result.state.members)).any()
    assert result.best is not None and np.isfinite(result.best.state) and np.isfinite(result.best.metrics['f'])


def words_of(key):
    return jax.random.key_data(key)


@pytest.mark.parametrize(
    'method',
    [
        search.PBT(population_size=2, steps=1, rounds=3, fraction=0.0),
        search.ASHA(workers=4, max_trials=4, max_steps=2, eta=2, ticks=2),
        search.SuccessiveHalving(population_size=2, min_steps=3, max_steps=3),
    ],
    ids=lambda method: type(method).__name__,
)
def test_no_step_has_a_key_that_init_splits_off(method):
    """Else dropout, batches or noise would be made of the bits that made the weights."""

    def init(exp, key):
        split = jax.random.split(key, 4)
        deeper = jax.vmap(lambda key: jax.random.split(key, 4))(split).reshape(-1)
        return {'made': words_of(jnp.concatenate([split, deeper])), 'got': jnp.zeros((3, 2), jnp.uint32), 'n': 0}

    def step(state, exp, key):
        got = state['got'].at[state['n']].set(words_of(key))
        return {**state, 'got': got, 'n': state['n'] + 1}, {'f': exp.rate}

    run = jax.jit(method.compile(RATE, search.Training(init=init, step=step, objectives=['f'])))
    result = run(jax.random.key(0))
    members = result.states if isinstance(method, search.SuccessiveHalving) else result.state.members
    made, got = ({tuple(words) for words in np.asarray(members[k]).reshape(-1, 2)} for k in ('made', 'got'))
    drawn = {tuple(np.asarray(words_of(key))) for words in got for key in jax.random.split(as_key(words), 4)}
    assert len(got) > 3 and not made & (got | drawn)


def as_key(words):
    return jax.random.wrap_key_data(jnp.array(words, jnp.uint32))


METHODS = {
    'pbt': search.PBT(population_size=4, steps=1, rounds=2),
    'halving': search.SuccessiveHalving(population_size=4, max_steps=2, eta=2),
    'asha': search.ASHA(workers=2, max_trials=4, max_steps=3, ticks=2),
}


@pytest.mark.parametrize(
    'method',
    [
        search.PBT(population_size=6, steps=2, rounds=3),
        search.SuccessiveHalving(population_size=4, min_steps=1, max_steps=4, eta=2),
        search.ASHA(workers=2, max_trials=6, min_steps=1, max_steps=4, eta=2),
    ],
    ids=lambda method: type(method).__name__,
)
def test_where_jax_has_64_bits_the_same_is_drawn(method):
    template = pg.Dict(rate=pg.floatv(0.0, 1.0), twice=pg.oneof([1.0, 2.0]), steps=pg.floatv(0.0, 9.0, step=1.0))
    usual = method.run(template, road)
    with jax.enable_x64(True):
        wide = method.run(template, road)
    assert (wide.best.id, wide.best.value) == (usual.best.id, usual.best.value)
    assert [leaf.dtype for leaf in jax.tree.leaves(wide.best.dna)] == [jnp.int32, jnp.float32]


@pytest.mark.parametrize('name', METHODS)
def test_runs_are_pure_compiled_values(name):
    method = METHODS[name]
    loop = method.compile(RATE, road)
    text = str(jax.make_jaxpr(loop)(jax.random.key(0)))
    assert 'callback' not in text
    assert eval(repr(method), vars(search)) == method
    first, again = (jax.tree.leaves(jax.jit(loop)(jax.random.key(1))) for _ in range(2))
    arrays = [(a, b) for a, b in zip(first, again, strict=True) if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key)]
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in arrays)


@pytest.mark.parametrize('name', METHODS)
def test_the_best_of_several_runs_is_refused_and_that_of_each_is_not(name):
    loop = METHODS[name].compile(RATE, road)
    keys = jax.random.split(jax.random.key(0), 2)
    several = jax.jit(jax.vmap(loop))(keys)
    with pytest.raises(pg.SpaceError, match=r'leading axes \[2\]'):
        _ = several.best
    with pytest.raises(pg.SpaceError, match='traced'):
        jax.eval_shape(lambda key: (loop(key).best, key)[1], keys[0])
    assert pg.unstack(several)[1].best.metrics == jax.jit(loop)(keys[1]).best.metrics


@pytest.mark.parametrize('name', [*METHODS, 'hyperband'])
def test_structural_decisions_are_refused_with_the_reason(name):
    method = {**METHODS, 'hyperband': search.Hyperband(max_steps=2)}[name]
    with pytest.raises(pg.SpaceError, match='one program, which cannot decide its own structure: units'):
        method.run(pg.Dict(units=pg.oneof([16, 32])), road)


@pytest.mark.parametrize(
    ('method', 'words'),
    [
        (search.PBT(population_size=1), 'PBT.population_size = 1 is out of range'),
        (search.PBT(steps=0), 'PBT.steps = 0'),
        (search.PBT(rounds=0), 'PBT.rounds = 0'),
        (search.ASHA(ticks=-1), 'ASHA.ticks = -1'),
        (search.PBT(fraction=0.6), 'PBT.fraction = 0.6 is out of range: between 0 and 0.5'),
        (search.PBT(resample=float('nan')), 'PBT.resample = nan'),
        (search.PBT(up=float('inf')), 'PBT.up = inf'),
        (search.SuccessiveHalving(eta=1), 'SuccessiveHalving.eta = 1'),
        (search.SuccessiveHalving(min_steps=3, max_steps=2), 'max_steps = 2 is out of range: at least min_steps 3'),
        (search.Hyperband(max_steps=0), 'Hyperband.max_steps = 0'),
        (search.Hyperband(max_steps=2**31), 'Hyperband.max_steps = 2147483648'),
        (search.SuccessiveHalving(min_steps=2**31, max_steps=2**32), 'no rung may end beyond'),
        (search.ASHA(max_steps=2**40), 'no rung may end beyond'),
        (search.PBT(steps=2**20, rounds=2**11), 'PBT.rounds = 2048 is out of range: at least 1, and at most 2047'),
        (search.PBT(steps=2**31), 'PBT.steps = 2147483648 is out of range'),
        (search.ASHA(workers=5, max_trials=4), 'max_trials = 4 is out of range: at least workers 5'),
    ],
)
def test_settings_out_of_range(method, words):
    with pytest.raises(pg.ControllerError, match=words):
        method.run(RATE, road)


@pytest.mark.parametrize('name', [*METHODS, 'hyperband'])
def test_a_state_of_numbers_keys_and_nothing_is_trained_as_by_hand(name):
    method = {**METHODS, 'hyperband': search.Hyperband(max_steps=3)}[name]
    training = search.Training(
        init=lambda exp, key: {'sum': 0, 'key': key, 'none': None, 'empty': jnp.zeros((0, 2)), 'half': jnp.bfloat16(1)},
        step=lambda s, exp, key: (
            {**s, 'sum': s['sum'] + 0.5, 'key': jax.random.fold_in(s['key'], 1)},
            {'f': s['sum'] + 0.5 + 0 * exp.rate},
        ),
        objectives=['f'],
    )
    best = method.run(RATE, training).best
    steps = {'pbt': 2, 'halving': 2, 'asha': 1, 'hyperband': 3}[name]
    assert best.metrics['f'] == float(best.state['sum']) == steps / 2  # a number that grew from the int 0
    assert {k: str(best.state[k].dtype) for k in ('sum', 'half')} == {'sum': 'float32', 'half': 'bfloat16'}
    assert best.state['none'] is None and best.state['empty'].shape == (0, 2) and best.state['key'].shape == ()


def test_the_dtypes_of_a_state_are_settled_before_its_first_step():
    """So it goes on from a file, where a Python number is an array as any, and each round runs the one program."""
    training = search.Training(
        init=lambda exp, key: {'n': 0, 'x': 0},
        step=lambda s, exp, key: ({'n': 1, 'x': s['x'] + exp.rate}, {'f': s['x']}),
        objectives=['f'],
    )
    pbt, space, traces = search.PBT(population_size=2, steps=2), pg.search_space(RATE), []
    step = jax.jit(lambda state: (traces.append(1), pbt.round(space, training, state)[0])[1])
    state = pbt.init(space, training, jax.random.key(0))
    for _ in range(3):
        assert {k: str(v.dtype) for k, v in state.members.items()} == {'n': 'int32', 'x': 'float32'}
        state = step(jax.tree.map(jnp.asarray, state))
    assert len(traces) == 1


def fails(*_):
    raise OSError('the disk is gone')


@pytest.mark.parametrize(
    ('init', 'step', 'words'),
    [
        (lambda exp, key: 1 / 0, road_step, 'init of the training raised ZeroDivisionError'),
        (lambda exp, key: {'name': 'x'}, road_step, r"of `init` holds str 'x' at state\['name'\], .* Keep it outside"),
        (lambda exp, key: 2**40, road_step, r'holds int 1099511627776 at state, .* no number that fits'),
        (
            road.init,
            lambda x, exp, key: (x, {'way': 0 if x > 0 else 1}),
            r'traced leaves .* state\. Python control flow',
        ),
        (
            lambda exp, key: jax.tree_util.Partial(lambda x, rate=exp.rate: x * rate),
            lambda s, exp, key: (s, {'way': s(1.0)}),
            r'as in optax\.sgd\(exp\.rate\).* Make that in `step`',
        ),
        (
            road.init,
            lambda x, exp, key: (jax.pure_callback(fails, x, x, vmap_method='sequential'), {'way': x}),
            'The training failed as it ran',
        ),
    ],
)
@pytest.mark.parametrize('name', ['pbt', 'hyperband'])
def test_what_the_user_s_code_raises_is_an_evaluator_error(name, init, step, words):
    method = {**METHODS, 'hyperband': search.Hyperband(max_steps=2)}[name]
    with pytest.raises(pg.EvaluatorError, match=words):
        method.run(RATE, search.Training(init=init, step=step, objectives=['way']))


@pytest.mark.parametrize(
    ('method', 'go_on', 'words'),
    [
        (
            search.PBT(population_size=2),
            search.PBT(population_size=4).round,
            r'floats \(2, 1\), expected \(4, 1\)\. Give',
        ),
        (search.PBT(population_size=4), search.ASHA(max_trials=4, workers=2).tick, r'state that ASHA\.init makes, got'),
        (
            search.ASHA(max_trials=4, workers=2),
            search.ASHA(max_trials=4, workers=4).tick,
            r'workers \(2,\), expected \(4',
        ),
        (
            search.ASHA(max_trials=8),
            search.ASHA(max_trials=8, max_steps=9).tick,
            r'rungs and trials \(4, 8\), .* \(3, 8',
        ),
    ],
)
def test_a_state_of_other_settings_is_refused(method, go_on, words):
    space = pg.search_space(RATE)
    with pytest.raises(pg.ControllerError, match=words):
        go_on(space, road, method.init(space, road, jax.random.key(0)))
    with pytest.raises(pg.ControllerError, match=r'training must be a search\.Training, got int 5'):
        method.init(space, 5, jax.random.key(0))


def test_a_step_that_returns_something_else():
    training = search.Training(init=lambda exp, key: 0, step=lambda s, exp, key: s, objectives=['f'])
    with pytest.raises(pg.FitnessError, match=r'must return \(state, metrics\)'):
        search.PBT(population_size=2).run(RATE, training)


@pytest.mark.parametrize('name', [*METHODS, 'hyperband'])
def test_what_is_no_training_and_no_seed(name):
    method = {**METHODS, 'hyperband': search.Hyperband(max_steps=2)}[name]
    with pytest.raises(pg.ControllerError, match=r'training must be a search\.Training, got int 5'):
        method.run(RATE, 5)
    for seed in ('a', -1, 1.5, None, 2**32):
        with pytest.raises(pg.ControllerError, match='seed must be an int from 0 to'):
            method.run(RATE, road, seed=seed)


def test_a_lineage_is_of_a_slot_that_there_is():
    result = METHODS['pbt'].run(RATE, road)
    for slot in (4, -1, 'best', 1.5):
        with pytest.raises(pg.TrialStateError, match='in a population of 4'):
            result.lineage(slot)
    assert len(result.lineage(np.int64(3))) == 2


@pytest.mark.parametrize(
    ('init', 'step', 'words'),
    [
        (lambda exp: 0.0, road_step, r'init is called as init\(exp, key\), and takes \(exp\)'),
        (road.init, lambda x, exp: (x, {'way': x}), r'step\(state, exp, key\), and takes \(x, exp\)'),
        (road.init, lambda x, exp, key: ((x, x), {'way': x}), r'like the one it got, PyTreeDef\(\*\); got .*\*, \*'),
        (
            lambda exp, key: {'n': jnp.int32(0)},
            lambda s, exp, key: ({'n': s['n'] * exp.rate}, {'way': exp.rate}),
            r"state\['n'\] was int32\[\] and came back as float32\[\]\. Cast",
        ),
        (road.init, lambda x, exp, key: (jnp.ones(3), {'way': x}), r'state was float32\[\] and .* float32\[3\]'),
    ],
)
@pytest.mark.parametrize('batch', ['vmap', 'map'])
def test_training_that_cannot_go_on_says_which_part_of_the_state_and_the_cure(init, step, words, batch):
    training = search.Training(init=init, step=step, objectives=['way'], batch=batch)
    with pytest.raises(pg.EvaluatorError, match=words):
        search.PBT(population_size=4).run(RATE, training)
