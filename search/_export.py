"""The trials of a study for other tools: pandas, CSV, JSON lines, Optuna."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pgjax._errors import missing_extra
from pgjax.io import write_atomic
from pgjax.search._history import TrialStatus
from pgjax.search._measurement import from_note
from pgjax.space import DNA, Decision

if TYPE_CHECKING:
    import optuna

    from pgjax.search._study import Study

PLAIN = (str, int, float, bool, type(None))  # what stands for itself in a table


def records(study: Study) -> Iterator[dict[str, Any]]:
    """Each trial as JSON values: decisions by name where they are used, metrics (None for NaN), note."""
    history, decisions, metrics = study.history, _decisions(study), study.history.metrics
    for row in range(len(history)):
        number = int(history.trial[row])
        yield {
            'trial': number,
            'generation': int(history.generation[row]),
            'status': TrialStatus(int(history.status[row])).name,
            'seconds': float(history.seconds[row]),
            'parents': [int(p) for p in history.parents[row] if p >= 0],
            'decisions': {d.name: d.at(row) for d in decisions if d.used[row]},
            'metrics': {name: _finite(float(column[row])) for name, column in metrics.items()},
            'note': dict(study.notes.get(number, {})),
        }


def table(study: Study) -> dict[str, list[Any]]:
    """Columns over the trials: 'trial', 'generation', ..., 'decisions.NAME', 'metrics.NAME', 'error'."""
    rows = [_flat(record) for record in records(study)]
    names = ['trial', 'generation', 'status', 'seconds', *(f'decisions.{d.name}' for d in _decisions(study))]
    names += [*(f'metrics.{name}' for name in study.history.metrics), 'error']
    return {name: [row.get(name) for row in rows] for name in names}


def to_csv(study: Study, path: str | os.PathLike[str]) -> str:
    """Writes `table` as CSV."""
    columns = table(study)
    text = io.StringIO(newline='')
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    write_atomic(path, text.getvalue().encode('utf-8', 'backslashreplace'))  # an error may name a file of odd bytes
    return os.fspath(path)


def to_json_lines(study: Study, path: str | os.PathLike[str]) -> str:
    """Writes `records`, a line each."""
    lines = (json.dumps(record, allow_nan=False) + '\n' for record in records(study))
    write_atomic(path, ''.join(lines).encode())
    return os.fspath(path)


def to_pandas(study: Study) -> Any:
    """`table` as a data frame."""
    try:
        import pandas as pd  # pyright: ignore[reportMissingImports]  an extra
    except ImportError as error:
        raise missing_extra('study.to_pandas()', 'pandas', 'pandas') from error
    return pd.DataFrame(table(study))


def to_optuna(study: Study, storage: Any = None, name: str | None = None) -> optuna.Study:
    """An Optuna study of the same trials."""
    try:
        import optuna
    except ImportError as error:
        raise missing_extra('study.to_optuna()', 'optuna', 'optuna') from error
    goals: list[Any] = [o.goal for o in study.objectives]
    made = optuna.create_study(storage=storage, study_name=name, directions=goals)
    made.set_metric_names([o.metric for o in study.objectives])
    distributions = {d.name: _distribution(optuna.distributions, d) for d in _decisions(study)}
    state = optuna.trial.TrialState
    states = {'COMPLETE': state.COMPLETE, 'FAILED': state.FAIL, 'SKIPPED': state.PRUNED}
    for record in records(study):
        params = {n: _as_in(distributions[n], v) for n, v in record['decisions'].items()}
        values = [record['metrics'][o.metric] for o in study.objectives]
        curve = {m.step: m.metrics.get(study.objectives[0].metric, math.nan) for m in from_note(record['note'])}
        trial = optuna.trial.create_trial(
            state=states[record['status']],
            values=values if record['status'] == 'COMPLETE' else None,
            params=params,
            distributions={n: distributions[n] for n in params},
            user_attrs={'trial': record['trial'], 'metrics': record['metrics'], **record['note']},
            intermediate_values=curve,
        )
        made.add_trial(trial)
    return made


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    flat = {name: record[name] for name in ('trial', 'generation', 'status', 'seconds')}
    for group in ('decisions', 'metrics'):
        flat.update({f'{group}.{name}': value for name, value in record[group].items()})
    return {**flat, 'error': record['note'].get('error', record['note'].get('reason'))}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


@dataclasses.dataclass(frozen=True, eq=False)
class _Column:
    """One decision over all trials: `names` are those of its candidates, all different; () for a number."""

    name: str
    decision: Decision
    names: tuple[Any, ...]
    values: np.ndarray
    used: np.ndarray

    def at(self, row: int) -> Any:
        value = self.values[row].item()
        return self.names[value] if self.names else value


def _decisions(study: Study) -> list[_Column]:
    space, dna = study.space, study.history.dna
    if not len(study.history):
        dna = DNA(np.zeros((0, space.num_choices), np.int32), np.zeros((0, space.num_floats), np.float32))
    return [
        _Column(name, decision, _names(decision), np.ma.getdata(column), ~np.ma.getmaskarray(column))
        for (name, column), decision in zip(space.to_columns(dna).items(), space.decisions, strict=True)
    ]


def _names(decision: Decision) -> tuple[Any, ...]:
    if decision.kind != 'choice':
        return ()
    literals = (decision.literal(i) for i in range(decision.arity or 0))
    names = [n if _is_plain(n) else str(n) for n in literals]
    different = len({str(n) for n in names}) == len(names)
    return tuple(names if different else (f'{i}: {n}' for i, n in enumerate(names)))


def _is_plain(value: Any) -> bool:
    return isinstance(value, PLAIN) and not (isinstance(value, float) and not math.isfinite(value))


def _distribution(module: Any, of: _Column) -> Any:
    decision, log = of.decision, of.decision.scale == 'log'
    if of.names:
        return module.CategoricalDistribution(of.names)
    if decision.kind == 'float':
        return module.FloatDistribution(decision.low, decision.high, log=log)
    if all(float(v).is_integer() for v in (decision.low, decision.high, decision.step)):
        step = int(decision.step)
        return module.IntDistribution(int(decision.low), int(decision.high), log=log and step == 1, step=step)
    return module.FloatDistribution(decision.low, decision.high, step=decision.step)


def _as_in(distribution: Any, value: Any) -> Any:
    """A value within its distribution: rounding may have carried it past an end."""
    low, high = getattr(distribution, 'low', None), getattr(distribution, 'high', None)
    return value if low is None or high is None else type(value)(min(max(value, low), high))
