"""The keys that searches take from users: one key of threefry, whose bits depend on nothing but the key."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pgjax._errors import ControllerError, show
from pgjax.space._threefry import IMPL


def require_key(key: Any, user: Any) -> None:
    """Refuses what a search cannot draw from; at the border, where a key still has its own name and shape.

    Args:
      key: typed, or of raw words; may be traced.
      user: what was given it: a name, or the object of a class.

    Raises:
      ControllerError: it is no key, or several, or of another generator than threefry.
    """
    who = user if isinstance(user, str) else type(user).__name__
    try:
        impl, words = jax.random.key_impl(key), jax.random.key_data(key)
    except (TypeError, ValueError, AttributeError) as error:
        raise ControllerError(f'{who} needs a key, jax.random.key(seed), got {show(key)}.') from error
    if impl != IMPL:
        raise ControllerError(
            f'{who} got a key of the generator {str(impl)!r}, whose numbers depend on the layout of a batch and on the '
            f'device, and with them the results. Give a key of {IMPL}: jax.random.key(seed), or '
            f'jax.random.key(seed, impl={IMPL!r}) where another one is the default.'
        )
    if words.ndim > 1:
        raise ControllerError(
            f'{who} takes one key, got an array of keys of shape {list(words.shape[:-1])}. Use jax.vmap over them.'
        )


def seed_of(key: Any, user: Any) -> jax.Array:
    """uint32[2], the words of a key, as states keep them; refuses keys as `require_key` does."""
    require_key(key, user)
    return jax.random.key_data(key).astype(jnp.uint32)
