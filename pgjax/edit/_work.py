"""What the engine that applies patches works on: steps that wait, values that are done, and failures that name both."""

from __future__ import annotations

import dataclasses
from typing import Any

from pgjax._errors import PgjaxError, UriError, shorten
from pgjax.symbolic import Placeholder


class PatchError(UriError):
    """A patch of a chain failed; the message has its URI, its place and what went wrong. Nothing was changed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """What a patch's `_rewrite` returns to say: this is the new value, whatever it looks like."""

    value: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A rule that waits.

    Attributes:
      rule: what to apply.
      place: ' (index 2)' where it came from a list, for messages.
      patch: the patch whose body returned the rule; None for what the user wrote.
      depth: how many patches and lists it came out of.
    """

    rule: Any
    place: str = ''
    patch: Any = None
    depth: int = 0


def failure(step: Step, error: Exception, who: str = 'Patch') -> PatchError:
    """The error that names the patch of a step; the first one to name a patch is the most precise."""
    if isinstance(error, PatchError):
        return error
    patch = step.rule if step.patch is None or hasattr(step.rule, '_uri_parts') else step.patch
    holes = [name for name, value in vars(patch).items() if isinstance(value, Placeholder)]
    hint = ''
    if holes and isinstance(error, TypeError) and not isinstance(error, PgjaxError):
        hint = f' Its argument {holes[0]} is a hole; give a hole between patches instead: pg.oneof([patch(...), ...]).'
    what = f'{type(error).__name__}: {shorten(str(error), 250)}'
    return PatchError(f'{who} {name_of(patch)}{step.place} failed: {what}{hint}')


def name_of(patch: Any) -> str:
    """A patch in a message: its URI, shortened."""
    return repr(shorten(str(patch), 120))
