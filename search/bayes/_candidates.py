"""Points worth a closer look: those unlike what is known, and an evolutionary climb of a score that costs little."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from pgjax.search._identity import earlier_equals
from pgjax.search.bayes._features import blocks, features
from pgjax.search.bayes._kernel import differing
from pgjax.search.bayes._observations import Observations
from pgjax.search.evolution import mutate
from pgjax.space import DNA, Space, concatenate

_TRIES = 16  # random points of which one is taken: of more, those that are far from all others are seldom good

Score = Callable[[DNA, jax.Array], jax.Array]
Scored = tuple[DNA, jax.Array, jax.Array]  # n points, uint32[n, 2] fingerprints and float32[n] scores


def spread(space: Space, known: Observations, fresh: DNA, number: int) -> DNA:
    """Random points that say something new: each the one of some that differs most from what is known.

    Args:
      space: static.
      known: points told or awaited.
      fresh: random points, at least `number`.
      number: how many are wanted; those before it count as known to each.
    """
    tries = min(_TRIES, fresh.shape[0] // number)
    points = fresh[: tries * number]
    about, seen = blocks(space), features(space, points)
    distances = differing(about, seen, features(space, known.dna))
    nearest = jnp.where(known.order >= 0, distances, jnp.inf).min(1)
    among = differing(about, seen, seen)

    def choose(nearest: jax.Array, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        row = rows[jnp.argmax(nearest[rows])]
        return jnp.minimum(nearest, among[row]), row

    return points[jax.lax.scan(choose, nearest, jnp.arange(tries * number).reshape(number, tries))[1]]


def climb(space: Space, keys: jax.Array, score: Score, fresh: DNA, starts: DNA, *, kept: int) -> tuple[DNA, jax.Array]:
    """The best points found from random ones, by mutating as many of the best so far and of `starts`.

    Args:
      space: static.
      keys: consumed, one a round, at least one.
      score: float32[n] of n points and their fingerprints, to be maximized.
      fresh: random points, at least `kept`.
      starts: parents in every round besides the best so far.
      kept: how many go on to the next round; no two of them are equal while there are others.

    Returns:
      The `kept` best points, best first, and their scores.
    """

    def step(best: Scored, index: jax.Array) -> tuple[Scored, None]:
        key = keys[jnp.maximum(index - 1, 0)]
        children = mutate(space, key, _repeat(concatenate([starts, best[0]]), fresh.shape[0]))
        children = jax.tree.map(lambda a, b: jnp.where(index == 0, a, b), fresh, children)
        prints = space.fingerprint(children)
        found = children, prints, score(children, prints)
        return _best(jax.tree.map(lambda a, b: jnp.concatenate([a, b]), best, found), kept), None

    # The random points are one round more, so that the score, which is most of the program, is compiled once.
    nobody = fresh[:kept], jnp.zeros((kept, 2), jnp.uint32), jnp.full(kept, -jnp.inf)
    pool, _, scores = jax.lax.scan(step, nobody, jnp.arange(len(keys) + 1))[0]
    return pool, scores


def _repeat(dna: DNA, number: int) -> DNA:
    """`number` points, each of `dna` about equally often."""
    rows = jnp.arange(number) % dna.shape[0]
    return dna[rows]


def best_points(space: Space, pool: DNA, scores: jax.Array, kept: int) -> tuple[DNA, jax.Array]:
    """The best points of a pool, each once, and their scores."""
    pool, _, scores = _best((pool, space.fingerprint(pool), scores), kept)
    return pool, scores


def _best(found: Scored, kept: int) -> Scored:
    scores = found[-1]
    _, top = jax.lax.top_k(scores, min(4 * kept, len(scores)))  # among so many there are enough different ones
    pool, prints, scores = jax.tree.map(lambda x: x[top], found)
    repeats = earlier_equals(prints) > 0
    scores, rows = jax.lax.top_k(jnp.where(repeats, -jnp.inf, scores), kept)
    return pool[rows], prints[rows], scores
