"""What bad classes, arguments, paths and updates are answered with: one test for each catalogued case."""

import math
import time
from typing import Annotated, Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from annotated_types import Ge, Gt, IsFinite, Le, Lt

import pgjax as pg
from pgjax import _errors as errors
from pgjax._keypath import Path
from pgjax.symbolic import _registry


class Adam(pg.Object):
    learning_rate: float = 1e-3
    steps: int = 10


class Node(pg.Object):
    x: int = 1
    y: float = 2.0
    z: list[int] = pg.field(default=(1, 2, 3))
    child: Any = None


def check_message(error: BaseException, words: tuple[str, ...]) -> None:
    text = str(error)
    assert len(text) <= 500
    assert isinstance(error, pg.PgjaxError) if hasattr(pg, 'PgjaxError') else True
    for word in words:
        assert word in text, f'{word!r} is not in: {text}'


def define_wrong_default():
    class WrongDefault(pg.Object):
        x: int = 'a'  # pyright: ignore[reportAssignmentType]


def use_unresolved():
    class Unresolved(pg.Object):
        x: 'NoSuch'  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

    Unresolved(1)


def define_reserved(name):
    return lambda: type(pg.Object)('Reserved', (pg.Object,), {'__annotations__': {name: int}, name: 1})


def define_twice():
    first = type(pg.Object)('Twice', (pg.Object,), {'__module__': 'module_a'}, type_name='tests.Twice')
    try:
        type(pg.Object)('Twice', (pg.Object,), {'__module__': 'module_b'}, type_name='tests.Twice')
    finally:
        assert _registry.find_class('tests.Twice') is first


def define_static_array():
    class StaticArray(pg.Object):
        table: Any = pg.field(default=np.zeros(3), static=True)


def define_static_unhashable():
    class StaticSet(pg.Object):
        table: Any = pg.field(default=bytearray(b'x'), static=True)


CLASS_CASES = {
    'A01': (define_wrong_default, ('WrongDefault', "'x'", 'int', 'str')),
    'A02': (use_unresolved, ('Unresolved', "'x'", 'NoSuch')),
    'A03 rebind': (define_reserved('rebind'), ("'rebind'", 'reserved', 'to_json')),
    'A03 replace': (define_reserved('replace'), ("'replace'", 'reserved')),
    'A03 to_json': (define_reserved('to_json'), ("'to_json'", 'reserved')),
    'A05': (define_twice, ('tests.Twice', 'module_a', 'module_b', 'Rename', 'override=True')),
    'A07 array': (define_static_array, ("'table'", 'static')),
    'A07 unhashable': (define_static_unhashable, ("'table'", 'part of the jit cache key and must be hashable')),
}


@pytest.mark.parametrize('case', CLASS_CASES, ids=str)
def test_bad_class(case):
    make, words = CLASS_CASES[case]
    before = dict(_registry._CLASSES)
    with pytest.raises(errors.ClassDefinitionError) as caught:
        make()
    assert isinstance(caught.value, TypeError)
    check_message(caught.value, words)
    if case not in ('A02', 'A05'):
        assert before == _registry._CLASSES


def test_a06_mutable_default_is_frozen():
    class Mutable(pg.Object):
        z: list = []  # noqa: RUF012

    first, second = Mutable(), Mutable()
    with pytest.raises(errors.FrozenError):
        first.z.append(1)
    assert second.z == [] and isinstance(first.z, pg.List)


class Bounded(pg.Object):
    rate: Annotated[float, Ge(0), Le(1)] = 0.5
    scale: Annotated[float, IsFinite] = 1.0


class Required(pg.Object):
    alpha: int
    beta: str
    gamma: float = 1.0


