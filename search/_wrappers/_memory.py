"""A memory of fixed size for fingerprints: a hash table of buckets, a full one of which forgets its oldest."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search._bits import by_bit, earlier, inhabited, packed

BUCKET = 16  # at half load one bucket in 250 is full
_FEW = 1024  # rows that are as soon compared in pairs as sorted, and under vmap much sooner


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Memory:
    """K buckets of fingerprints.

    Attributes:
      prints: uint32[K, BUCKET, 2].
      written: int32[K], how many were ever written to each.
    """

    prints: jax.Array
    written: jax.Array


def empty(size: int) -> Memory:
    """A memory for `size` fingerprints, rounded up to whole buckets."""
    buckets = -(-size // BUCKET)
    return Memory(jnp.zeros((buckets, BUCKET, 2), jnp.uint32), jnp.zeros(buckets, jnp.int32))


def contains(memory: Memory, prints: Any) -> Any:
    """bool[n], which of uint32[n, 2] are remembered; of NumPy where both are."""
    bucket = _bucket(memory, prints)
    filled = np.arange(BUCKET) < memory.written[bucket][:, None]
    return ((memory.prints[bucket] == prints[:, None]).all(-1) & filled).any(-1)


def remember(memory: Memory, prints: jax.Array, new: jax.Array) -> Memory:
    """The memory with those of uint32[n, 2] that are new, bool[n], in their order."""
    buckets, number = len(memory.written), len(prints)
    bucket = jnp.where(new, _bucket(memory, prints), buckets)
    before, after = _equals(bucket)
    place = bucket * BUCKET + (memory.written.at[bucket].get(mode='fill', fill_value=0) + before) % BUCKET
    stays = new & (after < BUCKET)  # of more than fill a bucket at once the last: no place is written twice
    place = jnp.where(stays, place, buckets * BUCKET + jnp.arange(number))
    written = memory.prints.reshape(-1, 2).at[place].set(prints, mode='drop', unique_indices=True)
    return Memory(written.reshape(memory.prints.shape), memory.written.at[bucket].add(1, mode='drop'))


def learn(memory: Memory, prints: jax.Array) -> Memory:
    """The memory with those of uint32[n, 2] that it does not know."""
    new = ~contains(memory, prints)

    def write(state: tuple[Any, Memory]) -> tuple[Any, Memory]:
        return jnp.bool_(False), remember(state[1], prints, new & ~repeats(prints))

    # A loop of one round at most: of a condition vmap would make both branches, and mostly nothing is new.
    return jax.lax.while_loop(lambda state: state[0], write, (new.any(), memory))[1]


def repeats(prints: jax.Array, settled: jax.Array | None = None) -> jax.Array:
    """bool[n], which of uint32[n, 2] are equal to an earlier one.

    Args:
      prints: of n points.
      settled: bool[n], rows that differ from each other and count as earlier than all others; none by default.
    """
    number = len(prints)
    if number <= _FEW:
        same = packed((by_bit(prints[:, 0], 0) == prints[:, 0]) & (by_bit(prints[:, 1], 0) == prints[:, 1]))
        if settled is None:
            return inhabited(same & earlier(number))
        return inhabited(same & (earlier(number) | packed(by_bit(settled, False)))) & ~settled
    last = () if settled is None else (~settled,)
    order = jnp.lexsort((*last, prints[:, 1], prints[:, 0]))
    in_order = prints[order]
    same = jnp.concatenate([jnp.zeros(1, bool), (in_order[1:] == in_order[:-1]).all(-1)])
    return jnp.zeros(number, bool).at[order].set(same, unique_indices=True)


def new_on_host(memory: Memory, prints: np.ndarray) -> np.ndarray:
    """bool[n], which of a few uint32[n, 2] are neither remembered nor equal to an earlier one."""
    seen: set[bytes] = set()
    first = [not (row in seen or seen.add(row)) for row in map(np.ndarray.tobytes, prints)]
    return ~contains(memory, prints) & first


def remember_on_host(memory: Memory, prints: np.ndarray, new: np.ndarray) -> Memory:
    """As `remember`, of NumPy, for a few."""
    if not new.any():
        return memory
    stored, written = memory.prints.copy(), memory.written.copy()
    for row, bucket in zip(prints[new], _bucket(memory, prints[new]).tolist(), strict=True):
        stored[bucket, written[bucket] % BUCKET] = row
        written[bucket] += 1
    return Memory(stored, written)


def _bucket(memory: Memory, prints: Any) -> Any:
    return (prints[:, 0] % np.uint32(len(memory.written))).astype(np.int32)


def _equals(labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two int32[n]: how many earlier and how many later labels equal each of int32[n], none of them negative."""
    number = len(labels)
    if number <= _FEW:
        same = packed(by_bit(labels, -1) == labels)
        before, equal = _sizes(same & earlier(number)), _sizes(same)
        return before, equal - before - 1
    order = jnp.argsort(labels, stable=True)
    in_order, place = labels[order], jnp.arange(number)
    before = place - jnp.searchsorted(in_order, in_order)
    after = jnp.searchsorted(in_order, in_order, side='right') - 1 - place
    both = jnp.stack([before, after], -1).astype(jnp.int32)
    both = jnp.zeros_like(both).at[order].set(both, unique_indices=True)
    return both[:, 0], both[:, 1]


def _sizes(sets: jax.Array) -> jax.Array:
    """int32[n]: how many members each of the sets uint32[W, n] has."""
    return jnp.sum(jax.lax.population_count(sets), 0, dtype=jnp.int32)
