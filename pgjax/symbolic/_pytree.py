"""What JAX sees of a symbolic object: leaves are children, everything else is part of the treedef.

A node keeps its flattened form `(children, aux)` once it is known: nodes never change, so flattening an
object again is one attribute read in C. A node that JAX built keeps the form it was built from, whatever
its leaves are (tracers, None, `object()`), so that flattening it gives the same treedef back.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from pgjax._errors import FieldTypeError, SpaceError, show
from pgjax._keypath import from_jax_keys
from pgjax.symbolic._compare import eq, hash_
from pgjax.symbolic._placeholder import Placeholder
from pgjax.symbolic._spec import Kind, is_array

T = TypeVar('T')
Flat = tuple[tuple[Any, ...], tuple[Any, ...]]


class Marker:
    """An entry of a node's aux that says where its value is."""

    __slots__ = ('name', 'value')

    def __init__(self, name: str, value: Any = None):
        self.name, self.value = name, value

    def __repr__(self) -> str:
        return self.name


CHILD = Marker('*')  # the next child
BOXED = Marker('(*)')  # the next child, a box around a tuple
TRUE = Marker('True', True)  # bools apart from ints: True == 1 would share one compiled program
FALSE = Marker('False', False)


class Opaque:
    """A static value without a hash, compared by identity."""

    __slots__ = ('value',)

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


