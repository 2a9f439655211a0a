"""Recombination by segments of the decisions in their order: k-point crossover, and cuts where a function says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError, show
from pgjax.search.evolution._genes import Where
from pgjax.search.evolution._operation import Context
from pgjax.search.evolution._population import Population
from pgjax.search.evolution.recombinators._recombinator import Recombinator, both_ways, exchange
from pgjax.space import DNA, Decision, Space
from pgjax.space._plan import gene_of
from pgjax.space._threefry import uniform


class KPoint(Recombinator, type_name='pgjax.search.evolution.recombinators.KPoint'):
    """Two parents exchange every other segment between k random cuts, and make two children.

    Decisions stand in the order in which the space meets them; cuts are different places between two of them.

    Attributes:
      k: the number of cuts; fewer where there are fewer places.
      where: which decisions may be exchanged, as a predicate of a `Decision`. All by default.
    """

    k: int = 2
    where: Where = None

    @property
    def family(self) -> tuple[int | None, int]:
        """Two parents, two children."""
        return 2, 2

    def recombine(self, key: jax.Array, parents: Population, context: Context) -> DNA:
        """The cuts are drawn one after the other, each among the places that are left."""
        places = len(context.space.decisions) - 1
        noise = uniform(key, (min(self.k, places),))
        return _crossed_at(context.space, parents, different(noise, places) + 1, self.where)


class Segmented(Recombinator, type_name='pgjax.search.evolution.recombinators.Segmented'):
    """Two parents exchange every other segment between cuts of your choice, and make two children.

    Attributes:
      cuts: a function of the decisions in order that gives the positions before which to cut.
      where: which decisions may be exchanged, as a predicate of a `Decision`. All by default.
    """

    cuts: Callable[[Sequence[Decision]], Sequence[int]]
    where: Where = None

    @property
    def family(self) -> tuple[int | None, int]:
        """Two parents, two children."""
        return 2, 2

    def recombine(self, key: jax.Array, parents: Population, context: Context) -> DNA:
        """The cuts are the same for all.

        Raises:
          ControllerError: a cut is no position between two decisions.
        """
        del key
        decisions = context.space.decisions
        cuts = list(self.cuts(decisions))
        if not all(0 < cut < len(decisions) for cut in cuts):
            raise ControllerError(f'Cuts lie between 1 and {len(decisions) - 1}, before a decision; got {show(cuts)}.')
        return _crossed_at(context.space, parents, jnp.array(cuts, jnp.int32), self.where)


def different(noise: jax.Array, below: int) -> jax.Array:
    """int32[k], different numbers in [0, below), every set of k equally likely, of float32[k] uniform in [0, 1)."""
    drawn = jnp.zeros(0, jnp.int32)
    for index in range(noise.shape[0]):
        left = below - index
        number = jnp.minimum((noise[index] * left).astype(jnp.int32), left - 1)
        for earlier in drawn:  # in ascending order: a number passes those that are taken
            number += number >= earlier
        drawn = jnp.sort(jnp.append(drawn, number))
    return drawn


def _crossed_at(space: Space, parents: Population, cuts: jax.Array, where: Where) -> DNA:
    place = _places(space)
    passed = jnp.zeros(len(place), bool)
    for cut in cuts:
        passed ^= place >= cut
    return exchange(space, *both_ways(parents), passed, where)


@functools.lru_cache(maxsize=256)
def _places(space: Space) -> np.ndarray:
    """int32[C + F], the position of each gene in the order of decisions."""
    place = np.zeros(len(space.decisions), np.int32)
    for position, d in enumerate(space.decisions):
        place[gene_of(space.num_choices, d)] = position
    return place
