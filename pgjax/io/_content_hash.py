"""A hash of what a value is: the same in every process, on every machine, and however it is held in memory."""

from __future__ import annotations

import enum
import hashlib
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import CycleError, EncodeError
from pgjax.io import _array_json, _codecs
from pgjax.io._arrays import DTYPES
from pgjax.io._encode import encode_leaf
from pgjax.io._refusal import FUNCTIONS, RefusedError, encode_by, is_nameless_default, refusal
from pgjax.io._unknown import UnknownObject
from pgjax.symbolic import Insertion, children

_Parts = list[tuple[bytes, Any]]


def content_hash(value: Any) -> str:
    """SHA-256 of the content of a value: a key for caches, deduplication and repositories of experiments.

    Equal for values of the same classes (by stored name), fields and content. The order of dict entries, what
    is shared, and whether an array is NumPy's or JAX's do not matter; every type does (1, 1.0 and True differ,
    and so do 0.0 and -0.0). All NaNs are one.

    Args:
      value: anything that `to_json` can store.

    Returns:
      64 hexadecimal digits.

    Raises:
      EncodeError: something in it has no stored form.
      CycleError: it contains itself.

    >>> import pgjax.io
    >>> pgjax.io.content_hash({'a': 1, 'b': 2}) == pgjax.io.content_hash({'b': 2, 'a': 1})
    True
    >>> pgjax.io.content_hash(1) == pgjax.io.content_hash(1.0)
    False
    """
    try:
        return _digest(value).hex()
    except RefusedError as error:
        raise refusal(value, error) from error.__cause__


def _digest(root: Any) -> bytes:
    """Hashes bottom-up with a stack of its own; a part that stands in many places is hashed once."""
    done: dict[int, bytes] = {}
    kept: list[Any] = []  # what codecs made: its ids must not be used again
    frames: list[tuple[Any, bytes, _Parts]] = []
    pending: list[Any] = [root]
    open_ids: set[int] = set()
    while pending:
        value = pending[-1]
        if id(value) in done:
            pending.pop()
        elif id(value) in open_ids:  # all its parts are done
            pending.pop()
            open_ids.discard(id(value))
            _, head, parts = frames.pop()
            done[id(value)] = _combine(head, [(label, done[id(part)]) for label, part in parts])
        else:
            node = _node(value)
            kept.append(value)
            if node is None:
                done[id(value)] = _leaf(value)
            else:
                open_ids.add(id(value))
                if any(id(part) in open_ids for _, part in node[1]):
                    raise CycleError('The value contains itself, so it has no content hash.')
                frames.append((value, *node))
                pending.extend(part for _, part in node[1])
    return done[id(root)]


def _combine(head: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    hasher = hashlib.sha256(head)
    for label, digest in parts:
        hasher.update(len(label).to_bytes(8, 'little') + label + digest)
    return hasher.digest()


def _node(value: Any) -> tuple[bytes, _Parts] | None:
    """What a container is, and its parts with labels; None for a leaf."""
    cls: Any = value.__class__
    if cls is UnknownObject:  # hashes as the object that it stands for
        return _head('object', value.type_name), _sorted(value.fields.items())
    if cls is Insertion:
        return _head('insertion'), [(b'', value.value)]
    codec = _codecs.codec_of(cls) if not hasattr(cls, '__pg_node__') and cls not in (list, dict, tuple) else None
    if codec is not None and not isinstance(value, enum.Enum):
        if codec.encode is None:
            return _head('object', codec.name), _sorted(zip(value._fields, value, strict=True))
        return _head('object', codec.name), [(b'"_value"', encode_by(codec, value))]
    parts = children(value)
    if parts is None:
        return None
    name = getattr(cls, '__pg_type_name__', None)
    if name is not None:
        fields: Any = getattr(cls, '__pg_fields__', {})
        parts = [(k, p) for k, p in parts if type(p) not in FUNCTIONS or not is_nameless_default(fields[k], p)]
        return _head('object', name), _sorted(parts)
    if isinstance(value, dict):
        return _head('dict'), _sorted(parts)
    if cls is not tuple and not isinstance(value, list) and not hasattr(cls, '__pg_node__'):
        return None  # a tuple of a class without a stored form
    return _head('tuple' if cls is tuple else 'list'), [(b'', part) for _, part in parts]


def _head(*words: str) -> bytes:
    return _json(list(words)) + b'\n'


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(',', ':')).encode()


def _sorted(items: Any) -> _Parts:
    return sorted(((_json(encode_leaf(key)), part) for key, part in items), key=lambda item: item[0])


def _leaf(value: Any) -> bytes:
    if not isinstance(value, (np.ndarray, np.generic, jax.Array)) or isinstance(value, np.str_):
        return hashlib.sha256(b'value\n' + _json(encode_leaf(value))).digest()
    try:
        host = _array_json.host_of(value)
    except EncodeError as error:
        raise RefusedError(value, str(error)) from None
    content = host.data.view(DTYPES[host.dtype])
    if jnp.issubdtype(content.dtype, jnp.inexact):
        content = _one_nan(content)
    hasher = hashlib.sha256(_head('array', host.dtype, str(list(host.shape)), host.key or ''))
    hasher.update(content.view(np.uint8).data)
    return hasher.digest()


def _one_nan(content: np.ndarray) -> np.ndarray:
    """`content` with one bit pattern for NaN: processors differ in the sign of the NaNs that they make."""
    real = content.view(np.dtype(f'f{content.itemsize // 2}')) if content.dtype.kind == 'c' else content
    nan = real != real
    if not nan.any():
        return content
    return np.where(nan, np.full((), np.nan, real.dtype), real).view(content.dtype)
