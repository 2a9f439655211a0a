"""Values that depend on where they stand: placeholders, and the pure pass that replaces all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pgjax._errors import PlaceholderError
from pgjax._keypath import Path
from pgjax.symbolic._bind import is_open
from pgjax.symbolic._field import field
from pgjax.symbolic._locate import NOWHERE, find_part
from pgjax.symbolic._nodes import children
from pgjax.symbolic._object import Object, values_of
from pgjax.symbolic._placeholder import MISSING, Placeholder
from pgjax.symbolic._pytree import FlatForm
from pgjax.symbolic._update import apply

T = TypeVar('T')


class Inherited(Placeholder, Object):
    """Stands for the field of the nearest ancestor that has one of this name.

    Attributes:
      name: the ancestors' field or key; None for the name of the field in which this stands.
      default: the value where no ancestor has it.
    """

    __pg_hole__ = False

    name: str | None = None
    default: Any = field(default=MISSING)

    _pg_flat = FlatForm(lambda node: ((), tuple(values_of(node).values())))

    def _format_call(self) -> tuple[str, list[tuple[str | None, Any]]]:
        shown: list[tuple[str | None, Any]] = [(None, self.name)] if self.name is not None else []
        return 'inherited', shown + ([('default', self.default)] if self.default is not MISSING else [])


class Inferred(Placeholder, Object):
    """Stands for what a function computes from the whole tree.

    Attributes:
      function: called with the root and the path of this value.
    """

    __pg_hole__ = False

    function: Callable[..., Any]

    _pg_flat = FlatForm(lambda node: ((), (node.function,)))

    def _format_call(self) -> tuple[str, list[tuple[str | None, Any]]]:
        return 'inferred', [(None, self.function)]


def inherited(name: str | None = None, *, default: Any = MISSING) -> Any:
    """A placeholder for the value that the nearest ancestor has under the same name; see `pg.resolve`.

    Ancestors may be objects of any class and dicts (PyGlove looks only at its contextual objects), and nothing is
    looked up until `pg.resolve`: reading the attribute gives the placeholder.

    Args:
      name: the ancestors' field or key, where it is not the name of the field itself.
      default: the value where no ancestor has one.

    >>> import pgjax as pg
    >>> class Layer(pg.Object):
    ...   dtype: str = pg.inherited()
    >>> pg.resolve(pg.Dict(dtype='bfloat16', layers=[Layer(), Layer('float32')]))
    {'dtype': 'bfloat16', 'layers': [Layer(dtype='bfloat16'), Layer(dtype='float32')]}
    """
    return Inherited(name, default)


def inferred(function: Callable[..., Any]) -> Any:
    """A placeholder for what `function(root, path)` returns; see `pg.resolve`.

    Args:
      function: pure; gets the root of the tree, in which inherited values are filled in, and the placeholder's path.

    >>> import pgjax as pg
    >>> class Head(pg.Object):
    ...   units: int = pg.inferred(lambda root, path: root.num_classes)
    >>> pg.resolve(pg.Dict(num_classes=10, head=Head())).head
    Head(units=10)
    """
    return Inferred(function)


def resolve(root: T, overrides: Mapping[str, Any] | None = None) -> T:
    """`root` with all inherited and inferred values replaced by what they stand for.

    What stands for a value that is itself still open (a hole, a missing field) stays as it is: resolve again when
    it is decided, as `space.decode` does.

    Args:
      root: any tree of objects and containers.
      overrides: values by name that win over every ancestor.

    Returns:
      The same tree with values; `root` itself where there was nothing to do.

    Raises:
      PlaceholderError: no ancestor has the value and there is no default, or inferred values wait for each other.
      FieldTypeError, FieldValueError: a value does not fit the field it arrives in.

    >>> import pgjax as pg
    >>> pg.resolve(pg.Dict(rate=0.1, net={'rate': pg.inherited()}))
    {'rate': 0.1, 'net': {'rate': 0.1}}
    """
    while is_open(root):
        places = unresolved(root)
        updates, undecided = _inherited_values(root, places, overrides or {})
        if not updates:
            updates = _inferred_values(root, places, undecided)
        if not updates:
            break
        root = apply(root, updates)
    return root


def unresolved(root: Any) -> list[tuple[Path, Placeholder]]:
    """Where inherited and inferred values stand, holes' candidates included."""
    found: list[tuple[Path, Placeholder]] = []
    pending: list[tuple[tuple[Any, ...], Any]] = [((), root)]
    while pending:
        keys, node = pending.pop()
        if isinstance(node, (Inherited, Inferred)):
            found.append((Path(keys), node))
        elif is_open(node):
            pending.extend(((*keys, key), part) for key, part in reversed(children(node) or ()))
    return found


def _inherited_values(
    root: Any, places: list[tuple[Path, Placeholder]], overrides: Mapping[str, Any]
) -> tuple[dict[Path, Any], bool]:
    """What can be filled in now, and whether something waits for a decision."""
    updates: dict[Path, Any] = {}
    waiting = False
    for path, place in places:
        if not isinstance(place, Inherited):
            continue
        name = place.name if place.name is not None else _field_name(path)
        value = overrides[name] if name in overrides else _from_ancestors(root, path, name)
        if value is NOWHERE and place.default is not MISSING:
            value = place.default
        if value is NOWHERE:
            raise PlaceholderError(
                f'{path}: no object or dict above has a field or key {name!r} to inherit. Give one of them that field, '
                f'set {str(path)!r}, or write pg.inherited(default=...).'
            )
        if is_open(value):
            waiting = True
        else:
            updates[path] = value
    return updates, waiting


def _field_name(path: Path) -> str:
    """The name of the field in which a value stands: list indices and holes' own fields are no names."""
    return next((key for key in reversed(path) if isinstance(key, str) and key != 'candidates'), '')


def _from_ancestors(root: Any, path: Path, name: str) -> Any:
    """The nearest ancestor's value of that name, other than the one in whose field the path itself runs."""
    nodes = [root]
    for key in path[:-1]:
        nodes.append(find_part(nodes[-1], key))
    for depth in range(len(path) - 1, -1, -1):
        node, below = nodes[depth], path[depth]
        if below == name or isinstance(node, (list, tuple, Placeholder)):
            continue
        value = find_part(node, name)
        if value is not NOWHERE:
            return value
    return NOWHERE


def _inferred_values(root: Any, places: list[tuple[Path, Placeholder]], undecided: bool) -> dict[Path, Any]:
    updates: dict[Path, Any] = {}
    waiting: list[Path] = []
    failures: list[Exception] = []
    for path, place in places:
        if isinstance(place, Inferred):
            try:
                value = place.function(root, path)
            except Exception as error:  # it may have met something that is not decided yet
                error.add_note(f'raised while the inferred value at {path} was computed')
                failures.append(error)
                continue
            if is_open(value):
                waiting.append(path)
            else:
                updates[path] = value
    if not updates and not undecided and not _has_other_placeholders(root):
        if failures:
            raise failures[0]
        if waiting:
            raise PlaceholderError(
                f'The inferred values at {", ".join(map(str, waiting[:8]))} wait for each other: set one of them.'
            )
    return updates


def _has_other_placeholders(root: Any) -> bool:
    """Whether holes or missing fields are there, for which inferred values may rightly wait."""
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, Placeholder) and not isinstance(node, (Inherited, Inferred)):
            return True
        pending.extend(part for _, part in children(node) or ())
    return False
