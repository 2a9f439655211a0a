"""The command `pgjax`: arguments in, exit status out."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from pgjax._errors import PgjaxError, did_you_mean
from pgjax._version import __version__
from pgjax.cli import _commands, _studies
from pgjax.cli._output import standard_output
from pgjax.view._words import safe

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_TARGET = 'FILE[:NAME]: a Python file and an object in it (or a function that makes one), or a JSON file'


class _Parser(argparse.ArgumentParser):
    """Names the closest command or option when one is misspelt."""

    def error(self, message: str) -> NoReturn:
        commands = [str(n) for a in self._actions if a.metavar in ('COMMAND', 'ACTION') for n in a.choices or ()]
        known = [*commands, *(option for action in self._actions for option in action.option_strings)]
        hints = [did_you_mean(word, known) for word in re.findall(r'[\w-]+', message.partition('(')[0])[-1:]]
        super().error(message + ''.join(hints))


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    top = _Parser(prog='pgjax', description='Run, show, edit and compare experiments; look after studies.')
    top.add_argument('--version', action='version', version=f'pgjax {__version__}')
    _add_completion(top)
    commands = top.add_subparsers(metavar='COMMAND', required=True)

    run = _edits(_command(commands, 'run', _commands.run, 'run a search, or an object that can be called'))
    run.add_argument('--study', metavar='DIR', help='keep the study there; a folder, or gs://..., s3://...')
    run.add_argument('--resume', action='store_true', help='go on with the study in DIR')
    run.add_argument('--generations', type=int, metavar='N', help='instead of the number that the search says')

    show = _edits(_command(commands, 'show', _commands.show, 'print an object as code'))
    show.add_argument('--format', choices=_commands.FORMATS, default='indented', help='how (default: %(default)s)')

    diff = _command(commands, 'diff', _commands.diff, 'print what turns one object into another; 1 if they differ')
    diff.add_argument('old', help=_TARGET)
    diff.add_argument('new', help=_TARGET)

    _edits(_command(commands, 'space', _commands.space, 'list the decisions of a search space and its size'))

    patches = _command(commands, 'patches', _commands.patches, 'list the patchers that files define')
    patches.add_argument('files', nargs='*', metavar='FILE', help='Python files')
    patches.add_argument('--prefix', default='', help='only names that begin so')
    _add_study(commands)
    return top


def _add_study(commands: argparse._SubParsersAction[_Parser]) -> None:
    study = commands.add_parser('study', help='look after studies', description='Look after studies.')
    actions = study.add_subparsers(metavar='ACTION', required=True)
    for name, function, words in (
        ('ls', _studies.ls, 'list the studies in a directory'),
        ('show', _studies.show, 'what is searched, how, and how far it has come'),
        ('best', _studies.best, 'print the best experiment as code, with its metrics'),
        ('report', _studies.report, 'write the report as one HTML page'),
        ('export', _studies.export, 'write the trials as a table'),
        ('verify', _studies.verify, 'read everything and check every byte; 1 if something is damaged'),
        ('fork', _studies.fork, 'copy a study, to go on in another way'),
    ):
        action = _command(actions, name, function, words)
        action.add_argument('path', metavar='DIR', help='of the study' if name != 'ls' else 'of studies')
        if name in ('show', 'best', 'report', 'export', 'fork'):
            action.add_argument(
                '--import', dest='imports', action='append', default=[], metavar='FILE', help='defines its classes'
            )
        if name in ('report', 'export'):
            action.add_argument('--output', '-o', metavar='FILE', help='where to (default: in DIR)')
        if name == 'export':
            action.add_argument('--format', choices=_studies.FORMATS, default='csv', help='default: %(default)s')
        if name == 'fork':
            action.add_argument('new', metavar='NEW', help='directory of the copy')


def _command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    function: Callable[[argparse.Namespace], int],
    words: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + '.')
    command.set_defaults(function=function)
    return command


def _edits(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Arguments that say an object and what to change in it."""
    command.add_argument('target', help=_TARGET)
    command.add_argument('overrides', nargs='*', metavar='path=value', help='changes; the type of the field decides')
    command.add_argument(
        '--patch', action='append', default=[], metavar='URI', help='a patch to apply before them; may be repeated'
    )
    return command


def _add_completion(top: argparse.ArgumentParser) -> None:
    try:
        import shtab
    except ImportError:  # the extra `cli`
        return
    shtab.add_argument_to(top, '--print-completion', help='print the completion script of a shell')


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      arguments: by default those of the process.

    Returns:
      0 if all is well, 1 if it failed or found what it was asked to look for, 130 if interrupted. Usage errors
      exit with 2, as is the custom; SIGTERM during a search, with 143 after its checkpoint.
    """
    top = parser()
    options, rest = top.parse_known_args(arguments)
    if rest and (not hasattr(options, 'overrides') or any(word.startswith('-') for word in rest)):
        top.error(f'unrecognized arguments: {" ".join(rest)}')
    if rest:  # argparse takes a run of positional arguments only; these stood behind an option
        options.overrides += rest
    status = OK  # also where the reader of what is printed leaves before the end
    try:
        with standard_output():
            status = options.function(options)
    except PgjaxError as error:
        print(f'pgjax: {safe(str(error))}', file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status
