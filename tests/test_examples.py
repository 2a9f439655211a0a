"""The examples run, and show what they are to show."""

import os
import pathlib
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parent.parent / 'examples'


def run(name, *arguments):
    """What an example prints; the compiler's effort is turned down, which changes times and not results."""
    environment = {**os.environ, 'PYTHONPATH': str(EXAMPLES.parent), 'XLA_FLAGS': '--xla_backend_optimization_level=0'}
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_digits_finds_a_good_network_and_goes_on(tmp_path):
    structures = 6  # distinct hidden widths in its space
    printed = run('digits.py', tmp_path / 'digits', 1)
    assert f'compiles {structures}' in printed and 'generation 1/1' in printed
    assert float(printed.split('validation accuracy ')[1][:6]) > 0.9
    assert 'Experiment(\n  widths=[' in printed
    assert 'Best experiment' in (tmp_path / 'digits' / 'report.html').read_text()
    again = run('digits.py', tmp_path / 'digits', 1)
    assert 'generation 2/2' in again and 'of 128 experiments' in again


def test_digits_is_short_and_public():
    source = (EXAMPLES / 'digits.py').read_text()
    assert len(source.splitlines()) < 100
    assert 'pgjax._' not in source and 'search._' not in source
