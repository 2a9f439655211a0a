"""A policy that decides everything on its own, with gradients in closed form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search.policy_gradient._columns import CLOSED, categories, columns, open_categories, values
from pgjax.search.policy_gradient._policy import Policy
from pgjax.space import DNA, ConstrainedGroup, Space
from pgjax.space._threefry import uniform


class Factored(Policy, type_name='pgjax.search.policy_gradient.Factored'):
    """Every decision on its own: one row of logits each.

    Its gradient has a closed form, one-hot minus probability, which needs no differentiation and no noise but one
    uniform number a gene.

    >>> import jax, pgjax as pg
    >>> from pgjax.search.policy_gradient import Factored
    >>> space = pg.search_space([pg.oneof('abcd'), pg.floatv(0.0, 1.0)])
    >>> Factored(bins=8).init(space, jax.random.key(0)).shape
    (2, 8)
    """

    def init(self, space: Space, key: jax.Array) -> jax.Array:
        """float32[D, K] zeros: logits."""
        del key
        return jnp.zeros(columns(space, self.bins).offset.shape, jnp.float32)

    def sample(self, space: Space, parameters: jax.Array, key: jax.Array, number: int) -> DNA:
        """By the inverse of the cumulative distribution; the slots of a group one after the other."""
        about = columns(space, self.bins)
        logits = parameters + about.offset
        draw_key, place_key = jax.random.split(key)
        noise = uniform(draw_key, (number, len(about.number)))
        chosen = inverse_cdf(logits, noise)
        for group in about.groups:
            own = np.array(group.columns)
            rows = _sample_group(group, logits[own], noise[:, own])
            chosen = chosen.at[:, own].set(rows)
        return values(space, self.bins, chosen, place_key)

    def log_prob(self, space: Space, parameters: jax.Array, dna: DNA) -> jax.Array:
        """Exact, in a constrained group too."""
        logs, chosen, active = self._conditionals(space, parameters, dna)
        picked = jnp.where(chosen, logs, 0.0).sum(-1)
        return jnp.where(active, picked, 0.0).sum(-1)

    def gradient(
        self, space: Space, parameters: jax.Array, dna: DNA, weight: jax.Array, entropy: jax.Array | float
    ) -> jax.Array:
        """In closed form: the sum of weight * (one-hot - probability), and -probability * (log + entropy)."""
        logs, chosen, active = self._conditionals(space, parameters, dna)
        probability = jnp.exp(logs)
        plogp = jnp.where(probability > 0, probability * logs, 0.0)
        share = (weight != 0).astype(jnp.float32)
        pull = jnp.where(active, weight[:, None], 0.0)[..., None]
        spread = jnp.where(active, (entropy * share / jnp.maximum(share.sum(), 1.0))[:, None], 0.0)[..., None]
        of_entropy = -plogp + probability * plogp.sum(-1, keepdims=True)
        rise = (pull * chosen).sum(0)
        if len(logs) == 1:  # no group: all points have the same conditionals
            return rise - pull.sum(0) * probability[0] + spread.sum(0) * of_entropy[0]
        return rise + (spread * of_entropy - pull * probability).sum(0)

    def _conditionals(self, space: Space, parameters: jax.Array, dna: DNA) -> tuple[jax.Array, jax.Array, jax.Array]:
        """float32[n or 1, D, K] log probabilities, bool[n, D, K] what was chosen, bool[n, D] what is in use."""
        about = columns(space, self.bins)
        picked = categories(space, self.bins, dna)
        logits = (parameters + about.offset)[None]
        if about.groups:
            logits = jnp.where(open_categories(space, self.bins, picked), logits, CLOSED)
        chosen = picked[..., None] == jnp.arange(logits.shape[-1])
        return jax.nn.log_softmax(logits), chosen, space.active(dna)


def _sample_group(group: ConstrainedGroup, logits: jax.Array, uniform: jax.Array) -> jax.Array:
    """int32[n, k] from float32[k, K] logits and float32[n, k] noise, slot by slot."""
    category = jnp.arange(logits.shape[-1])

    def fill(is_open: jax.Array, slot: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        drawn = inverse_cdf(jnp.where(is_open, slot[0], CLOSED), slot[1])
        if group.sorted:
            after = category > drawn[:, None] if group.distinct else category >= drawn[:, None]
        else:
            after = category != drawn[:, None]
        return is_open & after, drawn

    start = jnp.ones((len(uniform), len(category)), bool)
    return jax.lax.scan(fill, start, (logits, uniform.T))[1].T


def inverse_cdf(logits: jax.Array, uniform: jax.Array) -> jax.Array:
    """int32[...], the category of float32[..., K] logits in which uniform noise falls; never a closed one."""
    highest = logits.max(-1, keepdims=True)
    mass = jnp.where(logits > 0.5 * CLOSED, jnp.exp(logits - highest), 0.0)
    total = jnp.cumsum(mass, -1)
    # Noise is below 1, yet its product with the total may round up to it: the last open category holds that.
    last = logits.shape[-1] - 1 - jnp.argmax((mass > 0)[..., ::-1], -1)
    fallen = (uniform[..., None] * total[..., -1:] >= total).sum(-1, dtype=jnp.int32)
    return jnp.minimum(fallen, last.astype(jnp.int32))
