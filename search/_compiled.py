"""The pure core of a search: ask, decode, evaluate and tell as one loop inside one program."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import ControllerError, SpaceError
from pgjax.search._controller import Controller, parents_of, sanitize
from pgjax.search._evaluation import ASK, INIT, Batch, Evaluate, require_function, resolve_batch, trial_key
from pgjax.search._history import History, best_row, front_rows, rows_of
from pgjax.search._keys import require_key
from pgjax.search._objective import Objective, as_objectives, check_metrics
from pgjax.search._settings import require_count
from pgjax.search._single import require_single
from pgjax.search._study_state import check_settings
from pgjax.search._trial import Trial, trial_at
from pgjax.space import DNA, Space, search_space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Result:
    """What a compiled search returns: a pytree, so that searches can be vmapped over keys.

    Then every array has leading axes: use them as they are, or take the results apart by `pg.unstack(result)`.
    `history`, `best` and `front` are of one search, and raise SpaceError for several, and for one that is traced.

    Attributes:
      state: the controller's state after the last generation.
      dna: int32[G, B, C] and float32[G, B, F], every point in order.
      parents: int32[G, B, K], the trials each was made from; -1 for none.
      metrics: float32[G, B] by name.
      fitness: float32[G, B, M], maximized; -inf for failed points.
      space: static.

    >>> import jax, pgjax as pg
    >>> from pgjax import search
    >>> loop = search.compile(
    ...   pg.Dict(x=pg.floatv(0.0, 1.0)), lambda exp, key: {'y': exp.x}, search.Random(batch_size=4), objectives=['y'])
    >>> results = jax.vmap(lambda key: loop(key, 3))(jax.random.split(jax.random.key(0), 5))
    >>> results.fitness.shape, results.dna.floats.shape
    ((5, 3, 4, 1), (5, 3, 4, 1))
    >>> [len(result.history) for result in pg.unstack(results)]
    [12, 12, 12, 12, 12]
    """

    state: Any
    dna: DNA
    parents: jax.Array
    metrics: dict[str, jax.Array]
    fitness: jax.Array
    space: Space = dataclasses.field(metadata={'static': True})

    @property
    def history(self) -> History:
        """The trials of one search as a history, on the host."""
        require_single(self.fitness, 3, 'The history')
        host = jax.tree.map(np.asarray, self)
        history = History()
        size = host.fitness.shape[1]
        for g in range(host.fitness.shape[0]):
            row = jax.tree.map(lambda x, g=g: x[g], (host.dna, host.parents, host.metrics, host.fitness))
            dna, parents, metrics, fitness = row
            made = rows_of(
                first=g * size, generation=g, dna=dna, parents=parents, metrics=metrics, fitness=fitness, seconds=0.0
            )
            history = history.append(made)
        return history

    @property
    def best(self) -> Trial | None:
        """The trial of highest fitness (in the first objective), the earliest of equals; None if all failed."""
        require_single(self.fitness, 3, 'The best trial')
        history = self.history
        row = best_row(history.fitness)
        return None if row is None else trial_at(self.space, history, row)

    @property
    def front(self) -> list[Trial]:
        """The trials that no other beats in every objective."""
        require_single(self.fitness, 3, 'The front')
        history = self.history
        return [trial_at(self.space, history, row) for row in front_rows(history.fitness)]


def compile_search(
    space: Any,
    evaluate: Evaluate,
    controller: Controller,
    *,
    objectives: Objective | str | Sequence[Objective | str],
    tile: int = 16,
    batch: Batch = 'auto',
) -> Callable[[jax.Array, int], Result]:
    """A whole search as a pure function of a key.

    Args:
      space: a `Space` or template without structural decisions.
      evaluate: `evaluate(exp, key)` returns a dict of scalar metrics; pure JAX.
      controller: what proposes points.
      objectives: as for `Study`.
      tile: members evaluated together.
      batch: 'vmap', 'map' or 'auto', as for `Study`.

    Returns:
      `loop(key, generations) -> Result`, to be called, jitted (`static_argnums=1`) or vmapped over keys. With
      the key of a study, `jax.random.key(seed, impl='threefry2x32')`, it makes that study's proposals; values on
      a scale are computed in float32 here and rounded from float64 there, so they may differ in their last bit.
      Keys of other generators, such as 'rbg', it refuses by ControllerError: there results would depend on the layout
      of batches and on the device.

    Raises:
      SpaceError: the space has structural decisions, which one program cannot decide.
      ControllerError: the controller works on the host alone, or a setting makes no sense.
      EvaluatorError: `evaluate` cannot be called so.

    >>> import jax, pgjax as pg
    >>> from pgjax import search
    >>> loop = search.compile(
    ...   pg.Dict(x=pg.oneof([0.0, 1.0, 2.0])), lambda exp, key: {'y': exp.x}, search.Random(batch_size=8),
    ...   objectives=[pg.maximize('y')])
    >>> jax.jit(loop, static_argnums=1)(jax.random.key(0), 3).best.value
    {'x': 2.0}
    """
    check_settings(controller, 0, tile, batch)
    require_function(evaluate, 'evaluate', 'exp', 'key')
    space = search_space(space)
    if space.structural:
        names = ', '.join(d.id for d in space.structural[:5])
        raise SpaceError(
            f'One program cannot decide the structure of what it runs: {names}. '
            'Use search.run or search.Study, which compile one program a structure.'
        )
    if not controller.traceable:
        raise ControllerError(
            f'{type(controller).__name__} works on the host alone and cannot be part of a compiled loop. '
            'Use search.run or search.Study.'
        )
    wanted = as_objectives(objectives)
    evaluate_batch = _batched(space, evaluate, wanted, tile, resolve_batch(batch))

    def loop(key: jax.Array, generations: int) -> Result:
        require_key(key, 'A compiled search')
        require_count(generations, 'generations')
        state = controller.init(space, jax.random.fold_in(key, INIT), len(wanted))

        def step(state: Any, generation: jax.Array) -> tuple[Any, Any]:
            ask_key = jax.random.fold_in(jax.random.fold_in(key, ASK), generation)
            dna, asked = controller.ask(space, state, ask_key)
            size = dna.shape[0]
            metrics = evaluate_batch(dna, generation * size + jnp.arange(size), key)
            fitness = sanitize(jnp.stack([o.fitness(metrics) for o in wanted], axis=-1))
            parents = parents_of(asked, size)
            return controller.tell(space, asked, dna, fitness), (dna, parents, metrics, fitness)

        state, (dna, parents, metrics, fitness) = jax.lax.scan(step, state, jnp.arange(generations))
        return Result(state, dna, parents, metrics, fitness, space)

    return loop


def _batched(
    space: Space, evaluate: Evaluate, objectives: Sequence[Objective], tile: int, batch: str
) -> Callable[..., dict[str, jax.Array]]:
    """Metrics float32[B] of B points, in tiles of a fixed size."""

    def one(member: tuple[DNA, jax.Array, jax.Array]) -> dict[str, jax.Array]:
        dna, trial, key = member
        metrics = check_metrics(evaluate(space.decode(dna), trial_key(key, trial)), objectives)
        return {name: jnp.asarray(value, jnp.float32) for name, value in metrics.items()}

    def many(dna: DNA, trials: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        size = len(trials)
        tiles = jax.tree.map(lambda x: _tiled(x, tile), (dna, trials))
        of_one_key = lambda member: one((*member, key))  # noqa: E731  a name for what map and vmap share
        run = jax.vmap(of_one_key) if batch == 'vmap' else lambda members: jax.lax.map(of_one_key, members)
        metrics = jax.lax.map(run, tiles)
        return {name: value.reshape(-1)[:size] for name, value in metrics.items()}

    return many


def _tiled(rows: jax.Array, tile: int) -> jax.Array:
    """[T, tile, ...]: rows in tiles, the first row in place of those missing from the last."""
    missing = -len(rows) % tile
    rows = jnp.concatenate([rows, jnp.repeat(rows[:1], missing, 0)]) if missing else rows
    return rows.reshape(len(rows) // tile, tile, *rows.shape[1:])
