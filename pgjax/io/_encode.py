"""Values into JSON values. Works in two steps, neither of which depends on Python's stack for its depth.

First each part is encoded, a part that stands in two places once: the JSON value shares what the value
shares. Then, only where something is shared or deep, such parts move into a table (see `_table`).
"""

from __future__ import annotations

import enum
from typing import Any

import jax
import numpy as np

from pgjax._errors import EncodeError, shorten
from pgjax.io import _array_json, _codecs, _leaves
from pgjax.io._refusal import FUNCTIONS, RefusedError, encode_by, is_nameless_default, refusal
from pgjax.io._syntax import ATOMS
from pgjax.io._table import linearize
from pgjax.io._unknown import UnknownObject
from pgjax.symbolic import Dict, Insertion, List, _registry
from pgjax.symbolic._compare import PLAIN_ARRAYS
from pgjax.symbolic._define import finish
from pgjax.symbolic._placeholder import Missing

TUPLE, LIST = '__tuple__', '__list__'  # first items of lists that mean something else; TUPLE as in PyGlove
RESERVED = frozenset({'function', 'method', 'type'})  # type names that mean something else
_CHUNK = 48  # levels encoded by recursion; what is deeper waits for its turn
_BIG = _leaves.LARGEST_PLAIN_INT
_PLAIN = frozenset({bool, type(None)})


