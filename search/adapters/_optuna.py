"""Samplers of Optuna, asked and told on the host."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError, MissingExtraError, missing_extra, show
from pgjax.search._controller import Controller, State, require, sanitize
from pgjax.search._keys import require_key
from pgjax.space import DNA, Decision, Space
from pgjax.symbolic import field

if TYPE_CHECKING:
    import optuna as library

SAMPLERS = ('TPESampler', 'GPSampler', 'NSGAIISampler', 'NSGAIIISampler', 'RandomSampler')
INSTEAD = {
    'CmaEsSampler': "it keeps pickles in its trials; use adapters.evosax('CMA_ES')",
    'GridSampler': 'use search.Sweep(grid=...)',
    'BruteForceSampler': 'use search.Sweep()',
    'QMCSampler': 'it counts its trials elsewhere than in them',
    'PartialFixedSampler': 'write the fixed values into the template',
}
NO_GENERATION = -1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OptunaState:
    """The last N points told, the oldest overwritten first.

    Attributes:
      dna: int32[N, C] and float32[N, F].
      fitness: float32[N, M]; -inf for failed ones.
      generation: int32[N], the generation that a genetic sampler noted on each; -1 for none.
      asked: int32[B], the same of the last proposals.
      told: int32[], how many were told.
    """

    dna: DNA
    fitness: Any
    generation: Any
    asked: Any
    told: Any


class Optuna(Controller, type_name='pgjax.search.adapters.Optuna'):
    """A sampler of Optuna, on the host; made by `adapters.optuna`.

    `search.compile` and controllers that are compiled around others refuse it; `search.Prior` does not.

    Each `ask` builds an Optuna study of the points told so far and asks a sampler with a seed from the key: so its
    proposals depend on the state and the key alone, and a study goes on from a checkpoint as if it had not stopped.
    That costs about 0.4 ms for each point remembered, besides the sampler's own work.

    A decision is a parameter of the name `decision.id`, suggested where the decisions above it call for it. Choices
    are categorical; floats are uniform on their own scale, and so are ints, but for those on a log scale, which are
    Optuna's. A sampler knows nothing of distinct or sorted groups: what breaks their rules is repaired, and the
    sampler is told of what was evaluated.

    Attributes:
      sampler: its name in `optuna.samplers`: TPESampler, GPSampler, NSGAIISampler, NSGAIIISampler or RandomSampler.
      batch_size: B. Within a batch Optuna knows of the points proposed, and not of their values.
      memory: N; for a genetic sampler at least its population, for which points that failed do not count.
      options: arguments of its constructor.
    """

    sampler: str = 'TPESampler'
    batch_size: int = 1
    memory: int = 1000
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def traceable(self) -> bool:
        """Optuna runs on the host."""
        return False

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> OptunaState:
        """No points.

        Raises:
          ControllerError: there is no such sampler, it does not take the options, or it cannot be resumed.
          MissingExtraError: Optuna is not installed, or what the sampler needs.
        """
        require_key(key, self)
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.memory >= 1, self, 'memory', 'at least 1')
        self._check_sampler()
        number = self.memory
        return OptunaState(
            dna=DNA(np.zeros((number, space.num_choices), np.int32), np.zeros((number, space.num_floats), np.float32)),
            fitness=np.full((number, num_objectives), -np.inf, np.float32),
            generation=np.full(number, NO_GENERATION, np.int32),
            asked=np.full(self.batch_size, NO_GENERATION, np.int32),
            told=np.zeros((), np.int32),
        )

    def _check_sampler(self) -> None:
        if self.options.get('constraints_func') is not None:
            raise ControllerError(
                f'{self.sampler}: constraints_func takes trials of Optuna, which know nothing of your metrics. Give '
                'the study objectives=search.constrained(...) instead.'
            )
        with _quiet():
            sampler = self._sampler(0)
        population = getattr(sampler, 'population_size', None)
        if population is not None:
            allowed = f'at least the population_size {population} of {self.sampler}, or it would have no children'
            require(self.memory >= population, self, 'memory', allowed)
        if self.sampler == 'GPSampler' and importlib.util.find_spec('torch') is None:
            raise MissingExtraError('GPSampler of Optuna needs torch, which is not installed. Type: pip install torch.')

    def _sampler(self, seed: int) -> library.samplers.BaseSampler:
        if self.sampler in INSTEAD:
            raise ControllerError(f'Optuna.sampler: no study can go on with {self.sampler}: {INSTEAD[self.sampler]}.')
        if self.sampler not in SAMPLERS:
            raise ControllerError(f'Optuna.sampler must be one of {", ".join(SAMPLERS)}, got {show(self.sampler)}.')
        try:
            return getattr(_optuna().samplers, self.sampler)(seed=seed, **self.options)
        except (TypeError, ValueError) as error:
            raise ControllerError(f'{self.sampler} does not take the options {show(self.options)}: {error}') from error

    def ask(self, space: Space, state: OptunaState, key: jax.Array) -> tuple[DNA, OptunaState]:
        """B suggestions."""
        require_key(key, self)
        seed = int(jax.random.bits(key, dtype=jnp.uint32))
        oldest = self._oldest_generation(state)
        with _quiet():
            study = self._study(space, state, seed, oldest)
            points = [_suggest(space, study.ask()) for _ in range(self.batch_size)]
            trials = study.get_trials(deepcopy=False)[-self.batch_size :]
        raw = DNA(np.stack([p.choices for p in points]), np.stack([p.floats for p in points]))
        generations = np.array([_generation(trial.system_attrs) for trial in trials], np.int32)
        asked = np.where(generations == NO_GENERATION, NO_GENERATION, generations + oldest).astype(np.int32)
        return space.repair(raw), dataclasses.replace(state, asked=asked)

    def _oldest_generation(self, state: OptunaState) -> int:
        """The first generation of which there are still parents; as if there had been none before.

        Optuna goes back to the first one, and finds no parents where those of a later one have been forgotten.
        """
        succeeded = np.isfinite(np.asarray(state.fitness)).all(-1) & (np.asarray(state.generation) != NO_GENERATION)
        generations, members = np.unique(np.asarray(state.generation)[succeeded], return_counts=True)
        whole = generations[members >= 2]
        return int(whole[0] if len(whole) else generations.max(initial=0))

    def _study(self, space: Space, state: OptunaState, seed: int, oldest: int) -> library.Study:
        """An Optuna study of the points told, in their order; their generations count from `oldest` on."""
        optuna = _optuna()
        sampler: Any = self._sampler(seed)
        fitness = np.asarray(state.fitness, float)
        study = optuna.create_study(directions=['maximize'] * fitness.shape[1], sampler=sampler)
        dna, told = jax.tree.map(np.asarray, state.dna), int(state.told)
        complete, failed = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL
        for number in range(max(0, told - self.memory), told):
            row = number % self.memory
            params = _params(space, dna[row])
            succeeded = np.isfinite(fitness[row]).all()
            generation = int(state.generation[row]) - oldest
            noted = {} if generation < 0 else {f'{self.sampler}:generation': generation}
            study.add_trial(
                optuna.trial.create_trial(
                    state=complete if succeeded else failed,
                    values=fitness[row].tolist() if succeeded else None,
                    params=params,
                    distributions={name: _distributions(space)[name] for name in params},
                    system_attrs=noted,
                )
            )
        newest = max((_generation(trial.system_attrs) for trial in study.get_trials(deepcopy=False)), default=0)
        for generation in range(1, newest + 1):  # Optuna would call itself for each of them, up to Python's limit
            sampler.get_parent_population(study, generation)
        return study

    def tell(self, space: Space, state: OptunaState, dna: DNA, fitness: Any) -> State:
        """Remembers points; those of the last `ask` come in its order."""
        del space
        fitness = np.asarray(sanitize(fitness))
        told = int(state.told)
        rows = (told + np.arange(len(fitness)))[-self.memory :] % self.memory
        asked = np.resize(np.asarray(state.asked), len(fitness))

        def put(old: Any, new: Any) -> np.ndarray:
            made = np.array(old)
            made[rows] = np.asarray(new)[-self.memory :]
            return made

        return OptunaState(
            dna=jax.tree.map(put, state.dna, dna),
            fitness=put(state.fitness, fitness),
            generation=put(state.generation, asked),
            asked=state.asked,
            told=np.array(told + len(fitness), np.int32),
        )


def optuna(sampler: str | type = 'TPESampler', batch_size: int = 1, *, memory: int = 1000, **options: Any) -> Optuna:
    """A controller of an Optuna sampler, for any space.

    Args:
      sampler: a class of `optuna.samplers`, or its name.
      batch_size: how many points are asked for before any of them is told.
      memory: how many points are remembered.
      **options: arguments of its constructor; the seed comes from the study.

    >>> from pgjax.search import adapters
    >>> adapters.optuna('TPESampler', n_startup_trials=5).options
    {'n_startup_trials': 5}
    """
    if not isinstance(sampler, (str, type)):
        raise ControllerError(
            f'adapters.optuna takes a sampler class or its name, got {show(sampler)}: studies keep settings, and make '
            'samplers of them. Pass its arguments here.'
        )
    name = sampler if isinstance(sampler, str) else sampler.__name__
    return Optuna(sampler=name, batch_size=batch_size, memory=memory, options=options)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise missing_extra('search.adapters.optuna', 'optuna', 'optuna') from error
    return optuna


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's messages on the studies made here, and its notes on what is experimental."""
    logging = _optuna().logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', _optuna().exceptions.ExperimentalWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)


