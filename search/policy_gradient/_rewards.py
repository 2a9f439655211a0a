"""What a policy gradient learns from: fitness against a moving baseline, as a rank or as a value."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

Kind = Literal['rank', 'value']

_PENALTY = 1e15  # what is farther from 0 is no measurement: its square would outweigh all others, or overflow


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Baseline:
    """The last W fitnesses and their moving moments.

    Attributes:
      recent: float32[W], NaN where there is none yet; the oldest is overwritten first.
      count: int32[], the number of finite fitnesses seen.
      mean: float32[], moving average; NaN before anything was measured.
      variance: float32[], moving average of squared distances from it.
    """

    recent: jax.Array
    count: jax.Array
    mean: jax.Array
    variance: jax.Array


def first_baseline(window: int) -> Baseline:
    """Nothing seen."""
    return Baseline(jnp.full(window, jnp.nan, jnp.float32), jnp.int32(0), jnp.float32(jnp.nan), jnp.float32(0.0))


def see(baseline: Baseline, fitness: jax.Array, decay: float | jax.Array) -> Baseline:
    """The baseline after float32[n] fitness, of which rows that are not finite count for nothing."""
    window = len(baseline.recent)
    fitness = fitness[-window:]
    good = jnp.isfinite(fitness)
    slots = jnp.where(good, (baseline.count + jnp.cumsum(good) - 1) % window, window)  # out of range: dropped
    recent = baseline.recent.at[slots].set(fitness, mode='drop')
    bounded = _bounded(recent, fitness)
    known = jnp.isfinite(bounded)
    number = jnp.maximum(known.sum(), 1)
    kept = jnp.where(jnp.isnan(baseline.mean), 0.0, decay)
    mean = jnp.where(known, bounded, 0.0).sum() / number
    centre = kept * jnp.nan_to_num(baseline.mean) + (1.0 - kept) * mean
    spread = (jnp.where(known, bounded - centre, 0.0) ** 2).sum() / number
    seen = known.any()
    return Baseline(
        recent=recent,
        count=baseline.count + good.sum().astype(jnp.int32),
        mean=jnp.where(seen, centre, baseline.mean),
        variance=jnp.where(seen, kept * baseline.variance + (1.0 - kept) * spread, baseline.variance),
    )


def _bounded(recent: jax.Array, fitness: jax.Array) -> jax.Array:
    """Fitness with penalties as the worst or best of what was measured lately; NaN where none was, or it failed."""
    measured = jnp.where(jnp.abs(recent) < _PENALTY, recent, jnp.nan)
    extreme = jnp.where(fitness < 0, jnp.nanmin(measured), jnp.nanmax(measured))
    return jnp.where(jnp.abs(fitness) < _PENALTY, fitness, jnp.where(jnp.isfinite(fitness), extreme, jnp.nan))


def advantages(baseline: Baseline, fitness: jax.Array, kind: Kind) -> jax.Array:
    """float32[n], 0 on average over what was seen lately, and 0 for rows that failed.

    'rank' is the share of the window that is worse minus the share that is better, in [-1, 1]; 'value' is the
    distance from the moving average in moving deviations, where penalties are as bad as the worst of the window.
    """
    good = jnp.isfinite(fitness)
    if kind == 'value':
        deviation = jnp.sqrt(baseline.variance)
        scaled = (_bounded(baseline.recent, fitness) - baseline.mean) / jnp.where(deviation > 0, deviation, 1.0)
        return jnp.where(jnp.isfinite(scaled) & (deviation > 0), scaled, 0.0)
    mine = fitness[:, None]
    known = jnp.maximum(jnp.minimum(baseline.count, len(baseline.recent)), 1)
    worse = (baseline.recent < mine).sum(-1)
    better = (baseline.recent > mine).sum(-1)
    return jnp.where(good, (worse - better).astype(jnp.float32) / known, 0.0)