class Encoder:
    """Encodes one value.

    Attributes:
      marked: whether something in the result means more than plain JSON says.
      aside: the arrays to be kept beside the document, by name.
    """

    def __init__(self, large: int | None = None):
        """Arrays of at least `large` bytes are put aside; None for none."""
        self.marked = False
        self.aside: dict[str, Any] = {}
        self._large = large
        self._made: dict[int, Any] = {}  # by the id of a part: what it was encoded as
        self._shared: set[int] = set()  # ids of encoded parts that stand in several places
        self._later: list[tuple[Any, Any]] = []
        self._kept: list[Any] = []  # temporary values, whose ids must not be used again

    def encode(self, root: Any) -> tuple[Any, list[Any]]:
        """The JSON value of `root`, and the table that it refers to.

        Raises:
          EncodeError: something in it has no stored form; the message names its path.
          CycleError: it contains itself.
        """
        try:
            made = self._value(root, 0)
            deep = bool(self._later)
            while self._later:
                part, out = self._later.pop()
                self._fill(part, out, 0)
        except RefusedError as error:
            raise refusal(root, error) from error.__cause__
        return (made, []) if not (deep or self._shared) else linearize(made, self._shared, self._made)

    def _value(self, value: Any, depth: int) -> Any:
        cls = value.__class__
        if cls is float:
            return value if value - value == 0.0 else self._mark(_leaves.encode_float(value))
        if cls is str:
            return value if value.isascii() else self._leaf(_leaves.encode_str(value))
        if cls in _PLAIN:
            return value
        if cls is int:
            return self._leaf(_leaves.encode_int(value))
        known = self._made.get(id(value))
        if known is not None:
            self._shared.add(id(known))
            self.marked = True
            return known
        if cls is List or cls is list or cls is tuple:
            if cls is tuple and all(item.__class__ in ATOMS for item in value):
                return self._items(value, [], depth)  # Python itself shares constants: not worth an entry
            out: Any = []
        elif cls is Dict or cls is dict or getattr(cls, '__pg_fields__', None) is not None:
            out = {}
        else:
            try:
                made = self._other(value, cls)
            except EncodeError as error:
                raise RefusedError(value, str(error)) from None
            if made is not None:
                return made
            out = {}  # it has parts
        self._made[id(value)] = out
        if depth >= _CHUNK:
            self._later.append((value, out))
            return out
        return self._fill(value, out, depth)

    def _fill(self, value: Any, out: Any, depth: int) -> Any:
        """Encodes the parts of a container or object into `out`."""
        if out.__class__ is list:
            return self._items(value, out, depth)
        cls = value.__class__
        if getattr(cls, '__pg_fields__', None) is not None:
            return self._object(value, out, depth)
        return self._entries(value, out, depth) if isinstance(value, dict) else self._coded(value, out, depth)

    def _object(self, value: Any, out: dict[str, Any], depth: int) -> Any:
        cls = value.__class__
        self.marked = True
        if cls is UnknownObject:
            out['_type'] = value.type_name
            for name, part in value.fields.items():
                out[name] = self._value(part, depth + 1)
            return out
        if cls.__pg_pending__ is not None:
            finish(cls)
        name = out['_type'] = cls.__pg_type_name__
        if name in RESERVED:
            raise RefusedError(value, f'the type name {name!r} means something else in documents; choose another')
        state = value.__dict__
        depth += 1
        for name in cls.__pg_fields__:
            part = state[name]
            kind = part.__class__
            if kind is str:
                out[name] = part if part.isascii() else self._leaf(_leaves.encode_str(part))
            elif kind is float:
                out[name] = part if part - part == 0.0 else self._mark(_leaves.encode_float(part))
            elif kind in _PLAIN:
                out[name] = part
            elif kind is int:
                out[name] = part if -_BIG < part < _BIG else self._mark(_leaves.encode_int(part))
            elif kind not in FUNCTIONS or not is_nameless_default(cls.__pg_fields__[name], part):
                out[name] = self._value(part, depth)
        return out

    def _items(self, value: Any, out: list[Any], depth: int) -> Any:
        depth += 1
        if value.__class__ is tuple:
            self.marked = True
            out.append(TUPLE)
        elif len(value) and value[0].__class__ is str and value[0] in (TUPLE, LIST):
            self.marked = True
            out.append(LIST)
        for item in value:
            out.append(item if item.__class__ in _PLAIN else self._value(item, depth))
        return out

    def _entries(self, value: dict[Any, Any], out: dict[str, Any], depth: int) -> Any:
        if all(key.__class__ is str and key[:1] != '_' and _leaves.encode_str(key) is key for key in value):
            for key, item in value.items():
                out[key] = self._value(item, depth + 1)
            return out
        pairs = []
        for key, item in value.items():
            if isinstance(key, np.integer):
                key = int(key)
            if key.__class__ is not str and key.__class__ is not int:
                raise RefusedError(value, f'it has the key {shorten(repr(key))}; keys of dicts are strings and ints')
            pairs.append([self._value(key, depth), self._value(item, depth + 3)])
        out['_dict'] = pairs
        self.marked = True
        return out

    def _leaf(self, made: Any) -> Any:
        if made.__class__ is dict:
            self.marked = True
        return made

    def _mark(self, made: Any) -> Any:
        self.marked = True
        return made

    def _other(self, value: Any, cls: type) -> Any:
        """The stored form of a value that is neither plain nor a container, or None where it has parts."""
        self.marked = True
        if _is_array(value, cls):
            made = self._made[id(value)] = self._array(value)
            return made
        for kind, encode in _LEAVES:
            if cls is kind:
                return encode(value)
        if isinstance(value, np.generic):
            return _array_json.encode_array(value)
        if isinstance(value, type) and (name := _codecs.type_name(value)):
            return {'_type': 'type', 'name': name}
        codec = _codecs.codec_of(cls)
        if codec is not None:
            return _member(value, codec) if codec.encode is None and isinstance(value, enum.Enum) else None
        if cls is Insertion:
            return None
        if name := _registry.function_name(value):
            return {'_type': 'function', 'name': name}
        hint = 'give it a name, pg.register_function(f, name="..."), or ' if callable(value) else ''
        functions = '' if _codecs.needs_no_functions(cls) else ', encode=..., decode=...'
        again = ', also where it is loaded' if not functions else ''
        raise EncodeError(f'{hint}register a codec: pg.register_codec({cls.__name__}{functions}){again}')

    def _array(self, value: Any) -> dict[str, Any]:
        if self._large is None or value.nbytes < self._large:
            return _array_json.encode_array(value)
        name = f'{len(self.aside)}'
        self.aside[name] = _array_json.host_of(value)
        return {'_array': {**_array_json.array_header(self.aside[name], value), 'stored': name}}

    def _coded(self, value: Any, out: dict[str, Any], depth: int) -> Any:
        """Encodes an Insertion, a NamedTuple, or a value with a codec of its own."""
        if value.__class__ is Insertion:
            out['_insertion'] = self._value(value.value, depth + 1)
            return out
        codec = _codecs.codec_of(value.__class__)
        assert codec is not None  # `_other` asked
        out['_type'] = codec.name
        if codec.encode is None:
            out.update(zip(value._fields, [self._value(item, depth + 1) for item in value], strict=True))
        else:
            part = encode_by(codec, value)
            self._kept.append(part)
            out['_value'] = self._value(part, depth + 1)
        return out


def _is_array(value: Any, cls: type) -> bool:
    """Whether a value is stored as an array: one of a class of its own may have a codec of its own."""
    if isinstance(value, np.ndarray):
        return cls in PLAIN_ARRAYS or _codecs.codec_of(cls) is None
    return isinstance(value, jax.Array)


def _member(value: enum.Enum, codec: _codecs.Codec) -> dict[str, Any]:
    """A member of an enum by name; of a flag, which may be several at once, by value."""
    if isinstance(value, enum.Flag):
        return {'_type': codec.name, '_value': value.value}
    return {'_type': codec.name, '_name': value.name}


_LEAVES = (
    (Missing, lambda value: {'_missing': True}),
    (complex, _leaves.encode_complex),
    (bytes, _leaves.encode_bytes),
    (jax.ShapeDtypeStruct, _leaves.encode_shape),
    (np.str_, lambda value: _leaves.encode_str(str(value))),
    *((kind, _leaves.encode_dtype) for kind in _leaves.DTYPE_CLASSES),
)


def encode_leaf(value: Any) -> Any:
    """The stored form of a value without parts; raises RefusedError."""
    return Encoder()._value(value, 0)
