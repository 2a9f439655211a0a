"""From objects to genes: the exact inverse of decoding, up to canonical form."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from pgjax._errors import DnaError, show
from pgjax._keypath import Path
from pgjax.space._decode import decode_one
from pgjax.space._order import Order
from pgjax.space._plan import Choice, Computed, Constant, Inner, Layout, Many, Node, Number, Plain, genes_of
from pgjax.space._scales import float_gene, int_value
from pgjax.symbolic import Object, Placeholder, children, eq, get
from pgjax.symbolic._bind import is_open
from pgjax.symbolic._resolve import Inferred, Inherited, resolve, unresolved

_MOST_TRIED = 4096  # points of a function's arguments that are tried one by one, where it has no inverse


class _MismatchError(Exception):
    """The value does not lie in this part of the space."""

    def __init__(self, path: tuple[Any, ...], message: str):
        super().__init__(message)
        self.path = path


def encode(layout: Layout, value: Any) -> tuple[np.ndarray, np.ndarray]:
    """Choices int32[C] and floats float32[F] of the point at which `value` stands.

    Raises:
      DnaError: no point of the space decodes to `value`; the message names the path of the first difference.
    """
    encoder = _Encoder(layout)
    try:
        encoder.node(layout.root, value, ())
        encoder.verify()
    except _MismatchError as error:
        where = str(Path(error.path)) or 'the root'
        raise DnaError(f'{where}: the object is no point of the space: {error}.') from None
    genes = encoder.genes
    choices = np.zeros(layout.num_choices, np.int32)
    floats = np.zeros(layout.num_floats, np.float32)
    for gene, found in genes.items():
        if gene < layout.num_choices:
            choices[gene] = found
        else:
            floats[gene - layout.num_choices] = found
    return choices, floats


class _Encoder:
    """Finds the genes of a value part by part; a choice tries its branches in order."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.genes: dict[int, Any] = {}
        self.later: list[tuple[Computed, Any, tuple[Any, ...]]] = []  # derived values, checked when all is known

    def node(self, node: Node, value: Any, path: tuple[Any, ...]) -> None:
        if isinstance(node, Constant):
            if not _fits(node.value, value):
                raise _MismatchError(path, f'expected {show(node.value)}, got {show(value)}')
        elif isinstance(node, Inner):
            self.inner(node, value, path)
        elif isinstance(node, Many):
            self.many(node, value, path)
        elif isinstance(node, Choice):
            self.choice(node, value, path)
        elif isinstance(node, Number):
            self.number(node, value, path)
        elif isinstance(node, Computed):
            self.computed(node, value, path)

    def inner(self, node: Inner, value: Any, path: tuple[Any, ...]) -> None:
        template = node.template
        if isinstance(template, Object) and type(value) is not type(template):
            raise _MismatchError(path, f'expected {type(template).__name__}, got {show(value)}')
        ours, theirs = children(template) or [], children(value)
        if theirs is None or {key for key, _ in ours} != {key for key, _ in theirs}:
            raise _MismatchError(path, f'expected the parts of {show(template)}, got {show(value)}')
        given, still_open = dict(theirs), dict(node.parts)
        for key, expected in ours:
            if key in still_open:
                self.node(still_open[key], given[key], (*path, key))
            elif expected is not given[key] and not _fits(expected, given[key]):
                raise _MismatchError((*path, key), f'expected {show(expected)}, got {show(given[key])}')

    def many(self, node: Many, value: Any, path: tuple[Any, ...]) -> None:
        if not isinstance(value, (tuple, list)) or len(value) != len(node.slots):
            raise _MismatchError(path, f'expected {len(node.slots)} values, got {show(value)}')
        group = self.layout.groups[node.group]
        taken: list[int] = []
        for index, (slot, item) in enumerate(zip(node.slots, value, strict=True)):
            allowed = range(len(slot.branches))
            if group.sorted and taken:
                allowed = range(taken[-1] + group.distinct, len(slot.branches))
            used = set(taken) if group.distinct else set()
            self.choice(slot, item, (*path, index), [i for i in allowed if i not in used] if used else allowed)
            taken.append(self.genes[slot.column])

    def choice(self, node: Choice, value: Any, path: tuple[Any, ...], allowed: Any = None) -> None:
        decided = self.genes.get(node.column)
        if decided is not None:  # tied: the same decision again
            self.node(node.branches[decided], value, path)
            return
        indices = range(len(node.branches)) if allowed is None else allowed
        if isinstance(node.branches, Plain):
            self.genes[node.column] = _find(node.branches.values, indices, value, path)
            return
        for index in indices:
            known, later = len(self.genes), len(self.later)
            self.genes[node.column] = index
            try:
                self.node(node.branches[index], value, path)
            except _MismatchError:
                while len(self.genes) > known:  # genes are only ever added
                    self.genes.popitem()
                del self.later[later:]
            else:
                return
        raise _MismatchError(path, f'{show(value)} is none of the {len(node.branches)} candidates that may stand here')

    def number(self, node: Number, value: Any, path: tuple[Any, ...]) -> None:
        what = f'expected a number in [{node.low}, {node.high}]'
        is_number = isinstance(value, (int, float, np.generic, np.ndarray)) or hasattr(value, '__float__')
        if isinstance(value, (bool, str, Placeholder)) or not is_number or np.ndim(value):
            raise _MismatchError(path, f'{what}, got {show(value)}')
        number = float(value)
        if not node.low <= number <= node.high:
            raise _MismatchError(path, f'{what}, got {show(value)}')
        if node.kind == 'float':
            self.put(node.column + self.layout.num_choices, float_gene(number, node), path)
            return
        gene = round((number - node.low) / node.step)
        exact = isinstance(node.low, float)
        if int_value(gene, node) != number and not (exact and math.isclose(int_value(gene, node), number)):
            raise _MismatchError(path, f'{what} in steps of {node.step}, got {show(value)}')
        self.put(node.column, gene, path)

    def put(self, gene: int, value: Any, path: tuple[Any, ...]) -> None:
        if self.genes.setdefault(gene, value) != value:
            raise _MismatchError(path, 'a tied decision has another value elsewhere')

    def computed(self, node: Computed, value: Any, path: tuple[Any, ...]) -> None:
        known = {gene + self.layout.num_choices if is_float else gene for is_float, gene in genes_of(node.source)}
        if not node.decides or known <= self.genes.keys():
            self.later.append((node, value, path))
        elif node.inverse is not None:
            self.node(node.source, node.inverse(value), path)
            self.later.append((node, value, path))
        else:
            self.search(node, value, path)

    def search(self, node: Computed, value: Any, path: tuple[Any, ...]) -> None:
        """Tries the arguments of a function that has no inverse."""
        order = Order(self.layout, lambda number: number.arity or 1, node.source)
        width, floats = self.layout.num_choices, [0.0] * self.layout.num_floats
        for genes in itertools.islice(order, _MOST_TRIED):
            known = {**genes, **self.genes}
            if any(known[g] != v for g, v in genes.items()) or any(g >= width for g in genes):
                continue
            if _close(decode_one(node, [known.get(i, 0) for i in range(width)], floats), value):
                self.genes.update(genes)
                return
        raise _MismatchError(
            path,
            f'no decision found whose function gives {show(value)}; give pg.custom an `encode`, or encode numbers',
        )

    def verify(self) -> None:
        """Checks the values that are computed from decisions against what the decisions give."""
        c = self.layout.num_choices
        choices = [self.genes.get(i, 0) for i in range(c)] if self.later else []
        floats = [self.genes.get(c + i, 0.0) for i in range(self.layout.num_floats)]
        for node, value, path in self.later:
            made = decode_one(node, choices, floats)
            if not _close(made, value):
                raise _MismatchError(path, f'expected {show(made)}, which the decisions give, got {show(value)}')


