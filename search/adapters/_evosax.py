"""Evolution strategies of evosax over float genes: compiled like any other controller."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError, did_you_mean, missing_extra, show
from pgjax.search._controller import Controller, State, require, require_single_objective, sanitize, settled
from pgjax.search._identity import find_awaited
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

    Proposals outside of the unit interval are evaluated at its end; the strategy is told of what it proposed, in
    whatever order. A generation of evosax is a batch: where fewer points are told, the others count as the worst of
    those; more are told batch by batch. Points that are not of the last `ask` stand where something was not told.
    Failed points count as the worst that succeeded; of a batch that failed nothing is learned. Strategies that breed
    from a population begin with a random one, and have children once it is told; there failed points come after all.

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
        if hasattr(strategy, 'num_populations'):
            raise ControllerError(
                f'Evosax: {self.strategy} has several populations, and a batch is one. Use search.Islands around '
                'another strategy.'
            )
        first_key, random_key, next_key = jax.random.split(key, 3)
        population = uniform(random_key, (self.batch_size, space.num_floats))
        params = self._params(strategy)
        if _is_breeding(strategy):
            made = strategy.init(first_key, population, jnp.full(self.batch_size, jnp.inf), params)
        else:
            made = strategy.init(first_key, jnp.full(space.num_floats, 0.5), params)
        return EvosaxState(settled(made), population, _key_data(next_key))

    def _made(self, space: Space) -> Any:
        options: Any = self.options  # a pg.Dict: it has a hash
        return _strategy(self.strategy, options, self.batch_size, space.num_floats)

    def _params(self, strategy: Any) -> Any:
        params = _default_params(strategy)
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
        params = self._params(strategy)

        def children() -> tuple[jax.Array, Any]:
            return settled(strategy.ask(ask_key, state.strategy, params))

        def first() -> tuple[jax.Array, Any]:
            return uniform(ask_key, state.asked.shape), state.strategy

        begun = _has_begun(state.strategy)
        asked, made = jax.lax.cond(begun, children, first) if _is_breeding(strategy) else children()
        return _within(space, asked), EvosaxState(made, asked, _key_data(next_key))

    def tell(self, space: Space, state: EvosaxState, dna: DNA, fitness: Any) -> State:
        """The strategy learns of a generation."""
        fitness = sanitize(fitness)[:, 0]
        strategy, size = self._made(space), self.batch_size
        params, made = self._params(strategy), state.strategy
        for number, begin in enumerate(range(0, len(fitness), size)):
            told = jax.tree.map(lambda rows, begin=begin: jnp.asarray(rows)[begin : begin + size], dna)
            population, loss = _generation(space, state.asked, told, -fitness[begin : begin + size])
            key = jax.random.fold_in(jax.random.wrap_key_data(state.key, impl=IMPL), number)
            after = _told(strategy, key, population, loss, made, params)
            # A population keeps its best: whatever failed points counted as, it might never find anything better.
            learns = jnp.isfinite(loss).any()
            made = jax.tree.map(lambda new, old, learns=learns: jnp.where(learns, new, old), after, made)
        return dataclasses.replace(state, strategy=made)


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
        except AssertionError as error:
            raise ControllerError(f'Evosax.batch_size = {size} will not do for {name}: {error}') from error
        except (TypeError, ValueError) as error:
            raise ControllerError(f'{name} does not take the options {show(dict(options))}: {error}') from error


def _default_params(strategy: Any) -> Any:
    try:
        return strategy.default_params
    except jax.errors.ConcretizationTypeError:  # some of them are numbers that must be known while tracing
        with jax.ensure_compile_time_eval():
            return strategy.default_params


def _is_breeding(strategy: Any) -> bool:
    """Whether a strategy makes children of a population, not of a distribution."""
    return not hasattr(strategy, 'get_mean')


def _has_begun(state: Any) -> jax.Array:
    """bool[], whether a strategy has seen anything that succeeded."""
    return jnp.isfinite(state.best_fitness)


def _told(strategy: Any, key: jax.Array, population: jax.Array, loss: jax.Array, state: Any, params: Any) -> Any:
    """The state of a strategy after a generation; the first population of one that breeds is where it begins."""
    if not _is_breeding(strategy):
        return settled(strategy.tell(key, population, _finite(loss), state, params)[0])
    loss = _last(loss, state.fitness)
    return jax.lax.cond(
        _has_begun(state),
        lambda: settled(strategy.tell(key, population, loss, state, params)[0]),
        lambda: settled(strategy.init(key, population, loss, params)),
    )


def _generation(space: Space, asked: jax.Array, told: DNA, loss: jax.Array) -> tuple[jax.Array, jax.Array]:
    """float32[B, F] and float32[B]: the population that was asked for with what is told, else with infinite losses."""
    size, number = len(asked), len(loss)
    proposed = space.fingerprint(_within(space, asked))
    found, match = find_awaited(space.fingerprint(told), proposed, jnp.ones(size, bool))
    free = jnp.argsort(match.any(0))[:number]
    row = jnp.where(found, jnp.argmax(match, -1), free[jnp.cumsum(~found) - 1])
    floats = jnp.where(found[:, None], asked[row], told.floats)
    return asked.at[row].set(floats), jnp.full(size, jnp.inf, jnp.float32).at[row].set(loss)


def _within(space: Space, asked: jax.Array) -> DNA:
    choices = jnp.zeros((len(asked), space.num_choices), jnp.int32)
    return space.canonical(DNA(choices, jnp.clip(asked, 0.0, 1.0)))


def _finite(loss: jax.Array) -> jax.Array:
    """Losses with the largest finite one in place of infinite ones; zeros where all are infinite."""
    worst = jnp.max(jnp.where(jnp.isfinite(loss), loss, -jnp.inf))
    return jnp.where(jnp.isfinite(loss), loss, jnp.where(jnp.isfinite(worst), worst, 0.0))


def _last(loss: jax.Array, members: jax.Array) -> jax.Array:
    """Losses with one that is just worse than all known ones in place of infinite ones: who failed replaces nobody."""
    known = jnp.concatenate([loss, members])
    worst = jnp.max(jnp.where(jnp.isfinite(known), known, -jnp.inf))
    worse = jnp.maximum(jnp.nextafter(worst, jnp.inf), worst + 1e-30)  # next to 0 some devices know of no number
    return jnp.where(jnp.isfinite(loss), loss, jnp.where(jnp.isfinite(worst), worse, 0.0))


def _key_data(key: jax.Array) -> jax.Array:
    return jax.random.bits(key, (2,), jnp.uint32)
