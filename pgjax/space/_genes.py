"""Arithmetic on DNA arrays: canonical form, repair, violations, values, fingerprints. All of it jits."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space import _active
from pgjax.space._dna import DNA
from pgjax.space._plan import ConstrainedGroup, Layout
from pgjax.space._scales import SMALLEST, at_position

_MOST_NUMBERS = 16  # candidates of a choice that `values` writes as the numbers they are


@dataclasses.dataclass(frozen=True, eq=False)
class Tables:
    """A layout as arrays, made once a space. A gene is a choice column, or C plus a float column.

    Attributes:
      arity: int32[C].
      limit: the same as uint32[C].
      activity: what `active` needs.
      groups: the constrained groups that are alike, with their columns, int32[G, k]: one operation serves them all.
    """

    arity: np.ndarray
    limit: np.ndarray
    activity: _active.Activity
    groups: tuple[tuple[ConstrainedGroup, np.ndarray], ...]


def tables(layout: Layout) -> Tables:
    """The tables of a layout."""
    arity = np.ones(layout.num_choices, np.int32)
    for decision in layout.decisions:
        if decision.kind != 'float':
            arity[decision.column] = decision.arity or 1
    return Tables(arity, arity.astype(np.uint32), _active.activity(layout), _alike(layout.groups))


def _alike(groups: tuple[ConstrainedGroup, ...]) -> tuple[tuple[ConstrainedGroup, np.ndarray], ...]:
    kinds: dict[Any, list[ConstrainedGroup]] = {}
    for group in groups:
        if group.distinct or group.sorted:
            kinds.setdefault((len(group.columns), group.arity, group.distinct, group.sorted), []).append(group)
    return tuple((alike[0], np.array([g.columns for g in alike], np.int32)) for alike in kinds.values())


def _module(dna: DNA) -> Any:
    on_host = isinstance(dna.choices, np.ndarray) and isinstance(dna.floats, np.ndarray)
    return np if on_host else jnp


def active(table: Tables, dna: DNA) -> Any:
    """bool[..., C + F]: which genes each point uses."""
    return _active.active(table.activity, dna.choices if _module(dna) is np else jnp.asarray(dna.choices))


def values(layout: Layout, dna: DNA) -> jax.Array:
    """float32[..., C + F]: what each gene stands for, as a number."""
    choices = jnp.asarray(dna.choices)
    c = layout.num_choices
    low, step = np.zeros(c, np.float32), np.ones(c, np.float32)
    numbers = np.tile(np.arange(_MOST_NUMBERS, dtype=np.float32)[:, None], c)
    listed = np.zeros(c, bool)
    for d in layout.decisions:
        if d.kind == 'int':
            low[d.column], step[d.column] = d.low, d.step
        elif d.kind == 'choice' and len(d.candidates) <= _MOST_NUMBERS:
            listed[d.column] = True
            if all(isinstance(x, (int, float)) for x in d.candidates):
                numbers[: len(d.candidates), d.column] = d.candidates
    most = max((d.arity or 0 for d in layout.decisions if d.kind == 'choice' and listed[d.column]), default=0)
    result = jnp.broadcast_to(numbers[0], choices.shape) if listed.all() else choices * step + low
    for index in range(most):  # a chain of selects: no gather
        chosen = choices == index
        result = jnp.where(chosen if listed.all() else listed & chosen, numbers[index], result)
    scaled = [
        jnp.clip(at_position(dna.floats[..., d.column], d.low, d.high, d.scale, jnp.exp), d.low, d.high)
        for d in layout.decisions
        if d.kind == 'float'
    ]
    return jnp.concatenate([result, jnp.stack(scaled, -1)], -1) if scaled else result


def canonical(layout: Layout, table: Tables, dna: DNA) -> DNA:
    """The same point with unused genes, and positions too small to matter, set to zero."""
    xp = _module(dna)
    mask = active(table, dna)
    c = layout.num_choices
    used = mask[..., c:] & (dna.floats >= SMALLEST)
    return DNA(
        xp.where(mask[..., :c], dna.choices, 0).astype(np.int32),
        xp.where(used, dna.floats, 0).astype(np.float32),
    )


def violations(table: Tables, dna: DNA) -> Any:
    """bool[..., C + F]: genes in use that are out of range, or break their group's rule."""
    xp = _module(dna)
    bad_choices = (dna.choices < 0) | (dna.choices >= table.arity)
    bad_floats = ~((dna.floats >= 0) & (dna.floats <= 1))
    for group, columns in table.groups:
        wrong = _broken(dna.choices[..., columns], group, xp)
        if xp is np:
            bad_choices[..., columns] |= wrong
        else:
            bad_choices = bad_choices.at[..., columns].set(bad_choices[..., columns] | wrong)
    return xp.concatenate([bad_choices, bad_floats], -1) & active(table, dna)


