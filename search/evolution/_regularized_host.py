"""Regularized evolution in NumPy, bit for bit as compiled: for one trial at a time."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from pgjax.search._host import HostController, replaced, sanitized_on_host
from pgjax.search.evolution._point_host import Changes, PointMutation, rows_of
from pgjax.search.evolution.selectors import MOST_BY_PRODUCT, below
from pgjax.space import DNA, Space
from pgjax.space._threefry import words

if TYPE_CHECKING:
    from pgjax.search.evolution._regularized import RegularizedEvolution, RegularizedState

_MOST_CHILDREN = 16  # of one ask; more are made quicker by a compiled program


@dataclasses.dataclass(frozen=True, eq=False)
class _Block:
    """The random numbers of G asks.

    Attributes:
      space: of the points.
      keys: of the asks, [G].
      bits: uint32[G, B, S], for the rivals in tournaments.
      rivals: int64[G, B, S], those among P individuals: of the kind that NumPy takes without a conversion.
      changes: of G times B children.
    """

    space: Space
    keys: jax.Array
    bits: np.ndarray
    rivals: np.ndarray
    changes: Changes

    @functools.cached_property
    def seeds(self) -> DNA:
        """G times B random points; drawn when they are first needed, which is in the beginning of a search alone."""
        return jax.device_get(_draw_seeds(self.space, self.bits.shape[1], self.keys))


_Drawn = tuple[_Block, int]  # the random numbers of one ask: which of the G


class RegularizedOnHost(HostController):
    """`RegularizedEvolution` over one space."""

    def __init__(self, controller: RegularizedEvolution, space: Space):
        self._space = space
        self._population = controller.population_size
        self._batch = controller.batch_size
        self._rivals = controller.rivals
        self._mutation = PointMutation(space, self._batch)
        self._has_floats = bool(space.num_floats)
        self._no_parents = np.full((self._batch, 1), -1, np.int32)

    @staticmethod
    def is_exact(controller: RegularizedEvolution, space: Space) -> bool:
        """Whether it gives the bits of the compiled program, and is worth it."""
        of_controller = controller.batch_size <= _MOST_CHILDREN and controller.population_size <= MOST_BY_PRODUCT
        return of_controller and PointMutation.is_exact(space)

    def draw(self, keys: jax.Array) -> list[_Drawn]:
        """The random numbers of G asks."""
        bits, changes = jax.device_get(_draw(self._space, self._batch, self._rivals, keys))
        rivals = below(bits, np.uint32(self._population)).astype(np.intp)
        block = _Block(self._space, keys, bits, rivals, self._mutation.changes(changes))
        return [(block, index) for index in range(len(bits))]

    def ask(self, state: RegularizedState, drawn: _Drawn) -> tuple[DNA, RegularizedState]:
        """Random points until P were asked for or told, then children; random also where all have failed."""
        block, index = drawn
        asked, told, size = int(state.asked), int(state.told), self._batch
        missing = self._population - max(asked, told)
        best = int(state.fitness.argmax())
        seeds = size if state.fitness[best] == -np.inf or missing > size else max(missing, 0)
        if seeds == size:
            dna, parents = block.seeds[index], self._no_parents
        else:
            slots = self._winners(state, told, best, block, index)
            dna = self._mutation.children(state.dna, slots, block.changes, index)
            parents = rows_of(state.trial, slots)[:, None]
            if seeds:
                dna.choices[:seeds] = block.seeds.choices[index, :seeds]
                dna.floats[:seeds] = block.seeds.floats[index, :seeds]
                parents[:seeds] = -1
        return dna, replaced(state, asked=state.asked + size, parents=parents)

    def _winners(self, state: RegularizedState, told: int, best: int, block: _Block, index: int) -> list[int]:
        """The slots of B parents; the best one where all rivals failed."""
        full = told >= self._population
        rivals = block.rivals[index] if full else below(block.bits[index], np.uint32(told))
        values = state.fitness.take(rivals)  # in a third of the time of an index
        if self._batch == 1:
            winner = int(values.argmax())
            return [rivals.item(winner) if values.item(winner) > -np.inf else best]
        return [
            rivals.item(row, winner) if values.item(row, winner) > -np.inf else best
            for row, winner in enumerate(values.argmax(1).tolist())
        ]

    def tell(self, state: RegularizedState, dna: DNA, fitness: Any) -> RegularizedState:
        """Each point takes the oldest slot."""
        number, told, size = len(fitness), int(state.told), self._population
        values = sanitized_on_host(fitness)
        if number >= size:  # the first would be overwritten at once
            trial = np.arange(told + number - size, told + number, dtype=np.int32)
            youngest = DNA(dna.choices[-size:].astype(state.dna.choices.dtype), dna.floats[-size:])
            return replaced(state, dna=youngest, fitness=values[-size:, 0], trial=trial, told=state.told + number)
        start = int(state.trial.argmin())  # a slot never filled has -1
        if number == 1:
            places, values, trial = start, values.item(), told
        else:
            places = np.arange(start, start + number) % size
            values, trial = values[:, 0], np.arange(told, told + number)
        old = state.dna
        floats = _overwritten(old.floats, places, dna.floats) if self._has_floats else old.floats
        return replaced(
            state,
            dna=replaced(old, choices=_overwritten(old.choices, places, dna.choices), floats=floats),
            fitness=_overwritten(state.fitness, places, values),
            trial=_overwritten(state.trial, places, trial),
            told=state.told + number,
        )


def _overwritten(old: Any, places: Any, new: Any) -> np.ndarray:
    made = old.copy()
    made[places] = new
    return made


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _draw(space: Space, size: int, rivals: int, keys: jax.Array) -> tuple[jax.Array, Any]:
    def one(key: jax.Array) -> tuple[jax.Array, Any]:
        _, select_key, mutate_key = jax.random.split(key, 3)  # as `RegularizedEvolution.ask` does
        return words(select_key, (rivals, size)).T, PointMutation.draw(space, mutate_key, size)

    return jax.vmap(one)(keys)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _draw_seeds(space: Space, size: int, keys: jax.Array) -> DNA:
    return jax.vmap(lambda key: space.random(jax.random.split(key, 3)[0], (size,)))(keys)
