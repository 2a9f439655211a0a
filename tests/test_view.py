"""Pictures of values: terminals, pages and comparisons show what is there, and nothing in a value can misuse them."""

import ast
import html
import html.parser
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
from typing import NamedTuple

import flax.linen as linen
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import treescope
from rich.console import Console

import pgjax as pg

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
HOSTILE = [
    '</script><script>window.hacked = 1</script>',
    '"><img src=x onerror="window.hacked = 1">',
    "'; background: url(https://example.org/x)",
    '<style>@import "https://example.org/x.css"</style>',
    '\x1b[31mred\x1b]0;title\x07',
    '\u202egnp.exe\u2066',
    'a\r\nb\x00\x85\u2028',
]


class Layer(pg.Object):
    units: int = pg.field(default=3, doc='outputs')
    activation: object = None


class Model(pg.Object):
    layers: list[Layer] = pg.field(default=())
    name: str = 'm'
    settings: dict[str, object] = pg.field(default_factory=dict)
    part: object = None


class Pair(NamedTuple):
    left: int
    right: object


MODEL = Model([Layer(8), Layer(16)], settings={'lr': 0.1, 'b c': None}, part=Pair(1, (2.5, True)))


def terminal(value, width=80, colours=False):
    """What `rich` prints of a value."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=colours, color_system='truecolor' if colours else None).print(value)
    return out.getvalue()


def text_of(value):
    """The tree as treescope writes it where there is no HTML, everything unfolded."""
    with treescope.using_expansion_strategy(max_height=None, target_width=1):
        return treescope.render_to_text(value)


def source_of(value):
    """The tree's HTML before it is packed into a page."""
    return treescope.render_to_html(value, compressed=False)