class Exact:
    """A static value that equals others of its own type alone: one program with 1, 1.0 or True in it is not another."""

    __slots__ = ('value',)

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exact) and eq(self.value, other.value, strict=True)

    def __hash__(self) -> int:
        return hash_(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


class Box:
    """A tuple inside a symbolic object, so that the ints in it are structure as they are everywhere else."""

    __slots__ = ('flat', 'value')

    def __init__(self, value: tuple[Any, ...], flat: Flat | None = None):
        self.value = value
        self.flat = flat_sequence(value) if flat is None else flat


def _flatten_box(box: Box) -> tuple[tuple[Any, ...], Any]:
    children, aux = box.flat
    return children, (type(box.value), aux)


def _flatten_box_with_keys(box: Box) -> tuple[list[tuple[Any, Any]], Any]:
    children, aux = _flatten_box(box)
    return keyed(range(len(box.value)), children, aux[1], jax.tree_util.SequenceKey), aux


def _unflatten_box(aux: Any, children: Iterable[Any]) -> Box:
    cls, entries = aux
    children = tuple(children)
    items = fill(entries, children)
    return Box(tuple(items) if cls is tuple else cls(*items), (children, entries))


jax.tree_util.register_pytree_with_keys(Box, _flatten_box_with_keys, _unflatten_box, _flatten_box)

_STATIC_TYPES = frozenset({int, str, bytes, type(None), type, types.FunctionType, types.BuiltinFunctionType})
_LEAF_TYPES = frozenset({float, complex})


def entry_of(value: Any) -> Any:
    """The aux entry of a value: CHILD, BOXED, or the value itself where it is structure."""
    cls = value.__class__
    if cls in _LEAF_TYPES:
        return CHILD
    if cls in _STATIC_TYPES:
        return value
    if cls is bool:
        return TRUE if value else FALSE
    if isinstance(value, Placeholder):
        return value
    if hasattr(cls, '__pg_node__'):
        return CHILD
    if is_array(value) or isinstance(value, (np.generic, float, complex)):
        return CHILD
    if isinstance(value, tuple):
        return BOXED if any(entry_of(item).__class__ is Marker for item in value) else value
    if isinstance(value, (int, str, enum.Enum, type, np.dtype)):
        return value
    if not jax.tree_util.all_leaves([value]):
        return CHILD  # another library's pytree: preserved, and its leaves are leaves
    try:
        hash(value)
    except TypeError:
        return Opaque(value)
    return value


def _static_entry(value: Any) -> Any:
    """The aux entry of a value that is structure whatever its type."""
    if value.__class__ is bool:
        return TRUE if value else FALSE
    return value if value.__class__ in _STATIC_TYPES or isinstance(value, enum.Enum) else Exact(value)


def flat_sequence(values: Iterable[Any], kinds: Sequence[Kind] | None = None) -> Flat:
    """Children and aux of a node whose parts are `values`, with what is known of their kinds."""
    children: list[Any] = []
    entries: list[Any] = []
    for index, value in enumerate(values):
        kind = kinds[index] if kinds is not None else Kind.BY_VALUE
        entry: Any
        if isinstance(value, Placeholder):
            entry = value
        elif kind is Kind.CHILD and not isinstance(value, tuple):
            entry = CHILD
        elif kind is Kind.STATIC:
            entry = _static_entry(value)
        else:
            entry = entry_of(value)
        if entry is CHILD:
            children.append(value)
        elif entry is BOXED:
            children.append(Box(value))  # type: ignore[arg-type]  a tuple, as its entry says
        entries.append(entry)
    return tuple(children), tuple(entries)


def fill(entries: tuple[Any, ...], children: Iterable[Any]) -> list[Any]:
    """The parts of a node, from its aux and its children: the inverse of `flat_sequence`."""
    source = iter(children)
    values: list[Any] = []
    for entry in entries:
        if entry.__class__ is Marker:
            if entry is CHILD:
                entry = next(source)
            elif entry is BOXED:
                child = next(source)
                entry = child.value if child.__class__ is Box else child
            else:
                entry = entry.value
        elif entry.__class__ is Opaque or entry.__class__ is Exact:
            entry = entry.value
        values.append(entry)
    return values


def keyed(
    names: Iterable[Any], children: Iterable[Any], entries: tuple[Any, ...], key: Callable[[Any], Any]
) -> list[Any]:
    """The children with their JAX keys."""
    named = [name for name, entry in zip(names, entries, strict=True) if entry is CHILD or entry is BOXED]
    return [(key(name), child) for name, child in zip(named, children, strict=True)]


class FlatForm:
    """A non-data descriptor: the first read computes a node's flattened form, later ones find it in the node."""

    def __init__(self, compute: Callable[[Any], Flat]):
        self._compute = compute

    def __get__(self, node: Any, owner: type) -> Any:
        if node is None:
            return self
        flat = node.__dict__['_pg_flat'] = self._compute(node)
        return flat


def stack(objects: Iterable[T]) -> T:
    """One object whose leaves have a leading axis: a population.

    Args:
      objects: P objects of equal structure.

    Returns:
      An object of the same classes; each leaf is an array [P, ...].

    Raises:
      ValueError: no objects, objects of different structure (the message shows the first difference), or leaves of
        different shapes.
      TypeError: no iterable, or a leaf that is no number and no array.

    >>> import pgjax as pg
    >>> class Adam(pg.Object):
    ...   lr: float
    >>> pg.stack([Adam(0.1), Adam(0.2)]).lr.shape
    (2,)
    """
    if not isinstance(objects, Iterable):
        raise FieldTypeError(f'pg.stack takes an iterable of objects, not one {type(objects).__name__}: pg.stack([x]).')
    members = list(objects)
    if not members:
        raise SpaceError('pg.stack needs at least one object.')
    first = jax.tree.structure(members[0])
    for index, other in enumerate(members):
        if jax.tree.structure(other) != first:
            raise SpaceError(
                f'pg.stack needs objects of equal structure; object {index} differs from object 0: '
                f'{show(other)} against {show(members[0])}. Group them first (space.groups).'
            )
    return jax.tree_util.tree_map_with_path(lambda path, *leaves: _stacked(path, leaves), *members)


def _stacked(path: Any, leaves: Sequence[Any]) -> jax.Array:
    """The leaves that stand at one path of each member, as one array."""
    try:
        arrays = [jax.numpy.asarray(leaf) for leaf in leaves]
    except (TypeError, ValueError):
        raise FieldTypeError(
            f'{_printed(path)}: pg.stack takes numbers and arrays as leaves, got {type(leaves[0]).__name__} '
            f'{show(leaves[0])}.'
        ) from None
    for index, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise SpaceError(
                f'{_printed(path)}: pg.stack needs leaves of equal shape; object {index} has {list(array.shape)} '
                f'where object 0 has {list(arrays[0].shape)}. Group the objects by shape first.'
            )
    return jax.numpy.stack(arrays)


def unstack(population: T) -> list[T]:
    """The members of a population, as objects without the leading axis: the inverse of `stack`.

    Raises:
      ValueError: there is no leaf, a leaf is a single number, or leaves have leading axes of different lengths.

    >>> import numpy as np, pgjax as pg
    >>> [member.lr.item() for member in pg.unstack(pg.Dict(lr=np.array([0.5, 0.25])))]
    [0.5, 0.25]
    """
    keyed_leaves, treedef = jax.tree_util.tree_flatten_with_path(population)
    if not keyed_leaves:
        raise SpaceError(
            'pg.unstack needs a population with at least one leaf: there is no leading axis to take apart.'
        )
    sizes = [_size(path, leaf) for path, leaf in keyed_leaves]
    for (path, _), size in zip(keyed_leaves, sizes, strict=True):
        if size != sizes[0]:
            raise SpaceError(
                f'{_printed(path)}: pg.unstack needs leading axes of equal length; this one has {size} members, '
                f'{_printed(keyed_leaves[0][0])} has {sizes[0]}. Is this what pg.stack returned?'
            )
    leaves = [leaf for _, leaf in keyed_leaves]
    return [treedef.unflatten([leaf[i] for leaf in leaves]) for i in range(sizes[0])]


def _size(path: Any, leaf: Any) -> int:
    """The length of a leaf's leading axis."""
    shape = getattr(leaf, 'shape', ())
    if not shape:
        raise SpaceError(
            f'{_printed(path)}: pg.unstack takes apart the leading axis of each leaf, and {type(leaf).__name__} '
            f'{show(leaf)} has none. Is this what pg.stack returned?'
        )
    return shape[0]


def _printed(path: Any) -> str:
    return str(from_jax_keys(path)) or 'the root'


def structure(value: Any) -> Any:
    """The shape of a program: a hashable key, equal for objects that one compiled program can run.

    >>> import pgjax as pg
    >>> one, other, wide = (pg.Dict(lr=lr, units=units) for lr, units in ((0.1, 8), (0.2, 8), (0.1, 16)))
    >>> pg.structure(one) == pg.structure(other), pg.structure(one) == pg.structure(wide)
    (True, False)
    """
    return jax.tree.structure(value)
