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
from pgjax.search.evolution._genes import Where, genes_of, selected
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
      where: which decisions may come from other parents than the first.

    Returns:
      int32[C] and float32[F]; genes not in use may hold anything.
    """
    about, c = genes_of(space), space.num_choices
    score = score[:, about.unit]
    first = jnp.arange(score.shape[0])[:, None] == 0
    score = jnp.where(selected(space, where), score, first)
    if about.depth:
        score += 2.0 * space.active(parents)
    chosen = jnp.argmax(score, axis=0)
    return jax.tree.map(lambda genes, of: jnp.take_along_axis(genes, of[None], 0)[0], parents, DNA(*_split(chosen, c)))


def inherit_pair(space: Space, parents: DNA, second: jax.Array, where: Where = None) -> DNA:
    """Two children of two parents, the second the mirror image of the first; else as `inherit`.

    Args:
      space: static.
      parents: int32[2, C] and float32[2, F], canonical.
      second: bool[C + F], whether the first child has a gene of the second parent.
      where: which decisions may change places; children have the others of their own parent.

    Returns:
      int32[2, C] and float32[2, F]; genes not in use may hold anything.
    """
    about, c = genes_of(space), space.num_choices
    if (about.unit != np.arange(len(about.unit))).any():
        second = second[about.unit]
    if where is not None:
        second &= selected(space, where)
    of_second = jnp.stack([second, ~second])
    if about.depth:
        uses_first, uses_second = space.active(parents)
        of_second = jnp.where(uses_first == uses_second, of_second, uses_second)
    of_choice, of_float = _split(of_second, c)
    return DNA(
        jnp.where(of_choice, parents.choices[1], parents.choices[0]),
        jnp.where(of_float, parents.floats[1], parents.floats[0]),
    )


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

    def or_first(rows: jax.Array) -> jax.Array:  # a choice between two values, which costs less than a gather
        there = parents.mask.reshape(-1, *[1] * (rows.ndim - 1))
        return jnp.where(there, rows, rows[:1])

    return dataclasses.replace(jax.tree.map(or_first, parents), mask=parents.mask)


def _lineage(parents: Population) -> jax.Array:
    """int32[2], the trials of the first two parents that differ in them."""
    own = parents.lineage
    names = jnp.where(parents.trial >= 0, parents.trial, own[:, 0])
    if len(parents) == 1:
        return own[0]
    return names[:NUM_PARENTS]
