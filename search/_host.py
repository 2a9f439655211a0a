"""Controllers in NumPy: ask and tell without a call of a compiled program for each trial.

A compiled call costs as much as some twenty trials do on the host. What a controller does with random numbers needs
few operations; what takes a compiled program is to draw them, and they do not depend on the state. So those of many
generations are drawn at once, from the keys that each generation has anyway, and the rest is done in NumPy. State,
proposals and parents have the bits that `ask` and `tell` of the controller would give them, so that either may go on
where the other stopped.
"""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search._controller import SMALLEST_NORMAL
from pgjax.space import DNA

S = TypeVar('S')

TRIALS_AHEAD = 1024  # whose random numbers are drawn at once: a call alone costs as much as drawing those of hundreds
_SMALLEST_NORMAL = float(SMALLEST_NORMAL)  # compares quicker than a number of NumPy
_new, _set = object.__new__, object.__setattr__


class HostController(abc.ABC):
    """A controller over one space, in NumPy; made by `controller.on_host(space)`.

    Each of its methods is as pure as those of the controller. States are those of the controller, with arrays of
    NumPy: `jax.device_get(state)` makes them so, and what comes out may go into the controller.

    >>> import jax, numpy as np, pgjax as pg
    >>> from pgjax import search
    >>> space = pg.search_space([pg.oneof(range(5)) for _ in range(100)])
    >>> controller = search.RegularizedEvolution(batch_size=1, memory=0)
    >>> host = controller.on_host(space)
    >>> state = jax.device_get(controller.init(space, jax.random.key(0)))
    >>> for drawn in host.draw(jax.random.split(jax.random.key(1), 500)):
    ...   dna, state = host.ask(state, drawn)
    ...   state = host.tell(state, dna, (dna.choices == 3).sum(-1, keepdims=True))
    >>> bool(state.fitness.mean() > 30)  # 20 of 100 in random points
    True
    """

    @abc.abstractmethod
    def draw(self, keys: jax.Array) -> Sequence[Any]:
        """The random numbers of G asks, from their keys [G]: one call of a compiled program."""

    @abc.abstractmethod
    def ask(self, state: Any, drawn: Any) -> tuple[DNA, Any]:
        """B points and the state that remembers having asked, as `controller.ask` with the key of `drawn` gives."""

    @abc.abstractmethod
    def tell(self, state: Any, dna: DNA, fitness: Any) -> Any:
        """The state after seeing float32[n, M] fitness of n points, as `controller.tell` gives."""


class DrawsAhead:
    """The random numbers of the asks of one study, drawn for some generations at once when one of them needs them."""

    def __init__(self, host: HostController, key: jax.Array, batch_size: int):
        """`key`: with which the number of a generation is folded to give the key of its ask."""
        self._host = host
        self._key = key
        self._size = max(1, TRIALS_AHEAD // batch_size)
        self._kept: tuple[int, Sequence[Any]] = -1, ()

    def of(self, generation: int) -> Any:
        """Those of one generation."""
        block, row = divmod(generation, self._size)
        kept, drawn = self._kept  # read once, written at once: other threads may do so too
        if kept != block:
            drawn = self._host.draw(_keys(self._key, block * self._size, self._size))
            self._kept = block, drawn
        return drawn[row]


@functools.partial(jax.jit, static_argnums=2)
def _keys(key: jax.Array, first: Any, number: int) -> jax.Array:
    return jax.vmap(lambda generation: jax.random.fold_in(key, generation))(first + jnp.arange(number))


def rows_of_dna(dna: DNA) -> list[DNA]:
    """The parts of a DNA of NumPy along its first axis."""
    return [DNA(*row) for row in zip(dna.choices, dna.floats, strict=True)]


def sanitized_on_host(fitness: Any) -> np.ndarray:
    """`sanitize` in NumPy."""
    fitness = np.asarray(fitness, np.float32)
    if fitness.size == 1:  # what there is most of the time
        value = fitness.item()
        if not math.isfinite(value):
            return np.full_like(fitness, -np.inf)
        return fitness if abs(value) >= _SMALLEST_NORMAL else np.zeros_like(fitness)
    fitness = np.where(np.abs(fitness) < SMALLEST_NORMAL, np.float32(0.0), fitness)
    failed = ~np.isfinite(fitness).all(-1, keepdims=True)
    return np.where(failed, np.float32(-np.inf), fitness)


def replaced(state: S, **changes: Any) -> S:
    """`dataclasses.replace` in a fifth of its time, for classes that only hold their fields."""
    made = _new(type(state))
    _set(made, '__dict__', state.__dict__ | changes)
    return made
