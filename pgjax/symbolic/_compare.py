"""Equality and hashes of values of any depth: by type and content, arrays included, without recursion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard

import jax
import numpy as np

from pgjax.symbolic._cycles import is_raw, refuse_cycles
from pgjax.symbolic._nodes import children, fields_of, is_list, is_node
from pgjax.symbolic._spec import ATOMS, is_array


def eq(a: Any, b: Any, *, strict: bool = False) -> bool:
    """Whether two values are equal by content.

    Objects are equal when their classes are the same and their fields are equal; arrays when shape, dtype and
    elements are; NaN equals NaN; `pg.List` and `pg.Dict` equal their built-in twins. Numbers compare as in
    Python (1 == 1.0) unless `strict`, where types and the signs of zeros must agree everywhere and JAX arrays are
    equal only to themselves.

    Raises:
      TypeError: a traced array is compared with another: its values are not known yet.
      CycleError: both are containers of Python's, and the first contains itself.

    >>> import pgjax as pg
    >>> pg.eq({'x': float('nan')}, {'x': float('nan')})
    True
    """
    if a is b:
        return True
    if is_raw(a) and is_raw(b):  # else one of them ends, and the comparison with it
        refuse_cycles(a)
    root, twin, lasting = a, b, True
    met: set[int] | None = None
    pending = [(a, b)]
    for turn in _TURNS:
        if not pending:
            break
        a, b = pending.pop()
        if turn >= PATIENCE:
            met = met or set()
            pair = id(a) << 64 | id(b)  # an int, of which the garbage collector takes no notice
            if pair in met:
                continue  # equal, or what makes them differ is found where they were met first
            met.add(pair)
        kind = a.__class__
        ours = getattr(kind, '__pg_parts__', None) if kind is b.__class__ else None
        if ours is fields_of:
            left, right = a.__dict__, b.__dict__
            names = kind.__pg_fields__
            if len(left) != len(names) != len(right):
                known = _remembered(left, right)
                if known is False:
                    return False
                if known and not strict:
                    continue
            for name in names:  # what can be told at once is, here as below; the rest waits
                x, y = left[name], right[name]
                if x is not y:
                    if x.__class__ is y.__class__ and x.__class__ in ATOMS:
                        if x != y and (x == x or y == y):  # NaN equals NaN
                            return False
                        if strict and signs_differ(x, y):
                            return False
                    else:
                        pending.append((x, y))
            continue
        if ours is enumerate and len(a) == len(b):
            pairs = zip(a, b)  # noqa: B905  as the line above says
        elif (pairs := _pairs(a, b, strict)) is None:
            return False
        else:
            lasting = lasting and ours is not None
        for x, y in pairs:
            if x is not y:
                if x.__class__ is y.__class__ and x.__class__ in ATOMS:
                    if x != y and (x == x or y == y):
                        return False
                    if strict and signs_differ(x, y):
                        return False
                else:
                    pending.append((x, y))
    if lasting and hasattr(root.__class__, '__pg_fields__'):
        root.__dict__['_pg_twin'] = twin.__dict__['_pg_twin'] = object()
    return True


# After so many parts a walk remembers those it has seen: parts shared n times over would be met 2**n times, and
# in what is smaller remembering costs more than it saves.
PATIENCE = 1 << 16
_TURNS = range(1 << 62)  # made once: comparisons are many and short


def signs_differ(a: Any, b: Any) -> bool:
    """Whether two equal atoms of one class are zeros, or have parts, of different signs: 0.0 and -0.0."""
    return a.__class__ in _SIGNED and a == b and repr(a) != repr(b)


_SIGNED = frozenset({float, complex})


def _remembered(left: dict[str, Any], right: dict[str, Any]) -> bool | None:
    """Whether two objects are equal, by what is remembered of them.

    Objects found equal share a token, if nothing that may change, such as an array, had to be compared.
    """
    token = left.get('_pg_twin')
    if token is not None and token is right.get('_pg_twin'):
        return True
    one, other = left.get('_pg_hash'), right.get('_pg_hash')
    return None if one is None or other is None or one == other else False


def _pairs(a: Any, b: Any, strict: bool) -> Iterable[tuple[Any, Any]] | None:
    """What must be equal for `a` and `b` to be equal; None if they are not."""
    kind, other = a.__class__, b.__class__
    if kind in ATOMS and other in ATOMS:
        if strict and (kind is not other or signs_differ(a, b)):
            return None
        return () if a == b or (a != a and b != b) else None
    if kind is not other and strict and not _are_twins(a, b):
        return None
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        if len(a) != len(b) or (kind is not other and is_list(a) != is_list(b)):
            return None
        return zip(a, b, strict=True)
    if isinstance(a, dict) and isinstance(b, dict):
        return [(item, b[key]) for key, item in a.items()] if len(a) == len(b) and a.keys() == b.keys() else None
    if _holds_objects(a) and _holds_objects(b):
        return zip(a.ravel().tolist(), b.ravel().tolist(), strict=True) if a.shape == b.shape else None
    return () if not hasattr(kind, '__pg_fields__') and _equal_leaves(a, b, strict) else None


def _equal_leaves(a: Any, b: Any, strict: bool) -> bool:
    if is_array(a) or is_array(b):
        if strict and isinstance(a, jax.Array):
            return False  # not the same buffer: looking inside would wait for the device, or for a trace
        if not (is_array(a) and is_array(b)) or (strict and a.dtype != b.dtype):
            return False
        return _equal_arrays(a, b) and _equal_beside_numbers(a, b)
    return _equal_others(a, b)


def _are_twins(a: Any, b: Any) -> bool:
    """Whether one is a built-in container and the other its symbolic twin."""
    plain = {list, dict}
    if isinstance(a, dict) or isinstance(b, dict):
        return isinstance(a, dict) and isinstance(b, dict) and bool(plain & {type(a), type(b)})
    return is_list(a) and is_list(b) and bool(plain & {type(a), type(b)})


def _equal_others(a: Any, b: Any) -> bool:
    a, b = _plain(a), _plain(b)
    if _is_elementwise(a) or _is_elementwise(b):
        return a.__class__ is b.__class__ and _equal_elements(a, b)
    if isinstance(a, _INEXACT) and isinstance(b, _INEXACT) and a != a and b != b:
        return True
    return bool(a == b) and (a.__class__ is b.__class__ or _hash_alike(a, b))


_INEXACT = (float, complex, np.inexact)
_UNITS_OR_FIELDS = (np.datetime64, np.timedelta64, np.void)  # scalars that Python has no exact twin of


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's: NumPy's own == rounds to the lesser precision, and broadcasts over lists."""
    return value.item() if isinstance(value, np.generic) and not isinstance(value, _UNITS_OR_FIELDS) else value


