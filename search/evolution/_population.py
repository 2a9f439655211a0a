"""A population as one pytree of static size: what operations take and give."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import DnaError
from pgjax.search._controller import blank
from pgjax.search._order import Key, float_key, in_place, int_key, lowest, order_by
from pgjax.search.multiobjective import best_first
from pgjax.space import DNA, Space

NO_TRIAL = -1  # where a trial is named and there is none
LAST = np.iinfo(np.int32).max  # sorts behind every trial
FIRST_MADE = np.iinfo(np.int32).min  # ids of individuals not told yet count up from here
NUM_PARENTS = 2  # of how many parents an individual remembers the trials


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Population:
    """A list of at most N individuals, kept in N rows: those that are there come first.

    Under `vmap` over its rows it is one individual.

    Attributes:
      genes: the points with their choices in as few bytes as they need, int8[N, C] mostly: rows are moved a lot.
      fitness: float32[N, M], maximized; -inf for failed and untold individuals.
      trial: int32[N], what individuals are told apart by: the trial id, or a negative number while not yet told.
      parents: int32[N, 2], the trials that each was made from; -1 for none.
      generation: int32[N], the step at which each was made.
      mask: bool[N], whether there is an individual in the row.
    """

    genes: DNA
    fitness: jax.Array
    trial: jax.Array
    parents: jax.Array
    generation: jax.Array
    mask: jax.Array

    def __len__(self) -> int:
        """N, the rows; `count` says how many of them hold an individual."""
        return self.mask.shape[0]

    @property
    def dna(self) -> DNA:
        """int32[N, C] and float32[N, F], canonical points."""
        return wide(self.genes)

    def with_dna(self, dna: DNA) -> Population:
        """The same individuals at other points, canonical ones: for operations of your own.

        Raises:
          DnaError: there is not one point of the space for each row.

        >>> import jax.numpy as jnp
        >>> import pgjax as pg
        >>> people = empty(pg.search_space([pg.oneof('ab')]), 1)
        >>> people.with_dna(pg.DNA(1 - people.dna.choices, people.dna.floats)).dna.choices.tolist()
        [[1]]
        """
        wanted = self.genes.choices.shape, self.genes.floats.shape
        found = (jnp.shape(dna.choices), jnp.shape(dna.floats)) if isinstance(dna, DNA) else None
        if found != wanted:
            what = f'arrays of shapes {found[0]} and {found[1]}' if found else type(dna).__name__
            raise DnaError(f'with_dna takes a pg.DNA of choices {wanted[0]} and floats {wanted[1]}, got {what}.')
        genes = DNA(jnp.asarray(dna.choices).astype(self.genes.choices.dtype), dna.floats)
        return dataclasses.replace(self, genes=genes)

    @property
    def count(self) -> jax.Array:
        """int32[], the number of individuals."""
        return jnp.sum(self.mask, dtype=jnp.int32)

    def __getitem__(self, rows: Any) -> Population:
        """Rows by a slice or by int[n]."""
        return jax.tree.map(lambda x: x[rows], self)

    def take(self, rows: jax.Array, mask: Any = True) -> Population:
        """The individuals of `rows`, int32[n]; only those of them for which `mask`, bool[n], is true are there.

        `mask` must be true for the first rows and false for all others.
        """
        taken = self[rows]
        return dataclasses.replace(taken, mask=taken.mask & mask)

    def keep(self, wanted: jax.Array) -> Population:
        """The individuals for which bool[N] is true, in their order."""
        wanted = wanted & self.mask
        order = jnp.argsort(~wanted, stable=True)
        return dataclasses.replace(self[order], mask=wanted[order])

    def resized(self, size: int) -> Population:
        """The same with `size` rows: cut, or filled up with absent ones."""
        spare = size - len(self)
        if spare <= 0:
            return self[:size] if spare else self
        return jax.tree.map(lambda x: jnp.concatenate([x, jnp.zeros((spare, *x.shape[1:]), x.dtype)]), self)

    @property
    def lineage(self) -> jax.Array:
        """int32[N, 2], what children of each individual have as parents: its trial, or its own parents if untold."""
        told = jnp.stack([self.trial, jnp.full_like(self.trial, NO_TRIAL)], axis=-1)
        return jnp.where(self.trial[:, None] >= 0, told, self.parents)


def narrow(space: Space, dna: DNA) -> DNA:
    """Points with their choices in as few bytes as they need."""
    most = max((d.arity or 1 for d in space.decisions if d.kind != 'float'), default=1)
    dtype = next(d for d in (jnp.int8, jnp.int16, jnp.int32) if most - 1 <= jnp.iinfo(d).max)
    return DNA(dna.choices.astype(dtype), dna.floats)


def wide(dna: DNA) -> DNA:
    """The same with choices in int32, as points have them everywhere else."""
    return DNA(jnp.asarray(dna.choices, jnp.int32), dna.floats)


def empty(space: Space, size: int, num_objectives: int = 1) -> Population:
    """A population of nobody, with `size` rows."""
    return Population(
        genes=narrow(space, blank(space, size)),
        fitness=jnp.full((size, num_objectives), -jnp.inf, jnp.float32),
        trial=jnp.full(size, NO_TRIAL, jnp.int32),
        parents=jnp.full((size, NUM_PARENTS), NO_TRIAL, jnp.int32),
        generation=jnp.zeros(size, jnp.int32),
        mask=jnp.zeros(size, bool),
    )


def told(space: Space, dna: DNA, fitness: jax.Array, first: Any, generation: Any) -> Population:
    """Individuals of n points and their fitness, float32[n, M]; their trials count up from `first`."""
    size = fitness.shape[0]
    return Population(
        genes=narrow(space, jax.tree.map(jnp.asarray, dna)),
        fitness=fitness,
        trial=first + jnp.arange(size, dtype=jnp.int32),
        parents=jnp.full((size, NUM_PARENTS), NO_TRIAL, jnp.int32),
        generation=jnp.full(size, generation, jnp.int32),
        mask=jnp.ones(size, bool),
    )


def gathered(parts: list[Population]) -> Population:
    """The rows of one population, then those of the next: absent ones where they were, so not for all operations."""
    return jax.tree.map(lambda *xs: jnp.concatenate(xs), *parts)


def concatenate(parts: list[Population]) -> Population:
    """The individuals of one population, then those of the next."""
    if len(parts) == 1:
        return parts[0]
    joined = gathered(parts)
    ends = [sum(len(p) for p in parts[: i + 1]) for i in range(len(parts))]
    row, counted = jnp.arange(ends[-1]), parts[0].count
    source = row
    for part, start in zip(parts[1:], ends, strict=False):  # row r >= counted is row r - counted of this part
        source = jnp.where(row >= counted, jnp.minimum(row - counted + start, ends[-1] - 1), source)
        counted = counted + part.count
    return dataclasses.replace(joined[source], mask=row < counted)


def ranked(population: Population, value: jax.Array | None = None, size: int | None = None) -> jax.Array:
    """int32[size], the rows from the best to the worst; equals by trial, the earliest first, and absent ones last.

    Args:
      population: N rows.
      value: float[N], what makes an individual good; NaN is worst. By default it is the fitness; with several
        objectives the front, then crowding (`multiobjective.best_first`).
      size: how many rows are wanted, from the best; all by default.
    """
    absent = int_key(~population.mask, 2)
    if value is None and population.fitness.shape[-1] > 1:
        return best_first(population.fitness, size, tier=absent[0].astype(jnp.int32), tiers=2)
    worst_last = _worst_last(population, value)
    by_position = order_by(absent, worst_last, first=size)
    by_trial = lambda: order_by(absent, worst_last, int_key(population.trial), first=size)  # noqa: E731  for a branch
    as_told = _is_by_trial(population, worst_last[0], by_position)
    return jax.lax.cond(as_told, lambda: by_position, by_trial)


def best(population: Population, value: jax.Array | None, size: int, count: Any) -> jax.Array:
    """int32[size], the rows of the best individuals in the order in which they stand; of equals the first ones.

    Args:
      population: N rows.
      value: as for `ranked`.
      size: at least `count`.
      count: int32[], how many are wanted, no more than there are; 0 takes the place of those beyond.
    """
    if value is None and population.fitness.shape[-1] > 1:
        return in_place(ranked(population, None, size), count, len(population))
    return lowest(_worst_last(population, value), there=population.mask, size=size, count=count)


def _worst_last(population: Population, value: jax.Array | None) -> Key:
    value = population.fitness[:, 0] if value is None else value
    return float_key(jnp.where(jnp.isnan(value), jnp.inf, -value))


def _is_by_trial(population: Population, key: jax.Array, rows: jax.Array) -> jax.Array:
    """Whether equals among the first rows by `key`, and the next ones, stand in the order of their trials already.

    Mostly they do: those told later come later.
    """
    keys, trial, there = (x[rows] for x in (key, population.trial, population.mask))
    within = ((keys[:-1] != keys[1:]) | (trial[:-1] <= trial[1:]) | ~there[1:]).all()
    if not 0 < len(rows) < len(key):
        return within
    last = keys == keys[-1]
    after = (key == keys[-1]) & population.mask & (jnp.arange(len(key)) > jnp.max(jnp.where(last, rows, -1)))
    return within & (jnp.max(jnp.where(last, trial, -1)) <= jnp.min(jnp.where(after, population.trial, LAST)))
