"""Points of a mixed space as two blocks of numbers whose squared distances a kernel can weigh.

A choice is a one-hot row, scaled so that two different candidates are at squared distance 1 (the Hamming distance);
the slots of a sorted group share one row of counts, as their order says nothing. Decisions that choose among the same
candidates, as the layers of a network do, have a row of counts besides: how often each candidate was chosen. A number
is also its position in the unit interval, so that neighbours are near; a numeric choice is both: the data decide which
view explains more. A gene that is not in use has zeros everywhere, which makes it one more value of its own.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space import DNA, Decision, Space
from pgjax.space._plan import gene_of
from pgjax.symbolic import format_

CHOICE, ORDERED, COUNTS = range(3)  # what a block of features is of
_LONGEST = 64  # values of an ordered decision that are few: of more, outcomes are taken for smooth


@dataclasses.dataclass(frozen=True, eq=False)
class Blocks:
    """Which gene each feature comes from, and whose weight it has.

    Attributes:
      gene: int[E], the choice column of each one-hot entry.
      value: int[E], the candidate for which it is one.
      feature: int[E], the feature to which it adds; the slots of a sorted group add to the same ones.
      alike: int[n] choice columns for each set of n decisions among the same candidates, and how many these are.
      block: int[H], the weight of each of these features: one-hot ones, then those of counts.
      kind: int[num_blocks], `CHOICE`, `ORDERED` (one-hot values in an order) or `COUNTS`.
      position: int[Q], the gene (choice column, or C plus a float column) of each position, each with a weight.
      highest: float32[Q], the highest value of that gene.
      has_lines: whether one of the positions is a float, or one of many values.
    """

    gene: np.ndarray
    value: np.ndarray
    feature: np.ndarray
    alike: tuple[tuple[np.ndarray, int], ...]
    block: np.ndarray
    kind: np.ndarray
    position: np.ndarray
    highest: np.ndarray
    has_lines: bool

    @property
    def num_blocks(self) -> int:
        """The number of weights of blocks."""
        return len(self.kind)

    @property
    def num_positions(self) -> int:
        """The number of weights of positions, Q."""
        return len(self.position)

    @property
    def is_ordered(self) -> bool:
        """Whether some decisions are numbers."""
        return self.num_positions > 0


def is_ordered(decision: Decision) -> bool:
    """Whether the values of a decision are three or more numbers, ascending or descending; or one of the line."""
    if decision.kind != 'choice':
        return True
    values = decision.candidates
    if decision.group is not None or len(values) < 3 or not all(type(v) in (int, float) for v in values):
        return False
    steps = np.diff(np.array(values, float))
    return bool((steps > 0).all() or (steps < 0).all())


@functools.lru_cache(maxsize=256)
def blocks(space: Space) -> Blocks:
    """The features of a space."""
    entries: list[tuple[int, int, Any]] = []
    block_of: dict[Any, int] = {}
    kinds: list[int] = []
    feature_of: dict[Any, int] = {}
    for decision in space.decisions:
        if decision.kind != 'choice':
            continue
        owner = ('group', decision.group) if _is_sorted(space, decision) else ('gene', decision.column)
        if owner not in block_of:
            block_of[owner] = len(block_of)
            kinds.append(ORDERED if is_ordered(decision) else CHOICE)
        for value in range(decision.arity or 1):
            feature_of.setdefault((owner, value), len(feature_of))
            entries.append((decision.column, value, (owner, value)))
    alike = _alike(space)
    lines = [d for d in space.decisions if is_ordered(d)]
    owners = [block_of[owner] for owner, _ in feature_of]
    owners += [len(kinds) + i for i, (_, arity) in enumerate(alike) for _ in range(arity)]
    return Blocks(
        gene=np.array([gene for gene, _, _ in entries], int),
        value=np.array([value for _, value, _ in entries], int),
        feature=np.array([feature_of[feature] for _, _, feature in entries], int),
        alike=alike,
        block=np.array(owners, int),
        kind=np.array(kinds + [COUNTS] * len(alike), int),
        position=np.array([gene_of(space.num_choices, d) for d in lines], int),
        highest=np.array([max((d.arity or 2) - 1, 1) for d in lines], np.float32),
        has_lines=any(d.kind == 'float' or (d.arity or 0) > _LONGEST for d in lines),
    )


def _is_sorted(space: Space, decision: Decision) -> bool:
    return decision.group is not None and space.constrained_groups[decision.group].sorted


def _alike(space: Space) -> tuple[tuple[np.ndarray, int], ...]:
    """The choice columns of two or more decisions among the same candidates, without order, and the number of these."""
    columns: dict[Any, list[int]] = {}
    for decision in space.decisions:
        if decision.kind == 'choice' and not is_ordered(decision) and not _counts_say_nothing(space, decision):
            columns.setdefault(tuple(map(format_, decision.candidates)), []).append(decision.column)
    return tuple((np.array(these, int), len(called)) for called, these in columns.items() if len(these) > 1)


def _counts_say_nothing(space: Space, decision: Decision) -> bool:
    """Of a sorted group they are features already, of a permutation always one."""
    if decision.group is None:
        return False
    if _is_sorted(space, decision):
        return True
    group = space.constrained_groups[decision.group]
    return group.distinct and len(group.columns) == group.arity


def features(space: Space, dna: DNA) -> tuple[jax.Array, jax.Array]:
    """float32[..., H] features of choices, and float32[..., Q] positions about 0; jittable.

    >>> import pgjax as pg
    >>> space = pg.search_space(pg.Dict(a=pg.oneof('xy'), b=pg.floatv(0.0, 1.0)))
    >>> hamming, position = features(space, pg.DNA(choices=[[0], [1]], floats=[[0.0], [1.0]]))
    >>> float(((hamming[0] - hamming[1]) ** 2).sum().round(3)), position.tolist()
    (1.0, [[-0.5], [0.5]])
    """
    about = blocks(space)
    active = space.active(dna)
    choices = jnp.asarray(dna.choices)
    ones = (choices[..., about.gene] == about.value) & active[..., about.gene]
    one_hot = jnp.where(ones, np.float32(0.5**0.5), 0.0)
    number = int(about.feature.max(initial=-1)) + 1
    if number < len(about.feature):
        one_hot = jnp.zeros((*dna.shape, number), jnp.float32).at[..., about.feature].add(one_hot)
    counts = [_counts(choices[..., columns], active[..., columns], arity) for columns, arity in about.alike]
    genes = jnp.concatenate([choices.astype(jnp.float32), jnp.asarray(dna.floats)], -1)[..., about.position]
    position = jnp.where(active[..., about.position], genes / about.highest - 0.5, 0.0)
    return jnp.concatenate([one_hot, *counts], -1), position


def _counts(choices: jax.Array, active: jax.Array, arity: int) -> jax.Array:
    """float32[..., arity], how often each candidate was chosen; of n decisions one moves it by 1 / sqrt(n)."""
    ones = (choices[..., None] == np.arange(arity)) & active[..., None]
    return ones.sum(-2) * np.float32((0.5 / choices.shape[-1]) ** 0.5)
