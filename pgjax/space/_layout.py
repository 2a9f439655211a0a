"""Compiles a template into a layout: one walk that numbers decisions in the order in which they are met."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from pgjax._errors import SpaceError, note_place, show
from pgjax._keypath import Path
from pgjax.space import _modes
from pgjax.space._holes import OPERATIONS, Custom, Derived, Expression, FloatV, Hole, IntV, ManyOf, OneOf
from pgjax.space._plan import (
    Choice,
    Computed,
    Constant,
    ConstrainedGroup,
    Decision,
    Inner,
    Kind,
    Layout,
    Many,
    Node,
    Number,
    Plain,
    gene_of,
)
from pgjax.symbolic import List, Object, children

Where = Callable[[Hole], bool] | None
_ATOMS = frozenset({int, float, str, bool, type(None), bytes, complex})


@dataclasses.dataclass(slots=True)
class _Place:
    """What the walk knows of the place it is at."""

    id: str = ''
    condition: tuple[int, int] | None = None
    traced: bool = False  # the field makes ints and bools leaves
    switch: bool = False  # the field dispatches its callables
    static: bool = False  # the field makes everything structure
    tie: Any = None  # of the outermost shared hole around: its name, or the identity of an expression's argument
    tied_at: int = 0  # how much of `id` leads to that hole


def _within(at: _Place, step: str, condition: tuple[int, int] | None = None) -> _Place:
    return _Place(at.id + step, condition or at.condition, at.traced, at.switch, at.static, at.tie, at.tied_at)


def build(template: Any, where: Where = None) -> Layout:
    """The layout of a template.

    Raises:
      SpaceError: there is no decision in it, two holes of one name differ, or it is too deep.
    """
    builder = _Builder(where)
    try:
        root = builder.node(template, _Place())
        builder.resolve(root)
        structural = _modes.assign(root) if builder.decisions else set()
    except RecursionError:
        raise SpaceError('The template is nested too deeply for a search space (about 150 levels of holes).') from None
    if not builder.decisions:
        raise SpaceError(
            'There are no decision points: the template holds no hole that `where` selects. '
            'Put pg.oneof, pg.floatv, pg.intv or pg.manyof where a value may vary.'
        )
    genes = [gene_of(builder.num_choices, d) for d in builder.decisions]
    decisions = tuple(
        dataclasses.replace(d, structural=True) if (d.kind == 'float', d.column) in structural else d
        for d in builder.decisions
    )
    tied = frozenset(genes[i] for i in builder.met_again)
    return Layout(root, decisions, tuple(builder.groups), builder.num_choices, builder.num_floats, tied)


class _Builder:
    """Walks a template once."""

    def __init__(self, where: Where):
        self.where = where
        self.decisions: list[Decision] = []
        self.groups: list[ConstrainedGroup] = []
        self.num_choices = 0
        self.num_floats = 0
        self.specified: dict[str, Hole] = {}  # what the first hole of each name was
        self.shared: dict[tuple[Any, str], int] = {}  # (tie, the way down from it) -> decision or group
        self.met_again: set[int] = set()
        self.derived: list[tuple[Computed, Derived, str]] = []

    def node(self, value: Any, at: _Place) -> Node:
        """The plan of one part of the template."""
        if isinstance(value, Hole):
            return self.hole(value, at)
        parts = children(value)
        if not parts:
            return Constant(value)
        is_object = isinstance(value, Object)
        built, checks, loose = [], {}, False
        for key, part in parts:
            if part.__class__ in _ATOMS:
                continue
            place = self.field(value, key, at) if is_object else _within(at, _step(key, at))
            node = self.node(part, place)
            if not isinstance(node, Constant):
                built.append((key, node))
                if node.loose and is_object:
                    checks[key] = type(value).__pg_fields__[key].spec
                loose = loose or (node.loose and not is_object)
        return Inner(value, tuple(built), checks, loose) if built else Constant(value)

    def field(self, parent: Object, key: str, at: _Place) -> _Place:
        field = type(parent).__pg_fields__[key]
        static = at.static or field.info.static
        dispatch = field.info.dispatch == 'switch'
        return _Place(at.id + _step(key, at), at.condition, field.info.traced, dispatch, static, at.tie, at.tied_at)

    def hole(self, hole: Hole, at: _Place) -> Node:
        if isinstance(hole, Expression):
            return self.expression(hole, at)
        if isinstance(hole, Derived):
            return self.derivation(hole, at)
        if self.where is not None and not self.where(hole):
            return Constant(hole)
        if hole.name is not None:
            self.specify(hole, at)
            at = dataclasses.replace(at, tie=hole.name, tied_at=len(at.id))
        elif isinstance(hole, OneOf) and hole.origin is not None:
            at = dataclasses.replace(at, tie=id(hole.origin), tied_at=len(at.id))
        if isinstance(hole, OneOf):
            return self.choice(hole.candidates, hole, at)
        if isinstance(hole, ManyOf):
            return self.many(hole, at)
        if isinstance(hole, (FloatV, IntV)):
            return self.number(hole, at)
        if isinstance(hole, Custom):
            return self.custom(hole, at)
        raise SpaceError(f'{at.id or "the root"}: {type(hole).__name__} is no hole that a space knows.')

    def specify(self, hole: Hole, at: _Place) -> None:
        """Checks that holes of one name are equal; results of arithmetic are compared by what they came from."""
        origin = hole.origin if isinstance(hole, OneOf) and hole.origin is not None else hole
        other = self.specified.setdefault(hole.name or '', origin)
        if other is not origin and other != origin:
            raise SpaceError(
                f'{at.id or "the root"}: another decision has the name {hole.name!r} and a different specification '
                f'({show(other)} against {show(origin)}). Give equal holes one name, different ones different names.'
            )

    def add(self, hole: Hole, at: _Place, kind: Kind, **about: Any) -> Decision:
        """A new decision, or the one that is tied to this place, which then applies here too."""
        key = (at.tie, at.id[at.tied_at :])
        position = self.shared.get(key) if at.tie is not None else None
        here = () if at.condition is None else (at.condition,)
        if position is not None:
            decision = self.decisions[position]
            self.met_again.add(position)
            if not decision.conditions or at.condition in decision.conditions:
                return decision
            here = (*decision.conditions, *here) if here else ()
            decision = self.decisions[position] = dataclasses.replace(decision, conditions=here)
            return decision
        if kind == 'float':
            column, self.num_floats = self.num_floats, self.num_floats + 1
        else:
            column, self.num_choices = self.num_choices, self.num_choices + 1
        decision = Decision(at.id, hole.name, kind, column, conditions=here, hints=hole.hints, **about)
        if at.tie is not None:
            self.shared[key] = len(self.decisions)
        self.decisions.append(decision)
        return decision

    def choice(self, candidates: Any, hole: Hole, at: _Place, **about: Any) -> Choice:
        number = len(candidates)
        decision = self.add(hole, at, 'choice', arity=number, candidates=candidates, **about)
        branches: Any = Plain(candidates)
        if not all(c.__class__ in _ATOMS for c in candidates):
            built = [
                self.node(c, _within(at, f'[={index}/{number}]', (decision.column, index)))
                for index, c in enumerate(candidates)
            ]
            if not all(isinstance(b, Constant) for b in built):
                branches = tuple(built)
        loose = not isinstance(branches, Plain) and any(b.loose for b in branches)
        return Choice(decision.column, branches, at.traced, at.switch, at.static, loose=loose)

    def many(self, hole: ManyOf, at: _Place) -> Many:
        key = (at.tie, at.id[at.tied_at :] + '[]')  # apart from the key of a single slot
        known = self.shared.get(key) if at.tie is not None else None
        group = len(self.groups) if known is None else known
        if known is None:
            self.groups.append(ConstrainedGroup((), len(hole.candidates), hole.distinct, hole.sorted))
            if at.tie is not None:
                self.shared[key] = group
        places = [at] if hole.k == 1 else [_within(at, f'[{slot}]') for slot in range(hole.k)]
        slots = tuple(
            self.choice(hole.candidates, hole, place, group=group, slot=None if hole.k == 1 else slot)
            for slot, place in enumerate(places)
        )
        columns = tuple(s.column for s in slots)
        self.groups[group] = dataclasses.replace(self.groups[group], columns=columns)
        return Many(slots, hole.as_tuple, group, any(s.loose for s in slots))

    def number(self, hole: FloatV | IntV, at: _Place) -> Number:
        about: dict[str, Any] = {'low': hole.low, 'high': hole.high, 'scale': hole.scale}
        if isinstance(hole, FloatV) and hole.step is None:
            column = self.add(hole, at, 'float', arity=None, **about).column
            return Number('float', column, **about, step=0.0, arity=0, as_float=True, traced=True, static=at.static)
        step = hole.step or 1
        arity = round((hole.high - hole.low) / step) + 1
        column = self.add(hole, at, 'int', arity=arity, step=step, **about).column
        as_float = isinstance(hole, FloatV) or hole.as_float
        traced = at.traced or as_float
        return Number(
            'int', column, **about, step=step, arity=arity, as_float=as_float, traced=traced, static=at.static
        )

    def expression(self, hole: Expression, at: _Place) -> Node:
        several = sum(isinstance(arg, Hole) for arg in hole.args) > 1
        parts = []
        for index, arg in enumerate(hole.args):
            place = _within(at, f'[{index}]') if several else at
            if isinstance(arg, Hole) and arg.name is None and not isinstance(arg, (Expression, Derived)):
                place = dataclasses.replace(place, tie=id(arg), tied_at=len(place.id))
            node = self.node(arg, place)
            if not isinstance(node, Constant):
                parts.append((index, node))
        if not parts:
            return Constant(hole)
        source = Inner(hole.args, tuple(parts), {})
        fn = OPERATIONS[hole.fn] if isinstance(hole.fn, str) else hole.fn
        inverse = _modes.inverse(hole, parts)

        def remake(args: Any) -> Any:
            return Expression(hole.name, hole.hints, hole.fn, list(args))

        return Computed(lambda args: fn(*args), inverse, source, remake, True, at.traced, at.static)

    def custom(self, hole: Custom, at: _Place) -> Node:
        source = self.node(hole.parts, at)
        if isinstance(source, Constant):
            return Constant(hole)

        def decode(parts: Any) -> Any:
            try:
                return hole.decode(parts)
            except Exception as error:
                note_place(error, 'decode of pg.custom', at.id)
                raise

        def remake(parts: Any) -> Any:
            return Custom(hole.name, hole.hints, parts, hole.decode, hole.encode)

        return Computed(decode, hole.encode, source, remake, True, at.traced, at.static)

    def derivation(self, hole: Derived, at: _Place) -> Node:

        def apply(args: Any) -> Any:
            try:
                return hole.fn(*args)
            except Exception as error:
                note_place(error, 'the function of pg.derive', at.id)
                raise

        node = Computed(apply, None, Constant(None), lambda _: hole, False, at.traced, at.static)
        self.derived.append((node, hole, at.id))
        return node

    def resolve(self, root: Node) -> None:
        """Ties derived values to the nodes that their paths lead to, once all nodes are there."""
        for node, hole, where in self.derived:
            sources = [_modes.reference(root, Path.parse(p), where) for p in hole.paths]
            node.source = Inner(List._of([None] * len(sources)), tuple(enumerate(sources)), {})
        _modes.refuse_cycles([(node, where) for node, _, where in self.derived])


def _step(key: Any, at: _Place) -> str:
    """One more key of an id, in the form of a path."""
    if isinstance(key, str) and key.isidentifier():
        return f'.{key}' if at.id else key
    return str(Path((key,)))
