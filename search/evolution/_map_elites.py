"""MAP-Elites: the best point of every kind, where descriptors say what kind a point is."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError
from pgjax.search._controller import SMALLEST_NORMAL, Controller, State, blank, is_within, require, sanitize
from pgjax.search._keys import require_key
from pgjax.search.evolution._seeding import mutants
from pgjax.space import DNA, Space
from pgjax.space._threefry import uniform
from pgjax.symbolic import field

_SAMPLES_PER_CELL = 25  # of the descriptor space, from which centroids are made
_LLOYD_STEPS = 20


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MapElitesState:
    """An archive of N cells over K descriptors.

    Attributes:
      dna: int32[N, C] and float32[N, F].
      fitness: float32[N], -inf in an empty cell.
      descriptors: float32[N, K], of the elites; 0 in an empty cell.
      trial: int32[N], the id of the elite's trial; -1 in an empty cell.
      centroids: float32[N, K], the middle of each cell, in descriptors.
      asked: int32[], the number of points asked for so far.
      told: int32[], the number of points told so far.
      parents: int32[B, 1], the trials from which the last batch was made; -1 for random points.
    """

    dna: DNA
    fitness: jax.Array
    descriptors: jax.Array
    trial: jax.Array
    centroids: jax.Array
    asked: jax.Array
    told: jax.Array
    parents: jax.Array

    @property
    def filled(self) -> jax.Array:
        """bool[N], the cells that have an elite."""
        return self.fitness > -jnp.inf

    @property
    def coverage(self) -> jax.Array:
        """float32[], the part of the cells that have an elite."""
        return self.filled.mean()

    def qd_score(self, offset: Any = 0.0) -> jax.Array:
        """float32[], the sum over elites of fitness - offset; `offset` should be the worst possible fitness."""
        return jnp.where(self.filled, self.fitness - offset, 0.0).sum()


class MapElites(Controller, type_name='pgjax.search.MapElites'):
    """MAP-Elites (Mouret and Clune, 2015, https://arxiv.org/abs/1504.04909): an archive of elites, one a cell.

    **The first objective is fitness; the others are descriptors**, in the order of `bounds`: evaluators return them
    as metrics, and `objectives=[pg.maximize('fitness'), pg.maximize('height'), pg.maximize('weight')]` says which
    ones. Write `maximize` for a descriptor, whatever it is: that leaves its sign alone. A study's `best` is the point
    of highest fitness; its archive is `study.state` (`filled`, `dna`, `descriptors`, `coverage`, `qd_score`), and
    `study.front` has no meaning here.

    The first `initial_size` points are random; those that others found count too. Then each child is a mutation of an
    elite, drawn uniformly from the filled cells. A point takes the cell of its descriptors if it is better than the
    elite there; of equals the earlier one stays. Descriptors out of bounds count as the nearest cell's.

    Cells are a grid with `bins` along each descriptor, or, where `cells` is given, the Voronoi cells of that many
    centroids, spread evenly by Lloyd's algorithm from the key of `init` (CVT-MAP-Elites, Vassiliades et al., 2018,
    https://arxiv.org/abs/1610.05729), whose number does not grow with that of descriptors.

    Departure from the papers: `batch_size` children are made from one archive before any of them is told.

    Attributes:
      batch_size: B, children per `ask`.
      bounds: the range of each descriptor.
      bins: the number of cells along each descriptor, or one number for all.
      cells: the number of centroids; None for a grid.
      initial_size: random points in the beginning.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> study = search.run(
    ...   pg.Dict(x=pg.floatv(0.0, 1.0)), lambda exp, key: {'f': -exp.x, 'x': exp.x},
    ...   search.MapElites(bounds=[(0.0, 1.0)], bins=4, batch_size=16, initial_size=16),
    ...   objectives=['f', 'x'], generations=2)
    >>> (study.state.descriptors[:, 0] * 4).astype(int).tolist()
    [0, 1, 2, 3]
    """

    batch_size: int = 64
    bounds: list[tuple[float, float]] = field(default=((0.0, 1.0), (0.0, 1.0)))
    bins: int | list[int] = 16
    cells: int | None = None
    initial_size: int = 64

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> MapElitesState:
        """An empty archive."""
        require_key(key, self)
        self._check(num_objectives)
        centroids = self._spread(key) if self.cells else self._grid_middles()
        size = len(centroids)
        return MapElitesState(
            dna=blank(space, size),
            fitness=jnp.full(size, -jnp.inf, jnp.float32),
            descriptors=jnp.zeros((size, len(self.bounds)), jnp.float32),
            trial=jnp.full(size, -1, jnp.int32),
            centroids=centroids,
            asked=jnp.int32(0),
            told=jnp.int32(0),
            parents=jnp.full((self.batch_size, 1), -1, jnp.int32),
        )

    def ask(self, space: Space, state: MapElitesState, key: jax.Array) -> tuple[DNA, MapElitesState]:
        """B points: random until `initial_size` were asked for or told, or with no cell filled; then children."""
        require_key(key, self)
        random_key, select_key, mutate_key = jax.random.split(key, 3)
        size = self.batch_size
        number = jnp.cumsum(state.filled)  # the k-th filled cell is the first with k + 1 filled ones up to it
        drawn = jax.random.randint(select_key, (size,), 0, jnp.maximum(number[-1], 1), jnp.int32)
        cells = jnp.minimum(jnp.searchsorted(number, drawn, side='right'), len(number) - 1)
        return mutants(space, random_key, mutate_key, state, cells, until=self.initial_size)

    def tell(self, space: Space, state: MapElitesState, dna: DNA, fitness: Any) -> State:
        """The best new point of each cell takes it, if it is better than the elite."""
        del space
        values = sanitize(fitness)
        number, size = len(values), len(state.fitness)
        rows, score, descriptors = jnp.arange(number), values[:, 0], values[:, 1:]
        cell = self.cell_of(state, descriptors)
        best = state.fitness.at[cell].max(score)
        rivals = (score == best[cell]) & (score > state.fitness[cell])
        first = jnp.full(size, number).at[jnp.where(rivals, cell, size)].min(rows, mode='drop')
        target = jnp.where(first[cell] == rows, cell, size)  # those who do not win are written nowhere

        def put(old: jax.Array, new: Any) -> jax.Array:
            return old.at[target].set(jnp.asarray(new), mode='drop')

        return dataclasses.replace(
            state,
            dna=jax.tree.map(put, state.dna, dna),
            fitness=put(state.fitness, score),
            descriptors=put(state.descriptors, descriptors),
            trial=put(state.trial, (state.told + rows).astype(jnp.int32)),
            told=state.told + number,
        )

    def cell_of(self, state: MapElitesState, descriptors: Any) -> jax.Array:
        """int32[n], the cell of each of float32[n, K] descriptors."""
        position = jnp.nan_to_num(jnp.clip(self._unit(jnp.asarray(descriptors)), 0.0, 1.0))
        if self.cells:
            return _nearest(position, self._unit(state.centroids))
        bins = np.array(self._bins())
        index = jnp.minimum((position * bins).astype(jnp.int32), bins - 1)
        return index @ np.array([math.prod(bins[k + 1 :]) for k in range(len(bins))], np.int32)

    def _check(self, num_objectives: int) -> None:
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.initial_size >= 1, self, 'initial_size', 'at least 1')
        require(len(self.bounds) >= 1, self, 'bounds', 'one (low, high) a descriptor')
        wide = all(is_within(low, -math.inf) and is_within(high - low, SMALLEST_NORMAL) for low, high in self.bounds)
        require(wide, self, 'bounds', 'finite numbers (low, high) with low < high')
        if self.cells is None:
            allowed = f'one positive number, or one for each of the {len(self.bounds)} descriptors'
            require(len(self._bins()) == len(self.bounds) and min(self._bins()) >= 1, self, 'bins', allowed)
        else:
            require(self.cells >= 1, self, 'cells', 'at least 1, or None for a grid')
        if num_objectives != 1 + len(self.bounds):
            raise ControllerError(
                f'MapElites takes the first objective as fitness and one further objective for each of its '
                f'{len(self.bounds)} descriptors, {1 + len(self.bounds)} in all; got {num_objectives}. '
                'Add the descriptors to objectives, or change bounds.'
            )

    def _bins(self) -> list[int]:
        return [self.bins] * len(self.bounds) if isinstance(self.bins, int) else list(self.bins)

    def _unit(self, descriptors: jax.Array) -> jax.Array:
        """Descriptors as positions between their bounds."""
        low, high = (jnp.stack([jnp.asarray(b[end], jnp.float32) for b in self.bounds]) for end in (0, 1))
        return (descriptors - low) / (high - low)

    def _from_unit(self, position: jax.Array) -> jax.Array:
        low, high = (jnp.stack([jnp.asarray(b[end], jnp.float32) for b in self.bounds]) for end in (0, 1))
        return low + position * (high - low)

    def _grid_middles(self) -> jax.Array:
        middles = [(np.arange(n, dtype=np.float32) + 0.5) / n for n in self._bins()]
        return self._from_unit(
            jnp.asarray(np.stack(np.meshgrid(*middles, indexing='ij'), -1).reshape(-1, len(middles)))
        )

    def _spread(self, key: jax.Array) -> jax.Array:
        cells = self.cells or 0
        return self._from_unit(spread_evenly(key, cells, len(self.bounds)))


def spread_evenly(key: jax.Array, number: int, dimensions: int) -> jax.Array:
    """float32[number, dimensions]: the centroids of a Voronoi tessellation of the unit cube, by Lloyd's algorithm."""
    points = uniform(key, (number * _SAMPLES_PER_CELL, dimensions))

    def step(_: Any, centroids: jax.Array) -> jax.Array:
        owner = _nearest(points, centroids)
        count = jnp.zeros(number, jnp.float32).at[owner].add(1.0)
        total = jnp.zeros_like(centroids).at[owner].add(points)
        return jnp.where(count[:, None] > 0, total / jnp.maximum(count, 1.0)[:, None], centroids)

    return jax.lax.fori_loop(0, _LLOYD_STEPS, step, points[:number])


def _nearest(points: jax.Array, centroids: jax.Array) -> jax.Array:
    """int32[n], the centroid nearest to each point; of equally near ones the first."""
    distance = (centroids**2).sum(-1) - 2.0 * jnp.matmul(points, centroids.T, precision='highest')
    return jnp.argmin(distance, axis=-1)
