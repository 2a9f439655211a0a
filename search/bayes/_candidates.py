"""Points worth a closer look: an evolutionary climb of a score that costs little."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search.bayes._observations import equal_prints
from pgjax.search.evolution import mutate
from pgjax.space import DNA, Space, concatenate
from pgjax.space._plan import gene_of

Score = Callable[[DNA, jax.Array], jax.Array]
Scored = tuple[DNA, jax.Array, jax.Array]  # n points, uint32[n, 2] fingerprints and float32[n] scores


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


def is_near(space: Space, dna: DNA, center: DNA) -> jax.Array:
    """bool[n]: which of n points differ from one point in one decision at most, among those that both use.

    The slots of a group, which must differ among themselves or be in order, count as one decision.
    """
    both = space.active(dna) & space.active(center)
    other = jnp.concatenate([dna.choices != center.choices, dna.floats != center.floats], -1) & both
    return ((other.astype(jnp.float32) @ _members(space)) > 0).sum(-1) <= 1


@functools.lru_cache(maxsize=256)
def _members(space: Space) -> np.ndarray:
    """float32[C + F, C + F]: which gene belongs to which decision, the slots of a group to one; the rest are empty."""
    number: dict[Any, int] = {}
    result = np.zeros((space.num_choices + space.num_floats, len(space.decisions)), np.float32)
    for decision in space.decisions:
        owner = decision.id if decision.group is None else decision.group
        result[gene_of(space.num_choices, decision), number.setdefault(owner, len(number))] = 1.0
    return result


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
    repeats = jnp.tril(equal_prints(prints, prints), -1).any(-1)
    scores, rows = jax.lax.top_k(jnp.where(repeats, -jnp.inf, scores), kept)
    return pool[rows], prints[rows], scores
