"""Successive halving: many short trainings, and the best of them go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search._keys import require_key
from pgjax.search._single import require_single
from pgjax.search.multiobjective import best_first
from pgjax.search.population_training._member import Member, member_at
from pgjax.search.population_training._training import (
    MOST_STEPS,
    Training,
    key_of_seed,
    member_keys,
    require,
    require_training,
    run_to_end,
    trainable_space,
)
from pgjax.space import DNA, Space
from pgjax.symbolic import Object


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rung:
    """What the n members that reached one rung showed there.

    Attributes:
      members: int32[n], their numbers, the best of the rung before first.
      dna: int32[n, C] and float32[n, F].
      metrics: float32[n] by name.
      fitness: float32[n, M], maximized; -inf for members that failed.
      steps: how long each has been trained by then; static.
    """

    members: jax.Array
    dna: DNA
    metrics: dict[str, jax.Array]
    fitness: jax.Array
    steps: int = dataclasses.field(metadata={'static': True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class HalvingResult:
    """One run of halvings: a pytree, so that runs can be vmapped over keys; `pg.unstack` takes them apart.

    Attributes:
      rungs: in order.
      states: the training states of the last rung's members.
      space: static.
    """

    rungs: tuple[Rung, ...]
    states: Any
    space: Space = dataclasses.field(metadata={'static': True})

    @property
    def best(self) -> Member | None:
        """The best member of the last rung, with its trained state; None if all failed."""
        last = self.rungs[-1]
        require_single(last.fitness, 2, 'The best member')
        row = int(best_first(last.fitness)[0])
        return member_at(
            self.space,
            row,
            id=int(last.members[row]),
            dna=last.dna,
            metrics=last.metrics,
            fitness=last.fitness,
            states=self.states,
        )

    @property
    def steps(self) -> int:
        """All training steps of all members together."""
        done = [0, *(rung.steps for rung in self.rungs)]
        return sum(len(r.members) * (r.steps - before) for r, before in zip(self.rungs, done, strict=False))


class SuccessiveHalving(Object, type_name='pgjax.search.SuccessiveHalving'):
    """Successive halving (Jamieson and Talwalkar, 2016, https://arxiv.org/abs/1502.07943), Algorithm 1.

    `population_size` random experiments are trained for `min_steps` steps; the best one in `eta` of them train on,
    each to `eta` times as many steps, and so on to `max_steps`. Members that stay go on with their own weights: how
    a member trains does not depend on the halvings. Members that failed rank last. Several objectives are ranked by
    fronts and crowding.

    Each rung is a population of its own size in the one compiled program, so that dropped members cost nothing.

    Attributes:
      population_size: members of the first rung.
      min_steps: training steps of the first rung.
      max_steps: of the last; there are as many rungs as fit.
      eta: the factor between rungs; Li et al. (2018) find 3 or 4 best.

    >>> search_of = SuccessiveHalving(population_size=27, min_steps=1, max_steps=27)
    >>> search_of.rungs()
    [(27, 1), (9, 3), (3, 9), (1, 27)]
    """

    population_size: int = 27
    min_steps: int = 1
    max_steps: int = 27
    eta: int = 3

    def rungs(self) -> list[tuple[int, int]]:
        """The members and total steps of each rung.

        Raises:
          ControllerError: a setting is out of range.
        """
        require(self.population_size >= 1, self, 'population_size', 'at least 1')
        require(self.eta >= 2, self, 'eta', 'at least 2')
        require(self.min_steps >= 1, self, 'min_steps', 'at least 1')
        require(self.max_steps >= self.min_steps, self, 'max_steps', f'at least min_steps {self.min_steps}')
        made = []
        members, steps = self.population_size, self.min_steps
        while members and steps <= self.max_steps:
            made.append((members, steps))
            members, steps = members // self.eta, steps * self.eta
        require(made[-1][1] <= MOST_STEPS, self, 'max_steps', 'no rung may end beyond 2**31 - 1 steps')
        return made

    def compile(self, template: Any, training: Training) -> Callable[[jax.Array], HalvingResult]:
        """A whole run as a pure function of a key, to be jitted, or vmapped over keys.

        Raises:
          SpaceError: the space has structural decisions.
          ControllerError: a setting is out of range.
        """
        require_training(training)
        space, plan = trainable_space(template), self.rungs()
        return lambda key: halve(space, training, plan, key)

    def run(self, template: Any, training: Training, *, seed: int = 0) -> HalvingResult:
        """Trains the experiments that `template` can become, in one compiled program."""
        return run_to_end(jax.jit(self.compile(template, training)), key_of_seed(seed))


def halve(space: Space, training: Training, plan: Sequence[tuple[int, int]], key: jax.Array) -> HalvingResult:
    """One bracket: a random population, trained from rung to rung. Jittable.

    Args:
      space: without structural decisions.
      training: how one member is trained.
      plan: the members and total steps of each rung.
      key: of all randomness.
    """
    require_key(key, 'SuccessiveHalving')
    dna_key, init_key, train_key = jax.random.split(key, 3)
    members = jnp.arange(plan[0][0], dtype=jnp.int32)
    dna = space.random(dna_key, (len(members),))
    states = training.start(space, dna, member_keys(init_key, members))
    shown, done, fitness = [], 0, None
    for number, steps in plan:
        if fitness is not None:
            kept = best_first(fitness)[:number]
            members, dna, states = jax.tree.map(lambda leaf, kept=kept: leaf[kept], (members, dna, states))
        keys = member_keys(train_key, members)
        first = jnp.full(number, done, jnp.int32)
        states, metrics, fitness = training.advance(space, dna, states, keys, first, np.int32(steps - done))
        shown.append(Rung(members, dna, metrics, fitness, steps))
        done = steps
    return HalvingResult(tuple(shown), states, space)
