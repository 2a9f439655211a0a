"""What a policy gradient learns from: fitness against a moving baseline, as a rank or as a value."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

Kind = Literal['rank', 'value']


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Baseline:
    """The last W fitnesses and their moving moments.

    Attributes:
      recent: float32[W], NaN where there is none yet; the oldest is overwritten first.
      count: int32[], the number of finite fitnesses seen.
      mean: float32[], moving average.
      variance: float32[], moving average of squared distances from it.
    """

    recent: jax.Array
    count: jax.Array
    mean: jax.Array
    variance: jax.Array


def first_baseline(window: int) -> Baseline:
    """Nothing seen."""
    return Baseline(jnp.full(window, jnp.nan), jnp.int32(0), jnp.float32(0.0), jnp.float32(0.0))


def see(baseline: Baseline, fitness: jax.Array, decay: float | jax.Array) -> Baseline:
    """The baseline after float32[n] fitness, of which rows that are not finite count for nothing."""
    window = len(baseline.recent)
    fitness = fitness[-window:]
    good = jnp.isfinite(fitness)
    slots = jnp.where(good, (baseline.count + jnp.cumsum(good) - 1) % window, window)  # out of range: dropped
    number = good.sum()
    known = jnp.maximum(number, 1)
    mean = jnp.where(good, fitness, 0.0).sum() / known
    kept = jnp.where(baseline.count > 0, decay, 0.0)
    centre = kept * baseline.mean + (1.0 - kept) * mean
    spread = (jnp.where(good, fitness - centre, 0.0) ** 2).sum() / known
    seen = number > 0
    return Baseline(
        recent=baseline.recent.at[slots].set(fitness, mode='drop'),
        count=baseline.count + number.astype(jnp.int32),
        mean=jnp.where(seen, centre, baseline.mean),
        variance=jnp.where(seen, kept * baseline.variance + (1.0 - kept) * spread, baseline.variance),
    )


def advantages(baseline: Baseline, fitness: jax.Array, kind: Kind) -> jax.Array:
    """float32[n], 0 on average over what was seen lately, and 0 for rows that failed.

    'rank' is the share of the window that is worse minus the share that is better, in [-1, 1]; 'value' is the
    distance from the moving average in moving deviations.
    """
    good = jnp.isfinite(fitness)
    if kind == 'value':
        deviation = jnp.sqrt(baseline.variance)
        scaled = (fitness - baseline.mean) / jnp.where(deviation > 0, deviation, 1.0)
        return jnp.where(good & (deviation > 0), scaled, 0.0)
    mine = fitness[:, None]
    known = jnp.maximum(jnp.minimum(baseline.count, len(baseline.recent)), 1)
    worse = (baseline.recent < mine).sum(-1)
    better = (baseline.recent > mine).sum(-1)
    return jnp.where(good, (worse - better) / known, 0.0)
