"""Selectors by order: the best, the worst, the first, the last."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from pgjax.search.evolution._operation import Context
from pgjax.search.evolution._population import Population, best, concatenate, gathered, ranked
from pgjax.search.evolution.selectors._count import size_and_count
from pgjax.search.evolution.selectors._selector import OfIndividual, Selector, values_of


class Top(Selector, type_name='pgjax.search.evolution.selectors.Top'):
    """The best individuals, best first; of equals the earliest trials. NaN ranks last.

    Attributes:
      key: what makes an individual good, as a function of one; by default its fitness, and with several objectives
        its front, then crowding.
      in_order: whether the best come first. Else all stay in the order in which they stand, which with one objective is
        quicker, and of equals those are taken that stand first: in a population that only grows at its end, the
        earliest trials.
    """

    key: OfIndividual | None = None
    in_order: bool = True

    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """The first rows of the ranking."""
        del key
        size, count = size_and_count(self.n, population, context, repeats=False)
        if not self.in_order:
            return best(population, values_of(population, self.key), size, count), count
        return ranked(population, values_of(population, self.key), size), count

    def merge(self, key: jax.Array, old: Population, new: Population, context: Context) -> tuple[Population, Context]:
        """The ranking puts absent rows last, wherever they are: survivors alone are moved."""
        return self.apply(key, gathered([old, new]), context)


class Bottom(Selector, type_name='pgjax.search.evolution.selectors.Bottom'):
    """The worst individuals, worst first: the ranking of `Top`, backwards."""

    key: OfIndividual | None = None

    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """The last rows of the ranking."""
        del key
        size, count = size_and_count(self.n, population, context, repeats=False)
        order = ranked(population, values_of(population, self.key))
        return order[jnp.maximum(population.count - 1 - jnp.arange(size), 0)], count


class First(Selector, type_name='pgjax.search.evolution.selectors.First'):
    """The first individuals: of a population that was told in order, the oldest."""

    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """Rows from 0 on."""
        del key
        size, count = size_and_count(self.n, population, context, repeats=False)
        return jnp.arange(size), count


class Last(Selector, type_name='pgjax.search.evolution.selectors.Last'):
    """The last individuals, in their order: of a population that was told in order, the youngest."""

    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """Rows up to the last one that is there."""
        del key
        size, count = size_and_count(self.n, population, context, repeats=False)
        return jnp.clip(population.count - count + jnp.arange(size), 0, max(0, len(population) - 1)), count

    def merge(self, key: jax.Array, old: Population, new: Population, context: Context) -> tuple[Population, Context]:
        """The new individuals alone where there are enough of them: nothing is moved."""
        if isinstance(self.n, int) and len(new) >= self.n:
            return new[len(new) - self.n :], context
        return self.apply(key, concatenate([old, new]), context)


class Filter(Selector, type_name='pgjax.search.evolution.selectors.Filter'):
    """The first individuals of which something is true.

    Attributes:
      predicate: a function of one individual; all by default.
    """

    predicate: OfIndividual | None = None

    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """The rows of those for which it is true come first."""
        del key
        size, count = size_and_count(self.n, population, context, repeats=False)
        true = True if self.predicate is None else jax.vmap(self.predicate)(population)
        wanted = population.mask & true
        return jnp.argsort(~wanted, stable=True)[:size], jnp.minimum(count, wanted.sum())
