"""Explore: what population-based training does to the settings of a member that has taken over another's weights."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space import DNA, Space
from pgjax.space._threefry import uniform


def explore(space: Space, key: jax.Array, dna: DNA, down: Any = 0.8, up: Any = 1.2, resample: Any = 0.25) -> DNA:
    """Perturbs every decision of P points.

    With probability `resample` a decision is drawn anew. Otherwise numbers are multiplied by `down` or `up`, by the
    toss of a coin, and held inside their range: on an 'rlog' scale it is the distance to the upper end that is
    multiplied, on a 'logit' scale the odds; an int moves by at least one, but not by the factor 1. Choices among
    candidates stay.

    Args:
      space: static.
      key: consumed.
      dna: int32[P, C] and float32[P, F], canonical.
      down: the smaller factor.
      up: the larger factor.
      resample: a probability.

    Returns:
      P canonical points.
    """
    coin_key, draw_key, fresh_key = jax.random.split(key, 3)
    about, c = _about(space), space.num_choices
    fresh = space.random(fresh_key, dna.shape, canonical=False)
    width = (*dna.shape, c + space.num_floats)
    # In float32 where JAX has 64 bits too: the last bits of a setting go on into all that is trained with it.
    factor = jnp.where(uniform(coin_key, width) < 0.5, jnp.asarray(up, jnp.float32), jnp.asarray(down, jnp.float32))
    drawn = (uniform(draw_key, width) < resample) | ~space.active(dna)
    moved = DNA(
        jnp.where(about.is_int, _move_ints(dna.choices, factor[..., :c], about), dna.choices),
        _move_floats(dna.floats, factor[..., c:], about),
    )
    return space.repair(jax.tree.map(jnp.where, DNA(drawn[..., :c], drawn[..., c:]), fresh, moved))


@dataclasses.dataclass(frozen=True)
class _About:
    """What a perturbation needs to know of a space, by column.

    Attributes:
      is_int: bool[C].
      low: float32[C], the lowest value of an int.
      step: float32[C], between the values of an int.
      most: int32[C], the highest gene.
      linear: bool[F], whether positions are proportional to values.
      offset: float32[F], low / (high - low): on a linear scale `position + offset` is proportional to the value.
      extent: float32[F], the length of the other scales: multiplying by f moves the position by log(f) / extent.
    """

    is_int: np.ndarray
    low: np.ndarray
    step: np.ndarray
    most: np.ndarray
    linear: np.ndarray
    offset: np.ndarray
    extent: np.ndarray


@functools.lru_cache(maxsize=256)
def _about(space: Space) -> _About:
    choices = sorted((d for d in space.decisions if d.kind != 'float'), key=lambda d: d.column)
    floats = sorted((d for d in space.decisions if d.kind == 'float'), key=lambda d: d.column)
    wide = [d.high > d.low for d in floats]  # a range of one value has no scale
    return _About(
        is_int=np.array([d.kind == 'int' for d in choices], bool),
        low=np.array([d.low for d in choices], np.float32),
        step=np.array([d.step for d in choices], np.float32),
        most=np.array([(d.arity or 1) - 1 for d in choices], np.int32),
        linear=np.array([d.scale == 'linear' for d in floats], bool),
        offset=np.array([d.low / (d.high - d.low) if w else 0 for d, w in zip(floats, wide, strict=True)], np.float32),
        extent=np.array([_extent(d) if w else 1 for d, w in zip(floats, wide, strict=True)], np.float32),
    )


def _extent(decision: Any) -> float:
    low, high = decision.low, decision.high
    if decision.scale == 'linear':
        return 1.0
    if decision.scale == 'logit':
        return math.log(high / (1.0 - high)) - math.log(low / (1.0 - low))
    return math.log(high / low) * (-1.0 if decision.scale == 'rlog' else 1.0)


def _move_floats(floats: jax.Array, factor: jax.Array, about: _About) -> jax.Array:
    proportional = (floats + about.offset) * factor - about.offset
    shifted = floats + jnp.log(factor) / about.extent
    return jnp.clip(jnp.where(about.linear, proportional, shifted), 0.0, 1.0)


def _move_ints(genes: jax.Array, factor: jax.Array, about: _About) -> jax.Array:
    value = about.low + genes * about.step
    away = jnp.round(value * (factor - 1) / about.step).astype(jnp.int32)  # float32 rounds less here
    least = jnp.where(factor == 1, 0, jnp.where((factor > 1) == (value >= 0), 1, -1))
    away = jnp.where(away == 0, least, jnp.clip(away, -genes, about.most - genes))
    return jnp.clip(genes + away, 0, about.most)
