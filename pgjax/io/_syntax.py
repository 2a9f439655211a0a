"""Strict JSON text: what the standard library lets pass is refused, with its place in the document.

Refused are duplicate keys, NaN and Infinity, numbers beyond the float range, ints of too many digits, and
documents that are too long, too deep or of too many values. Reading is one pass of the C scanner; only where
that pass fails is the text read again, to find out where.
"""

from __future__ import annotations

import json
import math
import re
import sys
from typing import Any, NoReturn

from pgjax._errors import DecodeError, LimitError, PgjaxError, shorten, show

MAX_BYTES = 1 << 26  # of a document
MAX_NODES = 1_000_000  # values in a document
MAX_DEPTH = 200  # levels of nesting in a document; our own writer stays below 100 whatever it writes
MAX_DIGITS = 4300  # of an int
ATOMS = frozenset({str, int, float, bool, type(None)})
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


class Fault(Exception):
    """Something wrong in a document, on its way up to where the path is known.

    Attributes:
      error: what will be raised.
      text: what the message says after the path; begins with '.' or '[' to go on with the path.
      keys: the way to it, innermost first; each level that it passes adds its own.
    """

    def __init__(self, error: type[PgjaxError], text: str, *keys: str | int):
        super().__init__(text)
        self.error, self.text = error, text
        self.keys: list[str | int] = list(keys)

    def located(self, source: str = '') -> PgjaxError:
        """The error to raise, with the JSON path and the file in its message."""
        head = f'{shorten(source, 160)}: {json_path(self.keys[::-1])}' if source else json_path(self.keys[::-1])
        return self.error(head + (self.text if self.text.startswith(('.', '[')) else f': {self.text}'))


def json_path(keys: list[str | int]) -> str:
    """The printed path of a value in a document.

    >>> json_path(['model', 'layers', 2, 'a b'])
    "$.model.layers[2]['a b']"
    """
    parts = [f'.{k}' if isinstance(k, str) and k.isidentifier() and len(k) < 80 else f'[{show(k)}]' for k in keys]
    return shorten('$' + ''.join(parts), 160)


def parse(text: str | bytes, max_bytes: int, max_nodes: int, max_depth: int, source: str = '') -> Any:
    """The value of strict JSON text.

    Args:
      text: the document; bytes are UTF-8.
      max_bytes: longest document.
      max_nodes: most values in it.
      max_depth: checked here only where the C scanner could overflow the stack.
      source: the file it came from, for messages.

    Raises:
      DecodeError: malformed, a duplicate key, NaN or a number out of range.
      LimitError: too long, too many values, too deep, or an int of too many digits.
    """
    text = _decode_utf8(text, max_bytes, source)
    _limit_nodes(text, max_nodes, source)
    if sys.getrecursionlimit() > 5000:  # the scanner of Python 3.11 trusts this number more than the C stack
        _limit_depth(text, max_depth, source)
    try:
        try:
            if 0 < sys.get_int_max_str_digits() <= MAX_DIGITS:
                return _STRICT.decode(text)
        except json.JSONDecodeError:
            raise
        except (_BadError, ValueError):  # ValueError: an int of too many digits
            pass
        return _diagnosed(_DIAGNOSTIC.decode(text), source)
    except json.JSONDecodeError as error:
        raise _syntax_error(text, error, source) from None
    except RecursionError:
        raise too_deep(max_depth).located(source) from None


def _decode_utf8(text: str | bytes, max_bytes: int, source: str) -> str:
    if not isinstance(text, (str, bytes)):
        raise DecodeError(f'A document is a string or bytes of JSON, not {type(text).__name__}; see also pg.from_json.')
    if len(text) > max_bytes:
        size = f'size {len(text)} is over the limit of {max_bytes} bytes. If you trust it, raise it: max_bytes=...'
        raise Fault(LimitError, size).located(source)
    if isinstance(text, str):
        return text
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise Fault(DecodeError, f'not UTF-8 at byte offset {error.start}.').located(source) from None


def _limit_nodes(text: str, most: int, source: str) -> None:
    """Counts values before any memory is spent on them: separators, then those outside strings."""
    if text.count(',') + text.count('[') + text.count('{') < most:
        return
    count = start = 0
    piece = 1 << 20
    while start < len(text):  # piece by piece, so that counting takes no memory either
        end = min(start + piece, len(text))
        outside, quote, cut = _STRING.sub('', text[start:end]).partition('"')  # `cut`: of a string that goes on
        count += outside.count(',') + outside.count('[') + outside.count('{')
        if count >= most:
            raise too_many(most).located(source)
        if quote and end == len(text):
            return  # malformed, as the parser will say
        piece = piece if end - len(quote + cut) > start else 2 * piece
        start = end - len(quote + cut)


