"""The order of rows by several numbers, through sorts of single integers.

On a CPU XLA sorts one array of integers four times faster than a float array with its positions, and twice as fast as
`top_k` of all: it then has no comparison function to call. So the position of a row is packed below as many bits of
its key as fit, and rows are sorted by one such digit after the other, the least significant first. Where the first rows
alone are wanted, they are found before by bisection of the keys, which costs less than sorting the others too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_WORD, _SIGN = 32, np.uint32(1 << 31)
_FEW = 2048  # rows that are as soon sorted as counted
Key = tuple[jax.Array, int]  # uint32[N], and how many of its low bits may be set


def order_by(*keys: Key, first: int | None = None) -> jax.Array:
    """int32[N]: the rows in ascending order of the first key, of equals by the next, and in the end by position.

    Args:
      keys: at least one.
      first: how many rows are wanted, from the start; all by default.

    >>> import jax.numpy as jnp
    >>> order_by((jnp.array([1, 0, 1, 0], 'uint32'), 1), float_key(jnp.array([2.0, 9.0, -3.0, 0.0]))).tolist()
    [3, 1, 2, 0]
    """
    number = keys[0][0].shape[0]
    if first is not None and number > _FEW and first <= number // 2:
        rows = _lowest(keys, jnp.ones(number, bool), first, first)
        return rows[_sorted([(key[rows], bits) for key, bits in keys])]
    return _sorted(keys)[:first]


def lowest(*keys: Key, there: jax.Array, size: int, count: Any) -> jax.Array:
    """int32[size]: which rows come first by `order_by`, in the order of their positions.

    Args:
      keys: at least one.
      there: bool[N], the rows that take part.
      size: at least `count`.
      count: int32[], how many rows are wanted, no more than there are; 0 takes the place of those beyond.

    >>> import jax.numpy as jnp
    >>> key = float_key(jnp.array([2.0, 9.0, -3.0, 0.0]))
    >>> lowest(key, there=jnp.array([True, True, False, True]), size=3, count=2).tolist()
    [0, 3, 0]
    """
    number = there.shape[0]
    if number > _FEW and size <= number // 2:
        return _lowest(keys, there, size, count)
    rows = _sorted([int_key(~there, 2), *keys])[:size]
    return in_place(rows, count, number)


def in_place(rows: jax.Array, count: Any, number: int) -> jax.Array:
    """int32[n]: the first `count` of n rows among so many, in the order of their positions; 0 for the others."""
    wanted = jnp.sort(jnp.where(jnp.arange(rows.shape[0]) < count, rows, number))
    return jnp.where(wanted < number, wanted, 0)


def _sorted(keys: Sequence[Key]) -> jax.Array:
    """int32[N]: the rows in order, by as many sorts as there are digits."""
    number = keys[0][0].shape[0]
    held = max(1, (number - 1).bit_length())  # bits of a position
    position = jnp.arange(number, dtype=jnp.uint32)
    order = position.astype(jnp.int32)
    for start in range(0, sum(bits for _, bits in keys), _WORD - held):
        digit = _digit(keys, start)
        packed = (digit[order] if start else digit) << held | position
        moved = (jax.lax.sort(packed, is_stable=False) & ((1 << held) - 1)).astype(jnp.int32)
        order = order[moved] if start else moved
    return order


def _lowest(keys: Sequence[Key], there: jax.Array, size: int, count: Any) -> jax.Array:
    """int32[size]: `lowest` by bisection."""
    total = sum(bits for _, bits in keys)
    taken, equal, missing = jnp.zeros_like(there), there, jnp.asarray(count, jnp.int32)
    for start in reversed(range(0, total, _WORD)):
        word = _digit(keys, start)
        limit = _nth(word, equal, missing, min(_WORD, total - start))
        below = equal & (word < limit)
        taken, equal, missing = taken | below, equal & (word == limit), missing - below.sum(dtype=jnp.int32)
    rows = jnp.arange(len(there), dtype=jnp.int32)
    # A number says where the last of equals is: XLA would count them once more for each row that asks.
    end = (_running_count(equal) - equal < missing).sum(dtype=jnp.int32)
    taken |= equal & (rows < end)
    place = jnp.where(taken, _running_count(taken) - 1, size + rows)  # those out of range are dropped
    return jnp.zeros(size, jnp.int32).at[place].set(rows, mode='drop', unique_indices=True)


def _nth(word: jax.Array, counted: Any, number: jax.Array, bits: int) -> jax.Array:
    """uint32[]: the number-th of the words counted, in ascending order; two bits at a time, from the highest.

    The three counts are one reduction: it is what XLA makes in one pass on a CPU, where a count alone takes two more
    steps of the program.
    """

    def with_bits(index: jax.Array, found: jax.Array) -> jax.Array:
        shift = 2 * (steps - 1 - index).astype(jnp.uint32)
        below = [counted & (word < (found | np.uint32(digit) << shift)) for digit in (1, 2, 3)]
        counts = _sums(*(x.astype(jnp.int32) for x in below))
        digit = sum((count < number).astype(jnp.uint32) for count in counts)
        return found | digit << shift

    steps = -(-bits // 2)
    return jax.lax.fori_loop(0, steps, with_bits, jnp.uint32(0))


def _sums(*columns: jax.Array) -> Sequence[jax.Array]:
    """int32[]: the sum of each int32[N], in one pass over all."""
    add = lambda some, more: tuple(x + y for x, y in zip(some, more, strict=True))  # noqa: E731
    return jax.lax.reduce(columns, (np.int32(0),) * len(columns), add, (0,))


def _running_count(true: jax.Array) -> jax.Array:
    """int32[N]: how many are true up to each, counted by words, in a fourth of the time of a cumulative sum.

    Members that follow each other share a word, other than in `packed`: to turn those takes six times as long.
    """
    number = true.shape[0]
    place = jnp.arange(_WORD, dtype=jnp.uint32)  # made in the program: XLA would load a constant one number at a time
    bits = jnp.pad(true, (0, -number % _WORD)).reshape(-1, _WORD)
    words = jnp.sum(jnp.where(bits, jnp.uint32(1) << place, jnp.uint32(0)), 1, dtype=jnp.uint32)
    in_word = jax.lax.population_count(words).astype(jnp.int32)
    up_to = (jnp.uint32(2) << place) - jnp.uint32(1)
    within = jax.lax.population_count(words[:, None] & up_to).astype(jnp.int32)
    return ((jnp.cumsum(in_word) - in_word)[:, None] + within).reshape(-1)[:number]


def _digit(keys: Sequence[Key], start: int) -> jax.Array:
    """uint32[N]: the bits from `start` on of all keys in a row, the last key lowest; those above a word are lost."""
    digit, offset = jnp.zeros_like(keys[0][0]), 0
    for key, bits in reversed(keys):
        shift = start - offset
        if -_WORD < shift < bits:
            digit |= key >> shift if shift >= 0 else key << -shift
        offset += bits
    return digit


def float_key(value: Any) -> Key:
    """Float32[N] as integers of the same order; both zeros are one number, and NaN comes after all others.

    >>> import jax.numpy as jnp
    >>> float_key(jnp.array([-0.0, 0.0, -1.0, 1.0]))[0].tolist()
    [2147483648, 2147483648, 1082130431, 3212836864]
    """
    value = jnp.asarray(value, jnp.float32)
    bits = jax.lax.bitcast_convert_type(jnp.where(value == 0, 0.0, value), jnp.uint32)
    negative = (bits >> 31 == 1) & ~jnp.isnan(value)
    return jnp.where(negative, ~bits, bits | _SIGN), _WORD


def int_key(value: Any, below: int | None = None) -> Key:
    """Int32[N] as unsigned integers of the same order; of numbers in [0, below) only as many bits as they have."""
    value = jnp.asarray(value, jnp.int32)
    if below is not None:
        return value.astype(jnp.uint32), max(1, (below - 1).bit_length())
    return value.astype(jnp.uint32) ^ _SIGN, _WORD
