"""Several controllers side by side."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError
from pgjax.search._controller import Controller, State, parents_of, require
from pgjax.search._wrappers._inner import refuse_host, widened
from pgjax.space import DNA, Space, concatenate

_CUTS = 16


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PortfolioState:
    """The states of all controllers.

    Attributes:
      inner: one for each controller.
      told: int32[], the number of points told so far.
      cuts: int32[CUTS, 1 + N], where batches began anew because the one before was told in part, the last ones: after
        so many points of all, and so many of each of N controllers.
      parents: int32[B, K], of the last proposals; -1 also for trials from before all cuts that are known.
    """

    inner: tuple[Any, ...]
    told: jax.Array
    cuts: jax.Array
    parents: jax.Array


class Portfolio(Controller, type_name='pgjax.search.Portfolio'):
    """Controllers each of which proposes a part of every batch, as large as its own batch size.

    Attributes:
      controllers: those of them that come first have the first rows of a batch.
      share: whether each learns from all points, or from its own rows alone. Controllers that follow the gradient
        of their own proposals, such as policies and evolution strategies, need their own. Told points are known by
        their rows: they must come in the order of `ask`.

    >>> from pgjax import search
    >>> search.Portfolio([search.Random(batch_size=4), search.RegularizedEvolution(batch_size=12)]).batch_size
    16
    """

    controllers: list[Controller]
    share: bool = True

    if TYPE_CHECKING:

        def __init__(self, controllers: Sequence[Controller], share: bool = ...): ...

    @property
    def batch_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The sum of those of the controllers."""
        return sum(c.batch_size for c in self.controllers)

    def resized(self, batch_size: int) -> Self:
        """The same with shares of another batch size, in proportion as near as can be.

        Raises:
          ControllerError: a controller would have no row.
        """
        edges = [round(batch_size * edge / self.batch_size) for edge in self._edges]
        shares = [last - first for first, last in itertools.pairwise(edges)]
        if min(shares) < 1:
            raise ControllerError(
                f'Portfolio: a batch of {batch_size} has no row for each of {len(shares)} controllers.'
            )
        parts = [c.resized(share) for c, share in zip(self.controllers, shares, strict=True)]
        return self.rebind(controllers=parts, raise_on_no_change=False)

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> PortfolioState:
        """The first states of all of them."""
        refuse_host(self, self.controllers)
        require(len(self.controllers) >= 1, self, 'controllers', 'at least one')
        keys = jax.random.split(key, len(self.controllers))
        inner = tuple(c.init(space, k, num_objectives) for c, k in zip(self.controllers, keys, strict=True))
        cuts = jnp.zeros((_CUTS, 1 + len(inner)), jnp.int32)
        return PortfolioState(inner, jnp.int32(0), cuts, jnp.full_like(self._parents(inner, cuts), -1))

    def ask(self, space: Space, state: PortfolioState, key: jax.Array) -> tuple[DNA, PortfolioState]:
        """The proposals of all, one after the other."""
        keys = jax.random.split(key, len(self.controllers))
        asked = [c.ask(space, s, k) for c, s, k in zip(self.controllers, state.inner, keys, strict=True)]
        inner = tuple(made for _, made in asked)
        parents = self._parents(inner, state.cuts)
        return concatenate([dna for dna, _ in asked]), dataclasses.replace(state, inner=inner, parents=parents)

    def tell(self, space: Space, state: PortfolioState, dna: DNA, fitness: Any) -> State:
        """Each learns from all points, or from those of its rows; points beyond a batch belong to the next one."""
        told = state.told + len(fitness)
        state = dataclasses.replace(state, told=told, cuts=self._cut(state.cuts, told, len(fitness)))
        if self.share:
            pairs = zip(self.controllers, state.inner, strict=True)
            return dataclasses.replace(state, inner=tuple(c.tell(space, s, dna, fitness) for c, s in pairs))
        inner = list(state.inner)
        for begin in range(0, len(fitness), self.batch_size):
            for number, (first, last) in enumerate(itertools.pairwise(self._edges)):
                rows = slice(begin + first, min(begin + last, len(fitness)))
                if rows.start < rows.stop:
                    controller = self.controllers[number]
                    inner[number] = controller.tell(space, inner[number], dna[rows], fitness[rows])
        return dataclasses.replace(state, inner=tuple(inner))

    @property
    def _edges(self) -> list[int]:
        """The first row of each controller, and B."""
        return [0, *itertools.accumulate(c.batch_size for c in self.controllers)]

    def _cut(self, cuts: jax.Array, told: jax.Array, number: int) -> jax.Array:
        """The cuts after telling so many points: one more if the last batch of them is not whole."""
        part = number % self.batch_size
        if not part:
            return cuts
        edges = np.array(self._edges)
        batches = (told - cuts[-1, 0]) // self.batch_size
        shares = batches * np.diff(edges) + np.diff(np.minimum(edges, part))
        cut = jnp.concatenate([told[None], cuts[-1, 1:] + shares]).astype(jnp.int32)
        return jnp.concatenate([cuts[1:], cut[None]])

    def _parents(self, inner: tuple[Any, ...], cuts: jax.Array) -> jax.Array:
        """int32[B, K], the parents of all rows."""
        found = [parents_of(s, c.batch_size) for c, s in zip(self.controllers, inner, strict=True)]
        if not self.share:
            found = [self._of_all(cuts, number, parents) for number, parents in enumerate(found)]
        width = max(parents.shape[1] for parents in found)
        return jnp.concatenate([widened(parents, width) for parents in found])

    def _of_all(self, cuts: jax.Array, number: int, parents: jax.Array) -> jax.Array:
        """Parents as trials of all, int32[n, K]: a controller that is told its own rows counts those alone."""
        cut = (parents[..., None] >= cuts[:, 1 + number]).sum(-1) - 1  # the last one before the parent
        since, own = parents - cuts[cut, 1 + number], self.controllers[number].batch_size
        trial = cuts[cut, 0] + since // own * self.batch_size + self._edges[number] + since % own
        return jnp.where(cut < 0, -1, trial)
