"""How a population takes each decision: by structure, by a gather among leaves, or by a switch. Design, section 8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from pgjax._errors import SpaceError
from pgjax._keypath import Path
from pgjax.space import _decode
from pgjax.space._holes import Expression
from pgjax.space._plan import (
    Choice,
    Computed,
    Constant,
    Gene,
    Inner,
    Many,
    Mode,
    Node,
    Number,
    Plain,
    below,
    genes_of,
)
from pgjax.space._switch import Switch
from pgjax.symbolic import Placeholder
from pgjax.symbolic._locate import part_of
from pgjax.symbolic._spec import is_array


def assign(root: Node) -> set[Gene]:
    """Writes the mode of each decision into its node, and returns the genes that decide structure."""
    forced: set[Gene] = set()
    _force(root, forced)
    structural: set[Gene] = set()
    _settle(root, forced, structural, False)
    return structural


def _force(node: Node, forced: set[Gene]) -> None:
    """Collects the genes from which values are computed that are structure themselves."""
    if isinstance(node, Computed) and not is_leaf(node):
        forced |= genes_of(node.source)
    for part in below(node):
        _force(part, forced)


def is_leaf(node: Computed) -> bool:
    """Whether the values that are computed differ in their leaves alone, as far as the first one shows."""
    return not node.static and _leaves(example(node), node.traced) is not None


def _settle(node: Node, forced: set[Gene], structural: set[Gene], numeric: bool) -> bool:
    """Settles the modes at and below a node; whether anything there decides structure.

    `numeric` says that a leaf is computed of the value, so that its ints are leaves too.
    """
    if isinstance(node, Number):
        gene = (node.kind == 'float', node.column)
        node.structural = gene in forced or node.static or not (node.traced or numeric)
        if node.structural:
            structural.add(gene)
        return node.structural
    if isinstance(node, Computed):
        leaf = is_leaf(node)
        inside = node.decides and _settle(node.source, forced, structural, leaf)
        node.varies = leaf and not genes_of(node.source) <= forced
        return inside or not leaf
    settled = [
        _settle(part, forced, structural, numeric) for part in below(node)
    ]  # all of them, whatever the first says
    inside = any(settled)
    if isinstance(node, Choice):
        node.traced = node.traced or numeric
        node.mode = 'structural' if inside or (False, node.column) in forced or node.static else _mode(node)
        if node.mode == 'structural':
            structural.add((False, node.column))
            return True
    return inside


def _mode(node: Choice) -> Mode:
    if isinstance(node.branches, Plain):
        examples = node.branches.values
        kinds = {value.__class__ for value in examples}
        if kinds == {float}:
            return 'gather'
        if kinds & {int, str, bool, type(None)} and not node.traced:
            return 'structural'
    else:
        examples = [example(b) for b in node.branches]
    if node.switch and all(callable(e) for e in examples):
        return 'switch'
    first = _leaves(examples[0], node.traced)
    same = first is not None and all(_leaves(e, node.traced) == first for e in examples[1:])
    return 'gather' if same else 'structural'


def _leaves(value: Any, traced: bool) -> Any:
    """Structure, shapes and dtypes of a value, or None where it is structure itself."""
    if isinstance(value, Placeholder) or (isinstance(value, (bool, int)) and not traced):
        return None
    if not (is_array(value) or isinstance(value, (float, complex, bool, int)) or hasattr(type(value), '__pg_node__')):
        return None
    leaves, treedef = jax.tree.flatten(value)
    return treedef, tuple(
        (np.shape(leaf), jax.dtypes.canonicalize_dtype(jax.numpy.result_type(leaf))) for leaf in leaves
    )


def example(node: Node) -> Any:
    """The first value below a node: what it looks like in a population, whatever is decided."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Number):
        return float(node.low) if node.as_float else int(node.low)
    if isinstance(node, Choice):
        if node.mode == 'switch':
            return Switch(branches=tuple(map(example, node.branches)), index=np.int32(0))
        return example(node.branches[0])
    if isinstance(node, Many):
        return _decode.assemble_many([example(s) for s in node.slots], node.as_tuple)
    if isinstance(node, Computed):
        return _decode.compute(node, example(node.source))
    assert isinstance(node, Inner)
    return _decode.assemble(node, {key: example(part) for key, part in node.parts})


def inverse(hole: Expression, parts: list[tuple[int, Node]]) -> Callable[[Any], Any] | None:
    """What takes the result of simple arithmetic back to its arguments, where one of them is open."""
    if not isinstance(hole.fn, str) or len(parts) != 1:
        return None
    index = parts[0][0]
    other = hole.args[1 - index] if len(hole.args) == 2 else None
    solve = _SOLUTIONS.get((hole.fn, index))
    if solve is None or (hole.fn == 'mul' and other == 0):
        return None
    return lambda value: [solve(value, other) if i == index else arg for i, arg in enumerate(hole.args)]


_SOLUTIONS: dict[tuple[str, int], Callable[[Any, Any], Any]] = {
    ('add', 0): lambda v, a: v - a,
    ('add', 1): lambda v, a: v - a,
    ('sub', 0): lambda v, a: v + a,
    ('sub', 1): lambda v, a: a - v,
    ('mul', 0): lambda v, a: v / a,
    ('mul', 1): lambda v, a: v / a,
    ('truediv', 0): lambda v, a: v * a,
    ('neg', 0): lambda v, _: -v,
}


def reference(root: Node, path: Path, where: str) -> Node:
    """The node of what stands at `path`: a part of the plan, or a look-up in what a decision gives."""
    node = root
    for depth, key in enumerate(path):
        if isinstance(node, Inner):
            template = node.template
            try:
                node = dict(node.parts).get(key) or Constant(part_of(template, key, path, depth))
            except LookupError as error:
                raise SpaceError(f'{where}: the path {str(path)!r} of a derived value leads nowhere. {error}') from None
        elif isinstance(node, Many) and isinstance(key, int) and key < len(node.slots):
            node = node.slots[key]
        else:
            return _lookup(node, path, depth)
    return node


def _lookup(node: Node, path: Path, depth: int) -> Node:
    def find(value: Any) -> Any:
        for d in range(depth, len(path)):
            value = part_of(value, path[d], path, d)
        return value

    return Computed(find, None, node, lambda value: value, False, False, False)


def refuse_cycles(derived: list[tuple[Computed, str]]) -> None:
    """Raises SpaceError where a derived value depends on itself."""

    def reaches(node: Node, target: Node, seen: set[int]) -> bool:
        if id(node) in seen:
            return False
        seen.add(id(node))
        parts = [node.source] if isinstance(node, Computed) else below(node)
        return any(part is target or reaches(part, target, seen) for part in parts)

    for node, where in derived:
        if reaches(node, node, set()):
            raise SpaceError(f'{where}: the derived value depends on itself; break the cycle.')
