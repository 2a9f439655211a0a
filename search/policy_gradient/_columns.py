"""Every decision as a category: choices as they are, numbers by bins; and which categories a point leaves open.

The columns of a policy are the genes of the space: C choice columns, then F float columns. The slots of a distinct or
sorted group are drawn one after the other, each from what those before it leave open, so that probabilities are
exact. For a sorted group every candidate counts as often as there are ways to go on from it: with equal logits all
sorted tuples are then equally likely.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space import DNA, ConstrainedGroup, Space
from pgjax.space._threefry import uniform

CLOSED = -1e30  # the logit of a category that is not open: finite, so that gradients are


@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """The categories of D = C + F columns, K at most.

    Attributes:
      number: int32[D], the number of categories of each column.
      width: int32[C], how many values of a choice column one category holds.
      arity: int32[C], the number of values of a choice column.
      bins: of float columns.
      offset: float32[D, K], what is added to the logits: `CLOSED` for no category, else the logarithm of a count.
      groups: the constrained groups of more than one slot.
      order: int[D], the columns in an order in which conditions come before what they open.
    """

    number: np.ndarray
    width: np.ndarray
    arity: np.ndarray
    bins: int
    offset: np.ndarray
    groups: tuple[ConstrainedGroup, ...]
    order: np.ndarray


@functools.lru_cache(maxsize=256)
def columns(space: Space, bins: int) -> Columns:
    """The columns of a space whose numbers have at most so many categories."""
    c, d = space.num_choices, space.num_choices + space.num_floats
    number, width, arity = np.full(d, bins, np.int32), np.ones(c, np.int32), np.ones(c, np.int32)
    for decision in space.decisions:
        if decision.kind == 'float':
            continue
        values = decision.arity or 1
        arity[decision.column] = values
        if decision.kind == 'int':
            width[decision.column] = -(-values // bins)
        number[decision.column] = -(-values // width[decision.column])
    offset = np.where(np.arange(number.max()) < number[:, None], 0.0, CLOSED).astype(np.float32)
    groups = tuple(g for g in space.constrained_groups if len(g.columns) > 1 and (g.distinct or g.sorted))
    for group in groups:
        if group.sorted:
            offset[list(group.columns), : group.arity] = _ways_on(group)
    return Columns(number, width, arity, bins, offset, groups, _order(space))


def _ways_on(group: ConstrainedGroup) -> np.ndarray:
    """float32[k, arity]: the logarithm of how many sorted tuples go on from each candidate in each slot."""
    slots = len(group.columns)
    logs = np.full((slots, group.arity), CLOSED, np.float32)
    for slot in range(slots):
        left = slots - slot - 1
        for value in range(group.arity):
            above = group.arity - value - 1 if group.distinct else group.arity - value + left - 1
            ways = math.comb(above, left)
            if ways:
                logs[slot, value] = math.log(ways)
    return logs


def _order(space: Space) -> np.ndarray:
    conditions = {d.column: d.conditions for d in space.decisions if d.kind != 'float'}

    @functools.cache
    def depth(column: int) -> int:
        return max((1 + depth(parent) for parent, _ in conditions[column]), default=0)

    choices = sorted(range(space.num_choices), key=depth)
    return np.array([*choices, *range(space.num_choices, space.num_choices + space.num_floats)], int)


def categories(space: Space, bins: int, dna: DNA) -> jax.Array:
    """int32[..., D], the category of each gene."""
    about = columns(space, bins)
    of_floats = jnp.clip((dna.floats * bins).astype(jnp.int32), 0, bins - 1)
    return jnp.concatenate([jnp.asarray(dna.choices) // about.width, of_floats], -1)


def values(space: Space, bins: int, chosen: jax.Array, key: jax.Array | None = None) -> DNA:
    """The canonical points of int32[..., D] categories; numbers are uniform within their bins, or at the low ends.

    No random number is drawn where every category holds one value.
    """
    about = columns(space, bins)
    c = space.num_choices
    low = chosen[..., :c] * about.width
    if key is None or not (space.num_floats or (about.width > 1).any()):
        return space.canonical(DNA(low, (chosen[..., c:] / bins).astype(jnp.float32)))
    noise = uniform(key, chosen.shape)
    held = jnp.minimum(about.width, about.arity - low)
    within = jnp.minimum((noise[..., :c] * held).astype(jnp.int32), held - 1)
    floats = (chosen[..., c:] + noise[..., c:]) / bins
    return space.canonical(DNA(low + within, floats.astype(jnp.float32)))


def open_categories(space: Space, bins: int, chosen: jax.Array) -> jax.Array:
    """bool[..., D, K]: what the earlier slots of its group leave open for each column."""
    about = columns(space, bins)
    most = about.offset.shape[1]
    is_open = jnp.ones((*chosen.shape, most), bool)
    for group in about.groups:
        own = np.array(group.columns)
        rows = chosen[..., own]
        is_open = is_open.at[..., own, :].set(_open_slots(rows, most, group))
    return is_open


def _open_slots(rows: jax.Array, most: int, group: ConstrainedGroup) -> jax.Array:
    """bool[..., k, K] for the slots int32[..., k] of one group; a slot does not depend on itself or those after it."""
    category = jnp.arange(most)
    if group.sorted:
        before = jnp.concatenate([jnp.full_like(rows[..., :1], -1), rows[..., :-1]], -1)[..., None]
        return category > before if group.distinct else category >= before
    hit = rows[..., None] == category
    taken = jnp.cumsum(hit, axis=-2) - hit
    return taken == 0
