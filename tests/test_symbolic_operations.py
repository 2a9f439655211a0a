"""Asking and walking: query, get, contains, traverse, cursors, what is open, order, formats, resolve, inheritance."""

import copy
import enum
import functools
import sys
import time
from typing import Annotated, Any, Final, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from annotated_types import Ge, Gt

import pgjax as pg
from pgjax import symbolic as sym
from pgjax.symbolic import TraverseAction

T = TypeVar('T')


class Layer(pg.Object):
    units: int = 8
    rate: float = 0.1


class Net(pg.Object):
    layers: list[Layer]
    head: Layer = Layer(1)
    extra: Any = None


@pytest.fixture
def net():
    return Net([Layer(8), Layer(16)], extra=(Layer(3), {'units': 5}))


# Query ---------------------------------------------------------------------------------------------------------


def test_query_by_path(net):
    found = sym.query(net, r'.*units')
    assert [str(p) for p in found] == [
        'layers[0].units',
        'layers[1].units',
        'head.units',
        'extra[0].units',
        'extra[1].units',
    ]
    assert list(found.values()) == [8, 16, 1, 3, 5]
    assert found == {
        'layers[0].units': 8,
        'layers[1].units': 16,
        'head.units': 1,
        'extra[0].units': 3,
        'extra[1].units': 5,
    }
    assert found['head.units'] == 1 and 'head.rate' not in found and 'head[' not in found and len(found) == 5


def test_query_by_condition(net):
    assert sym.query(net, where=lambda v: isinstance(v, Layer)).paths[0] == ('layers', 0)
    inside = sym.query(net, where=lambda v, parent: v == 8 and isinstance(parent, Layer))
    assert inside == {'layers[0].units': 8}
    assert len(sym.query(net, where=callable)) == 0
    assert sym.query(net, r'layers', where=lambda v: isinstance(v, int)).paths == (
        ('layers', 0, 'units'),
        ('layers', 1, 'units'),
    )


def test_selected_parts_are_entered_on_demand(net):
    is_layer = lambda v: isinstance(v, Layer | pg.List)  # noqa: E731
    assert len(sym.query(net, where=is_layer)) == 3
    assert len(sym.query(net, where=is_layer, enter_selected=True)) == 5


def test_a_selection_sets_and_maps(net):
    found = sym.query(net, r'.*units')
    doubled = found.map(lambda units: units * 2)
    assert list(sym.query(doubled, r'.*units').values()) == [16, 32, 2, 6, 10]
    assert doubled.layers[0].rate == 0.1 and net.layers[0].units == 8 and found.root is net
    assert set(sym.query(found.set(4), r'.*units').values()) == {4}
    with pytest.raises(ValueError, match='selected nothing'):
        sym.query(net, 'nothing').set(1)
    nested = sym.query(net, where=lambda v: isinstance(v, Net | Layer), enter_selected=True)
    grown = nested.map(lambda v: v.rebind(rate=0.5) if isinstance(v, Layer) else v.rebind(extra=len(v.layers)))
    assert grown.extra == 2 and grown.layers[1].rate == 0.5
    assert 'layers[0].units' in repr(found)


def test_get_and_contains(net):
    assert sym.get(net, 'layers[-1].units') == 16 and sym.get(net, '') is net
    assert sym.get(net, 'layers[5]', None) is None
    with pytest.raises(LookupError, match=r"'unitz'.*Did you mean 'units'"):
        sym.get(net, 'head.unitz')
    assert sym.contains(net, Layer(16)) and sym.contains(net, 5) and not sym.contains(net, 99)
    assert sym.contains(net, type=tuple) and not sym.contains(net, type=(str, bytes))


# Traverse and cursors ------------------------------------------------------------------------------------------


