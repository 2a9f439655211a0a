"""A policy whose decisions depend on those before them."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from pgjax.search.policy_gradient._columns import CLOSED, categories, columns, open_categories, values
from pgjax.search.policy_gradient._factored import inverse_cdf
from pgjax.search.policy_gradient._policy import Policy
from pgjax.space import DNA, Space
from pgjax.space._threefry import uniform


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AutoregressiveParameters:
    """The parameters of D columns of K categories and h hidden units.

    Attributes:
      logits: float32[D, K], what each category is worth whatever went before.
      embedding: float32[D, K, h], what each category adds to the hidden units of later columns.
      hidden_bias: float32[h].
      readout: float32[D, h, K], what the hidden units say about each category.
    """

    logits: jax.Array
    embedding: jax.Array
    hidden_bias: jax.Array
    readout: jax.Array


class Autoregressive(Policy, type_name='pgjax.search.policy_gradient.Autoregressive'):
    """Each decision given those before it: a neural autoregressive estimator (Larochelle and Murray, 2011).

    A column's logits are its own plus a readout of tanh of the sum of the embeddings of all decisions in use before
    it. So probabilities of given points cost one pass; drawing takes D steps. Conditions come before what they open.

    Departure from the paper: categories instead of bits, one embedding a category.

    Attributes:
      hidden: h, the number of hidden units.
    """

    hidden: int = 16

    def init(self, space: Space, key: jax.Array) -> AutoregressiveParameters:
        """The uniform policy: readouts and logits are zero, embeddings random."""
        d, k = columns(space, self.bins).offset.shape
        return AutoregressiveParameters(
            logits=jnp.zeros((d, k), jnp.float32),
            embedding=jax.random.normal(key, (d, k, self.hidden), jnp.float32),
            hidden_bias=jnp.zeros(self.hidden, jnp.float32),
            readout=jnp.zeros((d, self.hidden, k), jnp.float32),
        )

    def sample(self, space: Space, parameters: AutoregressiveParameters, key: jax.Array, number: int) -> DNA:
        """One column after the other."""
        about = columns(space, self.bins)
        draw_key, place_key = jax.random.split(key)
        noise = uniform(draw_key, (number, len(about.number)))

        def fill(carry: tuple[jax.Array, jax.Array], column: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
            chosen, total = carry
            hidden = jnp.tanh(total + parameters.hidden_bias)
            logits = parameters.logits[column] + jnp.asarray(about.offset)[column] + hidden @ parameters.readout[column]
            if about.groups:
                logits = jnp.where(open_categories(space, self.bins, chosen)[:, column], logits, CLOSED)
            chosen = chosen.at[:, column].set(inverse_cdf(logits, noise[:, column]))
            # What is in use is known here, as all conditions of this column have been decided.
            in_use = space.active(values(space, self.bins, chosen))[:, column]
            added = parameters.embedding[column, chosen[:, column]]
            return (chosen, total + jnp.where(in_use[:, None], added, 0.0)), None

        start = (jnp.zeros(noise.shape, jnp.int32), jnp.zeros((number, self.hidden)))
        (chosen, _), _ = jax.lax.scan(fill, start, jnp.asarray(about.order))
        return values(space, self.bins, chosen, place_key)

    def log_prob(self, space: Space, parameters: AutoregressiveParameters, dna: DNA) -> jax.Array:
        """Exact, by one pass."""
        return self._log_prob_and_entropy(space, parameters, dna)[0]

    def gradient(
        self,
        space: Space,
        parameters: AutoregressiveParameters,
        dna: DNA,
        weight: jax.Array,
        entropy: jax.Array | float,
    ) -> AutoregressiveParameters:
        """By differentiation; the entropy is that of each decision given those that were drawn before it."""
        share = jnp.where(weight != 0, 1.0, 0.0)
        share = share / jnp.maximum(share.sum(), 1.0)

        def gain(parameters: AutoregressiveParameters) -> jax.Array:
            logs, spread = self._log_prob_and_entropy(space, parameters, dna)
            return weight @ logs + entropy * (share @ spread)

        return jax.grad(gain)(parameters)

    def _log_prob_and_entropy(
        self, space: Space, parameters: AutoregressiveParameters, dna: DNA
    ) -> tuple[jax.Array, jax.Array]:
        """float32[n] log probabilities, and float32[n] sums of the entropies of the decisions in use."""
        about = columns(space, self.bins)
        picked = categories(space, self.bins, dna)
        active = space.active(dna)
        rows = jnp.arange(len(about.number))
        added = jnp.where(active[..., None], parameters.embedding[rows, picked], 0.0)[:, about.order]
        before = jnp.zeros_like(added).at[:, about.order].set(jnp.cumsum(added, 1) - added)
        hidden = jnp.tanh(before + parameters.hidden_bias)
        logits = parameters.logits + about.offset + jnp.einsum('ndh,dhk->ndk', hidden, parameters.readout)
        if about.groups:
            logits = jnp.where(open_categories(space, self.bins, picked), logits, CLOSED)
        logs = jax.nn.log_softmax(logits)
        mine = jnp.take_along_axis(logs, picked[..., None], -1)[..., 0]
        entropy = -jnp.where(logs > 0.5 * CLOSED, jnp.exp(logs) * logs, 0.0).sum(-1)
        return jnp.where(active, mine, 0.0).sum(-1), jnp.where(active, entropy, 0.0).sum(-1)
