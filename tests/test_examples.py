"""The examples run, and show what they are to show."""

import difflib
import os
import pathlib
import runpy
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parent.parent / 'examples'


def run(*arguments, **settings):
    """What a Python process prints that can import what the examples can, and the tests."""
    path = os.pathsep.join(map(str, (EXAMPLES.parent, EXAMPLES, pathlib.Path(__file__).parent)))
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, **settings, 'PYTHONPATH': path}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_digits_finds_a_good_network_and_goes_on(tmp_path):
    structures = 6  # distinct hidden widths in its space
    compiled = {'JAX_COMPILATION_CACHE_DIR': str(tmp_path / 'compiled')}
    printed = run(EXAMPLES / 'digits.py', tmp_path / 'digits', 1, **compiled)
    assert f'compiles {structures}' in printed and 'generation 1/1' in printed
    assert float(printed.split('validation accuracy ')[1][:6]) > 0.9
    assert 'Experiment(\n  widths=[' in printed
    assert 'Best experiment' in (tmp_path / 'digits' / 'report.html').read_text()
    again = run(EXAMPLES / 'digits.py', tmp_path / 'digits', 1, **compiled)
    assert 'generation 2/2' in again and 'of 128 experiments' in again


def test_digits_is_short_and_public():
    source = (EXAMPLES / 'digits.py').read_text()
    assert len(source.splitlines()) < 100
    assert 'pgjax._' not in source and 'search._' not in source


def changed_lines(old, new):
    """How many lines are to be typed or deleted, blank ones aside; a line that is replaced counts once."""
    old, new = ([line for line in text.splitlines() if line.strip()] for text in (old, new))
    edits = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for kind, a, b, c, d in edits if kind != 'equal')


@pytest.mark.parametrize(('way', 'most'), [('symbolic', 0.2), ('dynamic', 0.2), ('hyperparameters', 0.4)])
def test_a_program_becomes_searchable_in_ten_lines(way, most, capsys):
    """The plain program's error is 0.85; noise alone is 0.1. Hyper-parameters of one family cannot reach that."""
    folder = EXAMPLES / 'three_ways'
    assert changed_lines((folder / 'plain.py').read_text(), (folder / f'{way}.py').read_text()) <= 10
    runpy.run_path(str(folder / f'{way}.py'), run_name='__main__')
    printed = capsys.readouterr().out
    assert 0.1 < float(printed.split('error ')[1].split()[0]) < most


def test_the_plain_program_is_not_searched(capsys):
    runpy.run_path(str(EXAMPLES / 'three_ways' / 'plain.py'), run_name='__main__')
    assert capsys.readouterr().out == 'error 0.848\n'