CTOR_CASES = {
    'A09': (lambda: Required(), errors.MissingFieldError, TypeError, ('Required', 'alpha', 'beta')),  # type: ignore
    'A10': (
        lambda: Adam(lerning_rate=1),  # type: ignore
        errors.UnknownFieldError,
        TypeError,
        ('lerning_rate', "Did you mean 'learning_rate'", 'Adam'),
    ),
    'A11': (lambda: Node(x='1'), errors.FieldTypeError, TypeError, ('Node.x', 'int', 'str', "'1'")),  # type: ignore
    'A11 long': (lambda: Node(x='1' * 10_000_000), errors.FieldTypeError, TypeError, ('Node.x', '...')),  # type: ignore
    'A14': (lambda: Node(y=10**400), errors.FieldValueError, ValueError, ('Node.y', 'bits', 'float range')),
    'A15 bounds': (
        lambda: Bounded(rate=float('nan')),
        errors.FieldValueError,
        ValueError,
        ('rate', 'nan', '>= 0', '<= 1'),
    ),
    'A15 finite': (lambda: Bounded(scale=float('nan')), errors.FieldValueError, ValueError, ('scale', 'nan', 'finite')),
    'too many': (lambda: Adam(1.0, 2, 3), errors.FieldTypeError, TypeError, ('Adam', '2 positional', 'got 3')),  # type: ignore
    'bool for int': (lambda: Node(x=True), errors.FieldTypeError, TypeError, ('Node.x', 'int', 'bool True')),
    'nested': (
        lambda: Node(z=[1, 'two']),  # type: ignore
        errors.FieldTypeError,
        TypeError,
        ('Node.z[1]', 'int', "str 'two'"),
    ),
}


@pytest.mark.parametrize('case', CTOR_CASES, ids=str)
def test_bad_argument(case):
    make, error, base, words = CTOR_CASES[case]
    start = time.perf_counter()
    with pytest.raises(error) as caught:
        make()
    assert time.perf_counter() - start < 1.0
    assert isinstance(caught.value, base)
    check_message(caught.value, words)


def test_a13_numpy_scalars_become_python_numbers():
    node = Node(x=np.int32(3), y=np.float32(0.5))  # type: ignore
    assert (node.x, type(node.x)) == (3, int)
    assert (node.y, type(node.y)) == (0.5, float)
    assert type(node.rebind(x=np.int64(7)).x) is int


def test_a17_tracer_in_a_static_field():
    class Static(pg.Object):
        rate: float = pg.field(default=0.0, static=True)

    with jax.checking_leaks(), pytest.raises(errors.FieldTypeError) as caught:
        jax.jit(lambda x: Static(rate=x).rate)(1.0)
    check_message(caught.value, ('rate', 'static', 'hashable', 'make the field dynamic', 'pass a Python value'))


def assign_field(node):
    node.x = 2


def delete_field(node):
    del node.x


def assign_item(node):
    node.z[0] = 1


FROZEN_CASES = {
    'setattr': (assign_field, ('Node', "'x'", 'rebind')),
    'delattr': (delete_field, ('Node', "'x'", 'rebind')),
    'append': (lambda node: node.z.append(4), ('List', 'rebind')),
    'setitem': (assign_item, ('List', 'rebind')),
    'private': (lambda node: setattr(node, '_x', 1), ('Node', "'_x'")),
    'object.z': (lambda node: node.z.extend([4]), ('List', 'rebind')),
}


@pytest.mark.parametrize('case', FROZEN_CASES, ids=str)
def test_a18_frozen(case):
    change, words = FROZEN_CASES[case]
    node = Node()
    before = hash(node)
    with pytest.raises(errors.FrozenError) as caught:
        change(node)
    assert isinstance(caught.value, AttributeError)
    check_message(caught.value, words)
    assert hash(node) == before and node == Node()


def test_a19_cycles():
    items: list[Any] = [1]
    items.append(items)
    table: dict[str, Any] = {'a': {}}
    table['a']['b'] = [table]
    for build, path in ((lambda: Node(child=items), 'child[1]'), (lambda: pg.Dict(table), 'a.b[0]')):
        start = time.perf_counter()
        with pytest.raises(errors.CycleError) as caught:
            build()
        assert time.perf_counter() - start < 1.0
        check_message(caught.value, (path,))


