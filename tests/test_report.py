"""The report: one page, complete, self-contained and safe, whatever a study holds."""

import html.parser
import re

import jax.numpy as jnp
import pytest

import pgjax as pg
from pgjax import search

HOSTILE = '<script>alert("x")</script>'
SPACE = {'a': pg.oneof([HOSTILE, 'plain']), 'x': pg.floatv(0.0, 1.0), 'deep': pg.oneof([{'y': pg.intv(1, 9)}, {}])}


class Page(html.parser.HTMLParser):
    """Collects tags, attributes and text, and checks that elements close in order."""

    VOID = frozenset({'meta'})

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self._open = [], [], '', []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def report(tmp_path, study):
    path = tmp_path / 'report.html'
    assert study.report(path) == str(path)
    text = path.read_text()
    return text, Page(text)


def searched(evaluate, objectives=('y',), generations=4):
    controller = search.RegularizedEvolution(population_size=8, tournament_size=3, batch_size=8)
    return search.run(SPACE, evaluate, controller, objectives=list(objectives), generations=generations)


@pytest.fixture(scope='module')
def study():
    return searched(lambda e, k: {'y': jnp.where(e['x'] > 0.8, jnp.nan, e['x']), 'cost': 1e9 * e['x']})


def test_the_page_shows_the_study(tmp_path, study):
    text, page = report(tmp_path, study)
    failed = int((study.history.status == search.TrialStatus.FAILED).sum())
    for words in ('maximize y', '32trials', f'{failed}failed', f'Trial {study.best.id}: ', 'RegularizedEvolution('):
        assert words in page.text
    assert pg.format(study.best.value, width=88) in page.text
    assert text[text.index('id="trials"') :].count('<tr>') == 1 + 32
    history = text[text.index('id="history"') : text.index('id="best-experiment"')]
    assert history.count('<title>trial ') == 32 - failed
    assert history.count('class="line"') == 1 + 1  # and its key


def test_a_page_at_no_path(study):
    with pytest.raises(pg.FieldTypeError, match='A path is a string'):
        study.report(3)


def test_the_page_explains_the_best(tmp_path, study):
    text, page = report(tmp_path, study)
    decisions = text[text.index('id="decisions"') : text.index('id="time"')]
    assert decisions.count(' %</text>') == len(study.space.decisions) == 4
    shares = {
        name: float(share) for name, share in re.findall(r'<title>([^<]*)</title>.*?([0-9]+) %</text>', decisions)
    }
    assert max(shares, key=shares.get) == 'x' and shares['x'] > 80
    row = int(study.best.id)
    ancestors = 0
    while (row := int(study.history.parents[row].max())) >= 0:
        ancestors += 1
    assert ancestors == 0 or f'Its lineage: {ancestors} ancestors' in page.text


def test_the_page_says_what_failed_and_why(tmp_path, study):
    text, _ = report(tmp_path, study)
    failures = text[text.index('id="failures"') : text.index('id="trials"')]
    failed = study.history.trial[study.history.status == search.TrialStatus.FAILED]
    assert failures.count('y is NaN') == len(failed) == failures.count('<tr>') - 1 > 0
    assert all(f'<td>{trial}</td>' in failures for trial in failed)


def test_the_page_asks_for_nothing_outside(tmp_path, study):
    text, page = report(tmp_path, study)
    links = [value for name, value in page.attributes if name in ('src', 'href', 'srcset', 'action')]
    assert links and all(link.startswith('#') for link in links)
    assert {link[1:] for link in links} == {value for name, value in page.attributes if name == 'id'}
    assert not {'link', 'iframe', 'img', 'object'} & set(page.tags)
    assert page.tags.count('script') == 1  # that of the page itself, since nothing has a src
    assert 'url(' not in text and '@import' not in text
    assert not re.findall(r'https?://(?!www\.w3\.org/2000/svg)', text)


def test_names_and_values_are_text(tmp_path, study):
    text, page = report(tmp_path, study)
    assert HOSTILE not in text and HOSTILE in page.text


def test_the_page_is_a_function_of_the_study(tmp_path, study):
    assert report(tmp_path, study)[0] == report(tmp_path, study)[0]


@pytest.mark.parametrize('generations', [0, 2])
def test_a_study_in_which_nothing_succeeded(tmp_path, generations):
    _, page = report(tmp_path, searched(lambda e, k: {'y': jnp.nan}, generations=generations))
    assert ('no trials yet' if generations == 0 else 'Every trial failed') in page.text


def test_two_objectives_show_their_front(tmp_path):
    study = search.run(
        SPACE,
        lambda e, k: {'y': e['x'], 'cost': e['x'] ** 2},
        search.Random(batch_size=16),
        objectives=[pg.maximize('y'), pg.minimize('cost')],
        generations=1,
    )
    text, page = report(tmp_path, study)
    points = text[text.index('id="pareto-front"') : text.index('id="best-experiment"')]
    assert len(re.findall('class="front"[^>]*><title>', points)) == len(study.front) == 16
    assert ('aria-label', 'cost by y') in page.attributes


def test_best_so_far_never_gets_worse(study):
    from pgjax.view._trials import best_so_far

    best = best_so_far(study)
    assert best[-1] == study.best.metrics['y']
    assert (jnp.diff(best[~jnp.isnan(best)]) >= 0).all()


def test_the_best_so_far_is_the_metric_under_constraints_too():
    from pgjax.view._trials import best_so_far

    objectives = search.constrained([pg.minimize('y')], [search.at_most('cost', 1.0)])
    study = search.Study([pg.oneof([1, 2])], search.Random(batch_size=5), objectives=objectives)
    metrics = {'y': [jnp.nan, 3.0, 9.0, 5.0, 4.0], 'cost': [0.0, 8.0, 1.0, 9.0, 0.0]}
    study = study.tell(study.ask(), metrics)
    assert best_so_far(study).tolist()[1:] == [3.0, 9.0, 9.0, 4.0]
    assert study.best.metrics['y'] == 4.0
