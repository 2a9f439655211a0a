"""What JAX sees of objects: which values are leaves, flattening under every transformation, derived state."""

import copy
import enum
import functools
import pickle
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, strategies as st

import pgjax as pg


class Color(enum.Enum):
    RED = 1


class Point(NamedTuple):
    x: Any
    y: Any


class Any3(pg.Object):
    a: Any = None
    b: Any = 1
    c: Any = 2.0


class Net(pg.Object):
    w: Any
    bias: float = 0.5
    units: int = 4
    name: str = 'net'
    act: Any = jnp.tanh

    def __call__(self, x):
        return self.act(x @ self.w + self.bias)


class Kinds(pg.Object):
    rate: float = 1.0
    frozen_rate: float = pg.field(default=1.0, static=True)
    count: int = 3
    traced_count: int = pg.field(default=3, traced=True)
    traced_flag: bool = pg.field(default=True, traced=True)


LEAVES = {
    'float': 1.5,
    'complex': 1j,
    'numpy': np.arange(3),
    'numpy scalar': np.float16(1),
    'jax': jnp.arange(3),
    'key': jax.random.key(0),
}
STRUCTURE = {
    'int': 3,
    'bool': True,
    'str': 'a',
    'bytes': b'a',
    'none': None,
    'enum': Color.RED,
    'function': jnp.tanh,
    'lambda': lambda x: x,
    'type': int,
    'dtype': np.dtype('float32'),
    'jax dtype': jnp.bfloat16,
    'hole': pg.oneof([1.0, 2.0]),
    'missing': pg.MISSING,
    'unhashable': bytearray(b'x'),
}


@pytest.mark.parametrize('name', LEAVES)
def test_leaf(name):
    value = LEAVES[name]
    for holder in (Any3(a=value, b=1, c='s'), pg.List([value, 1, 's']), pg.Dict(a=value, b='s')):
        assert len(jax.tree.leaves(holder)) == 1
    assert len(jax.tree.leaves(Any3(a=(value, 1), c=None))) == 1


@pytest.mark.parametrize('name', STRUCTURE)
def test_structure(name):
    value = STRUCTURE[name]
    partial = {'a': value, 'b': 1, 'c': 's'}
    holder = Any3.partial(**partial)
    assert jax.tree.leaves(holder) == []
    assert jax.tree.leaves(pg.List([value])) == [] and jax.tree.leaves(pg.Dict(a=value)) == []
    hash(jax.tree.structure(holder))
    assert jax.tree.structure(holder) == jax.tree.structure(Any3.partial(**partial))
    assert jax.tree.structure(holder) != jax.tree.structure(holder.rebind(a='other'))


def test_structure_tells_bools_and_ints_and_container_lengths_apart():
    structures = [
        pg.structure(x)
        for x in (
            Any3(a=1),
            Any3(a=True),
            Any3(a=[1]),
            Any3(a=[1, 2]),
            Any3(a=(1,)),
            Any3(a={'k': 1}),
            Any3(a={'l': 1}),
        )
    ]
    assert len(set(structures)) == len(structures)
    assert pg.structure(Any3(c=1.0)) == pg.structure(Any3(c=2.0))


def test_static_and_traced_fields():
    assert jax.tree.leaves(Kinds()) == [1.0, 3, True]
    assert pg.structure(Kinds()) == pg.structure(Kinds(rate=2.0, traced_count=5, traced_flag=False))
    assert pg.structure(Kinds()) != pg.structure(Kinds(frozen_rate=2.0))
    compiled = []
    run = jax.jit(lambda k: compiled.append(1) or k.rate * k.traced_count)
    assert run(Kinds()) == 3.0 and run(Kinds(traced_count=4)) == 4.0
    assert len(compiled) == 1


values = st.recursive(
    st.one_of(
        st.integers(-5, 5),
        st.floats(allow_nan=True),
        st.booleans(),
        st.none(),
        st.text(max_size=3),
        st.just(np.arange(2)),
        st.just(Color.RED),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.tuples(inner, inner),
        st.builds(Point, inner, inner),
        st.builds(Any3, inner, inner, inner),
    ),
    max_leaves=12,
)


@given(values)
def test_flatten_and_unflatten_are_inverse(value):
    tree = Any3(a=value)
    leaves, treedef = jax.tree.flatten(tree)
    again = jax.tree.unflatten(treedef, leaves)
    assert pg.eq(again, tree) and again == tree
    assert jax.tree.structure(again) == treedef
    assert all(a is b for a, b in zip(jax.tree.leaves(again), leaves, strict=True))


