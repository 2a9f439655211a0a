"""The example of population-based training runs in a small form, and shows what it is to show."""

import re

import pytest
from test_examples import EXAMPLES, run

pytest.importorskip('matplotlib', exc_type=ImportError)


@pytest.mark.slow
def test_pbt_on_digits_trains_and_plots(tmp_path):
    printed = run(EXAMPLES / 'pbt_digits.py', tmp_path / 'plots' / 'pbt.png', 3)
    found = re.findall(r'validation loss ([\d.]+), validation accuracy ([\d.]+), test accuracy ([\d.]+)', printed)
    assert len(found) == 2
    assert all(float(validation) > 0.9 and float(test) > 0.9 for _, validation, test in found)
    assert (tmp_path / 'plots' / 'pbt.png').read_bytes().startswith(b'\x89PNG')


def test_the_example_is_short_and_public():
    source = (EXAMPLES / 'pbt_digits.py').read_text()
    assert len(source.splitlines()) < 130
    assert 'pgjax._' not in source and 'search._' not in source
