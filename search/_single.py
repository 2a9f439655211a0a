"""What is of one search alone: a result that was vmapped over keys, or is still being traced, has no such thing."""

from __future__ import annotations

from typing import Any

from pgjax._errors import SpaceError
from pgjax.symbolic._spec import is_traced


def require_single(values: Any, axes: int, what: str) -> None:
    """Refuses what only one finished search has, before leading axes are taken for its own.

    Args:
      values: an array of the result.
      axes: how many it has where the result is of one search.
      what: was asked for, for the message.

    Raises:
      SpaceError: the result is traced, or of several searches.
    """
    if is_traced(values):
        raise SpaceError(
            f'{what} is read on the host, and here the result is being traced by jit or vmap. Return the result and '
            'read it outside; its arrays (such as fitness) can be used here.'
        )
    extra = values.shape[: values.ndim - axes]
    if extra:
        raise SpaceError(
            f'{what} is of one search, and this result holds several, with leading axes {list(extra)}. '
            'pg.unstack(result) gives the results along the first axis, each with its own.'
        )
