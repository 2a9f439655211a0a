"""A memory of fixed size for fingerprints: a hash table of buckets, a full one of which forgets its oldest."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

BUCKET = 16  # at half load one bucket in 250 is full


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
    none = len(memory.written)
    bucket = jnp.where(new, _bucket(memory, prints), none)
    place = (memory.written.at[bucket].get(mode='fill', fill_value=0) + _count_before(bucket)) % BUCKET
    return Memory(
        memory.prints.at[bucket, place].set(prints, mode='drop'), memory.written.at[bucket].add(1, mode='drop')
    )


def repeats(prints: jax.Array) -> jax.Array:
    """bool[n], which of uint32[n, 2] are equal to an earlier one."""
    order = jnp.lexsort((prints[:, 1], prints[:, 0]))
    in_order = prints[order]
    same = jnp.concatenate([jnp.zeros(1, bool), (in_order[1:] == in_order[:-1]).all(-1)])
    return jnp.zeros(len(prints), bool).at[order].set(same)


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


def _count_before(labels: jax.Array) -> jax.Array:
    """int32[n], how many earlier labels equal each of int32[n]."""
    order = jnp.argsort(labels, stable=True)
    in_order = labels[order]
    rank = jnp.arange(len(labels)) - jnp.searchsorted(in_order, in_order)
    return jnp.zeros_like(labels).at[order].set(rank.astype(labels.dtype))
