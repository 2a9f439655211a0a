"""Lenses: the three laws on random trees, patterns against a naive twin, other libraries' pytrees, jit, typed paths."""

import dataclasses
import fractions
import re
from typing import Any, NamedTuple

import flax.core
import flax.struct
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, strategies as st

import pgjax as pg
from pgjax._errors import FieldTypeError, FieldValueError, PathError
from pgjax._keypath import Path
from pgjax.edit import at, lens, patch
from pgjax.symbolic import children


class Dense(pg.Object):
    units: int = 8
    rate: float = 0.1


class Net(pg.Object):
    layers: list[Dense] = (Dense(1), Dense(2))
    head: Any = Dense(3)
    name: str = 'net'


class Any3(pg.Object):
    a: Any = None
    b: Any = 1
    c: Any = 2.0


class Pair(NamedTuple):
    left: Any
    right: Any


leaves = st.one_of(st.integers(-3, 3), st.floats(-1, 1), st.booleans(), st.none(), st.text(max_size=2))
names = st.sampled_from(['a', 'b', 'c', 'units', 'a.b', "it's", '*', '**', ''])
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(names, inner, max_size=3),
        st.tuples(inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(Any3, inner, inner, inner),
    ),
    max_leaves=12,
)


def all_paths(root):
    found, pending = {}, [((), root)]
    while pending:
        path, value = pending.pop()
        found[Path(path)] = value
        pending.extend(((*path, key), part) for key, part in reversed(children(value) or []))
    return found


def texts(paths):
    return [str(path) for path in paths]


@given(trees, leaves, leaves, st.data())
def test_a_lens_with_one_focus_obeys_the_three_laws(tree, v, w, data):
    path = data.draw(st.sampled_from(sorted(all_paths(tree), key=str)))
    one = lens(path)
    assert one.set(tree, one.get(tree)) is tree
    assert pg.eq(one.get(one.set(tree, v)), v)
    assert pg.eq(one.set(one.set(tree, v), w), one.set(tree, w))
    assert one.paths(tree) == [path]


patterns = st.lists(
    st.one_of(names, st.integers(-2, 2), st.just(lens('*')), st.just(lens('**')), st.just(Any3), st.just(int)),
    max_size=4,
)


@given(trees, st.data(), patterns)
def test_a_lens_with_many_foci_obeys_the_laws_of_traversals(tree, data, selectors):
    many = lens(*[s if not isinstance(s, (str, int)) else (s,) for s in selectors], lens('*'))
    found = many.get(tree, missing_ok=True)
    assert many.set_each(tree, found) is tree
    assert many.modify(tree, lambda v: v, missing_ok=True) is tree
    values = data.draw(st.lists(st.integers(10, 99), min_size=len(found), max_size=len(found)))
    hypothesis.assume(int not in selectors and Any3 not in selectors)  # the new values would be other foci
    changed = many.set_each(tree, values)
    assert list(many.items(changed).values()) == values or len(many.paths(changed)) != len(found)
    assert pg.eq(many.modify(changed, lambda v: v, missing_ok=True), changed)


def naive(root, steps):
    """The foci by definition: one list of (path, value) after each step, then the outermost ones."""
    spots = [((), root)]
    for index, step in enumerate(steps):
        after = []
        for path, value in spots:
            parts = children(value) or []
            if step == '**':
                below = [((*path, *p), v) for p, v in all_paths(value).items()]
                last = index == len(steps) - 1
                after += [(p, v) for p, v in below if not last or children(v) is None]
            else:
                after += [((*path, k), v) for k, v in parts if step == '*' or k == step]
        spots = after
    unique = dict(spots)
    return {p: v for p, v in unique.items() if not any(p[:n] in unique for n in range(len(p)))}


@given(trees, st.lists(st.sampled_from(['*', '**', 'a', 'b', 'units', 0, 1]), max_size=4))
def test_patterns_mean_what_the_naive_reading_says(tree, steps):
    selectors = [lens(s) if s in ('*', '**') else (s,) for s in steps]
    found = lens(*selectors).items(tree)
    expected = naive(tree, steps)
    assert set(found) == {Path(p) for p in expected}
    order = list(all_paths(tree))
    assert list(found) == sorted(found, key=order.index)


@given(st.lists(st.one_of(names, st.integers(-3, 3), st.just(lens('*')), st.just(lens('**'))), max_size=5))
def test_a_lens_prints_as_the_call_that_builds_it(steps):
    made = lens(*[s if not isinstance(s, (str, int)) else (s,) for s in steps])
    assert eval(repr(made), {'lens': lens}) == made
    assert hash(eval(repr(made), {'lens': lens})) == hash(made)


