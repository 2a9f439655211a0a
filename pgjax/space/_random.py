"""Random points. Every choice is uniform over its candidates, every number uniform on its scale.

The slots of a distinct group are a uniform arrangement; those of a sorted group are such a draw, sorted: so
distinct and sorted slots are a uniform subset, while sorted slots with repeats are a uniform tuple put in order,
which makes (0, 1) twice as likely as (0, 0), as in PyGlove.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space import _genes
from pgjax.space._dna import DNA
from pgjax.space._genes import Tables
from pgjax.space._plan import Decision, Layout
from pgjax.space._scales import at_position
from pgjax.space._threefry import words

_MOST_SCALED = 2**16  # larger ranges need more than 32 random bits to be uniform


def random(
    layout: Layout, table: Tables, key: jax.Array, shape: tuple[int, ...], *, canonical_form: bool = True
) -> DNA:
    """Random points of leading axes `shape`, all from one block of random bits.

    With `canonical_form` unused genes are zero; without, they are drawn too, for operators that may come to use
    them.
    """
    c, f = layout.num_choices, layout.num_floats
    noise = sum(columns.shape[0] * group.arity for group, columns in table.groups if group.distinct)
    bits = words(key, (*shape, c + f + noise))
    choices = _choices(layout, table, key, bits[..., :c])
    used = c + f
    for group, columns in table.groups:
        drawn = choices[..., columns]
        if group.distinct:
            size = columns.shape[0] * group.arity
            mine = bits[..., used : used + size].reshape(*shape, columns.shape[0], group.arity)
            drawn = jnp.argsort(mine, axis=-1)[..., : columns.shape[1]].astype(jnp.int32)
            used += size
        choices = choices.at[..., columns].set(jnp.sort(drawn, axis=-1) if group.sorted else drawn)
    drawn_all = DNA(choices, _unit(bits[..., c : c + f]))
    return _genes.canonical(layout, table, drawn_all) if canonical_form else drawn_all


def _unit(bits: jax.Array) -> jax.Array:
    """float32 positions in [0, 1): multiples of 2**-24."""
    return (bits >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)


def _choices(layout: Layout, table: Tables, key: jax.Array, bits: jax.Array) -> jax.Array:
    """int32[..., C], each uniform below its arity, or on its scale: 32 random bits scaled down.

    That is the high word of bits * arity, by halves; no probability is off by more than arity / 2**32 of itself,
    and it costs half of `jax.random.randint`.
    """
    arity = np.minimum(table.arity, _MOST_SCALED).astype(np.uint32)
    scaled = (bits >> 16) * arity + (((bits & 0xFFFF) * arity) >> 16)
    choices = (scaled >> 16).astype(jnp.int32)
    for decision in layout.decisions:
        if decision.kind == 'int' and decision.scale != 'linear':
            drawn = _scaled_int(_unit(bits[..., decision.column]), decision)
        elif decision.kind != 'float' and (decision.arity or 1) > _MOST_SCALED:
            column_key = jax.random.fold_in(key, decision.column)
            drawn = jax.random.randint(column_key, bits.shape[:-1], 0, decision.arity or 1, jnp.int32)
        else:
            continue
        choices = choices.at[..., decision.column].set(drawn)
    return choices


def _scaled_int(u: Any, of: Decision) -> jax.Array:
    """The gene whose cell [value, value + step) of the log scale holds position `u`; turned round for 'rlog'."""
    most = (of.arity or 1) - 1
    steps = (at_position(u, of.low, of.high + of.step, 'log', jnp.exp) - of.low) / of.step
    gene = jnp.clip(jnp.floor(steps), 0, most).astype(jnp.int32)
    return gene if of.scale == 'log' else most - gene
