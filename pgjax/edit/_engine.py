"""Applies rules to a value: left to right, validators last, all or nothing (nothing is ever changed in place)."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pgjax._errors import FieldTypeError, UriError, shorten, show
from pgjax._keypath import Path
from pgjax.edit._history import with_history
from pgjax.edit._parts import put
from pgjax.edit._uri import from_uri
from pgjax.edit._work import PatchError, Step, Value, failure, name_of
from pgjax.symbolic import Dict, List, Object, Placeholder
from pgjax.symbolic._update import apply_rule

T = TypeVar('T')

_MAX_DEPTH = 100  # patches that return patches, and lists in lists

Check = tuple[Callable[[Any], Any], Step]


def patch(x: T, rule: Any) -> T:
    """A changed copy of `x` by one rule or a list of them (PyGlove's changes in place).

    Args:
      x: any pytree. If it is a hole between candidates, each of them is patched.
      rule: a mapping from paths to values (`{'': v}` replaces all of `x`), a function of `(path, value)` or
        `(path, value, parent)` as in `rebind`, a patch (made by `pg.patcher`, `lens.over`, `pg.diff`), a URI,
        None, a hole whose candidates are rules, or a list of rules. Lists are applied left to right, each rule to
        what the one before it made; validators run when all is done.

    Returns:
      The patched value; `x` itself where nothing changes. If a rule is a hole, a hole between patched values.

    Raises:
      UriError: a URI cannot be read. All of them are read before anything else happens.
      PatchError: a patch or its validator failed; its `__cause__` is the error.
      PathError, FieldTypeError, FieldValueError: a mapping or function does not fit.

    >>> import pgjax as pg
    >>> @pg.patcher(name='doc.widen')
    ... def widen(exp, by: int = 2):
    ...   return pg.lens('**.units').over(lambda units: by * units)
    >>> base = pg.Dict(model=pg.Dict(units=8), steps=10)
    >>> pg.patch(base, ['doc.widen?3', widen(), {'steps': 20}])
    {'model': {'units': 48}, 'steps': 20}
    """
    steps: list[Step] = []
    _flatten(Step(rule), steps, ())
    steps = [_ready(step) for step in steps]
    result = _run(x, steps[::-1], [])
    return with_history(result, x, [step.rule for step in steps])


def _flatten(step: Step, out: list[Step], place: tuple[int, ...]) -> None:
    """Appends the rules in a rule: those of lists and chains, however nested, without None."""
    rules = step.rule._chained() if getattr(type(step.rule), '__pg_patch__', False) else None
    if type(step.rule) in (list, tuple, List):
        rules = step.rule
    if rules is None:
        if step.rule is not None:
            out.append(step)
        return
    if len(place) >= _MAX_DEPTH:
        raise FieldTypeError(f'A list of patches nests more than {_MAX_DEPTH} deep, or contains itself.')
    for index, rule in enumerate(rules):
        here = (*place, index)
        label = f' (index {index})' if not place else f' (index {"".join(f"[{i}]" for i in here)})'
        _flatten(dataclasses.replace(step, rule=rule, place=label), out, here)


def _ready(step: Step) -> Step:
    """The step with its URI read.

    Raises:
      UriError: the URI cannot be read.
      FieldTypeError: the rule is none.
    """
    rule = step.rule
    if isinstance(rule, str):
        try:
            return dataclasses.replace(step, rule=from_uri(rule))
        except UriError as error:
            if not step.place:
                raise
            raise UriError(f'Patch {shorten(rule)!r}{step.place}: {error}') from None
    known = getattr(type(rule), '__pg_patch__', False) or isinstance(rule, Mapping) or _branches(rule)
    if known or (callable(rule) and not isinstance(rule, (type, Object, Placeholder))):
        return step
    if isinstance(rule, type):
        cure = f'{rule.__name__} is a class; write {rule.__name__}(...)'
    else:
        cure = "to replace the whole value write {'': value}"
    raise FieldTypeError(
        'A patch rule is a mapping of paths, a function of (path, value), a patch, a URI, or a list of these, not '
        f'{type(rule).__name__} {show(rule)}{step.place}; {cure}.'
    )


def _branches(value: Any) -> bool:
    """Whether a value is a hole between candidates, so that a patch can go to each of them."""
    return isinstance(value, Placeholder) and hasattr(value, '_with') and hasattr(value, 'candidates')


def _each(hole: Any, function: Callable[[Any], Any]) -> Any:
    """The same decision between `function` of each candidate; holes inside candidates stay holes."""
    made = [function(candidate) for candidate in hole.candidates]
    return hole if all(map(operator.is_, made, hole.candidates)) else hole._with(made)


def _run(value: Any, pending: list[Step], checks: list[Check]) -> Any:
    """Applies the pending steps (the next one last), then the checks."""
    while pending:
        if _branches(value) and not getattr(pending[-1].rule, '__pg_whole__', False):
            return _each(value, lambda candidate: _run(candidate, list(pending), list(checks)))
        step = pending.pop()
        if _branches(step.rule):
            return _branched(value, step, pending, checks)
        result = _apply(value, step, checks)
        if isinstance(result, Value):
            value = result.value
        else:
            pending.extend(result)
    _check(value, checks)
    return value


def _branched(value: Any, step: Step, pending: list[Step], checks: list[Check]) -> Any:
    """A hole between rules: the hole between what each of them, and all that follows, makes of the value."""
    return _each(step.rule, lambda rule: _run(value, [*pending, *_expanded(rule, step)], list(checks)))


def _expanded(rule: Any, step: Step) -> list[Step]:
    """A candidate of a hole between rules, as steps in the order of a stack."""
    if step.patch is not None:
        return [dataclasses.replace(step, rule=rule)]
    steps: list[Step] = []
    _flatten(dataclasses.replace(step, rule=rule), steps, ())
    return [_ready(dataclasses.replace(s, place=step.place)) for s in steps][::-1]


def _apply(value: Any, step: Step, checks: list[Check]) -> Value | list[Step]:
    """The new value, or the steps to take instead (in the order of a stack)."""
    if step.patch is None:
        try:
            return _apply_rule(value, step.rule, step, checks)
        except PatchError:
            raise
        except Exception as error:
            if step.place:
                error.add_note(f'raised by the patch rule{step.place}')
            raise
    try:
        result = _returned(value, step, checks)
        return result if isinstance(result, (Value, list)) else _apply_rule(value, result, step, checks)
    except Exception as error:
        failed = failure(dataclasses.replace(step, rule=step.patch), error)
        raise failed from (None if failed is error else error)


def _apply_rule(value: Any, rule: Any, step: Step, checks: list[Check]) -> Value | list[Step]:
    if isinstance(rule, Mapping):
        return Value(put(value, {Path.parse(path): new for path, new in rule.items()}))
    if not getattr(type(rule), '__pg_patch__', False):
        return Value(apply_rule(value, rule))
    step = dataclasses.replace(step, rule=rule)
    if step.depth >= _MAX_DEPTH:
        raise PatchError(f'Patch {name_of(rule)} returns patches without end: more than {_MAX_DEPTH} levels.')
    chained = rule._chained()
    if chained is not None:
        return _expanded(list(chained), dataclasses.replace(step, patch=None, depth=step.depth + 1))
    try:
        result = rule._rewrite(value)
    except Exception as error:
        failed = failure(step, error)
        raise failed from (None if failed is error else error)
    checks.extend((check, step) for check in rule._checks())
    return result if isinstance(result, Value) else [Step(result, step.place, rule, step.depth + 1)]


def _returned(value: Any, step: Step, checks: list[Check]) -> Any:
    """What a patcher's body returned: a Value, steps, or one rule that is not a list."""
    result = step.rule
    if type(result) is tuple and len(result) == 2 and callable(result[1]) and not isinstance(result[1], (type, Object)):
        result, check = result
        checks.append((check, dataclasses.replace(step, rule=step.patch)))
    if result is value:
        return Value(value)
    if result is None:
        raise PatchError(
            f'Patch {name_of(step.patch)}{step.place} returned None. Values are immutable: return the changed copy '
            '(return exp.rebind(...)), or [] for no change.'
        )
    if type(result) is list or (type(result) is List and type(value) is not List):
        if step.depth >= _MAX_DEPTH:
            raise PatchError(f'Patch {name_of(step.patch)} returns lists without end: more than {_MAX_DEPTH} levels.')
        return [dataclasses.replace(step, rule=rule, depth=step.depth + 1) for rule in result if rule is not None][::-1]
    if isinstance(result, str):
        return from_uri(result)
    is_value = type(result) is Dict and type(value) is Dict
    is_rule = isinstance(result, Mapping) or getattr(type(result), '__pg_patch__', False)
    if (is_rule and not is_value) or (callable(result) and not isinstance(result, (type, Object, Placeholder))):
        return result
    return [dataclasses.replace(step, rule=result)] if _branches(result) else Value(result)


def _check(value: Any, checks: list[Check]) -> None:
    """Runs validators; for a hole between candidates, on each of them."""
    if _branches(value) and checks:
        for candidate in value.candidates:
            _check(candidate, checks)
        return
    for check, step in checks:
        try:
            refused = check(value) is False
        except Exception as error:
            raise failure(step, error, 'The validator of patch') from error
        if refused:
            raise PatchError(f'The validator of patch {name_of(step.rule)}{step.place} returned False for the result.')
