"""Paths into objects: 'model.layers[0].units' <-> ('model', 'layers', 0, 'units').

A name that is an identifier prints as `.name`, an index as `[0]`, any other key in quotes: `['a.b']`.
So each leaf has one printed path, and that path parses back to it. PyGlove's unquoted `[a.b]` is read too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax

from pgjax._errors import PathError, shorten

Key = str | int


class Path(tuple[Key, ...]):
    """A way down into an object: its keys, outermost first.

    Compares and hashes as the tuple of its keys, and so not as its text (PyGlove's equals both): a rule asks
    `str(path) == 'model.units'`, or `path.key == 'units'`.

    >>> Path.parse("model.layers[0]['a.b']")
    Path("model.layers[0]['a.b']")
    >>> Path.parse('model.layers[0].units').key
    'units'
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str | Path | tuple[Key, ...] | int) -> Path:
        """Reads a path. Raises PathError with the character position where `text` is malformed."""
        if isinstance(text, Path):
            return text
        if isinstance(text, str):
            return _parse(text)
        if isinstance(text, tuple):
            return cls(text)
        if isinstance(text, int) and not isinstance(text, bool):
            return cls((text,))
        raise PathError(f'A path is a string like "model.layers[0]", not {type(text).__name__}.')

    @property
    def key(self) -> Key | None:
        """The last key, or None at the root."""
        return self[-1] if self else None

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, outermost first."""
        return tuple(self)

    @property
    def parent(self) -> Path:
        """The path without its last key; the root is its own parent."""
        return Path(self[:-1])

    def child(self, key: Key) -> Path:
        """The path one level further down."""
        return Path((*self, key))

    def startswith(self, prefix: str | Path) -> bool:
        """Whether this path leads to, or below, `prefix`."""
        keys = Path.parse(prefix)
        return self[: len(keys)] == keys

    def endswith(self, suffix: str | Path) -> bool:
        """Whether the last keys of this path are those of `suffix`."""
        keys = Path.parse(suffix)
        return not keys or self[-len(keys) :] == keys

    def __str__(self) -> str:
        return format_keys(self)

    def __repr__(self) -> str:
        return f'Path({str(self)!r})'

    def __reduce__(self) -> Any:
        return (Path, (tuple(self),))


def format_keys(keys: tuple[Key, ...]) -> str:
    """The one printed form of a path's keys."""
    return ''.join(map(label_of, keys)).removeprefix('.')


def label_of(key: Key) -> str:
    """A key as it prints after others: '.name', '[0]', "['a.b']"."""
    return f'.{key}' if isinstance(key, str) and key.isidentifier() else f'[{key!r}]'


def to_jax_keys(keys: tuple[Key, ...]) -> tuple[Any, ...]:
    """The same path as `jax.tree_util` writes it."""
    return tuple(
        jax.tree_util.SequenceKey(key) if isinstance(key, int) else jax.tree_util.GetAttrKey(key) for key in keys
    )


def from_jax_keys(entries: tuple[Any, ...]) -> Path:
    """The path that `jax.tree_util.tree_flatten_with_path` names by `entries`."""
    keys: list[Key] = []
    for entry in entries:
        for attribute in ('name', 'idx', 'key'):
            if hasattr(entry, attribute):
                keys.append(getattr(entry, attribute))
                break
        else:
            keys.append(str(entry))
    return Path(keys)


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> Path:
    return Path(_keys(text))


def _keys(text: str) -> Iterator[Key]:
    position = 0
    if text.startswith('.'):
        raise _malformed(text, 0, 'leading dot')
    while position < len(text):
        if text[position] == '[':
            key, position = _bracket(text, position)
            yield key
        else:
            end = position
            while end < len(text) and text[end] not in '.[]':
                end += 1
            if end == position:
                raise _malformed(text, position, 'unmatched ]' if text[position] == ']' else 'empty segment')
            yield text[position:end]
            position = end
        if position < len(text):
            if text[position] == ']':
                raise _malformed(text, position, 'unmatched ]')
            if text[position] == '.':
                position += 1
                if position == len(text):
                    raise _malformed(text, position - 1, 'trailing dot')
                if text[position] in '.[':
                    raise _malformed(text, position, 'empty segment')


def _bracket(text: str, start: int) -> tuple[Key, int]:
    """The key between `[` at `start` and its `]`, and the position after it."""
    inside = start + 1
    if text[inside : inside + 1] in ("'", '"'):
        end = _closing_quote(text, inside)
        if text[end + 1 : end + 2] != ']':
            raise _malformed(text, end + 1, 'expected ] after a quoted key')
        return _unescape(text, inside, end), end + 2
    end = text.find(']', inside)
    if end < 0:
        raise _malformed(text, start, 'unclosed [')
    body = text[inside:end]
    if '[' in body:
        raise _malformed(text, inside + body.index('['), 'nested brackets')
    if not body:
        raise _malformed(text, inside, 'empty brackets')
    digits = body.removeprefix('-')
    if digits.isascii() and digits.isdigit() and len(digits) < 20:
        return int(body), end + 1
    if body[0].isdigit() or (body[0] == '-' and body[1:2].isdigit()):
        raise _malformed(text, inside, f'non-integer index {shorten(body, 20)!r}')
    return body, end + 1


def _unescape(text: str, start: int, end: int) -> str:
    """The string that Python's repr wrote between the quotes at `start` and `end`; nothing is compiled."""
    body = text[start + 1 : end]
    try:
        return body.encode('latin-1', 'backslashreplace').decode('unicode_escape') if '\\' in body else body
    except UnicodeDecodeError as error:
        raise _malformed(text, start, 'bad escape in a quoted key') from error


def _closing_quote(text: str, start: int) -> int:
    position = start + 1
    while position < len(text):
        if text[position] == '\\':
            position += 2
        elif text[position] == text[start]:
            return position
        else:
            position += 1
    raise _malformed(text, start, 'unclosed quote')


def _malformed(text: str, position: int, what: str) -> PathError:
    return PathError(
        f'Malformed path {shorten(text)!r}: {what} at character position {position}. '
        'Write paths like "model.layers[0].units" and quote odd keys: "a[\'b.c\']".'
    )
