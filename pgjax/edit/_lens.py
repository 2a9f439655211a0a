"""Lenses: a way into any pytree that reads, sets and maps the parts it leads to.

A lens whose steps are all keys has one focus. With `*`, `**`, a class or a condition it has many, in the order of a
walk from the root; a focus is not searched for more, so no focus lies inside another and the laws hold:
`set(x, get(x)) == x`, `get(set(x, v)) == v`, `set(set(x, v), w) == set(x, w)`. For a condition they hold as long as
the new values meet it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pgjax._errors import FieldTypeError, PathError, did_you_mean, note_place
from pgjax._keypath import Path
from pgjax.edit._foci import find_foci
from pgjax.edit._patch import Patch
from pgjax.edit._spots import Spot, put_spots
from pgjax.edit._steps import Of, Step, Where, to_selectors, to_steps
from pgjax.edit._work import Value
from pgjax.symbolic import MISSING, Object
from pgjax.symbolic._locate import part_of
from pgjax.symbolic._wrap import is_wrapped

S = TypeVar('S')


class Lens(Object, type_name='pgjax.Lens'):
    """A way into any pytree; made by `pg.lens`. A symbolic value itself: it prints, compares and hashes.

    Attributes:
      steps: keys and patterns, outermost first.

    >>> import pgjax as pg
    >>> units = pg.lens('layers[*]') >> pg.lens('units')
    >>> net = pg.Dict(layers=[{'units': 8}, {'units': 16}])
    >>> units.get(net), [str(path) for path in units.paths(net)]
    ([8, 16], ['layers[0].units', 'layers[1].units'])
    >>> units.modify(net, lambda n: 2 * n)
    {'layers': [{'units': 16}, {'units': 32}]}
    """

    steps: tuple[Any, ...] = ()

    @property
    def is_many(self) -> bool:
        """Whether it may have any number of foci; else it has exactly one."""
        return any(not isinstance(step, (str, int)) for step in self.steps)

    def get(self, x: Any, *, missing_ok: bool = False) -> Any:
        """What the lens leads to in `x`.

        Args:
          x: any pytree.
          missing_ok: whether a lens without a focus is fine.

        Returns:
          The part, or the list of parts where the lens has patterns. Without a focus: `pg.MISSING`, or `[]`.

        Raises:
          PathError: there is no focus, and `missing_ok` is False.

        >>> import pgjax as pg
        >>> lens('b[*]').get({'a': 1, 'b': [2, 3]})
        [2, 3]
        """
        values = [spot.value for spot in self._find(x, missing_ok)]
        if self.is_many:
            return values
        return values[0] if values else MISSING

    def set(self, x: S, value: Any, *, missing_ok: bool = False) -> S:
        """`x` with every focus set to `value`; `x` itself where that changes nothing.

        Raises:
          PathError: there is no focus, and `missing_ok` is False.
          FieldTypeError, FieldValueError: the value does not fit.

        >>> lens('b[*]').set({'a': 1, 'b': [2, 3]}, 0)
        {'a': 1, 'b': [0, 0]}
        """
        spots = self._find(x, missing_ok)
        return _put(x, spots, [value] * len(spots))

    def set_each(self, x: S, values: Sequence[Any]) -> S:
        """`x` with each focus set to its own value, in the order of `get`.

        Raises:
          PathError: there are more or fewer values than foci.

        >>> lens('b[*]').set_each({'a': 1, 'b': [2, 3]}, [20, 30])
        {'a': 1, 'b': [20, 30]}
        """
        spots = self._find(x, missing_ok=True)
        if len(values) != len(spots):
            raise PathError(f'{self!r} has {len(spots)} foci and was given {len(values)} values; give one for each.')
        return _put(x, spots, values)

    def modify(self, x: S, function: Callable[[Any], Any], *, missing_ok: bool = False) -> S:
        """`x` with `function` applied to every focus.

        Raises:
          PathError: there is no focus, and `missing_ok` is False.
          FieldTypeError, FieldValueError: a new value does not fit.

        >>> lens('**').modify({'a': 1, 'b': [2, 3]}, lambda v: 10 * v)
        {'a': 10, 'b': [20, 30]}
        """
        spots = self._find(x, missing_ok)
        return _put(x, spots, [_call(function, spot) for spot in spots])

    def paths(self, x: Any) -> list[Path]:
        """Where the foci in `x` are.

        >>> lens('b[*]').paths({'a': 1, 'b': [2, 3]})
        [Path('b[0]'), Path('b[1]')]
        """
        return [spot.path for spot in find_foci(x, self.steps)]

    def items(self, x: Any) -> dict[Path, Any]:
        """The foci in `x` by path.

        >>> lens('b[*]').items({'a': 1, 'b': [2, 3]})
        {Path('b[0]'): 2, Path('b[1]'): 3}
        """
        return {spot.path: spot.value for spot in find_foci(x, self.steps)}

    def to(self, value: Any, *, missing_ok: bool = False) -> Patch:
        """The patch that sets every focus to `value`.

        >>> import pgjax as pg
        >>> patch = lens('b[*]').to(0)
        >>> patch({'a': 1, 'b': [2, 3]})
        {'a': 1, 'b': [0, 0]}
        """
        return SetTo(self, value, missing_ok)

    def over(self, function: Callable[[Any], Any], *, missing_ok: bool = False) -> Patch:
        """The patch that applies `function` to every focus.

        >>> lens('b[*]').over(abs)({'a': 1, 'b': [-2, 3]})
        {'a': 1, 'b': [2, 3]}
        """
        return MapOver(self, function, missing_ok)

    def __rshift__(self, other: Any) -> Lens:
        """The lens that goes on with `other`, a lens or anything `pg.lens` takes."""
        return lens(self, other)

    def _find(self, x: Any, missing_ok: bool) -> list[Spot]:
        spots = find_foci(x, self.steps)
        if not spots and not missing_ok:
            raise self._no_focus(x)
        return spots

    def _no_focus(self, x: Any) -> PathError:
        if not self.is_many:
            try:
                node = x
                for depth, key in enumerate(self.steps):
                    node = part_of(node, key, self.steps, depth)
            except PathError as error:
                return error
        names = {key for spot in find_foci(x, (*to_steps('**'),)) for key in spot.path if isinstance(key, str)}
        wanted = [step for step in self.steps if isinstance(step, str) and step not in names]
        hint = did_you_mean(wanted[0], names) if wanted else ''
        for step in self.steps:
            if isinstance(step, Of) and is_wrapped(step.cls):
                hint += f' A symbolic {step.cls.__name__} is of the class pg.wrap({step.cls.__name__}): select by that.'
        return PathError(
            f'{self!r} leads to no part of this {type(x).__name__}.{hint} Pass missing_ok=True if that is fine.'
        )

    def _format_call(self) -> tuple[str, list[tuple[str | None, Any]]]:
        return 'lens', [(None, selector) for selector in to_selectors(self.steps)]


class SetTo(Patch, type_name='pgjax.lens.SetTo'):
    """`lens.to(value)`."""

    lens: Lens
    value: Any
    missing_ok: bool = False

    def _rewrite(self, target: Any) -> Any:
        return Value(self.lens.set(target, self.value, missing_ok=self.missing_ok))


class MapOver(Patch, type_name='pgjax.lens.MapOver'):
    """`lens.over(function)`."""

    lens: Lens
    function: Callable[..., Any]
    missing_ok: bool = False

    def _rewrite(self, target: Any) -> Any:
        return Value(self.lens.modify(target, self.function, missing_ok=self.missing_ok))


def lens(*selectors: Any, where: Callable[..., Any] | None = None) -> Lens:
    """A way into any pytree: objects, containers, Flax parameters, Optax states.

    Args:
      *selectors: each goes on where the one before it ended. A path in which `*` is every part one level down and
        `**` is any number of levels (at the end: the leaves); a class, for its instances at any depth; a function
        such as `lambda e: e.optimizer.lr`; another lens.
      where: at last, the parts at any depth for which `where(value)` or `where(value, parent)` is true.

    Returns:
      A lens; `>>` composes it with another.

    Raises:
      PathError: a path is malformed.
      FieldTypeError: a selector is none of these.

    >>> import pgjax as pg
    >>> class Dense(pg.Object):
    ...   units: int
    >>> net = pg.Dict(layers=[Dense(8), Dense(16)], steps=10)
    >>> lens('layers[*].units').get(net)
    [8, 16]
    >>> lens(Dense, 'units').modify(net, lambda units: 2 * units)
    {'layers': [Dense(units=16), Dense(units=32)], 'steps': 10}
    >>> lens(where=lambda v: v == 10).set(net, 20)
    {'layers': [Dense(units=8), Dense(units=16)], 'steps': 20}
    """
    steps: list[Step] = []
    for selector in selectors:
        steps.extend(selector.steps if isinstance(selector, Lens) else to_steps(selector))
    if where is not None:
        if not callable(where):
            raise FieldTypeError(f'where= is a function of a part, not {type(where).__name__}.')
        steps.append(Where(where))
    return Lens(tuple(steps))


def _put(x: Any, spots: list[Spot], values: Sequence[Any]) -> Any:
    return put_spots(x, [(spot, new) for spot, new in zip(spots, values, strict=True) if new is not spot.value])


def _call(function: Callable[[Any], Any], spot: Spot) -> Any:
    try:
        return function(spot.value)
    except Exception as error:
        note_place(error, 'the function of a lens', spot.path)
        raise