@pytest.mark.parametrize(
    'text, paths',
    [
        ('layers[*].units', ['layers[0].units', 'layers[1].units']),
        ('layers.*.units', ['layers[0].units', 'layers[1].units']),
        ('**.units', ['layers[0].units', 'layers[1].units', 'head.units']),
        ('*.units', ['head.units']),
        ('layers[-1]', ['layers[1]']),
        ('head.**', ['head.units', 'head.rate']),
        ('', ['']),
        ('layers[*][*]', ['layers[0].units', 'layers[0].rate', 'layers[1].units', 'layers[1].rate']),
        ('*.*.nope', []),
        ('**.**.units', ['layers[0].units', 'layers[1].units', 'head.units']),
        ('head', ['head']),
    ],
)
def test_patterns_in_text(text, paths):
    assert texts(lens(text).paths(Net())) == paths


def test_a_quoted_star_is_a_key():
    tree = {'*': 1, 'b': {'**': 2}}
    assert lens("['*']").get(tree) == 1
    assert lens('*').get(tree) == [1, {'**': 2}]
    assert lens("b['**']").set(tree, 3) == {'*': 1, 'b': {'**': 3}}


@pytest.mark.parametrize('text', ['a*', '***', 'a.*b', 'a..b', '*.', '.a', 'a[', '**..x', 'a.**b', '[*', '*]'])
def test_malformed_patterns_say_where(text):
    with pytest.raises(PathError, match=r'(?s)Malformed.*position'):
        lens(text)


def test_classes_members_and_conditions():
    net = Net()
    assert lens(Dense).get(net) == [Dense(1), Dense(2), Dense(3)]
    assert lens(Dense, 'units').modify(net, lambda u: u * 10).head == Dense(30)
    assert texts(lens('layers', Dense, 'rate').paths(net)) == ['layers[0].rate', 'layers[1].rate']
    assert lens(where=lambda v: v == 2).paths(net) == [Path.parse('layers[1].units')]
    by_parent = lens(where=lambda v, parent: isinstance(parent, Dense) and parent.units == 2 and v == 0.1)
    assert texts(by_parent.paths(net)) == ['layers[1].rate']
    assert texts(lens('layers', where=callable).paths(net)) == []


def test_members_of_objects_inside_others_of_their_class_are_found():
    nested = Any3(a=Any3(b=5), b=7)
    assert texts(lens(Any3, 'b').paths(nested)) == ['a.b', 'b']


def test_composition():
    layers, units = lens('layers[*]'), lens('units')
    assert layers >> units == lens('layers[*].units') == lens('layers[*]') >> 'units'
    assert (lens() >> layers).get(Net()) == [Dense(1), Dense(2)]
    assert not units.is_many and layers.is_many


def test_edits_share_what_they_do_not_touch_and_leave_the_original():
    net = Net()
    changed = lens('layers[0].units').set(net, 64)
    assert changed.head is net.head and changed.layers[1] is net.layers[1]
    assert net == Net()
    assert lens('**.units').set(changed, 5).layers == [Dense(5), Dense(5)]


def test_a_lens_without_focus():
    with pytest.raises(PathError, match=r'layers\[9\].*length 2'):
        lens('layers[9]').set(Net(), 1)
    with pytest.raises(PathError, match=r"no part of this Net\. Did you mean 'units'\? .*missing_ok"):
        lens('**.unts').get(Net())
    net = Net()
    assert lens('**.unts').set(net, 1, missing_ok=True) is net
    assert lens('**.unts').get(net, missing_ok=True) == []
    assert lens('nope').get(net, missing_ok=True) is pg.MISSING
    with pytest.raises(PathError, match='2 foci and was given 1'):
        lens('layers[*]').set_each(net, [Dense()])


