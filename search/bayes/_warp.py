"""Outcomes as a Gaussian process likes them: standardized, bad ones pulled in, failures as bad as the worst.

Among choices neighbours may differ by anything, and ranks say all that matters (`normal_scores`). Along a line outcomes
are smooth, which ranks would spoil next to an optimum (`half_logarithm`); among a few ordered values it depends on the
outcomes (`power_or_ranks`).

Each form takes float32[n] fitness, -inf where failed, which is worth the worst outcome, and bool[n], which rows were
told and count. It gives float32[n], finite, of mean 0 and deviation 1 over the rows told; 0 elsewhere, and where all
are equal.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

_FAR = 0.25  # of the range of outcomes: from there on nothing is near the best
_CEILING = 0.4  # so near the best are random points on average where they stand at a ceiling


def normal_scores(fitness: jax.Array, told: jax.Array) -> jax.Array:
    """For each outcome the quantile of the normal distribution that its rank stands for; equals share theirs."""
    known = told & jnp.isfinite(fitness)
    others = jnp.where(known, fitness, jnp.inf)[:, None]
    share = ((others < fitness).sum(0) + (others <= fitness).sum(0)) / (2 * jnp.maximum(known.sum(), 1))
    scores = jax.scipy.special.ndtri(jnp.where(known, share, 0.5))
    return _with_failures(scores, known, told)


def yeo_johnson(fitness: jax.Array, told: jax.Array) -> jax.Array:
    """Outcomes to the power with which they are most nearly normal (Yeo and Johnson, 2000), from 0 to 4."""
    known = told & jnp.isfinite(fitness)
    top = jnp.max(jnp.where(known, jnp.abs(fitness), 0.0))  # squares of huge outcomes would overflow
    values = standardize(jnp.where(known, fitness, 0.0) / jnp.where(top > 0, top, 1.0), known)
    logarithm, number = jnp.log1p(jnp.abs(values)), jnp.maximum(known.sum(), 1)

    def curved(power: jax.Array) -> jax.Array:
        exponent = jnp.where(values >= 0, power, 2.0 - power)
        is_zero = jnp.abs(exponent) < 1e-3
        size = jnp.where(is_zero, logarithm, jnp.expm1(exponent * logarithm) / jnp.where(is_zero, 1.0, exponent))
        return jnp.where(known, jnp.sign(values) * size, 0.0)

    def log_likelihood(power: jax.Array) -> jax.Array:
        made = curved(power)
        variance = (jnp.where(known, made - made.sum() / number, 0.0) ** 2).sum() / number
        slope = jnp.where(known, jnp.sign(values) * logarithm, 0.0).sum()
        return (power - 1.0) * slope - 0.5 * number * jnp.log(jnp.maximum(variance, 1e-12))

    powers = jnp.linspace(0.0, 4.0, 33, dtype=jnp.float32)
    return _with_failures(curved(powers[jnp.argmax(jax.vmap(log_likelihood)(powers))]), known, told)


def power_or_ranks(fitness: jax.Array, told: jax.Array, nearness: jax.Array) -> jax.Array:
    """A power of outcomes, or ranks at a ceiling, where no power tells good ones apart.

    Args:
      fitness: as above.
      told: as above.
      nearness: float32[], of random points to the best on average, as `near_best` measures it.
    """
    return jnp.where(nearness > _CEILING, normal_scores(fitness, told), yeo_johnson(fitness, told))


def near_best(fitness: jax.Array, told: jax.Array) -> jax.Array:
    """float32[n], how near the best: 1 at it, 0 from a fourth of the range below it on, and where failed."""
    known = told & jnp.isfinite(fitness)
    best = 0.5 * jnp.max(jnp.where(known, fitness, -jnp.inf))  # halves: their differences do not overflow
    worst = 0.5 * jnp.min(jnp.where(known, fitness, jnp.inf))
    gap = jnp.where(known, best - 0.5 * fitness, jnp.inf)
    return jnp.clip(1.0 - gap / jnp.maximum(_FAR * (best - worst), 1e-30), 0.0, 1.0)


def half_logarithm(fitness: jax.Array, told: jax.Array) -> jax.Array:
    """Half-logarithmic outcomes: what lies below the median is compressed, as its differences hardly matter.

    Above the median an outcome is its distance from the median in deviations (the root mean square distance of that
    half); below it is minus the log of one plus that distance. Failures are worth the worst outcome.
    """
    known = told & jnp.isfinite(fitness)
    number = jnp.maximum(known.sum(), 1)
    ascending = jnp.sort(jnp.where(known, fitness, jnp.inf))
    median = jnp.where(known.any(), ascending[(number - 1) // 2], 0.0)
    above = jnp.where(known, jnp.maximum(fitness - median, 0.0), 0.0)
    top = jnp.max(above)
    share = above / jnp.where(top > 0, top, 1.0)  # first to [0, 1]: squares of huge outcomes would overflow
    spread = top * jnp.sqrt((share**2).sum() / jnp.maximum((above > 0).sum(), 1))
    below = jnp.where(known, jnp.maximum(median - fitness, 0.0), 0.0)
    spread = jnp.where(spread > 0, spread, jnp.maximum(jnp.max(below), 1e-30))
    warped = above / spread - jnp.log1p(below / spread)
    return _with_failures(warped, known, told)


def _with_failures(warped: jax.Array, known: jax.Array, told: jax.Array) -> jax.Array:
    """Standardized, with the worst of those known in place of the others."""
    worst = jnp.min(jnp.where(known, warped, jnp.inf), initial=0.0)
    return standardize(jnp.where(known, warped, worst), told)


def standardize(values: jax.Array, mask: jax.Array) -> jax.Array:
    """float32[n] of mean 0 and deviation 1 over the mask, 0 elsewhere and where all are equal."""
    number = jnp.maximum(mask.sum(), 1)
    centred = jnp.where(mask, values - jnp.where(mask, values, 0.0).sum() / number, 0.0)
    deviation = jnp.sqrt((centred**2).sum() / number)
    return jnp.where(deviation > 1e-6, centred / jnp.maximum(deviation, 1e-6), 0.0)
