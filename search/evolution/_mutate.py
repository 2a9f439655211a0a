"""Mutation of one individual: one decision in use is decided anew, and everything that it opens is drawn."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space import DNA, Decision, Space

NUMBER_STEP = 0.2  # standard deviation of a step of a float or int, as a part of its (scaled) range


def mutate(space: Space, key: jax.Array, dna: DNA, fresh: DNA | None = None) -> DNA:
    """`mutate_one` for each row of int32[B, C] and float32[B, F].

    Args:
      space: static.
      key: consumed.
      dna: B canonical points.
      fresh: B random points, not canonical, for decisions that come into use; drawn where not given.

    Returns:
      B canonical points.
    """
    noise_key, fresh_key = jax.random.split(key)
    if fresh is None:
        fresh = space.random(fresh_key, dna.shape, canonical=False)
    noise = jax.random.uniform(noise_key, (*dna.shape, noise_width(space)))
    return jax.vmap(lambda d, n, f: mutate_one(space, d, n, f))(dna, noise, fresh)


def mutate_one(space: Space, dna: DNA, noise: jax.Array, fresh: DNA) -> DNA:
    """Changes one decision of one point.

    The decision is uniform among those in use that have another value to take. A choice takes any other
    candidate; a slot of a distinct group any candidate that is free, or swaps places where none is; an int or a
    float takes a normal step of its unit interval, reflected at the ends. Decisions that come into use take
    theirs from `fresh`.

    Args:
      space: static.
      dna: int32[C] and float32[F], a canonical point.
      noise: float32[noise_width(space)], uniform in [0, 1): all of the randomness, drawn at once.
      fresh: int32[C] and float32[F], a random point with every gene drawn.

    Returns:
      A canonical point that differs from `dna` wherever the space has another point.
    """
    c, f = space.num_choices, space.num_floats
    pick, value, *groups = jnp.split(noise, np.cumsum([c + f, c + f, *_group_widths(space)])[:-1])
    in_use = space.active(dna)
    column = jnp.argmax(jnp.where(in_use & _about(space).has_other, pick, -1.0))
    is_column = jnp.arange(c + f) == column
    child = DNA(
        jnp.where(is_column[:c], _other_choices(space, dna.choices, value[:c]), dna.choices),
        jnp.where(is_column[c:], _reflect(dna.floats + NUMBER_STEP * _normal(value[c:])), dna.floats),
    )
    for group, group_noise in zip(_distinct_groups(space), groups, strict=True):
        columns = np.array(group.columns)
        slots = _with_distinct(dna.choices[columns], child.choices[columns], group_noise, group.arity)
        child = DNA(child.choices.at[columns].set(slots), child.floats)
    for _ in range(_about(space).depth):  # a decision below one that has just been opened is open now too
        opened = space.active(child) & ~in_use
        child = DNA(
            jnp.where(opened[:c], fresh.choices, child.choices), jnp.where(opened[c:], fresh.floats, child.floats)
        )
    return space.repair(child)


def noise_width(space: Space) -> int:
    """How many uniform numbers one mutation takes."""
    return 2 * (space.num_choices + space.num_floats) + sum(_group_widths(space))


@dataclasses.dataclass(frozen=True)
class _About:
    """What mutation needs to know of a space, by column."""

    has_other: np.ndarray  # bool[C + F], whether the decision has another value
    arity: np.ndarray  # int32[C]
    ordinal: np.ndarray  # bool[C], whether the decision is an int
    depth: int  # how often opening one decision can open another


@functools.lru_cache(maxsize=256)
def _about(space: Space) -> _About:
    choices = sorted((d for d in space.decisions if d.kind != 'float'), key=lambda d: d.column)
    floats = sorted((d for d in space.decisions if d.kind == 'float'), key=lambda d: d.column)
    return _About(
        has_other=np.array([d.arity is None or d.arity > 1 for d in choices + floats], bool),
        arity=np.array([d.arity for d in choices], np.int32),
        ordinal=np.array([d.kind == 'int' for d in choices], bool),
        depth=_depth(choices, space.decisions),
    )


def _depth(choices: list[Decision], decisions: tuple[Decision, ...]) -> int:
    @functools.cache
    def below(conditions: tuple[tuple[int, int], ...]) -> int:
        return max((1 + below(choices[column].conditions) for column, _ in conditions), default=0)

    return max(below(d.conditions) for d in decisions)


def _distinct_groups(space: Space) -> list:
    return [g for g in space.constrained_groups if g.distinct]


def _group_widths(space: Space) -> list[int]:
    return [g.arity + len(g.columns) for g in _distinct_groups(space)]


def _normal(u: jax.Array) -> jax.Array:
    """Normal numbers of uniform ones."""
    return jax.scipy.special.ndtri(jnp.clip(u, 1e-7, 1.0 - 1e-7))


def _reflect(u: jax.Array) -> jax.Array:
    """Folds the line into [0, 1]."""
    u = jnp.abs(u) % 2.0
    return jnp.where(u > 1.0, 2.0 - u, u)


def _other_choices(space: Space, choices: jax.Array, u: jax.Array) -> jax.Array:
    """int32[C], another value for each choice that has one."""
    about = _about(space)
    others = np.maximum(about.arity - 1, 1)
    shift = jnp.minimum((u * others).astype(jnp.int32), others - 1)  # uniform among the other candidates
    any_other = (choices + 1 + shift) % jnp.maximum(about.arity, 1)
    return jnp.where(about.ordinal, _ordinal_step(choices, u, about.arity), any_other)


def _ordinal_step(choices: jax.Array, u: jax.Array, arity: np.ndarray) -> jax.Array:
    """A normal step of at least one, reflected at the ends; where that ends where it began, one step inwards."""
    step = NUMBER_STEP * (arity - 1) * _normal(u)
    whole = jnp.where(step < 0, -1, 1) * jnp.maximum(1, jnp.round(jnp.abs(step)).astype(jnp.int32))
    top = np.maximum(arity - 1, 1)
    folded = jnp.abs(choices + jnp.clip(whole, -top, top))
    moved = jnp.where(folded > top, top - (folded - top), folded)
    inwards = jnp.where(choices >= top, choices - 1, choices + 1)
    return jnp.where(moved == choices, inwards, moved)


def _with_distinct(old: jax.Array, new: jax.Array, noise: jax.Array, arity: int) -> jax.Array:
    """int32[k], the slots of a distinct group one of which may have changed: to a free candidate, or by a swap."""
    hit = old != new
    k = old.shape[0]
    if arity > k:
        taken = (old[:, None] == jnp.arange(arity)).any(0)
        return jnp.where(hit, jnp.argmax(jnp.where(taken, -1.0, noise[:arity])), old).astype(old.dtype)
    slot = jnp.argmax(hit)
    partner = jnp.argmax(jnp.where(jnp.arange(k) == slot, -1.0, noise[arity:]))
    swapped = old.at[slot].set(old[partner]).at[partner].set(old[slot])
    return jnp.where(hit.any(), swapped, old)
