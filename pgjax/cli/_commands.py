"""Commands on objects in files."""

from __future__ import annotations

import argparse
from typing import Any

from pgjax import edit
from pgjax._errors import shorten
from pgjax.cli._output import print_result, print_table, say
from pgjax.cli._target import TargetError, edited, find, import_file, required
from pgjax.io import to_json_str
from pgjax.search._search import Search
from pgjax.search._study import Study
from pgjax.space import search_space
from pgjax.space._size import size_text
from pgjax.symbolic import Object, format_, resolve, traverse
from pgjax.symbolic._bind import open_paths

FORMATS = ('indented', 'compact', 'evaluable', 'json', 'fields')
WIDTH = 88


def run(options: argparse.Namespace) -> int:
    """Runs a search and prints its best, or calls an object and prints the result."""
    value = _edited(options)
    if isinstance(value, Search):
        return _search(value, options)
    if options.study or options.resume or options.generations is not None:
        raise TargetError(f'--study, --resume and --generations are for a search.Search, not {type(value).__name__}.')
    if not callable(value) or required(value):
        raise TargetError(
            f'{options.target} is a {type(value).__name__}, which cannot be run. Name a search.Search, a functor, or '
            'an object whose __call__ needs no arguments.'
        )
    value = resolve(value)
    if paths := open_paths(value):
        raise TargetError(
            f'{options.target} cannot be run while parts are open: {shorten(", ".join(paths), 200)}. Decide them, as '
            f'in {shorten(paths[0])}=VALUE, or name a search.Search over them.'
        )
    result = value()
    if isinstance(result, str):
        print_result(result)
    else:
        say(format_(result, width=WIDTH))
    return 0


def _search(search: Search, options: argparse.Namespace) -> int:
    if options.resume and not options.study:
        raise TargetError('--resume needs --study DIR.')
    if options.generations is not None:
        search = search.rebind(generations=options.generations, raise_on_no_change=False)
    study = search.study(options.study, create=not options.resume)
    if len(study.history) and not options.resume:
        raise TargetError(f'{options.study} holds {len(study.history)} trials already; go on with --resume.')
    print_best(study.run(search.evaluate, search.generations))
    return 0


def print_best(study: Study) -> None:
    """Prints the best experiment as code and its metrics."""
    best = study.best
    if best is None:
        say(f'None of {len(study.history)} trials succeeded.')
        return
    say(format_(best.value, width=WIDTH))
    metrics = '  '.join(f'{name} {value:.6g}' for name, value in best.metrics.items())
    say(f'\ntrial {best.id} of {len(study.history)}: {metrics}')


def show(options: argparse.Namespace) -> int:
    """Prints an object."""
    value = _edited(options)
    if options.format == 'fields':
        _print_fields(value)
    elif options.format == 'json':
        say(to_json_str(value))
    else:
        width = None if options.format == 'compact' else WIDTH
        say(format_(value, width=width, evaluable=options.format == 'evaluable'))
    return 0


def _print_fields(value: Any) -> None:
    """Every path that an override can name, with its value, and what may stand there."""
    rows: list[list[str]] = []

    def visit(path: Any, part: Any, parent: Any) -> None:
        known = type(parent).__pg_fields__.get(str(path.key)) if isinstance(parent, Object) else None
        text = format_(part)
        row = [str(path), text if len(text) <= 40 else f'{text[:37]}...', '', '', '']
        if known is not None:
            default = 'required' if known.required else format_(known.default)
            row[2:] = [str(known.spec), default, known.info.doc]
        if path:
            rows.append(row)

    traverse(value, visit)
    print_table(('path', 'value', 'type', 'default', 'about'), rows)


def diff(options: argparse.Namespace) -> int:
    """Prints what turns one object into another."""
    changes = edit.diff(find(options.old), find(options.new))
    if changes:
        say(str(changes))
    return int(bool(changes))


def space(options: argparse.Namespace) -> int:
    """Prints the decisions of a space."""
    value = _edited(options)
    layout = search_space(value.template if isinstance(value, Search) else value)
    rows = []
    for decision in layout.decisions:
        if decision.kind == 'choice':
            values = ', '.join(map(str, decision.literals[:6])) + (', ...' if (decision.arity or 0) > 6 else '')
        else:
            scale = '' if decision.scale == 'linear' else f' ({decision.scale})'
            low, high = (f'{end:g}' if float(f'{end:g}') == end else str(end) for end in (decision.low, decision.high))
            values = f'{low} to {high}{scale}'
        rows.append((decision.label, decision.kind, values, 'sometimes' if decision.conditions else 'always'))
    print_table(('decision', 'kind', 'values', 'applies'), rows)
    say(f'{len(layout.decisions)} decisions, {size_text(layout.size)} points')
    return 0


def patches(options: argparse.Namespace) -> int:
    """Prints the patchers that files define."""
    for file in options.files:
        import_file(file)
    for info in edit.patchers(options.prefix).values():
        say(str(info))
    return 0


def _edited(options: argparse.Namespace) -> Any:
    return edited(find(options.target), options.patch, options.overrides)
