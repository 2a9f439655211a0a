"""Type checkers know the language: they accept what is right, and object to each planted mistake."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
TYPES = ROOT / 'tests' / 'types'
CHECKED = ['examples', 'tests/types/valid.py', 'tests/types/mistakes.py']


def run(*command):
    """What a checker prints; 0 and 1 are its answers, anything else is its failure."""
    if shutil.which(command[0], path=str(pathlib.Path(sys.executable).parent)) is None:
        pytest.skip(f'{command[0]} is not installed')
    program = [sys.executable, '-m', *command]
    result = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return result.stdout


def pyright():
    report = json.loads(run('pyright', '--pythonpath', sys.executable, '--outputjson', *CHECKED))
    errors = [d for d in report['generalDiagnostics'] if d['severity'] == 'error']
    return {(pathlib.Path(e['file']).name, e['range']['start']['line'] + 1): e['message'] for e in errors}


def mypy():
    printed = run('mypy', '--python-executable', sys.executable, '--no-error-summary', *CHECKED)
    errors = re.findall(r'^(.+?):(\d+): error: (.*)$', printed, re.MULTILINE)
    return {(pathlib.Path(path).name, int(line)): message for path, line, message in errors}


def planted(path):
    return {n for n, line in enumerate(path.read_text().splitlines(), 1) if line.endswith('# error')}


@pytest.mark.slow
@pytest.mark.parametrize('checker', [pyright, mypy], ids=['pyright', 'mypy'])
def test_checkers_accept_what_is_right_and_object_to_each_planted_mistake(checker):
    errors = checker()  # examples and valid uses have none; mistakes.py has one on each marked line and on no other
    assert {place: message for place, message in errors.items() if place[0] != 'mistakes.py'} == {}
    expected = planted(TYPES / 'mistakes.py')
    assert len(expected) > 50
    assert {line for name, line in errors if name == 'mistakes.py'} == expected


def test_valid_uses_run():
    program = [sys.executable, str(TYPES / 'valid.py')]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    result = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
