"""A total order of values: None, numbers, text, containers, callables, objects; each kind among its own."""

from __future__ import annotations

import functools
from typing import Any

from pgjax.symbolic._compare import eq, host_array
from pgjax.symbolic._cycles import refuse_cycles
from pgjax.symbolic._nodes import is_list
from pgjax.symbolic._spec import is_array


def ne(a: Any, b: Any) -> bool:
    """Whether two values differ by content: the opposite of `pg.eq`.

    >>> import pgjax as pg
    >>> pg.ne([1, 2], [1, 3])
    True
    """
    return not eq(a, b)


def lt(a: Any, b: Any) -> bool:
    """Whether `a` comes before `b` in an order of all values, which sorts what Python cannot compare.

    None, bools and numbers, strings, bytes, lists, tuples, dicts, arrays, classes and functions, objects; NaN comes
    after the numbers; objects by class, then field by field.

    Raises:
      TypeError: a traced array would have to be looked into.

    >>> import pgjax as pg
    >>> pg.lt(None, 1), pg.lt(2, 'a'), pg.lt([1, 2], [1, 3])
    (True, True, True)
    """
    return compare(a, b) < 0


def gt(a: Any, b: Any) -> bool:
    """Whether `a` comes after `b` in the order of `pg.lt`.

    >>> import pgjax as pg
    >>> pg.gt('a', 2)
    True
    """
    return compare(a, b) > 0


def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1 as `a` comes before, with or after `b`; as a sort key, `functools.cmp_to_key(compare)`."""
    refuse_cycles(a)
    pending = [(a, b)]
    while pending:
        a, b = pending.pop()
        if a is b:
            continue
        rank_a, rank_b = _rank(a), _rank(b)
        if rank_a != rank_b:
            return -1 if rank_a < rank_b else 1
        parts_a, parts_b = _parts(a), _parts(b)
        if parts_a is None or parts_b is None:
            verdict = _compare_leaves(a, b)
            if verdict:
                return verdict
            continue
        if len(parts_a) != len(parts_b):
            shorter = min(len(parts_a), len(parts_b))
            prefix = compare(list(parts_a[:shorter]), list(parts_b[:shorter]))
            return prefix or (-1 if len(parts_a) < len(parts_b) else 1)
        pending.extend(reversed(list(zip(parts_a, parts_b, strict=True))))
    return 0


def _rank(value: Any) -> tuple[int, str]:
    if value is None:
        return 0, ''
    if isinstance(value, (bool, int, float)):
        return 1, ''
    if isinstance(value, (str, bytes)):
        return (2, '') if isinstance(value, str) else (3, '')
    if is_list(value):
        return 4, ''
    if isinstance(value, tuple):
        return 5, ''
    if isinstance(value, dict):
        return 6, ''
    if is_array(value):
        return 7, f'{value.dtype}{value.shape}'
    if hasattr(value.__class__, '__pg_fields__'):
        return 10, value.__class__.__pg_type_name__
    kind = value if isinstance(value, type) else type(value)
    return (8 if callable(value) else 9), f'{kind.__module__}.{kind.__qualname__}'


def _parts(value: Any) -> tuple[Any, ...] | None:
    if isinstance(value, dict):
        keys = sorted(value, key=functools.cmp_to_key(compare))
        return tuple(item for key in keys for item in (key, value[key]))
    if isinstance(value, (list, tuple)):
        return tuple(value)
    if hasattr(value.__class__, '__pg_fields__'):
        return tuple(value.__dict__[name] for name in value.__class__.__pg_fields__)
    return None


def _compare_leaves(a: Any, b: Any) -> int:
    if is_array(a):
        a, b = host_array(a).ravel().tolist(), host_array(b).ravel().tolist()
        return compare(a, b)
    if isinstance(a, (bool, int, float)) and (a != a or b != b):
        return (a != a) - (b != b)
    if isinstance(a, (bool, int, float, str, bytes)):
        return (a > b) - (a < b)
    if eq(a, b):
        return 0
    return -1 if repr(a) < repr(b) else 1
