"""Commands on studies in directories and at URLs."""

from __future__ import annotations

import argparse
import os

from pgjax._errors import PgjaxError, StudyNotFoundError, UnknownTypeError, shorten
from pgjax.cli._commands import WIDTH, print_best
from pgjax.cli._output import print_table, say
from pgjax.cli._target import TargetError, import_file
from pgjax.io import UnknownObject, from_json
from pgjax.io._places import is_url, storage_at
from pgjax.search._checkpoint import document_of, problems_of
from pgjax.search._history import METRIC, best_row
from pgjax.search._store import StudyStore
from pgjax.search._study import Study
from pgjax.symbolic import format_

FORMATS = ('csv', 'jsonl')


def ls(options: argparse.Namespace) -> int:
    """Prints a line for each study: how far it has come, and its best."""
    rows = []
    for path in [_join(options.path, '.'), *(_join(options.path, n) for n in _names(options.path))]:
        try:
            if StudyStore.exists(path):
                rows.append((path, *_progress(StudyStore.open(path))))
        except PgjaxError as error:
            rows.append((path, '', '', f'unreadable: {error}'))
    if not rows:
        say(f'There is no study in {options.path}.')
        return 0
    print_table(('study', 'generations', 'trials', 'best'), rows)
    return 0


def _names(path: str) -> list[str]:
    """What lies in a folder, or at a URL."""
    try:
        return storage_at(path).names()
    except NotADirectoryError:
        raise StudyNotFoundError(f'{shorten(path, 200)} is a file. Studies are in directories; name one.') from None


def show(options: argparse.Namespace) -> int:
    """Prints what a study is. Its classes need not be imported: what is unknown is shown as it was stored."""
    _import(options)
    store = StudyStore.open(options.path)
    document = document_of(store)
    generations, trials, best = _progress(store)
    say(f'{generations} generations, {trials} trials, best: {best}\nseed {document["seed"]}')
    for name in ('objectives', 'controller', 'template'):
        value = from_json(document[name], unknown='keep')
        say(f'\n{name}:\n{format_(value, width=WIDTH)}')
    return 0


def _progress(store: StudyStore) -> tuple[str, str, str]:
    """Generations, trials, and the metric of the first objective in the best trial, as `study best` says."""
    if not store.steps():
        return '0', '0', '-'
    checkpoint = store.load()
    rows = checkpoint.rows
    generations, trials = str(checkpoint.attributes['generation']), str(len(rows['fitness']))
    row = best_row(rows['fitness'])
    if row is None:
        return generations, trials, '-'
    objective = from_json(document_of(store)['objectives'], unknown='keep')[0]
    name = objective.fields['metric'] if isinstance(objective, UnknownObject) else objective.metric
    return generations, trials, f'{name} {float(rows[METRIC + name][row]):.6g}'


def best(options: argparse.Namespace) -> int:
    """Prints the best experiment."""
    print_best(_load(options))
    return 0


def report(options: argparse.Namespace) -> int:
    """Writes the report."""
    say(_load(options).report(options.output or _join(options.path, 'report.html')))
    return 0


def export(options: argparse.Namespace) -> int:
    """Writes the trials."""
    study = _load(options)
    path = options.output or _join(options.path, f'trials.{options.format}')
    (study.to_csv if options.format == 'csv' else study.to_json_lines)(path)
    say(path)
    return 0


def verify(options: argparse.Namespace) -> int:
    """Reads every byte."""
    problems = problems_of(StudyStore.open(options.path))
    say('\n'.join(problems) or 'All is well.')
    return int(bool(problems))


def fork(options: argparse.Namespace) -> int:
    """Copies a study."""
    _load(options).fork(options.new)
    say(options.new)
    return 0


def _join(path: str, name: str) -> str:
    """The path of what lies in a folder, or at a URL; '.' is the folder itself."""
    if is_url(path):
        return path if name == '.' else f'{path.rstrip("/")}/{name}'
    return os.path.normpath(os.path.join(path, name))


def _load(options: argparse.Namespace) -> Study:
    _import(options)
    try:
        return Study.load(options.path)
    except UnknownTypeError as error:
        raise TargetError(f'{error} Here: --import FILE, the Python file that defines it.') from error


def _import(options: argparse.Namespace) -> None:
    for file in options.imports:
        import_file(file)