def too_many(most: int) -> Fault:
    """The fault of a document of too many values."""
    text = f'its size is over the limit of {most} values. If you trust it, raise it: max_nodes=...'
    return Fault(LimitError, text)


def too_deep(most: int) -> Fault:
    """The fault of a document nested too deeply."""
    text = f'nested too deeply: the limit is {most} levels, and what the stack holds. Raise it: max_depth=...'
    return Fault(LimitError, text)


def _limit_depth(text: str, most: int, source: str) -> None:
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += {'[': 1, '{': 1, ']': -1, '}': -1}.get(found[0], 0)
        if depth > most:
            raise too_deep(most).located(source)


def _syntax_error(text: str, error: json.JSONDecodeError, source: str) -> PgjaxError:
    offset = len(text[: error.pos].encode('utf-8', 'surrogatepass'))
    what = 'the document is empty' if not text.strip() else error.msg
    where = f'line {error.lineno} column {error.colno} (byte offset {offset})'
    near = f' Near: {show(text[max(0, error.pos - 20) : error.pos + 20])}.' if text.strip() else ''
    return Fault(DecodeError, f'no JSON: {what} at {where}.{near}').located(source)


class _BadError(Exception):
    """Raised by the hooks of the fast pass."""


def _refuse(token: str) -> NoReturn:
    raise _BadError(token)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _BadError
    return made


def _finite(token: str) -> float:
    value = float(token)
    if value - value != 0.0:
        raise _BadError(token)
    return value


_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)


def _diagnosed(root: Any, source: str) -> Any:
    """What the diagnostic pass read, unless something in it is wrong: then the first such place is raised."""
    pending: list[tuple[Any, tuple[Any, ...]]] = [(root, ())]
    while pending:
        value, keys = pending.pop()
        if isinstance(value, Fault):
            raise with_keys(value, keys).located(source)
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        pending.extend([(item, (key, keys)) for key, item in items][::-1])
    return root


def _mark_duplicates(pairs: list[tuple[str, Any]]) -> Any:
    made: dict[str, Any] = {}
    for key, value in pairs:
        duplicate = Fault(DecodeError, f'duplicate key {shorten(key)}: each key of an object may occur once.')
        made[key] = duplicate if key in made else value
    return made


def _mark_float(token: str) -> Any:
    value = float(token)
    if math.isfinite(value):
        return value
    return Fault(DecodeError, f'the number {shorten(token)} is outside the float range (about +-1.8e308).')


def _mark_int(token: str) -> Any:
    digits = len(token.removeprefix('-'))
    if digits <= MAX_DIGITS and (digits <= sys.get_int_max_str_digits() or not sys.get_int_max_str_digits()):
        return int(token)
    return Fault(LimitError, f'an int of {digits} digits; the limit is {MAX_DIGITS} digits.')


def _mark_constant(token: str) -> Any:
    return Fault(DecodeError, f'{token} is no JSON; pgjax writes {{"_float": ...}} for it.')


_DIAGNOSTIC = json.JSONDecoder(
    object_pairs_hook=_mark_duplicates, parse_float=_mark_float, parse_int=_mark_int, parse_constant=_mark_constant
)


def check_plain(root: Any, max_nodes: int, max_depth: int) -> None:
    """Refuses a Python value that strict JSON text could not have been read as.

    Raises:
      Fault: something in it is no JSON, or it is too large or too deep (a cycle is endlessly deep).
    """
    count = 1
    pending: list[tuple[Any, int, tuple[Any, ...]]] = [(root, 1, ())]
    while pending:
        value, depth, keys = pending.pop()
        cls = value.__class__
        if cls is dict or cls is list:
            if depth > max_depth:
                raise with_keys(too_deep(max_depth), keys)
            count += len(value)
            if count > max_nodes:
                raise too_many(max_nodes)
            for key, item in value.items() if cls is dict else enumerate(value):
                if cls is dict and key.__class__ is not str:
                    raise with_keys(Fault(DecodeError, f'a key is {show(key)}, which is no string.'), keys)
                kind = item.__class__
                if kind not in ATOMS:
                    pending.append((item, depth + 1, (key, keys)))
                elif kind is float and item - item != 0.0:
                    raise with_keys(_mark_constant(repr(item)), (key, keys))
        elif cls not in ATOMS:
            raise with_keys(Fault(DecodeError, f'{show(value)} ({cls.__name__}) is no JSON value.'), keys)


def with_keys(fault: Fault, keys: tuple[Any, ...]) -> Fault:
    """`fault` at the place that `keys` lead to: a chain of (key, chain of the parent)."""
    while keys:
        key, keys = keys
        fault.keys.append(key)
    return fault
