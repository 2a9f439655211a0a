"""Arguments of URIs as Python values, by the patcher's annotations, and back."""

from __future__ import annotations

import enum
import functools
import re
import types
import typing
from collections.abc import Callable
from typing import Any

from pgjax._errors import UriError, shorten, show
from pgjax.edit._describe import LISTS, elements_of, kind_of
from pgjax.edit._uri_syntax import Piece, Value, read_chain
from pgjax.symbolic import eq

MAX_DIGITS = 4000  # of an int; Python itself refuses to read 4,301

_INT = re.compile(r'[+-]?[0-9]+')
_FLOAT = re.compile(r'[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?')
_NOT_FINITE = {'inf', '-inf', 'nan'}
_BOOLS = {'True': True, 'true': True, 'yes': True, '1': True, 'False': False, 'false': False, 'no': False, '0': False}
_NONES = ('None', 'none')
_SAFE = re.compile(r'[A-Za-z0-9_.+/@-]+')

ReadPatch = Callable[[str], Any]


class Unreadable(Exception):
    """A value does not fit its annotation: (which element, what is wrong)."""

    def __init__(self, what: str, index: int | None = None):
        super().__init__(what)
        self.index = index


def read(value: Value, annotation: Any, read_patch: ReadPatch) -> Any:
    """The Python value that `value` means for an argument of this annotation.

    Args:
      value: as it was written.
      annotation: what the patcher declares.
      read_patch: reads the URI of a nested patch.

    Raises:
      Unreadable: it means none.
    """
    kind, arguments = kind_of(annotation)
    if kind in (typing.Union, types.UnionType):
        return _read_union(value, arguments, read_patch)
    if kind not in LISTS:
        return _read_piece(value.whole, kind, arguments, read_patch)
    if value.raw == '[]':
        return []
    elements = elements_of(annotation)
    if len(elements) > 1 and len(elements) != len(value.pieces):
        raise Unreadable(f'{len(value.pieces)} elements instead of {len(elements)}')
    items = []
    for index, piece in enumerate(value.pieces):
        element = Value(piece.text, (piece,))
        try:
            items.append(read(element, elements[index % len(elements)], read_patch))
        except Unreadable as error:
            raise Unreadable(f'{shorten(piece.text, 40)!r}: {error}', index) from None
    return items


def write(value: Any, annotation: Any, write_patch: Callable[[Any], str], read_patch: ReadPatch) -> str:
    """The canonical text of an argument: plain where that reads back as the same value, else quoted.

    Raises:
      UriError: no text means this value.
    """
    is_list = isinstance(value, (list, tuple))
    if is_list:
        elements = elements_of(annotation)
        texts = [write(v, elements[i % len(elements)], write_patch, read_patch) for i, v in enumerate(value)]
        quoted = [_quote(v) if isinstance(v, str) else text for v, text in zip(value, texts, strict=True)]
        candidates = [':'.join(texts) or '[]', ':'.join(quoted)]  # ['None'] is "None" where None is possible too
    else:
        candidates = _texts(value, write_patch)
    for text in candidates:
        ((_, token),) = read_chain(f'x?x={text}')[0].arguments
        try:
            again = read(token, annotation, read_patch)
        except Unreadable:
            continue
        if eq(again, list(value) if is_list else value, strict=True):
            return text
    raise UriError(f'{type(value).__name__} {show(value)} has no form in a URI; use repr or JSON.')


def _read_union(value: Value, options: tuple[Any, ...], read_patch: ReadPatch) -> Any:
    nones = [o for o in options if o is type(None) or o is None]
    if nones and not value.whole.is_quoted and value.whole.text in _NONES:
        return None
    rest = [o for o in options if o not in nones]
    wrong = []
    is_list = len(value.pieces) > 1 or value.raw == '[]'
    order = {True: -1 if is_list else 1}  # one piece is an element rather than a list; str accepts anything
    for option in sorted(rest, key=lambda o: 2 if kind_of(o)[0] is str else order.get(kind_of(o)[0] in LISTS, 0)):
        try:
            return read(value, option, read_patch)
        except Unreadable as error:
            wrong.append(error)
    raise wrong[0] if len(wrong) == 1 else Unreadable('it fits none of the types')


def _read_piece(piece: Piece, kind: Any, choices: tuple[Any, ...], read_patch: ReadPatch) -> Any:
    text = piece.text
    if kind is typing.Literal:
        for choice in choices:
            if (text == choice) if isinstance(choice, str) else (not piece.is_quoted and text == str(choice)):
                return choice
        raise Unreadable('no such choice')
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        if text not in kind.__members__:
            raise Unreadable('no such choice')
        return kind[text]
    if getattr(kind, '__pg_patch__', False):
        return read_patch(text)
    if kind is str:
        return text
    if kind in (Any, object):
        return text if piece.is_quoted else _guess(text)
    if kind not in _READERS:
        raise Unreadable('an argument of this type has no form in a URI; build the patch in Python')
    if piece.is_quoted:
        raise Unreadable('quotes make it a string')
    return _READERS[kind](text)


def _read_bool(text: str) -> bool:
    if text not in _BOOLS:
        raise Unreadable('write True or False')
    return _BOOLS[text]


def _read_int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise Unreadable('no int in ASCII digits')
    if len(text) > MAX_DIGITS:
        raise Unreadable(f'{len(text):,} digits; at most {MAX_DIGITS:,}')
    return int(text)


def _read_float(text: str) -> float:
    if text in _NOT_FINITE:
        return float(text)
    if not _FLOAT.fullmatch(text):
        raise Unreadable('no float in ASCII digits')
    number = float(text)
    if number in (float('inf'), float('-inf')):
        raise Unreadable('it is beyond the largest float; write inf if that is meant')
    return number


def _read_none(text: str) -> None:
    if text not in _NONES:
        raise Unreadable('write None')


_READERS: dict[Any, Callable[[str], Any]] = {
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
    type(None): _read_none,
    None: _read_none,
}


def _guess(text: str) -> Any:
    """What an unquoted text means where the argument may be anything: a literal, or else the string."""
    if text in _NONES:
        return None
    if text in ('True', 'False'):
        return text == 'True'
    for reader in (_read_int, _read_float):
        try:
            return reader(text)
        except Unreadable:
            continue
    return text


def _texts(value: Any, write_patch: Callable[[Any], str]) -> list[str]:
    """The ways to write a value that is no list, the shortest first."""
    if isinstance(value, enum.Enum):
        return [value.name]
    if isinstance(value, str):
        return [value, _quote(value)] if _SAFE.fullmatch(value) else [_quote(value)]
    if getattr(type(value), '__pg_patch__', False):
        text = write_patch(value)
        return [text, _quote(text)] if _SAFE.fullmatch(text) else [_quote(text)]
    if isinstance(value, int) and value.bit_length() > 3 * MAX_DIGITS:
        return []
    return [repr(value)] if value is None or type(value) in (bool, int, float) else []


def _quote(text: str) -> str:
    """`text` in quotes, with what cannot stand there, or cannot be seen, as %XX."""
    return f'"{"".join(map(_escape, text))}"'


@functools.lru_cache(maxsize=1024)
def _escape(character: str) -> str:
    if character not in '%"' and character.isprintable():
        return character
    return ''.join(f'%{byte:02X}' for byte in character.encode('utf-8', 'surrogatepass'))
