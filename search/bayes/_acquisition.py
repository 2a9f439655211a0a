"""What a point promises, from the mean and variance of a process: larger is better."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_LOG_SQRT_2PI = 0.9189385


def log_expected_improvement(mean: jax.Array, variance: jax.Array, best: jax.Array) -> jax.Array:
    """The logarithm of E[max(f - best, 0)] (Jones et al., 1998), stable where that underflows.

    With z = (mean - best) / deviation it is log(deviation * (pdf(z) + z * cdf(z))); for z below -8 by the asymptotic
    series pdf(z) * (1 / z**2 - 3 / z**4), as in LogEI (Ament et al., 2023, https://arxiv.org/abs/2310.20708).

    >>> round(float(log_expected_improvement(jnp.float32(0.0), jnp.float32(1.0), jnp.float32(0.0))), 4)
    -0.9189
    """
    deviation = jnp.sqrt(variance)
    z = (mean - best) / deviation
    near = jnp.maximum(z, -8.0)
    log_near = jnp.log(jnp.exp(-0.5 * near**2 - _LOG_SQRT_2PI) + near * jax.scipy.stats.norm.cdf(near))
    far = jnp.minimum(z, -8.0)
    log_far = -0.5 * far**2 - _LOG_SQRT_2PI - 2.0 * jnp.log(-far) + jnp.log1p(-3.0 / far**2)
    return jnp.log(deviation) + jnp.where(z > -8.0, log_near, log_far)


def upper_confidence_bound(mean: jax.Array, variance: jax.Array, deviations: float | jax.Array) -> jax.Array:
    """The mean plus so many standard deviations (Srinivas et al., 2010)."""
    return mean + deviations * jnp.sqrt(variance)