def _broken(slots: Any, group: ConstrainedGroup, xp: Any) -> Any:
    """bool[..., k]: slots that repeat an earlier one, or stand below one."""
    wrong = xp.zeros(slots.shape, bool)
    if group.distinct:
        order = xp.argsort(slots, axis=-1, stable=True)
        ranked = xp.take_along_axis(slots, order, -1)
        first = xp.zeros((*slots.shape[:-1], 1), bool)
        repeats = xp.concatenate([first, ranked[..., 1:] == ranked[..., :-1]], -1)
        wrong = wrong | xp.take_along_axis(repeats, xp.argsort(order, axis=-1, stable=True), -1)
    if group.sorted:
        highest = np.maximum.accumulate(slots, -1) if xp is np else jax.lax.cummax(slots, slots.ndim - 1)
        wrong = wrong | (slots < highest)
    return wrong


def repair(layout: Layout, table: Tables, dna: DNA) -> DNA:
    """A valid canonical point near by: genes clipped, repeats in distinct groups replaced, groups sorted."""
    choices = jnp.clip(dna.choices, 0, jnp.asarray(table.arity) - 1)
    floats = jnp.clip(jnp.nan_to_num(dna.floats), 0.0, 1.0)
    for group, columns in table.groups:
        slots = choices[..., columns]
        if group.distinct:
            slots = _make_distinct(slots, group.arity)
        if group.sorted:
            slots = jnp.sort(slots, axis=-1)
        choices = choices.at[..., columns].set(slots)
    return canonical(layout, table, DNA(choices, floats))


def _make_distinct(slots: Any, arity: int) -> Any:
    """Slots [..., k] with every repeat replaced by the next higher candidate (cyclically) that is free."""

    def fill(taken: Any, wanted: Any) -> tuple[Any, Any]:
        distance = (jnp.arange(arity) - wanted[..., None]) % arity
        chosen = jnp.argmin(jnp.where(taken, arity, distance), axis=-1)
        return taken | (jnp.arange(arity) == chosen[..., None]), chosen

    taken = jnp.zeros((*slots.shape[:-1], arity), bool)
    _, made = jax.lax.scan(fill, taken, jnp.moveaxis(slots, -1, 0))
    return jnp.moveaxis(made, 0, -1).astype(slots.dtype)


def structure_key(columns: tuple[np.ndarray, np.ndarray], point: DNA) -> Any:
    """int32[..., S]: the structural choices of a canonical point, then the bits of its structural floats."""
    choices, floats = point.choices[..., columns[0]], point.floats[..., columns[1]]
    if not len(columns[1]):
        return choices
    if _module(point) is np:
        return np.concatenate([choices, np.ascontiguousarray(floats, np.float32).view(np.int32)], -1)
    return jnp.concatenate([choices, jax.lax.bitcast_convert_type(floats, jnp.int32)], -1)


def fingerprint(layout: Layout, table: Tables, dna: DNA) -> Any:
    """uint32[..., 2]: a hash of the canonical point, equal for equal points."""
    xp, point = _module(dna), canonical(layout, table, dna)
    words = xp.concatenate([xp.asarray(point.choices, xp.uint32), _bits(xp, point.floats)], axis=-1)
    seeds, salt = _salt(words.shape[-1])
    mixed = _mix(words[..., None, :] ^ salt)
    total = xp.sum(_mix(mixed + seeds[:, None]), axis=-1, dtype=xp.uint32)
    return _mix(total ^ xp.uint32(words.shape[-1]))


def _bits(xp: Any, floats: Any) -> Any:
    """uint32[..., F] of float32[..., F]."""
    floats = xp.asarray(floats, xp.float32)
    return floats.view(np.uint32) if xp is np else jax.lax.bitcast_convert_type(floats, jnp.uint32)


@functools.lru_cache(maxsize=256)
def _salt(length: int) -> tuple[np.ndarray, np.ndarray]:
    """uint32[2], a seed for each half of a fingerprint, and uint32[2, length], what tells words apart by position."""
    seeds = np.array([0x9E3779B9, 0x85EBCA6B], np.uint32)
    return seeds, _mix((np.arange(length, dtype=np.uint32) * np.uint32(2) + np.uint32(1)) ^ seeds[:, None])


def _mix(x: Any) -> Any:
    """MurmurHash3's 32-bit finalizer."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))
