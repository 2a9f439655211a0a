"""The tree-structured Parzen estimator: where good points are dense and bad ones are not."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pgjax.search._controller import Controller, State, require, require_single_objective
from pgjax.search._identity import equal_prints
from pgjax.search.bayes._candidates import best_points
from pgjax.search.bayes._observations import Observations, await_points, empty, observe
from pgjax.search.bayes._parzen import Parzen, draw, log_density
from pgjax.space import DNA, Space, concatenate

_LAST = -1e30  # worse than any ratio of densities


class TPE(Controller, type_name='pgjax.search.TPE'):
    """Multivariate tree-structured Parzen estimator (Bergstra et al., 2011; Watanabe, 2023, 2304.11127).

    The first `num_initial` points are random; those that others found count too. Then what was told is split into the
    best few and the rest, each is made a density over whole points, and of candidates drawn from the density of the
    best those are proposed where it is highest against the other. It costs little, and scales to more observations than
    a Gaussian process.

    Departures from the papers: all genes of a point are drawn from one centre (as Optuna does with `multivariate`),
    conditions are respected gene by gene; known points are never proposed; points awaited count as bad.

    Attributes:
      batch_size: B, points per `ask`.
      num_initial: random points before the estimator is asked.
      capacity: N, the number of observations that it knows; beyond it old ones below the median are forgotten.
      good_fraction: the part of the observations that counts as good.
      most_good: the number of good ones at most.
      num_candidates: points drawn for each point of a batch.

    >>> from pgjax import search
    >>> search.TPE(batch_size=4).rebind(num_candidates=64).num_candidates
    64
    """

    batch_size: int = 1
    num_initial: int = 10
    capacity: int = 512
    good_fraction: float = 0.1
    most_good: int = 25
    num_candidates: int = 24

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> Observations:
        """No observations."""
        del key
        require_single_objective(self, num_objectives)
        for setting in ('batch_size', 'num_initial', 'num_candidates', 'most_good'):
            require(getattr(self, setting) >= 1, self, setting, 'at least 1')
        require(self.capacity >= self.batch_size, self, 'capacity', f'at least batch_size {self.batch_size}')
        return empty(space, self.capacity)

    def ask(self, space: Space, state: Observations, key: jax.Array) -> tuple[DNA, Observations]:
        """Random points until `num_initial` were asked for or told; then the best of those drawn."""

        def seed(state: Observations, key: jax.Array) -> DNA:
            return space.random(key, (self.batch_size,))

        def propose(state: Observations, key: jax.Array) -> DNA:
            good, bad = self._split(state)
            draw_key, spare_key = jax.random.split(key)
            drawn = draw(space, good, draw_key, self.batch_size * self.num_candidates)
            masks = jnp.stack([good.mask, bad.mask])  # one program for both
            of_good, of_bad = jax.vmap(lambda mask: log_density(space, Parzen(state.dna, mask), drawn))(masks)
            promise = of_good - of_bad
            # Random points stand by in case that everything drawn is known.
            pool = concatenate([drawn, space.random(spare_key, (self.batch_size,))])
            promise = jnp.append(promise, jnp.full(self.batch_size, _LAST, jnp.float32))
            is_known = (equal_prints(space.fingerprint(pool), space.fingerprint(state.dna)) & (state.order >= 0)).any(
                -1
            )
            return best_points(space, pool, jnp.where(is_known, -jnp.inf, promise), self.batch_size)[0]

        dna = jax.lax.cond(state.begun < self.num_initial, seed, propose, state, key)
        return dna, await_points(state, dna)

    def tell(self, space: Space, state: Observations, dna: DNA, fitness: Any) -> State:
        """Awaited points are told; points never asked for are observations too."""
        return observe(space, state, dna, fitness)

    def _split(self, state: Observations) -> tuple[Parzen, Parzen]:
        """The best, which did not fail, and all others."""
        number = state.told.sum()
        wanted = jnp.minimum(jnp.ceil(self.good_fraction * number), self.most_good)
        ranked = jnp.argsort(jnp.where(state.told, -state.fitness, jnp.inf))
        place = jnp.zeros_like(ranked).at[ranked].set(jnp.arange(len(ranked)))
        good = (place < wanted) & state.told & jnp.isfinite(state.fitness)
        return Parzen(state.dna, good), Parzen(state.dna, (state.order >= 0) & ~good)
