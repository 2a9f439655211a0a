"""Points as dictionaries and as lists of numbers, in PyGlove's views: what people read, write and exchange."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import jax
import numpy as np

from pgjax._errors import DnaError, SpaceError, did_you_mean, show
from pgjax.space._dna import DNA
from pgjax.space._order import Order
from pgjax.space._plan import Decision, Layout, gene_of, same_literal
from pgjax.space._scales import float_gene, float_value, float_values, int_value
from pgjax.symbolic import eq

KeyType = Literal['name_or_id', 'id']
ValueType = Literal['value', 'choice', 'literal', 'choice_and_literal']
MultiChoiceKey = Literal['subchoice', 'parent', 'both']
_CHOICE = re.compile(r'(\d+)/(\d+)(?: \((.*)\))?', re.DOTALL)


def to_dict(
    layout: Layout,
    dna: DNA,
    mask: np.ndarray,
    key_type: KeyType = 'name_or_id',
    value_type: ValueType = 'value',
    multi_choice_key: MultiChoiceKey = 'subchoice',
    include_inactive_decisions: bool = False,
    filter_fn: Callable[[Decision], bool] | None = None,
) -> dict[str, Any]:
    """The decisions of one point on the host, of which `mask` says whether they are in use."""
    _one_of('key_type', key_type, KeyType)
    _one_of('value_type', value_type, ValueType)
    _one_of('multi_choice_key', multi_choice_key, MultiChoiceKey)
    result: dict[str, Any] = {}
    collected: set[str] = set()  # keys whose values are lists
    for decision in layout.decisions:
        if filter_fn is not None and not filter_fn(decision):
            continue
        used = mask[gene_of(layout.num_choices, decision)]
        value = _value(decision, dna, value_type) if used else None
        for key in _keys(decision, key_type, multi_choice_key):
            if not used:
                if include_inactive_decisions:
                    result.setdefault(key, None)
            elif key in result and result[key] is not None:
                result[key] = [*(result[key] if key in collected else [result[key]]), value]
                collected.add(key)
            else:
                collects = decision.slot is not None and key != decision.id
                result[key] = [value] if collects else value
                collected |= {key} if collects else set()
    return result


def _one_of(name: str, value: Any, choices: Any) -> None:
    if value not in choices.__args__:
        raise SpaceError(f'{name} must be one of {", ".join(map(repr, choices.__args__))}, got {show(value)}.')


def _keys(decision: Decision, key_type: KeyType, multi_choice_key: MultiChoiceKey) -> list[str]:
    """Where a decision goes: a slot under its own key, under its parent's, or both."""
    named = key_type == 'name_or_id' and decision.name is not None
    own = decision.label if key_type == 'name_or_id' else decision.id
    if decision.slot is None or multi_choice_key == 'subchoice':
        return [own]
    parent = own if named else decision.parent or ''
    return [parent] if multi_choice_key == 'parent' or named else [parent, own]


def _value(decision: Decision, dna: DNA, value_type: ValueType) -> Any:
    if decision.kind == 'float':
        return float_value(float(dna.floats[decision.column]), decision)
    gene = int(dna.choices[decision.column])
    if decision.kind == 'int':
        return int_value(gene, decision)
    if value_type == 'value':
        return gene
    literal = decision.literal(gene)
    choice = f'{gene}/{decision.arity}'
    if value_type == 'choice':
        return choice
    is_plain = value_type == 'literal' and not decision.is_ambiguous(gene)
    return literal if is_plain else f'{choice} ({literal})'


def to_columns(layout: Layout, dna: DNA, mask: np.ndarray) -> dict[str, np.ma.MaskedArray]:
    """The decisions of P points on the host as columns, masked where a point does not use them."""
    columns: dict[str, np.ma.MaskedArray] = {}
    labels = [d.label for d in layout.decisions]
    for decision in layout.decisions:
        label = decision.label if labels.count(decision.label) == 1 else decision.id
        gene = gene_of(layout.num_choices, decision)
        if decision.kind == 'float':
            values = float_values(dna.floats[:, decision.column].astype(np.float64), decision)
        elif decision.kind == 'int':
            values = np.array([int_value(g, decision) for g in dna.choices[:, decision.column].tolist()])
        else:
            values = dna.choices[:, decision.column]
        columns[label] = np.ma.MaskedArray(values, mask=~mask[:, gene])
    return columns


