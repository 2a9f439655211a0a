"""Enumeration inside compiled programs: the order of points as a machine whose tables indices are looked up in.

A state of the machine is what is still to be decided, as in `_order`. An index is led from state to state: each
decides one gene by where the index falls among the totals of the values that it may take. Conditions, constrained
groups and ties are in the tables, so that the walk itself knows nothing of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import SpaceError
from pgjax.space._order import Order, State, Step
from pgjax.space._size import size_text

MOST_POINTS = 2**31 - 1  # indices are int32
MOST_ENTRIES = 2**18  # they take seconds to make


@dataclasses.dataclass(frozen=True, eq=False)
class Machine:
    """S states with E entries in all; those of a state stand side by side.

    Attributes:
      gene: int32[S], which gene a state decides; C + F where a point is complete.
      start: int32[S], its first entry.
      width: int32[S], how many entries it has.
      before: int32[E], the number of points that the entries before it in its state lead to.
      value: int32[E], the gene's value, of several values that are alike the first one.
      each: int32[E], the number of points that one value leads to.
      after: int32[E], the state that follows.
    """

    gene: np.ndarray
    start: np.ndarray
    width: np.ndarray
    before: np.ndarray
    value: np.ndarray
    each: np.ndarray
    after: np.ndarray


def machine(order: Order, num_genes: int) -> Machine:
    """The tables of an order.

    Raises:
      SpaceError: it has 2**31 points or more, or its tables would be too large.
    """
    size = order.size()
    if size > MOST_POINTS:
        raise SpaceError(
            f'{size_text(size)} points are too many to enumerate in a compiled program, which counts up to 2**31 - 1. '
            'Use space.nth(i) with a Python int, or a coarser grid.'
        )
    numbers: dict[Any, int] = {_key(order.start): 0}
    waiting: list[State] = [order.start]
    states: list[tuple[int, int, int]] = []
    entries: list[tuple[int, int, int, int]] = []
    for state in waiting:  # grows on the way
        step = order.step(state)
        if step is None:
            states.append((num_genes, len(entries), 1))
            entries.append((0, 0, MOST_POINTS, len(states) - 1))
            continue
        values = step.values[:1] if _all_alike(step) else step.values
        states.append((step.gene, len(entries), len(values)))
        before = each = 0
        for value in values:
            after = step.follow(value)
            each = each if step.even and each else order.total(after)
            number = numbers.setdefault(_key(after), len(waiting))
            if number == len(waiting):
                waiting.append(after)
            entries.append((before, value, each, number))
            before += each
        if len(entries) > MOST_ENTRIES:
            raise SpaceError(
                'The order of this space is too irregular to enumerate in a compiled program: distinct unsorted '
                'groups of many candidates have too many states. Use space.nth(i) with a Python int.'
            )
    gene, start, width = np.array(states, np.int32).T
    return Machine(gene, start, width, *np.array(entries, np.int32).T)


def _all_alike(step: Step) -> bool:
    """Whether one entry serves for all values: they are consecutive and lead to the same state."""
    if not step.even or not isinstance(step.values, range):
        return False
    return _key(step.follow(step.values[0])) == _key(step.follow(step.values[-1]))


def _key(state: State) -> Any:
    todo, made = state
    return id(todo), made


def unrank(table: Machine, index: jax.Array, num_genes: int) -> jax.Array:
    """int32[C + F] of int32[], the value of each gene of one point; -1 for genes that it does not use."""
    gene, start, width = map(jnp.asarray, (table.gene, table.start, table.width))
    before, value, each, after = map(jnp.asarray, (table.before, table.value, table.each, table.after))
    halvings = int(table.width.max()).bit_length()

    def decide(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        state, left, genes = carry
        entry, count = start[state], width[state]
        for _ in range(halvings):  # the last entry that does not lie beyond
            half = count // 2
            fits = before[entry + half] <= left
            entry, count = jnp.where(fits, entry + half, entry), jnp.where(fits, count - half, half)
        left = left - before[entry]
        genes = genes.at[gene[state]].set(value[entry] + left // each[entry], mode='drop')
        return after[entry], left % each[entry], genes

    genes = jnp.full(num_genes, -1, jnp.int32)
    return jax.lax.while_loop(lambda carry: gene[carry[0]] < num_genes, decide, (jnp.int32(0), index, genes))[2]
