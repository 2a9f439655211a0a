"""JSON documents: what comes back is what was stored, and nothing in a document is ever executed."""

import copy
import enum
import io as io_
import json
import math
import pathlib
import random
import subprocess
import sys
import textwrap
import threading
import time
import token
import tokenize
import typing
from typing import Annotated, Any, Literal

import hypothesis
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from annotated_types import Gt
from hypothesis import strategies as st

import pgjax as pg
from pgjax import _errors as errors, io
from pgjax._keypath import Path
from pgjax.io import _arrays, _syntax
from pgjax.symbolic import _registry, functor, register_function, symbolize, wrap


class Color(enum.Enum):
    RED = 1
    BLUE = 'b'


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Point(typing.NamedTuple):
    x: Any
    y: Any


class A(pg.Object, type_name='t.A'):
    x: int = 0
    y: float = 0.0
    s: str = ''


class Layer(pg.Object, type_name='t.Layer'):
    width: int
    rate: Annotated[float, Gt(0)] = 0.1


class Model(pg.Object, type_name='t.Model'):
    layers: list[Layer]


class Experiment(pg.Object, type_name='t.Experiment'):
    model: Model
    color: Color = Color.RED
    access: Access = Access.READ
    origin: Point = Point(0, 0.0)
    mode: Literal['a', 'b'] = 'a'


class Box(pg.Object, type_name='t.Box'):
    value: Any = None


class Derived(pg.Object, type_name='t.Derived'):
    x: int

    def _on_bound(self):
        self._root = math.sqrt(self.x)


@register_function
def double(x):
    return 2 * x


register_function(lambda x: x, name='t.identity')


def back(value, **options):
    """`value` after a round trip, which must be the same by text and by JSON value."""
    document = io.to_json(value)
    text = io.to_json_str(value)
    assert json.loads(text, parse_constant=pytest.fail) == document
    once = io.from_json_str(text, **options)
    assert pg.eq(once, io.from_json(document, **options))
    assert io.to_json_str(once) == text
    return once


def bits(x) -> bytes:
    x = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return np.asarray(x).tobytes()


# ---- round trips ----

VALUES = {
    'none': None,
    'bool': True,
    'int': -(2**70),
    'many digits': 10**5000 + 7,
    'nan': math.nan,
    'inf': -math.inf,
    'minus zero': -0.0,
    'denormal': 5e-324,
    'complex': complex(math.nan, -0.0),
    'text': 'é☃\U0001f600\x00\u2028"\\',
    'lone surrogate': 'a\ud800b',
    'surrogates that would pair': '\ud83d\ude00',
    'bytes': bytes(range(256)),
    'tuple': (1, (2.0, ()), [3]),
    'named tuple': Point(1, [Point(2, None)]),
    'list like a tuple': ['__tuple__', 1],
    'list like a list': ['__list__', '__tuple__'],
    'dict with markers': {'_type': 'hello', '_ref': 0, '__class__': 1},
    'dict with ints': {1: 'a', '1': 'b', -3: {'_x': 0}},
    'dict with odd keys': {'a b': 1, '': 2, '\ud800': 3, 'é': 4},
    'enum': Color.BLUE,
    'flag': Access.READ | Access.WRITE,
    'dtype': np.dtype('int16'),
    'bfloat16 dtype': np.dtype(ml_dtypes.bfloat16),
    'key dtype': jax.random.key(0).dtype,
    'shape': jax.ShapeDtypeStruct((2, 0), 'float32'),
    'types': (int, type(None), jnp.bfloat16, np.float32, A, Color, pg.Object, Point, jax.Array),
    'functions': (double, jax.nn.relu, jnp.tanh),
    'missing': pg.MISSING,
    'partial': Layer.partial(),
    'path': Path.parse('a.b[0]'),
    'holes': Box([pg.oneof([1, Box(pg.floatv(0.1, 1.0))]), pg.manyof(2, [1, 2, 3]), pg.intv(0, 3, name='n')]),
    'experiment': Experiment(Model([Layer(1), Layer(2, 0.5)]), Color.BLUE, Access.WRITE, Point(1, 2.0), 'b'),
    'unknown': Box(io.UnknownObject('gone.Dense', {'units': 3, '_name': 'x', 'in': [Layer(1)]})),
    'derived': Derived(4),
}


@pytest.mark.parametrize('value', VALUES.values(), ids=VALUES.keys())
def test_round_trip(value):
    once = back(value, unknown='keep')
    assert pg.eq(once, value)
    twin = {list: pg.List, dict: pg.Dict}.get(type(value), type(value))
    assert type(once) is twin
    assert isinstance(value, int) or repr(once) == repr(value)
    assert io.content_hash(once) == io.content_hash(value)


def test_types_in_a_list_keep_their_identity():
    value = VALUES['types'] + VALUES['functions']
    assert all(a is b for a, b in zip(back(value), value, strict=True))


def test_insertion():
    assert repr(io.from_json(io.to_json({'a': pg.Insertion([1, (2,)])}))) == "{'a': Insertion([1, (2,)])}"


