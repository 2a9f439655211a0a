"""The stored forms of values without parts: what JSON cannot say itself stands in a dict of one marker.

{"_float": "nan"}  {"_complex": [re, im]}  {"_int": "0x..."}  {"_str": "hex of UTF-8"}  {"_bytes": "base64"}
{"_dtype": "bfloat16"}  {"_missing": true}  {"_shape": {"dtype", "shape"}}
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any, NoReturn

import jax
import numpy as np

from pgjax._errors import DecodeError, EncodeError, PgjaxError, show
from pgjax.io._arrays import DTYPES, KEYS
from pgjax.io._syntax import Fault
from pgjax.symbolic import MISSING

LARGEST_PLAIN_INT = 10**4299  # JSON readers refuse ints of more digits
_FLOATS = {'nan': math.nan, 'inf': math.inf, '-inf': -math.inf}
_MOST_DIMENSIONS = 32
_KEY_DTYPES: dict[str, Any] = {
    str(dtype): dtype for dtype in (jax.eval_shape(lambda k=k: jax.random.key(0, impl=k)).dtype for k in KEYS)
}
DTYPE_CLASSES = frozenset(map(type, [*DTYPES.values(), *_KEY_DTYPES.values()]))


def encode_float(value: float) -> Any:
    """A float; those that are not finite by name. NaN is one value: its sign and payload are not kept."""
    return value if value - value == 0.0 else {'_float': 'nan' if value != value else 'inf' if value > 0 else '-inf'}


def encode_int(value: int) -> Any:
    """An int; one of more digits than JSON readers take in hexadecimal."""
    return value if -LARGEST_PLAIN_INT < value < LARGEST_PLAIN_INT else {'_int': hex(value)}


def encode_str(value: str) -> Any:
    """A string; one with surrogates as its bytes, since JSON readers would make one character of two of them."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return {'_str': value.encode('utf-8', 'surrogatepass').hex()}
    return value


def encode_complex(value: complex) -> Any:
    """A complex number as its two parts."""
    return {'_complex': [encode_float(value.real), encode_float(value.imag)]}


def encode_bytes(value: bytes) -> Any:
    """Bytes in base64."""
    return {'_bytes': base64.b64encode(value).decode()}


def encode_dtype(value: Any) -> Any:
    """A dtype by name; one of typed keys with its kind."""
    return {'_dtype': dtype_name(value)}


def dtype_name(dtype: Any) -> str:
    """The stored name of a dtype.

    Raises:
      EncodeError: it has none (structured, dates, strings, objects, other byte orders).
    """
    if isinstance(dtype, np.dtype) and DTYPES.get(dtype.name) == dtype and dtype.isnative:
        return dtype.name
    if not isinstance(dtype, np.dtype) and (name := str(dtype)) in _KEY_DTYPES:
        return name
    raise EncodeError(f'the dtype {show(dtype)} has no stored form')


def encode_shape(value: jax.ShapeDtypeStruct) -> Any:
    """The shape and dtype of an array."""
    if value.sharding is not None:
        raise EncodeError('a ShapeDtypeStruct with a sharding has no stored form: devices differ between machines')
    made = {'dtype': dtype_name(value.dtype), 'shape': list(value.shape)}
    return {'_shape': {**made, 'weak': True} if value.weak_type else made}


def bad(text: str, *keys: str | int, error: type[PgjaxError] = DecodeError) -> NoReturn:
    """Raises the fault of a document; `keys` lead to it from the value being read, innermost first."""
    raise Fault(error, text, *keys)


def expect(value: Any, cls: type, marker: str, what: str) -> Any:
    """`value`, which must be of `cls`."""
    if value.__class__ is not cls:
        bad(f'expected {what}, found {show(value)}.', marker)
    return value


def decode_float(value: Any) -> float:
    """The inverse of `encode_float`'s marker."""
    if value.__class__ is not str or value not in _FLOATS:
        bad(f'expected "nan", "inf" or "-inf", found {show(value)}.', '_float')
    return _FLOATS[value]


def decode_int(value: Any) -> int:
    """The inverse of `encode_int`'s marker; hexadecimal takes linear time whatever its length."""
    text = expect(value, str, '_int', 'a hexadecimal int')
    digits = text.removeprefix('-')
    if not digits.startswith('0x') or not digits[2:].isalnum() or not digits.isascii():
        bad(f'expected a hexadecimal int, found {show(value)}.', '_int')
    try:
        return int(text, 16)
    except ValueError:
        bad(f'expected a hexadecimal int, found {show(value)}.', '_int')


def decode_str(value: Any) -> str:
    """The inverse of `encode_str`'s marker."""
    try:
        return bytes.fromhex(expect(value, str, '_str', 'hex of UTF-8')).decode('utf-8', 'surrogatepass')
    except ValueError:
        bad(f'expected hex of UTF-8, found {show(value)}.', '_str')


def decode_complex(value: Any) -> complex:
    """The inverse of `encode_complex`'s marker."""
    parts = expect(value, list, '_complex', 'two numbers')
    numbers = [decode_float(p['_float']) if p.__class__ is dict and p.keys() == {'_float'} else p for p in parts]
    if len(numbers) != 2 or any(n.__class__ is not float for n in numbers):
        bad(f'expected two floats, found {show(value)}.', '_complex')
    return complex(*numbers)


def decode_bytes(value: Any, *keys: str) -> bytes:
    """The inverse of `encode_bytes`'s marker."""
    try:
        return base64.b64decode(expect(value, str, '_bytes', 'base64'), validate=True)
    except (binascii.Error, ValueError):
        bad('the data are no base64 bytes.', *(keys or ('_bytes',)))


def decode_dtype(value: Any) -> Any:
    """The inverse of `encode_dtype`'s marker."""
    return find_dtype(value, '_dtype')


def find_dtype(name: Any, *keys: str) -> Any:
    """The dtype of a stored name."""
    found = DTYPES.get(name) or _KEY_DTYPES.get(name) if name.__class__ is str else None
    if found is None:
        bad(f'the dtype {show(name)} is not among those that are stored ({", ".join(list(DTYPES)[:9])}, ...).', *keys)
    return found


def decode_missing(value: Any) -> Any:
    """The inverse of MISSING's marker."""
    if value is not True:
        bad(f'expected true, found {show(value)}.', '_missing')
    return MISSING


def decode_shape(value: Any) -> jax.ShapeDtypeStruct:
    """The inverse of `encode_shape`'s marker."""
    header = header_of(value, '_shape', {'dtype', 'shape'}, {'weak'})
    dtype = find_dtype(header['dtype'], 'dtype', '_shape')
    return jax.ShapeDtypeStruct(shape_of(header, '_shape'), dtype, weak_type=header.get('weak') is True)


def header_of(value: Any, marker: str, needed: set[str], optional: set[str]) -> dict[str, Any]:
    """`value`, which must be an object with the keys `needed` and some of `optional`."""
    if value.__class__ is not dict or not needed <= value.keys() <= needed | optional:
        bad(f'expected an object with {", ".join(sorted(needed))} (dtype, shape, bytes), found {show(value)}.', marker)
    return value


def shape_of(header: dict[str, Any], marker: str) -> tuple[int, ...]:
    """The shape in the header of an array."""
    shape = header['shape']
    sizes_fit = shape.__class__ is list and all(n.__class__ is int and 0 <= n < 1 << 31 for n in shape)
    if not sizes_fit or len(shape) > _MOST_DIMENSIONS:
        bad(f'a shape is at most {_MOST_DIMENSIONS} sizes from 0 to 2**31 - 1, found {show(shape)}.', 'shape', marker)
    return tuple(shape)
