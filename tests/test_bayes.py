"""Model-based controllers: the process and its acquisitions against plain NumPy and SciPy, densities, learning."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, strategies as st

import pgjax as pg
from pgjax import search
from pgjax.search.bayes import TPE, Bayesian
from pgjax.search.bayes._acquisition import log_expected_improvement
from pgjax.search.bayes._features import blocks, features, is_ordered
from pgjax.search.bayes._kernel import Hyperparameters, kernel, noise_variance, prior_deviation, prior_mean
from pgjax.search.bayes._learned import _nearness, _seen_by
from pgjax.search.bayes._observations import await_points, empty, observe, told_first
from pgjax.search.bayes._parzen import Parzen, draw, log_density
from pgjax.search.bayes._posterior import covariance, fit, predict, predict_jointly
from pgjax.search.bayes._warp import half_logarithm, near_best, normal_scores, yeo_johnson
from pgjax.space import DNA

# Every kind of decision, and four among the same candidates, of which the slots of `cells` must differ.
SPACE = pg.search_space(
    pg.Dict(
        mixed=search.testing.mixed_space().template,
        cells=pg.manyof(2, 'pqr'),
        head=pg.oneof([pg.Dict(cell=pg.oneof('pqr')), None]),
        tail=pg.oneof('pqr'),
    )
)
CONTROLLERS = {
    'bayesian': Bayesian(batch_size=2, num_initial=4, capacity=12, num_candidates=32),
    'thompson': Bayesian(batch_size=3, num_initial=2, capacity=12, acquisition='thompson', num_candidates=32),
    'tpe': TPE(batch_size=2, num_initial=4, capacity=12),
    'auto': search.Auto(batch_size=2),
}


@pytest.mark.parametrize(
    'name', ['bayesian', 'tpe', *(pytest.param(n, marks=pytest.mark.slow) for n in ('thompson', 'auto'))]
)
def test_contract(name):
    search.testing.check_controller(CONTROLLERS[name])


@pytest.mark.slow
def test_contract_with_two_objectives():
    search.testing.check_controller(CONTROLLERS['auto'], num_objectives=2)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['bayesian', 'tpe'])
def test_one_point_only(name):
    search.testing.check_controller(CONTROLLERS[name], pg.search_space({'only': pg.oneof(['a'])}))


def plain_kernel(space, hyper, a, b):
    """The kernel of two points, decision by decision, in float64."""
    c, about = space.num_choices, blocks(space)
    uses = [np.asarray(space.active(p)) for p in (a, b)]
    block, position, exponent, radius = 0, 0, 0.0, 0.0

    def chosen(columns, arity):
        """How often each candidate is, in either point."""
        return [
            np.sum([np.eye(arity)[p.choices[i]] * u[i] for i in columns], 0) for p, u in zip((a, b), uses, strict=True)
        ]

    done, alike = set(), {}
    for d in space.decisions:
        if d.kind == 'choice':
            group = space.constrained_groups[d.group] if d.group is not None else None
            own = group.columns if group is not None and group.sorted else (d.column,)
            if len(own) == 1 and not is_ordered(d) and d.candidates != [10, 20, 30]:  # in any order each is there once
                alike.setdefault(tuple(map(str, d.candidates)), []).append(d)
            if own in done:
                continue
            done.add(own)
            rows = chosen(own, d.arity)
            common = float(hyper.common[0]) if is_ordered(d) else 0.0
            exponent += np.exp(float(hyper.hamming[block]) + common) * ((rows[0] - rows[1]) ** 2).sum() / 2
            block += 1
    for decisions in alike.values():
        if len(decisions) > 1:
            rows = chosen([d.column for d in decisions], decisions[0].arity)
            squares = ((rows[0] - rows[1]) ** 2).sum() / 2 / len(decisions)
            exponent += np.exp(float(hyper.hamming[block])) * squares
            block += 1
    for d in space.decisions:
        if is_ordered(d):
            column, highest = (c + d.column, 1) if d.kind == 'float' else (d.column, d.arity - 1)
            genes = [np.r_[p.choices, p.floats][column] for p in (a, b)]
            place = [(float(g) / highest - 0.5) * u[column] for g, u in zip(genes, uses, strict=True)]
            radius += np.exp(float(hyper.position[position] + hyper.common[1])) * (place[0] - place[1]) ** 2
            position += 1
    r = np.sqrt(5 * radius)
    assert block == about.num_blocks and position == about.num_positions
    return np.exp(float(hyper.amplitude) - exponent) * (1 + r + r**2 / 3) * np.exp(-r)


@functools.cache
def example():
    about = blocks(SPACE)
    rng = np.random.default_rng(0)
    hyper = Hyperparameters(
        common=jnp.asarray(rng.normal(size=2), jnp.float32),
        hamming=jnp.asarray(rng.normal(size=about.num_blocks), jnp.float32),
        position=jnp.asarray(rng.normal(size=about.num_positions), jnp.float32),
        amplitude=jnp.float32(0.3),
        noise=jnp.float32(-2.0),
    )
    dna = jax.tree.map(np.asarray, SPACE.random(jax.random.key(0), (14,)))
    return about, hyper, dna, rng.normal(size=9).astype(np.float32)


@pytest.mark.slow
def test_kernel_is_the_plain_one():
    about, hyper, dna, _ = example()
    found = kernel(about, hyper, features(SPACE, dna), features(SPACE, dna))
    plain = np.array([[plain_kernel(SPACE, hyper, dna[i], dna[j]) for j in range(14)] for i in range(14)])
    np.testing.assert_allclose(found, plain, rtol=3e-4, atol=1e-5)
    assert np.linalg.eigvalsh(plain).min() > -1e-9  # it is a kernel


@pytest.mark.slow
def test_posterior_is_the_plain_one():
    """Nine points told, one awaited, two unused rows: means as if the nine were all, variances as if it were told."""
    about, hyper, dna, outcomes = example()
    plain = np.array([[plain_kernel(SPACE, hyper, dna[i], dna[j]) for j in range(14)] for i in range(14)])
    noise = float(noise_variance(hyper))
    new = [12, 13]
    mean = plain[new, :9] @ np.linalg.solve(plain[:9, :9] + noise * np.eye(9), outcomes)
    covariance = plain[np.ix_(new, new)] - plain[new, :10] @ np.linalg.solve(
        plain[:10, :10] + noise * np.eye(10), plain[:10, new]
    )
    told, used = np.arange(12) < 9, np.arange(12) < 10
    model, _ = fit(about, hyper, features(SPACE, dna[:12]), jnp.pad(outcomes, (0, 3)), told, used)
    found = predict(about, model, features(SPACE, dna[new]))
    jointly = predict_jointly(about, model, features(SPACE, dna[new]))
    np.testing.assert_allclose(found[0], mean, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[1], np.diag(covariance), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(jointly[1], covariance, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_likelihood_is_the_plain_one_and_its_gradient_the_difference():
    about, hyper, dna, outcomes = example()
    seen, told, padded = features(SPACE, dna[:12]), np.arange(12) < 9, jnp.pad(outcomes, (0, 3))
    plain = np.array([[plain_kernel(SPACE, hyper, dna[i], dna[j]) for j in range(9)] for i in range(9)])
    density = scipy.stats.multivariate_normal(np.zeros(9), plain + float(noise_variance(hyper)) * np.eye(9))
    value = jax.jit(lambda h: log_posterior(about, h, seen, told, padded))
    ratio = float(value(hyper) - log_prior(hyper)) - density.logpdf(outcomes)
    assert ratio == pytest.approx(4.5 * np.log(2 * np.pi), abs=1e-3)  # the constant that is left out
    _, found = fit(about, hyper, seen, padded, told, np.arange(12) < 11)  # awaited points say nothing
    wanted = jax.jit(jax.grad(value))(hyper)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def log_posterior(about, hyper, seen, mask, outcomes):
    """Log marginal likelihood of the outcomes plus log prior, up to a constant: what JAX can differentiate."""
    root = jnp.linalg.cholesky(covariance(about, hyper, seen, mask))
    whitened = jax.scipy.linalg.solve_triangular(root, jnp.where(mask, outcomes, 0.0), lower=True)
    return -0.5 * (whitened**2).sum() - jnp.log(jnp.diag(root)).sum() + log_prior(hyper)


def log_prior(hyper):
    prior = prior_mean(blocks(SPACE)), prior_deviation(blocks(SPACE))
    terms = jax.tree.map(lambda h, m, s: (-0.5 * ((h - m) / s) ** 2).sum(), hyper, *prior)
    return sum(jax.tree.leaves(terms))


def test_expected_improvement_is_the_closed_form():
    mean, deviation, best = np.array([-12.0, -7.0, -3.0, 0.0, 0.4, 5.0]), np.array([1.0, 1.0, 0.5, 2.0, 0.3, 1.0]), 0.5
    z = (mean - best) / deviation
    # log(pdf + z cdf) by the ratio of cdf to pdf, which does not underflow
    ratio = np.exp(scipy.stats.norm.logcdf(z) - scipy.stats.norm.logpdf(z))
    plain = np.log(deviation) + scipy.stats.norm.logpdf(z) + np.log1p(z * ratio)
    found = log_expected_improvement(jnp.asarray(mean), jnp.asarray(deviation**2), jnp.float32(best))
    np.testing.assert_allclose(found, plain, rtol=2e-3, atol=1e-3)
    far = log_expected_improvement(jnp.linspace(-60, 5, 500), jnp.ones(500), jnp.float32(0.0))
    assert (np.diff(far) > 0).all() and np.isfinite(far).all()


@pytest.mark.slow
@pytest.mark.parametrize('warp', [half_logarithm, normal_scores, yeo_johnson])
def test_warped_outcomes_keep_their_order_and_take_any_input(warp):
    told = np.arange(9) < 8
    fitness = jnp.array([3.0, -1e30, 5.0, -jnp.inf, 4.0, 1e30, 5.0, -2.0, 99.0])
    warped = np.asarray(warp(fitness, told))
    assert np.isfinite(warped).all() and warped[8] == 0
    assert warped[3] == warped[:8].min() and warped[5] == warped.max()
    assert abs(warped[:8].mean()) < 1e-5 and warped[:8].std() == pytest.approx(1.0, rel=1e-4)
    for flat in (jnp.zeros(4), jnp.full(4, -jnp.inf)):
        assert (np.asarray(warp(flat, jnp.ones(4, bool))) == 0).all()
    assert (np.asarray(warp(jnp.full(4, -jnp.inf), jnp.zeros(4, bool))) == 0).all()


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=20))
def test_normal_scores_are_those_of_ranks(values):
    told = np.arange(20) < len(values)
    fitness = np.zeros(20, np.float32)
    fitness[: len(values)] = values
    scores = np.asarray(normal_scores(jnp.asarray(fitness), told))
    np.testing.assert_array_equal(scores, normal_scores(jnp.asarray(np.sign(fitness) * fitness**2 - 7), told))
    quantiles = scipy.stats.norm.ppf((scipy.stats.rankdata(values) - 0.5) / len(values))
    deviation = quantiles.std() if quantiles.std() > 1e-6 else 1.0
    np.testing.assert_allclose(scores[: len(values)], (quantiles - quantiles.mean()) / deviation, atol=1e-4)


@pytest.mark.slow
def test_the_power_of_outcomes_is_the_most_likely_one():
    for seed, power in enumerate([0.5, 1.0, 2.0, 3.0]):
        values = np.random.default_rng(seed).normal(size=40)
        values = np.sign(values) * np.abs(values) ** power
        values = (values - values.mean()) / values.std()
        best = np.clip(scipy.stats.yeojohnson_normmax(values), 0.0, 4.0)
        made = scipy.stats.yeojohnson(values, best)
        found = yeo_johnson(jnp.asarray(values, jnp.float32), jnp.ones(40, bool))
        np.testing.assert_allclose(found, (made - made.mean()) / made.std(), atol=0.1)  # powers are an eighth apart


@pytest.mark.parametrize('scale', [1.0, 1e-3, 3e38])
def test_how_near_the_best_outcomes_are(scale):
    outcomes = scale * jnp.array([0.0, -0.125, -0.2, -0.25, -1.0, -jnp.inf, 1.0])
    told = jnp.arange(7) < 6
    np.testing.assert_allclose(near_best(outcomes, told), [1.0, 0.5, 0.2, 0.0, 0.0, 0.0, 0.0], atol=1e-5)
    np.testing.assert_array_equal(near_best(jnp.full(7, scale), told)[:6], 1.0)
    np.testing.assert_array_equal(near_best(jnp.full(7, -jnp.inf), told), 0.0)


def test_outcomes_of_few_values_are_ranks_at_a_ceiling():
    """Wherever the model has looked since: of random points, not of those that it chose."""
    space = pg.search_space({'x': pg.intv(0, 49)})
    points = DNA(jnp.array([[2], [17], [32], *([x] for x in range(42, 50))]), jnp.zeros((11, 0)))
    fresh = features(space, DNA(jnp.arange(50)[:, None], jnp.zeros((50, 0))))
    sought = jnp.arange(11) >= 3
    for at_ceiling, nearness in ((sought, 0.25), (~sought, 0.75)):  # 37 is as far from 32 as from 42
        outcomes = jnp.where(at_ceiling, 1.0, -1.0) - 1e-3 * jnp.arange(11)
        known = observe(space, empty(space, 32), points, outcomes[:, None])
        seen = features(space, known.dna)
        assert float(_nearness(blocks(space), known, seen, fresh)) == pytest.approx(nearness, abs=0.03)
        made = _seen_by(blocks(space), known, seen, fresh)
        form, other = (normal_scores, yeo_johnson)[:: 1 if nearness > 0.5 else -1]
        np.testing.assert_allclose(made, form(known.fitness, known.told), atol=1e-5)
        assert np.abs(made - other(known.fitness, known.told)).max() > 0.1


@pytest.mark.parametrize('batch_size', [1, 2])
def test_first_points_differ_more_than_random_ones_do(batch_size):
    """Of sixteen binomial numbers of twenty trials the largest is 13.9 on average, with a deviation of 1.2."""
    space = pg.search_space([pg.oneof([f'a{i}', f'b{i}']) for i in range(20)])
    controller = Bayesian(batch_size=batch_size, capacity=4, num_candidates=32)

    def differing(key):
        one, state = controller.ask(space, controller.init(space, key), key)
        other, _ = controller.ask(space, state, jax.random.fold_in(key, 1))
        points = jnp.concatenate([one.choices, other.choices])
        return (points[0] != points[1]).sum()

    numbers = jax.jit(jax.vmap(differing))(jax.random.split(jax.random.key(0), 50))
    assert abs(numbers.mean() - 13.9) < 5 * 1.2 / 50**0.5


def test_first_numbers_are_not_drawn_to_the_ends_of_their_range():
    """Two that are evenly distributed are a third of it apart on average, with a deviation of .24."""
    space = pg.search_space([pg.intv(0, 999)])
    controller = Bayesian(batch_size=2)
    ask = jax.jit(jax.vmap(lambda key: controller.ask(space, controller.init(space, key), key)[0].choices[:, 0]))
    pairs = np.asarray(ask(jax.random.split(jax.random.key(0), 200)))
    assert abs(np.abs(pairs[:, 0] - pairs[:, 1]).mean() / 1000 - 1 / 3) < 5 * 0.24 / 200**0.5


@pytest.mark.parametrize(
    ('value', 'slope', 'number', 'by_mean'),
    [
        (pg.intv(0, 9), 0.0, 12, True),
        (pg.intv(0, 9), 0.0, 13, False),
        (pg.intv(0, 9), 0.01, 12, False),
        (pg.oneof([str(i) for i in range(10)]), 0.0, 12, False),
    ],
    ids=['plateau', 'every second time', 'no plateau', 'no order'],
)
def test_on_a_plateau_of_ordered_values_the_mean_decides_every_second_time(value, slope, number, by_mean):
    space = pg.search_space([value] * 4)
    dna = space.random(jax.random.key(3), (number,))
    fitness = jax.random.randint(jax.random.key(4), (number, 1), 0, 3) + slope * jnp.arange(number)[:, None]
    assert ((fitness == fitness.max()).sum() > 1) == (slope == 0)
    proposed = []
    for controller in (Bayesian(capacity=16), Bayesian(capacity=16, acquisition='ucb', deviations=0.0)):
        state = controller.tell(space, controller.init(space, jax.random.key(0)), dna, fitness)
        ask = jax.jit(jax.vmap(lambda key, c=controller, s=state: c.ask(space, s, key)[0].choices))
        proposed.append(ask(jax.random.split(jax.random.key(1), 8)))
    assert (proposed[0] == proposed[1]).all() == by_mean


@pytest.mark.slow
def test_observations_wait_for_what_was_asked():
    space = pg.search_space({'x': pg.intv(0, 99)})

    def points(*x):
        return pg.DNA(np.array(x, np.int32)[:, None], np.zeros((len(x), 0), np.float32))

    known = await_points(empty(space, 5), points(1, 2, 2, 3))
    known = observe(space, known, points(2, 7), jnp.array([[5.0], [jnp.nan]]))  # out of order, and one not asked for
    assert known.told.tolist() == [False, True, False, False, True]
    assert known.awaited.tolist() == [True, False, True, True, False]
    known = observe(space, known, points(2, 1), jnp.array([[4.0], [9.0]]))
    assert known.fitness.tolist() == [9.0, 5.0, 4.0, -np.inf, -np.inf]
    known = observe(space, known, points(8), jnp.array([[6.0]]))  # full: the oldest below the median goes
    assert known.dna.choices[:, 0].tolist() == [1, 2, 8, 3, 7]
    known = observe(space, known, points(9), jnp.array([[7.0]]))
    assert known.dna.choices[:, 0].tolist() == [1, 9, 8, 3, 7]
    assert told_first(known).told.tolist() == [True] * 4 + [False]


@pytest.mark.slow
def test_densities_add_up_to_one_and_are_what_is_drawn():
    space = pg.search_space({'a': pg.oneof(['x', {'b': pg.oneof('pq')}, 'y']), 'i': pg.intv(0, 4)})
    points = list(space.iterate())
    points = pg.DNA(np.stack([p.choices for p in points]), np.stack([p.floats for p in points]))
    estimator = Parzen(space.random(jax.random.key(0), (6,)), jnp.arange(6) < 4)
    density = np.exp(np.asarray(log_density(space, estimator, points), np.float64))
    assert density.sum() == pytest.approx(1.0, abs=1e-4)
    number = 20_000
    drawn = jax.jit(lambda k: draw(space, estimator, k, number))(jax.random.key(1))
    rank = {row.tobytes(): i for i, row in enumerate(np.asarray(points.choices))}
    counts = np.bincount([rank[row.tobytes()] for row in np.asarray(drawn.choices)], minlength=len(density))
    assert (np.abs(counts - number * density) < 5 * np.sqrt(number * density * (1 - density)) + 2).all()


PLANTED = pg.Dict({f'd{i}': pg.oneof([pg.Dict(v=float(v)) for v in range(4)]) for i in range(6)}, x=pg.floatv(0.0, 1.0))


def planted(exp, key):
    """The best of 4**6 combinations and of a line: 0 at one corner, below it everywhere else."""
    wrong = sum((exp[f'd{i}'].v != float(i % 4)).astype(jnp.float32) for i in range(6))
    return {'fitness': -wrong - jnp.abs(exp.x - 0.3)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('controller', 'above'),
    [
        (Bayesian(num_initial=10, capacity=60, num_candidates=64), -0.3),
        (Bayesian(num_initial=10, capacity=60, num_candidates=64, batch_size=5), -1.3),
        (TPE(capacity=60), -2.2),
    ],
    ids=['bayesian', 'bayesian, batches', 'tpe'],
)
def test_finds_what_random_search_does_not(controller, above):
    """After 60 evaluations random search is at about -2.4 on average over these seeds."""
    evaluations = 60 // controller.batch_size
    loop = search.compile(PLANTED, planted, controller, objectives=[pg.maximize('fitness')], tile=1)
    best = jax.jit(lambda keys: jax.lax.map(lambda key: loop(key, evaluations).fitness.max(), keys))
    assert float(best(jax.random.split(jax.random.key(0), 3)).mean()) > above


@pytest.mark.slow
@pytest.mark.parametrize('name', ['bayesian', 'tpe'])
@pytest.mark.parametrize('fitness', [np.nan, 1.0])
def test_goes_on_when_all_fail_or_all_are_equal(name, fitness):
    space = pg.search_space({'x': pg.oneof('abc'), 'y': pg.oneof('de')})  # fewer points than observations
    controller = CONTROLLERS[name]
    state = controller.init(space, jax.random.key(0))

    @jax.jit
    def turn(state, key):
        dna, state = controller.ask(space, state, key)
        return dna, controller.tell(space, state, dna, jnp.full((2, 1), fitness))

    for key in jax.random.split(jax.random.key(1), 9):
        dna, state = turn(state, key)
        assert not np.asarray(space.violations(dna)).any()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(getattr(state, 'learned', ())))


@pytest.mark.slow
@pytest.mark.parametrize('controller', [Bayesian(num_initial=1, capacity=12, num_candidates=32), TPE(num_initial=1)])
def test_known_points_are_not_proposed_again(controller):
    template = pg.Dict(x=pg.floatv(0.0, 19.0, step=1.0))
    loop = search.compile(
        template, lambda exp, key: {'y': -jnp.abs(exp.x - 4)}, controller, objectives=[pg.maximize('y')], tile=1
    )
    asked = np.asarray(jax.jit(loop, static_argnums=1)(jax.random.key(0), 9).dna.choices)[:, 0, 0]
    assert len(set(asked.tolist())) == 9 and 4 in asked


@pytest.mark.parametrize(
    ('controller', 'words'),
    [
        (Bayesian(batch_size=0), 'batch_size = 0'),
        (Bayesian(capacity=2, batch_size=3), 'capacity = 2.*at least batch_size 3'),
        (TPE(num_candidates=0), 'num_candidates = 0'),
        (search.Auto(budget=0), 'budget = 0'),
    ],
)
def test_settings_out_of_range(controller, words):
    with pytest.raises(pg.ControllerError, match=words):
        controller.init(SPACE, jax.random.key(0))


def test_only_the_same_candidates_are_counted_together():
    text = 60 * 'a'
    unlike = [[True, False], [1, 0], [1.0, 0.0], [text + 'b', text + 'c'], [text + 'd', text + 'e']]
    assert not blocks(pg.search_space([pg.oneof(candidates) for candidates in unlike])).alike
    (columns, arity), *others = blocks(pg.search_space([pg.oneof(unlike[i]) for i in (0, 3, 4, 3)])).alike
    assert (columns.tolist(), arity, others) == ([1, 3], 2, [])


def test_a_smooth_function_does_not_wear_the_model_out():
    """Many points near the best one make the covariance all but singular; without a model, points would be random."""
    space = pg.search_space(pg.Dict(x=pg.floatv(0.0, 1.0)))
    controller = Bayesian(num_candidates=64)

    def step(state, key):
        dna, state = controller.ask(space, state, key)
        return controller.tell(space, state, dna, dna.floats), dna.floats[0, 0]

    keys = jax.random.split(jax.random.key(0), 120)
    found = jax.jit(lambda: jax.lax.scan(step, controller.init(space, keys[0]), keys)[1])()
    assert jnp.median(found[-40:]) > 0.9  # of random points 0.5, with a deviation of the median of 0.08


@pytest.mark.parametrize('batches', [2, 4])
def test_a_batch_repeats_no_point_before_all_are_in_it(batches):
    space = pg.search_space([pg.oneof('abcde')])
    controller = Bayesian(batch_size=4, num_initial=1, num_candidates=64)
    state = controller.init(space, jax.random.key(0))
    for number in range(batches):
        dna, state = controller.ask(space, state, jax.random.key(number))
        state = controller.tell(space, state, dna, dna.choices.astype(jnp.float32))
    assert len(set(dna.choices[:, 0].tolist())) == 4


def test_auto_chooses_by_space_objectives_budget_and_batch():
    small, large, huge = (pg.search_space([pg.oneof('ab') for _ in range(number)]) for number in (1, 200, 1000))
    evolution = search.RegularizedEvolution

    def kinds(space, **settings):
        chosen = search.Auto(**settings).choose(space)
        return [type(c) for c in chosen.controllers] if type(chosen) is search.Chain else [type(chosen)]

    assert kinds(small) == [Bayesian, evolution]
    assert kinds(small, budget=200) == kinds(large) == [Bayesian], 'more decisions take longer to learn'
    assert kinds(large, budget=5000) == [Bayesian, evolution]
    assert kinds(huge) == kinds(small, budget=10**6) == kinds(small, batch_size=500) == [evolution]
    assert type(search.Auto().choose(small, num_objectives=3).controller) is search.SEMO


def test_auto_goes_on_by_evolution_from_what_the_model_found():
    space = pg.search_space([pg.oneof([0.0, 1.0, 2.0]) for _ in range(8)])
    controller = search.Auto(batch_size=50)
    ask, tell = (jax.jit(functools.partial(f, space)) for f in (controller.ask, controller.tell))
    state, fitness, proposed = controller.init(space, jax.random.key(0)), [], []
    for generation in range(6):
        dna, state = ask(state, jax.random.key(generation))
        proposed += dna.choices.tolist()
        fitness += (dna.choices == 1).sum(-1).tolist()
        if generation < 4:
            assert (state.parents == -1).all(), 'the model has no parents'
        else:
            told = len(fitness) - 50
            is_recent = (state.parents >= told - 20) & (state.parents < told)
            assert (is_recent | (state.parents == -1)).all(), 'the population is what was told last'
            assert is_recent.sum() > 25, 'random points only where all neighbours are known'
        state = tell(state, dna, jnp.array(fitness[-50:], jnp.float32)[:, None])
    assert len({tuple(row) for row in proposed}) == 300
    assert max(fitness) == 8


def test_auto_serves_two_objectives_and_proposes_no_point_twice():
    space = pg.search_space([pg.oneof([0.0, 1.0, 2.0]) for _ in range(6)])

    def evaluate(exp, key):
        genes = jnp.stack(list(exp))
        return {'ones': (genes == 1).sum(), 'twos': (genes == 2).sum()}

    loop = search.compile(space, evaluate, search.Auto(batch_size=5), objectives=['ones', 'twos'])
    result = jax.jit(loop, static_argnums=1)(jax.random.key(0), 30)
    assert len(np.unique(np.asarray(result.dna.choices).reshape(-1, 6), axis=0)) == 150
    found = {tuple(row) for row in np.asarray(result.fitness).reshape(-1, 2).astype(int).tolist()}
    front = {(ones, 6 - ones) for ones in range(7)}  # 64 of the 729 points
    assert len(found & front) >= 6  # of random points 13 would be on it, and hardly one at either end
