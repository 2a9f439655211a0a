"""The base of selectors: which rows of a population go on."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pgjax.search.evolution._operation import Context, Operation
from pgjax.search.evolution._population import Population
from pgjax.search.evolution.selectors._count import Count
from pgjax.symbolic import field

OfIndividual = Callable[[Population], Any]  # a number of one individual


class Selector(Operation):
    """Takes individuals as they are.

    Attributes:
      n: how many: an int; a float, the part of those there, rounded up; None, all; or a schedule of ints.
    """

    n: Count = field(default=None, static=True)

    @abc.abstractmethod
    def select(self, key: jax.Array, population: Population, context: Context) -> tuple[jax.Array, jax.Array]:
        """int32[size], the rows to take, and int32[], how many of these are taken: the first ones."""

    def apply(self, key: jax.Array, population: Population, context: Context) -> tuple[Population, Context]:
        """The selected individuals."""
        rows, count = self.select(key, population, context)
        return population.take(rows, jnp.arange(rows.shape[0]) < count), context


def values_of(population: Population, of: OfIndividual | None) -> jax.Array | None:
    """float32[N], a number of each individual; None where none is asked for."""
    return None if of is None else jnp.asarray(jax.vmap(of)(population), jnp.float32)
