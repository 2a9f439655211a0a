"""Commands on studies in directories and at URLs."""

from __future__ import annotations

import argparse
import os

from rich.console import Console
from rich.table import Table

from pgjax._errors import PgjaxError, StudyNotFoundError, UnknownTypeError, shorten
from pgjax.cli._commands import WIDTH, print_best
from pgjax.cli._target import TargetError, import_file
from pgjax.io import from_json
from pgjax.io._places import is_url, storage_at
from pgjax.search._store import StudyStore
from pgjax.search._study import Study
from pgjax.symbolic import format_

FORMATS = ('csv', 'jsonl')


def ls(options: argparse.Namespace) -> int:
    """Prints a line for each study: how far it has come, and its best."""
    table = Table('study', 'generations', 'trials', 'best', box=None, pad_edge=False)
    for path in [_join(options.path, '.'), *(_join(options.path, n) for n in _names(options.path))]:
        try:
            if StudyStore.exists(path):
                table.add_row(path, *_progress(StudyStore.open(path)))
        except PgjaxError as error:
            table.add_row(path, '', '', f'unreadable: {error}')
    if not table.row_count:
        print(f'There is no study in {options.path}.')
        return 0
    Console(markup=False, highlight=False).print(table)
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
    generations, trials, best = _progress(store)
    print(f'{generations} generations, {trials} trials, best: {best}\nseed {store.document["seed"]}')
    for name in ('objectives', 'controller', 'template'):
        value = from_json(store.document[name], unknown='keep')
        print(f'\n{name}:\n{format_(value, width=WIDTH)}')
    return 0


def _progress(store: StudyStore) -> tuple[str, str, str]:
    if not store.steps():
        return '0', '0', '-'
    checkpoint = store.load()
    fitness = checkpoint.rows['fitness'][:, 0]
    if not len(fitness):
        return str(checkpoint.attributes['generation']), '0', '-'
    objective = from_json(store.document['objectives'])[0]
    best = float(fitness.max()) * objective.sign
    return str(checkpoint.attributes['generation']), str(len(fitness)), f'{objective.metric} {best:.6g}'


def best(options: argparse.Namespace) -> int:
    """Prints the best experiment."""
    print_best(_load(options))
    return 0


def report(options: argparse.Namespace) -> int:
    """Writes the report."""
    print(_load(options).report(options.output or _join(options.path, 'report.html')))
    return 0


def export(options: argparse.Namespace) -> int:
    """Writes the trials."""
    study = _load(options)
    path = options.output or _join(options.path, f'trials.{options.format}')
    (study.to_csv if options.format == 'csv' else study.to_json_lines)(path)
    print(path)
    return 0


def verify(options: argparse.Namespace) -> int:
    """Reads every byte."""
    problems = StudyStore.open(options.path).verify()
    print('\n'.join(problems) or 'All is well.')
    return int(bool(problems))


def fork(options: argparse.Namespace) -> int:
    """Copies a study."""
    _load(options).fork(options.new)
    print(options.new)
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