class Markup(html.parser.HTMLParser):
    """The tags of a page, and what its scripts and styles hold."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.handlers, self.code = set(), set(), ''
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.handlers |= {value for name, value in attrs if name.startswith('on')}

    def handle_data(self, data):
        if self.cdata_elem:  # inside of a script or style
            self.code += data


trees = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text('ab\n', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(['a', 'b c', 'd']), inner, max_size=3)
        | st.builds(lambda a, b: Layer(units=a, activation=b), st.integers(0, 9), inner)
        | st.builds(lambda a, b: (a, b), inner, inner)
    ),
    max_leaves=8,
)


def test_importing_pgjax_imports_nothing_that_draws():
    code = "import sys, pgjax; pgjax.view; print([m for m in ('rich', 'treescope', 'IPython') if m in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout == '[]\n'


# Terminals


@hypothesis.given(trees, st.integers(20, 100))
def test_a_terminal_shows_the_code_of_a_value_laid_out_to_its_width(tree, width):
    expected = pg.format(pg.Dict(x=tree), width=width)
    hypothesis.assume(max(map(len, expected.split('\n'))) <= width)
    assert terminal(pg.Dict(x=tree), width) == expected + '\n'
    assert re.sub(r'\x1b\[[\d;]*m', '', terminal(pg.Dict(x=tree), width, colours=True)) == expected + '\n'


def test_a_terminal_colours_what_is_still_open():
    shown = terminal(Layer(pg.oneof([1, 2]), activation='x=oneof(3)'), colours=True)
    assert '\x1b[1;35moneof\x1b[0m(' in shown
    assert "\x1b[32m'x=oneof(3)'\x1b[0m" in shown


def test_a_difference_is_red_and_green():
    shown = terminal(pg.diff(Layer(1), Layer(2)), colours=True)
    assert '\x1b[31m- units: 1\x1b[0m' in shown and '\x1b[32m+ units: 2\x1b[0m' in shown


def test_show_prints_what_a_query_found_and_plain_values(capsys):
    pg.view.show(pg.query(MODEL, r'.*units'))
    pg.view.show({'a': [1]})
    assert capsys.readouterr().out == "{'layers[0].units': 8, 'layers[1].units': 16}\n{'a': [1]}\n"


@pytest.mark.parametrize('text', HOSTILE)
def test_a_value_cannot_drive_the_terminal(text):
    class Foreign:
        def __repr__(self):
            return text

    shown = terminal(Model(name=text, part=Foreign()), width=1000)
    assert all(map(str.isprintable, shown.split('\n')))


@hypothesis.given(st.text())
def test_any_text_is_shown_as_text(text):
    class Foreign:
        def __repr__(self):
            return text

    value = pg.Dict(a=Foreign(), b=text)
    for shown in (terminal(value), text_of(value)):
        assert all(map(str.isprintable, shown.split('\n')))


@pytest.mark.parametrize('part', ['x', "\\'", "'", 'a.'])
def test_long_texts_are_shortened_and_take_linear_time(part):
    class Foreign:
        def __repr__(self):
            return "'" + '\n'.join([part * 4_000] * 5)

    value = pg.Dict(a=Foreign(), b=part * 1_000_000)
    assert len(terminal(value, width=1000, colours=True)) < 1_000_000
    assert len(pg.view.to_html(value)) < 2_000_000


# Trees and pages


@hypothesis.given(trees)
def test_an_unfolded_tree_is_the_code_of_the_value(tree):
    value = pg.Dict(x=tree)
    assert eval(text_of(value), {'Layer': Layer}) == value


def test_a_tree_copies_paths_that_lead_to_its_parts():
    model = MODEL.rebind({'layers[1]': pg.oneof([Layer(pg.intv(1, 2)), Layer()])})
    paths = [html.unescape(path) for path in re.findall(r'data-copy="([^"]*)"', source_of(model))]
    assert {'layers[0].units', "settings['b c']", 'part[1][0]', 'layers[1].candidates[0].units.low'} <= set(paths)
    for path in paths:
        pg.get(model, path)


def test_a_tree_folds_and_tells_what_fields_are_for():
    source = source_of(MODEL)
    assert source.count('foldable_node_toggle') >= 4
    assert '# outputs' in source
    assert '# outputs' in text_of(Layer())


def test_a_page_is_one_file_with_the_code_for_readers_without_scripts(tmp_path):
    written = pg.view.write_html(MODEL, tmp_path / 'model.html', title='<Models>')
    page = pathlib.Path(written).read_text()
    assert page.startswith('<!doctype html>') and '<title>&lt;Models&gt;</title>' in page
    assert html.unescape(re.findall('<noscript><pre>(.*)</pre></noscript>', page, re.DOTALL)[0]) == str(MODEL)
    assert not re.search(r'(src|href)=["\']?\w+:', page)
    with pytest.raises(pg.StudyWriteError):
        pg.view.write_html(MODEL, tmp_path / 'missing' / 'model.html')


@pytest.mark.parametrize('text', HOSTILE)
def test_a_value_cannot_put_markup_on_a_page(text):
    value = Model(name=text, settings={text: Layer()})
    harmless = Markup(source_of(Model(settings={'a': Layer()})))
    for source in (pg.view.to_html(value, title=text), source_of(value), source_of(pg.view.compare(MODEL, value))):
        found = Markup(source)
        assert found.tags <= harmless.tags | {'html', 'head', 'meta', 'title', 'body', 'h1', 'noscript', 'pre', 'style'}
        assert found.handlers <= harmless.handlers
        assert 'hacked' not in found.code and 'example.org' not in found.code


def test_foreign_html_stays_out_of_pages_and_broken_parts_do_not_hide_the_rest():
    asked = []

    class Foreign:
        def _repr_html_(self):
            asked.append(self)
            return '<b>foreign</b>'

    class Broken:
        def __repr__(self):
            raise RuntimeError('no')

    value = Model(part=[Foreign(), Broken()])
    assert 'Broken' in pg.view.to_html(value) and not asked
    assert '<Broken>' in text_of(value) and "name='m'" in text_of(value)
    assert '<Broken>' in terminal(value)
    for outside in (Broken(), [Broken(), 'rest'], {'a': Broken(), 'b': 'rest'}, optax.MaskedState(Broken())):
        body = pg.view.to_html(outside).partition('<noscript>')[0]
        assert 'Broken' in body and ('rest' in body) == isinstance(outside, (list, dict))


def test_foreign_values_with_parts_unfold_too():
    text = text_of(Model(part=[linen.Dense(3), optax.EmptyState(), jax.jit(len), int]))
    assert 'features=3,' in text and 'use_bias=True,' in text
    assert 'EmptyState(),' in text and 'builtins.len,' in text and 'int,' in text


def test_notebooks_get_a_tree_and_its_code():
    bundle = MODEL._repr_mimebundle_()
    assert bundle['text/plain'] == str(MODEL) and 'treescope' in bundle['text/html']
    assert list(pg.List([1])._repr_mimebundle_(include=['text/plain'])) == ['text/plain']
    assert list(pg.Dict(a=1)._repr_mimebundle_(exclude=['text/html'])) == ['text/plain']
    own = type('Own', (Layer,), {'_repr_html_': lambda self: '<b>own</b>'})
    assert list(own(1)._repr_mimebundle_()) == ['text/plain']
    assert not hasattr(MODEL, '_repr_html_')  # treescope would ask for it, and would never end


def test_arrays_are_drawn_small_and_named_large():
    shapes = jax.ShapeDtypeStruct((3, 4), jnp.bfloat16)
    value = pg.Dict(s=np.ones(3), m=jnp.zeros((300, 400)), l=shapes, k=jax.random.key(0))
    text = text_of(value)
    assert 'array([1., 1., 1.])' in text
    assert "'m': float32[300,400]," in text and "'l': bfloat16[3,4]," in text
    assert 'float32[300,400]' in terminal(value)


def test_traced_and_deleted_arrays_are_named():
    pages = []
    jax.jit(lambda layer: pages.append(text_of(layer)))(Layer(activation=jnp.ones(3)))
    assert 'float32[3]' in pages[0]
    gone = jnp.ones(3)
    gone.delete()
    assert 'float32[3]' in text_of(Layer(activation=gone)) and 'float32[3]' in terminal(Layer(activation=gone))


def test_deep_and_wide_values_are_cut():
    deep = Layer()
    for _ in range(10_000):
        deep = Layer(activation=deep)
    assert 'activation=Layer(...)' in text_of(deep)
    assert 'Too large' in pg.view.to_html(deep)
    wide = pg.List(range(6_000))
    assert '... 1000 more' in text_of(wide)
    shared = Layer()
    for _ in range(60):  # 2 ** 60 nodes, if each were drawn
        shared = pg.List([shared, shared])
    assert '...' in treescope.render_to_text(shared)


# Comparisons

CHANGED = MODEL.rebind(
    {'layers[0].units': 9, 'settings.lr': pg.MISSING, 'settings.new': 7, 'layers[2]': Layer(32), 'part': 'other'}
)


def test_a_comparison_lists_every_difference():
    comparison = pg.view.compare(MODEL, CHANGED)
    table = terminal(comparison)
    assert '5 differences' in table
    for row in (['layers[0].units', '8', '9'], ['settings.new', '7'], ['settings.lr', '0.1']):
        (line,) = [line for line in table.split('\n') if row[0] in line]
        assert [cell.strip() for cell in line.split('│') if cell.strip()] == row
    assert str(comparison) == str(pg.diff(MODEL, CHANGED))
    assert comparison and not pg.view.compare(MODEL, MODEL)
    assert '0 differences' in terminal(pg.view.compare(MODEL, MODEL))


def test_a_compared_tree_marks_what_changed_where_it_stands():
    lines = [line.strip() for line in text_of(pg.view.compare(MODEL, CHANGED)).split('\n')]
    assert 'units=8 → 9,  # outputs' in lines
    assert "'new': + 7," in lines and "'lr': - 0.1," in lines
    assert '+ Layer(units=32, activation=None),' in lines
    assert 'Layer(units=16, activation=None),' in lines  # as it was, and so folded
    nested = text_of([pg.view.compare(MODEL, CHANGED)])
    assert 'units=8 → 9,' in nested
    back = [line.strip() for line in text_of(pg.view.compare(CHANGED, MODEL)).split('\n')]
    assert '- Layer(units=32, activation=None),' in back


@hypothesis.given(trees, trees)
def test_every_difference_is_marked_once(before, after):
    comparison = pg.view.compare(pg.Dict(x=before), pg.Dict(x=after))
    text = text_of(comparison)
    kinds = [change.kind for change in comparison.diff.changes]
    for kind, mark in (('set', ' → '), ('add', '+ '), ('remove', '- ')):
        assert text.count(mark) == kinds.count(kind)


def test_a_compared_tree_shows_what_its_code_leaves_out():
    Dense = pg.wrap(linen.Dense)
    assert 'use_bias=False → True,' in text_of(pg.view.compare(Dense(3, use_bias=False), Dense(3)))
    before, after = (Layer(pg.oneof([1, units])) for units in (2, 3))
    assert '2 → 3,' in text_of(pg.view.compare(before, after))
    nested = pg.view.compare(pg.List([Dense(3, kernel_init=(1, 2))]), pg.List([Dense(3, kernel_init=(1, 3))]))
    assert '2 → 3,' in text_of(nested)


def test_removed_items_stand_where_they_stood():
    before, after = pg.List('abcd'), pg.List('ad')
    text = text_of(pg.view.compare(before, after))
    assert [ast.literal_eval(s) for s in re.findall(r"'\w'", text)] == list('abcd')
    assert text.count("- '") == 2


def test_values_that_differ_as_wholes_are_shown_side_by_side():
    assert text_of(pg.view.compare(Layer(1), 3)) == 'Layer(units=1, activation=None) → 3'
    assert 'float32' in terminal(pg.view.compare(jnp.zeros(3), jnp.ones(3)))
    assert pg.view.to_html(pg.view.compare(MODEL, CHANGED)).count('treescope-container')


# A real browser


@pytest.mark.skipif(CHROMIUM is None, reason='needs chromium')
def test_a_browser_shows_the_page_and_asks_nobody_for_anything(tmp_path):
    class Foreign:
        def _repr_html_(self):
            return '<img src="https://example.org/x.png"><script>window.hacked = 1</script>'

    value = Model([Layer(8)], settings={text: text for text in HOSTILE}, part=[Foreign(), np.ones(3)])
    probe = """<script>addEventListener('securitypolicyviolation', e => (window.refused ||= []).push(e.blockedURI));
      const poll = setInterval(() => { const tree = document.querySelector('treescope-container').shadowRoot;
        if (!tree.textContent.includes('units=')) return;
        clearInterval(poll);
        for (const fold of tree.querySelectorAll('input')) fold.click();
        setTimeout(() => { document.body.innerHTML = '<pre id=found></pre>';
          found.textContent = JSON.stringify({hacked: window.hacked || 0, refused: window.refused || [],
            asked: performance.getEntriesByType('resource').map(e => e.name), text: tree.textContent}) }, 500) },
      20)</script></body>"""
    page = tmp_path / 'page.html'
    page.write_text(pg.view.to_html(value).replace('</body>', probe))
    command = [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', f'--user-data-dir={tmp_path}/profile']
    # Its clock runs ahead while the page unpacks itself on another thread, which a busy machine makes wait.
    command += ['--virtual-time-budget=10000000', '--dump-dom', page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    found = json.loads(html.unescape(re.findall('<pre id="found">(.*)</pre>', shown, re.DOTALL)[0]))
    assert found['hacked'] == 0 and found['refused'] == [] and found['asked'] == []
    assert 'units=8' in found['text'] and repr(HOSTILE[0]) in found['text']


def test_deep_values_are_compared_in_a_moment():
    before, after = 0, 0
    for i in range(700):
        before, after = pg.Dict(x=i, below=before), pg.Dict(x=-1 - i, below=after)
    began = time.perf_counter()
    assert '...' in pg.view.to_html(pg.view.compare(before, after))
    assert time.perf_counter() - began < 5  # it was ten seconds, when each difference named all places above it anew
