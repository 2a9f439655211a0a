"""New values of single decisions: steps in the unit interval, and other candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

NumberStep = Callable[[Any, Any], Any]  # (position in [0, 1], uniform number) -> position


def gaussian(position: Any, u: Any, std: Any) -> Any:
    """A normal step, reflected at the ends of [0, 1]."""
    step = std * jax.scipy.special.ndtri(jnp.clip(u, 1e-7, 1.0 - 1e-7))
    folded = jnp.abs(position + step) % 2.0
    return jnp.where(folded > 1.0, 2.0 - folded, folded)


def polynomial(position: Any, u: Any, eta: Any) -> Any:
    """Deb's polynomial mutation, in the form that keeps within [0, 1].

    Deb and Agrawal (1999), A niched-penalty approach for constraint handling in genetic algorithms; the bounded form
    is that of the authors' NSGA-II code.
    """
    power = eta + 1.0
    down = 2.0 * u + (1.0 - 2.0 * u) * (1.0 - position) ** power
    up = 2.0 * (1.0 - u) + (2.0 * u - 1.0) * position**power
    down, up = jnp.maximum(down, 0.0) ** (1.0 / power), jnp.maximum(up, 0.0) ** (1.0 / power)
    step = jnp.where(u < 0.5, down - 1.0, 1.0 - up)
    return jnp.clip(position + step, 0.0, 1.0)


def other_candidate(gene: Any, u: Any, arity: Any) -> Any:
    """Any candidate but this one, all equally likely; the same where there is no other."""
    others = jnp.maximum(arity - 1, 1)
    shift = jnp.minimum((u * others).astype(jnp.int32), others - 1)
    return (gene + 1 + shift) % jnp.maximum(arity, 1)


def step_of_int(gene: Any, u: Any, arity: Any, step: NumberStep) -> Any:
    """The int nearest to a step of its position, but never the same one while there is another."""
    top = jnp.maximum(arity - 1, 1)
    wanted = step(gene / top, u) * top
    moved = jnp.clip(jnp.round(wanted).astype(jnp.int32), 0, top)
    aside = jnp.where(wanted < gene, gene - 1, gene + 1)
    inwards = jnp.where(aside > top, gene - 1, jnp.where(aside < 0, gene + 1, aside))
    return jnp.where(arity < 2, gene, jnp.where(moved == gene, inwards, moved))
