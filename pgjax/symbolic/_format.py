"""Values as text: on one line as the code that builds them, or indented to a width."""

from __future__ import annotations

import cmath
import dataclasses
import enum
import inspect
import math
from typing import Any

import jax
import numpy as np

from pgjax._errors import SHORT_REPRS
from pgjax.symbolic import _registry
from pgjax.symbolic._compare import host_array, is_more_than_numbers
from pgjax.symbolic._cycles import refuse_cycles
from pgjax.symbolic._nodes import children, is_list
from pgjax.symbolic._placeholder import MISSING
from pgjax.symbolic._spec import is_array

_MOST_ELEMENTS = 32  # an array larger than this prints as its dtype and shape


def format_(value: Any, *, width: int | None = None, hide_defaults: bool = False, evaluable: bool = False) -> str:
    """`value` as text.

    Args:
      value: anything; symbolic objects print as the calls that build them.
      width: None for one line; else values longer than this many characters are broken and indented.
      hide_defaults: leave out fields that hold their defaults.
      evaluable: write classes, functions and arrays in full, so that Python builds an equal value from the text
        where the modules named in it are imported. Functions need a name that modules know them by.

    Raises:
      CycleError: the value contains itself.

    >>> import pgjax as pg
    >>> print(pg.format({'a': [1, 2.5], 'b': 'x'}, width=12))
    {
      'a': [
        1,
        2.5,
      ],
      'b': 'x',
    }
    """
    refuse_cycles(value)
    return ''.join(_written(value, width, Style(hide_defaults, evaluable)))


def repr_node(self: Any) -> str:
    """The `__repr__` of symbolic objects and containers; messages write no more than the beginning of large ones."""
    return format_(self)


SHORT_REPRS[repr_node] = lambda node, most: ''.join(_written(node, None, Style(), most))


def _written(value: Any, width: int | None, style: Style, most: int | None = None) -> list[str]:
    """The text of a value, in pieces; those after the first `most` characters may be missing."""
    out: list[str] = []
    room = math.inf if most is None else most
    pending: list[Any] = [(value, 0, 0)]  # text, or a node, its indent and what else its line holds
    while pending and room >= 0:
        item = pending.pop()
        if isinstance(item, str):
            out.append(item)
            room -= len(item)
            continue
        node, indent, beside = item
        call = call_parts(node, style)
        if call is None:
            pending.append(style.leaf(node))
            continue
        opening, closing, parts = call
        # Further in than the width nothing is broken: deep values print in linear space.
        breaks = (
            width is not None and bool(parts) and indent < width and not _fits(node, width - indent - beside, style)
        )
        pending.append(closing)
        pending.extend(_pieces(parts, indent, breaks))
        pending.append(opening)
    return out


@dataclasses.dataclass(frozen=True)
class Style:
    """How names and leaves are written; see `format_`."""

    hide_defaults: bool = False
    evaluable: bool = False

    def name(self, cls: type, short: str | None = None) -> str:
        """What a call of a class begins with; `short` is how the class itself wants to be called."""
        if not self.evaluable:
            return short or cls.__name__
        if short is not None and short != cls.__name__:
            return f'pgjax.{short}'  # holes and other placeholders print as the functions that make them
        return f'{cls.__module__}.{cls.__qualname__}'

    def leaf(self, value: Any) -> str:
        return _evaluable_leaf(value) if self.evaluable else format_leaf(value)


def _pieces(parts: list[tuple[str, Any]], indent: int, breaks: bool) -> list[Any]:
    """The parts of a call in reverse, ready for a stack."""
    pieces: list[Any] = []
    for index, (label, part) in enumerate(parts):
        if breaks:
            pieces += ['\n' + ' ' * (indent + 2) + label, (part, indent + 2, len(label) + 1), ',']
        else:
            pieces += [', ' + label if index else label, (part, indent, 0)]
    if breaks:
        pieces.append('\n' + ' ' * indent)
    return pieces[::-1]


def _fits(node: Any, room: int, style: Style) -> bool:
    """Whether `node` on one line takes at most `room` characters; looks no further than that."""
    pending: list[Any] = [node]
    used = 0
    while pending:
        call = call_parts(pending[-1], style)
        node = pending.pop()
        if call is None:
            used += len(style.leaf(node))
        else:
            opening, closing, parts = call
            used += len(opening) + len(closing) + sum(len(label) + 2 for label, _ in parts) - (2 if parts else 0)
            pending.extend(part for _, part in parts)
        if used > room:
            return False
    return True


