"""JSON values into values. Only names in the registry mean anything; every object goes through its constructor.

Recursion is bounded by the depth of the document, which has a limit; deep values come as tables, which have no
depth. The document is not changed.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Mapping
from typing import Any

from pgjax._errors import DecodeError, UnknownTypeError, did_you_mean, shorten, show
from pgjax.io import _array_json, _codecs, _leaves
from pgjax.io._encode import LIST, TUPLE
from pgjax.io._faults import construction_fault, unknown_field, unknown_type
from pgjax.io._syntax import ATOMS, Fault, too_deep
from pgjax.io._unknown import UnknownObject
from pgjax.symbolic import Dict, Insertion, List, _registry
from pgjax.symbolic._define import finish
from pgjax.symbolic._object import make, refuse_missing

_MARKED_LISTS = frozenset({TUPLE, LIST})


class Decoder:
    """Decodes the values of one document."""

    def __init__(self, *, keep: bool, max_depth: int, writer: str, arrays: Mapping[str, Any] | None):
        """See `_json.from_json`; `writer` describes the writer, `arrays` are those beside the document."""
        self._keep, self._max_depth, self._writer, self._arrays = keep, max_depth, writer, arrays
        self.table: list[Any] = []  # the entries of the shared table so far

    def value(self, value: Any, depth: int = 1) -> Any:
        """The value that a JSON value stands for.

        Raises:
          Fault: it stands for none.
        """
        if value.__class__ in ATOMS:
            return value
        if depth > self._max_depth:
            raise too_deep(self._max_depth)
        if value.__class__ is list:
            return self._list(value, depth + 1)
        name = value.get('_type')
        if name.__class__ is str:
            cls = _registry.find_class(name)
            return self._named(name, value, depth) if cls is None else self._object(cls, value, depth + 1)
        for key in value:
            if key[:1] == '_':
                return self._marked(value, depth)
        return Dict._of(self._parts(value, depth + 1))

    def _parts(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        """The decoded entries of a JSON object but its `_type`."""
        made = {}
        key = ''
        try:
            for key, item in value.items():
                if key != '_type':
                    made[key] = item if item.__class__ in ATOMS else self.value(item, depth)
        except Fault as fault:
            fault.keys.append(key)
            raise
        return made

    def _list(self, value: list[Any], depth: int) -> Any:
        first = value[0] if value else None
        if first.__class__ is str and first in _MARKED_LISTS:
            items = self._items(value, depth)[1:]
            return tuple(items) if first == TUPLE else List._of(items)
        return List._of(self._items(value, depth))

    def _items(self, value: list[Any], depth: int) -> list[Any]:
        made: list[Any] = []
        try:
            for item in value:
                made.append(item if item.__class__ in ATOMS else self.value(item, depth))
        except Fault as fault:
            fault.keys.append(len(made))
            raise
        return made

    def _object(self, cls: Any, value: dict[str, Any], depth: int) -> Any:
        """An object of a registered class."""
        if cls.__pg_pending__ is not None:
            finish(cls)
        fields = cls.__pg_fields__
        made = {}
        key = ''
        try:
            for key, item in value.items():
                if key in fields:
                    made[key] = item if item.__class__ in ATOMS else self.value(item, depth)
                elif key != '_type':
                    raise unknown_field(cls, key, self._writer)
        except Fault as fault:
            fault.keys.append(key)
            raise
        try:
            return (_BUILDERS.get(cls) or _builder(cls))(**made)
        except Exception as error:  # a user's constructor may raise anything
            raise construction_fault(cls, made, error) from error

    def _named(self, name: str, value: dict[str, Any], depth: int) -> Any:
        """What a `_type` means that is no symbolic class."""
        if name == 'function' or name == 'type':
            return self._reference(name, value, depth)
        codec = _codecs.find_codec(name)
        if codec is None:
            return self._unknown(value, depth, unknown_type(name))
        parts = self._parts(value, depth + 1)
        if codec.encode is not None and parts.keys() != {'_value'}:
            raise Fault(DecodeError, f'{name} is stored as {{"_type", "_value"}}, found the keys {show(list(parts))}.')
        try:
            return _coded(codec, parts)
        except (Fault, MemoryError):
            raise
        except Exception as error:  # a user's function may raise anything
            text = f'{name} refuses the stored value: {type(error).__name__}: {error}'
            raise Fault(DecodeError, text) from error

    def _reference(self, kind: str, value: dict[str, Any], depth: int) -> Any:
        """A function or class that is itself the value."""
        name: Any = value.get('name')
        if name.__class__ is not str:
            raise Fault(DecodeError, f'a {kind} is stored as {{"_type": "{kind}", "name": ...}}, found {show(value)}.')
        if value.keys() != {'_type', 'name'}:
            extra = ', '.join(sorted(value.keys() - {'_type', 'name'}))
            text = f'a {kind} ({show(name)}) with {shorten(extra)}: pgjax takes a {kind} by registered name alone.'
            return self._unknown(value, depth, Fault(UnknownTypeError, f'{text} It never loads code or calls a type.'))
        found = _registry.find_function(name) if kind == 'function' else _codecs.find_type(name)
        if found is not None:
            return found
        cure = 'import its module'
        if kind == 'function':
            cure += ', or register it (pg.register_function(f, name=...))'
        text = f'the {kind} {show(name)} is not registered; {cure} before loading. Nothing is imported by name.'
        return self._unknown(value, depth, Fault(UnknownTypeError, text))

    def _unknown(self, value: dict[str, Any], depth: int, fault: Fault) -> Any:
        if not self._keep:
            raise fault
        return UnknownObject(type_name=value['_type'], fields=Dict._of(self._parts(value, depth + 1)))

    def _marked(self, value: dict[str, Any], depth: int) -> Any:
        """A value of one marker, such as {"_float": "nan"}."""
        if '_type' in value:
            found = value['_type']
            text = f'the name of a type is a string, found {type(found).__name__} {show(found)} under "_type".'
            raise Fault(DecodeError, text, '_type')
        (marker, inside), *more = value.items()
        decode = None if more else _MARKERS.get(marker)
        if decode is not None:
            return decode(inside)
        if not more and marker == '_array':
            return _array_json.decode_array(inside, self._arrays)
        if not more and marker in ('_ref', '_dict', '_insertion'):
            try:
                return getattr(self, marker)(inside, depth + 1)
            except Fault as fault:
                fault.keys.append(marker)
                raise
        text = f'{show(list(value))} are no keys of a stored value: keys that begin with "_" are markers of pgjax. '
        raise Fault(DecodeError, text + 'A dict with such keys is stored as {"_dict": [[key, value], ...]}.')

    def _ref(self, index: Any, depth: int) -> Any:
        del depth
        if index.__class__ is not int or not 0 <= index < len(self.table):
            text = f'ref {show(index)} is out of range: {len(self.table)} shared parts come before it.'
            raise Fault(DecodeError, text)
        return self.table[index]

    def _insertion(self, inside: Any, depth: int) -> Insertion:
        return Insertion(self.value(inside, depth))

    def _dict(self, pairs: Any, depth: int) -> Dict[Any]:
        made: dict[Any, Any] = {}
        if pairs.__class__ is not list:
            raise Fault(DecodeError, f'expected a list of [key, value], found {show(pairs)}.')
        for index, pair in enumerate(pairs):
            if pair.__class__ is not list or len(pair) != 2:
                raise Fault(DecodeError, f'expected [key, value], found {show(pair)}.', index)
            key, item = self._pair(pair, index, depth)
            if (key.__class__ is not str and key.__class__ is not int) or key in made:
                what = 'duplicate key' if key.__class__ in (str, int) else 'a key is a string or an int, found'
                raise Fault(DecodeError, f'{what} {show(key)}.', 0, index)
            made[key] = item
        return Dict._of(made)

    def _pair(self, pair: list[Any], index: int, depth: int) -> list[Any]:
        try:
            return self._items(pair, depth + 1)
        except Fault as fault:
            fault.keys.append(index)
            raise


_MARKERS: dict[str, Callable[[Any], Any]] = {
    '_float': _leaves.decode_float,
    '_complex': _leaves.decode_complex,
    '_int': _leaves.decode_int,
    '_str': _leaves.decode_str,
    '_bytes': _leaves.decode_bytes,
    '_dtype': _leaves.decode_dtype,
    '_missing': _leaves.decode_missing,
    '_shape': _leaves.decode_shape,
}


def _coded(codec: _codecs.Codec, parts: dict[str, Any]) -> Any:
    """A member of an enum, a NamedTuple, or what a user's `decode` makes."""
    cls: Any = codec.cls
    if codec.decode is not None:
        return codec.decode(parts['_value'])
    if not issubclass(cls, enum.Enum):
        return cls(**parts)
    if issubclass(cls, enum.Flag) and parts.keys() == {'_value'}:
        return cls(parts['_value'])
    member: Any = parts.get('_name') if parts.keys() == {'_name'} else None
    if member.__class__ is not str or member not in cls.__members__:
        names = shorten(', '.join(cls.__members__))
        text = f'expected {{"_type", "_name"}} with one of {names}, found {show(parts)}.'
        raise Fault(DecodeError, text + did_you_mean(str(member), cls.__members__))
    return cls.__members__[member]


_BUILDERS: dict[type, Callable[..., Any]] = {}  # what makes an object of its fields, by class


def _builder(cls: Any) -> Callable[..., Any]:
    from_fields = functools.partial(_from_fields, cls) if hasattr(cls, '__pg_signature__') else cls
    return _BUILDERS.setdefault(cls, from_fields)


def _from_fields(cls: Any, /, **values: Any) -> Any:
    """An object of a class made from a signature, whose constructor spreads some fields over `*args` and `**kwargs`."""
    missing = [name for name, field in cls.__pg_fields__.items() if field.required and name not in values]
    if missing:
        refuse_missing(cls, missing)
    return make(cls, {n: values.get(n, f.default) for n, f in cls.__pg_fields__.items()}, cls.__name__)
