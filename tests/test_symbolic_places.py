"""An error of a user's function says at which part of the value the function was called."""

from typing import Any

import pytest

import pgjax as pg


def fails(value: Any, *rest: Any) -> Any:
    del rest
    if value == 3:
        raise KeyError('mine')
    return value


def visit(path: Any, value: Any, parent: Any) -> None:
    del path, parent
    fails(value)


TREE = pg.Dict(a=[1, {'b': 3}], c=4)
CALLS = {
    'rule': (lambda: TREE.rebind(lambda path, value: fails(value)), 'a rebind rule'),
    'modify': (lambda: pg.lens('**').modify(TREE, fails), 'the function of a lens'),
    'lens': (lambda: pg.lens(where=lambda v: fails(v) is None).get(TREE), 'the condition of a lens'),
    'pre': (lambda: pg.traverse(TREE, visit), 'a visitor'),
    'post': (lambda: pg.traverse(TREE, None, visit), 'a visitor'),
    'query': (lambda: pg.query(TREE, where=lambda v: fails(v) is None), 'the condition of a query'),
    'selection': (lambda: pg.query(TREE, '.*b').map(fails), 'the function of a selection'),
}


@pytest.mark.parametrize('call, what', CALLS.values(), ids=CALLS)
def test_the_note_says_what_was_called_where(call, what):
    with pytest.raises(KeyError, match='mine') as caught:
        call()
    assert caught.value.__notes__ == [f'raised by {what} at a[1].b']


def test_the_root_has_a_name():
    with pytest.raises(KeyError) as caught:
        pg.query(3, where=fails)
    assert caught.value.__notes__ == ['raised by the condition of a query at the root']


def test_derived_values_say_where_they_stand():
    template = pg.Dict(width=pg.oneof([3, 4]), net={'hidden': pg.derive(fails, 'width')})
    with pytest.raises(KeyError, match='mine') as caught:
        pg.search_space(template).decode(pg.search_space(template).first())
    assert 'raised by the function of pg.derive at net.hidden' in caught.value.__notes__