def call_parts(node: Any, style: Style = Style()) -> tuple[str, str, list[tuple[str, Any]]] | None:
    """Opening, closing and labelled parts of a container or object; None for a leaf."""
    custom = getattr(node.__class__, '_format_call', None)
    if custom is not None and not isinstance(node, type):
        name, parts = custom(node)
        name = style.name(node.__class__, name)
        return f'{name}(', ')', [(f'{key}=' if key else '', part) for key, part in parts]
    parts = children(node)
    if parts is None:
        return None
    if isinstance(node, dict):
        return '{', '}', [(f'{key!r}: ', part) for key, part in parts]
    if is_list(node):
        return '[', ']', [('', part) for _, part in parts]
    if isinstance(node, tuple):
        names = getattr(node, '_fields', None)
        if names is not None:
            return f'{style.name(type(node))}(', ')', [(f'{n}=', p) for n, (_, p) in zip(names, parts, strict=True)]
        return '(', ',)' if len(parts) == 1 else ')', [('', part) for _, part in parts]
    kind: Any = type(node)
    fields = kind.__pg_fields__
    shown = [(f'{n}=', p) for n, p in parts if not (style.hide_defaults and _is_default(fields[n], p))]
    return f'{style.name(type(node))}(', ')', shown


def _is_default(field: Any, value: Any) -> bool:
    from pgjax.symbolic._compare import eq

    return not field.required and eq(field.default, value)


def format_leaf(value: Any) -> str:
    """A leaf as the code that builds it where there is some."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if isinstance(value, complex) and not cmath.isfinite(value):
        return f"complex('{str(value).strip('()')}')"
    if isinstance(value, enum.Enum):
        return _enum_code(value, type(value).__name__)
    if is_array(value):
        return _format_array(value)
    if isinstance(value, np.dtype):
        return f'dtype({_dtype_name(value)!r})'
    if isinstance(value, type):
        return value.__qualname__.rpartition('<locals>.')[2]
    try:
        return _function_name(value) or repr(value)
    except Exception:  # a foreign __repr__ may raise anything, and what stands beside it is still worth seeing
        return f'<{type(value).__name__}>'


def _function_name(value: Any) -> str | None:
    """How code refers to a function; None where it has no name for it."""
    if not callable(value) or hasattr(type(value), '__pg_fields__'):
        return None
    registered = _registry.function_name(value)
    if registered is not None or inspect.ismethod(value):  # a method without its object is another function
        return registered
    # A callable object has the module of its class, and no name.
    module, name = getattr(value, '__module__', None), getattr(value, '__qualname__', None)
    return f'{module}.{name}' if module and name and '<' not in name else None


def _enum_code(value: enum.Enum, cls: str) -> str:
    """A member by its name, and several flags at once, which have none, by their value."""
    return f'{cls}.{value.name}' if value.name in type(value).__members__ else f'{cls}({value.value!r})'


def _dtype_name(dtype: np.dtype) -> Any:
    """What makes the dtype again: texts, dates, foreign byte orders and records have names that say too little."""
    if dtype.isbuiltin:
        return dtype.name
    return dtype.descr if dtype.names else dtype.str


def _format_array(value: Any) -> str:
    short = f'{value.dtype}[{",".join(map(str, value.shape))}]'
    name = 'array'
    if is_more_than_numbers(value):
        name = type(value).__name__
        short = f'{name} {short}'
    if isinstance(value, jax.ShapeDtypeStruct) or value.size > _MOST_ELEMENTS:
        return short
    if jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
        return short
    try:
        content = host_array(value)
    except (TypeError, RuntimeError):
        return short  # traced, or deleted
    mask = f', mask={np.ma.getmaskarray(value).tolist()!r}' if isinstance(value, np.ma.MaskedArray) else ''
    return f'{name}({content.tolist()!r}{mask}, dtype={str(value.dtype)!r})'


def _evaluable_leaf(value: Any) -> str:
    """A leaf as code with every name written in full."""
    if isinstance(value, enum.Enum):
        return _enum_code(value, f'{type(value).__module__}.{type(value).__qualname__}')
    if isinstance(value, np.generic):
        return f'numpy.{type(value).__name__}({format_leaf(value.item())})'
    if is_array(value):
        return _evaluable_array(value)
    if isinstance(value, np.dtype):
        return f'numpy.dtype({_dtype_name(value)!r})'
    if isinstance(value, type):
        return value.__qualname__ if value.__module__ == 'builtins' else f'{value.__module__}.{value.__qualname__}'
    if value is MISSING:
        return 'pgjax.MISSING'
    return format_leaf(value)


def _evaluable_array(value: Any) -> str:
    if isinstance(value, jax.ShapeDtypeStruct):
        return f'jax.ShapeDtypeStruct({value.shape!r}, {value.dtype.name!r})'
    content = host_array(value)
    listed = format_(content.tolist(), evaluable=True)
    if jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
        implementation = str(jax.random.key_impl(value))
        return f"jax.random.wrap_key_data(numpy.array({listed}, 'uint32'), impl={implementation!r})"
    module, mask = ('numpy' if isinstance(value, np.ndarray) else 'jax.numpy'), ''
    if isinstance(value, np.ma.MaskedArray):
        module, mask = 'numpy.ma', f', mask={np.ma.getmaskarray(value).tolist()!r}'
    return f'{module}.array({listed}{mask}, dtype={_dtype_name(value.dtype)!r}).reshape({value.shape!r})'
