"""Laws of objects: rebind shares and is atomic, hashes agree with equality, paths round-trip, depth and threads."""

import concurrent.futures
import copy
import random
from typing import Any

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

import pgjax as pg
from pgjax._keypath import Path
from pgjax.symbolic import children


class Any3(pg.Object):
    a: Any = None
    b: Any = 1
    c: Any = 2.0


scalars = st.one_of(
    st.integers(-3, 3), st.floats(-1, 1), st.booleans(), st.none(), st.text(max_size=2), st.just(float('nan'))
)
keys = st.one_of(st.text(max_size=4), st.integers(-2, 5), st.sampled_from(["it's", 'a.b', 'x[0]', '', '"', '\\', '\n']))
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.tuples(inner, inner),
        st.builds(Any3, inner, inner, inner),
    ),
    max_leaves=15,
)


def all_paths(root: Any) -> dict[Path, Any]:
    found, pending = {}, [((), root)]
    while pending:
        path, value = pending.pop()
        found[Path(path)] = value
        pending.extend(((*path, key), part) for key, part in children(value) or ())
    return found


def identities(root: Any) -> list[tuple[Path, int]]:
    return [(path, id(value)) for path, value in all_paths(root).items()]


@given(trees, st.data())
def test_rebind_copies_the_spine_and_shares_the_rest(value, data):
    tree = Any3(a=value)
    path = data.draw(st.sampled_from(sorted(all_paths(tree), key=str)))
    hypothesis.assume(path)
    before = identities(tree)
    changed = tree.rebind({path: 'new value'})
    assert identities(tree) == before
    parts = all_paths(changed)
    assert parts[path] == 'new value'
    for other, part in all_paths(tree).items():
        if path.startswith(other):
            assert other == path or parts[other] is not part
        elif not other.startswith(path):
            assert parts[other] is part
    assert pg.eq(changed.rebind({str(path): all_paths(tree)[path]}), tree)


@given(trees, st.data())
def test_setting_an_equal_value_returns_the_object(value, data):
    tree = Any3(a=value)
    parts = all_paths(tree)
    path = data.draw(st.sampled_from(sorted(parts, key=str)))
    hypothesis.assume(path)
    assert tree.rebind({path: copy.deepcopy(parts[path])}) is tree


@given(trees, st.lists(st.sampled_from(['a', 'b', 'c']), min_size=1, unique=True))
def test_several_updates_are_all_or_none(value, names):
    tree = Any3(a=value)
    before = identities(tree)
    good = dict.fromkeys(names, 'x')
    assert all(getattr(tree.rebind(good), name) == 'x' for name in names)
    with pytest.raises(LookupError):
        tree.rebind({**good, 'nothing.here': 1})
    assert identities(tree) == before


@given(trees, trees)
def test_hash_agrees_with_equality(left, right):
    left, right = Any3(a=left), Any3(a=right)
    assert left == Any3(a=left.a) and hash(left) == hash(Any3(a=left.a))
    rebuilt = jax.tree.unflatten(jax.tree.structure(left), jax.tree.leaves(left))
    assert rebuilt == left and hash(rebuilt) == hash(left)
    if left == right:
        assert hash(left) == hash(right)
    assert (left == right) is pg.eq(left, right) is (right == left)
    assert (left != right) is not (left == right)


