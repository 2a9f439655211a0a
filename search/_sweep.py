"""Exhaustive search: every point of a space, or of a grid over it, in order."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from pgjax._errors import ControllerError, SpaceError
from pgjax.search._controller import Controller, State, require
from pgjax.space import DNA, Space
from pgjax.space._size import size_text

MOST = 2**31 - 1  # points: positions are int32


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SweepState:
    """How far a sweep of N points has come.

    Attributes:
      position: int32[], of the next point among those of the sweep, below N.
      rounds: int32[], how often all of them were asked for.
    """

    position: jax.Array
    rounds: jax.Array


class Sweep(Controller, type_name='pgjax.search.Sweep'):
    """All points in the order of `space.iterate()`, or of `space.grid(grid)`, whatever was told.

    `generations(space)` asks cover the sweep. Whoever asks on gets its points again from the first one, also within
    a batch: so a sweep is never out of points, and `rounds` in its state says how often it has begun anew.
    Shards of a large sweep are ranges of positions; they share no point and need nothing of each other.

    Attributes:
      batch_size: B.
      grid: the number of values of each number, evenly spaced on its scale; needed where there are floats.
      start: the position of the first point.
      stop: the position after the last one; None for the number of points there are.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> space = pg.search_space(pg.Dict(x=pg.oneof([3, 1, 2]), y=pg.oneof([0, 10])))
    >>> sweep = search.Sweep(batch_size=4)
    >>> loss = lambda exp, key: {'loss': 1.0 * exp.x + exp.y}
    >>> study = search.run(space, loss, sweep, objectives=[pg.minimize('loss')], generations=sweep.generations(space))
    >>> study.best.value
    {'x': 1, 'y': 0}
    """

    batch_size: int = 64
    grid: int | None = None
    start: int = 0
    stop: int | None = None

    def number(self, space: Space) -> int:
        """N, how many points the sweep has.

        Raises:
          ControllerError: the space has no end or too many points, or `start` and `stop` name none of them.
        """
        if space.num_floats and self.grid is None:
            name = next(d.label for d in space.decisions if d.kind == 'float')
            raise ControllerError(f'Sweep: a space with floats ({name}) has no end; give the values of each: grid=10.')
        require(self.grid is None or self.grid >= 1, self, 'grid', 'at least 1')
        size = int(space.size) if self.grid is None else space.grid_size(self.grid)
        if size > MOST:
            raise ControllerError(
                f'Sweep: the space has {size_text(size)} points, and positions are int32; give a coarser grid=, fix '
                'some decisions, or sample with search.Random.'
            )
        stop = size if self.stop is None else self.stop
        require(0 <= self.start < size, self, 'start', f'between 0 and {size - 1}')
        require(self.start < stop <= size, self, 'stop', f'between {self.start + 1} and {size}')
        return stop - self.start

    def generations(self, space: Space) -> int:
        """How many asks cover the sweep."""
        return -(-self.number(space) // self.batch_size)

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> SweepState:
        """Before the first point."""
        del key, num_objectives
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        self.number(space)
        try:
            jax.eval_shape(lambda index: space.nth(index, self.grid), jnp.zeros(1, jnp.int32))
        except SpaceError as error:
            raise ControllerError(f'Sweep: {error}') from error
        return SweepState(jnp.int32(0), jnp.int32(0))

    def ask(self, space: Space, state: SweepState, key: jax.Array) -> tuple[DNA, SweepState]:
        """The next B points."""
        del key
        number = jnp.uint32(self.number(space))
        reached = state.position.astype(jnp.uint32) + jnp.arange(self.batch_size + 1, dtype=jnp.uint32)
        position = (reached % number).astype(jnp.int32)
        dna = space.nth(self.start + position[:-1], self.grid)
        rounds = state.rounds + (reached[-1] // number).astype(jnp.int32)
        return dna, SweepState(position[-1], rounds)

    def tell(self, space: Space, state: SweepState, dna: DNA, fitness: Any) -> State:
        """Learns nothing."""
        del space, dna, fitness
        return state