def test_traverse_order_and_actions(net):
    seen: list[str] = []
    enter = lambda path, value, parent: seen.append(f'>{path}')  # noqa: E731
    leave = lambda path, value, parent: seen.append(f'<{path}')  # noqa: E731
    assert sym.traverse(pg.Dict(a=[1], b=2), enter, leave) is True
    assert seen == ['>', '>a', '>a[0]', '<a[0]', '<a', '>b', '<b', '<']
    seen.clear()

    def skip(path, value, parent):
        seen.append(str(path))
        return TraverseAction.CONTINUE if path.key == 'a' else TraverseAction.ENTER

    assert sym.traverse(pg.Dict(a=[1], b=2), skip, leave) is True
    assert seen == ['', 'a', '<a', 'b', '<b', '<']
    seen.clear()

    def stop(path, value, parent):
        seen.append(str(path))
        return TraverseAction.STOP if path.key == 'a' else None

    assert sym.traverse(pg.Dict(a=[1], b=2), stop) is False and seen == ['', 'a']
    parents = {}
    sym.traverse(net, lambda path, value, parent: parents.update({str(path): parent}))
    assert parents['layers[0]'] is net.layers and parents[''] is None


def test_cursor(net):
    place = sym.cursor(net, 'layers[1].units')
    assert place.value == 16 and place.up().value is net.layers[1] and place.up(3).path == ()
    assert place.ancestor(Net).value is net and place.ancestor(lambda v: isinstance(v, Layer)).value is net.layers[1]
    assert place.ancestor(str) is None
    changed = place.set(5).up().down('rate').map(lambda r: r * 2).root
    assert changed.layers[1] == Layer(5, 0.2) and net.layers[1] == Layer(16) and changed.head is net.head
    with pytest.raises(LookupError, match='cannot go up'):
        place.up(9)
    with pytest.raises(LookupError):
        sym.cursor(net, 'layers[7]')


# What is open --------------------------------------------------------------------------------------------------


def test_partial_abstract_concrete(net):
    partial = Net.partial(head=Layer())
    hole = net.rebind({'head.units': pg.oneof([1, 2])})
    waiting = net.rebind({'head.units': sym.inherited('n')})
    table = {(sym.is_partial, partial), (sym.is_abstract, hole)}
    for value in (net, partial, hole, waiting):
        for ask in (sym.is_partial, sym.is_abstract):
            assert ask(value) is ((ask, value) in table)
        assert sym.is_concrete(value) is (value is net)
    assert sym.is_abstract(net.rebind(extra=hole)) and sym.is_partial([{'a': (partial,)}])


def test_missing_and_nondefault(net):
    partial = pg.Dict(a=Net.partial(), b=1)
    assert sym.missing(partial) == {'a.layers': pg.MISSING}
    assert sym.missing(partial, flatten=False) == {'a': {'layers': pg.MISSING}}
    assert sym.missing(net) == {}
    listed = Net([Layer(), Layer(9)]).rebind({'head.rate': 0.5})
    assert sym.nondefault(listed) == {'layers[0]': Layer(), 'layers[1].units': 9, 'head.rate': 0.5}
    assert sym.nondefault(Layer()) == {} and sym.nondefault(Layer(9)) == {'units': 9}
    assert sym.nondefault(Net([]).rebind({'head.rate': 0.5})) == {'layers': [], 'head.rate': 0.5}
    assert sym.nondefault(Net([]).rebind({'head.rate': 0.5}), flatten=False)['head'] == {'rate': 0.5}


# Order ---------------------------------------------------------------------------------------------------------


def test_order_is_total():
    values = [
        None, False, 1, 1.5, float('inf'), float('nan'), 'a', 'b', b'a', [1], [1, 2], [2], (1,), {'a': 1}, {'a': 2},
        np.arange(2), jnp.tanh, Layer(1), Layer(2), Net([]),
    ]  # fmt: skip
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            assert (sym.lt(a, b), sym.gt(a, b)) == (i < j, i > j) or {i, j} <= {16}, (a, b)
            assert sym.ne(a, b) is (i != j)
    assert not sym.lt(1, True) and not sym.lt([1], pg.List([1])) and not sym.gt(Layer(1), Layer(1))


# Formats -------------------------------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = 1


def test_formats(net):
    assert repr(net) == (
        'Net(layers=[Layer(units=8, rate=0.1), Layer(units=16, rate=0.1)], head=Layer(units=1, rate=0.1), '
        "extra=(Layer(units=3, rate=0.1), {'units': 5}))"
    )
    assert pg.format(net.head, hide_defaults=True) == 'Layer(units=1)'
    assert pg.format(net.layers[0], width=10) == 'Layer(\n  units=8,\n  rate=0.1,\n)'
    assert str(Layer()) == repr(Layer())


