"""Who is told how a run goes on: a protocol of three methods, and TensorBoard as one who follows it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pgjax._errors import missing_extra

if TYPE_CHECKING:
    from pgjax.search._study import Study


class Logger(Protocol):
    """Follows a run: `study.run(..., loggers=[mine])`. What it does cannot change the study.

    Any object with these three methods is one; it need not derive from this class.

    >>> import pgjax as pg
    >>> from pgjax import search
    >>> class Bests:
    ...   def start(self, study, generations):
    ...     self.ids = []
    ...   def update(self, study, compiles):
    ...     self.ids.append(study.best.id)
    ...   def finish(self, study):
    ...     print(len(self.ids), 'generations')
    >>> study = search.Study([pg.oneof([1.0, 2.0])], search.Random(batch_size=2), objectives='y')
    >>> study = study.run(lambda exp, key: {'y': exp[0]}, 3, progress=False, loggers=[Bests()])
    3 generations
    """

    def start(self, study: Study, generations: int) -> None:
        """A run of some more generations begins."""
        ...

    def update(self, study: Study, compiles: int) -> None:
        """A generation is done; `compiles` programs have been compiled so far."""
        ...

    def finish(self, study: Study) -> None:
        """The run is over, because it is done or was stopped, or on an error."""
        ...


class TensorBoardLogger:
    """Writes curves over generations that TensorBoard shows. Needs the extra `tensorboard`.

    For each metric the best, mean and worst of the generation; the best so far of each objective; failures, and the
    number of compiled programs.

    Args:
      folder: where to; TensorBoard compares the folders beside each other.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self._folder = os.fspath(folder)
        self._writer: Any = None
        self._seen = 0

    def start(self, study: Study, generations: int) -> None:
        """Opens the folder.

        Raises:
          MissingExtraError: tensorboardX is not installed.
        """
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise missing_extra('search.TensorBoardLogger', 'tensorboardX', 'tensorboard') from None
        self._writer = SummaryWriter(self._folder)
        self._seen = len(study.history)

    def update(self, study: Study, compiles: int) -> None:
        """Adds a point to each curve."""
        rows, step = study.history.since(self._seen), study.generation
        self._seen = len(study.history)
        for column, values in rows.items():
            kind, _, name = column.partition('/')
            finite = values[np.isfinite(values)] if kind == 'metric' else values[:0]
            if len(finite):
                self._write(
                    step, {f'{name}/mean': finite.mean(), f'{name}/min': finite.min(), f'{name}/max': finite.max()}
                )
        best = study.best
        if best is not None:
            self._write(step, {f'best/{o.metric}': best.metrics[o.metric] for o in study.objectives})
        failed = int((~np.isfinite(rows['fitness']).all(-1)).sum())
        self._write(step, {'search/failed': failed, 'search/trials': self._seen, 'search/compiles': compiles})

    def finish(self, study: Study) -> None:
        """Closes the folder."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, step: int, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, float(value), step)
