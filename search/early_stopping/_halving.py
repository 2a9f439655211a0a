"""Successive halving: at each rung, eta times as far as the one before, one in eta trials goes on."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge

from pgjax.search._objective import Objective
from pgjax.search.early_stopping._policy import Curves, Policy, standing

RUNGS = 64  # more than any step of 64 bits can reach


class ASHA(Policy, type_name='pgjax.search.early_stopping.ASHA'):
    """Asynchronous successive halving (Li et al., 2020, Algorithm 2, https://arxiv.org/abs/1810.05934).

    Rung k stands at step `min_step * eta**k`. A trial that comes to a rung goes on if it is among the best
    1/eta of those that have come there so far, itself included, and always if it is the best.
    Departure: trials cannot be paused here, so one that is not promoted at once stops, and the first to come to a
    rung goes on.

    Attributes:
      min_step: of the first rung.
      eta: the reduction factor.
      objectives: what is compared; the study's if there are none.
    """

    min_step: Annotated[int, Ge(1)] = 1
    eta: Annotated[int, Ge(2)] = 3
    objectives: tuple[Objective, ...] = ()

    def should_stop(self, curves: Curves, trial: int) -> bool:
        """Whether too many of those at the trial's rung are better."""
        found = standing(curves.by(self.objectives), trial, [self.min_step * self.eta**k for k in range(RUNGS)])
        if found is None:
            return False
        _, others, better = found
        return better >= max(1, (others + 1) // self.eta)


class SuccessiveHalving(Policy, type_name='pgjax.search.early_stopping.SuccessiveHalving'):
    """Successive halving over cohorts of a known size (Jamieson and Talwalkar, 2016, https://arxiv.org/abs/1502.07943).

    Trials 0 to n-1 are the first cohort, the next n the second, and so on. Of a cohort the best n / eta**(k+1), at
    least one, go on from rung k, at step `min_step * eta**k`.
    Departure: nobody waits for the others. A trial stops when so many of its cohort are known to be better that
    it cannot be among those; so whatever the order, every trial that the algorithm keeps is kept, and others may
    be kept that would have stopped had all come at once.

    Attributes:
      cohort: n.
      min_step: of the first rung.
      eta: the reduction factor.
      objectives: what is compared; the study's if there are none.
    """

    cohort: Annotated[int, Ge(2)]
    min_step: Annotated[int, Ge(1)] = 1
    eta: Annotated[int, Ge(2)] = 3
    objectives: tuple[Objective, ...] = ()

    def should_stop(self, curves: Curves, trial: int) -> bool:
        """Whether the places at the trial's rung are taken by better ones of its cohort."""
        mine = trial // self.cohort
        of_cohort = {i: curve for i, curve in curves.trials.items() if i // self.cohort == mine}
        known = dataclasses.replace(curves.by(self.objectives), trials=of_cohort)
        found = standing(known, trial, [self.min_step * self.eta**k for k in range(RUNGS)])
        if found is None:
            return False
        rung, _, better = found
        return better >= max(1, self.cohort // self.eta ** (rung + 1))
