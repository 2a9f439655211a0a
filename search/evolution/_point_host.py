"""Point mutation in NumPy: what `mutate` does with the random numbers of `draw_changes`, bit for bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from pgjax.search._host import replaced
from pgjax.search.evolution._genes import genes_of
from pgjax.search.evolution._mutate import NORMAL_STEP, draw_changes
from pgjax.search.evolution._opening import open_genes
from pgjax.search.evolution._point import move, pick, pick_in_use
from pgjax.search.evolution._values import Single, reflected, reflected_int, way_to_other, whole_shift
from pgjax.space import DNA, Space
from pgjax.space._scales import SMALLEST

_MOST_STEPS = 2**24  # larger ints are no float32s


@dataclasses.dataclass(frozen=True, eq=False)
class Changes:
    """The random numbers of G times B children.

    Attributes:
      moves: [G][B][2], which decision changes, and how far it moves if it is a choice or an int; None where that
        depends on the parents.
      shift: float32[G, B], how far it moves if it is a float.
      noise: float32[G, B, 2], what all of this is made of.
      fresh: G times B random points, every gene drawn; None where all genes are always in use.
    """

    moves: list[list[list[int]]] | None
    shift: np.ndarray
    noise: np.ndarray
    fresh: DNA | None


class PointMutation:
    """`mutate` of B points of one space."""

    def __init__(self, space: Space, size: int):
        about = genes_of(space)
        self._space = space
        self._num_choices, self._has_floats = space.num_choices, bool(space.num_floats)
        self._no_floats = np.zeros((size, 0), np.float32)
        self._conditional = about.depth > 0
        self._candidates = about.has_other
        self._genes = np.flatnonzero(about.has_other)
        self._arity, self._ordinal = about.arity, about.ordinal
        self._arities = about.arity.tolist()
        self._ordinals = frozenset(np.flatnonzero(about.ordinal).tolist())
        self._families = {int(gene): family for family in about.families for gene in np.flatnonzero(family.member)}
        self._unordered = [0 if g in self._ordinals or g in self._families else a for g, a in enumerate(self._arities)]
        self._unordered += [0] * space.num_floats

    @staticmethod
    def is_exact(space: Space) -> bool:
        """Whether NumPy gives the bits of the compiled program."""
        about = genes_of(space)
        return not (about.arity[about.ordinal] > _MOST_STEPS).any()

    @staticmethod
    def draw(space: Space, key: jax.Array, size: int) -> Any:
        """The random numbers of B children; jittable."""
        noise, fresh = draw_changes(space, key, (size,))
        return noise, NORMAL_STEP.shift(noise[..., 1]), fresh

    def changes(self, drawn: Any) -> Changes:
        """What `draw` gave for G keys, on the host; as far as it does not depend on the parents, decided at once."""
        noise, shift, fresh = drawn
        if self._conditional or not len(self._genes):
            return Changes(None, shift, noise, fresh)
        genes = pick(self._genes, noise[..., 0], np)
        moves = np.stack([genes, self._ways(genes, noise[..., 1], shift)], -1)
        return Changes(moves.tolist(), shift, noise, fresh)

    def _ways(self, genes: Any, u: Any, shift: Any) -> Any:
        """int32[...], how far the choices and ints among some genes move; anything for floats."""
        if not self._num_choices:
            return np.zeros_like(genes)
        columns = np.minimum(genes, self._num_choices - 1)
        ways = way_to_other(u, self._arity[columns], np)
        if not self._ordinals:
            return ways
        return np.where(self._ordinal[columns], whole_shift(shift, self._arity[columns], np), ways)

    def children(self, dna: DNA, parents: list[int], changes: Changes, index: int) -> DNA:
        """B canonical points, each of which differs from its parent wherever the space has another.

        Args:
          dna: canonical points, narrow or wide.
          parents: B positions among them.
          changes: of G times B children.
          index: which of the G.
        """
        choices = rows_of(dna.choices, parents).astype(np.int32)
        floats = rows_of(dna.floats, parents).copy() if self._has_floats else self._no_floats
        if self._conditional:
            return self._conditional_children(choices, floats, changes, index)
        if changes.moves is not None:
            for row, (gene, way) in enumerate(changes.moves[index]):
                if arity := self._unordered[gene]:  # what there is most of the time
                    choices[row, gene] = (choices.item(row, gene) + way) % arity
                else:
                    self._change(choices[row], floats[row], gene, way, changes, (index, row))
        if self._has_floats:
            np.putmask(floats, floats < SMALLEST, 0.0)  # `space.canonical`, where all genes are in use
        return replaced(dna, choices=choices, floats=floats)

    def _conditional_children(self, choices: np.ndarray, floats: np.ndarray, changes: Changes, index: int) -> DNA:
        in_use = self._space.active(DNA(choices, floats))
        for row, mask in enumerate(in_use & self._candidates):
            u, v = changes.noise[index, row]
            gene = pick_in_use(mask, u, np)
            way = int(self._ways(gene, v, changes.shift[index, row]))
            self._change(choices[row], floats[row], int(gene), way, changes, (index, row))
        fresh = None if changes.fresh is None else changes.fresh[index]
        return open_genes(self._space, DNA(choices, floats), in_use, fresh)

    def _change(
        self, choices: np.ndarray, floats: np.ndarray, gene: int, way: Any, changes: Changes, child: tuple[int, int]
    ) -> None:
        """Changes one decision of one point in place; none if `gene` is -1."""
        column = gene - self._num_choices
        if gene < 0:
            return
        if column >= 0:
            floats[column] = reflected(floats[column], changes.shift[child], Single)
        elif gene in self._families:
            family = self._families[gene]
            columns = family.columns[family.group[gene]]
            choices[columns] = move(family, choices[columns], family.slot[gene], changes.noise[child][1], np)
        elif gene in self._ordinals:
            downwards = changes.shift[child] < 0
            choices[gene] = reflected_int(choices.item(gene), way, downwards, self._arities[gene], Single)
        else:
            choices[gene] = (choices.item(gene) + way) % self._arities[gene]


def rows_of(array: Any, rows: list[int]) -> np.ndarray:
    """Some rows; a view where it is one."""
    return array[rows[0] : rows[0] + 1] if len(rows) == 1 else array.take(rows, 0)
