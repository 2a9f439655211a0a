"""`search.run`: a search in memory, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from pgjax.search._controller import Controller
from pgjax.search._evaluation import Batch, Evaluate
from pgjax.search._objective import Objective
from pgjax.search._study import Study


def run(
    space: Any,
    evaluate: Evaluate,
    controller: Controller,
    *,
    objectives: Objective | str | Sequence[Objective | str],
    generations: int,
    seed: int = 0,
    tile: int = 16,
    batch: Batch = 'auto',
    mesh: jax.sharding.Mesh | None = None,
    progress: bool = False,
) -> Study:
    """Searches in memory; the arguments are those of `Study` and `Study.run`.

    Returns:
      The study: `.best`, `.front`, `.history`, `.state`.

    Raises:
      As `Study` and `Study.run`.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> result = search.run(
    ...   pg.Dict(x=pg.oneof([1.0, 2.0, 3.0])), lambda exp, key: {'loss': exp.x}, search.Random(batch_size=8),
    ...   objectives=[pg.minimize('loss')], generations=2)
    >>> result.best.value
    {'x': 1.0}
    """
    study = Study(space, controller, objectives=objectives, seed=seed, tile=tile, batch=batch, mesh=mesh)
    return study.run(evaluate, generations, progress=progress)
