"""One node with some parts replaced: validated, `node` itself where nothing changes, the rest shared.

New values ("edits") are validated by the field they enter. Nodes that were rebuilt further down ("spine") have
the class of the node whose place they take, so that only fields whose specs look inside their values
(`Spec.shallow` is False) validate them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgjax._errors import FieldTypeError, FieldValueError, MissingFieldError, PathError
from pgjax._keypath import format_keys
from pgjax.symbolic._bind import bind
from pgjax.symbolic._compare import eq, signs_differ
from pgjax.symbolic._containers import Dict, List, symbolic
from pgjax.symbolic._locate import NOWHERE, Where, index_of, keys_of, location_of, no_such_part
from pgjax.symbolic._placeholder import MISSING
from pgjax.symbolic._spec import ATOMS, Location, format_location, is_array, is_traced


class Insertion:
    """In a rebind of a list: put `value` before the index instead of replacing what stands there.

    >>> import pgjax as pg
    >>> pg.List([1, 2]).rebind({1: pg.Insertion(9)})
    [1, 9, 2]
    """

    __slots__ = ('value',)

    def __init__(self, value: Any):
        self.value = value

    def __repr__(self) -> str:
        return f'Insertion({self.value!r})'


def same(old: Any, new: Any) -> bool:
    """Whether setting `new` over `old` changes nothing."""
    if old is new:
        return True
    kind = new.__class__
    if kind is not old.__class__:
        return False
    if kind in ATOMS:
        return _same_atoms(old, new)
    return eq(old, new, strict=True)


def _same_atoms(old: Any, new: Any) -> bool:
    return not signs_differ(old, new) if old == new else old != old and new != new


def with_parts(node: Any, edits: Mapping[Any, Any], keys: tuple[Any, ...] = ()) -> Any:
    """`node` with some parts replaced; `keys` say where it stands, for messages.

    Raises:
      PathError: there is no such part.
      FieldTypeError, FieldValueError: a value does not fit.
    """
    return rebuild(node, edits, {}, where=location_of(keys))


def rebuild(
    node: Any, edits: Mapping[Any, Any], spine: Mapping[Any, Any], trusted: bool = True, where: Where = None
) -> Any:
    """`node` with new values and rebuilt children.

    Args:
      node: an object or container.
      edits: new values by key.
      spine: rebuilt children by key.
      trusted: whether these are known to fit wherever the old ones did.
      where: the node's location, for messages.
    """
    kind = node.__class__
    if hasattr(kind, '__pg_edit__'):
        return _with_fields(node, edits, spine, trusted, where)
    parts = {**edits, **{key: _Rebuilt(child) for key, child in spine.items()}} if spine else edits
    if isinstance(node, (list, tuple)):
        return _with_items(node, parts, where)
    if isinstance(node, dict):
        return _with_keys(node, parts, where)
    raise no_such_part(node, next(iter(parts)), keys_of(where))


def remade(node: Any, edits: Mapping[Any, Any], spine: Mapping[Any, Any], trusted: bool, where: Where) -> Any:
    """`rebuild`, with short ways for what most edits come to."""
    if not spine:
        if not edits:
            return node
        if len(edits) == 1 and hasattr(node.__class__, '__pg_edit__'):
            ((name, value),) = edits.items()
            made = with_atom(node, name, value)
            if made is not NOWHERE:
                return made
    elif not edits:
        if node.__class__ is List:  # nothing new in it: its parts are valid already
            return _with_spine(node, spine)
        if trusted and len(spine) == 1 and hasattr(node.__class__, '__pg_edit__'):
            ((name, value),) = spine.items()
            copy, deep, is_plain = node.__class__.__pg_edit__
            if is_plain and name not in deep:
                return copy(node, name, value)
    return rebuild(node, edits, spine, trusted, where)


def _with_spine(node: List[Any], spine: Mapping[int, Any]) -> List[Any]:
    items = [*node]
    for index, child in spine.items():
        items[index] = child
    return tuple.__new__(List, items)


def is_trusted(node: Any, edits: Mapping[Any, Any] | None, trusted: bool) -> bool:
    """Whether a rebuilt node surely fits where the old one did: its own fields have seen its new parts."""
    kind = node.__class__
    return (not edits and trusted) if kind is List or not hasattr(kind, '__pg_edit__') else not kind.__pg_placeholder__


class _Rebuilt:
    """A child that is known to differ from the old one and to be symbolic already."""

    __slots__ = ('value',)

    def __init__(self, value: Any):
        self.value = value


def with_atom(node: Any, name: Any, value: Any) -> Any:
    """An object with one field set to a new atom; NOWHERE if that takes more: other values, defaults, errors."""
    kind = node.__class__
    try:
        new = kind.__pg_fit__[name](value)
    except (KeyError, FieldTypeError, FieldValueError):
        return NOWHERE
    if new.__class__ not in ATOMS:
        return NOWHERE
    old = node.__dict__[name]
    if old is new or (old.__class__ is new.__class__ and _same_atoms(old, new)):
        return node
    made = kind.__pg_edit__[0](node, name, new)
    if kind.__pg_derives__:
        bind(made)
    return made


def _with_fields(node: Any, edits: Mapping[Any, Any], spine: Mapping[Any, Any], trusted: bool, where: Where) -> Any:
    kind = node.__class__
    copy, deep, _ = kind.__pg_edit__
    changed: dict[str, Any] = {}
    for name, value in edits.items():
        new = _fitted(node, name, value, where)
        if not same(node.__dict__[name], new):
            changed[name] = new
    for name, child in spine.items():
        changed[name] = child if trusted and name not in deep else fitted_child(kind, name, child, keys_of(where))
    if not changed:
        return node
    name, value = changed.popitem()
    made = copy(node, name, value)
    if changed:
        made.__dict__.update(changed)
    if kind.__pg_derives__:
        bind(made)
    return made


def _fitted(node: Any, name: Any, value: Any, where: Where) -> Any:
    """A new value as its field stores it."""
    kind = node.__class__
    fit = kind.__pg_fit__.get(name)
    if fit is None:
        raise no_such_part(node, name, keys_of(where))
    if value is MISSING:
        return _default_of(kind.__pg_fields__[name], (name, where))
    try:
        value = fit(value)
    except (FieldTypeError, FieldValueError):
        kind.__pg_fields__[name].spec.check(value, (name, where))  # says where the object stands
        raise
    if value.__class__ not in ATOMS:
        _refuse_other_aval(node.__dict__[name], value, (name, where))
    return value


def fitted_child(kind: Any, name: str, child: Any, keys: tuple[Any, ...]) -> Any:
    """A rebuilt child that its field has to see again."""
    try:
        return kind.__pg_fit__[name](child)
    except (FieldTypeError, FieldValueError):
        kind.__pg_fields__[name].spec.check(child, (name, location_of(keys)))
        raise


def _default_of(field: Any, where: Location) -> Any:
    if field.required:
        raise MissingFieldError(f'{format_location(where)} cannot be reset: the field has no default. Give it a value.')
    return field.default


def _refuse_other_aval(old: Any, new: Any, where: Location) -> None:
    """Inside a traced program state keeps its shapes: what is carried by scan, while or jit must not change them."""
    if is_traced(new) and is_array(old) and (old.shape != new.shape or old.dtype != new.dtype):
        raise FieldTypeError(
            f'{format_location(where)}: under a JAX transformation a rebind keeps shape and dtype: it was '
            f'{old.dtype}{list(old.shape)}, got {new.dtype}{list(new.shape)}. '
            'Build a new object by its constructor instead.'
        )


def _with_items(node: Any, edits: Mapping[Any, Any], where: Where) -> Any:
    items: list[list[Any]] = [[item] for item in node]  # what stands at each old position afterwards
    items.append([])
    changed = False
    for key, value in edits.items():
        index = index_of(node, key)
        if index is None or not -len(node) <= index <= len(node):
            raise no_such_part(node, key, keys_of(where))
        position = index + len(node) if index < 0 else index
        if isinstance(value, _Rebuilt):
            items[position][-1] = value.value
        elif isinstance(value, Insertion):
            items[position].insert(0, symbolic(value.value, (key, where)))
        elif value is MISSING and position < len(node):
            items[position].pop()
        elif value is MISSING:
            raise no_such_part(node, key, keys_of(where))
        elif position == len(node):
            items[position].append(symbolic(value, (key, where)))
        else:
            value = value if isinstance(node, list) else symbolic(value, (key, where))
            if same(node[position], value):
                continue
            items[position][-1] = value
        changed = True
    if not changed:
        return node
    flat = [item for group in items for item in group]
    if type(node) is List:
        return List._of(flat)
    if hasattr(node, '_make'):
        if len(flat) != len(node):
            raise PathError(
                f'{format_keys(keys_of(where))}: a {type(node).__name__} has {len(node)} parts, no more, no less.'
            )
        return node._make(flat)  # type: ignore[union-attr]
    return type(node)(flat)


def _with_keys(node: Any, edits: Mapping[Any, Any], where: Where) -> Any:
    items = dict(node)
    changed = False
    for key, value in edits.items():
        if value is MISSING:
            if key not in items:
                raise no_such_part(node, key, keys_of(where))
            del items[key]
        elif isinstance(value, _Rebuilt):
            items[key] = value.value
        else:
            value = symbolic(value, (key, where)) if type(node) is Dict else value
            if key in items and same(items[key], value):
                continue
            items[key] = value
        changed = True
    if not changed:
        return node
    return Dict._of(items) if type(node) is Dict else items
