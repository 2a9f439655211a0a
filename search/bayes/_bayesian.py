"""Bayesian optimization: a Gaussian process of what was told says where to look next."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp

from pgjax.search._controller import Controller, State, require, require_single_objective
from pgjax.search._identity import equal_prints
from pgjax.search.bayes._acquisition import log_expected_improvement, upper_confidence_bound
from pgjax.search.bayes._candidates import climb, spread
from pgjax.search.bayes._features import Blocks, blocks, features
from pgjax.search.bayes._kernel import noise_variance
from pgjax.search.bayes._learned import Learned, learn, nothing
from pgjax.search.bayes._observations import Observations, await_points, empty, observe, told_first
from pgjax.search.bayes._posterior import predict, predict_jointly
from pgjax.space import DNA, Space

if TYPE_CHECKING:
    import optax

_STARTS = 16  # observations around which candidates are sought
_KEPT = 32  # candidates from which a batch is chosen, at least
_ROUNDS = 4
_FEW = 32  # observations up to which all steps of a fit are taken
_LAST = -1e30  # of what is known: worse than any acquisition, better than a repeat


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BayesianState:
    """What was seen, and what was made of it.

    Attributes:
      known: up to N points, told or awaited.
      learned: the model as it was last fitted.
    """

    known: Observations
    learned: Learned


class Bayesian(Controller, type_name='pgjax.search.Bayesian'):
    """Gaussian-process optimization over mixed and conditional spaces (Snoek et al., 2012, 1206.2944).

    The first `num_initial` points are random, each that of up to sixteen that differs most from those before it; points
    that others found count too. Then each `ask` fits the kernel by a few steps of ascent on the marginal likelihood,
    going on from the last fit, and proposes the points of highest acquisition that an evolutionary climb finds, never
    one that is known. Points of one batch, and those still awaited, count as if they had returned their expected value
    (a constant liar whose lie is the model's own), so that they spread.

    Departures from the paper: outcomes are normal scores of ranks where all decisions are choices; where some are few
    ordered values, a power of the outcomes, but ranks at a ceiling, which is where random points, each taken to be as
    good as the most similar one known, are near the best on average (by .4, where 1 is at the best and 0 a fourth of
    the range below it); and along lines those below the median are compressed by a logarithm. Hyperparameters are the
    most probable ones, not integrated out. The kernel is an exponential of Hamming distances among choices, and of how
    often each candidate was chosen by the decisions that have the same ones, times a Matern 5/2 of ordered values.

    Where several points share the best outcome, on a plateau of a few ordered values, the expected outcome alone
    decides every second time: improvement is expected where little is known, and the next step is next to the plateau.

    Defaults were chosen on nine tables of trained models and on the functions of Branin and Hartmann; 200 seeds, after
    50 and 100 evaluations. Accuracy is .04 and .00 points below the optimum of NAS-Bench-201 (cifar10), where random
    search is at .86 and .60; .19 and .04 on NAS-Bench-Graph (arxiv), where counts of candidates make the difference
    (.27 and .08 without), but 1.06 and .81 on cora, where no model orders the better points (1.12 and .86 if the first
    points are not spread). On HPOBench it is .37 and .26 (australian), .16 and .03 (phoneme; .20 and .08 with
    |difference| ** 1.5 for Matern 5/2) and .033 and .012 (car; .036 and .015 without the mean on plateaus, .039 and
    .016 without spread either; among choices the mean makes cora worse); Optuna's TPE is at .51 and .31, .37 and .12,
    .044 and .016. Every third point by a wide confidence bound instead made no difference, or a loss (car: .046 and
    .020). After 100 evaluations Branin's function is .0001 and Hartmann's .001 off its optimum (medians of 16 seeds).
    The form of outcomes is what matters most among ordered values: ranks are at .09 on phoneme, powers at .34 on
    australian, after 100. Judged by the first ten points alone, a fifteenth of the searches on phoneme had the wrong
    one, which were at .017 after 200 where the others were at .002.

    Attributes:
      batch_size: B, points per `ask`; 1 learns most from each evaluation.
      num_initial: random points before the model is asked.
      capacity: N, the number of observations that the model knows; beyond it old ones below the median are forgotten.
      acquisition: 'ei' (log expected improvement), 'ucb', or 'thompson' (each point of a batch from a function drawn
        from the posterior).
      deviations: how many standard deviations 'ucb' adds to the mean, and 'thompson' while it looks for candidates.
      fit_steps: steps of Adam on the kernel per `ask`; fewer when more than 32 points were asked for, at least one.
      learning_rate: of these steps.
      num_candidates: points scored in each of the rounds of the climb.

    >>> from pgjax import search
    >>> search.Bayesian(batch_size=4, acquisition='thompson').rebind(num_initial=10).num_initial
    10
    """

    batch_size: int = 1
    num_initial: int = 10
    capacity: int = 256
    acquisition: Literal['ei', 'ucb', 'thompson'] = 'ei'
    deviations: float = 4.0
    fit_steps: int = 4
    learning_rate: float = 0.1
    num_candidates: int = 256

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> BayesianState:
        """No observations, and the prior's kernel."""
        del key
        require_single_objective(self, num_objectives)
        for setting in ('batch_size', 'num_initial', 'num_candidates'):
            require(getattr(self, setting) >= 1, self, setting, 'at least 1')
        require(self.fit_steps >= 0, self, 'fit_steps', 'at least 0')
        require(self.capacity >= self.batch_size, self, 'capacity', f'at least batch_size {self.batch_size}')
        return BayesianState(empty(space, self.capacity), nothing(blocks(space), self._optimizer()))

    def ask(self, space: Space, state: BayesianState, key: jax.Array) -> tuple[DNA, BayesianState]:
        """Random points, spread out, until `num_initial` were asked for or told; then the model's."""
        known = state.known
        is_early = known.begun < self.num_initial
        keys = jax.random.split(key, 2 + _ROUNDS)  # at once: a fiftieth of the time to compile goes into each split
        # Drawn at one place for both cases: a twentieth of that time goes into each block of random bits.
        fresh = space.random(keys[0], (max(self.num_candidates, self._kept),))

        def seed(state: BayesianState, fresh: DNA, *_: jax.Array) -> tuple[DNA, Learned]:
            return spread(space, known, fresh, self.batch_size), state.learned

        propose = functools.partial(self._propose, space)
        dna, learned = jax.lax.cond(is_early, seed, propose, state, fresh, keys[1], keys[2:])
        return dna, BayesianState(await_points(known, dna), learned)

    def tell(self, space: Space, state: BayesianState, dna: DNA, fitness: Any) -> State:
        """Awaited points are told; points never asked for are observations too."""
        return dataclasses.replace(state, known=observe(space, state.known, dna, fitness))

    def _optimizer(self) -> optax.GradientTransformation:
        import optax  # on first use: it costs a tenth of a second

        return optax.flatten(optax.adam(self.learning_rate, b1=0.8, b2=0.95))  # one array is sooner compiled than five

    @property
    def _kept(self) -> int:
        """Candidates from which a batch is chosen."""
        return max(_KEPT, 2 * self.batch_size)

    def _propose(
        self, space: Space, state: BayesianState, fresh: DNA, draw_key: jax.Array, climb_keys: jax.Array
    ) -> tuple[DNA, Learned]:
        """B points by the model, and what was learned."""
        about = blocks(space)
        known = told_first(state.known)
        seen, used = features(space, known.dna), known.order >= 0
        # The more there are, the less do those that are new say of the kernel.
        steps = -(-self.fit_steps * _FEW // jnp.maximum(known.begun, _FEW))
        learned, model, outcomes = learn(
            about, state.learned, known, seen, self._optimizer(), steps, features(space, fresh)
        )
        noise = noise_variance(model.hyper)
        expected = jnp.where(known.told, outcomes - noise * model.weights, -jnp.inf)
        best = jnp.where(known.told.any(), jnp.max(expected), 0.0)
        is_greedy = self._is_greedy(about, known)

        def acquire(mean: jax.Array, variance: jax.Array) -> jax.Array:
            return jnp.where(is_greedy, mean, self._acquire(mean, variance, best))

        # Empty slots may be among the starts, and zeros are no point where slots must differ.
        starts = space.repair(known.dna[jax.lax.top_k(expected, min(_STARTS, self.capacity))[1]])

        known_prints = space.fingerprint(known.dna)

        def score(dna: DNA, prints: jax.Array) -> jax.Array:
            is_known = (equal_prints(prints, known_prints) & used).any(-1)
            promise = acquire(*predict(about, model, features(space, dna)))
            return jnp.where(is_known, _LAST, promise)

        pool, scores = climb(space, climb_keys, score, fresh, starts, kept=self._kept)
        if self.batch_size == 1 and self.acquisition != 'thompson':
            return pool[:1], learned
        mean, covariance = predict_jointly(about, model, features(space, pool))
        return pool[self._choose(mean, covariance, scores, acquire, noise, draw_key)], learned

    def _is_greedy(self, about: Blocks, known: Observations) -> jax.Array:
        """bool[], whether the mean alone decides: every second time on a plateau, far from which EI looks."""
        if self.acquisition != 'ei' or about.has_lines or not about.is_ordered:
            return jnp.bool_(False)
        top = jnp.max(known.fitness)
        is_plateau = (known.told & (known.fitness == top)).sum() > 1
        return jnp.isfinite(top) & is_plateau & (known.begun // self.batch_size % 2 == 0)

    def _acquire(self, mean: jax.Array, variance: jax.Array, best: jax.Array) -> jax.Array:
        if self.acquisition == 'ei':
            return log_expected_improvement(mean, variance, best)
        return upper_confidence_bound(mean, variance, self.deviations)  # to climb where functions are drawn

    def _choose(
        self,
        mean: jax.Array,
        covariance: jax.Array,
        scores: jax.Array,
        acquire: Callable[[jax.Array, jax.Array], jax.Array],
        noise: jax.Array,
        key: jax.Array,
    ) -> jax.Array:
        """int32[B], rows of a pool, each chosen as if those before had returned what was expected; new ones first."""
        size = len(mean)
        draws = jnp.zeros((self.batch_size, size), jnp.float32)
        if self.acquisition == 'thompson':
            jitter = 1e-4 * jnp.trace(covariance) / size * jnp.eye(size, dtype=jnp.float32)
            root = jnp.linalg.cholesky(covariance + jitter)
            draws = mean + jax.random.normal(key, (self.batch_size, size), jnp.float32) @ jnp.nan_to_num(root).T

        def choose(
            carry: tuple[jax.Array, jax.Array], draw: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            covariance, scores = carry
            variance = jnp.maximum(jnp.diag(covariance), 1e-8)
            score = draw if self.acquisition == 'thompson' else acquire(mean, variance)
            # Points that are known come after all others, repeats and those chosen for this batch after those.
            row = jnp.argmax(jnp.where(scores > _LAST, score, scores))
            along = covariance[row]
            covariance = covariance - jnp.outer(along, along) / (variance[row] + noise)
            return (covariance, scores.at[row].set(-jnp.inf)), row

        return jax.lax.scan(choose, (covariance, scores), draws)[1]