def _find(candidates: Any, indices: Any, value: Any, path: tuple[Any, ...]) -> int:
    """The index of the candidate that is `value`: of its type where there is one, since 1 == True == 1.0."""
    for strict in (True, False):
        for index in indices:
            candidate = candidates[index]
            if candidate is value or ((not strict or type(candidate) is type(value)) and _fits(candidate, value)):
                return index
    raise _MismatchError(path, f'{show(value)} is none of the {len(candidates)} candidates that may stand here')


def check_resolved(made: Any, value: Any) -> None:
    """Checks what stands for inherited and inferred values, which `_fits` let pass.

    Args:
      made: what the genes decode to, not yet resolved.
      value: what was encoded.

    Raises:
      DnaError: `value` has something else there.
    """
    resolved = resolve(made)
    for path, place in unresolved(made):
        expected, given = get(resolved, path), get(value, path)
        if not _close(expected, given):
            raise DnaError(
                f'{path}: the object is no point of the space: expected {show(expected)}, for which '
                f'{show(place)} stands, got {show(given)}.'
            )


def _fits(expected: Any, value: Any) -> bool:
    """Whether a part without holes is `value`; what it will inherit or infer may be anything."""
    if isinstance(expected, (Inherited, Inferred)):
        return True
    if not is_open(expected) or not isinstance(value, type(expected)):
        return eq(expected, value)
    ours, theirs = children(expected), dict(children(value) or ())
    if ours is None:
        return eq(expected, value)
    return {key for key, _ in ours} == set(theirs) and all(_fits(part, theirs[key]) for key, part in ours)


def _close(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-6)
    return eq(a, b)
