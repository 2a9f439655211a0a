"""Finding parts of a value by path, by what they are, or by where they stand."""

from __future__ import annotations

import inspect
import itertools
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pgjax._errors import NoChangeError, PathError, note_place
from pgjax._keypath import Path, label_of
from pgjax.symbolic._compare import eq
from pgjax.symbolic._cycles import refuse_cycles
from pgjax.symbolic._locate import NOWHERE, find_part, part_of
from pgjax.symbolic._nodes import children, iter_parts
from pgjax.symbolic._spec import ATOMS
from pgjax.symbolic._update import apply


class Selection(Mapping[Path, Any]):
    """What `query` found: an ordered mapping from paths to values that can also set or map them.

    Keys are `Path`s, in the order of the walk; strings are parsed when they are looked up.

    >>> import pgjax as pg
    >>> found = pg.query({'a': {'x': 1, 'y': 2}, 'b': {'x': 3}}, r'.*x')
    >>> found
    {'a.x': 1, 'b.x': 3}
    >>> found.map(lambda x: x * 10)
    {'a': {'x': 10, 'y': 2}, 'b': {'x': 30}}
    """

    __slots__ = ('_found', '_root')

    def __init__(self, root: Any, found: Mapping[Path, Any]):
        self._root, self._found = root, dict(found)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the values stand."""
        return tuple(self._found)

    @property
    def root(self) -> Any:
        """What was searched."""
        return self._root

    def set(self, value: Any) -> Any:
        """The searched value with `value` in each selected place.

        Raises:
          ValueError: nothing is selected, which is more often a misspelt query than a wish.
        """
        return self.map(lambda _: value)

    def map(self, function: Callable[[Any], Any]) -> Any:
        """The searched value with `function` applied to each selected part.

        Raises:
          ValueError: nothing is selected.
        """
        if not self._found:
            raise NoChangeError(
                'The query selected nothing, so there is nothing to change. Check its regex and condition.'
            )
        # From the inside out: where one selected part holds another, the outer sees the inner's new value.
        root = self._root
        if len(self._found) == 1 or not _nested(self._found):
            return apply(root, {path: _called(function, path, value) for path, value in self._found.items()})
        for path in sorted(self._found, key=len, reverse=True):
            root = apply(root, {path: _called(function, path, get(root, path))})
        return root

    def __getitem__(self, path: Any) -> Any:
        return self._found[Path.parse(path)]

    def __contains__(self, path: object) -> bool:
        try:
            return Path.parse(path) in self._found  # type: ignore[arg-type]
        except PathError:
            return False

    def __iter__(self) -> Iterator[Path]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return len(self) == len(other) and all(k in self and eq(self[k], v) for k, v in other.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f'{{{", ".join(f"{str(path)!r}: {value!r}" for path, value in self._found.items())}}}'


def _called(function: Callable[[Any], Any], path: Path, value: Any) -> Any:
    try:
        return function(value)
    except Exception as error:
        note_place(error, 'the function of a selection', path)
        raise


def _nested(paths: Iterable[Path]) -> bool:
    """Whether one path leads below another; in the order of a walk, what lies below a part comes right after it."""
    return any(below[: len(path)] == path for path, below in itertools.pairwise(paths))


def query(
    value: Any,
    path_regex: str | re.Pattern[str] | None = None,
    where: Callable[..., bool] | None = None,
    *,
    enter_selected: bool = False,
) -> Selection:
    r"""The parts of a value that are selected by their printed path, by a condition, or by both.

    Args:
      value: any tree of objects and containers; tuples are entered too (PyGlove does not).
      path_regex: matched against the start of the printed path ('model.layers[0].units'), as `re.match` does.
      where: called with `(value)` or `(value, parent)`; selects where it is true.
      enter_selected: whether to look inside selected parts as well.

    Returns:
      A `Selection`: an ordered mapping from path to value, with `.set`, `.map` and `.paths`.

    Raises:
      re.error: `path_regex` is no regular expression.
      CycleError: the value contains itself.

    >>> import pgjax as pg
    >>> class Layer(pg.Object):
    ...   units: int
    >>> net = pg.List([Layer(8), Layer(16)])
    >>> pg.query(net, r'.*units', where=lambda v: v > 8)
    {'[1].units': 16}
    >>> pg.query(net, where=lambda v: isinstance(v, Layer)).paths
    (Path('[0]'), Path('[1]'))
    """
    refuse_cycles(value)
    match = re.compile(path_regex).match if path_regex is not None else None
    two = where is not None and takes_parent(where)
    found: dict[Path, Any] = {}
    above: tuple[Any, ...] = ()
    key: Any = NOWHERE
    try:
        if (match is None or match('')) and (where is None or (where(value, None) if two else where(value))):
            found[Path()] = value
        node, text, pending = value, '', iter_parts(value)
        if pending is None or (found and not enter_selected):
            return Selection(value, found)
        labels = _Labels()
        stack: list[Any] = []  # of the nodes above: what is still to be seen in them
        here = ''
        while True:
            for key, part in pending:
                if match is not None:  # paths are printed only where a regex wants to see them
                    here = text + labels[key] if text else labels[key].removeprefix('.')
                if (match is None or match(here)) and (where is None or (where(part, node) if two else where(part))):
                    found[_new_tuple(Path, above + (key,))] = part  # noqa: RUF005  half the time of (*above, key)
                    if not enter_selected:
                        continue
                if part.__class__ not in ATOMS and (inner := iter_parts(part)) is not None:
                    stack.append((node, above, text, pending))
                    node, above, text, pending = part, above + (key,), here, inner  # noqa: RUF005
                    break
            else:
                if not stack:
                    return Selection(value, found)
                node, above, text, pending = stack.pop()
    except Exception as error:
        note_place(error, 'the condition of a query', Path(() if key is NOWHERE else (*above, key)))
        raise


_new_tuple = tuple.__new__


class _Labels(dict[Any, str]):
    """`label_of`, asked once for each key."""

    def __missing__(self, key: Any) -> str:
        label = self[key] = label_of(key)
        return label


def takes_parent(where: Callable[..., Any]) -> bool:
    """Whether a condition is one of `(value, parent)`, and not of `(value)`."""
    code = getattr(where, '__code__', None)
    if code is not None and where.__class__ is types.FunctionType and not hasattr(where, '__wrapped__'):
        return code.co_argcount - len(where.__defaults__ or ()) == 2
    try:
        parameters = inspect.signature(where).parameters.values()
    except (TypeError, ValueError):  # a builtin such as `callable`
        return False
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return len(needed) == 2


def contains(value: Any, part: Any = NOWHERE, *, type: type | tuple[type, ...] | None = None) -> bool:
    """Whether a value, or anything inside it, equals `part` or is an instance of `type`.

    Args:
      value: where to look.
      part: what to look for, compared by `pg.eq`.
      type: a class or classes to look for.

    Raises:
      CycleError: the value contains itself.

    >>> import pgjax as pg
    >>> pg.contains({'a': [1, (2.5,)]}, 2.5), pg.contains({'a': [1]}, type=str)
    (True, False)
    """
    refuse_cycles(value)
    pending, met = [value], set()
    while pending:
        node = pending.pop()
        if id(node) in met:
            continue
        met.add(id(node))
        if (type is not None and isinstance(node, type)) or (part is not NOWHERE and eq(node, part)):
            return True
        pending.extend(child for _, child in children(node) or ())
    return False


def get(value: Any, path: Any, default: Any = NOWHERE) -> Any:
    """The part of a value under a path.

    Args:
      value: any tree of objects and containers.
      path: 'model.layers[0].units', a `Path`, or an int.
      default: returned where the path leads nowhere.

    Raises:
      PathError: the path is malformed, or leads nowhere and there is no default.

    >>> import pgjax as pg
    >>> pg.get({'a': [1, 2]}, 'a[-1]'), pg.get({}, 'b', None)
    (2, None)
    """
    path = Path.parse(path)
    for depth, key in enumerate(path):
        found = find_part(value, key)
        if found is NOWHERE:
            if default is not NOWHERE:
                return default
            return part_of(value, key, path, depth)  # raises with the words
        value = found
    return value