ARRAYS = [
    np.arange(6, dtype=np.int32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(10)[::3],
    np.zeros((0, 4)),
    np.array(7, np.uint8),
    np.float32(1.5),
    np.float64(-0.0),
    np.bool_(True),
    np.array([np.nan, -np.inf, -0.0], np.float16),
    np.array([1 + 2j], np.complex64),
    jnp.arange(3),
    jnp.array([[True, False]]),
    jax.random.key(3),
    jax.random.split(jax.random.key(3, impl='rbg'), 4),
    *(np.zeros(2, dtype) for dtype in _arrays.DTYPES.values()),
    *(
        jnp.ones((2, 1), name)
        for name in ('int4', 'uint4', 'bfloat16', 'float16', 'float8_e4m3fn', 'float8_e5m2', 'uint32')
    ),
]


@pytest.mark.parametrize('array', ARRAYS, ids=lambda a: f'{type(a).__name__} {a.dtype}{list(a.shape)}')
def test_arrays_come_back_bit_for_bit(array):
    once = io.from_json_str(io.to_json_str(array))
    assert type(once) is type(array) and once.dtype == array.dtype and once.shape == array.shape
    assert bits(once) == bits(array)
    assert io.content_hash(once) == io.content_hash(array)


def test_elements_may_be_written_as_numbers():
    def read(dtype, data):
        return io.from_json({'_array': {'dtype': dtype, 'shape': [len(data)], 'data': data}})

    assert read('int4', [-8, 7]).tolist() == [-8, 7]
    assert read('bfloat16', [1, 0.5]).dtype == ml_dtypes.bfloat16
    assert read('bool', [True, False]).tolist() == [True, False]


def test_shared_parts_stay_shared():
    layer, widths, array = Layer(1), pg.List([1, 2]), np.arange(3)
    value = Box([layer, Box(layer), widths, {'w': widths}, array, (array, layer), Point(layer, widths)])
    document = io.to_json(value)
    assert len(document['_shared']) == 3
    items = back(value).value
    assert items[0] is items[1].value is items[5][1] is items[6].x
    assert items[2] is items[3]['w'] is items[6].y and items[4] is items[5][0]


def test_entries_of_the_table_refer_to_earlier_ones():
    inner = Box(1)
    outer = Box([inner, inner])
    document = io.to_json([outer, inner, outer])
    for index, entry in enumerate(document['_shared']):
        refs = [int(r.split('}')[0]) for r in json.dumps(entry).split('"_ref": ')[1:]]
        assert all(ref < index for ref in refs)
    once = back([outer, inner, outer])
    assert once[0] is once[2] and once[0].value[0] is once[1]


@pytest.mark.parametrize(
    'wrap', [Box, lambda v: pg.List([v]), lambda v: pg.Dict(a=v), lambda v: (v,), lambda v: Point(v, 0)]
)
def test_ten_thousand_levels(wrap):
    value = wrap(1)
    for _ in range(10_000):
        value = wrap(value)
    once = io.from_json_str(io.to_json_str(value))
    assert io.content_hash(once) == io.content_hash(value)
    assert pg.eq(once, value)


def test_depth_is_bounded_in_documents_of_deep_values():
    value = None
    for _ in range(1000):
        value = Box({1: (value, [2])})
    depth = deepest = 0
    for character in io.to_json_str(value):
        depth += {'[': 1, '{': 1, ']': -1, '}': -1}.get(character, 0)
        deepest = max(deepest, depth)
    assert deepest <= 100


def test_plain_json_is_itself_and_the_rest_is_stamped():
    assert io.to_json({'a': [1, 2.5, None, 'x']}) == {'a': [1, 2.5, None, 'x']}
    document = io.to_json(A(1))
    assert list(document) == ['_pgjax', '_writer', '_type', 'x', 'y', 's']
    assert io.to_json((1,)).keys() == {'_pgjax', '_writer', '_value'}
    assert io.to_json(A(1), stamp=False) == {'_type': 't.A', 'x': 1, 'y': 0.0, 's': ''}
    assert io.from_json({'_type': 't.A', 'x': 1}) == A(1)


def test_pyglove_reads_our_skeleton():
    pyglove = pytest.importorskip('pyglove')

    class Twin(pyglove.Object):
        x: int
        t: tuple

    pyglove.JSONConvertible.register('t.Twin', Twin)

    class Ours(pg.Object, type_name='t.Twin'):
        x: int
        t: tuple[int, ...]

    twin = pyglove.from_json_str(io.to_json_str(Ours(1, (2, 3)), stamp=False))
    assert (twin.x, twin.t) == (1, (2, 3))
    theirs = pyglove.to_json_str(twin)
    _registry.register_alias(json.loads(theirs)['_type'], Ours)
    assert io.from_json_str(theirs) == Ours(1, (2, 3))


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=[]), max_size=8)
    | st.sampled_from(['_type', '__tuple__', '__list__', '_ref', Color.RED, Access.WRITE, np.dtype('int8'), int, A])
    | st.binary(max_size=8)
    | st.builds(A, st.integers(), st.floats(), st.text(max_size=4))
)
keys = st.text(st.characters(exclude_categories=[]), max_size=4) | st.integers() | st.sampled_from(['_type', '_dict'])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.builds(Box, inner)
        | st.builds(Point, inner, inner)
        | inner.map(lambda v: [v, v])
    ),
    max_leaves=12,
)


