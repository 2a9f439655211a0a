"""Population-based training: members that fall behind take over the weights and settings of those ahead."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import TrialStateError, show
from pgjax.search._controller import is_within
from pgjax.search._keys import require_key
from pgjax.search._settings import is_whole
from pgjax.search._single import require_single
from pgjax.search.multiobjective import best_first
from pgjax.search.population_training._explore import explore
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


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PBTState:
    """A population of P members in training.

    Attributes:
      dna: int32[P, C] and float32[P, F], their settings.
      members: the training states, each array with a leading axis P.
      round: int32[], the number of rounds so far.
      key: of all randomness; it does not change.
    """

    dna: DNA
    members: Any
    round: jax.Array
    key: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PBTRound:
    """What one round showed.

    Attributes:
      dna: int32[P, C] and float32[P, F], the settings that were trained with.
      metrics: float32[P] by name, after the round's last step.
      fitness: float32[P, M], maximized; -inf for members that failed.
      parents: int32[P], whose weights each slot went on with; its own where it kept them.
    """

    dna: DNA
    metrics: dict[str, jax.Array]
    fitness: jax.Array
    parents: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PBTResult:
    """A finished run: a pytree, so that runs can be vmapped over keys; `pg.unstack` takes them apart.

    Attributes:
      state: the population as it would go on.
      rounds: what each round showed, with a leading axis R.
      space: static.
    """

    state: PBTState
    rounds: PBTRound
    space: Space = dataclasses.field(metadata={'static': True})

    @property
    def best(self) -> Member | None:
        """The best member of the last round, with its trained state; None if all failed."""
        require_single(self.rounds.fitness, 3, 'The best member')
        last = jax.tree.map(lambda leaf: leaf[-1], self.rounds)
        slot = int(best_first(last.fitness)[0])  # never replaced, so its weights are still there
        return member_at(
            self.space,
            slot,
            id=slot,
            dna=last.dna,
            metrics=last.metrics,
            fitness=last.fitness,
            states=self.state.members,
        )

    def lineage(self, slot: int) -> np.ndarray:
        """int[R]: the slots in which the weights that stand in `slot` at the end were trained, round by round.

        Raises:
          TrialStateError: there is no such slot.
        """
        require_single(self.rounds.parents, 2, 'A lineage')
        size = self.rounds.parents.shape[1]
        if not is_whole(slot) or not 0 <= slot < size:
            raise TrialStateError(f'There is no slot {show(slot)} in a population of {size}.')
        slots = [slot]
        for parents in np.asarray(self.rounds.parents[:-1])[::-1]:
            slots.append(int(parents[slots[-1]]))
        return np.array(slots[::-1])

    def schedule(self, slot: int) -> DNA:
        """The settings along the lineage of a slot, [R, C] and [R, F]: the schedule that training discovered."""
        slots = self.lineage(slot)
        return jax.tree.map(lambda genes: np.asarray(genes)[np.arange(len(slots)), slots], self.rounds.dna)


class PBT(Object, type_name='pgjax.search.PBT'):
    """Population-based training (Jaderberg et al., 2017, https://arxiv.org/abs/1711.09846), in lockstep.

    In each round every member trains for `steps` steps. Then those in the worst part of the population, and those
    whose training failed, each *exploit* a member drawn from the best part: they take its weights by a gather, and
    its settings; and *explore*: the settings are perturbed (see `explore`). The defaults are the paper's truncation
    selection (one fifth) and its perturbation factors; a quarter of the perturbed settings are drawn anew, as Ray
    Tune does by default. Several objectives are ranked by fronts and crowding.

    Departures from the paper: all members are ready at the same time, so a run is a pure function of its key; a
    failed member is always replaced, and never a source.

    Attributes:
      population_size: P.
      steps: training steps in a round.
      rounds: R; a run trains each slot for R * steps steps.
      fraction: the part of the population that is replaced, and the part it is replaced from; at most a half.
      down: the factor of a perturbation downwards.
      up: the factor of a perturbation upwards.
      resample: the probability that a setting is drawn anew rather than multiplied.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> training = search.Training(
    ...   init=lambda exp, key: 4.0, objectives=[pg.minimize('loss')],
    ...   step=lambda x, exp, key: (x - exp.rate * x, {'loss': x**2}))
    >>> pbt = search.PBT(population_size=4, steps=2, rounds=3)
    >>> result = pbt.run(pg.Dict(rate=pg.floatv(0.0, 0.9)), training)
    >>> result.rounds.fitness.shape, result.best.metrics['loss'] < 4.0
    ((3, 4, 1), True)
    """

    population_size: int = 16
    steps: int = 10
    rounds: int = 10
    fraction: float = 0.2
    down: float = 0.8
    up: float = 1.2
    resample: float = 0.25

    def init(self, space: Any, training: Training, key: jax.Array) -> PBTState:
        """A random population before its first step.

        Raises:
          SpaceError: the space has structural decisions.
          ControllerError: a setting is out of range.
        """
        require_key(key, self)
        require_training(training)
        space = trainable_space(space)
        require(self.population_size >= 2, self, 'population_size', 'at least 2, for one to learn from the other')
        require(1 <= self.steps <= MOST_STEPS, self, 'steps', 'at least 1, and at most 2**31 - 1')
        most = MOST_STEPS // self.steps
        require(1 <= self.rounds <= most, self, 'rounds', f'at least 1, and at most {most}: an int32 counts the steps')
        require(is_within(self.fraction, 0, 0.5), self, 'fraction', 'between 0 and 0.5')
        require(is_within(self.resample, 0, 1), self, 'resample', 'between 0 and 1')
        for setting in ('down', 'up'):
            require(is_within(getattr(self, setting), 0), self, setting, 'a finite number of at least 0')
        dna_key, init_key = jax.random.split(key)
        dna = space.random(dna_key, (self.population_size,))
        members = training.start(space, dna, member_keys(init_key, np.arange(self.population_size)))
        return PBTState(dna, members, jnp.int32(0), key)

    def round(self, space: Any, training: Training, state: PBTState) -> tuple[PBTState, PBTRound]:
        """One round: train, exploit, explore. Jittable; stopping between rounds changes nothing.

        The state is a pytree, so a run that may be stopped keeps its leaves:

        >>> import jax, jax.numpy as jnp, pgjax as pg, pgjax.io, tempfile
        >>> from pgjax import search
        >>> space = pg.search_space(pg.Dict(rate=pg.floatv(0.0, 0.9)))
        >>> training = search.Training(
        ...   init=lambda exp, key: jnp.float32(4.0), objectives=[pg.minimize('loss')],
        ...   step=lambda x, exp, key: (x - exp.rate * x, {'loss': x**2}))
        >>> pbt = search.PBT(population_size=4, steps=2)
        >>> step = jax.jit(lambda state: pbt.round(space, training, state))
        >>> state, _ = step(pbt.init(space, training, jax.random.key(0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...   leaves, treedef = jax.tree.flatten(state)
        ...   digest = pgjax.io.save_arrays(f'{folder}/1', {str(i): leaf for i, leaf in enumerate(leaves)}, {})
        ...   arrays, _ = pgjax.io.load_arrays(f'{folder}/1', digest)
        >>> again = jax.tree.unflatten(treedef, [arrays[str(i)] for i in range(len(leaves))])
        >>> bool((step(again)[1].fitness == step(state)[1].fitness).all())
        True
        """
        require_training(training)
        space, size = trainable_space(space), self.population_size
        require_state(state, PBTState, self, lambda state: genes_of(state, space, size))
        round_key = jax.random.fold_in(jax.random.fold_in(state.key, TRAIN), state.round)
        train_key, exploit_key, explore_key = jax.random.split(round_key, 3)
        first = jnp.full(size, state.round * self.steps)
        keys = member_keys(train_key, np.arange(size))
        members, metrics, fitness = training.advance(space, state.dna, state.members, keys, first, self.steps)
        parents = self._exploit(exploit_key, fitness)
        replaced = parents != jnp.arange(size)
        perturbed = explore(space, explore_key, state.dna[parents], self.down, self.up, self.resample)
        dna = jax.tree.map(lambda new, old: jnp.where(replaced[:, None], new, old), perturbed, state.dna)
        members = jax.tree.map(lambda leaf: leaf[parents], members)
        shown = PBTRound(state.dna, metrics, fitness, parents)
        return dataclasses.replace(state, dna=dna, members=members, round=state.round + 1), shown

    def _exploit(self, key: jax.Array, fitness: jax.Array) -> jax.Array:
        """int32[P]: from whom each member goes on: truncation selection."""
        size = self.population_size
        order = best_first(fitness)
        place = jnp.zeros(size, jnp.int32).at[order].set(jnp.arange(size, dtype=jnp.int32))
        succeeded = jnp.isfinite(fitness).all(-1)
        cut = jnp.clip(jnp.ceil(self.fraction * size - 1e-4).astype(jnp.int32), 0, size // 2)
        sources = jnp.minimum(jnp.maximum(cut, 1), succeeded.sum())  # failed members come last in the order
        drawn = order[jax.random.randint(key, (size,), 0, jnp.maximum(sources, 1), jnp.int32)]
        behind = ((place >= size - cut) | ~succeeded) & (sources > 0) & (place >= sources)
        return jnp.where(behind, drawn, jnp.arange(size, dtype=jnp.int32))

    def compile(self, template: Any, training: Training) -> Callable[[jax.Array], PBTResult]:
        """A whole run as a pure function of a key, to be jitted, or vmapped over keys.

        Raises:
          SpaceError: the space has structural decisions.
        """
        require_training(training)
        space = trainable_space(template)

        def loop(key: jax.Array) -> PBTResult:
            start = self.init(space, training, key)
            state, rounds = jax.lax.scan(lambda state, _: self.round(space, training, state), start, length=self.rounds)
            return PBTResult(state, rounds, space)

        return loop

    def run(self, template: Any, training: Training, *, seed: int = 0) -> PBTResult:
        """Trains a population of the experiments that `template` can become, in one compiled program."""
        return run_to_end(jax.jit(self.compile(template, training)), key_of_seed(seed))
