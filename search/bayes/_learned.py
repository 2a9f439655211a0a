"""Models of what was told, one for each way to see outcomes, and which of them to believe.

No warp of outcomes is right for all functions. The one to believe is that whose model, asked for each point as if its
outcome were not known, puts the better half of the points in the order that they have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from pgjax.search.bayes._features import Blocks
from pgjax.search.bayes._kernel import Features, Hyperparameters, prior_mean
from pgjax.search.bayes._observations import Observations
from pgjax.search.bayes._posterior import Posterior, fit, log_posterior_gradient, without_itself
from pgjax.search.bayes._warp import half_logarithm, normal_scores, yeo_johnson

if TYPE_CHECKING:
    import optax

Warp = Callable[[jax.Array, jax.Array], jax.Array]

_MEMORY = 0.9  # of what was believed before: half of the points are few at first


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Learned:
    """How the models were last fitted; each array has a leading axis W, for the warps.

    Attributes:
      hyper: of the kernels, from which the next fit goes on.
      optimizer: its Optax state.
      trust: float32[W], a running mean of how well each model orders what it was not told.
    """

    hyper: Hyperparameters
    optimizer: Any
    trust: jax.Array


def warps(about: Blocks) -> tuple[Warp, ...]:
    """Ways to see outcomes: along a line they are smooth, which ranks would spoil; among choices ranks say all."""
    if about.num_positions:
        return (half_logarithm,)
    return (normal_scores, yeo_johnson) if len(about.ladder) else (normal_scores,)


def nothing(about: Blocks, optimizer: optax.GradientTransformation) -> Learned:
    """The prior."""
    mean, number = prior_mean(about), len(warps(about))
    hyper: Any = jax.tree.map(lambda x: jnp.stack([x] * number), mean)
    return Learned(hyper, jax.vmap(optimizer.init)(hyper), jnp.zeros(number))


def learn(
    about: Blocks,
    learned: Learned,
    known: Observations,
    seen: Features,
    optimizer: optax.GradientTransformation,
    steps: jax.Array,
) -> tuple[Learned, Posterior, jax.Array]:
    """Fits all models and chooses one.

    Args:
      about: of the features.
      learned: from where the fit goes on.
      known: N observations, those told first.
      seen: their features.
      optimizer: of the hyperparameters.
      steps: int32[], how many it makes.

    Returns:
      What was learned; the model to believe; float32[N], the outcomes as it sees them.
    """
    import optax

    outcomes = jnp.stack([warp(known.fitness, known.told) for warp in warps(about)])

    def one(case: tuple[Any, Any, jax.Array]) -> tuple[Any, Any, Posterior, jax.Array]:
        hyper, memory, outcomes = case

        def step(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            hyper, memory = carry
            ascent = log_posterior_gradient(about, hyper, seen, known.told, outcomes)
            descent = jax.tree.map(lambda g: -jnp.nan_to_num(g), ascent)
            updates, memory = optimizer.update(descent, memory, hyper)
            return optax.apply_updates(hyper, updates), memory

        hyper, memory = jax.lax.fori_loop(0, steps, step, (hyper, memory))
        model = fit(about, hyper, seen, outcomes, known.told, known.order >= 0)
        return hyper, memory, model, agreement(without_itself(model, outcomes, known.told), known)

    hyper, memory, models, found = jax.lax.map(one, (learned.hyper, learned.optimizer, outcomes))
    trust = _MEMORY * learned.trust + (1 - _MEMORY) * found
    model, outcomes = jax.tree.map(lambda x: x[jnp.argmax(trust)], (models, outcomes))
    return Learned(hyper, memory, trust), model, outcomes


def agreement(predicted: jax.Array, known: Observations) -> jax.Array:
    """float32[] in [-1, 1]: Kendall's rank correlation of predictions and fitness over the better half of those told.

    Pairs of equal fitness do not count; 0 where there are no others.
    """
    there = known.told & jnp.isfinite(known.fitness)
    ascending = jnp.sort(jnp.where(there, known.fitness, jnp.inf))
    better = there & (known.fitness >= ascending[there.sum() // 2])
    order = jnp.sign(known.fitness[:, None] - known.fitness[None])
    counts = better[:, None] & better[None] & (order != 0)
    agrees = jnp.where(counts, order * jnp.sign(predicted[:, None] - predicted[None]), 0.0)
    return agrees.sum() / jnp.maximum(counts.sum(), 1)