def test_evaluable_form():
    value = Net(
        [Layer(3)],
        extra={
            'nan': float('nan'), 'inf': -float('inf'), 'array': np.arange(40.0), 'jax': jnp.ones(3, jnp.bfloat16),
            'key': jax.random.key(3), 'color': Color.RED, 'type': Layer, 'function': jax.nn.relu,
            'dtype': np.dtype('int8'),
            'hole': pg.oneof([1, pg.floatv(0.1, 1.0)]), 'missing': pg.MISSING, 'tuple': (1,), 'numpy': np.float32(2),
        },
    )  # fmt: skip
    text = pg.format(value, evaluable=True)
    names = {'pgjax': pg, 'jax': jax, 'numpy': np, __name__.partition('.')[0]: sys.modules[__name__.partition('.')[0]]}
    assert pg.eq(eval(text, names), value)


class Tone(enum.Flag):
    LOW = 1
    HIGH = 2


@pytest.mark.parametrize(
    'value',
    [
        np.array(['nan', 'infinite']), np.array([[np.nan], [-np.inf]]), np.array(np.nan), complex('nan-infj'),
        Tone.LOW | Tone.HIGH, Tone(0), np.dtype('<U3'), np.dtype('>f4'), np.dtype([('a', 'i4')]),
    ],
    ids=repr,
)  # fmt: skip
def test_evaluable_form_of_odd_leaves(value):
    module = __name__.partition('.')[0]
    names = {'numpy': np, module: sys.modules[module]}
    assert pg.eq(eval(pg.format(value, evaluable=True), names), value)


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x

    def __repr__(self):
        return f'Scale({self.factor})'


def test_objects_that_can_be_called_print_as_themselves():
    assert pg.format([Scale(2), functools.partial(len, 'ab')]) == (
        "[Scale(2), functools.partial(<built-in function len>, 'ab')]"
    )
    assert pg.format('ab'.upper).startswith('<built-in method upper')
    assert 'bound method Scale.__call__ of Scale(2)' in pg.format(Scale(2).__call__)


@pytest.mark.parametrize('value', [0.0, [0.0], {'a': (0.0,)}, complex(0.0, 1)])
def test_the_sign_of_a_zero_is_set(value):
    negative = jax.tree.map(lambda zero: -zero if isinstance(zero, float) else complex(-0.0, 1), value)
    for made in (
        pg.Dict(x=value).rebind(x=negative),
        pg.patch(pg.Dict(x=value), {'x': negative}),
        pg.Dict(x=value).rebind(lambda path, old: negative if str(path) == 'x' else old),
        Net([], extra=value).rebind(extra=negative),
    ):
        assert repr(negative) in repr(made)


def test_parts_of_deep_values_are_set_in_a_moment():
    tree: Any = pg.Dict(x=0)
    for _ in range(1500):
        tree = pg.Dict(x=0, below=tree)
    began = time.perf_counter()
    assert pg.query(pg.query(tree, where=lambda v: v == 0).set(1), where=lambda v: v == 0).paths == ()
    assert time.perf_counter() - began < 2  # it was four seconds, when each path was looked up at each depth


# Inherited and inferred ----------------------------------------------------------------------------------------


class Leaf(pg.Object):
    dtype: str = sym.inherited()
    units: int = sym.inferred(lambda root, path: root.classes * 2)


def test_resolve_fills_in_from_the_nearest_ancestor():
    tree = pg.Dict(dtype='f32', classes=5, a=Leaf(), b=pg.Dict(dtype='bf16', inner=[(Leaf(),)]), c=Leaf('f16', 1))
    done = sym.resolve(tree)
    assert (done.a, done.b.inner[0][0], done.c) == (Leaf('f32', 10), Leaf('bf16', 10), Leaf('f16', 1))
    assert done.c is tree.c and sym.resolve(done) is done
    assert repr(tree.a).startswith('Leaf(dtype=inherited(), units=inferred(')
    assert sym.resolve(tree, {'dtype': 'x'}).b.inner[0][0].dtype == 'x'
    assert jax.tree.leaves(tree) == [] and tree == copy.copy(tree) and hash(tree) == hash(pg.Dict(**tree))


