"""Parzen estimators over DNA: a density around some points, to draw from and to evaluate."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search.bayes._features import is_ordered
from pgjax.space import DNA, Decision, Space
from pgjax.space._threefry import uniform

_FINEST = 100.0  # bandwidths are at least the range over so many


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Parzen:
    """A mixture of one product kernel around each of some centres and one uniform component, all of equal weight.

    Attributes:
      centres: int32[N, C] and float32[N, F].
      mask: bool[N], which of them count.
    """

    centres: DNA
    mask: jax.Array


@functools.lru_cache(maxsize=256)
def _about(space: Space) -> tuple[np.ndarray, np.ndarray]:
    """float32[C] arities, and bool[C] whether near values are alike."""
    choices = sorted((d for d in space.decisions if d.kind != 'float'), key=lambda d: d.column)
    return np.array([d.arity for d in choices], np.float32), np.array([_is_line(d) for d in choices], bool)


def _is_line(decision: Decision) -> bool:
    """Whether values are on a line; candidates 0, 1, 2, ... are taken for labels."""
    return is_ordered(decision) and (
        decision.kind != 'choice' or list(decision.candidates) != [*range(len(decision.candidates))]
    )


def bandwidth(space: Space, mask: jax.Array) -> jax.Array:
    """float32[], of numbers in their unit interval: Scott's rule for a fifth of the range (as in Optuna)."""
    number = mask.sum() + 1.0
    width = 0.2 * number ** (-1.0 / (space.num_choices + space.num_floats + 4))
    return jnp.maximum(width, 1.0 / jnp.minimum(_FINEST, 1.0 + number))


def log_density(space: Space, estimator: Parzen, dna: DNA) -> jax.Array:
    """float32[n], the log density at n canonical points, over the genes that each uses.

    A gene that a centre does not use has the uniform density there.
    """
    number = estimator.mask.sum() + 1.0
    uses = space.active(estimator.centres)
    width = bandwidth(space, estimator.mask)

    def one(point: DNA) -> jax.Array:
        mine = space.active(point)
        logs = _log_kernels(space, estimator.centres, point, width, number)
        flat = _log_uniform(space)
        kernels = jnp.where(mine, jnp.where(uses, logs, flat), 0.0).sum(-1)
        uniform = jnp.where(mine, flat, 0.0).sum()
        every = jnp.append(jnp.where(estimator.mask, kernels, -jnp.inf), uniform)
        return jax.nn.logsumexp(every) - jnp.log(number)

    return jax.lax.map(one, dna, batch_size=8)


def _log_uniform(space: Space) -> jax.Array:
    arity, _ = _about(space)
    return jnp.concatenate([-jnp.log(jnp.asarray(arity)), jnp.zeros(space.num_floats, jnp.float32)])


def _log_kernels(space: Space, centres: DNA, point: DNA, width: jax.Array, number: jax.Array) -> jax.Array:
    """float32[N, C + F], the log density of each gene of one point around that of each centre."""
    arity, line = _about(space)
    other = 1.0 / (number + arity)  # of each category, besides what the centre's own has
    named = jnp.log(jnp.where(point.choices == centres.choices, 1.0 - arity * other, 0.0) + other)
    scale = width * arity
    gap = (point.choices - centres.choices).astype(jnp.float32)
    low, high = -0.5 - centres.choices, arity - 0.5 - centres.choices
    cell = _mass((gap - 0.5) / scale, (gap + 0.5) / scale) / _mass(low / scale, high / scale)
    stepped = jnp.log(jnp.maximum(cell, 1e-12))
    offset = (point.floats - centres.floats) / width
    inside = _mass(-centres.floats / width, (1.0 - centres.floats) / width)
    smooth = -0.5 * offset**2 - jnp.log(width * np.sqrt(2 * np.pi).astype(np.float32) * inside)
    return jnp.concatenate([jnp.where(line, stepped, named), smooth], -1)


def _mass(low: jax.Array, high: jax.Array) -> jax.Array:
    return jax.scipy.stats.norm.cdf(high) - jax.scipy.stats.norm.cdf(low)


def draw(space: Space, estimator: Parzen, key: jax.Array, number: int) -> DNA:
    """`number` valid points drawn from the mixture; genes that a centre does not use are drawn uniformly.

    Slots of constrained groups are drawn each on its own, and repaired.
    """
    pick_key, fresh_key, keep_key, step_key = jax.random.split(key, 4)
    mask = estimator.mask
    logits = jnp.where(jnp.append(mask, True), jnp.float32(0.0), -jnp.inf)  # the last is the prior
    row = jax.random.categorical(pick_key, logits, shape=(number,))
    centre = estimator.centres[jnp.minimum(row, len(mask) - 1)]
    has_centre = space.active(centre) & (row < len(mask))[:, None]
    fresh = space.random(fresh_key, (number,), canonical=False)
    arity, line = _about(space)
    c = space.num_choices
    stays = uniform(keep_key, (number, c)) >= arity / (mask.sum() + 1.0 + arity)
    noise = uniform(step_key, (number, c + space.num_floats))
    width = bandwidth(space, mask)
    moved = _truncated(noise[:, :c], centre.choices, width * arity, -0.5, arity - 0.5)
    near = jnp.where(line, jnp.round(moved).astype(jnp.int32), jnp.where(stays, centre.choices, fresh.choices))
    floats = _truncated(noise[:, c:], centre.floats, width, 0.0, 1.0)
    choices = jnp.where(has_centre[:, :c], near, fresh.choices)
    return space.repair(DNA(choices, jnp.where(has_centre[:, c:], floats, fresh.floats)))


def _truncated(noise: jax.Array, mean: jax.Array, deviation: jax.Array, low: float, high: Any) -> jax.Array:
    """Normal numbers between two bounds, by the inverse of the cumulative distribution."""
    cdf = jax.scipy.stats.norm.cdf
    bottom, top = cdf((low - mean) / deviation), cdf((high - mean) / deviation)
    inner = jnp.clip(bottom + noise * (top - bottom), 1e-6, 1.0 - 1e-6)
    return jnp.clip(mean + deviation * jax.scipy.special.ndtri(inner), low, high)
