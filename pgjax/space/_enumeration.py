"""The points of a space in order, all of them or those of a grid, by position and without listing the others."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import SpaceError, show
from pgjax.space._dna import DNA
from pgjax.space._order import Genes, Order
from pgjax.space._plan import Layout, Number
from pgjax.space._unrank import Machine, machine, unrank


class Enumeration:
    """The points of a layout without floats, or with `grid`, of `grid` evenly spaced values of each number."""

    def __init__(self, layout: Layout, grid: int | None = None):
        if grid is not None and (isinstance(grid, bool) or not isinstance(grid, (int, np.integer)) or grid < 1):
            raise SpaceError(f'grid: n must be a positive int, got {show(grid)}.')
        self._c, self._f = layout.num_choices, layout.num_floats
        self._grid = grid
        tops = {d.column: (d.arity or 1) - 1 for d in layout.decisions if d.kind == 'int'}
        self._tops = {} if grid is None else {c: top for c, top in tops.items() if top >= grid}  # of spaced ints

        def levels(node: Number) -> int:
            return grid if grid is not None and (node.kind == 'float' or node.arity > grid) else node.arity

        self.order = Order(layout, levels)

    def nth(self, index: int) -> DNA:
        """The point at a position, 0 <= index < size."""
        return self._point(self.order.nth(index))

    def __iter__(self) -> Iterator[DNA]:
        return map(self._point, self.order)

    def nth_of_array(self, index: jax.Array) -> DNA:
        """The points at int32[...] positions, modulo the size; jittable.

        Raises:
          SpaceError: there are too many points, or their order is too irregular.
        """
        table, size = self._machine, self.order.size()
        flat = jnp.asarray(index).reshape(-1) % size
        genes = jax.vmap(lambda i: unrank(table, i.astype(jnp.int32), self._c + self._f))(flat)
        choices, floats = jnp.maximum(genes[:, : self._c], 0), genes[:, self._c :]
        for column, top in self._tops.items():
            values = jnp.array([self._spaced(place, top) for place in range(self._grid or 1)], jnp.int32)
            choices = choices.at[:, column].set(jnp.where(genes[:, column] < 0, 0, values[choices[:, column]]))
        if self._f:
            positions = jnp.array([self._position(place) for place in range(self._grid or 1)], jnp.float32)
            floats = jnp.where(floats < 0, 0.0, positions[floats])
        shape = jnp.shape(index)
        return DNA(choices.reshape(*shape, self._c), floats.astype(jnp.float32).reshape(*shape, self._f))

    @functools.cached_property
    def _machine(self) -> Machine:
        return machine(self.order, self._c + self._f)

    def _point(self, genes: Genes) -> DNA:
        choices = np.zeros(self._c, np.int32)
        floats = np.zeros(self._f, np.float32)
        for gene, place in genes.items():
            if gene >= self._c:
                floats[gene - self._c] = self._position(place)
            else:
                choices[gene] = self._spaced(place, self._tops[gene]) if gene in self._tops else place
        return DNA(choices, floats)

    def _position(self, place: int) -> float:
        """Where in the unit interval a place of the grid is; the only one is in the middle."""
        return 0.5 if not self._grid or self._grid == 1 else place / (self._grid - 1)

    def _spaced(self, place: int, top: int) -> int:
        return round(self._position(place) * top)
