"""Evolution strategies of evosax over float genes: compiled like any other controller."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError, did_you_mean, missing_extra, show
from pgjax.search._controller import Controller, State, require, require_single_objective, sanitize
from pgjax.search._keys import require_key
from pgjax.space import DNA, Space
from pgjax.space._threefry import IMPL, uniform
from pgjax.symbolic import Dict, field

FIRST_STD = 0.25  # of the unit interval, where a strategy has a first standard deviation and none is given


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EvosaxState:
    """The state of a strategy, and its last proposals.

    Attributes:
      strategy: of evosax.
      asked: float32[B, F], what the strategy proposed, also outside of the unit interval.
      key: uint32[2], for the randomness of `tell`.
    """

    strategy: Any
    asked: jax.Array
    key: jax.Array


class Evosax(Controller, type_name='pgjax.search.adapters.Evosax'):
    """A strategy of evosax over the unit intervals of floats; made by `adapters.evosax`.

    Proposals outside of the unit interval are evaluated at its end; the strategy is told of what it proposed. A
    generation of evosax is a batch: where fewer points are told, the others count as the worst of those; more are
    told batch by batch. Failed points count as the worst that succeeded; of a batch that failed nothing is learned.

    Attributes:
      strategy: its name in `evosax.algorithms`.
      batch_size: B, its population.
      options: arguments of its constructor.
      params: values of its parameters in place of the defaults; floats, so that they may be searched over.
    """

    strategy: str = 'CMA_ES'
    batch_size: int = 16
    options: dict[str, Any] = field(default_factory=dict, static=True)
    params: dict[str, Any] = field(default_factory=dict)

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> EvosaxState:
        """A strategy that begins in the middle of the space, or with a random population.

        Raises:
          ControllerError: there are decisions besides floats, or no such strategy.
          MissingExtraError: evosax is not installed.
        """
        require_key(key, self)
        require_single_objective(self, num_objectives)
        require(self.batch_size >= 2, self, 'batch_size', 'at least 2')
        others = [d.label for d in space.decisions if d.kind != 'float' and d.arity != 1]
        if others or not space.num_floats:
            raise ControllerError(
                f'Evosax searches floats alone; the space has other decisions {show(others)}. Use a controller for '
                'mixed spaces, or let Evosax have a part of it (space.partition).'
            )
        strategy = self._made(space)
        first_key, random_key, next_key = jax.random.split(key, 3)
        population = uniform(random_key, (self.batch_size, space.num_floats))
        params = self._params(strategy)
        if hasattr(strategy, 'get_mean'):
            made = strategy.init(first_key, jnp.full(space.num_floats, 0.5), params)
        else:
            made = strategy.init(first_key, population, jnp.full(self.batch_size, jnp.inf), params)
        return EvosaxState(_strong(made), population, _key_data(next_key))

    def _made(self, space: Space) -> Any:
        options: Any = self.options  # a pg.Dict: it has a hash
        return _strategy(self.strategy, options, self.batch_size, space.num_floats)

    def _params(self, strategy: Any) -> Any:
        params = strategy.default_params
        given = dict(self.params)
        if hasattr(params, 'std_init'):
            given = {'std_init': FIRST_STD, **given}
        unknown = [name for name in given if not hasattr(params, name)]
        if unknown:
            known = [f.name for f in dataclasses.fields(params)]
            raise ControllerError(f'Evosax.params: {self.strategy} has no parameter {unknown[0]!r}; it has {known}.')
        for parameter, value in given.items():
            if not isinstance(value, (int, float, np.number, np.ndarray, jax.Array)):
                raise ControllerError(f'Evosax.params[{parameter!r}] must be a number or an array, got {show(value)}.')
        return params.replace(**given)

    def ask(self, space: Space, state: EvosaxState, key: jax.Array) -> tuple[DNA, EvosaxState]:
        """A population of the strategy."""
        require_key(key, self)
        ask_key, next_key = jax.random.split(key)
        strategy = self._made(space)
        asked, made = strategy.ask(ask_key, state.strategy, self._params(strategy))
        return _within(space, asked), EvosaxState(_strong(made), asked, _key_data(next_key))

    def tell(self, space: Space, state: EvosaxState, dna: DNA, fitness: Any) -> State:
        """The strategy learns of a generation."""
        fitness = sanitize(fitness)[:, 0]
        strategy, size = self._made(space), self.batch_size
        params, made = self._params(strategy), state.strategy
        for number, begin in enumerate(range(0, len(fitness), size)):
            told = jnp.asarray(dna.floats)[begin : begin + size]
            missing = size - len(told)
            floats = jnp.concatenate([told, state.asked[size - missing :]])
            proposed = floats == _within(space, state.asked).floats
            loss = -jnp.pad(fitness[begin : begin + size], (0, missing), constant_values=-jnp.inf)
            key = jax.random.fold_in(jax.random.wrap_key_data(state.key, impl=IMPL), number)
            population = jnp.where(proposed, state.asked, floats)
            after, _ = strategy.tell(key, population, _finite(loss), made, params)
            # A population keeps its best: whatever failed points counted as, it might never find anything better.
            learns = jnp.isfinite(loss).any()
            made = jax.tree.map(lambda new, old, learns=learns: jnp.where(learns, new, old), after, made)
        return dataclasses.replace(state, strategy=_strong(made))


def evosax(strategy: str | type = 'CMA_ES', batch_size: int = 16, *, options: Any = None, **params: Any) -> Evosax:
    """A controller of an evosax strategy, for spaces of floats.

    Args:
      strategy: one of `evosax.algorithms`, or its name: 'CMA_ES', 'Open_ES', 'DifferentialEvolution', ...
      batch_size: its population.
      options: arguments of its constructor by name.
      **params: its parameters, where the defaults will not do.

    >>> from pgjax.search import adapters
    >>> adapters.evosax('CMA_ES', batch_size=8, std_init=0.1).params
    {'std_init': 0.1}
    """
    if not isinstance(strategy, (str, type)):
        raise ControllerError(f'adapters.evosax takes a strategy class or its name, got {show(strategy)}.')
    name = strategy if isinstance(strategy, str) else strategy.__name__
    return Evosax(strategy=name, batch_size=batch_size, options=dict(options or {}), params=params)


@functools.lru_cache(maxsize=64)
def _strategy(name: str, options: Dict, size: int, width: int) -> Any:
    """One object for equal settings: evosax compiles its methods anew for each."""
    try:
        from evosax.algorithms import algorithms
    except ImportError as error:
        raise missing_extra('search.adapters.evosax', 'evosax', 'evosax') from error
    if name not in algorithms:
        near = did_you_mean(name, algorithms)
        raise ControllerError(f'evosax has no strategy {name!r}; it has {show(sorted(algorithms))}.{near}')
    with jax.ensure_compile_time_eval():
        try:
            return algorithms[name](population_size=size, solution=jnp.zeros(width), **options)
        except (TypeError, ValueError) as error:
            raise ControllerError(f'{name} does not take the options {show(dict(options))}: {error}') from error


def _within(space: Space, asked: jax.Array) -> DNA:
    choices = jnp.zeros((len(asked), space.num_choices), jnp.int32)
    return space.canonical(DNA(choices, jnp.clip(asked, 0.0, 1.0)))


def _finite(loss: jax.Array) -> jax.Array:
    """Losses with the largest finite one in place of infinite ones; zeros where all are infinite."""
    worst = jnp.max(jnp.where(jnp.isfinite(loss), loss, -jnp.inf))
    return jnp.where(jnp.isfinite(loss), loss, jnp.where(jnp.isfinite(worst), worst, 0.0))


def _key_data(key: jax.Array) -> jax.Array:
    return jax.random.bits(key, (2,), jnp.uint32)


def _strong(state: Any) -> Any:
    """The state with types that do not change from step to step."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), state)
