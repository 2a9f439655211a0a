"""Values that depend on where they stand: placeholders, and the pure pass that replaces all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pgjax._errors import FieldTypeError, FieldValueError, PlaceholderError
from pgjax._keypath import Path
from pgjax.symbolic._bind import is_known_closed, is_open
from pgjax.symbolic._containers import symbolic
from pgjax.symbolic._field import field
from pgjax.symbolic._locate import NOWHERE, find_part
from pgjax.symbolic._nodes import children
from pgjax.symbolic._object import Object, values_of
from pgjax.symbolic._placeholder import MISSING, Placeholder
from pgjax.symbolic._pytree import FlatForm
from pgjax.symbolic._spec import ATOMS
from pgjax.symbolic._update import VALUE, apply_tree

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
      CycleError: the tree contains itself.

    >>> import pgjax as pg
    >>> pg.resolve(pg.Dict(rate=0.1, net={'rate': pg.inherited()}))
    {'rate': 0.1, 'net': {'rate': 0.1}}
    """
    while is_open(root):
        places = _places(root)
        edits, undecided = _inherited_values(places, overrides or {})
        if not edits:
            edits = _inferred_values(root, places, undecided)
        if not edits:
            break
        root = apply_tree(root, edits)
    return root


def unresolved(root: Any) -> list[tuple[Path, Placeholder]]:
    """Where inherited and inferred values stand, holes' candidates included."""
    return [(place.path, place.node) for place in _places(root)]


class _Place:
    """A part of the tree and the way up from it, which deep trees share; `edits` is its branch of an edit tree."""

    __slots__ = ('depth', 'edits', 'key', 'node', 'up')

    def __init__(self, key: Any, node: Any, up: _Place | None):
        self.key, self.node, self.up = key, node, up
        self.depth: int = up.depth + 1 if up is not None else 0
        self.edits: dict[Any, Any] | None = None

    @property
    def path(self) -> Path:
        return Path([step.key for step in self.way_up()][::-1])

    def way_up(self) -> Iterator[_Place]:
        """The place itself, its parent, and so on; without the root."""
        step = self
        while step.up is not None:
            yield step
            step = step.up

    def branch(self) -> dict[Any, Any]:
        """The place's branch, made where there is none yet, with those above it."""
        step, made = self, []
        while step.edits is None:
            step.edits = {}
            made.append(step)
            step = step.up or step
        for below in made:
            if below.up is not None:
                below.up.edits[below.key] = below.edits
        return self.edits  # type: ignore[return-value]  the loop has seen to it


def _places(root: Any) -> list[_Place]:
    """The places of inherited and inferred values, in the order of a walk from the root."""
    found: list[_Place] = []
    pending = [_Place(None, root, None)]
    while pending:
        place = pending.pop()
        node = place.node
        if isinstance(node, (Inherited, Inferred)):
            found.append(place)
        elif not is_known_closed(node):
            parts = [(key, part) for key, part in children(node) or () if part.__class__ not in ATOMS]
            pending.extend(_Place(key, part, place) for key, part in reversed(parts))
    return found


def _edit_tree(values: list[tuple[_Place, Any]]) -> dict[Any, Any]:
    for place, value in values:
        place.branch()[VALUE] = value
    if not values:
        return {}
    root = values[0][0]
    while root.up is not None:
        root = root.up
    return root.branch()


def _inherited_values(places: list[_Place], overrides: Mapping[str, Any]) -> tuple[dict[Any, Any], bool]:
    """What can be filled in now, as an edit tree, and whether something waits for a decision.

    From the root down, so that a value that was inherited itself is inherited further in the same pass.
    """
    values: list[tuple[_Place, Any]] = []
    ancestors = _Ancestors()
    waiting = False
    for place in sorted(places, key=lambda place: place.depth):
        node = place.node
        if not isinstance(node, Inherited):
            continue
        name = node.name if node.name is not None else _field_name(place)
        value = overrides[name] if name in overrides else ancestors.value_for(place, name)
        if value is NOWHERE and node.default is not MISSING:
            value = node.default
        if value is NOWHERE:
            path = place.path
            raise PlaceholderError(
                f'{path}: no object or dict above has a field or key {name!r} to inherit. Give one of them that field, '
                f'set {str(path)!r}, or write pg.inherited(default=...).'
            )
        if is_open(value):
            waiting = True
        else:
            values.append((place, value))
            ancestors.fill(place, value)
    return _edit_tree(values), waiting


def _field_name(place: _Place) -> str:
    """The name of the field in which a value stands: list indices and holes' own fields are no names."""
    keys = (step.key for step in place.way_up())
    return next((key for key in keys if isinstance(key, str) and key != 'candidates'), '')


class _Ancestors:
    """Looks names up in ancestors, each step of the way up once, however many places share it."""

    def __init__(self) -> None:
        self._known: dict[tuple[_Place, str], Any] = {}
        self._filled: dict[tuple[_Place | None, Any], Any] = {}

    def value_for(self, place: _Place, name: str) -> Any:
        """The nearest ancestor's value of that name, other than the one in whose field the place itself lies."""
        value, asked = NOWHERE, []
        for step in place.way_up():
            value = self._known.get((step, name), _UNKNOWN)
            if value is not _UNKNOWN:
                break
            asked.append((step, name))
            value = self._beside(step, name)
            if value is not NOWHERE:
                break
        self._known.update(dict.fromkeys(asked, value))
        return value

    def fill(self, place: _Place, value: Any) -> None:
        """Remembers what will stand at a place, as its field stores it."""
        fits = getattr(place.up.node.__class__, '__pg_fit__', None) if place.up is not None else None
        try:
            value = fits[place.key](value) if fits else symbolic(value, (place.key, None))
        except (FieldTypeError, FieldValueError):
            return  # the edit will say so, and where
        self._filled[place.up, place.key] = value

    def _beside(self, step: _Place, name: str) -> Any:
        """What stands under `name` in the parent of `step`."""
        up = step.up
        if up is None or step.key == name or isinstance(up.node, (list, tuple, Placeholder)):
            return NOWHERE
        return self._filled[up, name] if (up, name) in self._filled else find_part(up.node, name)


_UNKNOWN: Any = object()


def _inferred_values(root: Any, places: list[_Place], undecided: bool) -> dict[Any, Any]:
    values: list[tuple[_Place, Any]] = []
    waiting: list[Path] = []
    failures: list[Exception] = []
    for place in places:
        if isinstance(place.node, Inferred):
            path = place.path
            try:
                value = place.node.function(root, path)
            except Exception as error:  # it may have met something that is not decided yet
                error.add_note(f'raised while the inferred value at {path} was computed')
                failures.append(error)
                continue
            if is_open(value):
                waiting.append(path)
            else:
                values.append((place, value))
    if not values and not undecided and not _has_other_placeholders(root):
        if failures:
            raise failures[0]
        if waiting:
            raise PlaceholderError(
                f'The inferred values at {", ".join(map(str, waiting[:8]))} wait for each other: set one of them.'
            )
    return _edit_tree(values)


def _has_other_placeholders(root: Any) -> bool:
    """Whether holes or missing fields are there, for which inferred values may rightly wait."""
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, Placeholder) and not isinstance(node, (Inherited, Inferred)):
            return True
        pending.extend(part for _, part in children(node) or ())
    return False