@hypothesis.given(values)
@hypothesis.settings(max_examples=300, deadline=None)
def test_any_value_comes_back(value):
    document = io.to_json(value)
    untouched = copy.deepcopy(document)
    once = io.from_json(document)
    assert document == untouched or 'nan' in repr(document)
    assert pg.eq(once, value)
    assert io.to_json(once) == document
    assert io.content_hash(once) == io.content_hash(value)
    assert jax.tree.structure(Box(once)) == jax.tree.structure(Box(value))
    assert pg.eq(io.from_json_str(io.to_json_str(value, indent=2)), value)


def test_classes_made_from_signatures():
    import functools

    @functor(name='t.fit')
    def fit(model, /, rate: float = 0.1, *rest, scale=1.0, **options):
        return model, rate, rest, scale, options

    nameless = functools.partial(int, '1')

    class Plain:
        def __init__(self, a, init=nameless, *args, **kwargs):
            self.seen = (a, init(), args, kwargs)

    Symbolic = symbolize(Plain, name='t.Plain')
    Wrapped = wrap(Plain, name='t.Wrapped')
    for value in (
        fit(1, 0.5, 2, 3, scale=2.0, x=[1]),
        fit(),
        Symbolic(1, int, 2, k=3),
        Symbolic(1),
        Wrapped(1),
        Wrapped(2, int, b=1),
    ):
        once = back(value)
        assert once == value and repr(once) == repr(value)
        assert io.content_hash(once) == io.content_hash(value)
    assert back(fit(1, 0.5, 2, 3, scale=2.0, x=[1]))() == (1, 0.5, (2, 3), 2.0, {'x': [1]})
    assert back(Symbolic(1)).seen == (1, 1, (), {})
    with pytest.raises(errors.MissingFieldError, match=r'\$: .*a'):
        io.from_json({'_type': 't.Wrapped'})


# ---- documents that evolve ----


def test_old_documents_get_defaults_and_aliases():
    assert io.from_json({'_type': 't.Layer', 'width': 1}) == Layer(1)
    _registry.register_alias('t.old.Layer', Layer)
    assert io.from_json({'_type': 't.old.Layer', 'width': 1}) == Layer(1)
    with pytest.raises(errors.ClassDefinitionError, match='taken'):
        _registry.register_alias('t.A', Layer)


def test_unknown_types_can_be_kept():
    text = '{"_pgjax":1,"_writer":"0.1.0","_type":"gone.Net","a":[{"_type":"t.A","x":1,"y":0.0,"s":""}],'
    text += '"f":{"_type":"function","name":"gone.f"}}'
    kept = io.from_json_str(text, unknown='keep')
    assert repr(kept).startswith("UnknownObject('gone.Net', a=[A(x=1")
    assert kept.fields['a'][0] == A(1)
    assert io.to_json_str(kept) == text
    again = io.from_json_str(text, unknown='keep')
    assert kept == again and hash(kept) == hash(again)
    typed = io.from_json({'_type': 't.Experiment', 'model': {'_type': 'gone.Model', 'n': 1}}, unknown='keep')
    assert isinstance(typed.model, io.UnknownObject) and jax.tree.leaves(typed.model) == []


def test_content_hash_of_an_unknown_object_is_that_of_the_known_one():
    document = json.loads(io.to_json_str(Box(A(1)), stamp=False).replace('t.A', 't.NoA'))
    kept = io.from_json(document, unknown='keep')

    class Known(pg.Object, type_name='t.NoA'):
        x: int = 0
        y: float = 0.0
        s: str = ''

    assert io.content_hash(kept) == io.content_hash(Box(Known(1)))


def test_codecs():
    class Money:
        def __init__(self, cents):
            self.cents = cents

    with pytest.raises(errors.EncodeError, match='register a codec'):
        io.to_json(Money(3))
    with pytest.raises(errors.ClassDefinitionError, match='encode= and decode='):
        io.register_codec(Money)
    io.register_codec(Money, 't.Money', encode=lambda m: {'cents': m.cents}, decode=lambda d: Money(d['cents']))
    assert io.from_json(io.to_json([Money(3)]))[0].cents == 3
    with pytest.raises(errors.DecodeError, match=r'\$\.a: t\.Money refuses the stored value: KeyError'):
        io.from_json({'a': {'_type': 't.Money', '_value': {}}})
    with pytest.raises(errors.ClassDefinitionError, match='taken'):
        io.register_codec(Color, 't.Money')
    with pytest.raises(errors.ClassDefinitionError, match='without a codec'):
        io.register_codec(A)


# ---- the catalogue of bad input ----

