"""A controller that chooses one by the space, the objectives and the budget."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from pgjax.search._controller import Controller, State, require
from pgjax.search._wrappers import Chain, Dedup
from pgjax.search.bayes import Bayesian
from pgjax.search.evolution import SEMO, RegularizedEvolution
from pgjax.space import DNA, Space

_MOST_MODELLED = 400  # decisions, with which a proposal takes some 60 ms
_MOST_ASKED = 10_000  # evaluations, so many that the time of a model would matter
_LEARNED = 200  # evaluations after which a process has found what it can tell from noise
_LEARNED_EACH = 10  # the same for each decision, where that is more
_MOST_LEARNED = 1000  # evaluations of a process, however many decisions there are


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

    With several objectives it is `SEMO`, no point twice. With one, the first 200 evaluations are `Bayesian`: on
    NAS-Bench-201 (cifar10) and NAS-Bench-Graph (arxiv) it is as near to the optimum after 100 evaluations as
    `RegularizedEvolution` after 500. Then `RegularizedEvolution` goes on from the last twenty points (the best twenty
    made no difference): where the process cannot tell good points from better ones it overtakes, from .65 after 200 to
    .40 after 500 on NAS-Bench-Graph (cora; the process alone .46), and from .005 to .0003 on HPOBench (car; .0010).

    With more than twenty decisions the process goes on for ten evaluations a decision, at most a thousand: on NK
    landscapes of 100 decisions (K = 2, values of deviation 1) it is at 8.6 after 200 and 10.8 after 500, or 9.9 if
    evolution takes over after 200; evolution alone is at 6.8 and 8.7, `TPE` at 4.1 and 4.9. After 5,000 they are
    equal. With more than 400 decisions, more than 10,000 evaluations or batches of 200 (the first of which is random)
    it is `RegularizedEvolution` from the first on: these limits are of cost, not of measured quality. Small batches
    learn more from each evaluation.

    Attributes:
      batch_size: B, points per `ask`.
      budget: how many evaluations are planned.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> space = pg.search_space([pg.oneof('ab')])
    >>> search.Auto(budget=100_000).choose(space)
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
        number = len(space.decisions)
        learned = min(max(_LEARNED, _LEARNED_EACH * number), _MOST_LEARNED)
        if number > _MOST_MODELLED or self.budget > _MOST_ASKED or self.batch_size >= _LEARNED:
            return evolution
        process = Bayesian(batch_size=self.batch_size)
        return process if self.budget <= learned else Chain([process, evolution], [learned])

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