def test_values_are_validated_and_nothing_is_half_done():
    net = Net()
    with pytest.raises((FieldTypeError, FieldValueError), match=r'layers\[0\].units'):
        lens('**.units').set(net, 'many')
    with pytest.raises(ZeroDivisionError) as caught:
        lens('layers[*].units').modify(net, lambda u: 1 // (u - 2))
    assert 'layers[1].units' in caught.value.__notes__[0]
    assert net == Net()


def test_selectors_of_other_types_are_refused():
    with pytest.raises(FieldTypeError, match='A lens selects by'):
        lens(1.5)
    with pytest.raises(FieldTypeError, match='where='):
        lens(where='units')


def test_lenses_are_patches():
    net = Net()
    assert patch(net, lens('**.units').over(lambda u: u + 1)).head.units == 4
    assert lens('name').to('other')(net).name == 'other'
    chain = lens('name').to('x') >> lens('head.units').over(abs) >> {'head.units': 7}
    assert patch(net, chain) == net.rebind({'name': 'x', 'head.units': 7})
    assert lens('nope').to(1, missing_ok=True)(net) is net


def test_ten_thousand_levels():
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    found = lens('**').items(deep)
    assert [len(path) for path in found] == [10_000]
    changed = lens('**').modify(deep, lambda v: v + 1)
    assert lens('**').get(changed) == [2]
    assert lens('**', int).get(deep) == [1]


# Other libraries' pytrees.


class State(flax.struct.PyTreeNode):
    step: int
    params: Any
    tag: str = flax.struct.field(pytree_node=False, default='t')


@jax.tree_util.register_pytree_node_class
class Unkeyed:
    def __init__(self, *items):
        self.items = items

    def tree_flatten(self):
        return self.items, None

    @classmethod
    def tree_unflatten(cls, aux, items):
        del aux
        return cls(*items)


def test_flax_and_optax():
    params = {'Dense_0': {'kernel': jnp.ones((2, 2)), 'bias': jnp.zeros(2)}}
    assert lens('**.kernel').modify(params, lambda k: 2 * k)['Dense_0']['kernel'].sum() == 8
    state = optax.adam(1e-3).init(params)
    halved = lens('**.mu.**').modify(state, lambda m: m + 1)
    assert type(halved) is type(state) and halved[0].mu['Dense_0']['bias'].sum() == 2
    assert halved[0].nu is state[0].nu
    assert lens('[0].count').set(state, jnp.int32(3))[0].count == 3

    frozen = flax.core.freeze(params)
    changed = lens('Dense_0.bias').set(frozen, 5.0)
    assert isinstance(changed, flax.core.FrozenDict) and changed['Dense_0']['bias'] == 5.0

    train = State(1, params)
    assert lens('params.**').set(train, 0.0).params == {'Dense_0': {'kernel': 0.0, 'bias': 0.0}}
    assert lens('step').set(train, 1) is train
    held = pg.Dict(train=train)
    assert lens('train.step').set(held, 2).train.step == 2
    assert lens('train.params.Dense_0.bias').get(held) is params['Dense_0']['bias']
    with pytest.raises(PathError, match='cannot gain or lose'):
        lens('step').set(train, pg.MISSING)
    with pytest.raises(PathError):
        lens('tag').set(train, 'x')  # no part of the pytree


def test_pytrees_without_keys_are_entered_by_index():
    node = Unkeyed(1, [2, 3])
    assert lens('**').get(node) == [1, 2, 3]
    assert lens('[1][0]').set(node, 9).items == (1, [9, 3])


def test_under_jit():
    @jax.jit
    def scaled(net, rate):
        return lens('**.rate').set(net, rate)

    out = scaled(Net(), 0.5)
    assert [float(r) for r in lens('**.rate').get(out)] == [0.5, 0.5, 0.5] and out.name == 'net'
    grads = jax.grad(lambda n: sum(r**2 for r in lens(Dense, 'rate').get(n)))(Net())
    np.testing.assert_allclose(lens('**.rate').get(grads), [0.2] * 3, rtol=1e-6)
    doubled = jax.vmap(lambda r: lens('head.rate').set(Net(), r).head.rate * 2)(jnp.arange(3.0))
    assert doubled.tolist() == [0.0, 2.0, 4.0]


# Typed access.


def test_at():
    net = Net()
    focus = at(net, lambda e: e.layers[1].units)
    assert focus.get() == 2 and focus.path == Path.parse('layers[1].units')
    assert focus.set(7).layers[1].units == 7 and net.layers[1].units == 2
    assert focus.modify(lambda u: u + 1) == net.rebind({'layers[1].units': 3})
    assert at(net, 'head.rate').set(0.5).head.rate == 0.5
    assert at({'x': {'y': 1}}, lambda d: d['x']['y']).set(2) == {'x': {'y': 2}}
    assert at(net, lambda e: e).set(1) == 1
    assert 'layers[1].units' in repr(focus)


@pytest.mark.parametrize(
    'selector',
    [
        lambda e: e.layers[1].units + 1,
        lambda e: e.head() if e else e,
        lambda e: list(e.layers),
        lambda e: e.layers[0:1],
        lambda e: e.head == Dense(),
        lambda e: 5,
        lambda e: -e.head,
        lambda e: e.layers[True],
        lambda e: len(e.layers),
        lambda e: e.nope.deeper,
        lambda e: e._private,
    ],
)
def test_a_selector_only_reads(selector):
    with pytest.raises(PathError):
        at(Net(), selector)


def test_at_leads_to_one_part():
    with pytest.raises(PathError, match='patterns'):
        at(Net(), 'layers[*]')
    with pytest.raises(PathError, match="Did you mean 'head'"):
        at(Net(), lambda e: e.haed)


def test_plain_dataclasses_are_opaque():
    @dataclasses.dataclass(frozen=True)
    class Settings:
        x: int = 1

    tree = {'s': Settings()}
    assert lens('**').get(tree) == [Settings()]
    with pytest.raises(PathError, match=re.escape('s.x')):
        lens('s.x').get(tree)


def test_the_class_of_another_library_is_answered_with_the_one_that_wraps_it():
    fraction = pg.wrap(fractions.Fraction)
    tree = pg.Dict(half=fraction(1, 2))
    assert lens(fraction, 'denominator').get(tree) == [2]
    with pytest.raises(PathError, match=r'is of the class pg\.wrap\(Fraction\): select by that'):
        lens(fractions.Fraction, 'denominator').get(tree)
