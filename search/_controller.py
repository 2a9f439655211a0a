"""The controller protocol: pure functions that propose DNA and learn from fitness."""

from __future__ import annotations

import abc
import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError, show
from pgjax.space import DNA, Space
from pgjax.symbolic import Object
from pgjax.symbolic._spec import is_traced
from pgjax.symbolic._traced import ASKED_FOR_A_VALUE

if TYPE_CHECKING:
    from pgjax.search._host import HostController

State = Any
SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


class Controller(Object):
    """Proposes batches of B points of a space; holds settings only.

    What changes is the state, a pytree of arrays of fixed shape carried by the caller, so that any controller
    can be jitted, scanned, vmapped and checkpointed. Equal keys give equal proposals.

    A state may have an attribute `parents`, int32[B, K]: the trial ids from which the points of the last `ask`
    were made, -1 for none. Histories record it.

    Attributes:
      batch_size: B, the number of points of one `ask`: a field, or a property of a controller made of others.

    >>> import jax, jax.numpy as jnp, pgjax as pg
    >>> from pgjax import search
    >>> class Climb(search.Controller):
    ...   batch_size: int = 8
    ...   step: float = 0.1
    ...   def init(self, space, key, num_objectives=1):
    ...     return space.random(key).floats, -jnp.inf
    ...   def ask(self, space, state, key):
    ...     points = space.random(key, (self.batch_size,))
    ...     return pg.DNA(points.choices, state[0] + self.step * (points.floats - state[0])), state
    ...   def tell(self, space, state, dna, fitness):
    ...     top = jnp.argmax(fitness[:, 0])
    ...     better = fitness[top, 0] > state[1]  # never so where it is NaN
    ...     return jax.tree.map(lambda new, old: jnp.where(better, new, old), (dna.floats[top], fitness[top, 0]), state)
    >>> space = pg.search_space(pg.Dict(x=pg.floatv(0.0, 1.0)))
    >>> search.testing.check_controller(Climb(), space)
    """

    if TYPE_CHECKING:
        batch_size: int

    @property
    def traceable(self) -> bool:
        """Whether `ask` and `tell` can be compiled. Where not, they are called on the host, with arrays."""
        return True

    def on_host(self, space: Space) -> HostController | None:
        """The same controller in NumPy, with the same bits, where that is quicker; None where there is no such form."""
        del space
        return None

    def resized(self, batch_size: int) -> Self:
        """The same controller with another batch size."""
        return self.rebind(batch_size=batch_size, raise_on_no_change=False)

    @abc.abstractmethod
    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> State:
        """The first state.

        Args:
          space: what will be searched.
          key: for random parts of the state; of threefry, as all keys of a search.
          num_objectives: M, the number of columns of fitness.

        Raises:
          ControllerError: a setting is out of range, or the controller cannot handle such a space.
        """

    @abc.abstractmethod
    def ask(self, space: Space, state: State, key: jax.Array) -> tuple[DNA, State]:
        """B canonical points to evaluate, and the state that remembers having asked. Jittable if `traceable`."""

    @abc.abstractmethod
    def tell(self, space: Space, state: State, dna: DNA, fitness: jax.Array) -> State:
        """The state after seeing float32[n, M] fitness of n points, always maximized. Jittable if `traceable`.

        NaN or -inf means failed: ranked last and never a parent while anything else is known.
        """


@contextlib.contextmanager
def noting_untraceable(controller: Controller, method: str) -> Iterator[None]:
    """Notes, on JAX's error for a method that looks at what is traced, what a controller is to do about it."""
    try:
        yield
    except ASKED_FOR_A_VALUE as error:
        error.add_note(
            f'{type(controller).__name__}.{method} is compiled: decide by jnp.where or jax.lax.cond, or give the class '
            'a property `traceable` that is False, and it is called on the host.'
        )
        raise


def require_proposals(controller: Controller, asked: Any) -> None:
    """Raises ControllerError unless an `ask` gave as many points as it should, and a state."""
    match asked:
        case DNA() as dna, _ if dna.shape == (controller.batch_size,):
            return
        case DNA() as dna, _:
            came = f'points of shape {dna.shape}'
        case _:
            came = f'{type(asked).__name__} {show(asked)}'
    raise ControllerError(
        f'{type(controller).__name__}.ask must give (dna, state), points of shape ({controller.batch_size},) by its '
        f'batch_size; got {came}.'
    )


def form_of(leaf: Any) -> str:
    """The dtype and shape of a leaf of a state, for messages.

    >>> form_of(jnp.zeros((2, 3)))
    'float32[2, 3]'
    """
    return f'{jnp.result_type(leaf)}{list(jnp.shape(leaf))}'


def settled(state: Any) -> Any:
    """A state whose leaves are arrays of types that last: those of Python's numbers give way to what comes.

    >>> settled(jnp.asarray(1.0)).weak_type, jnp.asarray(1.0).weak_type
    (False, True)
    """

    def settle(leaf: Any) -> jax.Array:
        array = jnp.asarray(leaf)
        is_key = jnp.issubdtype(array.dtype, jax.dtypes.extended)
        return array if is_key else jnp.asarray(array, array.dtype)

    return jax.tree.map(settle, state)


def require(condition: bool, controller: Object, setting: str, allowed: str) -> None:
    """Raises ControllerError with the setting, its value and what is allowed, unless `condition` holds."""
    if not condition:
        value = getattr(controller, setting)
        raise ControllerError(f'{type(controller).__name__}.{setting} = {show(value)} is out of range: {allowed}.')


def is_within(number: Any, low: Any, high: Any = math.inf) -> bool:
    """Whether a setting is a finite number in [low, high]; true of what is known later: traced, many, or a schedule."""
    if callable(number) or is_traced(number) or np.ndim(number):
        return True
    try:
        return math.isfinite(number) and low <= number <= high
    except (TypeError, OverflowError):
        return False


def require_single_objective(controller: Controller, num_objectives: int) -> None:
    """Raises ControllerError where a controller of one objective is given several."""
    if num_objectives != 1:
        raise ControllerError(
            f'{type(controller).__name__} ranks by one objective, got {num_objectives}. '
            'Give one objective, combine them into one metric, or use a multi-objective controller.'
        )


def parents_of(state: State, batch_size: int) -> jax.Array:
    """int32[B, K], the trials from which the points of the last `ask` were made; -1 where nothing is known of them."""
    return getattr(state, 'parents', jnp.full((batch_size, 1), -1, jnp.int32))


def blank(space: Space, *shape: int) -> DNA:
    """int32[*shape, C] and float32[*shape, F] of zeros: room for points in a state, not points themselves."""
    choices = jnp.zeros((*shape, space.num_choices), jnp.int32)
    return DNA(choices, jnp.zeros((*shape, space.num_floats), jnp.float32))


def sanitize(fitness: Any) -> jax.Array:
    """float32 fitness with every failed row (NaN or infinite anywhere) -inf, so that it ranks last.

    Subnormal numbers are 0: some devices take them for that when they compare, and others do not.
    """
    fitness = jnp.asarray(fitness, jnp.float32)
    fitness = jnp.where(jnp.abs(fitness) < SMALLEST_NORMAL, 0.0, fitness)
    failed = ~jnp.isfinite(fitness).all(-1, keepdims=True)
    return jnp.where(failed, -jnp.inf, fitness)