def from_dict(layout: Layout, values: Mapping[str, Any], use_ints_as_literals: bool = False) -> DNA:
    """The DNA of a dictionary in any view; decisions that a point does not use may be left out, or None."""
    if not isinstance(values, Mapping):
        raise DnaError(
            f'Expected a dictionary of decisions, or a list of them, got {type(values).__name__} {show(values)}; '
            'see space.to_dict, and space.from_numbers for lists of numbers.'
        )
    given = _given(layout, values)
    dna = DNA(np.zeros(layout.num_choices, np.int32), np.zeros(layout.num_floats, np.float32))
    for position, value in given.items():
        _set(layout.decisions[position], value, dna, use_ints_as_literals)
    needed = {gene_of(layout.num_choices, d): i for i, d in enumerate(layout.decisions)}
    for gene in Order(layout).walk(_reader(layout, dna)):
        decision = layout.decisions[needed[gene]]
        if needed[gene] not in given:
            raise DnaError(f'The decision {decision.label!r} is missing: the point uses it and no value was given.')
    return dna


def _reader(layout: Layout, dna: DNA) -> Callable[[int], Any]:
    """Reads the genes of a point on the host."""
    c = layout.num_choices
    return lambda gene: int(dna.choices[gene]) if gene < c else float(dna.floats[gene - c])


def _given(layout: Layout, values: Mapping[str, Any]) -> dict[int, Any]:
    """Which decisions a dictionary gives values for, by position: each key is a name, an id, or a parent's id."""
    known: dict[str, list[int]] = {}
    for position, decision in enumerate(layout.decisions):
        names = dict.fromkeys(n for n in (decision.name, decision.id, decision.parent) if n is not None)
        for name in names:
            known.setdefault(name, []).append(position)
    given: dict[int, Any] = {}
    for name, value in values.items():
        positions = known.get(name)
        if positions is None:
            labels = [d.label for d in layout.decisions]
            raise DnaError(
                f'Unknown decision {show(name)}; the known names are {show(labels)}.' + did_you_mean(str(name), known)
            )
        if value is None:
            continue
        value = _plain(value)
        several = value if isinstance(value, (list, tuple)) else [value]
        if len(several) > len(positions) or (len(positions) > 1 and several is not value):
            raise DnaError(f'{name}: expected a list of {len(positions)} decisions, got {show(value)}.')
        given.update(zip(positions, several, strict=False))
    return {position: value for position, value in given.items() if value is not None}


def _plain(value: Any) -> Any:
    """The number of an array without axes, the list of one with; anything else as it is."""
    if not isinstance(value, (np.ndarray, jax.Array)):
        return value
    try:
        return np.asarray(value).tolist()
    except jax.errors.TracerArrayConversionError:
        raise DnaError(f'Expected a value, got {show(value)}, known only inside a JAX transformation.') from None


def listed(numbers: Any) -> list[Any]:
    """What `from_numbers` was given as a list. Arrays have one dtype: there, whole floats may be indices."""
    plain = _plain(numbers)
    if plain is not numbers and isinstance(plain, list):
        if np.ndim(numbers) > 1:
            return list(np.asarray(numbers))
        return [int(n) if isinstance(n, float) and n.is_integer() else n for n in plain]
    if not isinstance(plain, Iterable) or isinstance(plain, (str, bytes, Mapping)):
        raise DnaError(
            f'Expected a list of numbers, or a list of such lists, got {type(numbers).__name__} {show(numbers)}; '
            'see space.to_numbers, and space.from_dict for dictionaries.'
        )
    return list(plain)


