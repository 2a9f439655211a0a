"""Checks a DNA that comes from outside: shape, dtype and range, with the decision named."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from pgjax._errors import DnaError, show
from pgjax.space import _genes
from pgjax.space._dna import DNA
from pgjax.space._plan import Decision, Layout

_INT32, _FLOAT32, _UINT32 = np.dtype(np.int32), np.dtype(np.float32), np.dtype(np.uint32)


def is_traced(dna: DNA) -> bool:
    """Whether the genes are known only inside a JAX transformation."""
    return any(map(_is_tracer, (dna.choices, dna.floats)))


def _is_tracer(value: Any) -> bool:
    if not isinstance(value, jax.Array):
        return False
    try:
        return not isinstance(value.is_fully_addressable, bool)
    except jax.errors.ConcretizationTypeError:  # a tracer has a shape and no place
        return True


def check(layout: Layout, table: _genes.Tables, dna: Any) -> DNA:
    """The DNA on the host.

    Raises:
      DnaError: it is no DNA, its arrays have the wrong shape or dtype, or a gene in use breaks its range or group.
    """
    if is_plainly_valid(layout, table, dna):
        return dna
    if not isinstance(dna, DNA):
        raise DnaError(
            f'Expected a pg.DNA, got {type(dna).__name__} {show(dna)}; see space.from_dict, space.from_numbers.'
        )
    choices = _array(layout, dna.choices, layout.num_choices, 'choices', np.integer)
    floats = _array(layout, dna.floats, layout.num_floats, 'floats', np.floating)
    if choices.shape[:-1] != floats.shape[:-1]:
        raise DnaError(f'The leading axes differ: choices {list(choices.shape)}, floats {list(floats.shape)}.')
    host = DNA(choices.astype(np.int32), floats.astype(np.float32))
    wrong = _genes.violations(table, host)
    if wrong.any():
        raise _violation(layout, host, wrong)
    return host


def is_plainly_valid(layout: Layout, table: _genes.Tables, dna: Any) -> bool:
    """Whether a DNA is one point on the host, with all its genes in range: a test as cheap as decoding itself."""
    if dna.__class__ is not DNA:
        return False
    choices, floats = dna.choices, dna.floats
    if not (choices.__class__ is floats.__class__ is np.ndarray):
        return False
    if choices.dtype is not _INT32 or floats.dtype is not _FLOAT32:
        return False
    if choices.shape != table.arity.shape or floats.shape != (layout.num_floats,):
        return False
    if choices.size and not (choices.view(_UINT32) < table.limit).all():
        return False
    if floats.size and not 0 <= floats.min() <= floats.max() <= 1:
        return False
    for group in layout.groups:
        slots = choices[list(group.columns)].tolist()
        if group.distinct and len(set(slots)) < len(slots):
            return False
        if group.sorted and slots != sorted(slots):
            return False
    return True


def _array(layout: Layout, values: Any, width: int, what: str, kind: Any) -> np.ndarray:
    if values is None or isinstance(values, (str, bytes)):
        raise DnaError(f'{what} must be an array, got {type(values).__name__}.')
    array = np.asarray(values)
    if array.size == 0 and array.ndim == 1 and width == 0:
        array = array.astype(np.int32 if kind is np.integer else np.float32)
    if not np.issubdtype(array.dtype, kind):
        first = next((d for d in layout.decisions if (d.kind == 'float') == (kind is np.floating)), layout.decisions[0])
        expected = 'an int dtype (int32)' if kind is np.integer else 'a float dtype (float32)'
        raise DnaError(f'{what} has dtype {array.dtype}; expected {expected}: {first.id} takes {_range(first)}.')
    if array.ndim == 0 or array.shape[-1] != width:
        raise DnaError(f'{what}: expected length {width}, got {array.shape[-1] if array.ndim else 0}.')
    return array


def _violation(layout: Layout, dna: DNA, wrong: np.ndarray) -> DnaError:
    *point, column = np.argwhere(wrong)[0]
    is_choice = column < layout.num_choices
    decision = next(
        d
        for d in layout.decisions
        if (d.kind != 'float') == is_choice and d.column == (column if is_choice else column - layout.num_choices)
    )
    row = dna[tuple(point)]
    value = row.choices[decision.column] if is_choice else row.floats[decision.column]
    at = f' (point {tuple(int(p) for p in point)})' if point else ''
    if decision.group is not None and 0 <= value < (decision.arity or 0):
        group = layout.groups[decision.group]
        values = [int(row.choices[c]) for c in group.columns]
        rules = ' and '.join(r for r, on in (('distinct', group.distinct), ('sorted', group.sorted)) if on)
        return DnaError(f'{decision.id}{at}: the values {values} are not {rules}; space.repair(dna) mends them.')
    return DnaError(f'{decision.id}{at}: {value} is out of bounds; expected {_range(decision)}.')


def _range(decision: Decision) -> str:
    if decision.kind == 'float':
        return 'a float in [0, 1] (the position on its scale)'
    return f'an int in [0, {(decision.arity or 1) - 1}]'
