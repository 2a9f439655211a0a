"""What a template compiles to: a plan of nodes that says how objects are made of genes, and a table of decisions.

Nodes are made by one walk of the template and never change afterwards.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from pgjax.symbolic import format_
from pgjax.symbolic._spec import Spec

_BRANCH = re.compile(r'\[=[0-9]+/[0-9]+\]')

Kind = Literal['choice', 'int', 'float']
Mode = Literal['structural', 'gather', 'switch']


@dataclasses.dataclass(frozen=True)
class Decision:
    """One decision of a space.

    Attributes:
      id: where it stands, with the branches that lead there: 'optimizer[=0/2].lr'.
      name: the hole's name, or None.
      kind: 'choice', 'int' (also a float with steps) or 'float'.
      column: its column in `DNA.choices` (choice, int) or `DNA.floats` (float).
      arity: the number of values; None for a float.
      low: smallest value of an int or float.
      high: largest value of an int or float.
      scale: of an int or float.
      step: between the values of an int.
      conditions: where it applies: any of these (column of a choice, index) must be chosen; () applies always.
      structural: whether it changes the structure of the decoded object.
      hints: the hole's hints.
      group: the position of its constrained group in `Space.constrained_groups`, or None.
      slot: for one of several slots of a `manyof`, its position; else None.
      candidates: what a choice chooses from.
    """

    id: str
    name: str | None
    kind: Kind
    column: int
    arity: int | None
    low: float = 0.0
    high: float = 0.0
    scale: str = 'linear'
    step: float = 1
    conditions: tuple[tuple[int, int], ...] = ()
    structural: bool = False
    hints: Any = None
    group: int | None = None
    slot: int | None = None
    candidates: Sequence[Any] = dataclasses.field(default=(), compare=False, repr=False)

    @property
    def label(self) -> str:
        """What the decision is called: its name, or else its id."""
        return self.name or self.id

    @property
    def path(self) -> str:
        """Where the decided value stands in the decoded object: the id without the branches."""
        return _BRANCH.sub('', self.id)

    @property
    def parent(self) -> str | None:
        """The id of the `manyof` of which this is a slot, or None."""
        return None if self.slot is None else self.id[: -len(f'[{self.slot}]')]

    @property
    def literals(self) -> tuple[Any, ...]:
        """What the candidates of a choice are called: numbers and bools are themselves, others their code, cut."""
        return tuple(map(_literal, self.candidates))

    def literal(self, index: int) -> Any:
        """What one candidate is called."""
        return _literal(self.candidates[index])

    def is_ambiguous(self, index: int) -> bool:
        """Whether what one candidate is called does not tell it from the others: equal ones, long ones, and NaN."""
        return self._calls[_key_of(self.literal(index))] != 1 or self.literal(index) != self.literal(index)

    @functools.cached_property
    def _calls(self) -> collections.Counter[Any]:
        return collections.Counter(map(_key_of, self.literals))


def gene_of(num_choices: int, decision: Decision) -> int:
    """The position of a decision among all genes of a point: C columns of choices and ints, then those of floats."""
    return decision.column + (num_choices if decision.kind == 'float' else 0)


def _key_of(literal: Any) -> Any:
    return isinstance(literal, bool), literal


def same_literal(literal: Any, value: Any) -> bool:
    """Whether a value is what a candidate is called: 1 is 1.0, and not True."""
    return bool(_key_of(literal) == _key_of(value))


def _literal(candidate: Any) -> Any:
    if isinstance(candidate, (int, float)):
        return candidate
    text = format_(candidate)
    return text if len(text) <= 60 else text[:57] + '...'


@dataclasses.dataclass(frozen=True)
class ConstrainedGroup:
    """Choice columns that are constrained together: the slots of one `manyof`."""

    columns: tuple[int, ...]
    arity: int
    distinct: bool
    sorted: bool


class Node:
    """A part of the plan: what stands at one place of the template."""

    __slots__ = ()
    loose = False  # whether the value may not fit the field it stands in, and must be checked when it is known


@dataclasses.dataclass(eq=False, slots=True)
class Constant(Node):
    """A part without holes."""

    value: Any


@dataclasses.dataclass(eq=False, slots=True)
class Inner(Node):
    """An object or container with holes somewhere below. `parts` are those with holes."""

    template: Any
    parts: tuple[tuple[Any, Node], ...]
    checks: dict[Any, Spec]  # of fields whose values are known to fit only when they are there
    loose: bool = False


@dataclasses.dataclass(eq=False, slots=True)
class Choice(Node):
    """A choice among branches. `mode` says how a population decides it."""

    column: int
    branches: Sequence[Node]
    traced: bool  # it stands in a field whose ints and bools are leaves
    switch: bool  # it stands in a field that dispatches its callables
    static: bool  # it stands in a field whose values are structure
    mode: Mode = 'structural'
    loose: bool = False


@dataclasses.dataclass(eq=False, slots=True)
class Many(Node):
    """The slots of a `manyof`."""

    slots: tuple[Choice, ...]
    as_tuple: bool
    group: int
    loose: bool = False


@dataclasses.dataclass(eq=False, slots=True)
class Number(Node):
    """A float at a position of its scale ('float'), or a number of steps from `low` ('int')."""

    kind: Literal['int', 'float']
    column: int
    low: float
    high: float
    scale: str
    step: float
    arity: int
    as_float: bool
    traced: bool  # its values are leaves
    static: bool
    structural: bool = False


@dataclasses.dataclass(eq=False, slots=True)
class Computed(Node):
    """What a function makes of decided parts: expressions and customs (`source`), derived values (`references`).

    `remake` gives what stands there while parts of the source are still open.
    """

    fn: Callable[[Any], Any]
    inverse: Callable[[Any], Any] | None
    source: Node
    remake: Callable[[Any], Any]
    decides: bool  # whether the decisions of the source are met here; a derived value only reads them
    traced: bool
    static: bool
    varies: bool = False  # whether it differs among members of one structure
    loose: bool = True


class Plain(Sequence[Node]):
    """The branches of a choice among values without holes: its nodes are made when they are asked for."""

    def __init__(self, values: Sequence[Any]):
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return Constant(self.values[index])

    def __iter__(self) -> Iterator[Node]:
        return map(Constant, self.values)


Gene = tuple[bool, int]  # (is a float, column)


def genes_of(node: Node) -> set[Gene]:
    """Every gene that the value of a node may depend on."""
    if isinstance(node, Number):
        return {(node.kind == 'float', node.column)}
    found = {(False, node.column)} if isinstance(node, Choice) else set()
    return found.union(*map(genes_of, read_by(node)))


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """Everything about a space that does not depend on a DNA.

    Attributes:
      root: the plan.
      decisions: in the order in which the walk met them.
      groups: the constrained groups.
      num_choices: C.
      num_floats: F.
      tied: genes (choice columns, then C + float columns) that stand at more than one place.
    """

    root: Node
    decisions: tuple[Decision, ...]
    groups: tuple[ConstrainedGroup, ...]
    num_choices: int
    num_floats: int
    tied: frozenset[int]


def below(node: Node) -> Iterator[Node]:
    """The nodes one level down. A derived value's sources belong to others."""
    if isinstance(node, Inner):
        yield from (part for _, part in node.parts)
    elif isinstance(node, Choice):
        if not isinstance(node.branches, Plain):
            yield from node.branches
    elif isinstance(node, Many):
        yield from node.slots
    elif isinstance(node, Computed) and node.decides:
        yield node.source


def read_by(node: Node) -> Iterable[Node]:
    """The nodes that the value of a node is made of: those below, and the sources of a derived value."""
    return [node.source] if isinstance(node, Computed) else below(node)