@given(values, st.integers(0, 3))
def test_unflatten_takes_any_leaf(value, shift):
    leaves, treedef = jax.tree.flatten(Any3(a=value))
    strange = [object(), None, 'text', (1, 2), [3], {}, jnp.tanh, Any3()]
    given_leaves = [strange[(i + shift) % len(strange)] for i in range(len(leaves))]
    tree = jax.tree.unflatten(treedef, given_leaves)
    seen = jax.tree.leaves(tree, is_leaf=lambda x: any(x is g for g in given_leaves))
    assert [id(x) for x in seen] == [id(x) for x in given_leaves]
    assert jax.tree.structure(jax.tree.unflatten(treedef, [object() for _ in leaves])) == treedef


@given(values)
def test_key_paths_name_the_parts(value):
    from pgjax._keypath import from_jax_keys
    from pgjax.symbolic._update import part_of

    tree = Any3(a=value)
    for entries, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        node, path = tree, from_jax_keys(entries)
        for depth, key in enumerate(path):
            node = part_of(node, key, path, depth)
        assert node is leaf
    assert [leaf for _, leaf in jax.tree_util.tree_leaves_with_path(tree)] == jax.tree.leaves(tree)


def test_key_paths_print_as_jax_prints_them():
    tree = Any3(a=[1.0, {'k': 2.0}], b=(3.0, 1), c=Any3(c=4.0))
    printed = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    assert printed == ['.a[0]', ".a[1]['k']", '.b[0]', '.c.c']


# Transformations -----------------------------------------------------------------------------------------------


@pytest.fixture
def net():
    return Net(w=jnp.ones((4, 4)))


def test_jit_compiles_once_per_structure(net):
    traces = []
    run = jax.jit(lambda n, x: traces.append(1) or n(x))
    x = jnp.ones(4)
    for bias in (0.1, 0.2, 0.3):
        np.testing.assert_allclose(run(net.rebind(bias=bias), x), jnp.tanh(4 + bias), rtol=1e-6)
    run(net.rebind(name='other'), x)
    assert len(traces) == 2


def test_jit_returns_objects(net):
    made = jax.jit(lambda n: n.rebind(bias=n.bias * 2))(net)
    assert type(made) is Net and float(made.bias) == 1.0 and made.act is jnp.tanh


def test_grad_and_optax(net):
    loss = lambda n: jnp.sum(n(jnp.ones(4)) ** 2)  # noqa: E731
    grads = jax.grad(loss)(net)
    assert type(grads) is Net and grads.w.shape == (4, 4) and grads.name == 'net'
    optimizer = optax.adam(1e-2)
    params = jax.tree.map(jnp.asarray, net)
    updates, _ = optimizer.update(grads, optimizer.init(params))
    assert float(loss(optax.apply_updates(params, updates))) < float(loss(net))


def test_vmap_with_prefix_trees(net):
    population = pg.stack([net.rebind(bias=float(i)) for i in range(3)])
    out = jax.vmap(lambda n, x: n(x).sum(), in_axes=(0, None))(population, jnp.ones(4))
    assert out.shape == (3,)
    axes = jax.tree.map(lambda leaf: None, net).rebind(bias=0)
    mixed = net.rebind(bias=jnp.arange(3.0))
    prefix = jax.tree.unflatten(jax.tree.structure(net), [None, 0])
    expected = jax.vmap(lambda b: net.rebind(bias=b)(jnp.ones(4)))(jnp.arange(3.0))
    np.testing.assert_allclose(jax.vmap(lambda n: n(jnp.ones(4)), in_axes=(prefix,))(mixed), expected)
    assert axes.bias == 0
    back = jax.vmap(lambda n: n, out_axes=0)(population)
    assert pg.structure(back) == pg.structure(population)


def test_scan_cond_while_and_eval_shape(net):
    net = jax.tree.map(jnp.asarray, net)
    step = lambda n, _: (n.rebind(bias=n.bias + 1), n.bias)  # noqa: E731
    last, seen = jax.lax.scan(step, net, None, length=5)
    assert float(last.bias) == 5.5 and seen.shape == (5,)
    chosen = jax.lax.cond(True, lambda n: n, lambda n: n.rebind(bias=-n.bias), net)
    assert float(chosen.bias) == 0.5
    looped = jax.lax.while_loop(lambda n: n.bias < 3, lambda n: n.rebind(bias=n.bias + 1), net)
    assert float(looped.bias) == 3.5
    shapes = jax.eval_shape(lambda n: n, net)
    assert shapes.w == jax.ShapeDtypeStruct((4, 4), jnp.float32) and shapes.units == 4
    assert jax.tree.map(lambda x: x.shape, shapes) == jax.tree.map(lambda x: x.shape, net)