def test_a19_many_rebinds_of_an_object_into_itself_make_no_cycle():
    node = Node()
    for _ in range(1000):
        node = node.rebind(child=node)
    assert hash(node) == hash(node.rebind(x=2).rebind(x=1))


def test_a21_arrays_compare_to_a_bool():
    a, b = Node(child=jnp.arange(3)), Node(child=jnp.arange(3))
    assert (a == b) is True
    assert (a == Node(child=jnp.arange(1, 4))) is False


PATH_CASES = {
    'B01': ('a[', 1, 'unclosed ['),
    'B02': ('a]', 1, 'unmatched ]'),
    'B04': ('a..b', 2, 'empty segment'),
    'B05': ('.a', 0, 'leading dot'),
    'B06': ('a.', 1, 'trailing dot'),
    'B08': ('a[1.5]', 2, 'non-integer index'),
    'B09': ('a[[0]]', 2, 'nested brackets'),
    'unclosed quote': ("a['b", 2, 'unclosed quote'),
    'empty brackets': ('a[]', 2, 'empty brackets'),
    'text after': ("a['b'x]", 5, 'expected ]'),
}


@pytest.mark.parametrize('case', PATH_CASES, ids=str)
def test_malformed_path(case):
    text, position, words = PATH_CASES[case]
    node = Node()
    with pytest.raises(errors.PathError) as caught:
        node.rebind({text: 1})
    assert isinstance(caught.value, LookupError)
    check_message(caught.value, (text if "'" in text else repr(text), f'character position {position}', words))


def test_b10_odd_keys_have_one_printable_path():
    tree = pg.Dict({'a.b': 1, 'x[0]': 2, '': 3, 'class': {'q\'"': 4}, '0': 5, 'ünï': 6, 7: 7})
    paths = [str(Path(keys)) for keys in (('a.b',), ('x[0]',), ('',), ('class', 'q\'"'), ('0',), ('ünï',), (7,))]
    assert len(set(paths)) == 7
    for index, path in enumerate(paths):
        changed = tree.rebind({path: 100 + index})
        assert pg.eq(changed.rebind({path: index + 1}), tree) and changed != tree


REBIND_CASES: dict[str, tuple[Any, type[Exception], tuple[str, ...]]] = {
    'B12': ({'x.y': 1}, errors.PathError, ('x', 'int has no children')),
    'B13': ({'z[10]': 5}, errors.PathError, ('z[10]', 'length 3')),
    'B13 negative': ({'z[-4]': 5}, errors.PathError, ('z[-4]', 'length 3')),
    'B14 class': ({'__class__': int}, errors.PathError, ('__class__', 'not a field')),
    'B14 private': ({'_pg_hash': 1}, errors.PathError, ('_pg_hash', 'not a field')),
    'B14 reduce': ({'__reduce__': 1}, errors.PathError, ('__reduce__', 'not a field')),
    'B14 deep': ({'child.__dict__.x': 1}, errors.PathError, ('child', 'has no children')),
    'B16': ({'z': [7], 'z[0]': 9}, errors.PathError, ("'z'", "'z[0]'", 'conflict')),
    'B16 one item twice': ({'z[2]': 9, 'z[-1]': 8}, errors.PathError, ("'z[2]'", "'z[-1]'", 'conflict')),
    'B16 turned': ({'z[0]': 9, 'z': [7]}, errors.PathError, ("'z'", "'z[0]'", 'conflict')),
    'misspelt': ({'chidl': 1}, errors.PathError, ('chidl', "Did you mean 'child'")),
    'type': ({'z[1]': 'a'}, errors.FieldTypeError, ('z[1]', 'int', "str 'a'")),
    'append type': ({'z[3]': 'a'}, errors.FieldTypeError, ('z[3]', 'int')),
    'insert type': ({'z[0]': pg.Insertion('a')}, errors.FieldTypeError, ('z[0]', 'int')),
    'second wrong': ({'x': 5, 'y': 'no'}, errors.FieldTypeError, ('y', 'float')),
    'key': ({1.5: 1}, errors.PathError, ('float',)),
}


