"""`pg.List` and `pg.Dict`: immutable twins of list and dict, equal to them and printed like them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn

import jax
import numpy as np

from pgjax._errors import CycleError, FieldTypeError, FrozenError, show
from pgjax.symbolic import _pytree, _registry
from pgjax.symbolic._compare import eq, hash_
from pgjax.symbolic._format import repr_node
from pgjax.symbolic._pickle import reduce_node
from pgjax.symbolic._spec import Location, format_location

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar('T', default=Any)  # what `pg.Dict(lr=0.1)` holds; defaults are new in Python 3.13
else:
    from typing import TypeVar

    T = TypeVar('T')


def _refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    del args, kwargs
    raise FrozenError(f'{type(self).__name__} is immutable; rebind returns a changed copy: x.rebind({{key: value}}).')


def _freeze(namespace: dict[str, Any], names: str) -> None:
    """Puts a refusal in place of each method that would change the container."""
    for name in names.split():
        namespace[name] = _refuse


class List(tuple[T, ...], Generic[T]):
    """An immutable list: a sequence that compares and prints as a list, and a pytree node.

    >>> import pgjax as pg
    >>> widths = pg.List([64, 32])
    >>> widths, widths == [64, 32], widths.rebind({0: 128})
    ([64, 32], True, [128, 32])
    """

    __pg_node__ = True
    __pg_parts__ = enumerate
    _pg_flat = _pytree.FlatForm(lambda node: _pytree.flat_sequence(node))
    _freeze(locals(), '__setitem__ __delitem__ __iadd__ __imul__ append extend insert pop remove clear sort reverse')

    def __new__(cls, items: Iterable[T] = ()) -> List[T]:
        made = symbolic(list(items), ('List', None))
        return made if cls is List else tuple.__new__(cls, made)

    @classmethod
    def _of(cls, items: Iterable[Any]) -> List[Any]:
        """A list of items that are symbolic already."""
        return tuple.__new__(cls, items)

    def rebind(self, *updates: Any, raise_on_no_change: bool = True) -> List[T]:
        """A changed copy; see `pg.rebind`."""
        from pgjax.symbolic._update import rebind

        return rebind(self, *updates, raise_on_no_change=raise_on_no_change)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (list, tuple)):
            return NotImplemented
        return eq(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash_(self)

    def __add__(self, other: Iterable[Any]) -> List[Any]:  # type: ignore[override]
        return List([*self, *other])

    def __radd__(self, other: Iterable[Any]) -> List[Any]:
        return List([*other, *self])

    def __mul__(self, times: Any) -> List[T]:
        return List._of(tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __getitem__(self, index: Any) -> Any:
        item = tuple.__getitem__(self, index)
        return List._of(item) if type(index) is slice else item

    def copy(self) -> List[T]:
        """The list itself: it never changes."""
        return self

    __repr__ = repr_node

    def __copy__(self) -> List[T]:
        return self

    def __deepcopy__(self, memo: Any) -> List[T]:
        del memo  # nothing below an immutable list needs a copy
        return self

    __reduce__ = reduce_node

    def _pg_reduced(self) -> Any:
        return (_restore_list, (_registry.to_portable(dict(enumerate(self))),))


class Dict(dict[Any, T], Generic[T]):
    """An immutable dict with attribute access: compares and prints as a dict, and is a pytree node.

    >>> import pgjax as pg
    >>> d = pg.Dict(x=1, y=2.0)
    >>> d.x, d == {'x': 1, 'y': 2.0}, d.rebind(x=3)
    (1, True, {'x': 3, 'y': 2.0})
    """

    __pg_node__ = True
    __pg_parts__ = staticmethod(lambda node: iter([*node.items()]))
    _pg_flat = _pytree.FlatForm(lambda node: _flat_dict(node))
    _freeze(locals(), '__setitem__ __delitem__ __ior__ update pop popitem clear setdefault __delattr__ __setattr__')

    def __init__(self, /, *args: Any, **kwargs: Any):
        made = symbolic(dict(*args, **kwargs), ('Dict', None))
        dict.update(self, made)

    @classmethod
    def _of(cls, items: Mapping[Any, Any]) -> Dict[Any]:
        """A dict of items that are symbolic already."""
        made = cls.__new__(cls)
        dict.update(made, items)
        return made

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f'Dict has no key {name!r}; its keys are {show(list(self))}.') from None

    def rebind(self, /, *updates: Any, raise_on_no_change: bool = True, **kwargs: Any) -> Dict[T]:
        """A changed copy; see `pg.rebind`."""
        from pgjax.symbolic._update import rebind

        return rebind(self, *updates, raise_on_no_change=raise_on_no_change, **kwargs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, dict):
            return NotImplemented
        return eq(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]
        return hash_(self)

    def __or__(self, other: Mapping[Any, Any]) -> Dict[Any]:  # type: ignore[override]
        return Dict({**self, **other})

    def copy(self) -> Dict[T]:
        """The dict itself: it never changes."""
        return self

    __repr__ = repr_node

    def __copy__(self) -> Dict[T]:
        return self

    def __deepcopy__(self, memo: Any) -> Dict[T]:
        del memo  # nothing below an immutable dict needs a copy
        return self

    __reduce__ = reduce_node

    def _pg_reduced(self) -> Any:
        return (_restore_dict, (_registry.to_portable(dict(self)),))


def _restore_list(items: dict[int, Any]) -> List[Any]:
    return List._of(_registry.from_portable(items).values())


def _restore_dict(items: dict[Any, Any]) -> Dict[Any]:
    return Dict._of(_registry.from_portable(items))


class _Order:
    """The keys of a dict as they were written: equal dicts have equal structure, whatever the order of their keys."""

    __slots__ = ('keys',)

    def __init__(self, keys: tuple[Any, ...]):
        self.keys = keys

    def __eq__(self, other: object) -> bool:
        return other.__class__ is _Order

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return '*'


def _flat_dict(node: Dict[Any]) -> _pytree.Flat:
    """Children by sorted key, as JAX has it for the built-in dict."""
    try:
        keys = tuple(sorted(node, key=lambda key: (not isinstance(key, str), key)))
    except TypeError:  # enums, say: a field may declare any keys
        keys = tuple(node)
    children, entries = _pytree.flat_sequence(map(node.__getitem__, keys))
    return children, (keys, entries, _Order(tuple(node)))


def _unflatten_list(aux: Any, children: Iterable[Any]) -> List[Any]:
    children = tuple(children)
    made = List._of(_pytree.fill(aux, children))
    made.__dict__['_pg_flat'] = (children, aux)
    return made


def _unflatten_dict(aux: Any, children: Iterable[Any]) -> Dict[Any]:
    children = tuple(children)
    keys, entries, order = aux
    items = dict(zip(keys, _pytree.fill(entries, children), strict=True))
    made = Dict._of(items if keys == order.keys else {key: items[key] for key in order.keys})
    made.__dict__['_pg_flat'] = (children, aux)
    return made


def _list_with_keys(node: List[Any]) -> Any:
    children, aux = node._pg_flat
    return _pytree.keyed(range(len(node)), children, aux, jax.tree_util.SequenceKey), aux


def _dict_with_keys(node: Dict[Any]) -> Any:
    children, aux = node._pg_flat
    return _pytree.keyed(aux[0], children, aux[1], jax.tree_util.DictKey), aux


_read_flat = operator.attrgetter('_pg_flat')
jax.tree_util.register_pytree_with_keys(List, _list_with_keys, _unflatten_list, _read_flat)
jax.tree_util.register_pytree_with_keys(Dict, _dict_with_keys, _unflatten_dict, _read_flat)


def symbolic(value: Any, where: Location) -> Any:
    """`value` with every list and dict in it, however deep, made a `List` or `Dict`.

    Raises:
      CycleError: a container contains itself; the message names the path at which the cycle closes.
      FieldTypeError: a dict has keys that are neither strings nor ints.
    """
    if not isinstance(value, (list, dict, tuple)) or value.__class__ is List or value.__class__ is Dict:
        return value
    frames = [_Frame(value, where)]
    open_ids = {id(value)}
    done: dict[int, Any] = {}  # what is shared stays shared, and is looked at once
    while True:
        frame = frames[-1]
        if frame.pending:
            key, item = frame.pending.pop()
            if not isinstance(item, (list, dict, tuple)) or item.__class__ is List or item.__class__ is Dict:
                frame.done.append(item)
                continue
            if id(item) in done:
                frame.done.append(done[id(item)])
                continue
            if id(item) in open_ids:
                raise CycleError(
                    f'{format_location((key, frame.where))}: the value contains itself. An immutable value cannot; '
                    'break the cycle, or refer to the other part by its path.'
                )
            open_ids.add(id(item))
            frames.append(_Frame(item, (key, frame.where)))
        else:
            frames.pop()
            open_ids.discard(id(frame.value))
            made = done[id(frame.value)] = frame.finish()
            if not frames:
                return made
            frames[-1].done.append(made)


class _Frame:
    """A container whose items are being made symbolic."""

    def __init__(self, value: Any, where: Location):
        self.value, self.where = value, where
        self.done: list[Any] = []
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, (str, int, np.integer)) or isinstance(key, bool):
                    raise FieldTypeError(
                        f'{format_location(where)}: dict keys are strings or ints, '
                        f'got {type(key).__name__} {show(key)}.'
                    )
            self.pending = list(value.items())[::-1]
        else:
            self.pending = list(enumerate(value))[::-1]

    def finish(self) -> Any:
        if isinstance(self.value, dict):
            return Dict._of(dict(zip(self.value, self.done, strict=True)))
        if isinstance(self.value, list):
            return List._of(self.done)
        if all(a is b for a, b in zip(self.done, self.value, strict=True)):
            return self.value
        return self.value._make(self.done) if hasattr(self.value, '_make') else tuple(self.done)
