"""Training that can be stopped and gone on with, for whole populations at once."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp

from pgjax._errors import ControllerError, EvaluatorError, FitnessError, PgjaxError, SpaceError, shorten, show
from pgjax.search._controller import form_of, sanitize, settled
from pgjax.search._evaluation import require_function, resolve_batch
from pgjax.search._objective import Objective, as_objectives, check_metrics
from pgjax.search._settings import require_seed
from pgjax.space import DNA, Space, search_space
from pgjax.space._threefry import IMPL
from pgjax.symbolic import Object, field
from pgjax.symbolic._traced import note_traced, words_of

MOST_STEPS = 2**31 - 1  # that an int32 counts
TRAIN = zlib.crc32(b'train')  # what a run's key is folded with for training: no small number, as splits fold with


class Training(Object, type_name='pgjax.search.Training'):
    """How one experiment is trained, and what is wanted of it.

    Both functions are pure JAX and speak of one experiment; populations run them side by side.

    Attributes:
      init: `(exp, key) -> state`, a pytree of arrays: weights, optimizer state, whatever training carries along.
      step: `(state, exp, key) -> (state, metrics)`; metrics are a dict of scalars. What a step is, is free: one
        update, or an epoch. Where several are made in a row only the metrics of the last are computed.
      objectives: metrics and which way is better; names are maximized.
      batch: how members run: 'vmap' side by side, 'map' one after the other, 'auto' by the backend.

    >>> import jax.numpy as jnp, pgjax as pg
    >>> from pgjax import search
    >>> training = search.Training(
    ...   init=lambda exp, key: jnp.float32(4.0), objectives=[pg.minimize('loss')],
    ...   step=lambda x, exp, key: (x - exp.rate * x, {'loss': x**2}))
    >>> halving = search.SuccessiveHalving(population_size=4, min_steps=1, max_steps=4, eta=2)
    >>> halving.run(pg.Dict(rate=pg.oneof([0.1, 0.5])), training).best.value
    {'rate': 0.5}
    """

    init: Callable[..., Any] = field(doc='(exp, key) -> state')
    step: Callable[..., Any] = field(doc='(state, exp, key) -> (state, metrics)')
    objectives: list[str | Objective] = field(doc='metrics and which way is better; names are maximized')
    batch: Literal['auto', 'vmap', 'map'] = field(default='auto', doc='how members run')

    def start(self, space: Space, dna: DNA, keys: jax.Array) -> Any:
        """The first states of P points, each with a key of its own: a pytree with a leading axis.

        Numbers of Python in a state, which have no dtype of their own, take on the one that a step gives them.

        Raises:
          EvaluatorError: `init` raised, or a part of its state is no array or number.
        """

        def one(dna: DNA, key: jax.Array) -> Any:
            exp = space.decode(dna)
            with _of_user('init', exp):
                state = _arrays(self.init(exp, key), '`init`')
            if not any(_is_weak(leaf) for leaf in jax.tree.leaves(state)):
                return state
            after = jax.eval_shape(lambda state: self._step(state, exp, key)[0], state)
            return jax.tree.map(lambda leaf, like: _cast(leaf, like) if _is_weak(leaf) else leaf, state, after)

        return self._each(one)(dna, keys)

    def advance(
        self, space: Space, dna: DNA, states: Any, keys: jax.Array, first: Any, steps: Any
    ) -> tuple[Any, dict[str, jax.Array], jax.Array]:
        """Trains P members for some more steps.

        The key of a step is the member's, folded with the number of the step: training in parts is training.

        Args:
          space: without structural decisions.
          dna: P points.
          states: of the members.
          keys: key[P], of the members.
          first: int32[P], the number of each member's next step.
          steps: how many, at least 1; may be traced.

        Returns:
          The new states, the metrics float32[P] after the last step, and fitness float32[P, M] with failed rows -inf.

        Raises:
          FitnessError: a step does not return a state and metrics.
          EvaluatorError: it raised; or the state that it returns is not like the one it got, in structure, shapes and
            dtypes.
        """
        objectives = as_objectives(list(self.objectives))

        def one(dna: DNA, state: Any, key: jax.Array, first: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
            exp = space.decode(dna)

            def step(state: Any, number: Any) -> tuple[Any, Any]:
                return self._step(state, exp, jax.random.fold_in(key, number))

            # Inside the loop nobody looks at the metrics, so the compiler leaves out what only they need.
            state = jax.lax.fori_loop(0, steps - 1, lambda i, state: step(state, first + i)[0], state)
            state, metrics = step(state, first + steps - 1)
            checked = check_metrics(metrics, objectives, 'a training step')
            return state, {name: jnp.asarray(value, jnp.float32) for name, value in checked.items()}

        states, metrics = self._each(one)(dna, states, keys, first)
        return states, metrics, sanitize(jnp.stack([o.fitness(metrics) for o in objectives], axis=-1))

    def _step(self, state: Any, exp: Any, key: jax.Array) -> tuple[Any, Any]:
        """One step, checked: the state has the structure, the shapes and the dtypes of the one before."""
        with _of_user('step', {'state': state, 'exp': exp}):
            result = self.step(state, exp, key)
        if not isinstance(result, tuple) or len(result) != 2:
            raise FitnessError(f'A training step must return (state, metrics), got {show(result)}.')
        after = _arrays(result[0], 'a training step')
        _check_state(state, after)
        return settled(after), result[1]

    def _each(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """`fn` of one member as a function of many."""
        if resolve_batch(self.batch) == 'vmap':
            return jax.vmap(fn)
        return lambda *members: jax.lax.map(lambda member: fn(*member), members)


@contextlib.contextmanager
def _of_user(what: str, given: Any) -> Iterator[None]:
    """Inside, the user's code runs: what it raises becomes EvaluatorError, with the cure where a tracer is misused."""
    try:
        yield
    except PgjaxError:
        raise
    except Exception as error:  # user code: anything may come
        note_traced(error, given)
        raise EvaluatorError(f'{what} of the training raised {type(error).__name__}: {words_of(error)}') from error


