"""Values as versioned JSON documents, and back. Their parts are in `_encode`, `_leaves` and `_array_json`.

A document of plain JSON (None, bools, finite numbers, strings, lists, dicts of strings) is that JSON. Any
other is stamped with the format and the writer's version: an object has the stamp beside its fields,

{"_pgjax": 1, "_writer": "0.1.0", "_shared": [...], "_type": "app.Adam", "lr": 0.001}

and whatever is no object stands under "_value". `_shared` is there where parts are shared or deep.
"""

from __future__ import annotations

import json
import numbers
from collections.abc import Mapping
from typing import Any, Literal

from pgjax._errors import FieldTypeError, FieldValueError, show
from pgjax.io._decode import Decoder
from pgjax.io._encode import Encoder
from pgjax.io._stamp import document, limit_expansion, split_stamp, stamps
from pgjax.io._syntax import MAX_BYTES, MAX_DEPTH, MAX_NODES, Fault, check_plain, parse, too_deep

EXPANSION = 10  # by how much a value may be larger than MAX_NODES where parts of it are shared
MAX_INDENT = 100  # spaces per level: an indented text grows with its square in depth
_TEXT = json.JSONEncoder(separators=(',', ':'), check_circular=False, allow_nan=False)

Unknown = Literal['error', 'keep']


def to_json(value: Any, *, stamp: bool = True) -> Any:
    """`value` as a JSON value: of None, bool, int, float, str, list and dict.

    Everything a symbolic object can hold survives: shared parts stay shared, arrays (inline, with their bytes),
    NaN, ints of any size, bytes, dtypes, tuples, registered enums, classes and functions, holes and MISSING.
    Lists and dicts come back as `pg.List` and `pg.Dict`, their equal twins; a NaN's payload, an array's devices
    and byte order, and the weak type of a scalar are not kept.

    Args:
      value: what to store.
      stamp: whether the document says its format and writer; without, it depends on `value` alone.

    Raises:
      EncodeError: something in it has no stored form; the message names its path and a cure.
      CycleError: it contains itself.

    >>> import pgjax.io
    >>> pgjax.io.to_json([1, 'a', {'b': 2.5}])
    [1, 'a', {'b': 2.5}]
    >>> pgjax.io.to_json((1, float('inf')), stamp=False)
    ['__tuple__', 1, {'_float': 'inf'}]
    """
    encoder = Encoder()
    root, table = encoder.encode(value)
    return document(root, table, stamps(encoder.marked and stamp))


def to_json_str(value: Any, *, indent: int | None = None, stamp: bool = True) -> str:
    """`value` as strict JSON text in ASCII; see `to_json`.

    Args:
      value: what to store.
      indent: spaces per level, at most 100; None for one line.
      stamp: as in `to_json`.

    Raises:
      EncodeError, CycleError: as `to_json`.
      FieldTypeError, FieldValueError: `indent` is no such number.

    >>> import pgjax.io
    >>> pgjax.io.to_json_str({'a': [1, 2]})
    '{"a":[1,2]}'
    """
    return text_of(to_json(value, stamp=stamp), indent)


def text_of(made: Any, indent: int | None) -> str:
    """A JSON value as text; raises FieldTypeError or FieldValueError for an `indent` that makes none."""
    if indent is None:
        return _TEXT.encode(made)
    if not isinstance(indent, numbers.Integral):  # a string would stand before each line, whatever it is
        raise FieldTypeError(f'indent is a number of spaces, or None for one line; got {show(indent)}.')
    if not 0 <= indent <= MAX_INDENT:
        raise FieldValueError(f'indent is from 0 to {MAX_INDENT} spaces, or None for one line; got {show(indent)}.')
    return json.dumps(made, indent=indent, allow_nan=False)


