"""Hyperband: successive halving over several trade-offs between many short trainings and few long ones."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax

from pgjax.search.multiobjective import best_first
from pgjax.search.population_training._halving import HalvingResult, halve
from pgjax.search.population_training._member import Member
from pgjax.search.population_training._training import (
    MOST_STEPS,
    Training,
    key_of_seed,
    require,
    require_training,
    run_to_end,
    trainable_space,
)
from pgjax.symbolic import Object


@dataclasses.dataclass(frozen=True)
class HyperbandResult:
    """A finished run.

    Attributes:
      brackets: from the one with the most members to the one that trains all of its members to the end.
    """

    brackets: tuple[HalvingResult, ...]

    @property
    def best(self) -> Member | None:
        """The best member over all brackets, with its trained state; None if all failed."""
        found = [m for m in (bracket.best for bracket in self.brackets) if m is not None]
        return found[int(best_first([m.fitness for m in found])[0])] if found else None

    @property
    def steps(self) -> int:
        """All training steps of all members together."""
        return sum(bracket.steps for bracket in self.brackets)


class Hyperband(Object, type_name='pgjax.search.Hyperband'):
    """Hyperband (Li et al., 2018, Algorithm 1, https://arxiv.org/abs/1603.06560).

    Each bracket is one run of successive halving from fresh random experiments, compiled as one program; all
    brackets have about the same budget.

    Attributes:
      max_steps: R, the training steps of those who reach the end of a bracket.
      eta: the factor between rungs.

    >>> for bracket in Hyperband(max_steps=9).brackets(): print(bracket)
    [(9, 1), (3, 3), (1, 9)]
    [(5, 3), (1, 9)]
    [(3, 9)]
    """

    max_steps: int = 81
    eta: int = 3

    def brackets(self) -> list[list[tuple[int, int]]]:
        """The members and total steps of each rung of each bracket.

        Raises:
          ControllerError: a setting is out of range.
        """
        require(1 <= self.max_steps <= MOST_STEPS, self, 'max_steps', 'at least 1, and at most 2**31 - 1')
        require(self.eta >= 2, self, 'eta', 'at least 2')
        most = next(s for s in range(self.max_steps) if self.eta ** (s + 1) > self.max_steps)
        return [self._bracket(s, most) for s in range(most, -1, -1)]

    def _bracket(self, s: int, most: int) -> list[tuple[int, int]]:
        members = math.ceil((most + 1) * self.eta**s / (s + 1))
        return [(members // self.eta**i, self.max_steps // self.eta ** (s - i)) for i in range(s + 1)]

    def run(self, template: Any, training: Training, *, seed: int = 0) -> HyperbandResult:
        """Trains the experiments that `template` can become, one compiled program a bracket.

        Raises:
          SpaceError: the space has structural decisions.
          ControllerError: a setting is out of range.
        """
        require_training(training)
        space, key = trainable_space(template), key_of_seed(seed)
        run = jax.jit(halve, static_argnums=(0, 1, 2))
        loops = [functools.partial(run, space, training, tuple(plan)) for plan in self.brackets()]
        return HyperbandResult(tuple(run_to_end(loop, jax.random.fold_in(key, s)) for s, loop in enumerate(loops)))
