"""One node with some parts replaced: validated, `node` itself where nothing changes, the rest shared.

New values ("edits") are validated by the field they enter. Nodes that were rebuilt further down ("spine") have
the class of the node whose place they take, so that only fields whose specs look inside their values
(`Spec.shallow` is False) validate them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgjax._errors import FieldTypeError, FieldValueError, MissingFieldError, PathError, did_you_mean, show
from pgjax._keypath import format_keys
from pgjax.symbolic._bind import bind
from pgjax.symbolic._compare import eq
from pgjax.symbolic._containers import Dict, List, symbolic
from pgjax.symbolic._placeholder import MISSING
from pgjax.symbolic._spec import ATOMS, Location, format_location, is_array, is_traced

Where = Location | None  # the chain of keys from a node up to the root, which is None


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


def part_of(node: Any, key: Any, path: tuple[Any, ...], depth: int) -> Any:
    """The part of `node` under `key`; `path` and `depth` say where, for the message.

    Raises:
      PathError: there is no such part.
    """
    found = find_part(node, key)
    if found is NOWHERE:
        raise no_such_part(node, key, path[:depth])
    return found


NOWHERE: Any = type('Nowhere', (), {'__slots__': ()})()


def find_part(node: Any, key: Any) -> Any:
    """The part of `node` under `key`, or NOWHERE."""
    fields = getattr(node.__class__, '__pg_fields__', None)
    if fields is not None:
        return node.__dict__[key] if key in fields else NOWHERE
    if isinstance(node, (list, tuple)):
        index = index_of(node, key)
        return node[index] if index is not None and -len(node) <= index < len(node) else NOWHERE
    if isinstance(node, dict):
        return node.get(key, NOWHERE)
    return NOWHERE


def index_of(node: Any, key: Any) -> int | None:
    """The position that `key`, an int or the name of a NamedTuple's field, means in a sequence."""
    if isinstance(key, int) and not isinstance(key, bool):
        return key
    names = getattr(node, '_fields', ())
    return names.index(key) if key in names else None


def keys_of(where: Where) -> tuple[Any, ...]:
    """The keys of a location, outermost first."""
    keys: list[Any] = []
    while where is not None:
        key, where = where
        keys.append(key)
    return tuple(keys[::-1])


def no_such_part(node: Any, key: Any, keys: tuple[Any, ...]) -> PathError:
    """The error for a path that leads nowhere: what stands there, and what could be asked for."""
    here, label = format_keys(keys), format_keys((*keys, key))
    where = repr(here) if here else 'the root'
    name = type(node).__name__
    fields = getattr(node.__class__, '__pg_fields__', None)
    if fields is not None:
        text = f'{label}: {key!r} is not a field of {name} (at {where}); its fields are {", ".join(fields)}.'
        return PathError(text + did_you_mean(key, fields))
    if isinstance(node, (list, tuple)):
        return PathError(f'{label}: index {key!r} does not fit a sequence of length {len(node)} (at {where}).')
    if isinstance(node, dict):
        text = f'{label}: no key {key!r} (at {where}); its keys are {show(list(node))}.'
        return PathError(text + did_you_mean(key, node))
    return PathError(f'{label}: {where} is {name} {show(node)}; {name} has no children.')


def same(old: Any, new: Any) -> bool:
    """Whether setting `new` over `old` changes nothing."""
    if old is new:
        return True
    kind = new.__class__
    if kind is not old.__class__:
        return False
    if kind in ATOMS:
        return old == new or (old != old and new != new)
    return eq(old, new, strict=True)


def with_parts(node: Any, edits: Mapping[Any, Any], keys: tuple[Any, ...] = ()) -> Any:
    """`node` with some parts replaced; `keys` say where it stands, for messages.

    Raises:
      PathError: there is no such part.
      FieldTypeError, FieldValueError: a value does not fit.
    """
    return rebuild(node, edits, {}, location_of(keys))


def location_of(keys: tuple[Any, ...]) -> Where:
    """The location of the node under `keys`."""
    where: Where = None
    for key in keys:
        where = (key, where)
    return where


def rebuild(node: Any, edits: Mapping[Any, Any], spine: Mapping[Any, tuple[Any, bool]], where: Where = None) -> Any:
    """`node` with new values and rebuilt children.

    Args:
      node: an object or container.
      edits: new values by key.
      spine: by key, a rebuilt child and whether it is known to fit wherever the old one did.
      where: the node's location, for messages.
    """
    kind = node.__class__
    if hasattr(kind, '__pg_edit__'):
        return _with_fields(node, edits, spine, where)
    parts = {**edits, **{key: _Rebuilt(child) for key, (child, _) in spine.items()}} if spine else edits
    if isinstance(node, (list, tuple)):
        return _with_items(node, parts, where)
    if isinstance(node, dict):
        return _with_keys(node, parts, where)
    raise no_such_part(node, next(iter(parts)), keys_of(where))


class _Rebuilt:
    """A child that is known to differ from the old one and to be symbolic already."""

    __slots__ = ('value',)

    def __init__(self, value: Any):
        self.value = value


def with_field(node: Any, name: Any, value: Any, keys: tuple[Any, ...]) -> Any:
    """An object with one field set to a new value; `node` itself where that changes nothing."""
    kind = node.__class__
    try:
        new = kind.__pg_fit__[name](value)
    except (KeyError, FieldTypeError, FieldValueError):
        new = MISSING  # leave the words, and a real MISSING, to the thorough way
    if new is MISSING or new.__class__ not in ATOMS:
        return _with_fields(node, {name: value}, {}, location_of(keys))
    old = node.__dict__[name]
    if old is new or (old.__class__ is new.__class__ and (old == new or (old != old and new != new))):
        return node
    made = kind.__pg_edit__[0](node, name, new)
    if kind.__pg_derives__:
        bind(made)
    return made


def _with_fields(node: Any, edits: Mapping[Any, Any], spine: Mapping[Any, tuple[Any, bool]], where: Where) -> Any:
    kind = node.__class__
    copy, deep, _ = kind.__pg_edit__
    changed: dict[str, Any] = {}
    for name, value in edits.items():
        new = _fitted(node, name, value, where)
        if not same(node.__dict__[name], new):
            changed[name] = new
    for name, (child, trusted) in spine.items():
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
