"""Points worth a closer look: an evolutionary climb of a score that costs little."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search.bayes._observations import equal_rows
from pgjax.search.evolution import mutate
from pgjax.space import DNA, Space, concatenate
from pgjax.space._plan import gene_of

Score = Callable[[DNA], jax.Array]


def climb(
    space: Space, key: jax.Array, score: Score, starts: DNA, *, number: int, kept: int, rounds: int
) -> tuple[DNA, jax.Array]:
    """The best points found from random ones, by mutating the best so far and `starts`.

    Args:
      space: static.
      key: consumed.
      score: float32[n] of n points, to be maximized.
      starts: parents in every round besides the best so far.
      number: how many points are scored in a round.
      kept: how many go on to the next round; no two of them are equal while there are others.
      rounds: static.

    Returns:
      The `kept` best points, best first, and their scores.
    """
    random_key, climb_key = jax.random.split(key)
    fresh = space.random(random_key, (number,))
    keys = jax.random.split(climb_key, max(rounds, 1))

    def step(best: tuple[DNA, jax.Array], index: jax.Array) -> tuple[tuple[DNA, jax.Array], None]:
        key = keys[jnp.maximum(index - 1, 0)]
        children = mutate(space, key, _repeat(concatenate([starts, best[0]]), number))
        children = jax.tree.map(lambda a, b: jnp.where(index == 0, a, b), fresh, children)
        scores = jnp.concatenate([best[1], score(children)])
        return best_points(space, concatenate([best[0], children]), scores, kept), None

    # The random points are one round more, so that the score, which is most of the program, is compiled once.
    nobody = fresh[:kept], jnp.full(kept, -jnp.inf)
    return jax.lax.scan(step, nobody, jnp.arange(rounds + 1))[0]


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
    _, top = jax.lax.top_k(scores, min(4 * kept, len(scores)))  # among so many there are enough different ones
    pool, scores = pool[top], scores[top]
    repeats = jnp.tril(equal_rows(space, pool, pool), -1).any(-1)
    scores, rows = jax.lax.top_k(jnp.where(repeats, -jnp.inf, scores), kept)
    return pool[rows], scores
