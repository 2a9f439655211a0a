"""Python's own lists and dicts may contain themselves, which no walk survives: looked for before a walk begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgjax._errors import CycleError
from pgjax._keypath import format_keys
from pgjax.symbolic._nodes import iter_parts


def is_raw(value: Any) -> bool:
    """Whether `value` is a container of Python's, in which there may be a cycle; an immutable one has none."""
    return isinstance(value, (list, dict, tuple)) and not hasattr(value.__class__, '__pg_node__')


def refuse_cycles(value: Any) -> None:
    """Raises where a value contains itself; symbolic values are not looked into and cost nothing.

    Raises:
      CycleError: it does; the message names the path at which the cycle closes.
    """
    if not is_raw(value):
        return
    # The way from the root, with what is still to be seen at each step.
    above: list[tuple[Any, Any, Iterator[Any]]] = [(None, value, iter_parts(value) or iter(()))]
    on_the_way = {id(value)}
    seen: set[int] = set()  # parts known to hold no cycle: shared ones are looked at once
    while above:
        _, node, pending = above[-1]
        for key, part in pending:
            if id(part) in on_the_way:
                raise CycleError(
                    f'{format_keys((*(key for key, _, _ in above[1:]), key))}: the value contains itself, so that a '
                    'walk through it has no end. Break the cycle.'
                )
            if is_raw(part) and id(part) not in seen:
                above.append((key, part, iter_parts(part) or iter(())))
                on_the_way.add(id(part))
                break
        else:
            above.pop()
            on_the_way.discard(id(node))
            seen.add(id(node))
