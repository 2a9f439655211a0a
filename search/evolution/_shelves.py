"""Slots that can change places: the unsorted groups of a space, with all that is decided below each slot."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from pgjax._errors import ControllerError
from pgjax.search.evolution._genes import Where, genes_of, selected
from pgjax.space import Space


@dataclasses.dataclass(frozen=True, eq=False)
class Shelf:
    """Groups of equally many slots with equally many genes.

    Attributes:
      blocks: int32[G, k, W], the genes of each slot: its own, then those decided below it.
      arity: the number of candidates.
      distinct: whether no two slots may be equal.
    """

    blocks: np.ndarray
    arity: int
    distinct: bool


@functools.lru_cache(maxsize=256)
def shelves_of(space: Space, where: Where) -> tuple[Shelf, ...]:
    """The groups whose slots may change places.

    Raises:
      ControllerError: there is none.
    """
    allowed = selected(space, where)
    alike: dict[Any, list[np.ndarray]] = {}
    for group in space.constrained_groups:
        if len(group.columns) > 1 and not group.sorted and allowed[list(group.columns)].all():
            blocks = _blocks(space, group.columns)
            alike.setdefault((blocks.shape, group.arity, group.distinct), []).append(blocks)
    if not alike:
        raise ControllerError(
            'No slots can change places: the space has no unsorted pg.manyof or pg.permutate'
            + ('.' if where is None else ' among the decisions that `where` selects.')
        )
    return tuple(Shelf(np.stack(blocks), arity, distinct) for (_, arity, distinct), blocks in alike.items())


def _blocks(space: Space, columns: tuple[int, ...]) -> np.ndarray:
    """int32[k, W]; without what is below where slots differ in that (shared decisions)."""
    decisions = genes_of(space).decisions
    rows = []
    for column in columns:
        below = decisions[column].id + '[='
        rows.append([column, *(gene for gene, d in enumerate(decisions) if d.id.startswith(below))])
    if len({len(row) for row in rows}) > 1:
        rows = [row[:1] for row in rows]
    return np.array(rows, np.int32)
