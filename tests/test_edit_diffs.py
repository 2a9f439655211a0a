"""Differences: they turn one value into the other and back, are as small as the change, and print like a diff."""

import copy
import pickle
import time
from typing import Annotated, Any, NamedTuple

import annotated_types
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

import pgjax as pg
from pgjax._errors import PathError
from pgjax.edit import Diff, diff, history, patch
from pgjax.symbolic import children


class Any3(pg.Object):
    a: Any = None
    b: Any = 1
    c: Any = 2.0


class Other(pg.Object):
    a: Any = None


class Positive(pg.Object):
    x: Annotated[int, annotated_types.Gt(0)] = 1
    items: Annotated[list[int], annotated_types.MinLen(2)] = (1, 2)


class Matched(pg.Object):
    """Its list and its length always agree, so that no edit may be seen half done."""

    n: int = 1
    items: list[Any] = (0,)

    def _on_bound(self):
        if len(self.items) != self.n:
            raise ValueError('half done')


class Pair(NamedTuple):
    left: Any
    right: Any


arrays = st.builds(lambda xs: np.array(xs, np.float32), st.lists(st.sampled_from([0.0, 1.0, float('nan')]), max_size=3))
leaves = st.one_of(
    st.integers(-3, 3), st.floats(-1, 1), st.booleans(), st.none(), st.text(max_size=2), st.just(float('nan')), arrays
)
keys = st.one_of(st.sampled_from(['a', 'b', 'a.b', "it's", '', '[0]', '*']), st.integers(-1, 2))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(keys, inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.builds(Pair, inner, inner),
        st.builds(Any3, inner, inner, inner),
        st.builds(Other, inner),
        st.builds(lambda *candidates: pg.oneof(candidates), inner, inner),
    ),
    max_leaves=15,
)


def variant(tree, data):
    """A tree like `tree`, with some parts replaced, added and taken away."""
    for _ in range(data.draw(st.integers(0, 4))):
        spots = [()]
        pending = [((), tree)]
        while pending:
            path, value = pending.pop()
            for key, part in [] if isinstance(value, pg.symbolic.Placeholder) else children(value) or []:
                spots.append((*path, key))
                pending.append(((*path, key), part))
        path = data.draw(st.sampled_from(spots))
        node = tree
        for key in path:
            node = node[key] if isinstance(node, (list, tuple, dict)) else getattr(node, key)
        new = data.draw(leaves)
        if path and type(node) in (pg.List, pg.Dict, list, dict):
            action = data.draw(st.sampled_from(['set', 'insert', 'remove']))
            if action == 'insert' and isinstance(node, (list, pg.List)):
                index = data.draw(st.integers(0, len(node)))
                tree = pg.rebind(tree, {(*path, index): pg.Insertion(new) if index < len(node) else new})
                continue
            if action == 'remove' and len(node):
                key = data.draw(st.sampled_from([key for key, _ in children(node)]))
                tree = pg.rebind(tree, {(*path, key): pg.MISSING})
                continue
        tree = pg.rebind(tree, {path: new}) if path else tree
    return tree


def check(a, b):
    before = copy.deepcopy((a, b))
    d = diff(a, b)
    assert pg.eq(patch(a, d), b)
    assert pg.eq(patch(b, d.inverse()), a)
    assert bool(d) is not pg.eq(a, b)
    assert d.inverse().inverse() == d
    assert str(d) and pg.eq(before, (a, b))
    return d


@given(trees, trees)
def test_a_diff_turns_one_value_into_any_other_and_back(a, b):
    check(a, b)
    check(Any3(a=a), Any3(a=b))


@given(trees, st.data())
def test_a_diff_of_related_values(tree, data):
    tree = pg.Dict(root=tree)
    check(tree, variant(tree, data))


@given(trees)
def test_equal_values_do_not_differ(tree):
    assert not diff(tree, tree)
    assert not diff(tree, copy.deepcopy(tree))
    assert patch(tree, diff(tree, copy.deepcopy(tree))) is tree


@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_lists_of_different_lengths(a, b):
    for kind in (list, tuple, pg.List):
        d = check(kind(a), kind(b))
        assert type(patch(kind(a), d)) is kind
        assert len(d.changes) <= max(len(a), len(b))


def lines(a, b):
    return str(diff(a, b)).splitlines()


def test_it_prints_like_a_diff():
    a = pg.Dict(model=Any3(a=1, b=[1, 2, 3]), gone=5)
    b = pg.Dict(model=Any3(a=2, b=[1, 3]), new=Other(6))
    assert lines(a, b) == [
        '- model.a: 1',
        '+ model.a: 2',
        '- model.b[1]: 2',
        '- gone: 5',
        '+ new: Other(a=6)',
    ]
    assert lines(1, 2) == ['- (root): 1', '+ (root): 2']
    assert str(diff(a, a)) == '(no differences)'
    assert lines(Any3(), Other()) == ['- (root): Any3(a=None, b=1, c=2.0)', '+ (root): Other(a=None)']
    assert all(len(line) < 260 for line in lines('x' * 9999, 'y' * 9999))


