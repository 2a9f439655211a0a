"""Recombination decision by decision: uniform, sampled, averaged."""

from __future__ import annotations

import abc
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError
from pgjax.search.evolution._genes import Where, genes_of, selected
from pgjax.search.evolution._operation import Context
from pgjax.search.evolution._population import Population
from pgjax.search.evolution.recombinators._recombinator import (
    OfParent,
    Recombinator,
    both_ways,
    coins,
    exchange,
    inherit,
    weights_of_parents,
)
from pgjax.space import DNA
from pgjax.space._threefry import uniform, words


class _PointWise(Recombinator):
    """One child of K parents.

    Attributes:
      num_parents: K; None makes one child of all individuals.
      where: which decisions are recombined, as a predicate of a `Decision`; the child has the others of its first
        parent. All by default.
    """

    num_parents: int | None = 2
    where: Where = None

    @property
    def family(self) -> tuple[int | None, int]:
        """K parents, one child."""
        return self.num_parents, 1


class Uniform(_PointWise, type_name='pgjax.search.evolution.recombinators.Uniform'):
    """Each decision from any of the parents that use it, all equally likely.

    Attributes:
      children: 2 makes the mirror image of the first child as well; that takes two parents.
    """

    children: Literal[1, 2] = 1

    @property
    def family(self) -> tuple[int | None, int]:
        """K parents, one child or two.

        Raises:
          ControllerError: there are not two parents for two children.
        """
        if self.children == 2 and self.num_parents != 2:
            raise ControllerError(f'A mirror image takes num_parents=2, not {self.num_parents}.')
        return self.num_parents, self.children

    def randomness(self, key: jax.Array, families: int, context: Context) -> jax.Array:
        """Of two parents one random bit a gene, uint32[families, words]; else keys."""
        if self.num_parents != 2:
            return super().randomness(key, families, context)
        genes = context.space.num_choices + context.space.num_floats
        return words(key, (families, -(-genes // 32)))

    def recombine(self, key: jax.Array, parents: Population, context: Context) -> DNA:
        """Of two parents by random bits, of more the one with the largest of some random numbers."""
        if self.num_parents == 2:
            exchanged = coins(key, context.space.num_choices + context.space.num_floats)
            return exchange(context.space, *both_ways(parents), exchanged, self.where)[: self.children]
        score = _noise(key, parents, context)
        return jax.tree.map(lambda x: x[None], inherit(context.space, parents.dna, score, self.where))


class Sample(_PointWise, type_name='pgjax.search.evolution.recombinators.Sample'):
    """Each decision from one of the parents that use it, as likely as the parent's weight is large.

    Attributes:
      weights: a function of one individual; its fitness by default. Weights below 0 or not finite count as 0; if none
        is above 0, all are equal.
    """

    weights: OfParent | None = None

    def recombine(self, key: jax.Array, parents: Population, context: Context) -> DNA:
        """The parent with the largest u ** (1 / weight) wins in proportion to weights, whoever takes part."""
        weights = weights_of_parents(parents, self.weights)[:, None]
        race = _noise(key, parents, context) ** (1.0 / jnp.maximum(weights, jnp.finfo(jnp.float32).tiny))
        score = jnp.where(weights > 0, race, -1.0)
        return jax.tree.map(lambda x: x[None], inherit(context.space, parents.dna, score, self.where))


class _Mean(_PointWise):
    @abc.abstractmethod
    def weights_of(self, parents: Population) -> jax.Array:
        """float32[K], what each parent counts."""

    def recombine(self, key: jax.Array, parents: Population, context: Context) -> DNA:
        """Means of numbers; all else from the first parent that uses it."""
        del key
        space, dna = context.space, parents.dna
        about, c = genes_of(space), space.num_choices
        allowed = selected(space, self.where)
        child = inherit(space, dna, jnp.zeros((len(parents), len(allowed))), self.where)
        in_use = space.active(dna) if about.depth else np.ones((len(parents), len(allowed)), bool)
        weights = jnp.where(in_use, self.weights_of(parents)[:, None], 0.0)
        total = weights.sum(0)
        part = weights / jnp.where(total > 0, total, 1.0)
        ints = jnp.floor((part[:, :c] * dna.choices).sum(0) + 0.5).astype(jnp.int32)
        mean = jnp.clip((part[:, c:] * dna.floats).sum(0), 0.0, 1.0)
        known = allowed & (total > 0)
        made = DNA(jnp.where(known[:c] & about.ordinal, ints, child.choices), jnp.where(known[c:], mean, child.floats))
        return jax.tree.map(lambda x: x[None], made)


class Average(_Mean, type_name='pgjax.search.evolution.recombinators.Average'):
    """The mean of each number on its scale, ints rounded; choices and groups are those of the first parent."""

    def weights_of(self, parents: Population) -> jax.Array:
        """All the same."""
        return jnp.ones(len(parents))


class WeightedAverage(_Mean, type_name='pgjax.search.evolution.recombinators.WeightedAverage'):
    """As `Average`, but each parent counts as much as its weight says.

    Attributes:
      weights: as for `Sample`.
    """

    weights: OfParent | None = None

    def weights_of(self, parents: Population) -> jax.Array:
        """What the function says."""
        return weights_of_parents(parents, self.weights)


def _noise(key: jax.Array, parents: Population, context: Context) -> jax.Array:
    """float32[K, C + F], uniform in [0, 1)."""
    return uniform(key, (len(parents), context.space.num_choices + context.space.num_floats))