@pytest.mark.parametrize('case', REBIND_CASES, ids=str)
def test_bad_update(case):
    updates, error, words = REBIND_CASES[case]
    node = Node()
    before, leaves = hash(node), jax.tree.leaves(node)
    with pytest.raises(error) as caught:
        node.rebind(updates)
    check_message(caught.value, words)
    assert hash(node) == before and jax.tree.leaves(node) == leaves and node == Node()


def test_b17_empty_update():
    node = Node()
    assert node.rebind({}) is node


def test_no_update_at_all_is_an_error():
    with pytest.raises(ValueError, match='no updates'):
        Node().rebind()
    assert Node().rebind(raise_on_no_change=False) == Node()
    with pytest.raises(ValueError, match='changed nothing'):
        Node().rebind(lambda path, value: value)


def test_b18_a_rule_that_fails_names_the_path():
    tree = pg.Dict(a={'b': [1, 2, 3, 0]})
    with pytest.raises(ZeroDivisionError) as caught:
        tree.rebind(lambda path, value: 1 // value if isinstance(value, int) else value)
    assert any('a.b[3]' in note for note in caught.value.__notes__)


def test_b20_other_shape_in_a_carried_state():
    class State(pg.Object):
        w: Any

    def step(state: State) -> State:
        return state.rebind(w=jnp.concatenate([state.w, state.w]))

    with pytest.raises(errors.FieldTypeError) as caught:
        jax.jit(step)(State(jnp.zeros(3)))
    check_message(caught.value, ('w', 'float32[3]', 'float32[6]'))


@pytest.mark.parametrize('depth', [10, 100_000])
def test_long_paths_are_answered(depth):
    with pytest.raises(errors.PathError) as caught:
        Node().rebind({'.'.join(['x'] * depth): 1})
    check_message(caught.value, ('x',))


@pytest.mark.parametrize(
    ('call', 'words'),
    [
        (lambda: pg.unstack(Node(child=[np.ones(2), np.ones(3)], y=np.ones(2))), ('child[1]', '3', 'y has 2')),
        (lambda: pg.unstack(Node(y=1.0)), ('y:', 'float 1.0')),
        (lambda: pg.stack([Node(child=[1.0, np.ones(2)]), Node(child=[1.0, np.ones(3)])]), ('child[1]', '[3]', '[2]')),
        (lambda: pg.stack([np.array(['a'])]), ('the root', 'ndarray')),
        (lambda: pg.stack(Node()), ('iterable', 'Node')),
    ],
)
def test_what_cannot_be_stacked_or_taken_apart_is_named(call, words):
    with pytest.raises(errors.PgjaxError) as caught:
        call()
    check_message(caught.value, words)


def test_members_may_come_from_any_iterable():
    assert pg.stack(Node(y=float(i)) for i in range(3)).y.tolist() == [0.0, 1.0, 2.0]


class Named(pg.Object):
    updates: int = 1
    self: int = 2
    cls: int = 3


def test_fields_may_have_the_names_that_methods_give_their_own_arguments():
    assert Named(self=4).rebind(updates=5, self=6, cls=7) == Named(5, 6, 7)
    assert Named.partial(self=6, cls=7) == Named(1, 6, 7)
    assert Named().__replace__(self=6, updates=5) == Named(5, 6)
    assert pg.Dict(self=1, updates=2).rebind(self=3, updates=4) == {'self': 3, 'updates': 4}
    assert pg.rebind({'root': 1, 'updates': 2}, root=3, updates=4) == {'root': 3, 'updates': 4}

    @pg.functor
    def names(updates, self, cls):
        return updates, self, cls

    assert names().rebind(updates=1)(self=2, cls=3) == (1, 2, 3)
    with pg.detour([(Named, lambda **fields: fields)]):
        assert Named(cls=1) == {'cls': 1}


def test_names_that_switch_a_method_are_reserved():
    with pytest.raises(errors.ClassDefinitionError, match=r"'raise_on_no_change'.*Choose another name"):

        class Edit(pg.Object):
            raise_on_no_change: bool = True

    with pytest.raises(errors.ClassDefinitionError, match=r"'override_args'.*Choose another name"):

        @pg.functor
        def call(override_args):
            return override_args


def self_containing_list():
    made: list = [1]
    made.append({'x': (2, made)})
    return made


@pytest.mark.parametrize(
    'walk',
    [
        pg.hash,
        pg.format,
        pg.traverse,
        pg.query,
        pg.is_partial,
        pg.is_abstract,
        pg.is_concrete,
        pg.missing,
        pg.nondefault,
        pg.resolve,
        pg.lens('**').get,
        lambda value: pg.contains(value, 3),
        lambda value: pg.eq(value, self_containing_list()),
        lambda value: pg.lt(value, self_containing_list()),
        lambda value: pg.diff(value, [1]),
        lambda value: pg.diff([1], value),
        lambda value: pg.rebind(value, lambda path, part: part),
    ],
)
def test_a_list_that_contains_itself_is_refused_by_every_walk(walk):
    with pytest.raises(errors.CycleError) as caught:
        walk(self_containing_list())
    check_message(caught.value, ('[1].x[1]', 'contains itself'))


def test_a_list_in_which_one_part_stands_twice_is_no_cycle():
    shared = [1]
    for _ in range(200):
        shared = [shared, shared]
    assert pg.eq(shared, shared)
    assert pg.hash(shared) == pg.hash(shared)
    assert not pg.is_partial([shared[:0], (shared[:0],)])


@pytest.mark.parametrize('updates', [3, 0, [], [('x', 1)], 'x'])
def test_what_is_neither_mapping_nor_rule_is_no_update(updates):
    for edit in (Node().rebind, pg.Dict(x=1).rebind, lambda updates: pg.rebind([1], updates)):
        with pytest.raises(errors.FieldTypeError) as caught:
            edit(updates)
        check_message(caught.value, ('mapping of paths', type(updates).__name__))


def test_a_partial_object_gets_no_field_twice():
    with pytest.raises(errors.FieldTypeError, match=r"'x' is given twice"):
        Node.partial(1, x=2)


def test_a_rule_is_not_blamed_for_a_value_that_does_not_fit():
    class Layer(pg.Object):
        channels: int = 8
        name: str = 'c'

    with pytest.raises(errors.FieldTypeError) as caught:
        pg.Dict(layers=[Layer()]).rebind(lambda path, value: value * 1.5 if path.key == 'channels' else value)
    check_message(caught.value, ('layers[0].channels',))
    assert not getattr(caught.value, '__notes__', ())


def test_bounds_at_infinity_allow_what_is_finite():
    class Bounded(pg.Object):
        x: Annotated[float, Gt(-math.inf), Lt(math.inf)]

    assert Bounded(1.0).rebind(x=2.0).x == 2.0
    for value in (math.inf, -math.inf, math.nan):
        with pytest.raises(pg.FieldValueError, match=r'x: .* is out of range: the value must be'):
            Bounded(value)


class Loss(Protocol):
    def __call__(self, x: float) -> float: ...


@runtime_checkable
class CheckedLoss(Protocol):
    def __call__(self, x: float) -> float: ...


def test_a_protocol_that_cannot_be_checked_is_refused_with_the_class():
    with pytest.raises(pg.ClassDefinitionError, match=r'Train.loss: values of Loss .* @typing.runtime_checkable'):

        class Train(pg.Object):
            loss: Loss | None = None

    class Checked(pg.Object):
        loss: CheckedLoss = abs

    with pytest.raises(pg.FieldTypeError, match=r'Checked.loss: expected CheckedLoss, got int 3'):
        Checked(3)  # type: ignore[arg-type]
