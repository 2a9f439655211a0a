"""A Gaussian process over padded observations: its marginal likelihood, its gradient, and its posterior.

Rows that are not observed are decoupled: a one on the diagonal and zeros elsewhere, so that arrays keep one shape.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from pgjax.search.bayes._features import Blocks
from pgjax.search.bayes._kernel import (
    Features,
    Hyperparameters,
    kernel,
    noise_variance,
    prior_deviation,
    prior_mean,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Posterior:
    """A process that has seen n observations, masked ones among them.

    Attributes:
      hyper: of the kernel.
      seen: the features of the observations.
      mask: bool[n], which rows were observed.
      weights: float32[n], inverse of the covariance times the outcomes.
      root: float32[n, n], the inverse of the Cholesky factor of the covariance.
    """

    hyper: Hyperparameters
    seen: Features
    mask: jax.Array
    weights: jax.Array
    root: jax.Array


def covariance(
    about: Blocks, hyper: Hyperparameters, seen: Features, mask: jax.Array, differences: jax.Array | None = None
) -> jax.Array:
    """float32[n, n] of the observations, with noise; `differences` as in `kernel`."""
    both = mask[:, None] & mask[None, :]
    diagonal = jnp.where(mask, noise_variance(hyper), 1.0)
    return jnp.where(both, kernel(about, hyper, seen, seen, differences), 0.0) + jnp.diag(diagonal)


def fit(
    about: Blocks,
    hyper: Hyperparameters,
    seen: Features,
    outcomes: jax.Array,
    told: jax.Array,
    used: jax.Array,
    differences: jax.Array | None = None,
) -> tuple[Posterior, Hyperparameters]:
    """The posterior given outcomes, and given that awaited points return what they are expected to.

    Args:
      about: of the features.
      hyper: of the kernel.
      seen: features of n points: first those told, then those awaited, then unused rows.
      outcomes: float32[n], of the rows told.
      told: bool[n], rows with an outcome.
      used: bool[n], rows told or awaited. An awaited point leaves all means as they are and lowers variances.
      differences: as in `kernel`, of the n points from each other.

    Returns:
      The posterior, and the gradient of log marginal likelihood plus log prior with respect to the hyperparameters.
      With covariance K of what was told and w = K^-1 y that of the likelihood is the sum of (w w^T - K^-1) / 2 * dK
      (Rasmussen and Williams, 2006, equation 5.9): nothing is differentiated through the factorization, which would
      cost several times as much.
    """
    matrix, pull = jax.vjp(lambda h: covariance(about, h, seen, used, differences), hyper)
    root = _inverse_root(matrix)
    # The leading block of the root belongs to the rows told alone; cutting the rest off is as if it returned its mean.
    of_told = jnp.where(told[:, None], root, 0.0)
    weights = of_told.T @ (of_told @ jnp.where(told, outcomes, 0.0))
    both = told[:, None] & told[None, :]
    (likelihood,) = pull(jnp.where(both, 0.5 * (jnp.outer(weights, weights) - of_told.T @ of_told), 0.0))
    prior = jax.tree.map(lambda h, m, s: (m - h) / s**2, hyper, prior_mean(about), prior_deviation(about))
    # Where the factorization failed, the prior pulls back to where it did not.
    gradient = jax.tree.map(lambda a, b: jnp.where(jnp.isfinite(a), a, 0.0) + b, likelihood, prior)
    return Posterior(hyper, seen, used, weights, root), gradient


def _inverse_root(matrix: jax.Array) -> jax.Array:
    factor = jnp.linalg.cholesky(matrix)
    return jax.scipy.linalg.solve_triangular(factor, jnp.eye(len(matrix), dtype=matrix.dtype), lower=True)


def predict(about: Blocks, posterior: Posterior, points: Features) -> tuple[jax.Array, jax.Array]:
    """float32[m] mean and float32[m] variance of the function at m points."""
    cross = _cross(about, posterior, points)
    explained = ((cross @ posterior.root.T) ** 2).sum(-1)
    variance = jnp.exp(posterior.hyper.amplitude) - explained
    return cross @ posterior.weights, jnp.maximum(variance, 1e-8)


def predict_jointly(about: Blocks, posterior: Posterior, points: Features) -> tuple[jax.Array, jax.Array]:
    """float32[m] mean and float32[m, m] covariance of the function at m points."""
    cross = _cross(about, posterior, points)
    half = cross @ posterior.root.T
    return cross @ posterior.weights, kernel(about, posterior.hyper, points, points) - half @ half.T


def _cross(about: Blocks, posterior: Posterior, points: Features) -> jax.Array:
    return jnp.where(posterior.mask, kernel(about, posterior.hyper, points, posterior.seen), 0.0)
