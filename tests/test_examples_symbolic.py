"""The examples of the symbolic language run, print what they promise, and what they claim is so.

They run in processes of their own: patchers have global names, and an example's are not to meet a test's.
"""

import re

import pytest
from test_examples import EXAMPLES, run

SOURCES = [EXAMPLES / 'hello.py', EXAMPLES / 'exchange_ideas.py', *sorted((EXAMPLES / 'codebases').glob('*.py'))]


def test_hello_greets_edited_and_searched():
    printed = run(EXAMPLES / 'hello.py').splitlines()
    assert printed == ['Hello, World!', 'Hello, PyGlove!', 'Hello, World!', 'Hello, PyGlove!']


def test_hello_is_a_regular_class_but_for_one_line():
    lines = (EXAMPLES / 'hello.py').read_text().splitlines()
    assert len(lines) < 30
    plain = '\n'.join(line for line in lines if not line.startswith(('@pg.', 'import pgjax')))
    scope = {}
    exec(plain, scope)  # without pgjax it is the class that it was
    assert scope['Hello']('World')._greeting == 'Hello, World!'


@pytest.mark.slow
def test_every_figure_prints_what_it_shows():
    figures = re.split(r'^Figure (\d)\. .*\n', run(EXAMPLES / 'exchange_ideas.py'), flags=re.MULTILINE)[1:]
    printed = dict(zip(figures[::2], figures[1::2], strict=True))
    assert sorted(printed) == ['2', '3', '4', '5', '9']

    full, separable = printed['2'].splitlines()
    flops, accuracy = re.compile(r'([\d,]+) FLOPs'), re.compile(r'accuracy (\d\.\d+)')
    cost = [int(flops.findall(line)[0].replace(',', '')) for line in (full, separable)]
    assert cost[1] < cost[0] / 2
    assert min(float(accuracy.findall(line)[0]) for line in (full, separable)) > 0.2  # 0.1 is guessing
    assert 'Conv(features=8, kernel_size=(3, 3))' in full and 'SepConv(features=8, kernel_size=(3, 3))' in separable

    assert "- dataset.name: 'cifar10'\n+ dataset.name: 'imagenet'" in printed['3']
    assert re.search(r'the best of 5 that can be afforded: Conv\(features=[24],', printed['3'])
    assert 'equal to the one written by hand: True; logits (1, 6, 100)' in printed['4']
    pairs = re.findall(r'(\w+) +(\w+)\S* +(\d) changes, scores \(2, (\d+)\)', printed['5'])
    assert pairs == [
        ('resnet', 'apply_sepconv', '3', '10'),
        ('resnet', 'scale_width', '3', '10'),
        ('resnet', 'change_dataset', '3', '20'),
        ('tower', 'apply_sepconv', '1', '10'),
        ('tower', 'scale_width', '1', '10'),
        ('tower', 'change_dataset', '3', '20'),
    ]
    decisions = 'model.layers[0], optimizer, optimizer[=0/2].learning_rate, optimizer[=1/2].learning_rate'
    assert f'decisions: {decisions}\n' in printed['9']
    assert 'Sequential in a Probe, scores (2, 10)' in printed['9'] and 'the same: True' in printed['9']


def test_what_the_ideas_do_is_so():
    assert run('-c', 'import test_examples_symbolic as t; t.check_ideas()') == 'checked\n'


def check_ideas():
    """Facts about the patches of the example; nothing is compiled."""
    import exchange_ideas as ideas
    import numpy as np

    import pgjax as pg

    resnet, tower, transformer = ideas.resnet, ideas.tower, ideas.transformer
    before = pg.to_json_str([resnet, tower, transformer])

    # Every convolution is replaced, its arguments carried over; a second time there is nothing to do.
    separable = pg.patch(resnet, 'apply_sepconv')
    convolutions = pg.query(resnet, where=lambda v: isinstance(v, ideas.nn.Conv))
    assert len(convolutions) == 3 and not pg.contains(separable, type=ideas.nn.Conv)
    for path, old in convolutions.items():
        new = pg.get(separable, path)
        assert isinstance(new, ideas.SepConv)
        assert (new.features, new.kernel_size, new.strides) == (old.features, old.kernel_size, old.strides)
    assert pg.patch(separable, 'apply_sepconv') == separable

    # The rest is shared, not copied.
    assert separable.dataset is resnet.dataset and separable.model.layers[-1] is resnet.model.layers[-1]

    # Rules by role, not by place: one written for any experiment, on both code bases, and after another rule.
    for exp, data, head in ((resnet, 'dataset', 'model.layers[3]'), (tower, 'data', 'net.head')):
        moved = pg.patch(exp, 'change_dataset?name=imagenet')
        changed = {change.path for change in pg.diff(exp, moved).changes}
        assert changed == {f'{data}.name', f'{data}.num_classes', f'{head}.features'}
        assert pg.get(moved, f'{head}.features') == pg.get(moved, data).num_classes == 20
    widths = [pg.get(x, 'model.layers[0].features') for x in (resnet, separable, pg.patch(separable, 'scale_width'))]
    assert widths == [8, 8, 16]

    # A search over a patch's argument is one decision, however many widths hang on it.
    space = pg.search_space(pg.patch(resnet, 'search_for_width?target_flops=2e5'))
    assert space.size == 5 and len(space.decisions) == 1
    found = [
        pg.query(space.decode(d), r'.*\.features', where=lambda v, p: hasattr(p, 'kernel_size'))
        for d in space.iterate()
    ]
    base = np.array([8, 16, 16])
    assert [list(widths.values()) for widths in found] == [list(base * k) for k in (0.25, 0.5, 1, 2, 4)]

    # LaMDA, by patches in any order that makes sense; its history makes it again.
    lamda = pg.patch(transformer, ideas.LAMDA)
    assert lamda == ideas.LAMDA_BY_HAND == pg.patch(transformer, ideas.LAMDA[::-1])
    assert pg.history(lamda) == ideas.LAMDA and pg.patch(transformer, pg.history(lamda)) == lamda
    assert pg.patch(transformer, ideas.LAMDA[:3]) != lamda

    # Nothing above changed what it was given, and all of it can be stored.
    assert pg.to_json_str([resnet, tower, transformer]) == before
    for value in (resnet, separable, tower, lamda, space.template):
        assert pg.from_json_str(pg.to_json_str(value)) == value
    print('checked')


@pytest.mark.parametrize('source', SOURCES, ids=lambda path: path.name)
def test_examples_are_short_and_public(source):
    text = source.read_text()
    assert len(text.splitlines()) < 200
    assert not re.search(r'pgjax\.(\w+\.)*_|search\._|__pg_|type: ignore', text)