def _generation(attributes: Mapping[str, Any]) -> int:
    return next((value for name, value in attributes.items() if name.endswith(':generation')), NO_GENERATION)


@functools.lru_cache(maxsize=64)
def _parents_first(space: Space) -> tuple[Decision, ...]:
    """The decisions in an order in which those that others depend on come before them."""
    by_column = {d.column: d for d in space.decisions if d.kind != 'float'}
    ordered: dict[str, Decision] = {}

    def add(decision: Decision) -> None:
        for column, _ in decision.conditions:
            if by_column[column].id not in ordered:
                add(by_column[column])
        ordered.setdefault(decision.id, decision)

    for decision in space.decisions:
        add(decision)
    return tuple(ordered.values())


def _is_log(decision: Decision) -> bool:
    return decision.kind == 'int' and decision.scale == 'log' and decision.step == 1 and isinstance(decision.low, int)


@functools.lru_cache(maxsize=64)
def _distributions(space: Space) -> dict[str, Any]:
    """Optuna's distribution of each decision, by its id."""
    module = _optuna().distributions

    def make(decision: Decision) -> Any:
        if decision.kind == 'float':
            return module.FloatDistribution(0.0, 1.0)
        if decision.kind == 'choice':
            return module.CategoricalDistribution(tuple(range(decision.arity or 1)))
        if _is_log(decision):
            return module.IntDistribution(decision.low, decision.high, log=True)
        return module.IntDistribution(0, (decision.arity or 1) - 1)

    return {d.id: make(d) for d in space.decisions}


