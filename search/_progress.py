"""The display of a running search: a live table in a terminal, a line now and then in a log file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from pgjax.view._words import safe_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    from pgjax.search._study import Study

LOG_SECONDS = 5.0  # between lines where there is no terminal
LIVE_SECONDS = 0.1  # between changes of the table in a terminal


class Progress:
    """Shows generation, best and mean of the objective, compiles and trials per second.

    Args:
      enabled: whether anything is shown.
      console: where; standard output by default.
    """

    def __init__(self, enabled: bool = True, console: Console | None = None):
        self._enabled = enabled
        self._console = console
        self._live: Live | None = None
        self._began = 0.0
        self._logged = 0.0
        self._first = 0
        self._shown = 0
        self._last = 0

    def start(self, study: Study, generations: int) -> None:
        """A run of some generations begins."""
        if self._enabled:
            self._open()
        self._began = time.perf_counter()
        self._logged = self._began - LOG_SECONDS
        self._first = self._shown = len(study.history)
        self._last = study.generation + generations

    def update(self, study: Study, compiles: int) -> None:
        """A generation is done."""
        now = time.perf_counter()
        every = LOG_SECONDS if self._live is None else LIVE_SECONDS
        if not self._enabled or (now - self._logged < every and study.generation != self._last):
            return
        self._logged = now
        row = self._row(study, compiles)
        self._shown = len(study.history)
        if self._live is not None:
            self._live.update(self._table(row))
        else:
            assert self._console is not None
            line = '  '.join(f'{name} {value}' for name, value in row)
            self._console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def finish(self, study: Study) -> None:
        """The run is over; what is shown stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = self._console or Console()
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, transient=False)
            self._live.start()

    def _row(self, study: Study, compiles: int) -> list[tuple[str, str]]:
        name = study.objectives[0].metric
        shown = safe_line(name)
        rows = study.history.since(self._shown)
        finite = rows[f'metric/{name}'][np.isfinite(rows[f'metric/{name}'])]
        failed = ~np.isfinite(rows['fitness']).all(-1)
        best = study.best
        seconds = time.perf_counter() - self._began
        return [
            ('generation', f'{study.generation}/{self._last}'),
            (f'best {shown}', 'none' if best is None else f'{best.metrics[name]:.4g}'),
            (f'mean {shown}', f'{finite.mean():.4g}' if len(finite) else 'none'),
            ('failed', str(int(failed.sum()))),
            ('compiles', str(compiles)),
            ('trials/s', f'{(len(study.history) - self._first) / max(seconds, 1e-9):.1f}'),
        ]

    def _table(self, row: list[tuple[str, str]]) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(expand=False)
        for name, _ in row:
            table.add_column(Text(name), justify='right', style='bold' if name.startswith('best') else None)
        table.add_row(*(value for _, value in row))
        return table
