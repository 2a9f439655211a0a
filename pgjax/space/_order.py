"""The order of points: counting, ranking and enumerating them exactly, with conditions, constraints and ties.

A state is what is still to be decided: a linked list of nodes, and the tied decisions made already. A tied
decision is made at the first place at which a point meets it; elsewhere it adds no points, whatever it was. So
the number of points that a state leads to depends on which tied decisions are made and not on how, and the i-th
point is found by counting down its branches, never by enumeration. Numbers are Python ints of any size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from pgjax.space._arrangements import arrangements
from pgjax.space._plan import (
    Choice,
    Computed,
    Constant,
    Inner,
    Layout,
    Many,
    Node,
    Number,
    Plain,
)

Todo = tuple[Any, Any] | None  # (node or _Slot, the rest)
State = tuple[Todo, frozenset[int]]
Genes = dict[int, int]  # gene (choice columns, then C + float columns) -> value; for a float its grid position


class _Slot(NamedTuple):
    """The slots of a `manyof` from number `slot` on. `memory` is what the rules need to know of those before."""

    many: Many
    slot: int
    memory: Any


class Step(NamedTuple):
    """The next decision of a state.

    `values` are those it may take, in order; `follow` gives the state after one. Where `even`, every value leads
    to equally many points.
    """

    gene: int
    values: Sequence[int]
    follow: Callable[[int], State]
    even: bool


class Order:
    """The points of a plan in order: the first decision changes slowest.

    `levels` gives the number of grid positions of each number; None for floats means that they cannot be counted.
    """

    def __init__(self, layout: Layout, levels: Callable[[Number], int] | None = None, root: Node | None = None):
        self._layout = layout
        self._levels = levels or (lambda node: node.arity)
        self._cells: dict[tuple[int, int], Todo] = {}
        self._slots: dict[Any, _Slot] = {}
        self._totals: dict[tuple[int, frozenset[int]], int] = {}
        self._plain: dict[int, int | None] = {}  # node -> its number of points, None where ties are below
        self._kept: list[Any] = []  # keeps alive whatever is known by its id
        self.start: State = (self._cell(root or layout.root, None), frozenset())

    def size(self) -> int:
        """The number of points."""
        return self.total(self.start)

    def total(self, state: State) -> int:
        """The number of points that a state leads to."""
        todo, made = state
        cells = []
        while todo is not None and (id(todo), made) not in self._totals:
            if self._points(todo[0]) is None:
                break
            cells.append(todo)
            todo = todo[1]
        total = 1
        if todo is not None:
            total = self._totals.get((id(todo), made)) or self._total_of_tied(todo, made)
        for cell in reversed(cells):
            total = self._totals[id(cell), made] = total * (self._points(cell[0]) or 0)
        return total

    def nth(self, index: int) -> Genes:
        """The genes of point `index`, 0 <= index < size."""
        genes: Genes = {}
        state = self.start
        while (step := self.step(state)) is not None:
            value = step.values[0]
            if step.even:
                number, index = divmod(index, self.total(step.follow(value)))
                value = step.values[number]
            else:
                for value in step.values:
                    total = self.total(step.follow(value))
                    if index < total:
                        break
                    index -= total
            genes[step.gene] = value
            state = step.follow(value)
        return genes

    def rank(self, genes: Callable[[int], int]) -> int:
        """The index of the point of given genes, which are valid."""
        index = 0
        state = self.start
        while (step := self.step(state)) is not None:
            value = genes(step.gene)
            if step.even:
                index += step.values.index(value) * self.total(step.follow(value))
            else:
                for other in step.values:
                    if other == value:
                        break
                    index += self.total(step.follow(other))
            state = step.follow(value)
        return index

    def walk(self, genes: Callable[[int], int]) -> Iterator[int]:
        """The genes that a point uses, in the order in which its decisions are met."""
        state = self.start
        while (step := self.step(state)) is not None:
            yield step.gene
            state = step.follow(genes(step.gene))

    def __iter__(self) -> Iterator[Genes]:
        """All points in order, one at a time."""
        genes: Genes = {}
        trail: list[tuple[Step, Iterator[int]]] = []
        state: State | None = self.start
        while True:
            step = self.step(state) if state is not None else None
            if step is not None:
                trail.append((step, iter(step.values)))
            elif state is not None:
                yield dict(genes)
            value = None
            while trail and (value := next(trail[-1][1], None)) is None:
                genes.pop(trail.pop()[0].gene, None)
            if value is None:
                return
            genes[trail[-1][0].gene] = value
            state = trail[-1][0].follow(value)

    def step(self, state: State) -> Step | None:
        """The next decision, or None at the end."""
        todo, made = state
        while todo is not None:
            node, rest = todo
            if isinstance(node, _Slot):
                if node.slot == len(node.many.slots):
                    todo = rest
                    continue
                gene = node.many.slots[node.slot].column
            elif isinstance(node, Choice):
                gene = node.column
            elif isinstance(node, Number):
                gene = node.column + (self._layout.num_choices if node.kind == 'float' else 0)
            else:
                todo = self._enter(node, rest)
                continue
            if gene not in made:
                return self._decide(node, gene, rest, made)
            todo = self._cell(self._next_slot(node, 0), rest) if isinstance(node, _Slot) else rest
        return None

    def _enter(self, node: Node, rest: Todo) -> Todo:
        """What is to be decided of a node that decides nothing itself."""
        if isinstance(node, Inner):
            for _, part in reversed(node.parts):
                rest = self._cell(part, rest)
            return rest
        if isinstance(node, Many):
            return self._cell(self._slot(node, 0, None), rest)
        if isinstance(node, Computed) and node.decides:
            return self._cell(node.source, rest)
        return rest

    def _decide(self, node: Any, gene: int, rest: Todo, made: frozenset[int]) -> Step:
        after = made | {gene} if gene in self._layout.tied else made
        if isinstance(node, Number):
            return Step(gene, range(self._levels(node)), lambda _: (rest, after), True)
        if isinstance(node, Choice):
            if isinstance(node.branches, Plain):
                return Step(gene, range(len(node.branches)), lambda _: (rest, after), True)
            branches = node.branches
            return Step(gene, range(len(branches)), lambda v: (self._cell(branches[v], rest), after), False)
        choice = node.many.slots[node.slot]

        def follow(value: int) -> State:
            further = self._cell(self._next_slot(node, value), rest)
            if isinstance(choice.branches, Plain):
                return further, after
            return self._cell(choice.branches[value], further), after

        group = self._layout.groups[node.many.group]
        even = isinstance(choice.branches, Plain) and not group.sorted and not self._is_tied(node.many)
        return Step(gene, self._allowed(node), follow, even)

    def _is_tied(self, many: Many) -> bool:
        return any(slot.column in self._layout.tied for slot in many.slots)

    def _allowed(self, slot: _Slot) -> Sequence[int]:
        group = self._layout.groups[slot.many.group]
        left = len(slot.many.slots) - slot.slot - 1
        if group.sorted:
            first = 0 if slot.memory is None else slot.memory + group.distinct
            return range(first, group.arity - (left if group.distinct else 0))
        if group.distinct:
            return [v for v in range(group.arity) if v not in (slot.memory or ())]
        return range(group.arity)

    def _next_slot(self, slot: _Slot, value: int) -> _Slot:
        group = self._layout.groups[slot.many.group]
        memory = None
        if slot.slot + 1 == len(slot.many.slots):
            pass  # nobody will ask
        elif group.sorted:
            memory = value
        elif group.distinct:
            memory = (slot.memory or frozenset()) | {value}
        return self._slot(slot.many, slot.slot + 1, memory)

    def _slot(self, many: Many, slot: int, memory: Any) -> _Slot:
        return self._slots.setdefault((id(many), slot, memory), _Slot(many, slot, memory))

    def _cell(self, node: Any, rest: Todo) -> Todo:
        """A cell of the list: always the same one for the same content, so that totals can be remembered."""
        if isinstance(node, Constant):
            return rest
        key = (id(node), id(rest))
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = (node, rest)
        return cell

    def _total_of_tied(self, todo: Todo, made: frozenset[int]) -> int:
        step = self.step((todo, made))
        total = 1
        if step is not None:
            values = step.values[:1] if step.even else step.values
            total = sum(self.total(step.follow(v)) for v in values) * (len(step.values) if step.even else 1)
        self._totals[id(todo), made] = total
        return total

    def _points(self, node: Any) -> int | None:
        """The number of points at and below a node alone, or None where tied decisions make that undefined."""
        key = id(node)
        if key not in self._plain:
            self._plain[key] = self._count(node)
            self._kept.append(node)
        return self._plain[key]

    def _count(self, node: Any) -> int | None:
        tied, c = self._layout.tied, self._layout.num_choices
        if isinstance(node, _Slot):
            return self._count_slots(node)
        if isinstance(node, Number):
            return None if node.column + (c if node.kind == 'float' else 0) in tied else self._levels(node)
        if isinstance(node, Choice):
            return None if node.column in tied else self._sum(node.branches)
        if isinstance(node, Many):
            return self._points(self._slot(node, 0, None))
        if isinstance(node, Inner):
            counts = [self._points(part) for _, part in node.parts]
            return None if None in counts else math.prod(n for n in counts if n is not None)
        return self._points(node.source) if isinstance(node, Computed) and node.decides else 1

    def _sum(self, branches: Sequence[Node]) -> int | None:
        if isinstance(branches, Plain):
            return len(branches)
        counts = [self._points(b) for b in branches]
        return None if None in counts else sum(n for n in counts if n is not None)

    def _count_slots(self, slot: _Slot) -> int | None:
        slots = slot.many.slots[slot.slot :]
        if any(s.column in self._layout.tied or self._sum(s.branches) is None for s in slots):
            return None
        if not slots:
            return 1
        branches = slots[0].branches
        sizes = tuple(1 if isinstance(branches, Plain) else self._points(b) or 0 for b in branches)
        group = self._layout.groups[slot.many.group]
        return arrangements(sizes, len(slots), group, slot.memory)
