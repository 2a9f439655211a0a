"""The steps of a lens: named keys, every part, any depth, parts that hold a condition; and the text for them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from pgjax._errors import FieldTypeError, PathError, shorten
from pgjax._keypath import Path, format_keys
from pgjax.edit._recorder import record
from pgjax.symbolic import Object
from pgjax.symbolic._query import takes_parent


class Each(Object, type_name='pgjax.lens.Each'):
    """`*`: every part, one level down."""


class Deep(Object, type_name='pgjax.lens.Deep'):
    """`**`: any number of levels down; as the last step, the leaves."""


class Anywhere(Object, type_name='pgjax.lens.Anywhere'):
    """Base of steps that look at every part at any depth, the value itself included."""

    def holds(self, value: Any, parent: Any) -> bool:
        """Whether this part is meant."""
        raise NotImplementedError


class Of(Anywhere, type_name='pgjax.lens.Of'):
    """Parts that are instances of a class."""

    cls: type

    def holds(self, value: Any, parent: Any) -> bool:
        """Whether `value` is an instance."""
        del parent
        return isinstance(value, self.cls)


class Where(Anywhere, type_name='pgjax.lens.Where'):
    """Parts for which `where(value)` or `where(value, parent)` is true."""

    where: Callable[..., Any]

    def holds(self, value: Any, parent: Any) -> bool:
        """Whether the function says yes."""
        return bool(self.where(value, parent) if takes_parent(self.where) else self.where(value))


Step = str | int | Each | Deep | Anywhere

# A quoted key is one token, so that the star in ['*'] is a name; a lone star between separators is a step.
_TOKEN = re.compile(
    r"""\[(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\]"""
    r'|(?P<star>\[\*{1,2}\]|(?:(?<=\.)|\A)\*{1,2}(?=\.|\[|\Z))'
    r'|(?P<stray>\*)',
    re.DOTALL,
)


def to_steps(selector: Any) -> tuple[Step, ...]:
    """The steps that a selector means.

    Raises:
      PathError: a text is malformed.
      FieldTypeError: there is no such kind of selector.
    """
    if isinstance(selector, str) and not isinstance(selector, Path):
        return _read(selector)
    if isinstance(selector, (Path, tuple, int)) and not isinstance(selector, bool):
        return tuple(Path.parse(selector))
    if isinstance(selector, type):
        return (Of(selector),)
    if isinstance(selector, (Each, Deep, Anywhere)):
        return (selector,)
    if callable(selector):
        return tuple(record(selector))
    raise FieldTypeError(
        f"A lens selects by a path ('layers[*].units'), a class, `where=`, or a function like lambda e: e.lr; "
        f'got {type(selector).__name__}.'
    )


def to_selectors(steps: tuple[Step, ...]) -> Iterator[Any]:
    """The inverse of `to_steps`: texts for runs of keys and stars, classes, and steps that have no shorter form."""
    text = ''
    for step in steps:
        if isinstance(step, Anywhere):
            if text:
                yield text
            text = ''
            yield step.cls if isinstance(step, Of) else step
        else:
            text += _write(step, bool(text))
    if text:
        yield text


def _write(step: Any, is_inside: bool) -> str:
    dot = '.' if is_inside else ''
    if isinstance(step, (Each, Deep)):
        return dot + ('*' if isinstance(step, Each) else '**')
    key = format_keys((step,))
    return key if key.startswith('[') else dot + key


@functools.lru_cache(maxsize=1024)
def _read(text: str) -> tuple[Step, ...]:
    return tuple(_steps_of(text))


def _steps_of(text: str) -> Iterator[Step]:
    start = 0
    for match in _TOKEN.finditer(text):
        if match['stray']:
            raise PathError(
                f'Malformed lens {shorten(text)!r}: * at character position {match.start()} is part of a name. '
                "Write * (one level) or ** (any depth) alone between dots; quote a key with a star: ['a*']."
            )
        if match['star']:
            yield from _keys(text[start : match.start()], start > 0, not match['star'].startswith('['))
            yield Deep() if '**' in match['star'] else Each()
            start = match.end()
    yield from _keys(text[start:], start > 0, False)


def _keys(text: str, is_after_star: bool, is_before_star: bool) -> Path:
    """The keys of a text without stars; a dot joins it to the stars around it."""
    if is_after_star and (is_before_star or text != '.'):
        text = text.removeprefix('.')
    return Path.parse(text.removesuffix('.') if is_before_star else text)
