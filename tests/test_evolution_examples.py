"""The examples of evolution run in a small form, print what they found and save a plot."""

import pytest
from test_examples import EXAMPLES, run


@pytest.mark.slow
def test_one_max(tmp_path):
    printed = run(EXAMPLES / 'one_max.py', tmp_path / 'plot.png', 12)
    assert 'of 20 searches found 100 ones within 12 generations' in printed
    assert float(printed.split('best after 10 generations: ')[1].split()[0]) > 75  # the best of 64 random ones has 62
    assert (tmp_path / 'plot.png').stat().st_size > 1000


@pytest.mark.slow
def test_travelling_salesman(tmp_path):
    printed = run(EXAMPLES / 'travelling_salesman.py', tmp_path / 'plot.png', 60)
    length = float(printed.split(' tours: ')[1].split(',')[0])
    assert 7542 <= length < 20_000  # random tours are 30,000 long
    assert (tmp_path / 'plot.png').stat().st_size > 1000