def test_arrays_are_summarised():
    a = {'w': jnp.zeros((8, 8)), 'v': np.arange(3)}
    b = {'w': a['w'].at[0, 0].set(0.5), 'v': np.arange(3)}
    assert lines(a, b) == ['- w: float32[8,8]', '+ w: float32[8,8]  (largest difference 0.5)']
    assert '1 of 2 elements differ' in str(diff(np.array([True, False]), np.array([True, True])))
    assert lines(jnp.zeros(100), jnp.zeros(50)) == ['- (root): float32[100]', '+ (root): float32[50]']
    keys = jax.random.key(0), jax.random.key(1)
    assert patch(keys[0], diff(*keys)) is keys[1]
    assert diff(np.array(['a']), np.array(['b'])) and str(diff(np.array(['a']), np.array(['b'])))
    assert str(diff(np.array([np.nan]), np.array([np.inf])))
    shapes = jax.ShapeDtypeStruct((2,), 'float32'), jax.ShapeDtypeStruct((3,), 'float32')
    assert lines(*shapes) == ['- (root): float32[2]', '+ (root): float32[3]']


def test_parts_that_are_one_object_are_not_looked_at():
    class Watched:
        def __eq__(self, other):
            raise AssertionError('looked at')

        __hash__ = None  # type: ignore[assignment]

    shared = Any3(a=Watched())
    a = pg.Dict(x=1, y=shared, z=[shared, 1])
    assert [c.path for c in diff(a, a.rebind({'x': 2, 'z[1]': 5})).changes] == ['x', 'z[1]']


def test_a_diff_is_one_edit():
    a, b = Matched(), Matched(3, [0, 1, 2])
    assert [c.kind for c in diff(a, b).changes] == ['set', 'add', 'add']
    check(a, b)
    check(pg.Dict(m=[a, a]), pg.Dict(m=[a, b, a]))
    with pytest.raises(ValueError, match=r'out of range|must be'):
        patch(Positive(), diff(pg.Dict(x=1), pg.Dict(x=-1)))


def test_a_diff_is_a_symbolic_patch():
    a = Any3(a=[1, 2], b=0.5)
    d = diff(a, a.rebind({'a[2]': 3, 'b': 0.25}))
    assert isinstance(d, Diff) and isinstance(d, pg.Object) and hash(d) == hash(copy.deepcopy(d))
    assert pickle.loads(pickle.dumps(d)) == d
    made = patch(a, [d, {'c': 1}])
    assert made == Any3(a=[1, 2, 3], b=0.25, c=1) and history(made)[0] == d
    assert d(a.rebind(c=7)) == Any3(a=[1, 2, 3], b=0.25, c=7)  # it says what changes, not what stays
    assert patch(a, d >> {'b': 2}).b == 2


def test_a_diff_that_does_not_fit():
    d = diff(Any3(a=[1, 2, 3]), Any3(a=[1]))
    with pytest.raises((PathError, ValueError), match='index 2'):
        patch(Any3(a=[1, 2]), d)
    with pytest.raises((PathError, ValueError), match='field of Other'):
        patch(Other(a=5), diff(Any3(b=1), Any3(b=2)))


def test_partial_objects_differ_as_wholes():
    class Required(pg.Object):
        x: int
        y: int = 1

    partial, full = Required.partial(y=2), Required(5)
    check(pg.Dict(r=partial), pg.Dict(r=full))
    check(partial, Required.partial(y=3))
    assert [c.path for c in diff(pg.Dict(r=full), pg.Dict(r=partial)).changes] == ['r']


def test_ten_thousand_levels():
    def nest(value):
        for _ in range(10_000):
            value = Other(value)
        return value

    a, b = nest(1), nest(2)
    d = diff(a, b)
    assert len(d.changes) == 1 and patch(a, d) == b


def test_containers_of_different_kinds():
    for a, b in [
        ([1], (1,)),
        ({'a': 1}, [1]),
        ({}, []),
        (Pair(1, 2), (1, 2, 3)),
        (pg.Dict(a=1), {'a': 2}),
        (True, 1.5),
    ]:
        check(a, b)
    check({(1, 2): 'x'}, {(1, 2): 'y'})  # a key that no path can name
    assert not diff(pg.Dict(a=[1]), {'a': [1]})


def test_many_lists_that_grow_are_patched_in_linear_time():
    a, b = pg.List([[i] for i in range(8000)]), pg.List([[i, [i]] for i in range(8000)])
    d = diff(a, b)
    began = time.perf_counter()
    assert patch(a, d) == b and patch(b, d.inverse()) == a
    assert time.perf_counter() - began < 5  # it was half a minute, when each list looked at all changes


def test_what_grows_inside_what_is_set_is_refused():
    inside = diff({'a': [[1]]}, {'a': [[1, 2]]}).changes
    both = Diff([pg.diff({'a': 1}, {'a': 2}).changes[0], *inside])
    with pytest.raises(pg.PatchError, match='conflict'):
        patch({'a': [[1]]}, both)