def test_resolve_chains_names_and_defaults():
    tree = pg.Dict(a=1, b={'a': sym.inherited(), 'c': {'a': sym.inherited(), 'd': sym.inherited('a')}})
    assert sym.resolve(tree) == {'a': 1, 'b': {'a': 1, 'c': {'a': 1, 'd': 1}}}
    assert sym.resolve(pg.Dict(x={'y': sym.inherited(default=7)})).x.y == 7
    two = pg.Dict(n=2, a=sym.inferred(lambda root, path: root.b + 1), b=sym.inferred(lambda root, path: root.n * 10))
    assert sym.resolve(two) == {'n': 2, 'a': 21, 'b': 20}


class Level(pg.Object):
    alias: Any = pg.inherited('rate')
    child: Any = None
    rate: float = pg.inherited()


def test_resolve_hands_on_what_fields_made_of_inherited_values():
    done = pg.resolve(pg.Dict(rate=1, net=Level(child={'rate': pg.inherited()})))
    assert [type(rate) for rate in (done.rate, done.net.rate, done.net.alias, done.net.child.rate)] == [
        int,
        float,
        float,
        float,
    ]


def test_resolve_takes_time_by_the_number_of_levels():
    net = None
    for _ in range(4000):
        net = Level(child=net)
    began = time.perf_counter()
    done = pg.resolve(pg.Dict(rate=0.5, net=net))
    assert time.perf_counter() - began < 5  # it was a minute, when each level took a pass of its own
    assert pg.is_concrete(done)


def test_resolve_waits_for_holes():
    tree = pg.Dict(n=pg.oneof([1, 2]), a={'n': sym.inherited()}, b=sym.inferred(lambda root, path: root.n + 1))
    assert sym.resolve(tree) == tree
    assert sym.resolve(tree.rebind(n=2)) == {'n': 2, 'a': {'n': 2}, 'b': 3}
    inside = pg.Dict(n=4, x=pg.oneof([Leaf(units=1), {'n': sym.inherited()}]), dtype='f32')
    assert sym.resolve(inside).x.candidates[1] == {'n': 4}


def test_resolve_errors():
    with pytest.raises(RuntimeError, match=r"a\.dtype: no object or dict above has a field or key 'dtype'"):
        sym.resolve(pg.Dict(a=Leaf(units=1)))
    with pytest.raises(TypeError, match=r'a\.dtype: expected str, got int 3'):
        sym.resolve(pg.Dict(dtype=3, a=Leaf(units=1)))
    with pytest.raises(AttributeError) as caught:
        sym.resolve(pg.Dict(dtype='x', a=Leaf()))
    assert any('inferred value at a.units' in note for note in caught.value.__notes__)
    with pytest.raises(RuntimeError, match='wait for each other'):
        loop = sym.inferred(lambda root, path: root.b), sym.inferred(lambda root, path: root.a)
        sym.resolve(pg.Dict(a=loop[0], b=loop[1]))


# Inheritance ---------------------------------------------------------------------------------------------------


class Base(pg.Object):
    x: float = 1.0
    y: int | None = None
    z: Annotated[float, Gt(0)] = 1.0
    tag: str


class Narrow(Base):
    y: int = 3
    z: Annotated[float, Ge(1)]
    x = 2.0


WIDER: dict[str, Any] = {
    'other type': {'y': str},
    'any': {'x': Any},
    'no bound': {'z': float},
    'looser bound': {'z': Annotated[float, Gt(-1)]},
    'or none': {'x': float | None},
}


def test_subclasses_narrow():
    assert Narrow(tag='t') == Narrow(2.0, 3, 1.0, tag='t') and Narrow(tag='t').x == 2.0
    with pytest.raises(TypeError, match='y: expected int, got NoneType'):
        Narrow(tag='t', y=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='>= 1'):
        Narrow(tag='t', z=0.5)


@pytest.mark.parametrize('case', WIDER)
def test_subclasses_do_not_widen(case):
    with pytest.raises(TypeError, match='may narrow a field and never widen it'):
        type(pg.Object)('Wider', (Base,), {'__annotations__': WIDER[case], '__module__': __name__})