def _hash_alike(a: Any, b: Any) -> bool:
    """False for what only looks equal: a dtype and its name, say, which NumPy compares by meaning."""
    try:
        return hash(a) == hash(b)
    except TypeError:  # not hashable: == alone decides
        return True


def _is_elementwise(value: Any) -> bool:
    """Whether == may answer with an array: what NumPy can convert, such as a pandas Series."""
    return hasattr(type(value), '__array__') and not isinstance(value, np.inexact)


def _equal_elements(a: Any, b: Any) -> bool:
    """Whether two array-likes of one class are equal, NaN being equal to NaN."""
    if getattr(a, 'shape', None) != getattr(b, 'shape', None):
        return False
    try:
        return bool(np.all(np.asarray((a == b) | ((a != a) & (b != b)))))
    except (TypeError, ValueError):  # such as pandas where the labels differ
        return False


def _holds_objects(value: Any) -> TypeGuard[np.ndarray]:
    return isinstance(value, np.ndarray) and value.dtype == object


def _equal_arrays(a: Any, b: Any) -> bool:
    if a.shape != b.shape or (a.dtype != b.dtype and native(a.dtype) != native(b.dtype)):
        return False
    if isinstance(a, jax.ShapeDtypeStruct) or isinstance(b, jax.ShapeDtypeStruct):
        return type(a) is type(b)
    a, b = host_array(a), host_array(b)
    if a.dtype.names:
        return all(_equal_arrays(a[name], b[name]) for name in a.dtype.names)
    return bool(np.all((a == b) | ((a != a) & (b != b))))


def native(dtype: Any) -> Any:
    """A dtype in this machine's byte order: the order is how numbers are kept, and no part of what they are."""
    return dtype.newbyteorder('=') if isinstance(dtype, np.dtype) and not dtype.isnative else dtype


def is_more_than_numbers(value: Any) -> TypeGuard[np.ndarray]:
    """Whether a value is of a class of its own among NumPy's arrays: with a mask, units or other operators."""
    return isinstance(value, np.ndarray) and value.__class__ not in PLAIN_ARRAYS


PLAIN_ARRAYS = frozenset({np.ndarray, np.memmap})  # the classes of NumPy arrays that are nothing but arrays


