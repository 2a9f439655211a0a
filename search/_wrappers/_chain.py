"""One controller after the other."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError
from pgjax.search._controller import Controller, State, parents_of, require
from pgjax.search._wrappers._inner import refuse_host, widened
from pgjax.space import DNA, Space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ChainState:
    """The states of all controllers.

    Attributes:
      inner: one for each controller.
      asked: int32[], how many points were proposed, counted up to the last change.
      parents: int32[B, K], of the last proposals.
    """

    inner: tuple[Any, ...]
    asked: jax.Array
    parents: jax.Array


class Chain(Controller, type_name='pgjax.search.Chain'):
    """Controllers that take turns once: each proposes its number of points, the last one all others.

    A number is rounded up to whole batches. All of them learn from all points from the first on, until their turn is
    over: so the second begins with what the first has found, be it a grid and then evolution or random points and then
    a model.

    Attributes:
      controllers: in their order, of one batch size.
      numbers: how many points each but the last proposes.

    >>> from pgjax import search
    >>> search.Chain([search.Random(batch_size=16), search.RegularizedEvolution(batch_size=16)], [64]).batch_size
    16
    """

    controllers: list[Controller]
    numbers: list[int]

    if TYPE_CHECKING:

        def __init__(self, controllers: Sequence[Controller], numbers: Sequence[int]): ...

    @property
    def batch_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of each controller."""
        return self.controllers[0].batch_size

    def resized(self, batch_size: int) -> Self:
        """The same with another batch size of each controller."""
        return self.rebind(controllers=[c.resized(batch_size) for c in self.controllers], raise_on_no_change=False)

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> ChainState:
        """The first states of all of them."""
        refuse_host(self, self.controllers)
        allowed = f'one number of at least 1 for each of {len(self.controllers)} controllers but the last'
        fits = len(self.numbers) == len(self.controllers) - 1 and all(n >= 1 for n in self.numbers)
        require(fits, self, 'numbers', allowed)
        sizes = [c.batch_size for c in self.controllers]
        if len(set(sizes)) > 1:
            raise ControllerError(f'Chain: the controllers have batch sizes {sizes}; give them one batch size.')
        keys = jax.random.split(key, len(self.controllers))
        inner = tuple(c.init(space, k, num_objectives) for c, k in zip(self.controllers, keys, strict=True))
        width = max(parents_of(s, self.batch_size).shape[1] for s in inner)
        return ChainState(inner, jnp.int32(0), jnp.full((self.batch_size, width), -1, jnp.int32))

    def ask(self, space: Space, state: ChainState, key: jax.Array) -> tuple[DNA, ChainState]:
        """The proposals of the one whose turn it is."""
        asks = [self._asks(space, number) for number in range(len(state.inner))]
        dna, inner, parents = jax.lax.switch(self._turn(state), asks, state, key)
        return dna, ChainState(inner, jnp.minimum(state.asked + self.batch_size, sum(self.numbers)), parents)

    def _turn(self, state: ChainState) -> jax.Array:
        """int32[], which controller the next points are from."""
        until = np.cumsum(np.array(self.numbers, np.int32), dtype=np.int32)
        return jnp.sum(state.asked >= until, dtype=jnp.int32)

    def _asks(self, space: Space, number: int) -> Callable[..., Any]:
        def ask(state: ChainState, key: jax.Array) -> tuple[DNA, tuple[Any, ...], jax.Array]:
            dna, made = self.controllers[number].ask(space, state.inner[number], key)
            inner = (*state.inner[:number], made, *state.inner[number + 1 :])
            return dna, inner, widened(parents_of(made, self.batch_size), state.parents.shape[1])

        return ask

    def tell(self, space: Space, state: ChainState, dna: DNA, fitness: Any) -> State:
        """All whose turn is not over learn."""
        *others, last = (functools.partial(c.tell, space) for c in self.controllers)
        turn = self._turn(state)
        inner = [
            jax.lax.cond(turn <= number, tell, lambda known, *_: known, known, dna, fitness)
            for number, (tell, known) in enumerate(zip(others, state.inner, strict=False))
        ]
        return dataclasses.replace(state, inner=(*inner, last(state.inner[-1], dna, fitness)))
