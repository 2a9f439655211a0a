"""What operators need to know of a space, by gene: a gene is a choice column, or C plus a float column."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from pgjax._errors import ControllerError
from pgjax.space import ConstrainedGroup, Decision, Space

Where = Callable[[Decision], bool] | None  # which decisions an operator may touch; all by default


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """Constrained groups that are alike, so that one operation serves them all.

    Attributes:
      columns: int32[G, k], their choice columns.
      group: int32[C + F], the group in which each gene is a slot, 0 where it is in none.
      slot: int32[C + F], which slot.
      member: bool[C + F], whether it is in one.
      arity: the number of candidates.
      distinct: whether no two slots may be equal.
      sorted: whether slots ascend.
    """

    columns: np.ndarray
    group: np.ndarray
    slot: np.ndarray
    member: np.ndarray
    arity: int
    distinct: bool
    sorted: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Genes:
    """A space as arrays.

    Attributes:
      decisions: by gene.
      has_other: bool[C + F], whether the decision has another value to take.
      arity: int32[C].
      ordinal: bool[C], whether the decision is an int.
      depth: how often opening one decision can open another; 0 where all genes are always in use.
      families: the groups that are distinct or sorted.
      unit: int32[C + F], genes that are inherited together have one number: the first of their gene numbers.
    """

    decisions: tuple[Decision, ...]
    has_other: np.ndarray
    arity: np.ndarray
    ordinal: np.ndarray
    depth: int
    families: tuple[Family, ...]
    unit: np.ndarray


@functools.lru_cache(maxsize=256)
def genes_of(space: Space) -> Genes:
    """The genes of a space."""
    c = space.num_choices
    by_gene = tuple(sorted(space.decisions, key=lambda d: d.column + (c if d.kind == 'float' else 0)))
    constrained = [g for g in space.constrained_groups if g.distinct or g.sorted]
    has_other = np.array([d.arity is None or d.arity > 1 for d in by_gene], bool)
    unit = np.arange(len(by_gene))
    for group in constrained:
        columns = list(group.columns)
        unit[columns] = min(columns)
        if group.distinct and group.sorted and len(columns) == group.arity:
            has_other[columns] = False  # all candidates, in the one order that is allowed
    return Genes(
        decisions=by_gene,
        has_other=has_other,
        arity=np.array([d.arity for d in by_gene[:c]], np.int32),
        ordinal=np.array([d.kind == 'int' for d in by_gene[:c]], bool),
        depth=_depth(by_gene),
        families=_families(constrained, len(by_gene)),
        unit=unit,
    )


@functools.lru_cache(maxsize=256)
def selected(space: Space, where: Where) -> np.ndarray:
    """bool[C + F], the genes for which `where` is true.

    Raises:
      ControllerError: there is none.
    """
    decisions = genes_of(space).decisions
    chosen = np.array([where is None or bool(where(d)) for d in decisions], bool)
    if not chosen.any():
        raise ControllerError(
            f'`where` selects none of the {len(decisions)} decisions; it gets a pg.space.Decision, such as '
            f'{decisions[0].id!r} with hints {decisions[0].hints!r}.'
        )
    return chosen


@functools.lru_cache(maxsize=256)
def selected_together(space: Space, where: Where) -> np.ndarray:
    """bool[C + F], the genes that are selected together with all genes that are inherited with them."""
    unit = genes_of(space).unit
    return ~np.isin(unit, unit[~selected(space, where)])


def _depth(by_gene: tuple[Decision, ...]) -> int:
    depths: dict[tuple[tuple[int, int], ...], int] = {(): 0}

    def below(conditions: tuple[tuple[int, int], ...]) -> int:
        if conditions not in depths:
            depths[conditions] = max(1 + below(by_gene[column].conditions) for column, _ in conditions)
        return depths[conditions]

    return max(below(d.conditions) for d in by_gene)


def _families(groups: list[ConstrainedGroup], num_genes: int) -> tuple[Family, ...]:
    alike: dict[tuple[int, int, bool, bool], list[ConstrainedGroup]] = {}
    for group in groups:
        alike.setdefault((len(group.columns), group.arity, group.distinct, group.sorted), []).append(group)
    return tuple(_family(members, num_genes) for members in alike.values())


def _family(groups: list[ConstrainedGroup], num_genes: int) -> Family:
    columns = np.array([g.columns for g in groups], np.int32)
    group, slot = np.zeros(num_genes, np.int32), np.zeros(num_genes, np.int32)
    member = np.zeros(num_genes, bool)
    group[columns] = np.arange(len(groups))[:, None]
    slot[columns] = np.arange(columns.shape[1])
    member[columns] = True
    return Family(columns, group, slot, member, groups[0].arity, groups[0].distinct, groups[0].sorted)
