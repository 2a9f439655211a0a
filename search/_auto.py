"""A controller that chooses one by the space and the budget."""

from __future__ import annotations

from typing import Any

import jax

from pgjax.search._controller import Controller, State, require
from pgjax.search.bayes import TPE, Bayesian
from pgjax.search.evolution import RegularizedEvolution
from pgjax.space import DNA, Space

_MOST_MODELLED = 100  # decisions, each with a weight that the process must learn
_MOST_ASKED = 1000  # evaluations, of which each may take as long as a model does to choose it


class Auto(Controller, type_name='pgjax.search.Auto'):
    """A controller for one objective, chosen by the space and the budget.

    Up to a thousand evaluations of up to a hundred decisions are `Bayesian`: on NAS-Bench-201 (cifar10) and HPOBench
    (australian) it is nearer to the optimum after 200 evaluations than `RegularizedEvolution` after 500. More decisions
    are `TPE`, and more evaluations `RegularizedEvolution`: these two limits are of cost, not of measured quality. Small
    batches learn more from each evaluation.

    Attributes:
      batch_size: B, points per `ask`.
      budget: how many evaluations are planned.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> search.Auto(budget=10_000).choose(pg.search_space([pg.oneof('ab')]))
    RegularizedEvolution(batch_size=1, population_size=100, tournament_size=10)
    """

    batch_size: int = 1
    budget: int = 500

    def choose(self, space: Space) -> Controller:
        """The controller that is used for a space."""
        if self.budget > _MOST_ASKED:
            return RegularizedEvolution(batch_size=self.batch_size)
        model = Bayesian if len(space.decisions) <= _MOST_MODELLED else TPE
        capacity = max(model().capacity, self.batch_size)
        return model(batch_size=self.batch_size, capacity=capacity)

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> State:
        """The state of the chosen controller."""
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.budget >= 1, self, 'budget', 'at least 1')
        return self.choose(space).init(space, key, num_objectives)

    def ask(self, space: Space, state: State, key: jax.Array) -> tuple[DNA, State]:
        """As the chosen controller."""
        return self.choose(space).ask(space, state, key)

    def tell(self, space: Space, state: State, dna: DNA, fitness: Any) -> State:
        """As the chosen controller."""
        return self.choose(space).tell(space, state, dna, fitness)
