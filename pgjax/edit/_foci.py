"""Finds the parts that a lens means: one walk from the root, whatever the number of steps.

The steps are read as a pattern: each part is visited once, with the set of steps that may come next there. A part
that is a focus is not entered, so foci never lie inside one another and can all be set together.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from pgjax._errors import note_place
from pgjax.edit._parts import foreign_parts
from pgjax.edit._spots import Spot
from pgjax.edit._steps import Anywhere, Deep, Each, Step
from pgjax.symbolic import children
from pgjax.symbolic._cycles import refuse_cycles
from pgjax.symbolic._locate import NOWHERE, find_part, index_of
from pgjax.symbolic._spec import ATOMS


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """What some steps mean at a part, before looking at it.

    Attributes:
      is_focus: the part is a focus.
      leaves: leaves at or below the part are foci.
      named: keys to enter, each with the step after it.
      onward: the steps that go on in every part below.
      conditions: the steps that ask something about the part; if it holds, the step after is taken here too.
      is_idle: a leaf is of no interest here.
    """

    is_focus: bool
    leaves: bool
    named: list[tuple[Any, int]]
    onward: tuple[int, ...]
    conditions: tuple[int, ...]
    is_idle: bool


def find_foci(root: Any, steps: tuple[Step, ...]) -> list[Spot]:
    """The parts that `steps` lead to, in the order of a walk from the root; none lies inside another."""
    if all(isinstance(step, (str, int)) for step in steps):
        return _find_one(root, steps)
    refuse_cycles(root)
    found: list[Spot] = []
    plans: dict[tuple[int, ...], _Plan] = {}
    pending: list[tuple[Spot, tuple[int, ...]]] = [(Spot(None, None, root), (0,))]
    while pending:
        spot, states = pending.pop()
        plan = plans.get(states) or _plan(steps, states, plans)
        if plan.conditions:
            plan = _asked(plan, spot, steps, states, plans)
        if plan.is_focus:
            found.append(spot)
            continue
        if not (plan.onward or plan.leaves):
            pending.extend(_named_parts(spot, plan.named))
            continue
        below = _parts(spot.value)
        if below is None:
            if plan.leaves:
                found.append(spot)
            continue
        nexts = _positions(spot.value, plan.named) if plan.named else {}
        idle = (plans.get(plan.onward) or _plan(steps, plan.onward, plans)).is_idle
        for key, part in reversed(below):
            if key in nexts:
                pending.append((Spot(spot, key, part), (*plan.onward, *nexts[key])))
            elif not (idle and part.__class__ in ATOMS):
                pending.append((Spot(spot, key, part), plan.onward))
    return found


def _find_one(root: Any, keys: tuple[Any, ...]) -> list[Spot]:
    spot = Spot(None, None, root)
    for key in keys:
        below = _named_parts(spot, [(key, 0)])
        if not below:
            return []
        spot = below[0][0]
    return [spot]


def _asked(plan: _Plan, spot: Spot, steps: tuple[Step, ...], states: tuple[int, ...], plans: dict[Any, _Plan]) -> _Plan:
    """The plan for a part once its conditions, and those they lead to, are answered."""
    parent = spot.parent.value if spot.parent else None
    asked: set[int] = set()
    while len(asked) < len(plan.conditions):
        for index in plan.conditions:
            if index not in asked:
                asked.add(index)
                try:
                    holds = steps[index].holds(spot.value, parent)  # type: ignore[union-attr]
                except Exception as error:
                    note_place(error, 'the condition of a lens', spot.path)
                    raise
                if holds:
                    states = (*states, index + 1)
        plan = _plan(steps, states, plans)
    return plan


def _plan(steps: tuple[Step, ...], states: tuple[int, ...], plans: dict[Any, _Plan]) -> _Plan:
    """What the steps `states` mean; each set of them is thought through once."""
    known = plans.get(states)
    if known is not None:
        return known
    named: list[tuple[Any, int]] = []
    onward: list[int] = []
    conditions: list[int] = []
    is_focus = leaves = False
    todo, seen = list(states), set()
    while todo:
        index = todo.pop()
        if index in seen:
            continue
        seen.add(index)
        if index == len(steps):
            is_focus = True
            continue
        step = steps[index]
        if isinstance(step, Each):
            onward.append(index + 1)
        elif isinstance(step, Deep):
            onward.append(index)
            if index + 1 == len(steps):
                leaves = True
            else:
                todo.append(index + 1)
        elif isinstance(step, Anywhere):
            onward.append(index)
            conditions.append(index)
        else:
            named.append((step, index + 1))
    is_idle = not (is_focus or leaves or conditions)
    plans[states] = _Plan(is_focus, leaves, named, tuple(sorted(set(onward))), tuple(conditions), is_idle)
    return plans[states]


def _positions(node: Any, named: list[tuple[Any, int]]) -> dict[Any, tuple[int, ...]]:
    """The named keys as the node spells them: positions counted from the front, NamedTuple fields by position."""
    found: dict[Any, tuple[int, ...]] = {}
    is_sequence = isinstance(node, (list, tuple))
    for key, after in named:
        if is_sequence:
            index = index_of(node, key)
            if index is None or not -len(node) <= index < len(node):
                continue
            key = index % len(node)
        found[key] = (*found.get(key, ()), after)
    return found


def _parts(value: Any) -> list[tuple[Any, Any]] | None:
    """(key, part) of what is inside, None for a leaf."""
    if value.__class__ in ATOMS:
        return None
    ours = children(value)
    return foreign_parts(value) if ours is None else ours


def _named_parts(spot: Spot, named: list[tuple[Any, int]]) -> list[tuple[Spot, tuple[int, ...]]]:
    """The parts that keys name, each with the steps after it, in the order of a stack."""
    found = []
    for key, nexts in _positions(spot.value, named).items():
        part = find_part(spot.value, key)
        if part is not NOWHERE:
            found.append((Spot(spot, key, part), nexts))
            continue
        for other, foreign in foreign_parts(spot.value) or ():
            if other == key:
                found.append((Spot(spot, key, foreign), nexts))
    order = [key for key, _ in children(spot.value) or ()] if len(found) > 1 else []
    return sorted(found, key=lambda item: order.index(item[0].key), reverse=True) if order else found
