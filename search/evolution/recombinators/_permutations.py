"""Recombination of arrangements: partially mapped, order and cycle crossover.

All of them work on every distinct `manyof` as well: k slots of n candidates, where parents need not have the same
ones. What is decided below a candidate comes along with it.
"""

from __future__ import annotations

import abc
import math

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError
from pgjax.search.evolution._genes import Where
from pgjax.search.evolution._operation import Context
from pgjax.search.evolution._population import Population
from pgjax.search.evolution._shelves import shelves_of
from pgjax.search.evolution.recombinators._recombinator import Recombinator
from pgjax.search.evolution.recombinators._segments import different
from pgjax.space import DNA, Space
from pgjax.space._threefry import uniform


class Arrangements(Recombinator):
    """Two parents make two children: each group of slots is crossed, all other decisions are those of their own parent.

    Attributes:
      where: which groups are crossed, as a predicate of a `Decision`: those of which all slots are selected.
    """

    where: Where = None

    @property
    def family(self) -> tuple[int | None, int]:
        """Two parents, two children."""
        return 2, 2

    @abc.abstractmethod
    def cross(self, key: jax.Array, a: jax.Array, b: jax.Array, arity: int) -> tuple[jax.Array, jax.Array]:
        """int32[k] twice, the slots of the child of `a`, int32[k], and of the child of `b`."""

    def recombine(self, key: jax.Array, parents: Population, context: Context) -> DNA:
        """Both children.

        Raises:
          ControllerError: the space has no slots that are distinct and unsorted.
        """
        space = context.space
        shelves = [shelf for shelf in shelves_of(space, self.where) if shelf.distinct]
        if not shelves:
            raise ControllerError(f'{type(self).__name__} crosses permutations and distinct pg.manyof: there is none.')
        first, second = parents.dna[0], parents.dna[1]
        in_use = space.active(parents.dna)
        children = [first, second]
        for shelf, shelf_key in zip(shelves, jax.random.split(key, len(shelves)), strict=True):
            for blocks, group_key in zip(shelf.blocks, jax.random.split(shelf_key, len(shelf.blocks)), strict=True):
                head = blocks[:, 0]
                a, b = first.choices[head], second.choices[head]
                both = in_use[:, head[0]].all()
                of_a, of_b = self.cross(group_key, a, b, shelf.arity)
                of_a, of_b = jnp.where(both, of_a, a), jnp.where(both, of_b, b)
                children[0] = _placed(space, blocks, children[0], of_a, first, second)
                children[1] = _placed(space, blocks, children[1], of_b, second, first)
        return jax.tree.map(lambda *xs: jnp.stack(xs), *children)


class PartiallyMapped(Arrangements, type_name='pgjax.search.evolution.recombinators.PartiallyMapped'):
    """A segment of the other parent; what it repeats is replaced along the mapping of both segments.

    Goldberg and Lingle (1985), Alleles, loci, and the traveling salesman problem. PMX.
    """

    def cross(self, key: jax.Array, a: jax.Array, b: jax.Array, arity: int) -> tuple[jax.Array, jax.Array]:
        """The segment lies between two random cuts."""
        low, high = segment(key, a.shape[0])
        return partially_mapped(a, b, low, high, arity), partially_mapped(b, a, low, high, arity)


class Order(Arrangements, type_name='pgjax.search.evolution.recombinators.Order'):
    """A segment of the own parent; from its end on, the others in the order in which the other parent has them.

    Davis (1985), Applying adaptive algorithms to epistatic domains. OX.
    """

    def cross(self, key: jax.Array, a: jax.Array, b: jax.Array, arity: int) -> tuple[jax.Array, jax.Array]:
        """The segment lies between two random cuts."""
        low, high = segment(key, a.shape[0])
        return in_order(a, b, low, high, arity), in_order(b, a, low, high, arity)


class Cycle(Arrangements, type_name='pgjax.search.evolution.recombinators.Cycle'):
    """Every slot from one of both parents: the cycles of the two arrangements, in turns from one and the other.

    Oliver, Smith and Holland (1987), A study of permutation crossover operators on the travelling salesman problem.
    CX, where all cycles after the second take turns too (as in Eiben and Smith, Introduction to Evolutionary
    Computing). Where parents have different candidates, chains that end count as cycles.
    """

    def cross(self, key: jax.Array, a: jax.Array, b: jax.Array, arity: int) -> tuple[jax.Array, jax.Array]:
        """There is nothing to draw."""
        del key
        of_other = odd_cycles(a, b, arity)
        return jnp.where(of_other, b, a), jnp.where(of_other, a, b)


