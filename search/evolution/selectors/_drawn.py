"""Selectors by chance: evenly, by weight, in proportion to weight, and by tournament."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search._controller import require
from pgjax.search.evolution._operation import Context
from pgjax.search.evolution._population import Population, ranked
from pgjax.search.evolution.selectors._count import size_and_count
from pgjax.search.evolution.selectors._selector import OfIndividual, Selector, values_of
from pgjax.space._threefry import uniform, words

MOST_BY_PRODUCT = 2**16  # larger bounds need more than 32 random bits to be uniform
_UNROLLED = 16


class Random(Selector, type_name='pgjax.search.evolution.selectors.Random'):
    """Individuals at random, all equally likely, in random order.

    Attributes:
      replacement: whether an individual can be taken again.
    """

    replacement: bool = False

    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """Rows drawn one by one, or the beginning of a shuffle."""
        size, count = size_and_count(self.n, population, context, repeats=self.replacement)
        if self.replacement:
            return draw_below(key, (size,), population.count, len(population)), count
        noise = jnp.where(population.mask, uniform(key, (len(population),)), 2.0)
        return jnp.argsort(noise)[:size], count


class Sample(Selector, type_name='pgjax.search.evolution.selectors.Sample'):
    """Individuals drawn with replacement, each as likely as its weight is large (roulette wheel).

    Attributes:
      weights: a function of one individual; its fitness by default. Weights below 0 or not finite count as 0; if
        none is above 0, all are equal.
    """

    weights: OfIndividual | None = None

    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """The inverse of the cumulated weights at uniform numbers."""
        size, count = size_and_count(self.n, population, context, repeats=True)
        cumulated = jnp.cumsum(weights_of(population, self.weights))
        rows = jnp.searchsorted(cumulated, uniform(key, (size,)) * cumulated[-1], side='right')
        heaviest = jnp.searchsorted(cumulated, cumulated[-1])  # the last row with any weight, if rounding went past it
        return jnp.minimum(rows, heaviest), count


class Proportional(Selector, type_name='pgjax.search.evolution.selectors.Proportional'):
    """Each individual as often as its part of all weights says, without chance: by largest remainders.

    Attributes:
      weights: as for `Sample`.
    """

    weights: OfIndividual | None = None

    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """Whole parts first; what is left goes to the largest remainders, of equals to the first."""
        del key
        size, count = size_and_count(self.n, population, context, repeats=True)
        weights = weights_of(population, self.weights)
        quota = count * weights / jnp.maximum(weights.sum(), jnp.finfo(jnp.float32).tiny)
        whole = jnp.floor(quota).astype(jnp.int32)
        order = jnp.argsort(-(quota - whole), stable=True)
        extra = jnp.zeros_like(whole).at[order].set(jnp.arange(len(population)) < count - whole.sum())
        return jnp.searchsorted(jnp.cumsum(whole + extra), jnp.arange(size), side='right'), count


class Tournament(Selector, type_name='pgjax.search.evolution.selectors.Tournament'):
    """The winners of tournaments among individuals drawn with replacement; of equals the first drawn wins.

    Where all that meet have failed, the best of the population wins.

    Attributes:
      size: how many meet in one tournament.
      key: what makes an individual good, as for `Top`.
    """

    size: int = 2
    key: OfIndividual | None = None

    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """One tournament for each row."""
        require(self.size >= 1, self, 'size', 'at least 1')
        rows, count = size_and_count(self.n, population, context, repeats=True)
        value = values_of(population, self.key)
        if value is None and population.fitness.shape[-1] > 1:
            place = jnp.arange(len(population))
            value = jnp.zeros(len(population)).at[ranked(population)].set(-place.astype(jnp.float32))
            value = jnp.where(population.fitness[:, 0] > -jnp.inf, value, -jnp.inf)
        value = population.fitness[:, 0] if value is None else value
        drawn, best = winners(key, (rows,), self.size, value, population.count)
        lost = ~(best > -jnp.inf)

        def mend() -> jax.Array:
            succeeded = population.mask & (value > -jnp.inf)
            top = jnp.argmax(jnp.where(succeeded, value, -jnp.inf)).astype(jnp.int32)
            return jnp.where(lost & succeeded[top], top, drawn)

        return jax.lax.cond(lost.any(), mend, lambda: drawn), count


def winners(
    key: jax.Array, shape: tuple[int, ...], size: int, value: jax.Array, count: Any
) -> tuple[jax.Array, jax.Array]:
    """The best of `size` rows drawn below `count`; of equals the first drawn. NaN never wins.

    Args:
      key: consumed.
      shape: of the result.
      size: rivals in one tournament.
      value: float[N].
      count: int32[], how many rows take part.

    Returns:
      int32[shape] rows, and float[shape] their values, -inf where all rivals were -inf or NaN.
    """
    rivals = draw_below(key, (size, *shape), count, value.shape[0])
    value = jnp.where(jnp.isnan(value), -jnp.inf, value)

    def meet(index: Any, best: Any) -> Any:
        rival = rivals[index], value[rivals[index]]
        return jax.tree.map(lambda a, b: jnp.where(rival[1] > best[1], a, b), rival, best)

    first = rivals[0], value[rivals[0]]
    return jax.lax.fori_loop(1, size, meet, first, unroll=min(_UNROLLED, max(1, size - 1)))


def draw_below(key: jax.Array, shape: tuple[int, ...], bound: Any, most: int) -> jax.Array:
    """int32[shape], uniform in [0, bound), bound <= most; 0 where bound is 0.

    Up to 65,536 it is the high word of 32 random bits times the bound, which costs half of `jax.random.randint`;
    no probability is off by more than bound / 2**32 of itself.
    """
    if most > MOST_BY_PRODUCT:
        return jax.random.randint(key, shape, 0, jnp.maximum(bound, 1), jnp.int32)
    return below(words(key, shape), jnp.asarray(bound).astype(jnp.uint32))


def below(bits: Any, bound: Any) -> Any:
    """int32, uint32 random bits scaled to [0, bound), uint32 and at most 2**16; of NumPy or JAX."""
    return (((bits >> 16) * bound + (((bits & 0xFFFF) * bound) >> 16)) >> 16).astype(np.int32)


def weights_of(population: Population, of: OfIndividual | None) -> jax.Array:
    """float32[N], finite weights >= 0 of those there; all equal where none is above 0."""
    value = values_of(population, of)
    value = population.fitness[:, 0] if value is None else value
    weights = jnp.where(population.mask & jnp.isfinite(value), jnp.maximum(value, 0.0), 0.0)
    return jnp.where(weights.sum() > 0, weights, population.mask.astype(jnp.float32))
