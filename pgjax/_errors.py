"""Every error a user can cause, and how a message names what went wrong.

Each class derives from `PgjaxError` and from the built-in that fits, so that code which does not know
pgjax can still catch it. A message says the path, what came, what would do and the likely cure.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

MAX_MESSAGE = 500  # characters; a longer text is cut in the middle
MAX_VALUE = 80  # characters of a value shown in a message


class PgjaxError(Exception):
    """Base of every error that pgjax raises on bad input."""

    def __init__(self, message: str = '', *args: Any):
        super().__init__(shorten(message, MAX_MESSAGE) if isinstance(message, str) else message, *args)

    def __str__(self) -> str:  # KeyError's and OSError's own forms would hide the message
        return str(self.args[0]) if self.args else ''


class ClassDefinitionError(PgjaxError, TypeError):
    """A symbolic class cannot be defined as written."""


class FieldTypeError(PgjaxError, TypeError):
    """A value does not have the type that its field declares."""


class FieldValueError(PgjaxError, ValueError):
    """A value has the right type and breaks a constraint of its field."""


class MissingFieldError(PgjaxError, TypeError):
    """A required field was not given."""


class UnknownFieldError(PgjaxError, TypeError):
    """A name is not a field of the class."""


class PathError(PgjaxError, LookupError):
    """A path is malformed or does not lead to a part of the object."""


class NoChangeError(PgjaxError, ValueError):
    """An edit was asked for and nothing would change."""


class FrozenError(PgjaxError, AttributeError):
    """Somebody tried to change an immutable object in place."""


class PlaceholderError(PgjaxError, RuntimeError):
    """State of an object was used while parts of it are still open (holes, missing or inherited values)."""


class CycleError(PgjaxError, ValueError):
    """A value contains itself."""


class DecodeError(PgjaxError, ValueError):
    """A document cannot be read."""


class UnknownTypeError(DecodeError):
    """A document names a type or function that nobody registered."""


class LimitError(DecodeError):
    """A document is larger or deeper than the stated limits."""


class EncodeError(PgjaxError, TypeError):
    """A value has no form in a document."""


class UriError(PgjaxError, ValueError):
    """A patch URI is malformed, or names an unknown patcher or argument."""


class SpaceError(PgjaxError, ValueError):
    """A search space, or a hole in one, is not well formed or cannot do what was asked."""


class DnaError(PgjaxError, ValueError):
    """A DNA does not fit its space."""


class FitnessError(PgjaxError, ValueError):
    """An evaluator returned something that is not a metric."""


class ControllerError(PgjaxError, ValueError):
    """A controller's settings are out of range, or it cannot handle the space."""


class StudyNotFoundError(PgjaxError, FileNotFoundError):
    """There is no study at this path."""


class StudyExistsError(PgjaxError, FileExistsError):
    """The path holds something that is not this study."""


class StudyLockedError(PgjaxError, BlockingIOError):
    """Another process is writing this study."""


class StudyCorruptError(PgjaxError, ValueError):
    """A stored study is damaged."""


class StudyVersionError(PgjaxError, ValueError):
    """A file was written by a version that this one cannot read."""


class StudyMismatchError(PgjaxError, ValueError):
    """A stored study is not the one described by the arguments."""


class StudyWriteError(PgjaxError, OSError):
    """A study or file cannot be written; what was saved before is intact."""


class TrialStateError(PgjaxError, RuntimeError):
    """A trial was completed twice, or never proposed."""


class EvaluatorError(PgjaxError, RuntimeError):
    """The user's evaluator failed."""


class TrialTimeoutError(PgjaxError, TimeoutError):
    """A trial took longer than it was given."""


class WorkerLostError(PgjaxError, RuntimeError):
    """A worker process died."""


class TopologyError(PgjaxError, RuntimeError):
    """Devices or processes do not fit what was asked."""


class PeerLostError(PgjaxError, RuntimeError):
    """Another process of the same computation died."""


class MissingExtraError(PgjaxError, ImportError):
    """An optional dependency is not installed."""


def shorten(text: str, limit: int = MAX_VALUE) -> str:
    """`text` with its middle cut out where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    head = (limit - 3) * 2 // 3
    return f'{text[:head]}...{text[len(text) - (limit - 3 - head) :]}'


# By a class's __repr__: what writes about as many characters of it as asked for, however large the value.
SHORT_REPRS: dict[Any, Callable[[Any, int], str]] = {}
_MOST_WRITTEN = 10_000  # characters of a value that is shown by its two ends


class _Repr(reprlib.Repr):
    def repr_instance(self, x: Any, level: int) -> str:
        write = SHORT_REPRS.get(type(x).__repr__)
        return super().repr_instance(x, level) if write is None else shorten(write(x, _MOST_WRITTEN))


_REPR = _Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = MAX_VALUE
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 8
_REPR.maxlevel = 3


def show(value: Any) -> str:
    """`value` as it appears in a message: its repr, at most 80 characters, and never an exception."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f'<int of {value.bit_length()} bits>'  # repr refuses integers of many digits
    try:
        return shorten(_REPR.repr(value))
    except Exception:  # a user's __repr__ may raise anything; a message must still be written
        return f'<{type(value).__name__}>'


def note_place(error: BaseException, function: str, path: object) -> None:
    """Notes on an error of a user's function at which part of a value it was called; `function` says which one."""
    error.add_note(f'raised by {function} at {str(path) or "the root"}')


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """' Did you mean ...?' when one of `names` is close to `name`, else an empty string.

    >>> did_you_mean('lerning_rate', ['learning_rate', 'steps'])
    " Did you mean 'learning_rate'?"
    """
    near = difflib.get_close_matches(str(name), [str(n) for n in names], n=1)
    return f' Did you mean {near[0]!r}?' if near else ''


def missing_extra(feature: str, package: str, extra: str) -> MissingExtraError:
    """The error for an optional dependency that is not there, with the command that installs it."""
    return MissingExtraError(
        f"{feature} needs {package}, which is not installed. Type: pip install 'pgjax-search[{extra}]' "
        f"(from a checkout: pip install -e '.[{extra}]')."
    )
