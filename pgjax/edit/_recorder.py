"""Records the way that a function takes into a value: `lambda e: e.model.layers[0].units`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from pgjax._errors import PathError, show
from pgjax._keypath import Key, Path


class _Recorder:
    """Stands in for the value; remembers the keys by which it is entered, and can do nothing else."""

    __slots__ = ('__keys',)

    def __init__(self, keys: tuple[Key, ...]):
        object.__setattr__(self, '_Recorder__keys', keys)

    def __getattr__(self, name: str) -> _Recorder:
        if name.startswith('__'):  # Python asks for these by itself; none is a field
            raise AttributeError(name)
        return _Recorder((*_keys_of(self), name))

    def __getitem__(self, key: Any) -> _Recorder:
        if isinstance(key, bool) or not isinstance(key, (int, str)):
            raise PathError(f'A selector takes one part: an int or a string in the brackets, not {show(key)}.')
        return _Recorder((*_keys_of(self), key))

    def __repr__(self) -> str:
        return f'<recorder at {Path(_keys_of(self))}>'

    __hash__ = None  # type: ignore[assignment]


def _keys_of(recorder: _Recorder) -> tuple[Key, ...]:
    return object.__getattribute__(recorder, '_Recorder__keys')


def _refuse(self: _Recorder, *args: Any) -> NoReturn:
    del args
    raise PathError(
        f'The selector did more than read a part, at {str(Path(_keys_of(self))) or "the root"!r}: only attributes and '
        'indices are recorded. To change what is there: exp.at(lambda e: e.lr).modify(lambda lr: 2 * lr).'
    )


_OPERATIONS = (
    'setattr delattr setitem delitem call bool len iter contains int float index complex eq ne lt le gt ge neg pos abs '
    'invert add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow matmul rmatmul and rand '
    'or ror xor rxor lshift rlshift rshift rrshift enter exit'
)
for _name in _OPERATIONS.split():
    setattr(_Recorder, f'__{_name}__', _refuse)


def record(selector: Callable[[Any], Any]) -> Path:
    """The path that `selector` reads.

    Raises:
      PathError: it does anything but read attributes and indices, or returns something else.
    """
    result = selector(_Recorder(()))
    if not isinstance(result, _Recorder):
        raise PathError(
            f'The selector returned {show(result)} instead of a part of its argument; write lambda e: e.optimizer.lr.'
        )
    return Path(_keys_of(result))