class Fixed(pg.Object):
    value: Any = pg.field(default=1, static=True)


@pytest.mark.parametrize(
    ('one', 'other'),
    [(1, True), (1, 1.0), (0.0, -0.0), ((1,), (True,)), ((1.0,), (1,)), (Fixed(1), Fixed(True)), ([0.0], [-0.0])],
)
def test_static_values_of_different_types_are_different_programs(one, other):
    seen: list[Any] = []
    run = jax.jit(lambda fixed: seen.append(fixed.value))
    for value in (one, other, other):
        run(Fixed(value))
    assert list(map(repr, seen)) == [repr(one), repr(other)]


def test_a_static_nan_is_one_program():
    one, other = Fixed(float('nan')), Fixed(float('nan'))
    assert one == other and pg.structure(one) == pg.structure(other)
    assert hash(pg.structure(one)) == hash(pg.structure(other))


def test_static_argument(net):
    run = functools.partial(jax.jit, static_argnums=0)(lambda k, x: x * k.count)
    assert run(Kinds(), 2.0) == 6.0 and run(Kinds(count=5), 2.0) == 10.0


def test_tree_map_over_several_objects(net):
    total = jax.tree.map(lambda a, b: a + b, net, net.rebind(bias=1.0))
    assert total.bias == 1.5
    with pytest.raises(ValueError, match='different pytree metadata'):
        jax.tree.map(lambda a, b: a, net, net.rebind(units=5))


def test_stack_and_unstack():
    members = [Any3(a=float(i), c=[1.0, 2]) for i in range(3)]
    population = pg.stack(members)
    assert population.a.shape == (3,) and population.c[1] == 2
    assert [float(m.a) for m in pg.unstack(population)] == [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match='object 1 differs'):
        pg.stack([Any3(b=1), Any3(b=2)])
    with pytest.raises(ValueError, match='at least one'):
        pg.stack([])


# Derived state -------------------------------------------------------------------------------------------------

bound: list[Any] = []


class Derived(pg.Object):
    x: float = 1.0
    part: Any = None

    def _on_bound(self):
        bound.append(self.x)
        self._double = self.x * 2

    @property
    def double(self):
        return self._double


@pytest.fixture
def calls():
    bound.clear()
    return bound


def test_on_bound_runs_once_per_new_object(calls):
    one = Derived(x=1.0)
    assert (one.double, one.double, calls) == (2.0, 2.0, [1.0])
    two = one.rebind({'x': 3.0, 'part': 'p'})
    assert (two.double, calls) == (6.0, [1.0, 3.0])
    assert one.double == 2.0
    assert one.rebind(x=1.0, raise_on_no_change=False) is one and len(calls) == 2
    three = Derived(part=two)
    assert len(calls) == 3
    four = three.rebind({'part.part': 'q'})
    assert len(calls) == 5 and four.part.double == 6.0


def test_on_bound_waits_for_holes_and_names_them(calls):
    open_object = Derived(part=Any3(a=[pg.oneof([1, 2])]))
    assert calls == []
    with pytest.raises(RuntimeError, match=r'part\.a\[0\]'):
        open_object.double  # noqa: B018
    assert open_object.x == 1.0
    assert open_object.rebind({'part.a[0]': 1}).double == 2.0 and calls == [1.0]
    missing = Derived.partial(x=pg.MISSING)
    with pytest.raises(RuntimeError, match='still open: x'):
        missing.double  # noqa: B018


def test_on_bound_runs_again_after_jax(calls):
    leaves, treedef = jax.tree.flatten(Derived(x=2.0))
    again = jax.tree.unflatten(treedef, leaves)
    assert len(calls) == 1
    assert again.double == 4.0 and again.double == 4.0 and len(calls) == 2
    assert jax.jit(lambda d: d.double)(Derived(x=5.0)) == 10.0
    np.testing.assert_allclose(jax.vmap(lambda d: d.double)(pg.stack([Derived(x=1.0), Derived(x=2.0)])), [2, 4])