def _params(space: Space, point: DNA) -> dict[str, Any]:
    """The parameters of one canonical point, of the decisions that it uses."""
    used, params = space.active(point), {}
    for decision in _parents_first(space):
        if decision.kind == 'float':
            if used[space.num_choices + decision.column]:
                params[decision.id] = float(point.floats[decision.column])
        elif used[decision.column]:
            params[decision.id] = int(point.choices[decision.column]) + (int(decision.low) if _is_log(decision) else 0)
    return params


def _suggest(space: Space, trial: library.Trial) -> DNA:
    """One point, decision by decision; groups may break their rules."""
    dna = DNA(np.zeros(space.num_choices, np.int32), np.zeros(space.num_floats, np.float32))
    used: set[int] = set()  # choice columns
    for decision in _parents_first(space):
        chosen = [column in used and dna.choices[column] == index for column, index in decision.conditions]
        if chosen and not any(chosen):
            continue
        if decision.kind == 'float':
            dna.floats[decision.column] = trial.suggest_float(decision.id, 0.0, 1.0)
            continue
        used.add(decision.column)
        if decision.kind == 'choice':
            gene = trial.suggest_categorical(decision.id, tuple(range(decision.arity or 1)))
        elif _is_log(decision):
            gene = trial.suggest_int(decision.id, int(decision.low), int(decision.high), log=True) - int(decision.low)
        else:
            gene = trial.suggest_int(decision.id, 0, (decision.arity or 1) - 1)
        dna.choices[decision.column] = gene
    return dna
