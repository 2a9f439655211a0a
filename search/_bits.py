"""Sets of rows as bits of words: small enough that all pairs of rows can be held.

Member i of N is bit i // W of word i % W, with W = ceil(N / 32). So a word is a sum over a first axis of 32: XLA's CPU
compiler works on whole vectors there, where it is slow to reduce over the last axis, over longer ones, and over bools.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_WORD = 32


def by_bit(values: jax.Array, absent: Any) -> jax.Array:
    """[32, W, 1]: the values of N members by the bit and the word of each, `absent` where there is no member."""
    spare = -len(values) % _WORD
    return jnp.pad(values, (0, spare), constant_values=absent).reshape(_WORD, -1, 1)


def packed(members: jax.Array) -> jax.Array:
    """uint32[W, n]: n sets, each of the members for which bool[32, W, n] is true.

    >>> import jax.numpy as jnp
    >>> packed(by_bit(jnp.array([True, False, True]), False)).tolist()
    [[5]]
    """
    bit = np.uint32(1) << np.arange(_WORD, dtype=np.uint32)
    return jnp.sum(jnp.where(members, bit[:, None, None], np.uint32(0)), 0, dtype=jnp.uint32)


def earlier(number: int) -> jax.Array:
    """uint32[W, N]: for each of N members the set of those before it.

    >>> earlier(3).tolist()
    [[0, 1, 3]]
    """
    words = -(-number // _WORD)
    bits = -((jnp.arange(words)[:, None] - jnp.arange(number)) // words)  # so many of a word's lowest; none if below 0
    return (np.uint32(1) << jnp.maximum(bits, 0).astype(jnp.uint32)) - np.uint32(1)


def inhabited(sets: jax.Array) -> jax.Array:
    """bool[n]: which of the sets uint32[W, n] have a member.

    >>> import jax.numpy as jnp
    >>> inhabited(jnp.array([[0, 4], [0, 0], [0, 1]], 'uint32')).tolist()
    [False, True]
    """
    while len(sets) > 1:  # a reduction would be joined with the one that made the sets, and then be slow
        half = -(-len(sets) // 2)
        sets = sets[:half] | sets[-half:]
    return sets[0] != 0
