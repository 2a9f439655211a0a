"""The model of what was told, fitted a little further at each look."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from pgjax.search.bayes._features import Blocks
from pgjax.search.bayes._kernel import Features, Hyperparameters, apart, prior_mean
from pgjax.search.bayes._observations import Observations
from pgjax.search.bayes._posterior import Posterior, fit
from pgjax.search.bayes._warp import half_logarithm, normal_scores, power_or_ranks, share_near_best

if TYPE_CHECKING:
    import optax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Learned:
    """How the model was last fitted.

    Attributes:
      hyper: of the kernel, from which the next fit goes on.
      optimizer: its Optax state.
      near_best: float32[], the share of random points near the best of them; -1 before they are told, and where it
        does not matter.
    """

    hyper: Hyperparameters
    optimizer: Any
    near_best: jax.Array


def nothing(about: Blocks, optimizer: optax.GradientTransformation) -> Learned:
    """The prior."""
    mean: Any = prior_mean(about)
    return Learned(mean, optimizer.init(mean), jnp.float32(-1.0))


def learn(
    about: Blocks,
    learned: Learned,
    known: Observations,
    seen: Features,
    optimizer: optax.GradientTransformation,
    steps: jax.Array,
    num_random: int,
) -> tuple[Learned, Posterior, jax.Array]:
    """Fits the model.

    Args:
      about: of the features.
      learned: from where the fit goes on.
      known: N observations, those told first.
      seen: their features.
      optimizer: of the hyperparameters.
      steps: int32[], how many it makes.
      num_random: of how many points told the share near the best of them is kept.

    Returns:
      What was learned; the model; float32[N], the outcomes as it sees them.
    """
    import optax

    near_best = _near_best(about, learned, known)
    outcomes, used = _seen_by(about, known, near_best), known.order >= 0

    differences = apart(about, seen, seen)  # they are the same in every round

    def step(index: jax.Array, carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        hyper, memory, _ = carry
        model, ascent = fit(about, hyper, seen, outcomes, known.told, used, differences)
        descent = jax.tree.map(jnp.negative, ascent)
        updates, new_memory = optimizer.update(descent, memory, hyper)
        moved = optax.apply_updates(hyper, updates), new_memory
        hyper, memory = jax.tree.map(lambda a, b: jnp.where(index < steps, a, b), moved, (hyper, memory))
        return hyper, memory, (model.weights, model.root)

    # The last round moves nothing and leaves the model: to fit once more after the loop would be compiled once more.
    number = len(outcomes)
    nowhere = jnp.zeros(number), jnp.zeros((number, number))
    hyper, memory, fitted = jax.lax.fori_loop(0, steps + 1, step, (learned.hyper, learned.optimizer, nowhere))
    model = Posterior(hyper, seen, used, *fitted)
    kept = jnp.where(known.told.sum() < num_random, -1.0, near_best)
    return Learned(hyper, memory, kept), model, outcomes


def _near_best(about: Blocks, learned: Learned, known: Observations) -> jax.Array:
    """float32[], what was kept, or the share of all that is known so far; -1 where `_seen_by` does without."""
    if about.has_lines or not about.is_ordered:
        return learned.near_best
    return jnp.where(learned.near_best < 0, share_near_best(known.fitness, known.told), learned.near_best)


def _seen_by(about: Blocks, known: Observations, near_best: jax.Array) -> jax.Array:
    """float32[N], the outcomes in the form that suits the space."""
    if about.has_lines:
        return half_logarithm(known.fitness, known.told)
    if about.is_ordered:
        return power_or_ranks(known.fitness, known.told, near_best)
    return normal_scores(known.fitness, known.told)
