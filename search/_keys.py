"""The keys that searches take from users: one key of threefry, whose bits depend on nothing but the key."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pgjax._errors import ControllerError
from pgjax.space import _threefry


def require_key(key: Any, user: Any) -> None:
    """Refuses what a search cannot draw from; at the border, where a key still has its own name and shape.

    Args:
      key: typed, or of raw words; may be traced.
      user: what was given it: a name, or the object of a class.

    Raises:
      ControllerError: it is no key, or several, or of another generator than threefry.
    """
    _threefry.require_key(key, user if isinstance(user, str) else type(user).__name__, ControllerError)


def seed_of(key: Any, user: Any) -> jax.Array:
    """uint32[2], the words of a key, as states keep them; refuses keys as `require_key` does."""
    require_key(key, user)
    return jax.random.key_data(key).astype(jnp.uint32)
