"""The report in a real browser: it renders, its script runs, and it asks for nothing."""

import html.parser
import json
import shutil
import subprocess

import jax.numpy as jnp
import pytest

import pgjax as pg
from pgjax import search

BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason='needs Chromium or Chrome')


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


def browse(tmp_path, page):
    """(elements once the page has run, what it said on the console, the addresses it asked for)."""
    log = tmp_path / 'net.json'
    options = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-component-update', '--no-first-run']
    options += [f'--user-data-dir={tmp_path / "profile"}', f'--log-net-log={log}', '--enable-logging=stderr']
    done = subprocess.run(
        [BROWSER, *options, '--dump-dom', page.as_uri()], capture_output=True, text=True, check=True, timeout=60
    )
    said = [line for line in done.stderr.splitlines() if 'CONSOLE' in line]
    record = json.loads(log.read_text())
    page_requests = [e['params'] for e in record['events'] if 'url' in e.get('params', {})]
    asked = {p['url'] for p in page_requests if p.get('initiator') == 'null'}  # the origin of a page in a file
    return Tags(done.stdout).found, said, asked


@pytest.fixture(scope='module')
def study():
    return search.run(
        {'a': pg.oneof(['</script><img src="http://localhost/x">', 'plain']), 'x': pg.floatv(0.0, 1.0)},
        lambda e, k: {'y': jnp.where(e['x'] > 0.8, jnp.nan, e['x']), 'cost': e['x'] ** 2},
        search.Random(batch_size=32),
        objectives=[pg.maximize('y'), pg.minimize('cost')],
        generations=1,
    )


def test_the_report_in_a_browser(tmp_path, study):
    page = tmp_path / 'report.html'
    study.report(page)
    tags, said, asked = browse(tmp_path, page)
    assert tags.count('svg') == 5  # history, Pareto front, parallel coordinates, importance, time
    assert tags.count('button') == 3 + 2 + 2  # the script made a table that sorts: three ids, metrics, decisions
    assert 'img' not in tags
    assert said == [] and asked == set()


def test_the_check_would_see_a_request_and_an_error(tmp_path):
    page = tmp_path / 'bad.html'
    page.write_text('<!doctype html><img src="http://localhost:9/x.png"><script>throw Error("seen")</script>')
    tags, said, asked = browse(tmp_path, page)
    assert 'img' in tags and any('seen' in line for line in said) and any(':9/x.png' in url for url in asked)
