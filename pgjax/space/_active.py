"""Which genes a point uses: those whose conditions hold at some place at which the decision stands.

A gene is a choice column, or C plus a float column. Genes that stand side by side under one parent are a run: one
column of choices against a row of constants. Runs keep populations in the layout of the DNA, [..., C + F], and
need no gather, which would be three times slower. Where there are very many runs, compiling them one by one would
take longer than gathers do.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import jax.numpy as jnp
import numpy as np

from pgjax.space._plan import Layout

_MOST_RUNS = 1000

Conditions = tuple[tuple[int, int], ...]  # (parent column, index): any of them


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """Neighbouring genes with the same parents.

    Attributes:
      start: the first gene.
      size: how many there are.
      places: for each place at which they may stand the parent column, and the index for each gene, int32[size];
        none where the genes always apply.
    """

    start: int
    size: int
    places: tuple[tuple[int, np.ndarray], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Activity:
    """The conditions of all genes, as runs and as levels.

    Attributes:
      runs: in the order of the genes.
      order: the numbers of the runs, parents before children.
      home: for each gene the number of its run.
      levels: for each depth the conditional genes, and for each of their places parents and indices, int[n].
    """

    runs: tuple[Run, ...]
    order: tuple[int, ...]
    home: tuple[int, ...]
    levels: tuple[tuple[np.ndarray, tuple[tuple[np.ndarray, np.ndarray], ...]], ...]


def activity(layout: Layout) -> Activity:
    """The conditions of a layout."""
    c = layout.num_choices
    by_gene = {d.column + (c if d.kind == 'float' else 0): d.conditions for d in layout.decisions}
    conditions = [by_gene[gene] for gene in range(len(by_gene))]
    depths = _depths(conditions)
    runs: list[Run] = []
    home: list[int] = []
    for _, genes in itertools.groupby(range(len(conditions)), lambda g: tuple(column for column, _ in conditions[g])):
        members = list(genes)
        home += [len(runs)] * len(members)
        places = zip(*(conditions[g] for g in members), strict=True)
        runs.append(Run(members[0], len(members), tuple((p[0][0], _indices(p)) for p in places)))
    order = sorted(range(len(runs)), key=lambda r: depths[runs[r].start])
    return Activity(tuple(runs), tuple(order), tuple(home), _levels(conditions, depths))


def _indices(place: Any) -> np.ndarray:
    return np.array([index for _, index in place], np.int32)


def _depths(conditions: list[Conditions]) -> list[int]:
    """How many decisions lead to each gene; a gene's parents may have higher numbers than itself (ties)."""
    known: dict[int, int] = {}
    for start in range(len(conditions)):
        pending = [start]
        while pending:
            missing = [column for column, _ in conditions[pending[-1]] if column not in known]
            if missing:
                pending += missing
            else:
                gene = pending.pop()
                known[gene] = max((known[column] + 1 for column, _ in conditions[gene]), default=0)
    return [known[gene] for gene in range(len(conditions))]


def _levels(conditions: list[Conditions], depths: list[int]) -> Any:
    by_level: dict[tuple[int, int], list[int]] = {}
    for gene, places in enumerate(conditions):
        if places:
            by_level.setdefault((depths[gene], len(places)), []).append(gene)
    return tuple(
        (np.array(genes), tuple(tuple(np.array([conditions[g][p] for g in genes]).T) for p in range(places)))
        for (_, places), genes in sorted(by_level.items())
    )


def active(table: Activity, choices: Any) -> Any:
    """bool[..., C + F] from int32[..., C] choices, on the host or the device."""
    if isinstance(choices, np.ndarray) or len(table.runs) > _MOST_RUNS:
        return _by_levels(table, choices)
    return _by_runs(table, choices)


def _by_runs(table: Activity, choices: Any) -> Any:
    pieces: list[Any] = [None] * len(table.runs)
    for number in table.order:
        run = table.runs[number]
        applies = None
        for parent, indices in run.places:
            here = choices[..., parent : parent + 1] == indices
            above = table.runs[table.home[parent]]
            if above.places:
                row = parent - above.start
                here = here & pieces[table.home[parent]][..., row : row + 1]
            applies = here if applies is None else applies | here
        always = jnp.ones((*choices.shape[:-1], run.size), bool) if applies is None else applies
        pieces[number] = always
    return jnp.concatenate(pieces, axis=-1)


def _by_levels(table: Activity, choices: Any) -> Any:
    xp = np if isinstance(choices, np.ndarray) else jnp
    mask: Any = xp.ones((*choices.shape[:-1], len(table.home)), bool)
    for genes, places in table.levels:
        applies = False
        for parents, indices in places:
            applies = applies | (mask[..., parents] & (choices[..., parents] == indices))
        if xp is np:
            mask[..., genes] = applies
        else:
            mask = mask.at[..., genes].set(applies)
    return mask
