"""The base of mutators: new individuals, each made from one."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import jax

from pgjax.search.evolution._operation import Context, Operation, born
from pgjax.search.evolution._population import Population
from pgjax.space import DNA


class Mutator(Operation):
    """Makes one child of each individual."""

    @abc.abstractmethod
    def mutate(self, key: jax.Array, dna: DNA, context: Context) -> DNA:
        """B canonical points, made from B canonical points."""

    def apply(self, key: jax.Array, population: Population, context: Context) -> tuple[Population, Context]:
        """The children, in the order of their parents."""
        children = self.mutate(key, population.dna, context)
        return born(children, population.lineage, population.mask, context, population.fitness.shape[-1])


class Each(Mutator, type_name='pgjax.search.evolution.mutators.Each'):
    """A mutator from a plain function of one point; what it breaks is repaired.

    Attributes:
      fn: `fn(key, dna)` gives the DNA of the child, int32[C] and float32[F], of that of the parent.

    >>> import jax
    >>> import pgjax as pg
    >>> flip = Each(lambda key, dna: pg.DNA(1 - dna.choices, dna.floats))
    """

    fn: Callable[..., Any]

    def mutate(self, key: jax.Array, dna: DNA, context: Context) -> DNA:
        """`fn` for each point, with a key of its own."""
        children = jax.vmap(self.fn)(jax.random.split(key, len(dna)), dna)
        return context.space.repair(children)
