"""`Dedup` in NumPy, bit for bit as compiled: for one trial at a time."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import jax

from pgjax.search._host import HostController, replaced
from pgjax.search._wrappers import _memory
from pgjax.space import DNA, Space

if TYPE_CHECKING:
    from pgjax.search._wrappers._dedup import Dedup, DedupState


@dataclasses.dataclass(frozen=True, eq=False)
class _Drawn:
    """The random numbers of one ask.

    Attributes:
      inner: those of the first batch.
      keys: of the asks, [G], with which a batch that has points to be replaced is made by the compiled program.
      index: which of the G.
    """

    inner: Any
    keys: jax.Array
    index: int


class DedupOnHost(HostController):
    """`Dedup` over one space: where the first batch is new, as it nearly always is; else the compiled program runs."""

    def __init__(self, controller: Dedup, inner: HostController, space: Space):
        self._controller = controller
        self._inner = inner
        self._space = space

    def draw(self, keys: jax.Array) -> list[_Drawn]:
        """The random numbers of the first batches of G asks."""
        return [_Drawn(inner, keys, index) for index, inner in enumerate(self._inner.draw(_first_keys(keys)))]

    def ask(self, state: DedupState, drawn: _Drawn) -> tuple[DNA, DedupState]:
        """B points, new ones as far as there are any."""
        dna, inner = self._inner.ask(state.inner, drawn.inner)
        prints = self._space.fingerprint(dna)
        new = _memory.new_on_host(state.memory, prints)
        if not new.all():
            return jax.device_get(_ask(self._controller, self._space, state, drawn.keys, drawn.index))
        memory = _memory.remember_on_host(state.memory, prints, new)
        parents = getattr(inner, 'parents', state.parents)  # where nothing is known of them, they stay -1
        return dna, replaced(state, inner=inner, memory=memory, parents=parents)

    def tell(self, state: DedupState, dna: DNA, fitness: Any) -> DedupState:
        """The controller learns; points that it has not proposed are remembered too."""
        prints = self._space.fingerprint(dna)
        memory = _memory.remember_on_host(state.memory, prints, _memory.new_on_host(state.memory, prints))
        return replaced(state, inner=self._inner.tell(state.inner, dna, fitness), memory=memory)


def keys_of(key: jax.Array) -> jax.Array:
    """Two keys of one ask: for batches of the controller, each by its number, and for random ones."""
    return jax.random.split(key)


@jax.jit
def _first_keys(keys: jax.Array) -> jax.Array:
    return jax.vmap(lambda key: jax.random.fold_in(keys_of(key)[0], 0))(keys)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _ask(controller: Dedup, space: Space, state: DedupState, keys: jax.Array, index: Any) -> tuple[DNA, DedupState]:
    return controller.ask(space, state, keys[index])
