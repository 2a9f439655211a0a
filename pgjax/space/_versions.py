"""Spaces that change while people work on them: what changed, in words."""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

from pgjax._errors import show
from pgjax.space._plan import Decision

_ARITY = re.compile(r'\[=(\d+)/\d+\]')


@dataclasses.dataclass(frozen=True)
class Change:
    """One decision that differs between two spaces.

    Attributes:
      kind: 'added', 'removed' or 'changed'.
      decision: its name or id in the space that has it, the newer one where both have.
      detail: what it is, or what changed.
    """

    kind: Literal['added', 'removed', 'changed']
    decision: str
    detail: str

    def __str__(self) -> str:
        return f'{self.kind} {self.decision}: {self.detail}'


def compare(old: tuple[Decision, ...], new: tuple[Decision, ...]) -> list[Change]:
    """The changes from one space to another, in the order of the old decisions, then of the added ones."""
    olds, news = {_key(d): d for d in old}, {_key(d): d for d in new}
    changes = []
    for key, decision in olds.items():
        other = news.get(key)
        if other is None:
            changes.append(Change('removed', decision.label, _describe(decision)))
        elif detail := _difference(decision, other):
            changes.append(Change('changed', other.label, detail))
    added = [Change('added', d.label, _describe(d)) for key, d in news.items() if key not in olds]
    return changes + added


def _key(decision: Decision) -> str:
    """What makes two decisions the same one: where it stands, not how many candidates there are around it."""
    return _ARITY.sub(r'[=\1]', decision.id)


def _describe(decision: Decision) -> str:
    if decision.kind == 'choice':
        return f'candidates {show(list(decision.candidates))}'
    scale = '' if decision.scale == 'linear' else f', scale {decision.scale}'
    step = '' if decision.kind == 'float' or decision.step == 1 else f', step {decision.step}'
    return f'{decision.kind} in [{decision.low}, {decision.high}]{scale}{step}'


def _difference(old: Decision, new: Decision) -> str:
    before, after = _describe(old), _describe(new)
    if old.kind == new.kind == 'choice' and old.literals != new.literals:
        return f'{before} -> {after.removeprefix("candidates ")}'
    if before != after:
        return f'{before} -> {after}'
    if old.name != new.name:
        return f'name {old.name!r} -> {new.name!r}'
    if bool(old.conditions) != bool(new.conditions):
        return 'it applies always' if not new.conditions else 'it applies on conditions'
    return ''