def test_unknown_attributes_stay_unknown(calls):
    with pytest.raises(AttributeError, match='_other'):
        Derived()._other  # noqa: B018
    with pytest.raises(AttributeError, match='other'):
        Derived().other  # noqa: B018
    assert not hasattr(Any3(), '_x') and not hasattr(Derived(), '__array__')


def test_a_failing_on_bound_leaves_nothing_behind():
    class Picky(pg.Object):
        x: int = 0

        def _on_bound(self):
            if self.x < 0:
                raise ValueError('negative')

    picky = Picky()
    with pytest.raises(ValueError, match='negative'):
        picky.rebind(x=-1)
    assert picky.x == 0 and picky == Picky()


# Copies --------------------------------------------------------------------------------------------------------


@given(values)
def test_pickle_and_copies(value):
    tree = Any3(a=value)
    again = pickle.loads(pickle.dumps(tree))
    assert pg.eq(again, tree) and hash(again) == hash(tree)
    assert copy.copy(tree) is tree and copy.deepcopy(tree) is tree
    assert pg.eq(copy.deepcopy({'k': tree})['k'], tree)


def test_pickle_keeps_functions_classes_and_sharing():
    shared = Any3(a=1)
    tree = Any3(a=shared, b=[shared, jnp.tanh], c=jax.nn.relu)
    again = pickle.loads(pickle.dumps(tree))
    assert again.a is again.b[0] and again.c is jax.nn.relu and again.b[1] is jnp.tanh
    assert type(again.b) is pg.List


def test_a_pickle_may_be_older_than_the_order_of_the_fields():
    rebuild, (cls, _) = Any3(a=1).__reduce__()
    assert list(vars(rebuild(cls, {'c': 3, 'b': 2}))) == ['a', 'b', 'c']
    assert rebuild(cls, {'c': 3, 'b': 2}) == Any3(None, 2, 3)


def test_unpickled_derived_state_is_derived_again(calls):
    again = pickle.loads(pickle.dumps(Derived(x=4.0)))
    assert again.double == 8.0


@pytest.mark.parametrize('container', [pg.List([1, {'a': 2}]), pg.Dict(a=[1], b=2)])
def test_containers_copy_as_themselves(container):
    assert copy.copy(container) is container and copy.deepcopy(container) is container
    assert pickle.loads(pickle.dumps(container)) == container


class Key(enum.Enum):
    A = 'a'
    B = 'b'


def test_equal_dicts_have_equal_structure_and_keep_their_own_order():
    one, two = Any3({'x': 1.0, 'y': [2.0], 3: 4}, c=0), Any3({3: 4, 'y': [2.0], 'x': 1.0}, c=0)
    assert one == two
    assert pg.structure(one) == pg.structure(two)
    assert hash(pg.structure(one)) == hash(pg.structure(two))
    assert jax.tree.leaves(two) == [1.0, 2.0]
    doubled = jax.tree.map(lambda a, b: a + b, two, one)
    assert list(doubled.a) == [3, 'y', 'x']
    assert doubled == Any3({'x': 2.0, 'y': [4.0], 3: 4}, c=0)
    assert pg.stack([one, two]).a.x.tolist() == [1.0, 1.0]


def test_keys_without_an_order_stay_as_they_are():
    class Table(pg.Object):
        by: dict[Key, float]

    assert jax.tree.map(lambda v: -v, Table({Key.B: 1.0, Key.A: 2.0})).by == {Key.A: -2.0, Key.B: -1.0}


def test_deep_objects_pickle_and_keep_what_they_share():
    shared = Any3(a=pg.Dict(x=1.5))
    node: Any = shared
    for _ in range(2500):  # four levels each
        node = Any3(pg.List([pg.Dict(a=(node, shared))]))
    again, twin = pickle.loads(pickle.dumps([node, shared]))
    assert again == node
    for _ in range(2500):
        assert again.a[0].a[1] is twin
        again = again.a[0].a[0]
    assert again is twin


def test_a_class_that_pickles_in_its_own_way_does_so_in_deep_objects():
    node: Any = OwnPickle(Any3())
    for _ in range(300):
        node = Any3(node)
    again = pickle.loads(pickle.dumps(node))
    while not isinstance(again, OwnPickle):
        again = again.a
    assert again == OwnPickle('restored')


class OwnPickle(pg.Object):
    a: Any

    def __reduce__(self):
        return (OwnPickle, ('restored',))
