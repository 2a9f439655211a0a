"""Points of a mixed space as two blocks of numbers whose squared distances a kernel can weigh.

A choice is a one-hot row, scaled so that two different candidates are at squared distance 1 (the Hamming distance);
the slots of a sorted group share one row of counts, as their order says nothing. A number is also its position in
the unit interval, so that neighbours are near. A numeric choice is both: the data decide which view explains more.
A gene that is not in use has zeros everywhere, which makes it one more value of its own.
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

_LONGEST = 64  # values of an ordered decision that are compared on a ladder


@dataclasses.dataclass(frozen=True, eq=False)
class Blocks:
    """Which gene each feature comes from, and whose weight it has.

    Attributes:
      gene: int[E], the choice column of each one-hot entry.
      value: int[E], the candidate for which it is one.
      feature: int[E], the feature to which it adds; the slots of a sorted group add to the same ones.
      ladder: int[L], the choice columns of short ordered decisions.
      rungs: float32[L, A, A - 1], where their values stand: at squared distances |difference| ** 1.5 of the range.
      block: int[H], the weight of each of these features: one-hot ones, then those of the ladders.
      kind: int[num_blocks], 0 for one-hot choices, 1 for one-hot values in an order, 2 for ladders.
      position: int[Q], the gene (choice column, or C plus a float column) of each position, each with a weight.
      highest: float32[Q], the highest value of that gene.
    """

    gene: np.ndarray
    value: np.ndarray
    feature: np.ndarray
    ladder: np.ndarray
    rungs: np.ndarray
    block: np.ndarray
    kind: np.ndarray
    position: np.ndarray
    highest: np.ndarray

    @property
    def num_blocks(self) -> int:
        """The number of weights of blocks."""
        return len(self.kind)

    @property
    def is_ordered(self) -> bool:
        """Whether some decisions are numbers."""
        return bool(len(self.ladder) or len(self.position))

    @property
    def num_positions(self) -> int:
        """The number of weights of positions, Q."""
        return len(self.position)


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
        shares = decision.group is not None and space.constrained_groups[decision.group].sorted
        owner = ('group', decision.group) if shares else ('gene', decision.column)
        if owner not in block_of:
            block_of[owner] = len(block_of)
            kinds.append(int(is_ordered(decision)))
        for value in range(decision.arity or 1):
            feature_of.setdefault((owner, value), len(feature_of))
            entries.append((decision.column, value, (owner, value)))
    ordered = [d for d in space.decisions if is_ordered(d)]
    ladders = [d for d in ordered if d.kind != 'float' and (d.arity or 0) <= _LONGEST]
    lines = [d for d in ordered if d.kind == 'float' or (d.arity or 0) > _LONGEST]
    longest = max((d.arity or 1 for d in ladders), default=1)
    owners = [block_of[owner] for owner, _ in feature_of]
    owners += [len(block_of) + i for i in range(len(ladders)) for _ in range(longest - 1)]
    return Blocks(
        gene=np.array([gene for gene, _, _ in entries], int),
        value=np.array([value for _, value, _ in entries], int),
        feature=np.array([feature_of[feature] for _, _, feature in entries], int),
        ladder=np.array([d.column for d in ladders], int),
        rungs=np.array([_rungs(d.arity or 1, longest) for d in ladders]).reshape(len(ladders), longest, longest - 1),
        block=np.array(owners, int),
        kind=np.array(kinds + [2] * len(ladders), int),
        position=np.array([gene_of(space.num_choices, d) for d in lines], int),
        highest=np.array([max((d.arity or 2) - 1, 1) for d in lines], np.float32),
    )


@functools.lru_cache(maxsize=256)
def _rungs(arity: int, rows: int) -> np.ndarray:
    """float32[rows, rows - 1]: points at squared distances (|i - j| / (arity - 1)) ** 1.5, by classical scaling."""
    values = np.arange(arity) / max(arity - 1, 1)
    squares = np.abs(values[:, None] - values[None]) ** 1.5
    centred = squares - squares.mean(0) - squares.mean(1)[:, None] + squares.mean()
    sizes, axes = np.linalg.eigh(-0.5 * centred)
    result = np.zeros((rows, rows - 1), np.float32)
    result[:arity, : arity - 1] = (axes * np.sqrt(np.maximum(sizes, 0.0)))[:, 1:]  # the first is the constant
    return result


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
        one_hot = jnp.zeros((*dna.shape, number)).at[..., about.feature].add(one_hot)
    stands = jnp.asarray(about.rungs)[np.arange(len(about.ladder)), choices[..., about.ladder]]
    stands = jnp.where(active[..., about.ladder, None], stands, 0.0)
    hamming = jnp.concatenate([one_hot, stands.reshape(*dna.shape, -1)], -1)
    genes = jnp.concatenate([choices.astype(jnp.float32), jnp.asarray(dna.floats)], -1)[..., about.position]
    position = jnp.where(active[..., about.position], genes / about.highest - 0.5, 0.0)
    return hamming, position
