"""ASHA: successive halving without waiting for a rung to fill."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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
    TRAIN,
    Training,
    genes_of,
    key_of_seed,
    member_keys,
    require,
    require_state,
    require_training,
    run_to_end,
    trainable_space,
)
from pgjax.space import DNA, Space
from pgjax.symbolic import Object

IDLE = -1  # the trial of a worker that has nothing to do


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ASHAState:
    """N experiments, those that train now, and what each showed at each of K rungs.

    Attributes:
      dna: int32[N, C] and float32[N, F], all experiments that may ever start.
      members: their training states, each array with a leading axis N.
      done: int32[N], the training steps of each so far.
      metrics: float32[N] by name, the latest.
      fitness: float32[K, N, M], at each rung; -inf where a member failed or has not arrived.
      arrived: bool[K, N], who has reached the end of a rung.
      promoted: bool[K, N], who has gone on from it.
      failed: bool[N], whose latest steps failed: what it showed before, it can no more.
      trial: int32[W], what each worker trains; -1 for nothing.
      rung: int32[W], the rung at the end of which it will report.
      started: int32[], how many experiments have been started.
      key: of all randomness; it does not change.
    """

    dna: DNA
    members: Any
    done: jax.Array
    metrics: dict[str, jax.Array]
    fitness: jax.Array
    arrived: jax.Array
    promoted: jax.Array
    failed: jax.Array
    trial: jax.Array
    rung: jax.Array
    started: jax.Array
    key: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ASHAResult:
    """A finished run: a pytree, so that runs can be vmapped over keys; `pg.unstack` takes them apart."""

    state: ASHAState
    space: Space = dataclasses.field(metadata={'static': True})

    @property
    def best(self) -> Member | None:
        """The best member of the highest rung where one succeeded that has not failed since; None if there is none.

        Its fitness is what it showed at the rung; its metrics and its state are the latest.
        """
        require_single(self.state.fitness, 3, 'The best member')
        shown = jnp.where(self.state.failed[:, None], -jnp.inf, self.state.fitness)
        succeeded = np.isfinite(np.asarray(shown)).all(-1)
        if not succeeded.any():
            return None
        fitness = shown[int(np.flatnonzero(succeeded.any(-1))[-1])]
        row = int(best_first(fitness)[0])
        return member_at(
            self.space,
            row,
            id=row,
            dna=self.state.dna,
            metrics=self.state.metrics,
            fitness=fitness,
            states=self.state.members,
        )


class ASHA(Object, type_name='pgjax.search.ASHA'):
    """Asynchronous successive halving (Li et al., 2020, Algorithm 2, https://arxiv.org/abs/1810.05934).

    W workers train in lockstep, `min_steps` steps a tick. A worker whose member reaches the end of its rung at once
    takes the next job: the best member, of the highest rung possible, that is among the best one in `eta` of those
    who arrived there and has not been promoted; else a new random experiment. So nobody waits for a rung to fill.
    Several objectives are ranked by fronts and crowding; members that failed are never promoted.

    Departures from the paper: at most `max_trials` experiments are started, since all of their states are kept, and
    a worker that finds no job idles; `ticks` ends the run. Workers that finish in the same tick take jobs in order.

    Attributes:
      workers: W, members that train at the same time.
      max_trials: N.
      min_steps: training steps to the end of the first rung, and of a tick.
      max_steps: to the end of the last; there are as many rungs as fit.
      eta: the factor between rungs.
      ticks: how long to run.

    >>> ASHA(min_steps=2, max_steps=60, eta=3).milestones()
    [2, 6, 18, 54]
    """

    workers: int = 8
    max_trials: int = 64
    min_steps: int = 1
    max_steps: int = 27
    eta: int = 3
    ticks: int = 64

    def milestones(self) -> list[int]:
        """The total steps at the end of each of the K rungs.

        Raises:
          ControllerError: a setting is out of range.
        """
        require(self.workers >= 1, self, 'workers', 'at least 1')
        require(self.max_trials >= self.workers, self, 'max_trials', f'at least workers {self.workers}')
        require(self.min_steps >= 1, self, 'min_steps', 'at least 1')
        require(self.max_steps >= self.min_steps, self, 'max_steps', f'at least min_steps {self.min_steps}')
        require(self.eta >= 2, self, 'eta', 'at least 2')
        require(self.ticks >= 0, self, 'ticks', 'at least 0')
        made = [self.min_steps]
        while made[-1] * self.eta <= self.max_steps:
            made.append(made[-1] * self.eta)
        require(made[-1] <= MOST_STEPS, self, 'max_steps', 'no rung may end beyond 2**31 - 1 steps')
        return made

    def init(self, space: Any, training: Training, key: jax.Array) -> ASHAState:
        """Every worker with an experiment that has not begun.

        Raises:
          SpaceError: the space has structural decisions.
          ControllerError: a setting is out of range.
        """
        require_key(key, self)
        require_training(training)
        space, rungs, size = trainable_space(space), len(self.milestones()), self.max_trials
        dna_key, init_key = jax.random.split(key)
        dna = space.random(dna_key, (size,))
        keys = member_keys(init_key, np.arange(size))
        members = training.start(space, dna, keys)
        advance = lambda: training.advance(space, dna, members, keys, jnp.zeros(size, jnp.int32), 1)  # noqa: E731
        _, metrics, fitness = jax.eval_shape(advance)
        return ASHAState(
            dna=dna,
            members=members,
            done=jnp.zeros(size, jnp.int32),
            metrics={name: jnp.full(size, jnp.nan, jnp.float32) for name in metrics},
            fitness=jnp.full((rungs, *fitness.shape), -jnp.inf, fitness.dtype),
            arrived=jnp.zeros((rungs, size), bool),
            promoted=jnp.zeros((rungs, size), bool),
            failed=jnp.zeros(size, bool),
            trial=jnp.arange(self.workers, dtype=jnp.int32),
            rung=jnp.zeros(self.workers, jnp.int32),
            started=jnp.int32(self.workers),
            key=key,
        )

    def tick(self, space: Any, training: Training, state: ASHAState) -> ASHAState:
        """Trains every busy worker's member for `min_steps` steps; those who finish a rung take their next jobs.

        Jittable; stopping between ticks changes nothing. How to keep a state: see `PBT.round`.
        """
        require_training(training)
        space, milestones = trainable_space(space), jnp.array(self.milestones())
        require_state(state, ASHAState, self, lambda state: self._shapes(state, space))
        busy = state.trial != IDLE
        at = jnp.maximum(state.trial, 0)
        dna, mine, first = jax.tree.map(lambda leaf: leaf[at], (state.dna, state.members, state.done))
        keys = member_keys(jax.random.fold_in(state.key, TRAIN), at)
        mine, metrics, fitness = training.advance(space, dna, mine, keys, first, np.int32(self.min_steps))
        row = jnp.where(busy, state.trial, self.max_trials)  # what the idle write falls off the end
        done = first + self.min_steps
        members = jax.tree.map(lambda old, new: old.at[row].set(new, mode='drop'), state.members, mine)
        latest = {name: state.metrics[name].at[row].set(metrics[name], mode='drop') for name in metrics}
        finished = busy & (done >= milestones[state.rung])
        arrived_row = jnp.where(finished, state.trial, self.max_trials)
        state = dataclasses.replace(
            state,
            members=members,
            metrics=latest,
            done=state.done.at[row].set(done, mode='drop'),
            fitness=state.fitness.at[state.rung, arrived_row].set(fitness, mode='drop'),
            arrived=state.arrived.at[state.rung, arrived_row].set(True, mode='drop'),
            failed=state.failed.at[row].set(~jnp.isfinite(fitness).all(-1), mode='drop'),
        )
        free = finished | ~busy
        return jax.lax.fori_loop(
            0,
            self.workers,
            lambda w, state: jax.lax.cond(free[w], lambda s: self._take_job(s, w), lambda s: s, state),
            state,
        )

    def _shapes(self, state: ASHAState, space: Space) -> dict[str, Any]:
        return {
            **genes_of(state, space, self.max_trials),
            'workers': (state.trial.shape, (self.workers,)),
            'rungs and trials': (state.arrived.shape, (len(self.milestones()), self.max_trials)),
        }

    def _take_job(self, state: ASHAState, worker: Any) -> ASHAState:
        """The paper's `get_job`, for one worker."""
        ready = jax.vmap(self._promotable)(state.fitness[:-1], state.arrived[:-1], state.promoted[:-1])
        rungs = jnp.arange(len(ready))
        found = (ready != IDLE).any() if len(ready) else jnp.bool(False)
        rung = jnp.argmax(jnp.where(ready != IDLE, rungs, -1)) if len(ready) else jnp.int32(0)
        fresh = state.started < self.max_trials
        new = jnp.where(fresh, state.started, IDLE)
        trial = jnp.where(found, ready[rung], new) if len(ready) else new
        return dataclasses.replace(
            state,
            trial=state.trial.at[worker].set(trial.astype(jnp.int32)),
            rung=state.rung.at[worker].set(jnp.where(found, rung + 1, 0).astype(jnp.int32)),
            promoted=state.promoted.at[jnp.where(found, rung, len(state.promoted)), trial].set(True, mode='drop'),
            started=state.started + (~found & fresh),
        )

    def _promotable(self, fitness: jax.Array, arrived: jax.Array, promoted: jax.Array) -> jax.Array:
        """int32[], the best member of one rung that may go on; -1 if none."""
        order = best_first(fitness)  # those who have not arrived are -inf, and last
        among_best = jnp.arange(len(order)) < arrived.sum() // self.eta
        may = among_best & ~promoted[order] & jnp.isfinite(fitness[order]).all(-1)
        return jnp.where(may.any(), order[jnp.argmax(may)], IDLE)

    def compile(self, template: Any, training: Training) -> Callable[[jax.Array], ASHAResult]:
        """A whole run as a pure function of a key, to be jitted, or vmapped over keys.

        Raises:
          SpaceError: the space has structural decisions.
          ControllerError: a setting is out of range.
        """
        require_training(training)
        space = trainable_space(template)
        self.milestones()

        def loop(key: jax.Array) -> ASHAResult:
            start = self.init(space, training, key)
            state = jax.lax.fori_loop(0, self.ticks, lambda _, state: self.tick(space, training, state), start)
            return ASHAResult(state, space)

        return loop

    def run(self, template: Any, training: Training, *, seed: int = 0) -> ASHAResult:
        """Trains the experiments that `template` can become, in one compiled program."""
        return run_to_end(jax.jit(self.compile(template, training)), key_of_seed(seed))