def test_final_fields():
    class Fixed(pg.Object):
        rate: Final[float] = 0.3

    assert Fixed().rate == 0.3 and Fixed(0.3) == Fixed()
    for change in (lambda: Fixed(0.4), lambda: Fixed().rebind(rate=0.4)):
        with pytest.raises(ValueError, match='Final'):
            change()
    with pytest.raises(TypeError, match='Final in a base class'):
        type(pg.Object)('Looser', (Fixed,), {'__annotations__': {'rate': float}, '__module__': __name__, 'rate': 0.5})


class Box(pg.Object, Generic[T]):
    item: T
    more: list[T] = pg.field(default=())


class IntBox(Box[int]):
    pass


def test_generics():
    assert Box[int](1).item == 1 and Box('a').item == 'a' and IntBox(1, [2]).more == [2]
    with pytest.raises(TypeError, match=r'IntBox\.item: expected int'):
        IntBox('a')  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r'IntBox\.more\[0\]: expected int'):
        IntBox(1, ['a'])  # type: ignore[list-item]


def test_protocols_of_python():
    layer = Layer(4)
    assert layer.__replace__(units=5) == Layer(5) and layer.__replace__() is layer
    match layer:
        case Layer(units, rate):
            assert (units, rate) == (4, 0.1)
    assert {layer: 1}[Layer(4)] == 1


def test_a_traced_leaf_in_python_control_flow_is_named():
    @jax.jit
    def run(experiment):
        return 1 if experiment.layers[0].rate > 0 else 2

    with pytest.raises(jax.errors.TracerBoolConversionError, match=r'experiment\.layers\[0\]\.rate'):
        run(Net([Layer()]))


class Series:
    """An array-like of another library: == answers item by item, and raises where the shapes differ."""

    def __init__(self, *items):
        self.items = np.array(items)
        self.shape = self.items.shape

    def __array__(self, dtype=None, copy=None):
        return self.items

    def __eq__(self, other):
        return self.items == np.array(other.items if isinstance(other, Series) else other)

    def __ne__(self, other):
        return ~(self == other)

    __hash__ = None  # type: ignore[assignment]


def arrays_in_an_array(*arrays):
    made = np.empty(len(arrays), object)
    made[:] = arrays
    return made


NAN = float('nan')
RECORD = [('a', 'f4'), ('b', 'f4')]


@pytest.mark.parametrize(
    ('a', 'b'),
    [
        (np.float32(1), [1.0, 1.0]),
        (np.float32(1), [[1], [1, 2]]),
        (np.True_, []),
        (np.float32(0.1), 0.1),
        (np.datetime64('2020-01-01'), [1, [2]]),
        (np.dtype('f4'), 'f4'),
        (np.dtype('f4'), np.float32),
        (arrays_in_an_array(np.ones(2), np.ones(3)), arrays_in_an_array(np.ones(2), np.zeros(3))),
        (np.array([(1.0, NAN)], RECORD), np.array([(2.0, NAN)], RECORD)),
        (Series(1, 2), [1, 2]),
        (Series(1, 2), Series(1)),
        (Series(1, 1), Series(1, 2)),
    ],
)
def test_unequal_to_what_numpy_broadcasts_or_rounds(a, b):
    assert pg.Dict(v=a) != pg.Dict(v=b)
    assert pg.Dict(v=b) != pg.Dict(v=a)
    assert pg.diff(pg.Dict(v=a), pg.Dict(v=b))


@pytest.mark.parametrize(
    ('a', 'b'),
    [
        (np.float32('nan'), np.float32('nan')),
        (np.float64('nan'), np.float64('nan')),
        (np.float32('nan'), NAN),
        (np.longdouble('nan'), NAN),
        (np.datetime64('NaT'), np.datetime64('NaT')),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.str_('a'), 'a'),
        (np.array([(1.0, NAN)], RECORD), np.array([(1.0, NAN)], RECORD)),
        (arrays_in_an_array(np.ones(2), np.array([NAN])), arrays_in_an_array(np.ones(2), np.array([NAN]))),
    ],
)
def test_equal_scalars_and_arrays_hash_alike(a, b):
    assert pg.Dict(v=a) == pg.Dict(v=b)
    assert hash(pg.Dict(v=a)) == hash(pg.Dict(v=b))
    assert not pg.diff(pg.Dict(v=a), pg.Dict(v=b))


