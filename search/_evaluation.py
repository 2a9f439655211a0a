"""Evaluates populations: one compiled program per structure, members in tiles of a fixed size.

XLA chooses other kernels, and so other last bits, for other batch sizes. Every tile has the same number of
members, dead ones filled in, so a member's metrics do not depend on who else is evaluated, in which order, or on
how many devices.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import inspect
import os
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import EvaluatorError, FitnessError, PgjaxError, shorten
from pgjax.search._objective import Objective, check_metrics
from pgjax.search._topology import is_shared, mesh_of
from pgjax.space import DNA, Space
from pgjax.symbolic._traced import note_traced, words_of

Evaluate = Callable[[Any, jax.Array], Any]
Batch = Literal['auto', 'vmap', 'map']
TRIAL = zlib.crc32(b'trial')  # what a key is folded with says what it is for
ASK = zlib.crc32(b'ask')
INIT = zlib.crc32(b'init')


def trial_key(key: jax.Array, trial: Any) -> jax.Array:
    """The key of a trial: from the study's key and the trial's id alone."""
    return jax.random.fold_in(jax.random.fold_in(key, TRIAL), trial)


def resolve_batch(batch: Batch) -> Literal['vmap', 'map']:
    """How members of a tile run: side by side on an accelerator, one after the other on a CPU."""
    if batch == 'auto':
        return 'map' if jax.default_backend() == 'cpu' else 'vmap'
    return batch


@dataclasses.dataclass(frozen=True, eq=False)
class _Tile:
    """Members that run together.

    Attributes:
      rows: int[alive], where in the population their metrics go.
      structure: what its program is kept under.
      members: the experiment with a leading axis of one tile a device.
      trials: int32[tile * devices], their ids.
    """

    rows: np.ndarray
    structure: Any
    members: Any
    trials: np.ndarray


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def require_function(function: Any, what: str, *arguments: str) -> None:
    """Raises EvaluatorError for what cannot be called with these arguments; `what` is its name in the message."""
    given = ', '.join(arguments)
    if not callable(function):
        raise EvaluatorError(f'{what} must be a function of ({given}), got {type(function).__name__}.')
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of extension modules: they are called as they are
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise EvaluatorError(
            f'{what} is called as {what}({given}), and takes {signature}: {error}. Take them all, used or not.'
        ) from error


class Evaluator:
    """Runs `evaluate` over populations: one program for each structure, kept for as long as the evaluator lives.

    Args:
      evaluate: `evaluate(exp, key)` returns a dict of scalar metrics; pure JAX.
      objectives: the metrics that must be among them.
      tile: how many members run together on each device.
      batch: how they run: 'vmap' side by side, 'map' one after the other.
      mesh: of the one axis 'pop'; the first device by default.

    Raises:
      EvaluatorError: `evaluate` cannot be called so.
      TopologyError: the mesh has other axes, or no device of this process.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        objectives: Sequence[Objective],
        *,
        tile: int = 16,
        batch: Literal['vmap', 'map'] = 'vmap',
        mesh: jax.sharding.Mesh | None = None,
    ):
        require_function(evaluate, 'evaluate', 'exp', 'key')
        self._programs: dict[Any, Any] = {}
        self._evaluate = evaluate
        self._objectives = tuple(objectives)
        self._tile = tile
        self._batch = batch
        self._mesh = mesh_of(mesh)
        rows = jax.sharding.PartitionSpec('pop')
        to_all = jax.sharding.NamedSharding(self._mesh, jax.sharding.PartitionSpec())
        self._run = jax.jit(
            jax.shard_map(
                self._run_tile,
                mesh=self._mesh,
                in_specs=(rows, rows, jax.sharding.PartitionSpec()),
                out_specs=rows,
                check_vma=False,  # user code may hold loops whose carries start unsharded
            ),
            out_shardings=to_all if is_shared(self._mesh) else None,  # what other processes have cannot be read
        )

    @property
    def compiles(self) -> int:
        """The number of programs compiled so far: one a distinct structure."""
        return len(self._programs)

    def __call__(self, space: Space, dna: DNA, trials: np.ndarray, key: jax.Array) -> dict[str, np.ndarray]:
        """The metrics of B points.

        Args:
          space: of the points.
          dna: B points on the host.
          trials: int[B], their ids, from which their keys derive.
          key: the study's key.

        Returns:
          float arrays [B] by metric name, in the order of `dna`.

        Raises:
          FitnessError: `evaluate` does not return scalar metrics, or not the same ones for every structure.
          EvaluatorError: `evaluate` raised, or its program failed; the original error is its cause.
        """
        tiles = [tile for group in space.groups(dna) for tile in self._tiles(group.indices, group.population, trials)]
        self._compile(tiles, space, dna, key)
        try:
            waiting = [(t.rows, self._programs[t.structure](t.members, t.trials, key)) for t in tiles]
            return _gather(waiting, len(dna))
        except jax.errors.JaxRuntimeError as error:  # a callback has raised, or memory has run out
            raise EvaluatorError(
                f'evaluate failed as it ran, for some of trials {trials[0]} to {trials[-1]}: {shorten(str(error), 300)}'
            ) from error

    def _tiles(self, indices: np.ndarray, population: Any, trials: np.ndarray) -> list[_Tile]:
        """Whole tiles, one for each device; the group's first member stands in for those that the last tile lacks."""
        size = self._tile * self._mesh.size
        leaves, treedef = jax.tree.flatten(population)
        host = [leaf if _is_key(leaf) else np.asarray(leaf) for leaf in leaves]
        tiles = []
        for start in range(0, len(indices), size):
            alive = min(size, len(indices) - start)
            rows = np.zeros(size, int)
            rows[:alive] = np.arange(start, start + alive)
            members = [leaf[rows] for leaf in host]
            structure = treedef, tuple((leaf.shape, leaf.dtype) for leaf in members)
            tiles.append(
                _Tile(
                    indices[rows[:alive]], structure, treedef.unflatten(members), trials[indices[rows]].astype(np.int32)
                )
            )
        return tiles

    def _compile(self, tiles: list[_Tile], space: Space, dna: DNA, key: jax.Array) -> None:
        """Programs for structures not seen before: traced one after the other, compiled side by side."""
        new = {t.structure: t for t in tiles if t.structure not in self._programs}
        lowered = {structure: self._lower(tile, space, dna, key) for structure, tile in new.items()}
        if lowered:
            with concurrent.futures.ThreadPoolExecutor(min(len(lowered), os.cpu_count() or 1)) as threads:
                programs = threads.map(lambda program: program.compile(), lowered.values())
                self._programs.update(zip(lowered, programs, strict=True))

    def _lower(self, tile: _Tile, space: Space, dna: DNA, key: jax.Array) -> jax.stages.Lowered:
        try:
            return self._run.lower(tile.members, tile.trials, key)
        except PgjaxError:
            raise
        except Exception as error:  # user code: anything may come
            exp = space.decode(dna[tile.rows[0]])
            raise EvaluatorError(
                f'evaluate raised {type(error).__name__} for trials {sorted(set(tile.trials.tolist()))[:8]}, '
                f'structure {exp!r}: {words_of(error)}'
            ) from error

    def _run_tile(self, population: Any, trials: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        """One device's tile."""

        def one(member: tuple[Any, jax.Array]) -> dict[str, jax.Array]:
            exp, trial = member
            try:
                metrics = check_metrics(self._evaluate(exp, trial_key(key, trial)), self._objectives)
            except Exception as error:
                note_traced(error, exp)
                raise
            return {name: jnp.asarray(value, jnp.float32) for name, value in metrics.items()}

        members = (population, trials)
        return jax.vmap(one)(members) if self._batch == 'vmap' else jax.lax.map(one, members)


def _gather(waiting: list[tuple[np.ndarray, Any]], number: int) -> dict[str, np.ndarray]:
    """The results of all tiles in the order of the population."""
    names = sorted(waiting[0][1])
    metrics = {name: np.full(number, np.nan, np.float32) for name in names}
    for rows, result in waiting:
        if sorted(result) != names:
            raise FitnessError(
                f'evaluate must return the same metrics for every structure; got {sorted(result)} and {names}.'
            )
        for name in names:
            metrics[name][rows] = np.asarray(result[name])[: len(rows)]
    return metrics


class Clock:
    """Seconds since it was made or last read."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last call."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        return seconds
