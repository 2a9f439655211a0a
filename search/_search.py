"""A whole search as one symbolic object: it can be printed, patched, stored and run."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any, Literal

from annotated_types import Ge

from pgjax.search._controller import Controller
from pgjax.search._objective import Objective
from pgjax.search._study import Study
from pgjax.symbolic import Object, field


class Search(Object, type_name='pgjax.search.Search'):
    """What to search, how, and for how long.

    Everything that `Study` and `Study.run` are given, as a value: so a search, too, is edited by paths and patches
    (`search.rebind({'controller.tournament_size': 8})`), and run from the command line.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> bowl = search.Search(
    ...   template=pg.Dict(x=pg.oneof([1.0, 2.0])), evaluate=lambda exp, key: {'loss': exp.x},
    ...   controller=search.Random(batch_size=8), objectives=[pg.minimize('loss')], generations=1)
    >>> bowl.run(progress=False).best.value
    {'x': 1.0}
    """

    template: Any = field(doc='an object with holes')
    evaluate: Callable[..., Any] = field(doc='(experiment, key) -> metrics')
    controller: Controller = field(doc='what proposes experiments')
    objectives: list[str | Objective] = field(doc='metrics and which way is better; names are maximized')
    generations: Annotated[int, Ge(0)] = field(default=10, doc='how many to run')
    seed: Annotated[int, Ge(0)] = field(default=0, doc='of all randomness')
    tile: Annotated[int, Ge(1)] = field(default=16, doc='members evaluated together')
    batch: Literal['auto', 'vmap', 'map'] = field(default='auto', doc='how the members of a tile run')

    def study(self, path: str | os.PathLike[str] | None = None, *, create: bool = True) -> Study:
        """The study of this search: a new one, or the one at `path`.

        Args:
          path: a directory to keep it in.
          create: whether `path` may be made.

        Raises:
          As `Study`.
        """
        return Study(
            self.template,
            self.controller,
            objectives=list(self.objectives),
            seed=self.seed,
            path=path,
            tile=self.tile,
            batch=self.batch,
            create=create,
        )

    def run(self, path: str | os.PathLike[str] | None = None, *, progress: bool = True) -> Study:
        """Runs `generations` more of the study that is, or will be, kept at `path`."""
        return self.study(path).run(self.evaluate, self.generations, progress=progress)
