"""The patchers of this process, by globally unique names: what URIs and files can name.

A patcher gets here when the module that defines it is imported by the user's own code. Other packages announce
theirs by entry points of the group `pgjax.patchers`; these are imported by a call of `load_patchers()` and by nothing
else, so that no URI and no file can make Python import anything.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.metadata
import threading
from typing import Any

from pgjax._errors import ClassDefinitionError, UriError, shorten

_LOCK = threading.Lock()
_PATCHERS: dict[str, type] = {}
ENTRY_POINTS = 'pgjax.patchers'


@dataclasses.dataclass(frozen=True, slots=True)
class PatcherInfo:
    """What a user wants to know of a patcher.

    Attributes:
      name: its name in URIs.
      doc: the first line of its docstring.
      arguments: by name, what each takes and its default, in words.
      target: what it applies to, in words.
      module: where it is defined.
    """

    name: str
    doc: str
    arguments: dict[str, str]
    target: str
    module: str

    def __str__(self) -> str:
        signature = ', '.join(f'{name}: {text}' for name, text in self.arguments.items())
        return f'{self.name}({signature})' + (f'\n    {self.doc}' if self.doc else '')


def check_name(name: str, function: Any) -> bool:
    """Whether a new patcher replaces one of the same name: a notebook cell or function body that runs again.

    Raises:
      ClassDefinitionError: the name belongs to another patcher.
    """
    other = _PATCHERS.get(name)
    if other is None:
        return False
    again = '<locals>' in function.__qualname__ or function.__module__ == '__main__'
    same_place = (other.__module__, other.__qualname__) == (function.__module__, function.__qualname__)
    if not (again and same_place):
        raise ClassDefinitionError(
            f'The patcher name {name!r} is taken by {other.__module__}.{other.__qualname__}; this one is '
            f"{function.__module__}.{function.__qualname__}. Names are global: @pg.patcher(name='team.{name}')."
        )
    return True


def register(name: str, cls: type) -> None:
    """Lets URIs name a patcher whose name has been checked."""
    with _LOCK:
        _PATCHERS[name] = cls


def find(name: str) -> type:
    """The patcher of a name.

    Raises:
      UriError: there is none; the message has the closest names.
    """
    cls = _PATCHERS.get(name)
    if cls is None:
        raise UriError(
            f'No patcher is named {shorten(name)!r}. {_closest(name)} Import the module that defines it, or call '
            'pg.load_patchers() for those of installed packages.'
        )
    return cls


def _closest(name: str) -> str:
    """A hint at names that differ in case, in the namespace, or by a few letters."""
    lowered = {known.lower(): known for known in sorted(_PATCHERS)}
    last = {known.rpartition('.')[2]: known for known in lowered}
    wanted = shorten(name).lower()
    near = difflib.get_close_matches(wanted, lowered, cutoff=0.5)
    near += [last[end] for end in difflib.get_close_matches(wanted.rpartition('.')[2], last) if last[end] not in near]
    if near:
        return f'Did you mean {" or ".join(repr(lowered[known]) for known in near[:3])}?'
    some = [shorten(known, 40) for known in list(lowered.values())[:5]]
    return f'There are {", ".join(some)}, ....' if some else 'There are none yet.'


def patchers(prefix: str = '') -> dict[str, PatcherInfo]:
    """The patchers that can be named, with their documentation and arguments.

    Args:
      prefix: only names that start with it: `pg.patchers('vision.')`.

    Returns:
      By name, in alphabetical order; each prints as its signature and first line.

    >>> import pgjax as pg
    >>> @pg.patcher(name='doc.train_longer')
    ... def train_longer(exp, times: int = 2):
    ...   '''Multiplies the number of steps.'''
    ...   return {'steps': exp.steps * times}
    >>> print(pg.patchers('doc.')['doc.train_longer'])
    doc.train_longer(times: int = 2)
        Multiplies the number of steps.
    """
    return {name: cls._info() for name, cls in sorted(_PATCHERS.items()) if name.startswith(prefix)}  # type: ignore[attr-defined]


def load_patchers() -> list[str]:
    """Imports the patchers that installed packages announce by entry points of the group `pgjax.patchers`.

    Returns:
      The names that were new, sorted.

    Raises:
      ImportError: a package that announces patchers cannot be imported; a note names it.

    >>> load_patchers()
    []
    """
    before = set(_PATCHERS)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:
            error.add_note(f'raised by the entry point {entry.name!r} = {entry.value!r} of group {ENTRY_POINTS!r}')
            raise
    return sorted(set(_PATCHERS) - before)