def _equal_beside_numbers(a: Any, b: Any) -> bool:
    """Whether two arrays of equal numbers are of one class, and equal in the masks or units that it adds."""
    if not (is_more_than_numbers(a) or is_more_than_numbers(b)):
        return True
    if a.__class__ is not b.__class__:
        return False
    if isinstance(a, np.ma.MaskedArray):
        return bool(np.all(np.ma.getmaskarray(a) == np.ma.getmaskarray(b)))
    return eq(getattr(a, '__dict__', None), getattr(b, '__dict__', None))


def host_array(value: Any) -> np.ndarray:
    """An array's content on the host; a typed key's counters.

    Raises:
      TypeError: the array is traced.
    """
    if jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    try:
        return np.asarray(value)
    except jax.errors.TracerArrayConversionError as error:
        raise TypeError(
            'A traced array has no content yet: compare or hash objects outside jit, or compare their leaves with jnp.'
        ) from error


def hash_(value: Any) -> int:
    """A hash that agrees with `eq`, for this process only; symbolic nodes in which nothing may change remember theirs.

    Raises:
      TypeError: something in the value is not hashable, or traced.
      CycleError: the value contains itself.

    >>> import pgjax as pg
    >>> pg.hash(pg.Dict(x=[1, 2])) == pg.hash({'x': [1, 2]})
    True
    """
    refuse_cycles(value)
    pending = [value]
    done: dict[int, int] = {}
    passing: set[int] = set()  # ids of what may change: arrays, and what holds them
    while pending:
        node = pending[-1]
        key = id(node)
        if key in done or _known(node) is not None:
            pending.pop()
            continue
        parts = children(node)
        todo = [part for _, part in parts or () if not _hashed(part, done)]
        if todo:
            pending.extend(todo)
            continue
        pending.pop()
        result = _hash_node(node, parts, done)
        if _may_change(node) or (passing and any(id(part) in passing for _, part in parts or ())):
            passing.add(key)
        if is_node(node) and key not in passing:
            node.__dict__['_pg_hash'] = result
        else:
            done[key] = result
    known = _known(value)
    return done[id(value)] if known is None else known


def _may_change(leaf: Any) -> bool:
    """Whether it is an array of NumPy's that its owner can write to."""
    return isinstance(leaf, np.ndarray) and leaf.flags.writeable


def _known(node: Any) -> int | None:
    return node.__dict__.get('_pg_hash') if is_node(node) else None


def _hashed(part: Any, done: dict[int, int]) -> bool:
    return part.__class__ in ATOMS or id(part) in done or _known(part) is not None


def _hash_node(node: Any, parts: list[tuple[Any, Any]] | None, done: dict[int, int]) -> int:
    if parts is None:
        return _hash_leaf(node)
    hashes = [(key, _hash_part(part, done)) for key, part in parts]
    if isinstance(node, dict):
        return hash(('dict', frozenset(hashes)))
    head: Any = 'list' if is_list(node) else 'tuple' if isinstance(node, tuple) else node.__class__
    return hash((head, tuple(h for _, h in hashes)))


def _hash_part(part: Any, done: dict[int, int]) -> int:
    if part.__class__ in ATOMS:
        return _hash_leaf(part)
    known = _known(part)
    return done[id(part)] if known is None else known


def _hash_leaf(value: Any) -> int:
    if value.__class__ in ATOMS and value == value:
        return hash(value)
    value = _plain(value)
    if value != value if isinstance(value, (*_INEXACT, np.datetime64, np.timedelta64)) else False:
        return 0x7FF8  # one hash for every NaN, and NaT: they are equal here
    if isinstance(value, jax.ShapeDtypeStruct):
        return hash((value.shape, value.dtype))
    if _holds_objects(value):
        return hash((value.shape, tuple(map(hash_, value.ravel().tolist()))))
    if is_array(value):
        content = host_array(value)
        if content.dtype.names:
            return hash(tuple(_hash_leaf(content[name]) for name in content.dtype.names))
        dtype = native(content.dtype)
        return hash((value.shape, str(native(value.dtype)), _canonical_bytes(content.astype(dtype, copy=False))))
    return hash(value)


def _canonical_bytes(content: np.ndarray) -> bytes:
    if content.dtype.kind in 'fcV':  # V: bfloat16 and its kin
        zero = np.zeros((), content.dtype)
        content = np.where(content == 0, zero, content)  # -0.0 equals 0.0
        content = np.where(content != content, np.full((), np.nan, content.dtype), content)
    return content.tobytes()
