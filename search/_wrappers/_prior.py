"""A warm start: points that are evaluated before anything else."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError, PgjaxError, show
from pgjax.search._controller import Controller, State, parents_of
from pgjax.space import DNA, Space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PriorState:
    """The state of a controller, and n points to be proposed first.

    Attributes:
      inner: of the controller.
      dna: int32[n, C] and float32[n, F].
      asked: int32[], how many of them were proposed.
      parents: int32[B, K], of the last proposals; -1 for the given points.
    """

    inner: Any
    dna: DNA
    asked: jax.Array
    parents: jax.Array


class Prior(Controller, type_name='pgjax.search.Prior'):
    """A controller whose first proposals are given points, in place of its own; it learns of them as of any other.

    So n of the controller's first points, random ones as a rule, are not evaluated. Around `search.Dedup` it would
    propose the points whether they are known or not; inside, equal points are proposed once.

    Attributes:
      controller: what proposes when the points are used up.
      points: n objects of the space in a list, or a DNA with one leading axis.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> prior = search.Prior(search.Random(batch_size=4), [{'x': 0.25}, {'x': 0.75}])
    >>> study = search.run(
    ...   pg.Dict(x=pg.floatv(0.0, 1.0)), lambda exp, key: {'x': exp.x}, prior, objectives='x', generations=1)
    >>> study.history.metrics['x'][:2].tolist()
    [0.25, 0.75]
    """

    controller: Controller
    points: Any

    if TYPE_CHECKING:

        def __init__(self, controller: Controller, points: Any): ...

    @property
    def batch_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the controller."""
        return self.controller.batch_size

    @property
    def traceable(self) -> bool:
        """As the controller is."""
        return self.controller.traceable

    def resized(self, batch_size: int) -> Self:
        """The same with another batch size of the controller."""
        return self.rebind(controller=self.controller.resized(batch_size), raise_on_no_change=False)

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> PriorState:
        """The points as DNA.

        Raises:
          ControllerError: one of them is no point of the space; the message says which and why.
        """
        inner = self.controller.init(space, key, num_objectives)
        parents = jnp.full_like(parents_of(inner, self.batch_size), -1)
        return PriorState(inner, jax.tree.map(jnp.asarray, self._encoded(space)), jnp.int32(0), parents)

    def _encoded(self, space: Space) -> DNA:
        if isinstance(self.points, DNA):
            host = space.canonical(space.check(self.points))
            if len(host.shape) != 1:
                raise ControllerError(f'Prior.points has leading axes {host.shape}; expected one, of n points.')
            return host
        if not isinstance(self.points, (list, tuple)) or not self.points:
            raise ControllerError(f'Prior.points must be a DNA or a list of objects, got {show(self.points)}.')
        encoded = [_encode(space, index, point) for index, point in enumerate(self.points)]
        return DNA(np.stack([d.choices for d in encoded]), np.stack([d.floats for d in encoded]))

    def ask(self, space: Space, state: PriorState, key: jax.Array) -> tuple[DNA, PriorState]:
        """The next of the points, and the controller's proposals in the rows that are left."""
        own, inner = self.controller.ask(space, state.inner, key)
        number = len(state.dna.choices)
        row = state.asked + jnp.arange(self.batch_size)
        given = row < number
        points = state.dna[jnp.minimum(row, number - 1)]
        dna = jax.tree.map(lambda a, b: jnp.where(given[:, None], a, b), points, own)
        parents = jnp.where(given[:, None], -1, parents_of(inner, self.batch_size))
        asked = jnp.minimum(state.asked + self.batch_size, number)
        return dna, PriorState(inner, state.dna, asked, parents)

    def tell(self, space: Space, state: PriorState, dna: DNA, fitness: Any) -> State:
        """The controller learns."""
        return dataclasses.replace(state, inner=self.controller.tell(space, state.inner, dna, fitness))


def _encode(space: Space, index: int, point: Any) -> DNA:
    try:
        return space.encode(point)
    except PgjaxError as error:
        raise ControllerError(f'Prior.points[{index}]: {error}') from error
