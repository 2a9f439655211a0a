"""From genes to objects, by interpreting the plan: one point on the host, many points at once, or inside jit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space._plan import Choice, Computed, Constant, Inner, Many, Node, Number
from pgjax.space._scales import float_value, float_values, int_value
from pgjax.space._switch import Switch
from pgjax.space._traced import TracedNumbers
from pgjax.symbolic import Dict, List, Object
from pgjax.symbolic._bind import bind, is_open


def assemble(node: Inner, parts: Mapping[Any, Any]) -> Any:
    """A template with its open parts replaced by values that are known to be valid; the rest is shared."""
    template = node.template
    if isinstance(template, Object):
        made = object.__new__(type(template))
        state: Any = made.__dict__
        for name in type(template).__pg_fields__:
            state[name] = template.__dict__[name]
        state.update(parts)
        for name, spec in node.checks.items():
            state[name] = spec.check(state[name], (name, (type(template).__name__, None)))
        if type(made).__pg_derives__:
            bind(made)
        return made
    if isinstance(template, dict):
        merged = {**template, **parts}
        return type(template)._of(merged) if isinstance(template, Dict) else type(template)(merged)
    items = list(template)
    for index, part in parts.items():
        items[index] = part
    if isinstance(template, List):
        return List._of(items)
    return template._make(items) if hasattr(template, '_make') else type(template)(items)


def assemble_many(items: list[Any], as_tuple: bool) -> Any:
    """The value of a `manyof` from the values of its slots."""
    return tuple(items) if as_tuple else List._of(items)


def compute(node: Computed, source: Any) -> Any:
    """What a function makes of its decided source; where holes are left in that, a hole again."""
    return node.remake(source) if is_open(source) else node.fn(source)


def decode_one(node: Node, choices: list[int], floats: list[float]) -> Any:
    """The object at one point, from plain numbers. Floats are computed in double precision."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Choice):
        return decode_one(node.branches[choices[node.column]], choices, floats)
    if isinstance(node, Number):
        if node.kind == 'float':
            return float_value(floats[node.column], node)
        value = int_value(choices[node.column], node)
        return float(value) if node.as_float else value
    if isinstance(node, Many):
        return assemble_many([decode_one(s, choices, floats) for s in node.slots], node.as_tuple)
    if isinstance(node, Computed):
        return compute(node, decode_one(node.source, choices, floats))
    assert isinstance(node, Inner)
    return assemble(node, {key: decode_one(part, choices, floats) for key, part in node.parts})


_NUMBERS = frozenset('biufcV')  # kinds of NumPy dtypes; those of ml_dtypes are V


class Rows(np.ndarray):
    """A leaf that differs from member to member, [n, ...], told apart from a constant array by its type."""


def _rows(values: np.ndarray) -> Any:
    return values.view(Rows)


def decode_rows(root: Node, choices: np.ndarray, floats: np.ndarray) -> Any:
    """Members of one structure as one object whose leaves have a leading axis.

    Args:
      root: the plan of a space.
      choices: int32[n, C], the members.
      floats: float32[n, F].

    Returns:
      The object; its floats are those of `decode_one`, rounded to the leaf's dtype.
    """
    made = _decode_many(root, _RowNumbers(choices, floats))
    leaves, treedef = jax.tree.flatten(made)
    return treedef.unflatten(put([_broadcast(leaf, len(choices)) if is_column(leaf) else leaf for leaf in leaves]))


def is_column(leaf: Any) -> bool:
    """Whether a leaf is a number or an array of numbers; texts, functions and the like are structure."""
    if isinstance(leaf, jax.Array):
        return True
    return (
        isinstance(leaf, (bool, int, float, complex, np.generic, np.ndarray))
        and np.asarray(leaf).dtype.kind in _NUMBERS
    )


def put(leaves: list[Any]) -> list[Any]:
    """Leaves on the device, in one transfer; those that are structure as they are."""
    placed = iter(jax.device_put(list(filter(is_column, leaves))))
    return [next(placed) if is_column(leaf) else leaf for leaf in leaves]


def _broadcast(leaf: Any, n: int) -> Any:
    if isinstance(leaf, jax.Array):
        return jnp.broadcast_to(leaf, (n, *leaf.shape))
    array = leaf.view(np.ndarray) if isinstance(leaf, Rows) else np.broadcast_to(leaf, (n, *np.shape(leaf)))
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)


class _RowNumbers:
    """Numbers of n members, on the host."""

    def __init__(self, choices: np.ndarray, floats: np.ndarray):
        self.choices, self.floats = choices, floats
        self.structure = choices[0].tolist()

    def index(self, column: int) -> Any:
        return _rows(self.choices[:, column])

    def float(self, node: Number) -> Any:
        if node.structural:
            return float_value(float(self.floats[0, node.column]), node)
        return _rows(float_values(self.floats[:, node.column].astype(np.float64), node))

    def int(self, node: Number) -> Any:
        if node.structural:
            value = int_value(self.structure[node.column], node)
            return float(value) if node.as_float else value
        genes = self.choices[:, node.column]
        if isinstance(node.low, float):
            values = np.where(genes == node.arity - 1, node.high, node.low + genes.astype(np.float64) * node.step)
        else:
            values = genes.astype(np.int64) * node.step + node.low
        return _rows(values.astype(np.float64 if node.as_float else np.int32))

    def computed(self, node: Computed) -> Any:
        members = zip(self.choices.tolist(), self.floats.tolist(), strict=True)
        values = [decode_one(node, choices, floats) for choices, floats in members]
        return jax.tree.map(lambda *leaves: _rows(np.stack([np.asarray(leaf) for leaf in leaves])), *values)

    def select(self, node: Choice, branches: tuple[Any, ...]) -> Any:
        chosen = self.choices[:, node.column]
        n = len(chosen)

        def pick(*leaves: Any) -> Any:
            if any(isinstance(leaf, Rows) for leaf in leaves):
                columns = [x if isinstance(x, Rows) else np.broadcast_to(x, (n, *np.shape(x))) for x in leaves]
                return _rows(np.stack(columns)[chosen, np.arange(n)])
            return _rows(np.stack([np.asarray(leaf) for leaf in leaves])[chosen])

        return jax.tree.map(pick, *branches)


def decode_traced(root: Node, choices: jax.Array, floats: jax.Array) -> Any:
    """One member inside jit: like `decode_rows`, in float32."""
    return _decode_many(root, TracedNumbers(root, choices, floats))


def _decode_many(node: Node, numbers: _RowNumbers | TracedNumbers) -> Any:
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Choice):
        if node.mode == 'structural':
            assert isinstance(numbers, _RowNumbers)
            return _decode_many(node.branches[numbers.structure[node.column]], numbers)
        branches = tuple(_decode_many(b, numbers) for b in node.branches)
        return numbers.select(node, branches) if node.mode == 'gather' else Switch(branches, numbers.index(node.column))
    if isinstance(node, Number):
        return numbers.float(node) if node.kind == 'float' else numbers.int(node)
    if isinstance(node, Many):
        return assemble_many([_decode_many(s, numbers) for s in node.slots], node.as_tuple)
    if isinstance(node, Computed):
        if node.varies and isinstance(numbers, _RowNumbers):
            return numbers.computed(node)
        return compute(node, _decode_many(node.source, numbers))
    assert isinstance(node, Inner)
    return assemble(node, {key: _decode_many(part, numbers) for key, part in node.parts})