def _arrays(state: Any, whose: str) -> Any:
    """The state with arrays for numbers. Raises EvaluatorError for what can be none, and says where it stands."""

    def array(path: Any, leaf: Any) -> jax.Array:
        try:
            return jnp.asarray(leaf)
        except (TypeError, ValueError, OverflowError) as error:
            raise EvaluatorError(
                f'The state of {whose} holds {type(leaf).__name__} {show(leaf)} at state{jax.tree_util.keystr(path)}, '
                'which is no array, and no number that fits into one. Keep it outside of the state, where both '
                'functions see it.'
            ) from error

    return jax.tree_util.tree_map_with_path(array, state)


def _is_weak(leaf: jax.Array) -> bool:
    """Whether it has the type of a Python number, which takes on that of what it is combined with."""
    return getattr(jax.typeof(leaf), 'weak_type', False)  # keys have no such thing


def _cast(leaf: jax.Array, like: Any) -> jax.Array:
    """The leaf with the dtype of another one, for good."""
    return leaf if jnp.issubdtype(like.dtype, jax.dtypes.extended) else jnp.asarray(leaf, like.dtype)


def _check_state(before: Any, after: Any) -> None:
    """Raises EvaluatorError unless a step gave a state like the one it got, so that another step can follow."""
    rule = 'A training step must give a state like the one it got'
    old, new = jax.tree.structure(before), jax.tree.structure(after)
    if old != new:
        raise EvaluatorError(f'{rule}, {shorten(str(old), 150)}; got {shorten(str(new), 150)}.')
    for (path, was), came in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True):
        # A weak type, that of a Python number, takes on the type that comes.
        same_type = _is_weak(was) or was.dtype == came.dtype
        if jnp.shape(was) != jnp.shape(came) or not same_type:
            raise EvaluatorError(
                f'{rule}: state{jax.tree_util.keystr(path)} was {form_of(was)} and came back as {form_of(came)}. '
                'Cast or reshape it there, or begin with such a one in `init`.'
            )


