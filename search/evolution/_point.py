"""Point mutation: single decisions are decided anew, and what they open is drawn.

Everything here is for one individual; `_mutate.py` batches it. Random numbers are what costs, so a child takes three
of them where one decision changes, whatever the size of the space.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search.evolution._genes import Family, Genes, genes_of
from pgjax.search.evolution._opening import open_genes
from pgjax.search.evolution._values import NumberStep, other_candidate, part_of
from pgjax.space import DNA, Space

NOISE = 2  # uniform numbers that one change takes: which decision, and its value


def change_one(
    space: Space, dna: DNA, noise: jax.Array, fresh: DNA | None, allowed: np.ndarray, step: NumberStep | None
) -> DNA:
    """Changes one decision of one point.

    The decision is uniform among those in use that are allowed and have another value. A choice takes any other
    candidate; a slot of a distinct group any candidate that is free, or changes places with another slot where none
    is; numbers take a step. Decisions that come into use take theirs from `fresh`.

    Args:
      space: static.
      dna: int32[C] and float32[F], canonical.
      noise: float32[2], uniform in [0, 1).
      fresh: a random point, every gene drawn; None where all genes are always in use.
      allowed: bool[C + F], static.
      step: of numbers; None draws them anew.

    Returns:
      A canonical point that differs from `dna` wherever the allowed genes have another value.
    """
    candidates = allowed & genes_of(space).has_other
    if not candidates.any():
        return dna
    if genes_of(space).depth:
        gene = pick_in_use(space.active(dna) & candidates, noise[0])
    else:
        gene = pick(np.flatnonzero(candidates), noise[0])
    return change_at(space, dna, gene, noise[1], fresh, step)


def change_at(space: Space, dna: DNA, gene: jax.Array, u: jax.Array, fresh: DNA | None, step: NumberStep | None) -> DNA:
    """Changes one decision of one point as `change_one` does: the one at `gene`, int32[], -1 for none.

    A decision of n other values takes each for another part of [0, 1), in which `u` lies.
    """
    about, c = genes_of(space), space.num_choices
    choices, floats = dna.choices, dna.floats
    if c:
        column = jnp.minimum(gene, c - 1)
        old, arity = choices[column], jnp.asarray(about.arity)[column]
        new = _new_choice(old, u, arity, jnp.asarray(about.ordinal)[column], step, about)
        choices = jnp.where(np.arange(c) == gene, new, choices)
    if space.num_floats:
        old = floats[jnp.maximum(gene - c, 0)]
        floats = jnp.where(np.arange(space.num_floats) + c == gene, _new_float(old, u, step), floats)
    for family in about.families:
        choices = _changed_slot(family, dna.choices, choices, gene, u)
    return open_genes(space, DNA(choices, floats), _in_use(space, dna), fresh)


def change_each(
    space: Space,
    dna: DNA,
    hit: jax.Array,
    noise: jax.Array,
    fresh: DNA | None,
    allowed: np.ndarray,
    step: NumberStep | None,
) -> tuple[DNA, jax.Array]:
    """Changes every decision of one point that is hit; one slot of each distinct or sorted group with a hit.

    Args:
      space: static.
      dna: int32[C] and float32[F], canonical.
      hit: bool[C + F].
      noise: float32[C + F], uniform in [0, 1).
      fresh: as in `change_one`.
      allowed: bool[C + F], static.
      step: as in `change_one`.

    Returns:
      A canonical point, and whether any decision in use was hit, bool[].
    """
    about, c = genes_of(space), space.num_choices
    in_use = _in_use(space, dna)
    hit = hit & in_use & (allowed & about.has_other)
    new = _new_choice(dna.choices, noise[:c], about.arity, about.ordinal, step, about)
    choices = jnp.where(hit[:c], new, dna.choices)
    floats = jnp.where(hit[c:], _new_float(dna.floats, noise[c:], step), dna.floats)
    for family in about.families:
        slot_hit = hit[family.columns]  # [G, k]
        slot = jnp.argmax(slot_hit * (1.0 + noise[family.columns]), axis=-1)  # of several, any
        value = 1.0 - jnp.take_along_axis(noise[family.columns], slot[:, None], -1)[:, 0]
        moved = jax.vmap(lambda *row, family=family: move(family, *row))(dna.choices[family.columns], slot, value)
        kept = jnp.where(slot_hit.any(-1, keepdims=True), moved, dna.choices[family.columns])
        choices = choices.at[family.columns].set(kept)
    return open_genes(space, DNA(choices, floats), in_use, fresh), hit.any()


def _in_use(space: Space, dna: DNA) -> Any:
    return space.active(dna) if genes_of(space).depth else True


def pick(genes: np.ndarray, u: Any, xp: Any = jnp) -> Any:
    """int32[...], one of some genes for each uniform number, all equally likely."""
    return xp.asarray(genes)[part_of(u, len(genes), xp)]


def pick_in_use(mask: Any, u: Any, xp: Any = jnp) -> Any:
    """int32[], one of the genes for which bool[C + F] is true, all equally likely; -1 if there is none."""
    number = xp.sum(mask)
    return xp.where(number > 0, _nth_true(mask, part_of(u, number, xp), xp), -1)


def _nth_true(mask: Any, n: Any, xp: Any) -> Any:
    """int32[], the position of the true value before which there are n."""
    return xp.argmax(xp.cumsum(mask) > n)


def _new_choice(gene: Any, u: Any, arity: Any, ordinal: Any, step: NumberStep | None, about: Genes) -> Any:
    other = other_candidate(gene, u, arity)
    if step is None or not about.ordinal.any():
        return other
    return jnp.where(ordinal, step.of_int(gene, u, arity), other)


def _new_float(position: Any, u: Any, step: NumberStep | None) -> Any:
    return u if step is None else step.of_float(position, u)


def _changed_slot(family: Family, old: jax.Array, new: jax.Array, gene: jax.Array, u: jax.Array) -> jax.Array:
    """int32[C], the choices `new`, with the group that `gene` is a slot of changed as its rules allow."""
    hit = jnp.asarray(family.member)[gene] & (gene >= 0)
    columns = jnp.asarray(family.columns)[jnp.asarray(family.group)[gene]]
    moved = move(family, old[columns], jnp.asarray(family.slot)[gene], u)
    return jnp.where(hit, new.at[columns].set(moved, unique_indices=True), new)


def move(family: Family, slots: Any, slot: Any, u: Any, xp: Any = jnp) -> Any:
    """int32[k], the slots of one group after one legal change that begins at `slot`."""
    k = slots.shape[0]
    here = np.arange(k) == slot
    if not family.distinct:
        moved = xp.where(here, other_candidate(slots[slot], u, family.arity, xp), slots)
    elif family.arity > k:
        free = ~(slots[:, None] == np.arange(family.arity)).any(0)
        candidate = _nth_true(free, part_of(u, family.arity - k, xp), xp)
        moved = xp.where(here, candidate.astype(slots.dtype), slots)
    else:
        partner = other_candidate(slot, u, k, xp)
        moved = xp.where(here, slots[partner], xp.where(np.arange(k) == partner, slots[slot], slots))
    return xp.sort(moved) if family.sorted else moved