def test_array_likes_of_other_libraries_compare_by_content():
    assert pg.Dict(v=Series(1, NAN)) == pg.Dict(v=Series(1, NAN))


class Switch(pg.Object):
    rate: float = 0.0
    bias: float = 0.0

    def _on_bound(self):
        self._sign = 1 if self.rate > 0 else -1

    @property
    def sign(self):
        return self._sign


class Call(pg.Functor):
    switch: Switch = Switch()
    steps: float = pg.field(default=3.0)

    def _call(self):
        return int(self.steps)


def notes_of(error):
    return ' '.join(error.__notes__)


def test_the_note_of_a_traced_leaf_says_its_path_and_the_cure():
    with pytest.raises(jax.errors.TracerBoolConversionError) as caught:
        jax.jit(lambda switch: switch.sign)(Switch(1.0))
    assert 'rate, bias' in notes_of(caught.value)
    assert 'static=True' in notes_of(caught.value)
    with pytest.raises(jax.errors.ConcretizationTypeError) as caught:
        jax.jit(lambda call: call())(Call())
    assert ': steps.' in notes_of(caught.value)  # it is the tracer itself that was asked


def test_an_array_that_its_owner_changes_leaves_no_stale_hash():
    array = np.array([1, 2])
    old, new = pg.Dict(a=[pg.Dict(v=array)]), pg.Dict(a=[pg.Dict(v=np.array([5, 2]))])
    assert hash(old) != hash(new) and old != new
    array[0] = 5
    assert hash(old) == hash(new) and old == new


class Metres(np.ndarray):
    """An array with units."""

    unit = 'm'


def in_kilometres() -> Metres:
    made = np.arange(3.0).view(Metres)
    made.unit = 'km'
    return made


SECOND = np.array([False, True, False])
BESIDE_NUMBERS: dict[str, tuple[Any, Any]] = {
    'mask': (np.ma.array([1, 2, 3], mask=SECOND), np.ma.array([1, 2, 3], mask=~SECOND)),
    'no mask': (np.ma.array([1, 2, 3], mask=SECOND), np.array([1, 2, 3])),
    'operators': (np.rec.array([(1,)], dtype=[('a', int)]), np.array([(1,)], dtype=[('a', int)])),
    'units': (np.arange(3.0).view(Metres), in_kilometres()),
}


@pytest.mark.parametrize('a, b', BESIDE_NUMBERS.values(), ids=BESIDE_NUMBERS)
def test_arrays_differ_in_what_their_class_adds_to_the_numbers(a, b):
    assert not pg.eq(a, b) and not pg.eq(b, a) and pg.diff([a], [b])
    assert pg.eq(a, a.copy()) and pg.hash(a) == pg.hash(a.copy())
    assert pg.List([a]).rebind({0: b})[0] is b


def test_masks_are_printed():
    masked = np.ma.array([1, 2, 3], mask=SECOND)
    assert repr(pg.List([masked])) == "[MaskedArray([1, 2, 3], mask=[False, True, False], dtype='int64')]"
    assert pg.eq(eval(pg.format(masked, evaluable=True), {'numpy': np}), masked)
    assert repr(pg.List([np.ma.zeros(100)])) == '[MaskedArray float64[100]]'


def test_the_byte_order_of_an_array_is_no_part_of_its_content():
    foreign, own = np.arange(3, dtype='>i4'), np.arange(3, dtype='<i4')
    assert pg.eq(foreign, own) and pg.hash(foreign) == pg.hash(own)
    assert pg.eq(pg.from_json(pg.to_json([foreign])), [foreign])
    records = np.array([(1, 2.0)], dtype=[('a', '>i4'), ('b', '>f8')])
    same = records.astype([('a', '<i4'), ('b', '<f8')])
    assert pg.eq(records, same) and pg.hash(records) == pg.hash(same)
    assert pg.List([foreign]).rebind({0: own})[0] is own
