"""Random search: the baseline that every other controller must beat."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search._controller import Controller, State, require
from pgjax.search._host import HostController, rows_of_dna
from pgjax.search._keys import require_key
from pgjax.space import DNA, Space

_MOST_POINTS = 256  # of one ask; for more the call of a compiled program costs little


class Random(Controller, type_name='pgjax.search.Random'):
    """Uniform proposals, on the scale of each decision, whatever was told.

    >>> import jax, pgjax as pg
    >>> from pgjax import search
    >>> space = pg.search_space(pg.Dict(x=pg.floatv(0.0, 1.0)))
    >>> random = search.Random(batch_size=4)
    >>> dna, state = random.ask(space, random.init(space, jax.random.key(0)), jax.random.key(1))
    >>> dna.floats.shape
    (4, 1)
    """

    batch_size: int = 64

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> State:
        """The number of points told so far, int32[]."""
        del space, num_objectives
        require_key(key, self)
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        return jnp.int32(0)

    def ask(self, space: Space, state: State, key: jax.Array) -> tuple[DNA, State]:
        """B independent points."""
        require_key(key, self)
        return space.random(key, (self.batch_size,)), state

    def tell(self, space: Space, state: State, dna: DNA, fitness: Any) -> State:
        """Counts, and learns nothing."""
        del space, dna
        return state + jnp.int32(len(fitness))

    def on_host(self, space: Space) -> HostController | None:
        """Points drawn for many asks at once."""
        return _RandomOnHost(space, self.batch_size) if self.batch_size <= _MOST_POINTS else None


class _RandomOnHost(HostController):
    """`Random` over one space."""

    def __init__(self, space: Space, batch_size: int):
        self._space = space
        self._batch = batch_size

    def draw(self, keys: jax.Array) -> list[DNA]:
        """The points themselves."""
        return rows_of_dna(jax.device_get(_draw(self._space, self._batch, keys)))

    def ask(self, state: State, drawn: DNA) -> tuple[DNA, State]:
        """B independent points."""
        return drawn, state

    def tell(self, state: State, dna: DNA, fitness: Any) -> State:
        """Counts, and learns nothing."""
        del dna
        return state + np.int32(len(fitness))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _draw(space: Space, size: int, keys: jax.Array) -> DNA:
    return jax.vmap(lambda key: space.random(key, (size,)))(keys)