EQUAL = [
    ([1, 2], pg.List([1, 2])),
    ({'a': [1]}, pg.Dict(a=[1])),
    (pg.Dict(a=1, b=2), pg.Dict(b=2, a=1)),
    (Any3(a=1), Any3(a=1.0)),
    (Any3(a=True), Any3(a=1)),
    (Any3(a=float('nan')), Any3(a=float('nan'))),
    (Any3(a=0.0), Any3(a=-0.0)),
    (Any3(a=np.array([0.0, np.nan])), Any3(a=np.array([-0.0, np.nan]))),
    (Any3(a=np.arange(3, dtype=np.int32)), Any3(a=jnp.arange(3))),
    (Any3(a=jax.random.key(1)), Any3(a=jax.random.key(1))),
    (Any3(a=jnp.zeros(2, jnp.bfloat16)), Any3(a=-jnp.zeros(2, jnp.bfloat16))),
    (Any3(a=(1, [2])), Any3(a=(1, pg.List([2])))),
]
DIFFERENT = [
    ([1, 2], (1, 2)),
    (Any3(a=[1]), Any3(a=(1,))),
    (Any3(a=np.arange(3)), Any3(a=[0, 1, 2])),
    (Any3(a=np.zeros(3, np.float32)), Any3(a=np.zeros(3))),
    (Any3(a=np.zeros(3)), Any3(a=np.zeros((3, 1)))),
    (Any3(a={'k': 1}), Any3(a={'k': 1, 'l': 2})),
    (Any3(a=jax.random.key(1)), Any3(a=jax.random.key(2))),
    (Any3(), pg.Dict(a=None, b=1, c=2.0)),
    (Any3(a=pg.oneof([1, 2])), Any3(a=pg.oneof([2, 1]))),
    (Any3.partial(a=pg.MISSING), Any3()),
    (Any3(a=np.float64('nan')), Any3(a=np.array(np.nan))),
]


@pytest.mark.parametrize('pair', EQUAL, ids=str)
def test_equal(pair):
    left, right = pair
    assert pg.eq(left, right) and pg.eq(right, left)
    assert pg.hash(left) == pg.hash(right)


@pytest.mark.parametrize('pair', DIFFERENT, ids=str)
def test_different(pair):
    assert not pg.eq(*pair) and not pg.eq(*pair[::-1])


