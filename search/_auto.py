"""A controller that chooses one by the space, the objectives and the budget."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from pgjax.search._controller import Controller, State, require
from pgjax.search._wrappers import Chain, Dedup
from pgjax.search.bayes import TPE, Bayesian
from pgjax.search.evolution import SEMO, RegularizedEvolution
from pgjax.space import DNA, Space

_MOST_MODELLED = 100  # decisions, each with a weight that the process must learn
_MOST_ASKED = 1000  # evaluations, each of which costs a model time, be it only to be told
_LEARNED = 200  # evaluations after which a process has found what it can tell from noise


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AutoState:
    """The state of the controller that was chosen.

    Attributes:
      inner: of the controller.
      num_objectives: M, static.
    """

    inner: Any
    num_objectives: int = dataclasses.field(metadata={'static': True})

    @property
    def parents(self) -> jax.Array:
        """int32[B, K], of the last batch, where the controller tells."""
        return self.inner.parents


class Auto(Controller, type_name='pgjax.search.Auto'):
    """A controller chosen by the space, the number of objectives and the budget.

    With several objectives it is `SEMO`, no point twice. With one, the first 200 evaluations of up to a hundred
    decisions are `Bayesian`: on NAS-Bench-201 (cifar10) and NAS-Bench-Graph (arxiv) it is as near to the optimum after
    100 evaluations as `RegularizedEvolution` after 500. Then `RegularizedEvolution` goes on from the last twenty points
    (the best twenty made no difference): where the process cannot tell good points from better ones it overtakes, from
    .65 after 200 to .40 after 500 on NAS-Bench-Graph (cora; the process alone .46), and from .005 to .0003 on HPOBench
    (car; .0010). With more decisions it is `TPE`, and if more than a thousand evaluations are planned
    `RegularizedEvolution` from the first on: these two limits are of cost, not of measured quality. Small batches learn
    more from each evaluation.

    Attributes:
      batch_size: B, points per `ask`.
      budget: how many evaluations are planned.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> space = pg.search_space([pg.oneof('ab')])
    >>> search.Auto(budget=10_000).choose(space)
    RegularizedEvolution(batch_size=1, population_size=20, tournament_size=None, memory=4096)
    >>> search.Auto().choose(space, num_objectives=2).controller
    SEMO(batch_size=1, archive_size=256, initial_size=16)
    """

    batch_size: int = 1
    budget: int = 500

    def choose(self, space: Space, num_objectives: int = 1) -> Controller:
        """The controller that is used for a space and a number of objectives."""
        if num_objectives > 1:
            return Dedup(SEMO(batch_size=self.batch_size))
        evolution = RegularizedEvolution(batch_size=self.batch_size)
        if self.budget > _MOST_ASKED:
            return evolution
        model = Bayesian if len(space.decisions) <= _MOST_MODELLED else TPE
        first = model(batch_size=self.batch_size, capacity=max(model().capacity, self.batch_size))
        if model is TPE or self.budget <= _LEARNED:
            return first
        return Chain([first, evolution], [_LEARNED])

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> AutoState:
        """The state of the chosen controller."""
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.budget >= 1, self, 'budget', 'at least 1')
        return AutoState(self.choose(space, num_objectives).init(space, key, num_objectives), num_objectives)

    def ask(self, space: Space, state: AutoState, key: jax.Array) -> tuple[DNA, AutoState]:
        """As the chosen controller."""
        dna, inner = self.choose(space, state.num_objectives).ask(space, state.inner, key)
        return dna, dataclasses.replace(state, inner=inner)

    def tell(self, space: Space, state: AutoState, dna: DNA, fitness: Any) -> State:
        """As the chosen controller."""
        inner = self.choose(space, state.num_objectives).tell(space, state.inner, dna, fitness)
        return dataclasses.replace(state, inner=inner)