def from_json(value: Any, *, unknown: Unknown = 'error', max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES) -> Any:
    """The value that `to_json` made a document of.

    Names in it are looked up among registered classes and functions; nothing is imported, called by name or
    unpickled. A field that is not there gets its default. The document is not changed.

    Args:
      value: a JSON value, as `to_json` or `json.loads` return it.
      unknown: 'error', or 'keep' for `UnknownObject` in place of objects whose classes are not registered.
      max_depth: most levels of nesting.
      max_nodes: most values in it.

    Raises:
      DecodeError: it is no such document; UnknownTypeError if it names what is not registered, LimitError if it
        is too large. Messages name the JSON path, such as `$.model.layers[2].width`.
      FieldTypeError, FieldValueError, MissingFieldError, UnknownFieldError: an object's fields do not fit.
      StudyVersionError: a newer version of pgjax wrote it.

    >>> import pgjax as pg, pgjax.io
    >>> pgjax.io.from_json({'_dict': [[1, 'one'], ['_x', 2]]})
    {1: 'one', '_x': 2}
    """
    check_limits(max_depth=max_depth, max_nodes=max_nodes)
    try:
        check_plain(value, max_nodes, max_depth)
        return read_document(value, unknown, max_depth, max_nodes)
    except Fault as fault:
        raise fault.located() from fault.__cause__


def from_json_str(
    text: str | bytes,
    *,
    unknown: Unknown = 'error',
    max_depth: int = MAX_DEPTH,
    max_nodes: int = MAX_NODES,
    max_bytes: int = MAX_BYTES,
) -> Any:
    """The value of JSON text; see `from_json`.

    Args:
      text: strict JSON; bytes are UTF-8.
      unknown: as in `from_json`.
      max_depth: most levels of nesting.
      max_nodes: most values in it.
      max_bytes: longest text.

    Raises:
      DecodeError: also where the text is no strict JSON, with line, column and byte offset.
      FieldTypeError, FieldValueError, MissingFieldError, UnknownFieldError, StudyVersionError: as `from_json`.

    >>> import pgjax.io
    >>> pgjax.io.from_json_str('["__tuple__", {"_float": "nan"}]')
    (nan,)
    """
    return read_text(text, unknown, max_depth, max_nodes, max_bytes)


def check_limits(**limits: Any) -> None:
    """Refuses limits that are no ints: there is no way to read without any."""
    for name, limit in limits.items():
        if not isinstance(limit, numbers.Integral):
            raise FieldTypeError(f'{name} is an int, got {show(limit)}. Give a large one where you trust the document.')


def read_text(
    text: str | bytes,
    unknown: Unknown,
    max_depth: int,
    max_nodes: int,
    max_bytes: int,
    source: str = '',
    load: Any = None,
) -> Any:
    """`from_json_str` for a document from the file `source`; `load` gets the arrays beside it by their digest."""
    check_limits(max_depth=max_depth, max_nodes=max_nodes, max_bytes=max_bytes)
    try:
        value = parse(text, max_bytes, max_nodes, max_depth, source)
        arrays = None
        if load is not None and value.__class__ is dict and '_arrays' in value:
            arrays = load(value['_arrays'])
        return read_document(value, unknown, max_depth, max_nodes, arrays)
    except Fault as fault:
        raise fault.located(source) from fault.__cause__


def read_document(
    value: Any, unknown: Unknown, max_depth: int, max_nodes: int, arrays: Mapping[str, Any] | None = None
) -> Any:
    """The value of a parsed document; raises Fault."""
    if unknown not in ('error', 'keep'):
        raise FieldValueError(f"unknown is 'error' or 'keep', not {show(unknown)}.")
    stamp, root = split_stamp(value)
    writer = 'The document names no writer.'
    if stamp:
        writer = f'It was written by pgjax {show(stamp.get("_writer"))} (format {stamp["_pgjax"]}).'
    decoder = Decoder(keep=unknown == 'keep', max_depth=max_depth, writer=writer, arrays=arrays)
    shared = stamp.get('_shared')
    try:
        if shared is not None:
            limit_expansion(shared, root, max_nodes * EXPANSION)
            for index, entry in enumerate(shared):
                decoder.table.append(_entry(decoder, entry, index))
        return decoder.value(root)
    except RecursionError:
        raise too_deep(max_depth) from None
    except Fault as fault:
        if root is not value and '_value' in value and (not fault.keys or fault.keys[-1] != '_shared'):
            fault.keys.append('_value')
        raise


def _entry(decoder: Decoder, entry: Any, index: int) -> Any:
    try:
        return decoder.value(entry)
    except Fault as fault:
        fault.keys += [index, '_shared']
        raise
