"""Policy gradients: probabilities by enumeration, gradients by differences, proposals by counting, learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import search
from pgjax.search.policy_gradient import PPO, REINFORCE, Autoregressive, Factored
from pgjax.search.policy_gradient._ppo import clipped_weight
from pgjax.search.policy_gradient._rewards import advantages, first_baseline, see

POLICIES = {'factored': Factored(bins=4), 'autoregressive': Autoregressive(bins=4, hidden=3)}
CONTROLLERS = {
    'reinforce': REINFORCE(batch_size=6),
    'reinforce, autoregressive': REINFORCE(batch_size=6, policy=Autoregressive(hidden=4), reward='value'),
    'ppo': PPO(batch_size=5, window=8, epochs=2),
}
NESTED = pg.search_space(
    {
        'model': pg.oneof([{'inner': pg.oneof([1, 2, 3])}, 'none']),
        'order': pg.manyof(2, 'abc'),
        'subset': pg.manyof(2, 'abc', sorted=True),
        'bag': pg.manyof(2, 'ab', distinct=False, sorted=True),
    }
)


def points_of(space):
    points = list(space.iterate())
    return pg.DNA(np.stack([p.choices for p in points]), np.stack([p.floats for p in points]))


def perturbed(policy, space, seed=1):
    """Parameters at which nothing is uniform."""
    parameters = policy.init(space, jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: x + 0.7 * rng.normal(size=x.shape).astype(np.float32), parameters)


@pytest.mark.parametrize('name', CONTROLLERS)
def test_contract(name):
    search.testing.check_controller(CONTROLLERS[name])


@pytest.mark.slow
@pytest.mark.parametrize('name', CONTROLLERS)
def test_one_point_only(name):
    search.testing.check_controller(CONTROLLERS[name], pg.search_space({'only': pg.oneof(['a'])}))


@pytest.mark.parametrize('name', POLICIES)
def test_probabilities_of_all_points_add_up_to_one(name):
    """Conditions, distinct and sorted groups are all in the space."""
    policy, points = POLICIES[name], points_of(NESTED)
    logs = jax.jit(lambda p, d: policy.log_prob(NESTED, p, d))(perturbed(policy, NESTED), points)
    assert np.exp(np.asarray(logs, np.float64)).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize('name', POLICIES)
def test_the_first_policy_is_uniform_over_the_slots_of_groups(name):
    policy = POLICIES[name]
    space = pg.search_space({'subset': pg.manyof(3, range(6), sorted=True)})
    points = points_of(space)
    logs = policy.log_prob(space, policy.init(space, jax.random.key(0)), points)
    np.testing.assert_allclose(logs, -np.log(20), rtol=1e-5)  # 6 choose 3


@pytest.mark.parametrize('name', POLICIES)
def test_gradient_is_that_of_the_expectation(name):
    """Sum p(x) r(x) grad log p(x) over all points is the gradient of the expected reward, by differences."""
    policy, points = POLICIES[name], points_of(NESTED)
    parameters = perturbed(policy, NESTED)
    reward = np.random.default_rng(0).normal(size=len(points)).astype(np.float32)
    log_prob = jax.jit(lambda p: policy.log_prob(NESTED, p, points))
    weight = jnp.exp(log_prob(parameters)) * reward
    found = jax.jit(lambda p, w: policy.gradient(NESTED, p, points, w, 0.0))(parameters, weight)
    direction = perturbed(policy, NESTED, seed=3)
    step = 1e-2

    def expected(scale):
        moved = jax.tree.map(lambda p, d: p + scale * d, parameters, direction)
        return float(np.exp(np.asarray(log_prob(moved), np.float64)) @ reward)

    difference = (expected(step) - expected(-step)) / (2 * step)
    along = sum(float((g * d).sum()) for g, d in zip(jax.tree.leaves(found), jax.tree.leaves(direction), strict=True))
    # Central differences are off by step**2 / 6 of the third derivative, float32 by 1e-7 / step.
    assert along == pytest.approx(difference, abs=2e-3)
    assert abs(difference) > 0.02


def test_closed_form_is_the_derivative():
    """Gradient and entropy of the factored policy against automatic differentiation, with and without groups."""
    policy = Factored(bins=4)
    free = pg.search_space({'a': pg.oneof('xyz'), 'b': pg.floatv(0.0, 1.0), 'c': pg.oneof([pg.intv(0, 100), None])})
    for space in (free, NESTED):
        parameters = perturbed(policy, space)
        points = space.random(jax.random.key(0), (20,))
        weight = jax.random.normal(jax.random.key(1), (20,))

        def gain(parameters, space=space, points=points, weight=weight):
            logs, _, active = policy._conditionals(space, parameters, points)
            entropy = -jnp.where(active, (jnp.exp(logs) * jnp.maximum(logs, -1e4)).sum(-1), 0.0).sum(-1).mean()
            return weight @ policy.log_prob(space, parameters, points) + 0.3 * entropy

        found = policy.gradient(space, parameters, points, weight, 0.3)
        np.testing.assert_allclose(found, jax.jit(jax.grad(gain))(parameters), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize('name', POLICIES)
def test_proposals_follow_the_probabilities(name):
    policy, points, number = POLICIES[name], points_of(NESTED), 20_000
    parameters = perturbed(policy, NESTED)
    drawn = jax.jit(lambda p, k: policy.sample(NESTED, p, k, number))(parameters, jax.random.key(0))
    probability = np.exp(np.asarray(policy.log_prob(NESTED, parameters, points), np.float64))
    assert not np.asarray(NESTED.violations(drawn)).any()
    rank = {row.tobytes(): i for i, row in enumerate(np.asarray(points.choices))}
    counts = np.bincount([rank[row.tobytes()] for row in np.asarray(drawn.choices)], minlength=len(probability))
    deviation = np.sqrt(number * probability * (1 - probability)) + 1
    assert (np.abs(counts - number * probability) < 5 * deviation).all()


def test_numbers_are_uniform_within_their_bins():
    policy = Factored(bins=4)
    space = pg.search_space({'i': pg.intv(0, 9), 'x': pg.floatv(0.0, 1.0)})
    logits = jnp.array([[0.0, 0.0, 0.0, 9.9], [0.0, 0.0, 0.0, 0.0]]) - jnp.array([[0.0, 0.0, 0.0, 9.9], [0.0] * 4])
    number = 12_000
    drawn = jax.jit(lambda k: policy.sample(space, logits, k, number))(jax.random.key(0))
    # Ten ints in bins of three: the last bin has one, which gets a quarter of all, the others a twelfth each.
    share = np.bincount(np.asarray(drawn.choices)[:, 0], minlength=10) / number
    expected = np.array([1 / 12] * 9 + [1 / 4])
    assert (np.abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / number)).all()
    assert abs(float(drawn.floats.mean()) - 0.5) < 5 / (12 * number) ** 0.5


def test_clipping_is_the_derivative_of_the_surrogate():
    log_ratio = jnp.linspace(-1.0, 1.0, 21)
    for gain in (1.5, -0.7):

        def surrogate(x, gain=gain):
            ratio = jnp.exp(x)
            return jnp.minimum(ratio * gain, jnp.clip(ratio, 0.8, 1.2) * gain).sum()

        np.testing.assert_allclose(
            clipped_weight(log_ratio, jnp.full(21, gain), 0.2), jax.grad(surrogate)(log_ratio), rtol=1e-5
        )


def test_results_that_come_late_have_the_probability_with_which_they_were_asked_for():
    """Batches are asked for ahead, and told in part and in another order when the policy has moved on."""
    space = pg.search_space([pg.floatv(0.0, 1.0)] * 3)  # no point comes twice
    controller = PPO(batch_size=4, window=8, learning_rate=0.5)
    ask = jax.jit(lambda state, key: controller.ask(space, state, key))
    tell = jax.jit(lambda state, dna: controller.tell(space, state, dna, dna.floats[:, :1]))
    state, rows = controller.init(space, jax.random.key(0)), []
    for key in jax.random.split(jax.random.key(1), 3):
        policy = state.policy
        dna, state = ask(state, key)
        late = dna[np.array([3, 2])]
        rows.append((late, controller.policy.log_prob(space, policy, late)))
        state = tell(state, dna[:2])
    for late, _ in rows:
        state = tell(state, late)
    expected = [log_prob for _, log_prob in rows]
    assert not np.allclose(expected[0], controller.policy.log_prob(space, state.behaviour, rows[0][0]))
    recent = [state.memory.log_prob[i % 8] for i in range(6, 12)]
    np.testing.assert_allclose(recent, np.concatenate(expected), rtol=1e-6)


def test_rewards_are_ranks_in_the_window_or_distances_from_the_average():
    fitness = jnp.array([1.0, jnp.nan, 3.0, 3.0, -jnp.inf, 1e30])
    seen = see(first_baseline(8), fitness, 0.9)
    np.testing.assert_allclose(advantages(seen, fitness, 'rank'), [-0.75, 0, 0, 0, 0, 0.75])
    calm = see(first_baseline(8), jnp.array([1.0, 3.0, jnp.nan]), 0.9)
    np.testing.assert_allclose(advantages(calm, jnp.array([1.0, 3.0, jnp.nan]), 'value'), [-1, 1, 0])
    later = see(calm, jnp.array([12.0]), 0.9)  # the mean moves a tenth of the way from 2 to 12
    assert float(later.mean) == pytest.approx(3.0)


@pytest.mark.parametrize('make', [REINFORCE, PPO])
def test_by_value_it_learns_on_after_penalties(make):
    """Of infeasible trials, and one as large as a float32 can be, which would make every deviation infinite."""
    controller = make(batch_size=4, reward='value')
    space = pg.search_space({'x': pg.oneof('abcd')})
    worth = jnp.array([-1e30, -2e30, 0.0, 1.0])

    def generation(state, key):
        dna, state = controller.ask(space, state, key)
        return controller.tell(space, state, dna, worth[dna.choices]), dna.choices

    state = controller.init(space, jax.random.key(0))
    for fitness in (-1e30, 3e38):  # nothing was measured before either
        dna, state = controller.ask(space, state, jax.random.key(1))
        state = controller.tell(space, state, dna, jnp.full((4, 1), fitness))
        np.testing.assert_array_equal(state.policy, 0.0)
    _, choices = jax.lax.scan(generation, state, jax.random.split(jax.random.key(2), 60))
    assert (choices[-20:] == 3).mean() > 0.7


@pytest.mark.slow
@pytest.mark.parametrize('name', ['reinforce', 'ppo'])
@pytest.mark.parametrize('fitness', [np.nan, -np.inf, 7.0])
def test_nothing_is_learnt_from_failures_or_from_equals(name, fitness):
    controller = CONTROLLERS[name]
    space = pg.search_space({'x': pg.oneof('abc')})
    state = controller.init(space, jax.random.key(0))
    dna, state = controller.ask(space, state, jax.random.key(1))
    state = controller.tell(space, state, dna, jnp.full((controller.batch_size, 1), fitness))
    np.testing.assert_array_equal(state.policy, 0.0)


def test_a_failed_row_has_no_gradient():
    space, policy = pg.search_space({'x': pg.oneof('ab'), 'y': pg.oneof('cd')}), Factored()
    controller = REINFORCE(batch_size=2, policy=policy)
    state = controller.init(space, jax.random.key(0))
    state = controller.tell(space, state, points_of(space), jnp.array([[1.0], [np.nan], [2.0], [np.nan]]))
    moved = np.asarray(state.policy)
    assert moved[0, 1] > 0 > moved[0, 0]  # the second is better
    np.testing.assert_array_equal(moved[1], 0.0)  # both that succeeded had the same y


@pytest.mark.slow
@pytest.mark.parametrize('controller', [REINFORCE(batch_size=16), PPO(batch_size=16)], ids=['reinforce', 'ppo'])
def test_finds_what_random_search_cannot(controller):
    """One in 4**12 points has every decision right; random search gets 7 or 8 of 12 in 960 evaluations."""
    template = pg.Dict({f'd{i}': pg.oneof([0.0, 1.0, 2.0, 3.0]) for i in range(12)})
    wanted = np.random.default_rng(0).integers(0, 4, 12)

    def evaluate(exp, key):
        return {'right': sum((exp[f'd{i}'] == float(w)).astype(jnp.float32) for i, w in enumerate(wanted))}

    loop = search.compile(template, evaluate, controller, objectives=[pg.maximize('right')], batch='vmap')
    best = jax.jit(jax.vmap(lambda key: loop(key, 60).fitness.max()))(jax.random.split(jax.random.key(0), 4))
    assert (best >= 11).all()


def test_dependent_decisions_are_learnt_by_the_autoregressive_policy():
    """Two equal bits are good: no product of two distributions can tell, whatever it learns, and one keeps both."""
    space = pg.search_space({'a': pg.oneof('xy'), 'b': pg.oneof('xy')})
    points = points_of(space)
    reward = jnp.array([1.0, -1.0, -1.0, 1.0])

    def train(policy):
        def ascend(parameters, _):
            weight = jnp.exp(policy.log_prob(space, parameters, points)) * reward
            rise = policy.gradient(space, parameters, points, weight, 0.5)
            return jax.tree.map(lambda p, g: p + 0.5 * g, parameters, rise), None

        end = jax.lax.scan(ascend, policy.init(space, jax.random.key(0)), length=200)[0]
        return np.exp(np.asarray(policy.log_prob(space, end, points)))

    assert train(Factored()) @ np.asarray(reward) == pytest.approx(0.0, abs=1e-3)
    assert train(Autoregressive(hidden=8)) @ np.asarray(reward) > 0.9


@pytest.mark.slow
def test_a_thousand_decisions():
    space = pg.search_space([pg.oneof('abcd') for _ in range(1000)])
    controller = PPO(batch_size=4, window=8, epochs=2)
    state = controller.init(space, jax.random.key(0))

    @jax.jit
    def turn(state, key):
        dna, state = controller.ask(space, state, key)
        fitness = (dna.choices == 1).sum(-1, keepdims=True).astype(jnp.float32)
        return controller.tell(space, state, dna, fitness), fitness.mean()

    state, first = turn(state, jax.random.key(1))
    for key in jax.random.split(jax.random.key(2), 60):
        state, last = turn(state, key)
    assert last > first + 5 * (1000 * 0.25 * 0.75 / 4) ** 0.5


@pytest.mark.parametrize('controller', [REINFORCE(), PPO()], ids=['reinforce', 'ppo'])
def test_many_decisions_are_learned_from_few_points(controller):
    """Of 100 right ones among five values 20 are right by chance, and 33 at the best of 500 random points."""
    space = pg.search_space([pg.oneof([0.0, 1.0, 2.0, 3.0, 4.0]) for _ in range(100)])

    def right(exp, key):
        return {'right': sum((value == 3.0).astype(jnp.float32) for value in exp)}

    loop = search.compile(space, right, controller, objectives=[pg.maximize('right')], tile=3)
    best = jax.jit(jax.vmap(lambda key: loop(key, 500 // 3).fitness.max()))(jax.random.split(jax.random.key(0), 8))
    assert best.mean() > 60


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'batch_size': 0}, 'batch_size = 0'),
        ({'window': 1}, 'window = 1'),
        ({'learning_rate': float('nan')}, 'learning_rate = nan is out of range: a finite number of at least 0'),
        ({'entropy': -1.0}, r'entropy = -1\.0'),
        ({'decay': 1.5}, r'decay = 1\.5 is out of range: between 0 and 1'),
    ],
)
def test_settings_out_of_range(settings, words):
    for controller in (REINFORCE(**settings), PPO(**settings)):
        with pytest.raises(pg.ControllerError, match=words):
            controller.init(NESTED, jax.random.key(0))
    with pytest.raises(pg.ControllerError, match='one objective, got 2'):
        REINFORCE().init(NESTED, jax.random.key(0), 2)


def test_settings_are_leaves_to_search_over():
    """A vmap over learning rates is a meta-search in one program."""
    space = pg.search_space({'x': pg.oneof('ab')})
    points, fitness = points_of(space), jnp.array([[0.0], [1.0]])

    def moved(rate):
        controller = REINFORCE(learning_rate=rate, entropy=0.0)
        return controller.tell(space, controller.init(space, jax.random.key(0)), points, fitness).policy[0, 1]

    np.testing.assert_allclose(jax.jit(jax.vmap(moved))(jnp.array([0.1, 0.2])), [0.1, 0.2], rtol=1e-3)