def segment(key: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """Two cuts, 0 <= low < high <= k."""
    cuts = different(uniform(key, (2,)), k + 1)
    return cuts[0], cuts[1]


def partially_mapped(a: jax.Array, b: jax.Array, low: jax.Array, high: jax.Array, arity: int) -> jax.Array:
    """int32[k], arrangement `a` with the slots from `low` to `high` of `b`.

    >>> import jax.numpy as jnp
    >>> a, b = jnp.array([9, 8, 4, 5, 6, 7, 1, 3, 2, 0]), jnp.array([8, 7, 1, 2, 3, 0, 9, 5, 4, 6])
    >>> partially_mapped(a, b, 3, 6, 10).tolist()
    [9, 8, 4, 2, 3, 0, 1, 6, 5, 7]
    """
    slots = jnp.arange(a.shape[0])
    inside = (slots >= low) & (slots < high)
    instead = jnp.arange(arity).at[jnp.where(inside, b, arity)].set(a, mode='drop')
    for _ in range(_doublings(a.shape[0])):  # a replacement may be taken as well, and is replaced in its turn
        instead = instead[instead]
    return jnp.where(inside, b, instead[a])


def in_order(a: jax.Array, b: jax.Array, low: jax.Array, high: jax.Array, arity: int) -> jax.Array:
    """int32[k], the slots from `low` to `high` of `a`, then the others in the order of `b`, both round the end.

    >>> import jax.numpy as jnp
    >>> a, b = jnp.array([1, 2, 3, 4, 5, 6, 7, 8, 9]), jnp.array([9, 3, 7, 8, 2, 6, 5, 1, 4])
    >>> in_order(a, b, 3, 7, 10).tolist()
    [3, 8, 2, 4, 5, 6, 7, 1, 9]
    """
    k = a.shape[0]
    slots = jnp.arange(k)
    inside = (slots >= low) & (slots < high)
    taken = jnp.zeros(arity, bool).at[jnp.where(inside, a, arity)].set(True, mode='drop')
    others = b[(slots + high) % k]
    others = others[jnp.argsort(taken[others], stable=True)]
    return jnp.where(inside, a, others[(slots - high) % k])


def odd_cycles(a: jax.Array, b: jax.Array, arity: int) -> jax.Array:
    """bool[k], the slots on the second, fourth, ... cycle of two arrangements.

    >>> import jax.numpy as jnp
    >>> a, b = jnp.array([1, 2, 3, 4, 5, 6, 7, 8, 9]), jnp.array([9, 3, 7, 8, 2, 6, 5, 1, 4])
    >>> jnp.where(odd_cycles(a, b, 10), b, a).tolist()
    [1, 3, 7, 4, 2, 6, 5, 8, 9]
    """
    slots = jnp.arange(a.shape[0])
    place = jnp.full(arity, -1).at[a].set(slots)[b]
    ends = place < 0  # what the other parent has here stands nowhere in this one
    step, least = jnp.where(ends, slots, place), slots
    for _ in range(_doublings(a.shape[0])):
        least, step = jnp.minimum(least, least[step]), step[step]
    first = jnp.where(ends[step], step, least)
    number = jnp.cumsum(first == slots)[first]
    return number % 2 == 0


def _doublings(k: int) -> int:
    return max(1, math.ceil(math.log2(k + 1)))


def _placed(space: Space, blocks: np.ndarray, child: DNA, slots: jax.Array, own: DNA, other: DNA) -> DNA:
    """The child with a group of new slots: what is below a candidate is that of the own parent, if it has it."""
    c = space.num_choices
    head = blocks[:, 0]
    choices = child.choices.at[head].set(slots)
    below = blocks[:, 1:]
    if not below.shape[1]:
        return DNA(choices, child.floats)
    in_own = slots[:, None] == own.choices[head][None, :]
    in_other = slots[:, None] == other.choices[head][None, :]
    mine = in_own.any(1)
    from_block = jnp.where(mine, jnp.argmax(in_own, 1), jnp.argmax(in_other, 1))
    source = jnp.asarray(below)[from_block]
    is_choice = below[0] < c  # of all slots alike
    cs, fs = jnp.minimum(source, c - 1), jnp.maximum(source - c, 0)
    new_choices = jnp.where(mine[:, None], own.choices[cs], other.choices[cs])
    choices = choices.at[below[:, is_choice]].set(new_choices[:, is_choice])
    if is_choice.all():
        return DNA(choices, child.floats)
    new_floats = jnp.where(mine[:, None], own.floats[fs], other.floats[fs])
    return DNA(choices, child.floats.at[below[:, ~is_choice] - c].set(new_floats[:, ~is_choice]))
