"""The stored forms of arrays: their bytes, row by row and little end first, under the marker "_array".

{"_array": {"dtype": "float32", "shape": [2, 3], "kind": "jax", "data": "base64"}}

`kind` is jax, numpy (the default) or scalar; typed PRNG keys have a `key` besides, and the dtype and shape of
their numbers. In place of base64, `data` may be a list of numbers, as a person would write them; and in place
of `data`, `stored` names an array beside the file. Nothing is allocated before dtype, shape and length fit.
"""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from pgjax._errors import EncodeError, FieldTypeError, FieldValueError, show
from pgjax.io._arrays import DTYPES, KEYS, HostArray, to_host
from pgjax.io._leaves import bad, decode_bytes, find_dtype, header_of, shape_of
from pgjax.symbolic._compare import is_more_than_numbers


def encode_array(value: Any) -> dict[str, Any]:
    """An array with its bytes.

    Raises:
      EncodeError: it is traced, or its dtype has no stored form.
    """
    host = host_of(value)
    return {'_array': {**array_header(host, value), 'data': base64.b64encode(host.data.tobytes()).decode()}}


def host_of(value: Any) -> HostArray:
    """The bytes of an array, little end first.

    Raises:
      EncodeError: it is traced, its dtype has no stored form, or its class adds to an array what would be lost.
    """
    what = f'an array of dtype {value.dtype}'
    if is_more_than_numbers(value):
        name = type(value).__name__
        raise EncodeError(
            f'a {name} is more than its numbers (a mask, a unit, other operators), and that would be lost. Store '
            f'np.asarray(x) and the rest apart, or register a codec: pg.register_codec({name}, ...)'
        )
    if 'Tracer' in type(value).__name__:  # JAX has no public name for them
        raise EncodeError(f'{what} is traced: it has no value yet. Store it outside jit')
    try:
        host = to_host({'': value})['']
    except EncodeError:
        raise EncodeError(f'{what} has no stored form') from None
    if sys.byteorder == 'big':
        swapped = host.data.view(DTYPES[host.dtype]).byteswap().view(np.uint8)
        return HostArray(host.dtype, host.shape, swapped, host.key)
    return host


def array_header(host: HostArray, value: Any) -> dict[str, Any]:
    """What stands beside an array's bytes."""
    kind = 'scalar' if isinstance(value, np.generic) else 'jax' if isinstance(value, jax.Array) else 'numpy'
    made: dict[str, Any] = {'dtype': host.dtype, 'shape': list(host.shape), 'kind': kind}
    return {**made, 'key': host.key} if host.key else made


def decode_array(value: Any, stored: Mapping[str, Any] | None) -> Any:
    """The inverse of `encode_array`'s marker.

    Args:
      value: what stands under the marker.
      stored: arrays kept beside the document, by name; None where there are none.
    """
    header = header_of(value, '_array', {'dtype', 'shape'}, {'kind', 'key', 'data', 'stored'})
    dtype, shape = DTYPES.get(header['dtype'] if header['dtype'].__class__ is str else ''), shape_of(header, '_array')
    kind, key = header.get('kind', 'numpy'), header.get('key')
    if dtype is None:
        find_dtype(None if str(header['dtype']).startswith('key') else header['dtype'], 'dtype', '_array')
        bad(f'no array has the dtype {show(header["dtype"])}.', 'dtype', '_array')
    if kind not in ('jax', 'numpy', 'scalar') or (key is not None and (key not in KEYS or kind != 'jax')):
        bad(f'unknown kind {show(kind)} or key {show(key)} of an array of dtype {dtype}.', '_array')
    if ('data' in header) == ('stored' in header) or (kind == 'scalar' and shape):
        bad('an array has either data or stored bytes, and a scalar has the shape [].', '_array')
    if 'stored' in header:
        return _stored(header, dtype, shape, kind, stored)
    if header['data'].__class__ is list:
        array = _from_numbers(header['data'], dtype, shape)
    else:
        array = _from_bytes(header['data'], dtype, shape)
    return _as_kind(array, kind, key)


