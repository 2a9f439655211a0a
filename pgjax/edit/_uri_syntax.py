"""The grammar of patch URIs, without a word of what the names and values mean.

    chain    = call *(">>" call)                  scale_width?scale=0.5 >> change_dataset?name=imagenet
    call     = name ["?" argument *("&" argument)]
    name     = identifier *("." identifier)       ASCII letters, digits and _, case-sensitive
    argument = [identifier "="] value             positional ones first
    value    = piece *(":" piece)                 several pieces are a list, where the argument is one
    piece    = quoted | plain
    quoted   = '"' ... '"' | "'" ... "'"          always a string; may hold every character but % and its quote
    plain    = any characters but % & # : and >>

%XX in a piece is a byte of UTF-8, as in other URIs. + is itself, and no other escape exists.
"""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import unquote_to_bytes

from pgjax._errors import UriError, shorten

MAX_URI = 65_536  # characters

_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*')
_KEY = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)=')
_PLAIN = re.compile(r'(?:[^&#:>]|>(?!>))*')
_CHAIN = re.compile(r'>> *')
_BEFORE_CHAIN = re.compile(r' +(?=>>)')
_BAD_PERCENT = re.compile(r'%(?![0-9A-Fa-f]{2})')


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """One string of a value, decoded."""

    text: str
    is_quoted: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """A value as it was written, and its pieces."""

    raw: str
    pieces: tuple[Piece, ...]

    @property
    def whole(self) -> Piece:
        """The value as one string: colons that separate nothing are part of it."""
        return self.pieces[0] if len(self.pieces) == 1 else Piece(_unquote(self.raw), False)


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A patcher's name and its arguments: (key or None, value)."""

    name: str
    arguments: tuple[tuple[str | None, Value], ...]


def _unquote(text: str) -> str:
    """%XX decoded, strictly; lone surrogates survive, since a Python string may hold them."""
    return unquote_to_bytes(text.encode('utf-8', 'surrogatepass')).decode('utf-8', 'surrogatepass')


def is_name(text: str) -> bool:
    """Whether a patcher may have this name."""
    return _NAME.fullmatch(text) is not None


def read_chain(text: str) -> list[Call]:
    """The calls in a URI.

    Raises:
      UriError: it is malformed; the message has the character position.
    """
    if len(text) > MAX_URI:
        raise UriError(f'A patch URI has at most {MAX_URI:,} characters, this one has {len(text):,}.')
    reader = _Reader(text)
    calls = [reader.call()]
    while reader.position < len(text):
        reader.skip(_CHAIN)  # a call ends before >> or at the end of the text
        calls.append(reader.call())
    return calls


class _Reader:
    """A text and how far it has been read."""

    def __init__(self, text: str):
        self.text, self.position = text, 0

    def call(self) -> Call:
        match = _NAME.match(self.text, self.position)
        if match is None:
            raise self._error('expected the name of a patcher', self._found())
        self.position = match.end()
        arguments: list[tuple[str | None, Value]] = []
        keys: set[str] = set()
        if self._at('?'):
            while True:  # from ? or & to the next & or the end of the call
                self.position += 1
                arguments.append(self._argument(match[0], keys))
                if not self._at('&'):
                    break
        else:
            self.skip(_BEFORE_CHAIN)
        if self.position < len(self.text) and not self._at('>>'):
            raise self._error(f'unexpected {self._found()} after {shorten(match[0], 40)!r}', 'use ? before arguments')
        return Call(match[0], tuple(arguments))

    def skip(self, pattern: re.Pattern[str]) -> None:
        """Goes past what `pattern` matches here, if anything."""
        match = pattern.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def _argument(self, name: str, keys: set[str]) -> tuple[str | None, Value]:
        start = self.position
        match = _KEY.match(self.text, start)
        key = match[1] if match else None
        if match:
            self.position = match.end()
        value = self._value()
        label = f'{shorten(name, 60)}: argument {shorten(key, 40)!r}' if key else shorten(name, 60)
        if not value.raw:
            what = f'{label} has an empty value' if key else f'{label}: empty argument'
            raise self._error(what, 'write "" for an empty string', start)
        if key is None and keys:
            what = f'{label}: positional argument {shorten(value.raw, 40)!r} after a keyword argument'
            raise self._error(what, 'name it or move it to the front', start)
        if key in keys:
            raise self._error(f'{label} is given twice', 'keep one', start)
        if key is not None:
            keys.add(key)
        return key, value

    def _value(self) -> Value:
        start = self.position
        pieces: list[Piece] = []
        while True:
            quote = self.text[self.position : self.position + 1]
            pieces.append(self._quoted(quote) if quote in ('"', "'") else self._plain())
            if not self._at(':'):
                break
            self.position += 1
        if self._at('#'):
            raise self._error("unexpected '#': patch URIs have no fragments", 'write %23 or quote the value')
        return Value(self.text[start : self.position].rstrip(' ' if self._at('>>') else ''), tuple(pieces))

    def _plain(self) -> Piece:
        match = _PLAIN.match(self.text, self.position)
        assert match is not None  # it matches the empty string
        start, self.position = self.position, match.end()
        return Piece(self._decode(match[0].rstrip(' ') if self._at('>>') else match[0], start), False)

    def _quoted(self, quote: str) -> Piece:
        start = self.position + 1
        end = self.text.find(quote, start)
        if end < 0:
            raise self._error(f'unclosed quote {quote}', f'close it, or write {"%22" if quote == chr(34) else "%27"}')
        self.position = end + 1
        self.skip(_BEFORE_CHAIN)
        if self.position < len(self.text) and not any(map(self._at, ('&', ':', '#', '>>'))):
            raise self._error(f'unexpected {self._found()} after a closing quote', 'quote the whole value')
        return Piece(self._decode(self.text[start:end], start), True)

    def _decode(self, text: str, start: int) -> str:
        bad = _BAD_PERCENT.search(text)
        if bad is not None:
            raise self._error('% without two hexadecimal digits', 'write %25', start + bad.start())
        if '%' not in text:
            return text
        try:
            return _unquote(text)
        except UnicodeDecodeError:
            raise self._error('the %XX bytes are not UTF-8', 'write the character itself', start) from None

    def _at(self, token: str) -> bool:
        return self.text.startswith(token, self.position)

    def _found(self) -> str:
        return repr(self.text[self.position]) if self.position < len(self.text) else 'the end'

    def _error(self, what: str, cure: str, position: int | None = None) -> UriError:
        position = self.position if position is None else position
        shown = shorten(self.text, 120)
        return UriError(f'Malformed patch URI {shown!r}: {what}, at character position {position}; {cure}.')
