"""Random bits and uniform numbers: those of `jax.random`, several times sooner on a CPU.

There JAX makes the bits by a loop over threefry's rounds, each step of which passes over memory. Here the rounds are
written out, so that all of them are one pass: 8,000 words take a third of the time, 400,000 a sixth, and no longer to
compile. Source: Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3 (Threefry-2x32-20).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import PgjaxError, SpaceError, show

IMPL = 'threefry2x32'  # the one generator whose bits depend on nothing but the key
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def words(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """uint32[shape], random bits: what `jax.random.bits` draws, where JAX works with 64 of them too.

    Raises:
      SpaceError: the key is none, or of another kind, whose bits could not be drawn again elsewhere.

    >>> key = jax.random.key(0)
    >>> bool((words(key, (2, 3)) == jax.random.bits(key, (2, 3), 'uint32')).all())
    True
    """
    require_key(key, 'A draw of random bits')
    size = math.prod(shape)
    # Along one axis, then reshaped: XLA unrolls short axes of JAX's loop, which takes long to compile under `vmap`.
    drawn = _written_out(key, size) if _is_sooner(key, size) else jax.random.bits(key, (size,), jnp.uint32)
    return drawn.reshape(shape)


def require_key(key: Any, user: str, error: type[PgjaxError] = SpaceError) -> None:
    """Refuses what no numbers can be drawn from; at the border, where a key still has its own name and shape.

    Args:
      key: typed, or of raw words; may be traced.
      user: what was given it.
      error: what to raise.

    Raises:
      error: it is no key, or several, or of another generator than threefry. Raw words do not say of which.
    """
    try:
        impl = jax.random.key_impl(key)
    except (TypeError, ValueError, AttributeError) as cause:
        raise error(f'{user} needs a key, jax.random.key(seed), got {show(key)}.') from cause
    if impl != IMPL:
        raise error(
            f'{user} got a key of the generator {str(impl)!r}, whose numbers depend on the layout of a batch and on '
            f'the device, and with them the results. Give a key of {IMPL}: jax.random.key(seed), or '
            f'jax.random.key(seed, impl={IMPL!r}) where another one is the default.'
        )
    axes = key.shape if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key.shape[:-1]
    if axes:
        raise error(f'{user} takes one key, got an array of keys of shape {list(axes)}. Use jax.vmap over them.')


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """float32[shape] in [0, 1), multiples of 2**-23: what `jax.random.uniform` draws.

    >>> key = jax.random.key(0)
    >>> bool((uniform(key, (2, 3)) == jax.random.uniform(key, (2, 3), 'float32')).all())
    True
    """
    from_one = words(key, shape) >> 9 | np.float32(1.0).view(np.uint32)
    return jax.lax.bitcast_convert_type(from_one, jnp.float32) - 1.0


def _is_sooner(key: jax.Array, size: int) -> bool:
    """Whether the bits are JAX's and JAX has no better way to them."""
    if jax.random.key_data(key).shape != (2,) or jax.random.key_impl(key) != IMPL:
        return False
    return jax.default_backend() == 'cpu' and jax.config.values['jax_threefry_partitionable'] and size < 2**32


def _written_out(key: jax.Array, size: int) -> jax.Array:
    """uint32[size], for each number up to size both words of its cipher under the key, as one."""
    one, two = jax.random.key_data(key)
    keys = (one, two, one ^ two ^ _PARITY)
    first, second = jnp.broadcast_to(one, (size,)), jnp.arange(size, dtype=jnp.uint32) + two
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            first += second
            second = (second << rotation | second >> (32 - rotation)) ^ first
        first += keys[(group + 1) % 3]
        second += keys[(group + 2) % 3] + np.uint32(group + 1)
    # XLA makes what is cheap anew for each use, and counts operations: twenty rounds for each bit of a word. Quotients
    # it keeps. This divisor is 1, which the compiler of the machine code sees, and XLA does not.
    return jax.lax.div(first ^ second, jnp.broadcast_to(1 + (one >> 31 >> 1), (size,)))