def plainly_equal(left: Any, right: Any) -> bool:
    """Equality as one would write it down, one part after the other."""
    if isinstance(left, (list, pg.List)) and isinstance(right, (list, pg.List)):
        return len(left) == len(right) and all(map(plainly_equal, left, right))
    if type(left) is tuple and type(right) is tuple:
        return len(left) == len(right) and all(map(plainly_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(plainly_equal(left[key], right[key]) for key in left)
    if isinstance(left, Any3) and isinstance(right, Any3):
        return all(plainly_equal(getattr(left, name), getattr(right, name)) for name in 'abc')
    if isinstance(left, (tuple, list, dict, Any3)) or isinstance(right, (tuple, list, dict, Any3)):
        return False
    return left == right or (left != left and right != right)


@given(trees, st.data(), st.lists(st.sampled_from(['left', 'right', 'equal']), max_size=4))
def test_equality_is_the_plain_one_whatever_is_remembered(value, data, looks):
    left = Any3(a=value)
    path = data.draw(st.sampled_from(sorted(all_paths(left), key=str)))
    new = data.draw(scalars)
    right = left.rebind({path: new}, raise_on_no_change=False) if path else Any3(a=copy.deepcopy(value))
    expected = plainly_equal(left, right)
    for look in looks:
        assert hash(left if look == 'left' else right) if look != 'equal' else (left == right) is expected
    assert (left == right) is (right == left) is pg.eq(left, right) is expected


def test_equality_is_remembered_only_of_what_cannot_change():
    left, right = Any3(a=np.zeros(2)), Any3(a=np.zeros(2))
    assert left == right
    right.a[0] = 1.0
    assert left != right
    whole, real = Any3(a=1), Any3(a=1.0)
    assert whole == real and pg.eq(whole, real) and not pg.eq(whole, real, strict=True)
    assert Any3(b=whole).rebind({'b': real}).b is real
    assert left.rebind(a=1) == whole and whole.rebind(a=2) != real != real.rebind(b=2)


def test_containers_equal_their_twins():
    assert pg.List([1, {'a': 2}]) == [1, {'a': 2}] and pg.List([1]) == [1] and pg.List([1]) != (1,)
    assert pg.Dict(a=[1]) == {'a': [1]} and pg.Dict(a=[1]) == {'a': [1]}
    assert repr(pg.List([1, {'a': 2.0}])) == "[1, {'a': 2.0}]" and repr(pg.Dict(a=(1,))) == "{'a': (1,)}"


def test_equality_of_traced_values_is_explained():
    with pytest.raises(TypeError, match='outside jit'):
        jax.jit(lambda x: Any3(a=x) == Any3(a=x + 1))(1.0)


@given(st.lists(keys, max_size=5))
def test_paths_round_trip(parts):
    path = Path(parts)
    assert Path.parse(str(path)) == path
    assert Path.parse(path) is path


@given(st.text(max_size=20))
def test_any_text_is_a_path_or_a_path_error(text):
    try:
        path = Path.parse(text)
    except LookupError as error:
        assert len(str(error)) <= 500
    else:
        assert Path.parse(str(path)) == path


def test_path_relations():
    path = Path.parse('a.b[0].c')
    assert path.keys == ('a', 'b', 0, 'c') and path.key == 'c' and str(path.parent) == 'a.b[0]'
    assert path.startswith('a.b') and path.endswith('[0].c') and not path.endswith('b') and path.endswith('')
    assert path.child('d') == Path.parse('a.b[0].c.d') and Path(()).parent == ()


# Lists in updates ----------------------------------------------------------------------------------------------

LIST_CASES = {
    'replace': ({'[0]': 9}, [9, 1, 2]),
    'negative': ({'[-1]': 9}, [0, 1, 9]),
    'append': ({'[3]': 9}, [0, 1, 2, 9]),
    'insert': ({'[1]': pg.Insertion(9)}, [0, 9, 1, 2]),
    'insert at end': ({'[3]': pg.Insertion(9)}, [0, 1, 2, 9]),
    'delete': ({'[1]': pg.MISSING}, [0, 2]),
    'old positions': ({'[0]': pg.MISSING, '[1]': pg.Insertion(8), '[2]': 9}, [8, 1, 9]),
    'int keys': ({0: 9, 2: 8}, [9, 1, 8]),
    'mixed': ({'[0]': pg.Insertion(7), '[3]': 6, '[1]': pg.MISSING}, [7, 0, 2, 6]),
}


@pytest.mark.parametrize('case', LIST_CASES)
def test_list_updates(case):
    updates, expected = LIST_CASES[case]
    items = pg.List([0, 1, 2])
    assert items.rebind(updates) == expected
    assert items == [0, 1, 2]
    assert pg.rebind([0, 1, 2], updates) == expected
    typed = type(items.rebind(updates))
    assert typed is pg.List


def test_missing_resets_fields_and_drops_keys():
    assert Any3(b=5).rebind(b=pg.MISSING) == Any3()
    assert pg.Dict(a=1, b=2).rebind(a=pg.MISSING) == {'b': 2}
    with pytest.raises(LookupError):
        pg.Dict(a=1).rebind(zz=pg.MISSING)


def test_keywords_win_and_dicts_grow():
    assert Any3().rebind({'a': 1, 'b': 2}, a=3) == Any3(a=3, b=2)
    assert pg.Dict(a=1).rebind(b=[2]) == {'a': 1, 'b': [2]}


def test_tuples_and_named_tuples_are_entered():
    import collections

    pair = collections.namedtuple('pair', 'x y')
    tree = Any3(a=(1, [2, 3]), b=pair(1, (2,)))
    changed = tree.rebind({'a[1][0]': 9, 'b.y[0]': 8})
    assert changed.a == (1, [9, 3]) and changed.b == pair(1, (8,)) and type(changed.b) is pair


def test_a_rule_does_not_enter_what_it_replaced():
    seen = []

    def rule(path, value):
        seen.append(str(path))
        return pg.List([1, 2]) if isinstance(value, list | pg.List) and len(value) == 1 else value

    assert pg.Dict(a=[5], b=1).rebind(rule) == {'a': [1, 2], 'b': 1}
    assert seen == ['', 'a', 'b']


@given(trees)
def test_a_rule_is_what_it_does_to_each_part(value):
    def rule(path, part, parent):
        assert parent is None or hash(parent)  # to remember something about an object does not disturb the walk
        return (part, 'new') if isinstance(part, bool) or path.key == 'b' else part

    def plainly(part, path, parent):
        new = rule(path, part, parent)
        if new is not part:
            return new
        if isinstance(part, Any3):
            return Any3(*[plainly(getattr(part, name), path.child(name), part) for name in 'abc'])
        if isinstance(part, dict):
            return {key: plainly(item, path.child(key), part) for key, item in part.items()}
        if isinstance(part, (list, tuple)):
            items = [plainly(item, path.child(index), part) for index, item in enumerate(part)]
            return items if isinstance(part, (list, pg.List)) else tuple(items)
        return part

    tree = Any3(a=value)
    before = identities(tree)
    changed = tree.rebind(rule, raise_on_no_change=False)
    assert pg.eq(changed, plainly(tree, Path(), None)) and identities(tree) == before


def test_a_rule_sees_parents_and_may_replace_the_root():
    tree = Any3(a=Any3(b=2))
    doubled = tree.rebind(lambda path, value, parent: value * 2 if path.key == 'b' and parent is tree.a else value)
    assert doubled.a.b == 4 and doubled.b == 1
    assert tree.rebind(lambda path, value: 7 if not path else value) == 7
    assert tree.rebind({'': 8}) == 8


def test_rebind_under_jit_changes_leaves():
    tree = Any3(a=[1.0, 2.0])
    changed = jax.jit(lambda t: t.rebind({'a[1]': t.a[0] + t.a[1]}))(tree)
    assert [float(x) for x in changed.a] == [1.0, 3.0]


# Depth and threads ---------------------------------------------------------------------------------------------


def deep(levels: int, leaf: Any) -> Any:
    node = leaf
    for level in range(levels):
        node = Any3(a=node) if level % 3 else pg.List([node])
    return node


@pytest.fixture(scope='module')
def deep_pair():
    return deep(10_000, 1.0), deep(10_000, 1.0)


def deep_path(node: Any) -> Path:
    keys = []
    while not isinstance(node, float):
        key = 'a' if isinstance(node, Any3) else 0
        keys.append(key)
        node = node.a if key == 'a' else node[0]
    return Path(keys)


@pytest.mark.slow
def test_deep_trees(deep_pair):
    left, right = deep_pair
    assert left == right and hash(left) == hash(right)
    path = deep_path(left)
    assert len(path) == 10_000
    changed = left.rebind({path: 2.0})
    assert changed != left and changed.rebind({path: 1.0}) == left
    assert left.rebind(lambda p, v: 2.0 if isinstance(v, float) and v == 1.0 else v) == changed
    assert len(repr(left)) > 10_000
    assert len(pg.format(left, width=80)) > 10_000
    assert copy.deepcopy(left) is left
    both = left.rebind({path: 3.0, (*path[:-1], 'c' if path[-1] == 'a' else 1): 4.0})
    assert both != left


def test_eight_threads_on_one_object():
    tree = Any3(a=[Any3(b=i) for i in range(20)], c=Any3(a=np.arange(4)))
    fresh = lambda: pg.rebind(tree, {'c.b': 1}, raise_on_no_change=False)  # noqa: E731
    expected, text, structure = hash(tree), repr(tree), jax.tree.structure(tree)
    shared = Any3(a=[Any3(b=i) for i in range(20)], c=Any3(a=np.arange(4)))

    def hammer(seed: int) -> int:
        rng = random.Random(seed)
        for _ in range(60):
            index = rng.randrange(20)
            changed = shared.rebind({f'a[{index}].b': -1})
            assert changed.a[index].b == -1 and shared.a[index].b == index
            assert changed.rebind({f'a[{index}].b': index}) == shared == fresh()
            assert hash(shared) == expected and repr(shared) == text
            assert jax.tree.structure(shared) == structure and len(jax.tree.leaves(shared)) == 22
        return seed

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(hammer, range(8))) == list(range(8))


def test_classes_defined_in_threads():
    def make(index: int) -> Any:
        made = type(pg.Object)(
            f'Made{index}', (pg.Object,), {'__annotations__': {'x': int}, '__module__': __name__, 'x': index}
        )
        return made()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert [made.x for made in pool.map(make, range(40))] == list(range(40))


def test_a_path_prints_as_the_code_that_makes_it():
    for keys in [('a', 0), ('a.b', "it's"), ('\n', "'"), ('"', "'", '\\')]:
        path = pg.Path(keys)
        assert eval(repr(path), {'Path': pg.Path.parse}) == path
