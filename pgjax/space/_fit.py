"""How one part of a plan stands to a value: what of the value belongs to the parts below, and how well it fits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pgjax._errors import show
from pgjax.space._plan import Choice, Constant, Inner, Many, Node, Number, Plain
from pgjax.space._scales import float_gene, float_value, int_value
from pgjax.symbolic import Object, Placeholder, children, eq
from pgjax.symbolic._bind import is_open
from pgjax.symbolic._nodes import is_list
from pgjax.symbolic._resolve import Inferred, Inherited
from pgjax.symbolic._spec import ATOMS

Where = tuple[Any, ...]  # the keys that lead to a part
NO, NEARLY, EXACTLY = 0, 1, 2


class MismatchError(Exception):
    """The value does not lie in this part of the space.

    The message is put together as late as that of a log: most are caught unread, and to show values takes long.
    """

    def __init__(self, path: Where, message: str, *values: Any):
        super().__init__(message, *values)
        self.path = path

    def __str__(self) -> str:
        message, *values = self.args
        return message % tuple(map(show, values)) if values else message


class Fits:
    """How well values fit nodes, whatever ties, groups and derived values say: NO, NEARLY or EXACTLY.

    What a function makes fits NEARLY, since only decoding shows what it makes. All is remembered: a choice looks
    ahead through everything below it, and so do the choices there.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[int, Any]] = {}  # with the value, so that its id stays its own

    def of(self, node: Node, value: Any) -> int:
        """How well one value fits one node."""
        if isinstance(node, Constant):
            return likeness(node.value, value)
        key = id(node), id(value)
        if key not in self._known:
            self._known[key] = self._found(node, value), value
        return self._known[key][0]

    def _found(self, node: Node, value: Any) -> int:
        if isinstance(node, Choice):
            branches = node.branches
            if isinstance(branches, Plain):
                return max(likeness(candidate, value) for candidate in branches.values)
            return max(self.of(branch, value) for branch in branches)
        try:
            if isinstance(node, Number):
                return EXACTLY if _decoded(node, gene_of_number(node, value, ())) == value else NEARLY
            if isinstance(node, Inner):
                return self._of_parts(node, value)
            if isinstance(node, Many):
                whole = EXACTLY if node.as_tuple is (_kind(value) is tuple) else NEARLY
                return min([whole, *map(self.of, node.slots, items_of(node, value, ()))])
        except MismatchError:
            return NO
        return NEARLY

    def _of_parts(self, node: Inner, value: Any) -> int:
        still_open = dict(node.parts)
        found = EXACTLY if _kind(node.template) is _kind(value) else NEARLY
        for key, expected, given in _paired(node, value, ()):
            part = still_open.get(key)
            found = min(found, likeness(expected, given) if part is None else self.of(part, given))
            if not found:
                break
        return found


def likeness(expected: Any, value: Any) -> int:
    """How well a value fits a part without holes."""
    if expected is value:
        return EXACTLY
    if not _fits(expected, value):
        return NO
    return EXACTLY if is_open(expected) or eq(expected, value, strict=True) else NEARLY


def alike(candidates: Sequence[Any], indices: Sequence[int], value: Any) -> Iterator[int]:
    """The indices of the candidates that are `value`: those of its type first, since 1 == True == 1.0."""
    kind = type(value)
    for strict in (True, False):
        for index in indices:
            candidate = candidates[index]
            if (type(candidate) is kind) is strict and (candidate is value or _fits(candidate, value)):
                yield index


def parts_of(node: Inner, value: Any, path: Where) -> list[tuple[Node, Any, Where]]:
    """What stands where the open parts of an object or container are.

    Raises:
      MismatchError: the value is of another kind, or differs in a part that is not open.
    """
    still_open = dict(node.parts)
    found = []
    for key, expected, given in _paired(node, value, path):
        if key in still_open:
            found.append((still_open[key], given, (*path, key)))
        elif expected is not given and not _fits(expected, given):
            raise MismatchError((*path, key), 'expected %s, got %s', expected, given)
    return found


def _paired(node: Inner, value: Any, path: Where) -> list[tuple[Any, Any, Any]]:
    """Key, expected and given value of each child."""
    template = node.template
    if isinstance(template, Object) and type(value) is not type(template):
        raise MismatchError(path, f'expected {type(template).__name__}, got %s', value)
    if isinstance(template, dict) is not isinstance(value, dict):  # whose keys may be those of a list, or of an object
        raise MismatchError(path, f'expected a {_kind(template).__name__}, got %s', value)
    ours, theirs = dict(children(template) or ()), dict(children(value) or ())
    if ours.keys() != theirs.keys():
        raise MismatchError(path, 'expected the parts of %s, got %s', template, value)
    return [(key, expected, theirs[key]) for key, expected in ours.items()]


def _kind(value: Any) -> type:
    """The type of a container; a `pg.List` is a list, a `pg.Dict` a dict."""
    if isinstance(value, dict):
        return dict
    return list if is_list(value) else type(value)


def items_of(node: Many, value: Any, path: Where) -> Sequence[Any]:
    """The values of the slots of a `manyof`."""
    if not isinstance(value, (tuple, list)) or len(value) != len(node.slots):
        raise MismatchError(path, f'expected {len(node.slots)} values, got %s', value)
    return value


def gene_of_number(node: Number, value: Any, path: Where) -> Any:
    """The gene of a value in the bounds of a number, and on one of its steps."""
    what = f'expected a number in [{node.low}, {node.high}]'
    number = _real(value)
    if number is None:
        raise MismatchError(path, f'{what}, got %s', value)
    if not node.low <= number <= node.high:
        raise MismatchError(path, f'{what}, got %s', value)
    if node.kind == 'float':
        return float_gene(number, node)
    gene = round((number - node.low) / node.step)
    exact = isinstance(node.low, float)
    if int_value(gene, node) != number and not (exact and math.isclose(int_value(gene, node), number)):
        raise MismatchError(path, f'{what} in steps of {node.step}, got %s', value)
    return gene


def _real(value: Any) -> float | None:
    """A number of any library as a float; None of what is none, complex, several, or not known yet."""
    is_number = isinstance(value, (int, float, np.generic, np.ndarray)) or hasattr(value, '__float__')
    if isinstance(value, (bool, str, Placeholder)) or not is_number or np.ndim(value):
        return None
    try:
        kind = np.dtype(getattr(value, 'dtype', float)).kind
        return float(value) if kind in 'iufV' else None  # V: bfloat16 and its kin
    except (TypeError, ValueError, OverflowError):
        return None


def _decoded(node: Number, gene: Any) -> Any:
    return float_value(gene, node) if node.kind == 'float' else int_value(gene, node)


def _fits(expected: Any, value: Any) -> bool:
    """Whether a part without holes is `value`; what it will inherit or infer may be anything."""
    if expected.__class__ in ATOMS:  # nothing in it is open
        return eq(expected, value)
    if isinstance(expected, (Inherited, Inferred)):
        return True
    if not is_open(expected) or not isinstance(value, type(expected)):
        return eq(expected, value)
    ours, theirs = children(expected), dict(children(value) or ())
    if ours is None:
        return eq(expected, value)
    return {key for key, _ in ours} == set(theirs) and all(_fits(part, theirs[key]) for key, part in ours)
