"""Pareto dominance on arrays: ranks by fronts, crowding inside a front, and the order that both make.

Deb, Pratap, Agarwal, Meyarivan (2002), A fast and elitist multiobjective genetic algorithm: NSGA-II, section III.
Fitness is maximized, and rows that failed are -inf in every column (`sanitize`): everything else dominates them.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search._bits import by_bit, inhabited, packed
from pgjax.search._order import float_key, int_key, order_by


def dominates(fitness: Any) -> jax.Array:
    """bool[P, P]: whether row i of float[P, M] is at least as good as row j everywhere, and better somewhere.

    >>> import jax.numpy as jnp
    >>> dominates(jnp.array([[2.0, 2.0], [1.0, 2.0], [3.0, 0.0]])).astype(int).tolist()
    [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    """
    columns = jnp.asarray(fitness).T
    no_worse = jnp.ones((columns.shape[1],) * 2, bool)
    better = ~no_worse
    for column in columns:  # M is small: pairs are compared column by column, and never stand in a [P, P, M] array
        no_worse &= column[:, None] >= column[None, :]
        better |= column[:, None] > column[None, :]
    return no_worse & better


def nondominated_ranks(fitness: Any, enough: int | None = None) -> jax.Array:
    """int32[P]: the front of each row of float[P, M], 0 for rows that none dominates. Jittable.

    Fronts are peeled one after the other, on sets kept as bits.

    Args:
      fitness: float[P, M], maximized.
      enough: peeling stops with the front that brings the number of ranked rows to this; the rest get rank P.
        All are ranked by default.

    >>> import jax.numpy as jnp
    >>> nondominated_ranks(jnp.array([[0.0, 0.0], [1.0, 1.0], [3.0, 2.0], [2.0, 3.0]])).tolist()
    [2, 1, 0, 0]
    """
    number = len(fitness)
    enough = number if enough is None else min(enough, number)
    rivals = _beaters(fitness)

    def peel(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        front, ranks, left = state
        beaten = inhabited(rivals & packed(by_bit(left, False)))
        return front + 1, jnp.where(left & ~beaten, front, ranks), left & beaten

    def unfinished(state: tuple[Any, Any, Any]) -> jax.Array:
        return number - state[2].sum() < enough

    start = jnp.int32(0), jnp.full(number, number, jnp.int32), jnp.ones(number, bool)
    return jax.lax.while_loop(unfinished, peel, start)[1]


def _beaters(fitness: Any) -> jax.Array:
    """uint32[ceil(P / 32), P]: for each row of float[P, M] the set of the rows that dominate it.

    Integers are compared, which takes half of the time of floats; NaN counts as -inf. They are one array, and behind
    a barrier, or XLA would make them anew for each pair.
    """
    columns = jnp.asarray(fitness).T
    keys = [float_key(jnp.where(jnp.isnan(column), -jnp.inf, column))[0] for column in columns]
    signed = jax.lax.bitcast_convert_type(jnp.stack(keys) ^ np.uint32(1 << 31), jnp.int32)
    least = np.iinfo(np.int32).min
    worse, better = [], []
    for key in jax.lax.optimization_barrier(signed):
        rival = by_bit(key, least)
        worse.append(rival < key)
        better.append(rival > key)
    return packed(functools.reduce(operator.or_, better) & ~functools.reduce(operator.or_, worse))


def crowding_distance(fitness: Any, ranks: Any = None) -> jax.Array:
    """float32[P]: the distance between both neighbours of each row in its own front, summed over objectives.

    In each objective the two ends of a front are infinitely far, so that they are kept; the others count the gap
    between their neighbours, as a part of the front's extent. An objective in which a front has no extent counts
    nothing beyond its ends; where the extent is infinite, an infinite gap counts all of it. Rows that are equal in an
    objective stand in order of position, the first of them next to those with less of the first objective, or with
    more of another one. NaN counts as -inf. Jittable.

    Args:
      fitness: float[P, M], maximized.
      ranks: int[P], the front of each row; all rows are one front by default.

    >>> import jax.numpy as jnp
    >>> crowding_distance(jnp.array([[0.0, 4.0], [1.0, 2.0], [2.0, 1.0], [4.0, 0.0]])).tolist()
    [inf, 1.25, 1.25, inf]
    """
    fitness = jnp.asarray(fitness, jnp.float32)
    fronts = jnp.zeros(len(fitness), jnp.int32) if ranks is None else jnp.asarray(ranks, jnp.int32)
    return jax.vmap(lambda column: _gaps(column[None], fronts))(_turned(fitness)).sum(0)


def _turned(fitness: jax.Array) -> jax.Array:
    """float32[M, P]: objectives as they stand in a row: along a front of two the second falls where the first rises."""
    fitness = jnp.where(jnp.isnan(fitness), -jnp.inf, fitness)
    return jnp.concatenate([fitness[:, :1], -fitness[:, 1:]], 1).T


def _gaps(columns: jax.Array, fronts: jax.Array) -> jax.Array:
    """float32[P]: the gaps around each row in its front, int32[P], summed over float32[N, P], which rise together."""
    number = columns.shape[1]
    row = order_by(int_key(fronts, number + 1), float_key(columns[0]))
    front, value = fronts[row], columns[:, row]
    edge = front[1:] != front[:-1]
    first = jnp.concatenate([jnp.ones(1, bool), edge])
    last = jnp.concatenate([edge, jnp.ones(1, bool)])
    position = jnp.arange(number)
    start = jax.lax.cummax(jnp.where(first, position, 0))
    end = jax.lax.cummin(jnp.where(last, position, number - 1), reverse=True)
    extent = value[:, end] - value[:, start]
    inner = (jnp.roll(value, -1, 1) - jnp.roll(value, 1, 1)) / jnp.where(extent > 0, extent, 1.0)
    inner = jnp.where(jnp.isnan(inner), 1.0, inner)  # the whole of an infinite extent
    gap = jnp.where(first | last, jnp.inf, jnp.where(extent > 0, inner, 0.0)).sum(0)
    return jnp.zeros(number, jnp.float32).at[row].set(gap, unique_indices=True)


def best_first(fitness: Any, size: int | None = None, tier: Any = None, tiers: int = 2**16) -> jax.Array:
    """int32[size]: the best rows of float[P, M] by the crowded comparison: front, then crowding, then position.

    With one objective this is the order of fitness. Jittable.

    Args:
      fitness: float[P, M], maximized.
      size: how many rows are wanted; all by default. Fronts beyond those that are needed are not told apart.
      tier: int32[P] in [0, tiers): rows of a lower tier come first, whatever their fitness, and those above the
        lowest tier dominate nobody. One tier by default.
      tiers: fewer are quicker.

    >>> import jax.numpy as jnp
    >>> best_first(jnp.array([[0.0, 0.0], [1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])).tolist()
    [1, 3, 2, 0]
    """
    fitness = jnp.asarray(fitness, jnp.float32)
    if not len(fitness):
        return jnp.zeros(0, jnp.int32)
    keys = []
    if tier is not None:
        fitness = jnp.where(tier[:, None] > 0, -jnp.inf, fitness)
        keys.append(int_key(tier, tiers))
    if fitness.shape[-1] == 1:
        return order_by(*keys, float_key(-fitness[:, 0]), first=size)
    ranks = nondominated_ranks(fitness, size)
    # Two objectives have one order along a front, and to sort is what costs.
    crowding = _gaps(_turned(fitness), ranks) if fitness.shape[-1] == 2 else crowding_distance(fitness, ranks)
    return order_by(*keys, int_key(ranks, len(fitness) + 1), float_key(-crowding), first=size)


def nondominated_sort(fitness: Any) -> list[list[int]]:
    """The rows of float[P, M] front by front, on the host.

    >>> nondominated_sort([[0, 0], [1, 1], [3, 2], [2, 3]])
    [[2, 3], [1], [0]]
    """
    if not len(fitness):
        return []
    ranks = np.asarray(jax.jit(nondominated_ranks)(jnp.asarray(fitness)))
    return [np.flatnonzero(ranks == front).tolist() for front in range(ranks.max() + 1)]
