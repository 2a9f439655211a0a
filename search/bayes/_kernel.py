"""The kernel: an exponential of weighted Hamming distances times a Matern 5/2 of weighted positions.

Every block of features has a weight of its own (automatic relevance determination). Those of values in an order are
alike before much is known: their logarithms scatter about one that they have in common. Both distances are Euclidean in
the features, so that with many decisions a kernel matrix costs two matrix products.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search.bayes._features import CHOICE, COUNTS, ORDERED, Blocks

LOWEST_NOISE = 1e-4  # of the prior variance, or of that of outcomes where it is larger: what float32 can factorize
_EXACT = 16  # positions on lines whose differences are squared one by one: of near points products cancel
_SCATTER = {CHOICE: 2.5, ORDERED: 0.8, COUNTS: 1.5}  # of the logarithms of weights about their prior mean


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """What marginal likelihood decides; all logarithms.

    Attributes:
      common: float32[2], what the weights of one-hot values in an order and those of positions have in common.
      hamming: float32[num_blocks], the weight of each block, apart from what is common.
      position: float32[Q], the weight of each position, 1 / lengthscale**2, apart from what is common.
      amplitude: float32[], the prior variance.
      noise: float32[], the noise variance above the lowest.
    """

    common: jax.Array
    hamming: jax.Array
    position: jax.Array
    amplitude: jax.Array
    noise: jax.Array


def prior_mean(about: Blocks) -> Hyperparameters:
    """Where the logarithms start, and to which the prior pulls: random points are correlated by about exp(-1)."""
    counts = max(int((about.kind == COUNTS).sum()), 1)
    hamming = np.where(about.kind == COUNTS, np.log(0.5 / counts), np.log(_of_one(about)))
    return Hyperparameters(
        common=jnp.zeros(2, jnp.float32),
        hamming=jnp.asarray(hamming, jnp.float32),
        position=jnp.full(about.num_positions, np.log(4.0 * _of_one(about)), jnp.float32),
        amplitude=jnp.float32(0.0),
        noise=jnp.float32(np.log(1e-4)),
    )


def _of_one(about: Blocks) -> float:
    """The weight of a choice before anything is known."""
    return 1.5 / max(about.num_blocks + about.num_positions, 1)


def prior_deviation(about: Blocks) -> Hyperparameters:
    """How far the logarithms scatter about their mean: those of values in an order, by a factor of two, e**0.8."""
    return Hyperparameters(
        common=jnp.float32(2.0),
        hamming=jnp.array([_SCATTER[kind] for kind in about.kind.tolist()], jnp.float32),
        position=jnp.float32(0.8),
        amplitude=jnp.float32(1.5),
        noise=jnp.float32(2.0),
    )


Features = tuple[jax.Array, jax.Array]


def apart(about: Blocks, a: Features, b: Features) -> jax.Array | None:
    """float32[Q, n, m], squared differences of positions; None where products of matrices are exact enough.

    On grids points are apart, and differences would cost half more.
    """
    if not about.has_lines or about.num_positions > _EXACT:
        return None
    return jnp.stack([(x[:, None] - y) ** 2 for x, y in zip(a[1].T, b[1].T, strict=True)])


def kernel(
    about: Blocks, hyper: Hyperparameters, a: Features, b: Features, differences: jax.Array | None = None
) -> jax.Array:
    """float32[n, m], the prior covariance of n points and m points, without noise.

    Args:
      about: of the features.
      hyper: the logarithms.
      a: of n points.
      b: of m points.
      differences: what `apart` gives for them, where it is known.
    """
    weights = jnp.exp(hyper.hamming + jnp.where(about.kind == ORDERED, hyper.common[0], 0.0))
    hamming = _squared_distances(a[0], b[0], weights[about.block])
    scales = jnp.exp(hyper.position + hyper.common[1])
    differences = apart(about, a, b) if differences is None else differences
    if differences is None:
        squares = _squared_distances(a[1], b[1], scales)
    else:
        squares = jnp.matmul(scales, differences.reshape(len(scales), -1), precision='highest').reshape(hamming.shape)
    radius = jnp.sqrt(jnp.maximum(5.0 * squares, 1e-12))
    matern = (1.0 + radius + radius**2 / 3.0) * jnp.exp(-radius)
    return jnp.exp(hyper.amplitude - hamming) * matern


def differing(about: Blocks, a: Features, b: Features) -> jax.Array:
    """float32[n, m], how much of n points and m points differs: choices and counts as the prior weighs them.

    Two numbers differ or they do not: by how much they do would make the ends of a range the least alike.
    """
    weights = jnp.exp(prior_mean(about).hamming)[about.block]
    return _squared_distances(a[0], b[0], weights) + _of_one(about) * (a[1][:, None] != b[1]).sum(-1)


def noise_variance(hyper: Hyperparameters) -> jax.Array:
    """float32[], the variance of an observation about the function."""
    return LOWEST_NOISE * jnp.exp(jnp.maximum(hyper.amplitude, 0.0)) + jnp.exp(hyper.noise)


def _squared_distances(a: jax.Array, b: jax.Array, weight: jax.Array) -> jax.Array:
    """float32[n, m], at least 0, by a product of matrices."""
    if a.shape[-1] == 0:
        return jnp.zeros((a.shape[0], b.shape[0]), jnp.float32)
    root = jnp.sqrt(weight)
    a, b = a * root, b * root
    squares = (a**2).sum(-1)[:, None] + (b**2).sum(-1)[None, :] - 2.0 * a @ b.T
    return jnp.maximum(squares, 0.0)
