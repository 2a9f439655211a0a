"""Which points are which, by their fingerprints."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def equal_prints(a: jax.Array, b: jax.Array) -> jax.Array:
    """bool[n, m], which of uint32[n, 2] fingerprints are which of uint32[m, 2]."""
    return (a[:, None] == b[None]).all(-1)


def earlier_equals(prints: jax.Array) -> jax.Array:
    """int32[n], how many of uint32[n, 2] fingerprints before it each is equal to."""
    return jnp.tril(equal_prints(prints, prints), -1).sum(-1)


def find_awaited(prints: jax.Array, asked: jax.Array, awaited: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What was asked for among what is told.

    Of equal points the first told is the first asked for, the second told the second.

    Args:
      prints: uint32[n, 2], of the points told.
      asked: uint32[m, 2], of the points asked for.
      awaited: bool[m], those that count.

    Returns:
      bool[n], whether a point told was asked for, and bool[n, m], as which; at most one in a row or a column.

    >>> a, b = jnp.uint32([0, 1]), jnp.uint32([0, 2])
    >>> found, match = find_awaited(jnp.stack([b, a, b, b]), jnp.stack([a, b, b]), jnp.array([True, True, True]))
    >>> found.tolist(), jnp.argmax(match, -1).tolist()
    ([True, True, True, False], [1, 0, 2, 0])
    """
    waiting = equal_prints(prints, asked) & awaited
    match = waiting & (jnp.cumsum(waiting, -1) == earlier_equals(prints)[:, None] + 1)
    return match.any(-1), match
