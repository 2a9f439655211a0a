"""The order of rows by several numbers, through sorts of single integers.

On a CPU XLA sorts one array of integers four times faster than a float array with its positions, and twice as fast as
`top_k` of all: it then has no comparison function to call. So the position of a row is packed below as many bits of
its key as fit, and rows are sorted by one such digit after the other, the least significant first.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_WORD, _SIGN = 32, np.uint32(1 << 31)
Key = tuple[jax.Array, int]  # uint32[N], and how many of its low bits may be set


def order_by(*keys: Key) -> jax.Array:
    """int32[N]: the rows in ascending order of the first key, of equals by the next, and in the end by position.

    >>> import jax.numpy as jnp
    >>> order_by((jnp.array([1, 0, 1, 0], 'uint32'), 1), float_key(jnp.array([2.0, 9.0, -3.0, 0.0]))).tolist()
    [3, 1, 2, 0]
    """
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


def _digit(keys: tuple[Key, ...], start: int) -> jax.Array:
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
