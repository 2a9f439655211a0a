"""The model of what was told, fitted a little further at each look."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from pgjax.search.bayes._features import Blocks
from pgjax.search.bayes._kernel import Features, Hyperparameters, apart, kernel, prior_mean
from pgjax.search.bayes._observations import Observations
from pgjax.search.bayes._posterior import Posterior, fit
from pgjax.search.bayes._warp import half_logarithm, near_best, normal_scores, power_or_ranks

if TYPE_CHECKING:
    import optax


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Learned:
    """How the model was last fitted.

    Attributes:
      hyper: of the kernel, from which the next fit goes on.
      optimizer: its Optax state.
    """

    hyper: Hyperparameters
    optimizer: Any


def nothing(about: Blocks, optimizer: optax.GradientTransformation) -> Learned:
    """The prior."""
    mean: Any = prior_mean(about)
    return Learned(mean, optimizer.init(mean))


def learn(
    about: Blocks,
    learned: Learned,
    known: Observations,
    seen: Features,
    optimizer: optax.GradientTransformation,
    steps: jax.Array,
    fresh: Features,
) -> tuple[Learned, Posterior, jax.Array]:
    """Fits the model.

    Args:
      about: of the features.
      learned: from where the fit goes on.
      known: N observations, those told first.
      seen: their features.
      optimizer: of the hyperparameters.
      steps: int32[], how many it makes.
      fresh: features of random points.

    Returns:
      What was learned; the model; float32[N], the outcomes as it sees them.
    """
    import optax

    outcomes, used = _seen_by(about, known, seen, fresh), known.order >= 0

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
    nowhere = jnp.zeros(number, jnp.float32), jnp.zeros((number, number), jnp.float32)
    hyper, memory, fitted = jax.lax.fori_loop(0, steps + 1, step, (learned.hyper, learned.optimizer, nowhere))
    model = Posterior(hyper, seen, used, *fitted)
    return Learned(hyper, memory), model, outcomes


def _seen_by(about: Blocks, known: Observations, seen: Features, fresh: Features) -> jax.Array:
    """float32[N], the outcomes in the form that suits the space."""
    if about.has_lines:
        return half_logarithm(known.fitness, known.told)
    if about.is_ordered:
        return power_or_ranks(known.fitness, known.told, _nearness(about, known, seen, fresh))
    return normal_scores(known.fitness, known.told)


def _nearness(about: Blocks, known: Observations, seen: Features, fresh: Features) -> jax.Array:
    """float32[], how near the best random points are on average, each taken to be as the most similar one known.

    What was observed is no random sample: most of it was sought near the best.
    """
    similar = jnp.where(known.told, kernel(about, prior_mean(about), fresh, seen), -1.0)
    return near_best(known.fitness, known.told)[jnp.argmax(similar, -1)].mean()
