"""What settings of runs must be, said where they come in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pgjax._errors import ControllerError, show
from pgjax.symbolic._spec import is_traced

_MAX_SEED = 2**32


def is_whole(value: Any) -> bool:
    """Whether it is an int, and not a bool, which counts nothing."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def require_count(value: Any, name: str, least: int = 0) -> None:
    """Raises ControllerError unless `value` is an int of at least `least`."""
    if is_traced(value):
        raise ControllerError(
            f'{name} must be an int that is known when the program is compiled, and is being traced. '
            'Give it as it is: jax.jit(..., static_argnums=...), or jax.vmap over the other arguments.'
        )
    if not is_whole(value) or value < least:
        raise ControllerError(f'{name} must be an int of at least {least}, got {show(value)}.')


def require_seed(value: Any) -> None:
    """Raises ControllerError unless `value` is an int that keys are made of."""
    if not is_whole(value) or not 0 <= value < _MAX_SEED:
        raise ControllerError(f'seed must be an int from 0 to 2**32 - 1, got {show(value)}.')


def require_seconds(value: Any, name: str) -> None:
    """Raises ControllerError unless `value` is a number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value >= 0:
        raise ControllerError(f'{name} must be a number of seconds of at least 0, got {show(value)}.')


def require_loggers(loggers: Any) -> None:
    """Raises ControllerError unless these are loggers, by their methods."""
    for logger in loggers if isinstance(loggers, Iterable) else [loggers]:
        missing = [name for name in ('start', 'update', 'finish') if not callable(getattr(logger, name, None))]
        if missing or not isinstance(loggers, Iterable):
            raise ControllerError(
                f'progress is True, False or a logger, and loggers is a list of loggers: objects with start, update '
                f'and finish. Got {type(logger).__name__} {show(logger)}'
                + (f' without {", ".join(missing)}.' if missing else '. Put it in a list.')
            )