def require_training(training: Any) -> None:
    """Raises ControllerError unless it is a `Training`, EvaluatorError where its functions take other arguments."""
    if not isinstance(training, Training):
        raise ControllerError(f'training must be a search.Training, got {type(training).__name__} {show(training)}.')
    require_function(training.init, 'init', 'exp', 'key')
    require_function(training.step, 'step', 'state', 'exp', 'key')


def run_to_end(loop: Callable[[jax.Array], Any], key: jax.Array) -> Any:
    """What a jitted loop returns, when it is there: errors of the running program come here, and in words.

    Raises:
      EvaluatorError: the program failed, or a function that a state holds remembers a value of an experiment.
    """
    try:
        return jax.block_until_ready(loop(key))
    except jax.errors.UnexpectedTracerError as error:
        raise EvaluatorError(
            'A value that was traced in one function of the training is used in another: `init` has made a function '
            'or an optimizer of it, as in optax.sgd(exp.rate), which the state holds (or it was kept in a variable). '
            'Make that in `step`, where the settings may have changed, or let the state hold the value as an array.'
        ) from error
    except jax.errors.JaxRuntimeError as error:  # a callback has raised, or memory has run out
        raise EvaluatorError(f'The training failed as it ran: {shorten(str(error), 300)}') from error


def key_of_seed(seed: Any) -> jax.Array:
    """The key of a run. Raises ControllerError for what is no seed of a study."""
    require_seed(seed)
    return jax.random.key(seed, impl=IMPL)


def trainable_space(template: Any) -> Space:
    """The space of a template whose points can all be trained by one program.

    Raises:
      SpaceError: some decisions are structural.
    """
    space = search_space(template)
    if space.structural:
        names = ', '.join(d.id for d in space.structural[:5])
        raise SpaceError(
            f'The members of a population train in one program, which cannot decide its own structure: {names}. '
            'Train one population for each structure (space.partition splits a space), or decide these beforehand.'
        )
    return space


def require(condition: bool, method: Object, setting: str, allowed: str) -> None:
    """Raises ControllerError with the setting, its value and what is allowed, unless `condition` holds."""
    if not condition:
        value = getattr(method, setting)
        raise ControllerError(f'{type(method).__name__}.{setting} = {show(value)} is out of range: {allowed}.')


def require_state(state: Any, kind: type, method: Object, shapes: Callable[[Any], dict[str, Any]]) -> None:
    """Raises ControllerError unless a state is of `kind`, and the settings of the method are those that made it.

    Args:
      state: what came.
      kind: of the state.
      method: that goes on from it.
      shapes: of a state, by what they are called: each the shape it has, and the one that the settings make.
    """
    name = type(method).__name__
    if not isinstance(state, kind):
        raise ControllerError(f'{name} goes on from the state that {name}.init makes, got {show(state)}.')
    wrong = [f'{what} {came}, expected {wanted}' for what, (came, wanted) in shapes(state).items() if came != wanted]
    if wrong:
        raise ControllerError(
            f'{name} goes on from a state of its own settings and space; this one has {"; ".join(wrong)}. '
            'Give the settings and the space that `init` was given.'
        )


def genes_of(state: Any, space: Space, size: int) -> dict[str, Any]:
    """For `require_state`: the points of P members."""
    return {
        'choices': (state.dna.choices.shape, (size, space.num_choices)),
        'floats': (state.dna.floats.shape, (size, space.num_floats)),
    }


def member_keys(key: jax.Array, members: Any) -> jax.Array:
    """key[P]: of each member, by its number, whoever else is trained."""
    return jax.vmap(lambda member: jax.random.fold_in(key, member))(jnp.asarray(members))
