"""One trained member of a population, as results show it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pgjax.space import DNA, Space


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """A member after its last step.

    Attributes:
      id: its slot, or in a run of halvings the number of its configuration.
      dna: int32[C] and float32[F].
      metrics: by name.
      fitness: float32[M], maximized.
      state: its training state.
    """

    id: int
    dna: DNA
    metrics: dict[str, float]
    fitness: tuple[float, ...]
    state: Any
    space: Space = dataclasses.field(repr=False)

    @functools.cached_property
    def value(self) -> Any:
        """The experiment."""
        return self.space.decode(self.dna)


def member_at(
    space: Space, row: int, *, id: int, dna: DNA, metrics: Mapping[str, Any], fitness: Any, states: Any
) -> Member | None:
    """The member in a row of a population; None if it failed.

    Args:
      space: of the population.
      row: below P.
      id: what the member is called.
      dna: int32[P, C] and float32[P, F].
      metrics: float32[P] by name.
      fitness: float32[P, M].
      states: of training, each array with a leading axis P.
    """
    found = tuple(float(f) for f in np.asarray(fitness[row]))
    if not np.isfinite(found).all():
        return None
    return Member(
        id=id,
        dna=jax.tree.map(lambda genes: np.asarray(genes[row]), dna),
        metrics={name: float(values[row]) for name, values in metrics.items()},
        fitness=found,
        state=jax.tree.map(lambda leaf: leaf[row], states),
        space=space,
    )