def _from_bytes(data: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    needed = math.prod(shape) * dtype.itemsize
    if data.__class__ is not str or len(data) != -(-needed // 3) * 4:
        found = f'{len(data)} characters of base64' if isinstance(data, str) else show(data)
        bad(f'dtype {dtype} and shape {show(list(shape))} need {needed} bytes, found {found}.', 'data', '_array')
    content = decode_bytes(data, 'data', '_array')
    if len(content) != needed:
        bad(f'dtype {dtype} and shape {show(list(shape))} need {needed} bytes, found {len(content)}.', 'data', '_array')
    flat = np.frombuffer(bytearray(content), np.uint8)
    if dtype == np.bool_ and flat.size and flat.max() > 1:
        bad('the bytes of a bool array are 0 and 1.', 'data', '_array')
    flat = flat.view(dtype)
    return (flat.byteswap() if sys.byteorder == 'big' else flat).reshape(shape)


def _from_numbers(data: list[Any], dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """An array whose elements a person wrote as numbers, row by row."""
    if len(data) != math.prod(shape):
        bad(f'the shape {list(shape)} needs {math.prod(shape)} elements, found {len(data)}.', 'data', '_array')
    if jnp.issubdtype(dtype, np.complexfloating):
        bad(f'elements of dtype {dtype} are written as base64.', 'data', '_array')
    for index, item in enumerate(data):
        _check_number(item, dtype, index)
    array = np.array(data, _WIDEST.get(dtype.kind, np.float64)).astype(dtype)
    return array.reshape(shape)


_WIDEST = {'b': np.bool_, 'i': np.int64, 'u': np.uint64}


def _check_number(item: Any, dtype: np.dtype, index: int) -> None:
    place = (index, 'data', '_array')
    if dtype == np.bool_:
        if item.__class__ is not bool:
            bad(f'expected a bool, found {show(item)}.', *place, error=FieldTypeError)
    elif jnp.issubdtype(dtype, np.integer):
        if item.__class__ is not int:
            bad(f'expected an int for dtype {dtype}, found {show(item)}.', *place, error=FieldTypeError)
        limits = ml_dtypes.iinfo(dtype)
        if not limits.min <= item <= limits.max:
            text = f'the value {show(item)} is outside the range of dtype {dtype} ({limits.min} to {limits.max}).'
            bad(text, *place, error=FieldValueError)
    elif item.__class__ is not float and item.__class__ is not int:
        bad(f'expected a number for dtype {dtype}, found {show(item)}.', *place, error=FieldTypeError)
    elif abs(item) > float(ml_dtypes.finfo(dtype).max):
        bad(f'the value {show(item)} is outside the range of dtype {dtype}.', *place, error=FieldValueError)


def _as_kind(array: np.ndarray, kind: str, key: str | None) -> Any:
    if kind == 'numpy':
        return array
    if kind == 'scalar':
        return array[()]
    if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
        bad(f'a JAX array of dtype {array.dtype} needs jax_enable_x64, which is off.', 'dtype', '_array')
    try:
        made = jnp.asarray(array)
        return made if key is None else jax.random.wrap_key_data(made, impl=key)
    except Exception:  # JAX and XLA refuse in many ways, for dtypes that a backend lacks too
        what = f'keys of kind {key}' if key else 'a JAX array on this backend'
        bad(f'dtype {array.dtype} and shape {show(list(array.shape))} do not make {what}.', 'shape', '_array')


def _stored(header: dict[str, Any], dtype: np.dtype, shape: tuple[int, ...], kind: str, stored: Any) -> Any:
    """An array that lies beside the document; already checked against its digest."""
    name = header['stored']
    if stored is None:
        bad('the array lies beside the file that this document was in: read that with pg.load(path).', '_array')
    if name.__class__ is not str or name not in stored:
        bad(f'no array {show(name)} lies beside this file.', 'stored', '_array')
    array = stored[name]
    if header.get('key') is not None:
        same = jnp.issubdtype(array.dtype, jax.dtypes.prng_key) and str(jax.random.key_impl(array)) == header['key']
        return array if same and _data_shape(array) == shape else _mismatch(header)
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        _mismatch(header)
    return _as_kind(array, kind, None)


def _data_shape(keys: jax.Array) -> tuple[int, ...]:
    return tuple(jax.random.key_data(keys).shape)


def _mismatch(header: dict[str, Any]) -> NoReturn:
    bad(f'the array beside the file is not of dtype {header["dtype"]} and shape {show(header["shape"])}.', '_array')
