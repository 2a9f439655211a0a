"""From objects to genes: the exact inverse of decoding, up to canonical form.

A search with an explicit stack, so that neither wide nor deep templates overflow. What is still to be matched is a
linked list; where a value fits in several ways, the others are kept and tried, the latest first, when what follows
does not fit. Branches that cannot fit are left out at once, and those that are exactly the value come first.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pgjax._errors import DnaError, show
from pgjax._keypath import Path
from pgjax.space._decode import decode_one
from pgjax.space._fit import Fits, MismatchError, Where, alike, gene_of_number, items_of, likeness, parts_of
from pgjax.space._order import Order
from pgjax.space._plan import Choice, Computed, Constant, Inner, Layout, Many, Node, Number, Plain, genes_of
from pgjax.symbolic import eq, get
from pgjax.symbolic._resolve import resolve, unresolved

_MOST_TRIED = 4096  # points of a function's arguments that are tried one by one, where it has no inverse
_MOST_FAILURES = 20_000  # after so many the search gives up: equal candidates can fit in endlessly many ways

Todo = tuple[Any, Any] | None  # (_Part, _Slot or _Open, the rest)


def encode(layout: Layout, value: Any) -> tuple[np.ndarray, np.ndarray]:
    """Choices int32[C] and floats float32[F] of the point at which `value` stands.

    Raises:
      DnaError: no point of the space decodes to `value`; the message names the path of the first difference.
    """
    encoder = _Encoder(layout)
    try:
        encoder.search(value)
    except MismatchError as error:
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


class _Part(NamedTuple):
    """A node, and the value that stands there."""

    node: Node
    value: Any
    path: Where


class _Slot(NamedTuple):
    """The slots of a `manyof` from the first one that is not `taken`."""

    many: Many
    items: Sequence[Any]
    path: Where
    taken: tuple[int, ...]


class _Way(NamedTuple):
    """One way to match: genes, what is to be matched with them, and what comes after that."""

    genes: dict[int, Any]
    part: _Part | None = None
    after: _Slot | None = None


@dataclasses.dataclass(eq=False, slots=True)
class _Open:
    """A place with several ways to match. It stands behind each of them, and is `passed` once one has matched."""

    part: _Part
    none: str  # what to say where no way matches
    ways: Iterator[_Way]
    rest: Todo
    known: int  # how many genes were known, and how many values waited, before
    later: int
    passed: bool = False


class _Encoder:
    """Finds the genes of a value part by part."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.fits = Fits()
        self.genes: dict[int, Any] = {}
        self.later: list[_Part] = []  # derived values, checked when all is known
        self.open: list[_Open] = []
        self.inside = 0  # how many of those have not been passed: the latest failure lies inside of them
        self.failures = 0
        self.first: MismatchError | None = None  # the first failure that lies inside of none

    def search(self, value: Any) -> None:
        todo: Todo = (_Part(self.layout.root, value, ()), None)
        while True:
            try:
                while todo is not None:
                    todo = self.step(*todo)
                return self.verify()
            except MismatchError as error:
                todo = self.resume(error)

    def step(self, task: Any, rest: Todo) -> Todo:
        """What is left to be matched after one more part."""
        if isinstance(task, _Open):
            self.inside -= not task.passed
            task.passed = True
            return rest
        if isinstance(task, _Slot):
            return self.slot(task, rest)
        node, value, path = task
        if isinstance(node, Constant):
            if not likeness(node.value, value):
                raise MismatchError(path, 'expected %s, got %s', node.value, value)
        elif isinstance(node, Inner):
            for part in reversed(parts_of(node, value, path)):
                rest = (_Part(*part), rest)
        elif isinstance(node, Many):
            return _Slot(node, items_of(node, value, path), path, ()), rest
        elif isinstance(node, Choice):
            return self.choice(task, rest, range(len(node.branches)), None)
        elif isinstance(node, Number):
            self.number(node, value, path)
        elif isinstance(node, Computed):
            return self.computed(task, rest)
        return rest

    def slot(self, slots: _Slot, rest: Todo) -> Todo:
        """The next slot of a `manyof`, which leaves the others fewer candidates."""
        many, items, path, taken = slots
        number = len(taken)
        if number == len(many.slots):
            return rest
        group = self.layout.groups[many.group]
        first = taken[-1] + group.distinct if group.sorted and taken else 0
        allowed: Sequence[int] = range(first, group.arity)
        if group.distinct and not group.sorted and taken:
            used = set(taken)
            allowed = [i for i in allowed if i not in used]
        return self.choice(_Part(many.slots[number], items[number], (*path, number)), rest, allowed, slots)

    def choice(self, part: _Part, rest: Todo, allowed: Sequence[int], slots: _Slot | None) -> Todo:
        """A choice among the branches that are allowed: of the next one of `slots`, or of its own."""
        node: Any = part.node
        decided = self.genes.get(node.column)
        if decided is not None:  # tied: the same decision again
            way = _way(part, decided, slots)
            return _Part(node.branches[decided], part.value, part.path), _before(way.after, rest)
        none = f'is none of the {len(node.branches)} candidates that may stand here'
        return self.try_each(part, none, (_way(part, i, slots) for i in self.fitting(node, allowed, part.value)), rest)

    def fitting(self, node: Choice, allowed: Sequence[int], value: Any) -> Iterator[int]:
        """The allowed branches that may give a value: those that give it exactly come first."""
        if isinstance(node.branches, Plain):
            return alike(node.branches.values, allowed, value)
        fits = {index: self.fits.of(node.branches[index], value) for index in allowed}
        return iter(sorted((index for index in allowed if fits[index]), key=lambda index: -fits[index]))

    def try_each(self, part: _Part, none: str, ways: Iterator[_Way], rest: Todo) -> Todo:
        opened = _Open(part, none, ways, rest, len(self.genes), len(self.later))
        self.open.append(opened)
        self.inside += 1
        return self.resume(None)

    def resume(self, error: MismatchError | None) -> Todo:
        """Goes on with another way to match the latest place that has one.

        Raises:
          MismatchError: there is none; of all failures, the one that says most.
        """
        while self.open:
            self.failures += error is not None
            if self.failures > _MOST_FAILURES:
                self.give_up()
            if error and not self.inside:
                self.first = self.first or error
            latest = self.open[-1]
            while len(self.genes) > latest.known:  # genes are only ever added
                self.genes.popitem()
            del self.later[latest.later :]
            way = next(latest.ways, None)
            if way is not None:
                self.genes.update(way.genes)
                return _before(way.part, (latest, _before(way.after, latest.rest)))
            self.open.pop()
            self.inside -= not latest.passed
            if not latest.passed:
                error = MismatchError(latest.part.path, f'%s {latest.none}', latest.part.value)
        raise self.first or error or AssertionError('there was a way')

    def give_up(self) -> None:
        self.open.clear()
        path, why = (self.first.path, self.first) if self.first else ((), 'its parts fit in too many ways')
        self.first = MismatchError(path, f'none was found in {_MOST_FAILURES:,} attempts; the first failed: {why}')
        raise self.first

    def number(self, node: Number, value: Any, path: Where) -> None:
        gene = node.column + (self.layout.num_choices if node.kind == 'float' else 0)
        found = gene_of_number(node, value, path)
        if self.genes.setdefault(gene, found) != found:
            raise MismatchError(path, 'a tied decision has another value elsewhere')

    def computed(self, part: _Part, rest: Todo) -> Todo:
        node: Any = part.node
        known = {gene + self.layout.num_choices if is_float else gene for is_float, gene in genes_of(node.source)}
        if not node.decides or known <= self.genes.keys():
            self.later.append(part)
            return rest
        if node.inverse is None:
            none = 'is what no decision found makes its function give; give pg.custom an `encode`, or encode numbers'
            return self.try_each(part, none, self.arguments(node, part.value), rest)
        self.later.append(part)
        return _Part(node.source, _called(node.inverse, part.value, part), part.path), rest

    def arguments(self, node: Computed, value: Any) -> Iterator[_Way]:
        """The arguments with which a function that has no inverse gives a value."""
        order = Order(self.layout, lambda number: number.arity or 1, node.source)
        width, floats = self.layout.num_choices, [0.0] * self.layout.num_floats
        for genes in itertools.islice(order, _MOST_TRIED):
            known = {**genes, **self.genes}
            if any(known[g] != v for g, v in genes.items()) or any(g >= width for g in genes):
                continue
            if _close(decode_one(node, [known.get(i, 0) for i in range(width)], floats), value):
                yield _Way(genes)

    def verify(self) -> None:
        """Checks the values that are computed from decisions against what the decisions give."""
        c = self.layout.num_choices
        choices = [self.genes.get(i, 0) for i in range(c)] if self.later else []
        floats = [self.genes.get(c + i, 0.0) for i in range(self.layout.num_floats)]
        for part in self.later:
            made = _called(lambda node: decode_one(node, choices, floats), part.node, part)
            if not _close(made, part.value):
                raise MismatchError(part.path, 'expected %s, which the decisions give, got %s', made, part.value)


def _way(part: _Part, index: int, slots: _Slot | None) -> _Way:
    """To choose one branch."""
    node: Any = part.node
    below = None if isinstance(node.branches, Plain) else _Part(node.branches[index], part.value, part.path)
    return _Way({node.column: index}, below, slots and slots._replace(taken=(*slots.taken, index)))


def _before(task: Any, rest: Todo) -> Todo:
    return rest if task is None else (task, rest)


def _called(fn: Any, argument: Any, part: _Part) -> Any:
    """The result of a user's function, which need not take what a wrong branch gives it."""
    try:
        return fn(argument)
    except Exception as error:
        what = f'a function that stands here refuses {show(part.value)}: {type(error).__name__}: {error}'
        raise MismatchError(part.path, what) from error


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


def _close(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-6)
    return eq(a, b)
