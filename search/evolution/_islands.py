"""Islands: several populations of any controller, whose best points travel now and then."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp

from pgjax._errors import ControllerError
from pgjax.search._controller import Controller, State, require, sanitize
from pgjax.search._wrappers._inner import refuse_host
from pgjax.search.multiobjective import best_first
from pgjax.space import DNA, Space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class IslandsState:
    """I islands, each with E emigrants waiting.

    Attributes:
      islands: the states of the inner controller, each array with a leading axis I.
      dna: int32[I, E, C] and float32[I, E, F], the best points told to each island since the last migration.
      fitness: float32[I, E, M]; -inf where fewer than E were told.
      tells: int32[], how often results were told.
    """

    islands: Any
    dna: DNA
    fitness: jax.Array
    tells: jax.Array


class Islands(Controller, type_name='pgjax.search.Islands'):
    """The island model: `number` copies of a controller search apart, in a ring.

    Every `interval` tells the best `emigrants` points that each island has learned of since the last migration are
    told to the next island too, as if it had proposed them: in the beginning of a search in place of random points.
    Nothing else is asked of the inner controller than the protocol, so any will do; with several objectives the best
    are those of the first front, the least crowded first.

    The islands' states are one state with a leading axis, and migration is a rotation along it: sharded over a mesh,
    an island costs the same however many there are, and migrants pass between neighbours alone. Of n told points,
    point i belongs to island i % number, in the order of `ask`. Parents are not recorded: what an inner controller
    counts is the points of its own island.

    Attributes:
      controller: what runs on every island, with a batch of its own.
      number: I.
      interval: tells between migrations; 0 for none.
      emigrants: E, at most the batch size of the controller.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> islands = search.Islands(search.Random(batch_size=2), number=4)
    >>> study = search.run([pg.floatv(0.0, 1.0)], lambda e, key: {'x': e[0]}, islands, objectives='x', generations=3)
    >>> study.state.islands.tolist(), len(study.history)  # how much each island was told
    ([6, 6, 6, 6], 24)
    """

    controller: Controller
    number: int = 4
    interval: int = 10
    emigrants: int = 1

    @property
    def batch_size(self) -> int:  # type: ignore[override]
        """B, of all islands together."""
        return self.number * self.controller.batch_size

    @property
    def traceable(self) -> bool:
        """Whether the inner controller is."""
        return self.controller.traceable

    def resized(self, batch_size: int) -> Self:
        """The same islands with another batch size, which their number must divide."""
        if batch_size < 1 or batch_size % self.number:
            raise ControllerError(
                f'{self.number} islands need a batch size that is a multiple of it, got {batch_size}.'
            )
        controller = self.controller.resized(batch_size // self.number)
        return self.rebind(controller=controller, raise_on_no_change=False)

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> IslandsState:
        """Islands that know nothing yet, each with a key of its own."""
        refuse_host(self, [self.controller])
        require(self.number >= 1, self, 'number', 'at least 1')
        require(self.interval >= 0, self, 'interval', 'at least 1, or 0 for no migration')
        allowed = f'between 1 and the batch size of one island, {self.controller.batch_size}'
        require(1 <= self.emigrants <= self.controller.batch_size, self, 'emigrants', allowed)
        keys = jax.random.split(key, self.number)
        none = jnp.full((self.number, self.emigrants, num_objectives), -jnp.inf, jnp.float32)
        return IslandsState(
            islands=jax.vmap(lambda key: self.controller.init(space, key, num_objectives))(keys),
            dna=_no_points(space, (self.number, self.emigrants)),
            fitness=none,
            tells=jnp.int32(0),
        )

    def ask(self, space: Space, state: IslandsState, key: jax.Array) -> tuple[DNA, IslandsState]:
        """The batches of all islands, dealt out in turn."""
        keys = jax.random.split(key, self.number)
        dna, islands = jax.vmap(lambda state, key: self.controller.ask(space, state, key))(state.islands, keys)
        dealt = jax.tree.map(lambda genes: jnp.swapaxes(genes, 0, 1).reshape(self.batch_size, genes.shape[-1]), dna)
        return dealt, dataclasses.replace(state, islands=islands)

    def tell(self, space: Space, state: IslandsState, dna: DNA, fitness: Any) -> State:
        """Every island learns of its own points; at the end of an interval, of its neighbour's best ones too."""
        fitness = sanitize(fitness)
        whole = len(fitness) // self.number * self.number
        told = jax.tree.map(jnp.asarray, (dna, fitness))
        if whole:  # the same number for each island, and then one more for some of them
            state = self._tell_islands(space, state, jax.tree.map(lambda rows: self._by_island(rows[:whole]), told))
        if whole < len(fitness):
            rest = jax.tree.map(lambda rows: rows[whole:, None], told)
            some = len(fitness) - whole
            first = jax.tree.map(lambda leaf: leaf[:some], (state.islands, state.dna, state.fitness))
            part = self._tell_islands(space, IslandsState(*first, tells=state.tells), rest)
            state = jax.tree.map(lambda old, new: old.at[:some].set(new) if old.ndim else old, state, part)
        state = dataclasses.replace(state, tells=state.tells + 1)
        if not self.interval:
            return state
        due = state.tells % self.interval == 0
        return jax.lax.cond(due, lambda state: self._migrate(space, state), lambda state: state, state)

    def _by_island(self, rows: jax.Array) -> jax.Array:
        """[n, ...] in the order of `ask` as [I, n / I, ...]."""
        return jnp.swapaxes(rows.reshape(len(rows) // self.number, self.number, *rows.shape[1:]), 0, 1)

    def _tell_islands(self, space: Space, state: IslandsState, told: tuple[DNA, jax.Array]) -> IslandsState:
        """The state after telling every island [I, n, ...] points, the best of which may become emigrants."""
        dna, fitness = told
        islands = jax.vmap(lambda s, d, f: self.controller.tell(space, s, d, f))(state.islands, dna, fitness)
        waiting = jax.tree.map(lambda *rows: jnp.concatenate(rows, 1), (state.dna, state.fitness), told)
        best = jax.vmap(best_first)(waiting[1])[:, : self.emigrants]
        dna, fitness = jax.tree.map(lambda rows: jax.vmap(lambda rows, best: rows[best])(rows, best), waiting)
        return IslandsState(islands, dna, fitness, state.tells)

    def _migrate(self, space: Space, state: IslandsState) -> IslandsState:
        """Tells each island the emigrants of the one before it in the ring."""
        arriving = jax.tree.map(lambda rows: jnp.roll(rows, 1, axis=0), (state.dna, state.fitness))
        islands = jax.vmap(lambda s, d, f: self.controller.tell(space, s, d, f))(state.islands, *arriving)
        none = jnp.full_like(state.fitness, -jnp.inf)
        return IslandsState(islands, _no_points(space, state.fitness.shape[:2]), none, state.tells)


def _no_points(space: Space, shape: tuple[int, ...]) -> DNA:
    """Points that stand where there are none yet: told as failed, so any legal one will do."""
    return jax.tree.map(lambda genes: jnp.broadcast_to(genes, (*shape, *genes.shape)), space.first())