PICKLE = '{"_type":"pyglove.core.utils.json_conversion._OpaqueObject","value":"gASVLwAAAAAAAACMBXBvc2l4Li4="}'
BAD: dict[str, tuple[str, type[Exception], list[str]]] = {
    'C01 empty': ('', errors.DecodeError, ['line 1 column 1', 'empty']),
    'C02 truncated': ('{"_type":"t.A","x":1', errors.DecodeError, ['byte offset 20', 'line 1 column 21']),
    'C04 unknown type': ('{"_type":"no.such.T","x":1}', errors.UnknownTypeError, ['no.such.T', '$', 'Import', 'keep']),
    'C04 close name': ('[{"_type":"t.Layers"}]', errors.UnknownTypeError, ['$[0]', "Did you mean 't.Layer'?"]),
    'C05 importable': ('{"_type":"antigravity.X"}', errors.UnknownTypeError, ['antigravity.X', 'not registered']),
    'C06 pickle': (PICKLE, errors.UnknownTypeError, ['_OpaqueObject', 'pgjax never unpickles']),
    'C06 in int field': (f'{{"_type":"t.A","x":{PICKLE}}}', errors.UnknownTypeError, ['$.x', 'never unpickles']),
    'C08 method': ('{"_type":"method","name":"subprocess.Popen"}', errors.UnknownTypeError, ['method']),
    'C09 type': ('{"_type":"type","name":"subprocess.Popen"}', errors.UnknownTypeError, ['type', 'subprocess.Popen']),
    'F1 function': ('{"_type":"function","name":"os.system"}', errors.UnknownTypeError, ['function', 'os.system']),
    'C10 code': (
        '{"_type":"function","name":"a.b","code":"4wAAAAA=","defaults":null}',
        errors.UnknownTypeError,
        ['function', 'code'],
    ),
    'C12 library': (
        '{"_type":"type","name":"ctypes.cdll","args":["/evil.so"]}',
        errors.UnknownTypeError,
        ['type', 'args'],
    ),
    'C12 args': ('{"_type":"type","name":"builtins.int","args":["1"]}', errors.UnknownTypeError, ['type', 'args']),
    'C13 duck type': ('{"_type":"planted.Z","a":1}', errors.UnknownTypeError, ['planted.Z']),
    **{
        f'C14 {name}': (f'{{"a":{{"_type":{name}}}}}', errors.DecodeError, ['$.a', '_type', shown])
        for name, shown in [
            ('3', 'int 3'),
            ('null', 'None'),
            ('[]', 'list []'),
            ('{}', 'dict {}'),
            ('""', "''"),
            ('"."', "'.'"),
            ('"a..b"', 'a..b'),
            ('"Foo"', 'Foo'),
            ('"builtins.int"', 'builtins.int'),
            ('"os.path.join"', 'os.path.join'),
            ('"os.path"', 'os.path'),
            ('true', 'bool True'),
        ]
    },
    'C16 unknown field': ('{"_type":"t.A","x":1,"q":2}', errors.UnknownFieldError, ["'q'", '$.q', 'writer']),
    'C16 writer': (
        '{"_pgjax":1,"_writer":"9.8","_type":"t.A","q":2}',
        errors.UnknownFieldError,
        ['$.q', '9.8', 'format 1'],
    ),
    'C17 wrong type': (
        '{"_type":"t.Experiment","model":{"_type":"t.Model","layers":[{"_type":"t.Layer","width":1},'
        '{"_type":"t.Layer","width":1},{"_type":"t.Layer","width":"wide"}]}}',
        errors.FieldTypeError,
        ['$.model.layers[2].width', 'int', 'str'],
    ),
    'C17 wrong element': ('{"_type":"t.Model","layers":[1]}', errors.FieldTypeError, ['$.layers[0]', 'Layer', 'int']),
    'C17 out of range': ('[{"_type":"t.Layer","width":1,"rate":-1.0}]', errors.FieldValueError, ['$[0].rate', '-1.0']),
    'missing field': ('{"a":{"_type":"t.Layer"}}', errors.MissingFieldError, ['$.a', 'width']),
    'derived state fails': ('[{"_type":"t.Derived","x":-1}]', errors.DecodeError, ['$[0]', 'Derived', 'math domain']),
    'C18 duplicate': ('{"_type":"t.A","x":1,"x":2}', errors.DecodeError, ['duplicate key x', '$.x']),
    'C18 duplicate type': (
        '[{"_type":"t.A","_type":"t.B"}]',
        errors.DecodeError,
        ['duplicate key _type', '$[0]._type'],
    ),
    'C20 overflow': ('{"_type":"t.A","x":1,"y":1e999}', errors.DecodeError, ['$.y', '1e999']),
    'C20 NaN': ('{"_type":"t.A","y":NaN}', errors.DecodeError, ['$.y', 'NaN']),
    'C20 Infinity': ('[-Infinity]', errors.DecodeError, ['$[0]', '-Infinity']),
    'C21 digits': ('{"_type":"t.A","x":' + '9' * 5000 + '}', errors.LimitError, ['$.x', '5000 digits', 'limit']),
    'C22 element': (
        '{"a":{"_array":{"dtype":"int32","shape":[2],"data":[1,3000000000]}}}',
        errors.FieldValueError,
        ['$.a._array.data[1]', 'int32', '3000000000'],
    ),
    'C22 element type': (
        '{"_array":{"dtype":"int8","shape":[1],"data":[1.5]}}',
        errors.FieldTypeError,
        ['int8', '1.5'],
    ),
    'C22 float': (
        '{"_array":{"dtype":"float16","shape":[1],"data":[1e6]}}',
        errors.FieldValueError,
        ['float16', '1000000'],
    ),
    'C24 keys': (
        '{' + ','.join(f'"{i}":0' for i in range(1_000_001)) + '}',
        errors.LimitError,
        ['size', 'limit', 'raise it'],
    ),
    'C24 objects': ('[' + '{"a":1},' * 600_000 + '0]', errors.LimitError, ['size', 'limit', 'max_nodes']),
    'C24 depth': ('[' * 100_000 + ']' * 100_000, errors.LimitError, ['limit', 'max_depth']),
    'depth 201': ('[' * 201 + ']' * 201, errors.LimitError, ['limit', '200', 'max_depth']),
    **{
        f'C30 {what}': (f'{{"w":{{"_array":{array}}}}}', errors.DecodeError, ['$.w._array', named])
        for what, array, named in [
            ('huge', '{"dtype":"float32","shape":[1000000000000],"data":""}', 'shape'),
            ('huge product', '{"dtype":"float32","shape":[2000000000,2000000000,2000000000],"data":""}', 'bytes'),
            ('short', '{"dtype":"float32","shape":[2],"data":"AAAA"}', 'bytes'),
            ('padding', '{"dtype":"uint8","shape":[1],"data":"AAAA"}', 'bytes'),
            ('negative', '{"dtype":"float32","shape":[-1],"data":""}', 'shape'),
            ('bool shape', '{"dtype":"float32","shape":[true],"data":""}', 'shape'),
            ('object', '{"dtype":"object","shape":[1],"data":"AAAAAAAAAAA="}', 'dtype'),
            ('void', '{"dtype":"V8","shape":[1],"data":"AAAAAAAAAAA="}', 'dtype'),
            ('no base64', '{"dtype":"uint8","shape":[3],"data":"@@@@"}', 'bytes'),
            ('no bool', '{"dtype":"bool","shape":[1],"data":"Ag=="}', 'bytes'),
            ('no dtype', '{"shape":[1],"data":""}', 'dtype'),
            ('rank', '{"dtype":"int8","shape":[' + '1,' * 40 + '1],"data":"AA=="}', 'shape'),
            ('key', '{"dtype":"uint32","shape":[1],"kind":"jax","key":"threefry2x32","data":"AAAAAA=="}', 'keys'),
            ('aside', '{"dtype":"uint8","shape":[1],"stored":"0"}', 'pg.load'),
            ('float64', '{"dtype":"float64","shape":[0],"kind":"jax","data":""}', 'jax_enable_x64'),
        ]
    },
    'C33 out of range': ('{"_shared":[],"_value":[{"_ref":0}]}', errors.DecodeError, ['$._value[0]', 'ref 0']),
    'C33 to itself': ('{"_shared":[{"_ref":0}],"_value":0}', errors.DecodeError, ['$._shared[0]', 'ref 0']),
    'C33 to a later one': (
        '{"_shared":[[{"_ref":1}],[]],"_value":0}',
        errors.DecodeError,
        ['$._shared[0][0]', 'ref 1'],
    ),
    'C33 negative': ('{"_shared":[1],"_value":{"_ref":-1}}', errors.DecodeError, ['ref -1']),
    'C33 no table': ('{"a":{"_ref":0}}', errors.DecodeError, ['$.a', 'ref 0']),
    'C33 bomb': (
        '{"_shared":[[1,1]'
        + ''.join(f',[{{"_ref":{i}}},{{"_ref":{i}}}]' for i in range(60))
        + '],"_value":{"_ref":60}}',
        errors.LimitError,
        ['size', 'limit'],
    ),
    'C36 shadow': (
        '{"_type":"t.A","x":1,"__class__":"os.system","__dict__":{}}',
        errors.UnknownFieldError,
        ['__class__', '$.__class__'],
    ),
    'C32 newer': (
        '{"_pgjax":2,"_writer":"7.1","_type":"t.A","new":1}',
        errors.StudyVersionError,
        ['format 2', 'formats 1 to 1', '7.1'],
    ),
    'C32 no version': ('{"_pgjax":"1","_value":1}', errors.DecodeError, ['$._pgjax', "'1'"]),
    'a marker that is none': ('[{"_float":"big"}]', errors.DecodeError, ['$[0]._float', 'nan']),
    'two markers': ('{"_float":"nan","_int":"0x1"}', errors.DecodeError, ['_dict']),
    'no hex': ('{"_int":"0x1_0"}', errors.DecodeError, ['hexadecimal']),
    'pairs': ('{"_dict":[[1,2],[1,3]]}', errors.DecodeError, ['$._dict[1][0]', 'duplicate key 1']),
    'bad key': ('{"_dict":[[1.5,2]]}', errors.DecodeError, ['$._dict[0][0]', '1.5']),
    'enum member': ('{"a":{"_type":"NAME","_name":"PINK"}}', errors.DecodeError, ['$.a', 'RED, BLUE', 'PINK']),
    'enum call': ('{"_type":"NAME","_value":1}', errors.DecodeError, ['RED, BLUE']),
    'null byte': ('{"a":"\x00"}', errors.DecodeError, ['line 1 column 7']),
    'two documents': ('{} {}', errors.DecodeError, ['Extra data', 'line 1 column 4']),
    'byte order mark': ('\ufeff{}', errors.DecodeError, ['line 1 column 1', 'ufeff']),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_documents(name):
    text, error, words = BAD[name]
    text = text.replace('NAME', f'{Color.__module__}.Color')
    modules, threads = set(sys.modules), threading.active_count()
    started = time.process_time()
    with pytest.raises(errors.PgjaxError) as caught:
        io.from_json_str(text)
    assert time.process_time() - started < 20  # it does not hang
    assert isinstance(caught.value, error) and len(str(caught.value)) <= 500
    for word in words:
        assert word in str(caught.value)
    assert set(sys.modules) == modules and threading.active_count() == threads
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    untouched = copy.deepcopy(document) if len(text) < 10_000 else None
    if 'C18' not in name:  # Python has dropped the duplicate
        with pytest.raises(errors.PgjaxError):
            io.from_json(document)
    assert untouched is None or document == untouched or 'NaN' in text


def test_c21_is_refused_unread():
    started = time.process_time()
    with pytest.raises(errors.LimitError):
        io.from_json_str(BAD['C21 digits'][0])
    assert time.process_time() - started < 20  # reading so many digits takes minutes


def test_c21_where_python_has_no_limit():
    old = sys.get_int_max_str_digits()
    try:
        sys.set_int_max_str_digits(0)
        with pytest.raises(errors.LimitError, match='5000 digits'):
            io.from_json_str(BAD['C21 digits'][0])
        assert io.from_json_str('[12, 1.5]') == [12, 1.5]
    finally:
        sys.set_int_max_str_digits(old)


def test_depth_where_python_has_no_limit():
    code = """
    import sys
    from pgjax import io
    from pgjax._errors import LimitError
    sys.setrecursionlimit(10**6)
    try:
        io.from_json_str('[' * 300_000 + ']' * 300_000)
    except LimitError:
        print('refused')
    """
    command = [sys.executable, '-c', textwrap.dedent(code)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == 'refused\n'


def test_limits_can_be_raised():
    deep = '[' * 300 + ']' * 300
    assert io.from_json_str(deep, max_depth=301)
    with pytest.raises(errors.LimitError, match='max_bytes'):
        io.from_json_str('[1, 2]', max_bytes=5)
    with pytest.raises(errors.LimitError, match='max_nodes'):
        io.from_json_str('[1, 2]', max_nodes=2)
    with pytest.raises(errors.LimitError, match='max_nodes'):
        io.from_json([1, 2], max_nodes=2)
    with pytest.raises(errors.LimitError, match='max_depth'):
        io.from_json([[[1]]], max_depth=2)
    assert io.from_json_str(json.dumps('[,' * 100), max_nodes=2) == '[,' * 100  # what strings hold does not count


def test_c25_surrogates_in_documents():
    assert io.from_json_str('{"_type":"t.A","x":1,"s":"\\ud800\\u0000"}') == A(1, s='\ud800\x00')
    assert back(A(1, s='\ud800\x00')) == A(1, s='\ud800\x00')


def test_c26_markers_in_data():
    for value in (['__tuple__', 1], {'_type': 'hello'}):
        assert back(value) == value and type(value)(back(value)) == value


@pytest.mark.parametrize('value', [lambda: 0, threading.Lock(), sys.stdin, object(), np.array([object()]), {1, 2}])
def test_c29_what_cannot_be_stored(value):
    with pytest.raises(errors.EncodeError) as caught:
        io.to_json({'a': Box([0, value])})
    words = [] if isinstance(value, np.ndarray) else ['register a codec', type(value).__name__]
    for word in ['a.value[1]', *words]:
        assert word in str(caught.value)
    assert len(str(caught.value)) <= 500
    with pytest.raises(errors.EncodeError, match=r'a\.value\[1\]'):
        io.content_hash({'a': Box([0, value])})


def test_cycles_and_tracers():
    ring: list = [1]
    ring.append({'a': ring})
    deep: list = []
    inner = deep
    for _ in range(200):
        inner.append([])
        inner = inner[0]
    inner.append(deep)
    for value in (ring, deep):
        with pytest.raises(errors.CycleError):
            io.to_json(value)
        with pytest.raises(errors.CycleError):
            io.content_hash(value)
    with pytest.raises(errors.LimitError):
        io.from_json(ring)
    with pytest.raises(errors.EncodeError, match=r'value: .* traced'):
        jax.jit(lambda x: io.to_json(Box(x)))(1.0)


@pytest.mark.parametrize('value', [(1,), {1: 2}, {'a': b'x'}, [object()], {'a': math.nan}, pg.Dict(a=1), 1j])
def test_values_that_are_no_json(value):
    with pytest.raises(errors.DecodeError):
        io.from_json(value)


# ---- trust ----

CORPUS = [text for name, (text, _, _) in BAD.items() if len(text) < 5000] + [
    '{"_type":"pyglove.ext.evolution.base.Lambda","fn":{"_type":"function","name":"os.system"}}',
    '{"_type":"type","name":"os.environ","args":["HOME"]}',
    '{"_type":"pyglove.core.typing.value_specs.Str","regex":"(a+)+$","default":"aaaaaaaaaaaaaaaaaaaaaaaaaa!"}',
    '{"_type":"function","name":"builtins.eval"}',
    '{"_type":"function","name":"jax.numpy.load"}',
    '{"_type":"function","name":"jax.numpy.__builtins__"}',
    '{"_type":"type","name":"this.x"}',
    '{"_type":"pgjax.io._persist.load","path":"/etc/passwd"}',
]


def test_nothing_is_executed(tmp_path):
    """Loading hostile documents raises no audit event that could run, import or open something."""
    (tmp_path / 'corpus.json').write_text(json.dumps(CORPUS))
    code = """
    import json, sys
    import pgjax as pg
    from pgjax import io
    from pgjax._errors import PgjaxError
    class A(pg.Object, type_name='t.A'):
        x: int = 0
        y: float = 0.0
        s: str = ''
    class Layer(pg.Object, type_name='t.Layer'):
        width: int
    corpus = json.load(open(sys.argv[1]))
    seen = []
    watched = ('import', 'open', 'exec', 'compile', 'marshal.', 'pickle.', 'os.', 'subprocess.', 'ctypes.', 'socket.',
               'code.', 'shutil.', 'urllib.')
    import jax
    key = jax.random.key(0)  # JAX looks for its plugins at first use
    io.from_json_str(io.to_json_str([A(1), key, jax.numpy.zeros(2)]))
    sys.addaudithook(lambda event, args: seen.append((event, str(args)[:80])) if event.startswith(watched) else None)
    before, refused = set(sys.modules), 0
    for text in corpus:
        for unknown in ('error', 'keep'):
            try:
                io.from_json_str(text, unknown=unknown)
            except PgjaxError:
                refused += 1
    events = list(seen)
    print(events, set(sys.modules) - before, refused > len(corpus))
    """
    command = [sys.executable, '-c', textwrap.dedent(code), str(tmp_path / 'corpus.json')]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == '[] set() True\n', done.stdout + done.stderr


def test_the_package_has_no_way_to_execute_data():
    forbidden = {'pickle', 'marshal', 'importlib', '__import__', 'allow_pickle', 'eval', 'exec', 'runpy', 'ctypes'}
    for file in pathlib.Path(io.__file__).parent.glob('*.py'):
        names = {
            t.string for t in tokenize.generate_tokens(io_.StringIO(file.read_text()).readline) if t.type == token.NAME
        }
        assert not names & forbidden, file


SHARED = Box([1, 2])
SEEDS = [
    io.to_json_str(value)
    for value in [
        Experiment(Model([Layer(1), Layer(2)])),
        [Box({1: (1.5, math.nan, b'ab', 'é\ud800')}), Color.RED, np.arange(3), jax.random.key(1), jnp.zeros(2)],
        Box([SHARED, SHARED, pg.oneof([1, 2]), jax.ShapeDtypeStruct((2,), 'int8'), double, A, 10**5000]),
        Point(Layer.partial(), {'_type': 1, 'a': ['__tuple__']}),
    ]
]
MARKS = '" { } [ ] , : - -1 null true 1e999 NaN [] {} 99999999999999999999 \\ud800 "_type" "_ref" "_array" "_dict"'
TOKENS = [*MARKS.split(), '"_value"', '"_shared"', '"__tuple__"', '"t.A"', '"shape"', '\x00']


def mutated(random_: random.Random) -> str:
    text = random_.choice(SEEDS + CORPUS)
    for _ in range(random_.randint(1, 4)):
        i, j = sorted(random_.randrange(len(text) + 1) for _ in range(2))
        kind = random_.randrange(5)
        if kind == 0:
            text = text[:i] + random_.choice(TOKENS) + text[i:]
        elif kind == 1:
            text = text[:i] + text[min(j, i + random_.randint(1, 9)) :]
        elif kind == 2:
            text = text[:i] + random_.choice(TOKENS) + text[min(j, i + random_.randint(1, 9)) :]
        elif kind == 3:
            text = text[:j] + text[i:j][:500] + text[j:]
        else:
            other = random_.choice(SEEDS)
            text = text[:i] + other[random_.randrange(len(other)) :][:80] + text[i:]
    return text


def swapped(random_: random.Random) -> Any:
    """A document in which parts of others stand: always JSON, seldom of the right shape."""
    parts: list[Any] = [None, True, -1, 1.5, '', '_type', [], {}, 2**63, 'int8']
    documents = [json.loads(seed) for seed in SEEDS]
    pending = list(documents)
    places = []
    while pending:
        node = pending.pop()
        parts.append(node)
        children = (
            list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
        )
        places += [(node, key) for key, _ in children]
        pending += [child for _, child in children]
    for _ in range(random_.randint(1, 3)):
        node, key = random_.choice(places)
        node[key] = copy.deepcopy(random_.choice(parts))
        if isinstance(node, dict) and random_.random() < 0.3:
            node[random_.choice(['_type', '_ref', '_value', 'x', 'data', '_name', '__dict__'])] = random_.choice(
                parts[:10]
            )
    return random_.choice(documents)


def fuzz(seed: int, rounds: int) -> None:
    random_ = random.Random(seed)
    modules = set(sys.modules)
    for _ in range(rounds):
        for document, read in ((mutated(random_), io.from_json_str), (swapped(random_), io.from_json)):
            started = time.process_time()
            try:
                value = read(document, unknown=random_.choice(['error', 'keep']))
                io.to_json_str(value)
                io.content_hash(value)
            except errors.PgjaxError as error:
                assert 0 < len(str(error)) <= 500
            except Exception as error:
                error.add_note(repr(document)[:4000])
                raise
            assert time.process_time() - started < 20  # it does not hang
    assert set(sys.modules) == modules


def test_mutated_documents_raise_only_our_errors():
    fuzz(0, 700)


@pytest.mark.fuzz
@pytest.mark.parametrize('seed', range(1, 21))
def test_many_mutated_documents_raise_only_our_errors(seed):
    fuzz(seed, 25_000)


# ---- content hash ----


def test_content_hash_tells_types_apart():
    values = [
        1,
        1.0,
        True,
        '1',
        [1],
        (1,),
        {'a': 1},
        {1: 1},
        {'1': 1},
        None,
        0.0,
        -0.0,
        b'1',
        1 + 0j,
        Box(1),
        A(1),
        '',
        [],
    ]
    values += [np.int32([1]), np.int64([1]), np.ones(1), np.ones((1, 1)), Point(1, 1), Color.RED, int, pg.MISSING]
    assert len({io.content_hash(v) for v in values}) == len(values)


def test_content_hash_sees_content_only():
    assert io.content_hash(jnp.arange(3)) == io.content_hash(np.arange(3, dtype=np.int32))
    assert io.content_hash({'a': 1, 2: [3]}) == io.content_hash(pg.Dict({2: pg.List([3]), 'a': 1}))
    one = Box(1)
    assert io.content_hash([one, one]) == io.content_hash([Box(1), Box(1)])
    nan = np.array([0x7FC00000, 0xFFC00001], np.uint32).view(np.float32)
    assert io.content_hash(nan) == io.content_hash(np.full(2, np.nan, np.float32))


class Metres(np.ndarray):
    """An array whose class says its unit."""


@pytest.mark.parametrize('array', [np.ma.array([1.0, 2.0], mask=[False, True]), np.ones(2).view(Metres)])
def test_arrays_that_are_more_than_their_numbers_are_refused(tmp_path, array):
    for store in (io.to_json, io.content_hash, lambda x: io.save(x, tmp_path / 'x.json')):
        for large in (array, np.tile(array, 10_000).view(type(array))):
            with pytest.raises(errors.EncodeError, match=f'value.*a {type(array).__name__} is more than its numbers'):
                store(Box({'a': large}))
    assert not list(tmp_path.iterdir())


def test_a_file_mapped_as_an_array_is_an_array(tmp_path):
    mapped = np.memmap(tmp_path / 'x', np.float32, 'w+', shape=(3,))
    assert pg.eq(io.from_json(io.to_json(mapped)), np.zeros(3, np.float32))


def test_a_codec_that_fails_is_named_with_the_place():
    class Torn:
        def __init__(self):
            self.pages = 0

    io.register_codec(Torn, 't.Torn', encode=lambda t: 1 / t.pages, decode=lambda d: Torn())
    for store in (io.to_json, io.content_hash):
        with pytest.raises(errors.EncodeError, match=r'^value\[0\]: .*codec t.Torn raised ZeroDivisionError') as caught:
            store(Box([Torn()]))
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize('encode', [copy.copy, lambda value: value], ids=['another', 'itself'])
def test_a_codec_that_returns_its_own_class_is_refused(encode):
    class Mirror:
        pass

    io.register_codec(Mirror, 't.Mirror', encode=encode, decode=lambda stored: stored)
    for store in (io.to_json, io.content_hash):
        with pytest.raises(errors.EncodeError, match=r'^value\[0\]: .*codec t.Mirror returned a Mirror again'):
            store(Box([Mirror()]))


def test_an_array_class_may_have_a_codec():
    class Feet(np.ndarray):
        pass

    io.register_codec(Feet, 't.Feet', encode=np.asarray, decode=lambda array: array.view(Feet))
    back = io.from_json(io.to_json(Box(np.arange(3).view(Feet))))
    assert type(back.value) is Feet and back.value.tolist() == [0, 1, 2]


def test_content_hash_does_not_change():
    """Pinned: repositories and caches on disk depend on it."""
    value = Box([Model([Layer(1, 0.5)]), {'b': (np.arange(3, dtype=np.int8), math.nan), 'a': 'é'}, 10**5000])
    assert io.content_hash(value) == '4afb8f1b7a248ee69cc5cf66e1efa227ef39f39ea58af997ae7c63e40b9f73bc'


def test_the_strict_reader_takes_what_json_takes():
    for value in ({'a': [1, 2.5, 'x', None, True]}, [], 'text', 1e308, -1):
        assert _syntax.parse(json.dumps(value), 1000, 1000, 200) == value
        assert _syntax.parse(json.dumps(value).encode(), 1000, 1000, 200) == value
    with pytest.raises(errors.DecodeError, match='byte offset 1'):
        io.from_json_str(b'"\xff"')


class Shade(enum.Enum):
    DARK = 1


class Corner(typing.NamedTuple):
    x: int


@pytest.mark.parametrize('value', [Shade.DARK, Corner(1)])
def test_what_no_annotation_declares_is_refused_with_the_call_that_declares_it(value):
    name = type(value).__name__
    with pytest.raises(errors.EncodeError, match=rf'\[0\]: .*: pg\.register_codec\({name}\), also where it is loaded'):
        io.to_json_str([value])


class Late(enum.Enum):
    DAY = 1


def test_an_enum_that_is_registered_survives_where_no_annotation_declares_it():
    io.register_codec(Late)
    assert io.from_json_str(io.to_json_str({'x': [Late.DAY, (Late.DAY,)]})) == {'x': [Late.DAY, (Late.DAY,)]}