def _set(decision: Decision, value: Any, dna: DNA, use_ints_as_literals: bool) -> None:
    if decision.kind == 'float':
        if not _is_number(value) or not decision.low <= value <= decision.high:
            raise DnaError(
                f'{decision.label}: expected a float in [{decision.low}, {decision.high}], got {show(value)}.'
            )
        dna.floats[decision.column] = float_gene(float(value), decision)
    elif decision.kind == 'int':
        dna.choices[decision.column] = _int_gene(decision, value)
    else:
        dna.choices[decision.column] = _choice_gene(decision, value, use_ints_as_literals)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _int_gene(decision: Decision, value: Any) -> int:
    is_float = isinstance(decision.low, float)
    fits = _is_number(value) and (is_float or isinstance(value, (int, np.integer)))
    fits = fits and decision.low - decision.step <= value <= decision.high + decision.step
    gene = round((value - decision.low) / decision.step) if fits else -1  # far away, it could overflow
    near = 0 <= gene < (decision.arity or 1) and math.isclose(int_value(gene, decision), value, abs_tol=1e-12)
    if not near:
        kind = 'a float' if is_float else 'an int'
        steps = '' if decision.step == 1 else f' in steps of {decision.step}'
        raise DnaError(
            f'{decision.label}: expected {kind} in [{decision.low}, {decision.high}]{steps}, got {show(value)}.'
        )
    return gene


def _choice_gene(decision: Decision, value: Any, use_ints_as_literals: bool) -> int:
    """The index that an index, a 'choice', a 'literal' or a 'choice_and_literal' stands for."""
    arity = decision.arity or 1
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and not use_ints_as_literals:
        if 0 <= value < arity:
            return int(value)
    else:
        literals = decision.literals
        is_literal = isinstance(value, (str, int, float, np.number))
        called = [i for i, literal in enumerate(literals) if is_literal and same_literal(literal, value)]
        if called:
            return _only(decision, called, value)
        match = _CHOICE.fullmatch(value) if isinstance(value, str) else None
        if match and int(match[2]) == arity and int(match[1]) < arity:
            index = int(match[1])
            if match[3] is None or match[3] == str(literals[index]):
                return index
    raise DnaError(
        f'{decision.label}: expected an int in [0, {arity - 1}], a text like {f"0/{arity}"!r} or one of the literals '
        f'{show(list(decision.literals[:8]))}, got {type(value).__name__} {show(value)}.'
    )


def _only(decision: Decision, called: list[int], value: Any) -> int:
    """The first of the candidates that are called `value`, which are equal, or called the same since they are long."""
    first, *others = (decision.candidates[index] for index in called)
    if not all(eq(first, other) for other in others):
        raise DnaError(
            f'{decision.label}: {len(called)} candidates are called {show(value)}; say which one by its index, '
            f'{called[0]}, or by {f"{called[0]}/{decision.arity}"!r}.'
        )
    return called[0]


def to_numbers(layout: Layout, dna: DNA) -> list[int | float]:
    """The values in use of one point on the host, in the order in which its decisions are met."""
    by_gene = {gene_of(layout.num_choices, d): d for d in layout.decisions}
    return [_value(by_gene[gene], dna, 'value') for gene in Order(layout).walk(_reader(layout, dna))]


def from_numbers(layout: Layout, numbers: Iterable[int | float]) -> DNA:
    """The inverse of `to_numbers`: reads as many numbers as the decisions made so far call for.

    Raises:
      DnaError: too few or too many numbers, or one that does not fit its decision.
    """
    given = [_plain(number) for number in numbers]
    by_gene = {gene_of(layout.num_choices, d): d for d in layout.decisions}
    dna = DNA(np.zeros(layout.num_choices, np.int32), np.zeros(layout.num_floats, np.float32))
    order, read = Order(layout), _reader(layout, dna)
    state, position = order.start, 0
    while (step := order.step(state)) is not None:
        decision = by_gene[step.gene]
        if position == len(given):
            raise DnaError(
                f'Expected length more than {len(given)}, got {len(given)} numbers: {decision.label} has none.'
            )
        number = given[position]
        if decision.kind == 'choice' and (isinstance(number, bool) or not isinstance(number, (int, np.integer))):
            raise DnaError(
                f'{decision.label}: expected an int in [0, {(decision.arity or 1) - 1}], got {show(number)}.'
            )
        _set(decision, number, dna, False)
        if decision.kind == 'choice' and read(step.gene) not in step.values:
            raise DnaError(
                f'{decision.label}: {number} breaks the rules of its group; free values: {show(step.values)}.'
            )
        state, position = step.follow(read(step.gene)), position + 1
    if position < len(given):
        raise DnaError(f'Expected length {position}, got {len(given)} numbers: the point uses no more decisions.')
    return dna
