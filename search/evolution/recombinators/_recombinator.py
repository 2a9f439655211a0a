"""The base of recombinators: new individuals, each family of them made from some parents."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError
from pgjax.search.evolution._genes import Where, genes_of, selected_together
from pgjax.search.evolution._operation import Context, Operation, born
from pgjax.search.evolution._population import NUM_PARENTS, Population
from pgjax.space import DNA, Space

OfParent = Callable[[Population], Any]  # a number of one individual


class Recombinator(Operation):
    """Makes children of the first `num_parents` individuals, then of the next ones, and so on.

    Parents that are absent are replaced by the first of their family; rows that make no whole family are left out.
    """

    @property
    @abc.abstractmethod
    def family(self) -> tuple[int | None, int]:
        """K, the parents of a family (None: all individuals are one family), and how many children it has."""

    @abc.abstractmethod
    def recombine(self, key: jax.Array, parents: Population, context: Context) -> DNA:
        """The children of one family, legal wherever the parents are.

        Args:
          key: consumed: what `randomness` gives for this family.
          parents: K individuals.
          context: has space and step.

        Returns:
          int32[children, C] and float32[children, F]; genes not in use may hold anything.
        """

    def randomness(self, key: jax.Array, families: int, context: Context) -> jax.Array:
        """What each of so many families gets as its `key`, along the first axis: a key of its own.

        Where that is all that is random, it may be random bits at once, which costs half.
        """
        del context
        return jax.random.split(key, families)

    def apply(self, key: jax.Array, population: Population, context: Context) -> tuple[Population, Context]:
        """The children, family by family.

        Raises:
          ControllerError: there are fewer rows than one family needs.
        """
        per_family, children = self.family
        k = len(population) if per_family is None else per_family
        families = len(population) // k if k else 0
        if not families:
            raise ControllerError(f'{type(self).__name__} needs {k or 1} parents, got {len(population)} rows.')
        grouped = jax.tree.map(lambda x: x[: families * k].reshape(families, k, *x.shape[1:]), population)
        parents = jax.vmap(_without_absent)(grouped)
        own = self.randomness(key, families, context)
        dna = jax.vmap(lambda one, p: self.recombine(one, p, context))(own, parents)
        dna = jax.tree.map(lambda x: x.reshape(families * children, x.shape[-1]), dna)
        lineage = jax.vmap(_lineage)(parents)
        mask = jnp.repeat(grouped.mask[:, 0], children, total_repeat_length=families * children)
        names = jnp.repeat(lineage, children, axis=0, total_repeat_length=families * children)
        return born(context.space.canonical(dna), names, mask, context, population.fitness.shape[-1])


class Together(Recombinator, type_name='pgjax.search.evolution.recombinators.Together'):
    """A recombinator from a plain function of the points of a family; what it breaks is repaired.

    Attributes:
      fn: `fn(key, dna)` gives the DNA of one child, int32[C] and float32[F], of that of K parents.
      num_parents: K.
    """

    fn: Callable[..., Any]
    num_parents: int = 2

    @property
    def family(self) -> tuple[int | None, int]:
        """K parents, one child."""
        return self.num_parents, 1

    def recombine(self, key: jax.Array, parents: Population, context: Context) -> DNA:
        """What the function gives."""
        child = context.space.repair(self.fn(key, parents.dna))
        return jax.tree.map(lambda x: x[None], child)


def inherit(space: Space, parents: DNA, score: jax.Array, where: Where = None) -> DNA:
    """One child with each gene from the parent of the highest score, among those that use it.

    A gene that the child uses is used by some parent in the same branch, so that nothing has to be drawn. The slots
    of a distinct or sorted group are inherited together, by the score of the first.

    Args:
      space: static.
      parents: int32[K, C] and float32[K, F], canonical.
      score: float[K, C + F], in [0, 1]; of equals the first parent counts.
      where: which decisions may come from other parents than the first; a group all of whose slots may.

    Returns:
      int32[C] and float32[F]; genes not in use may hold anything.
    """
    about, c = genes_of(space), space.num_choices
    score = score[:, about.unit]
    first = jnp.arange(score.shape[0])[:, None] == 0
    score = jnp.where(selected_together(space, where), score, first)
    if about.depth:
        score += 2.0 * space.active(parents)
    chosen = jnp.argmax(score, axis=0)
    return jax.tree.map(lambda genes, of: jnp.take_along_axis(genes, of[None], 0)[0], parents, DNA(*_split(chosen, c)))


def both_ways(parents: Population) -> tuple[DNA, DNA]:
    """The genes of two parents, [2, C] and [2, F], and next to each those of the other one.

    Both are gathers, although they could be slices: XLA's CPU compiler chooses between gathers by whole vectors, and
    between slices gene by gene, which takes ten times as long.
    """
    rows = jnp.where(parents.mask, jnp.arange(2), 0)
    return parents.genes[rows], parents.genes[rows[::-1]]


def exchange(space: Space, own: DNA, other: DNA, exchanged: jax.Array, where: Where = None) -> DNA:
    """Children with some genes of another parent in place of their own; else as `inherit`.

    Args:
      space: static.
      own: int[..., C] and float32[..., F], canonical: the parents.
      other: likewise; the other parent of each child.
      exchanged: bool[..., C + F], whether the child has the gene of the other parent.
      where: which decisions may be exchanged; a group all of whose slots may.

    Returns:
      int[..., C] and float32[..., F]; genes not in use may hold anything.
    """
    about, c = genes_of(space), space.num_choices
    if (about.unit != np.arange(len(about.unit))).any():
        exchanged = exchanged[..., about.unit]
    if where is not None:
        exchanged &= selected_together(space, where)
    if about.depth:
        uses, other_uses = space.active(own), space.active(other)
        exchanged = jnp.where(uses == other_uses, exchanged, other_uses)
    of_choice, of_float = _split(exchanged, c)
    return DNA(jnp.where(of_choice, other.choices, own.choices), jnp.where(of_float, other.floats, own.floats))


def coins(words: jax.Array, number: int) -> jax.Array:
    """bool[..., number], the bits of random words uint32[..., ceil(number / 32)]."""
    bits = (words[..., None] >> np.arange(32, dtype=np.uint32)) & 1
    return bits.astype(bool).reshape(*words.shape[:-1], -1)[..., :number]


def weights_of_parents(parents: Population, of: OfParent | None) -> jax.Array:
    """float32[K], finite weights >= 0; all equal where none is above 0."""
    value = parents.fitness[:, 0] if of is None else jnp.asarray(jax.vmap(of)(parents), jnp.float32)
    weights = jnp.where(jnp.isfinite(value), jnp.maximum(value, 0.0), 0.0)
    return jnp.where(weights.sum() > 0, weights, 1.0)


def _split(genes: jax.Array, c: int) -> tuple[jax.Array, jax.Array]:
    return genes[..., :c], genes[..., c:]


def _without_absent(parents: Population) -> Population:
    """The parents with every absent one replaced by the first."""
    rows = jnp.where(parents.mask, jnp.arange(len(parents)), 0)
    return dataclasses.replace(parents[rows], mask=parents.mask)


def _lineage(parents: Population) -> jax.Array:
    """int32[2], the trials of the first two parents that differ in them."""
    own = parents.lineage
    names = jnp.where(parents.trial >= 0, parents.trial, own[:, 0])
    if len(parents) == 1:
        return own[0]
    return names[:NUM_PARENTS]
