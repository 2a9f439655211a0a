"""Local search: every neighbour of a point is tried, a better one taken, and a new start made where there is none."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search._controller import Controller, blank, require, require_single_objective, sanitize
from pgjax.search._keys import require_key, seed_of
from pgjax.search.evolution._genes import genes_of
from pgjax.search.evolution._mutate import NORMAL_STEP
from pgjax.search.evolution._opening import fresh_points
from pgjax.search.evolution._point import change_at
from pgjax.search.evolution._population import NO_TRIAL
from pgjax.space import DNA, Space
from pgjax.space._threefry import IMPL, uniform

_MOST = 2**16  # neighbours that one decision makes


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LocalState:
    """Where local search stands.

    Attributes:
      center: int32[C] and float32[F], the point around which it searches.
      fitness: float32[], of that point; -inf before a start.
      trial: int32[], of that point; -1 before a start.
      order: int32[K], its neighbours in the order in which they are tried.
      neighbours: int32[], how many of those there are; 0 before a start.
      asked: int32[], how many of them were asked for.
      failed: int32[], how many points were told since it became the center.
      told: int32[], the number of points told so far.
      parents: int32[B, 1], the trials around which the last batch lies; -1 for random points.
      seed: uint32[2], the data of the key for the orders.
    """

    center: DNA
    fitness: jax.Array
    trial: jax.Array
    order: jax.Array
    neighbours: jax.Array
    asked: jax.Array
    failed: jax.Array
    told: jax.Array
    parents: jax.Array
    seed: jax.Array


class LocalSearch(Controller, type_name='pgjax.search.LocalSearch'):
    """Local search by first improvement, with random restarts.

    The neighbours of a point differ from it in one decision in use: every other candidate and int (65,536 of them,
    evenly spread, where there are more), for slots of a distinct group every candidate that is free (or every exchange
    of two slots), and `float_steps` normal steps of each float. They are tried in random order. A better one becomes
    the center at once; of a batch the best counts. Where all neighbours are told and none is better, the search starts
    anew from a random point.

    On tables of a few thousand to some ten thousand architectures it beats evolution from 50 evaluations on (White et
    al., 2021, Exploring the loss landscape in neural architecture search, https://arxiv.org/abs/2005.02960).

    Attributes:
      batch_size: B, points per `ask`; those beyond the last neighbour are random.
      float_steps: how many neighbours each float makes.

    >>> from pgjax import search
    >>> search.LocalSearch()
    LocalSearch(batch_size=1, float_steps=4)
    """

    batch_size: int = 1
    float_steps: int = 4

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> LocalState:
        """Before a start."""
        require_single_objective(self, num_objectives)
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.float_steps >= 1, self, 'float_steps', 'at least 1')
        genes, _ = _neighbours(space, self.float_steps)
        return LocalState(
            center=blank(space),
            fitness=jnp.float32(-jnp.inf),
            trial=jnp.int32(NO_TRIAL),
            order=jnp.arange(len(genes), dtype=jnp.int32),
            neighbours=jnp.int32(0),
            asked=jnp.int32(0),
            failed=jnp.int32(0),
            told=jnp.int32(0),
            parents=jnp.full((self.batch_size, 1), NO_TRIAL, jnp.int32),
            seed=seed_of(key, self),
        )

    def ask(self, space: Space, state: LocalState, key: jax.Array) -> tuple[DNA, LocalState]:
        """The next neighbours; random points before a start, and where there are not enough neighbours."""
        require_key(key, self)
        random_key, fresh_key, step_key = jax.random.split(key, 3)
        size = self.batch_size
        place = state.asked + jnp.arange(size)
        dna = space.random(random_key, (size,))
        genes, values = _neighbours(space, self.float_steps)
        if len(genes):
            row = state.order[jnp.minimum(place, len(genes) - 1)]
            gene, u = jnp.asarray(genes)[row], jnp.asarray(values)[row]
            u = jnp.where(gene < space.num_choices, u, uniform(step_key, (size,)))
            fresh = fresh_points(space, fresh_key, (size,))
            near = jax.vmap(lambda g, v, f: _neighbour(space, state.center, g, v, f))(gene, u, fresh)
            is_near = place < state.neighbours
            dna = jax.tree.map(lambda a, b: jnp.where(is_near[:, None], a, b), near, dna)
        parents = jnp.where(place < state.neighbours, state.trial, NO_TRIAL)[:, None]
        asked = jnp.minimum(state.asked + size, state.neighbours)
        return dna, dataclasses.replace(state, asked=asked, parents=parents)

    def tell(self, space: Space, state: LocalState, dna: DNA, fitness: Any) -> LocalState:
        """The best point told becomes the center if it is better; without hope there is none."""
        value = sanitize(fitness)[:, 0]
        row = jnp.argmax(value)
        better = value[row] > state.fitness
        told = state.told + value.shape[0]
        failed = jnp.where(better, 0, state.failed + value.shape[0])
        # Points that others proposed are told too, and are no reason to give up before every neighbour was tried.
        lost = ~better & (failed >= state.neighbours) & (state.asked >= state.neighbours)
        center = jax.tree.map(lambda new, old: jnp.where(better, new[row], old), dna, state.center)
        key = jax.random.fold_in(jax.random.wrap_key_data(state.seed, impl=IMPL), state.told)
        order, neighbours = jax.lax.cond(
            better,
            lambda: _ordered(space, key, center, self.float_steps),
            lambda: (state.order, state.neighbours),
        )
        return LocalState(
            center=center,
            fitness=jnp.where(lost, -jnp.inf, jnp.where(better, value[row], state.fitness)),
            trial=jnp.where(lost, NO_TRIAL, jnp.where(better, state.told + row, state.trial)).astype(jnp.int32),
            order=order,
            neighbours=jnp.where(lost, 0, neighbours),
            asked=jnp.where(better | lost, 0, state.asked),
            failed=failed,
            told=told,
            parents=state.parents,
            seed=state.seed,
        )


@functools.lru_cache(maxsize=256)
def _neighbours(space: Space, float_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """int32[K] and float32[K]: which gene changes, and the part of [0, 1) that says to what."""
    about = genes_of(space)
    number = np.concatenate([about.arity - 1, np.full(space.num_floats, float_steps, np.int32)])
    for family in about.families:
        if family.distinct:
            k = family.columns.shape[1]
            number[family.columns] = family.arity - k if family.arity > k else k - 1
    number = np.where(about.has_other, np.minimum(number, _MOST), 0)
    genes = np.repeat(np.arange(len(number), dtype=np.int32), number)
    first = np.cumsum(number) - number
    values = (np.arange(len(genes)) - first[genes] + 0.5) / np.maximum(number[genes], 1)
    return genes, values.astype(np.float32)


def _neighbour(space: Space, center: DNA, gene: jax.Array, u: jax.Array, fresh: DNA | None) -> DNA:
    """One neighbour: any value of choices and ints, in equal parts of [0, 1); a normal step of floats."""
    c = space.num_choices
    if not space.num_floats:
        return change_at(space, center, gene, u, fresh, None)
    position = center.floats[jnp.maximum(gene - c, 0)]
    stepped = NORMAL_STEP.of_float(position, u)  # as a value drawn anew, `change_at` takes it for what it is
    return change_at(space, center, gene, jnp.where(gene < c, u, stepped), fresh, None)


def _ordered(space: Space, key: jax.Array, center: DNA, float_steps: int) -> tuple[jax.Array, jax.Array]:
    """int32[K] and int32[]: the neighbours in random order, those that there are first, and their number."""
    genes, _ = _neighbours(space, float_steps)
    there = space.active(center)[genes]
    noise = jnp.where(there, uniform(key, (len(genes),)), 2.0)
    return jnp.argsort(noise).astype(jnp.int32), there.sum(dtype=jnp.int32)
