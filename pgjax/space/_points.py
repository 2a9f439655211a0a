"""What a space does with single points and their order: counting, ranking, enumerating, reading and writing them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax._errors import DnaError, SpaceError, did_you_mean, show
from pgjax.space import _dicts
from pgjax.space._arrays import ArrayMethods
from pgjax.space._dna import DNA
from pgjax.space._enumeration import Enumeration
from pgjax.space._order import Order
from pgjax.space._plan import Decision


class PointMethods(ArrayMethods):
    """The part of `pg.Space` that works on the host."""

    @functools.cached_property
    def _enumerations(self) -> dict[int | None, Enumeration]:
        return {}

    def _enumeration(self, grid: int | None) -> Enumeration:
        """All points, or those of a grid; made once."""
        if grid not in self._enumerations:
            self._enumerations[grid] = Enumeration(self._layout, grid)
        return self._enumerations[grid]

    @functools.cached_property
    def size(self) -> int | float:
        """The exact number of points, or `math.inf` where there are floats."""
        return math.inf if self.num_floats else self._enumeration(None).order.size()

    def grid_size(self, n: int) -> int:
        """The exact number of points of `grid(n)`."""
        return self._enumeration(n).order.size()

    def first(self) -> DNA:
        """The first point: every decision at its lowest value that the rules allow."""
        choices, floats = np.zeros(self.num_choices, np.int32), np.zeros(self.num_floats, np.float32)
        for gene, value in Order(self._layout, lambda node: 1).nth(0).items():
            if gene < self.num_choices:
                choices[gene] = value
        return DNA(choices, floats)

    def iterate(self) -> Iterator[DNA]:
        """Every point of a finite space, the last decision fastest.

        Raises:
          SpaceError: the space has floats, and so no end.
        """
        return iter(self._finite('iterate'))

    def nth(self, index: Any, grid: int | None = None) -> DNA:
        """The point at a position of the order of `iterate`, found without enumeration.

        Args:
          index: from 0 to size - 1, however large; negative ones count from the end. An array of ints gives a
            batch and is jittable: its indices are taken modulo the size, which must be below 2**31.
          grid: positions in the order of `grid(n)` instead, which has `grid_size(n)` points.

        Raises:
          SpaceError: the space has floats and no grid is given, or there are fewer points; for arrays also, there
            are too many, or their order is too irregular to compile.

        >>> import pgjax as pg
        >>> space = pg.search_space([pg.permutate(range(40))])
        >>> dna = space.nth(10**47)
        >>> space.decode(dna)[0][:5], space.rank(dna) == 10**47
        ([4, 36, 8, 19, 0], True)
        """
        points = self._finite('nth') if grid is None else self._enumeration(grid)
        if isinstance(index, (np.ndarray, jax.Array)):
            if not jnp.issubdtype(index.dtype, jnp.integer):
                raise SpaceError(f'nth: an array of positions has an int dtype, got {index.dtype}.')
            return _nth_of_array(self, jnp.asarray(index), grid)
        size = points.order.size()
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not -size <= index < size:
            raise SpaceError(f'nth: the space has {show(size)} points; there is no point {show(index)}.')
        return points.nth(int(index) % size)

    def rank(self, dna: DNA) -> Any:
        """The inverse of `nth`: the position of a point, as a Python int; of a batch, a list of positions."""
        order = self._finite('rank').order
        host = self.check(dna)
        if host.shape:
            return [self.rank(host[i]) for i in range(len(host))]
        return order.rank(host.choices.tolist().__getitem__)

    def grid(self, n: int) -> Iterator[DNA]:
        """All combinations of the choices and of `n` evenly spaced positions of each number.

        Floats are spaced on their scale, both ends included; ints with more than `n` values likewise, by value.

        Args:
          n: at least 1; with 1, each number stands in the middle.

        Raises:
          SpaceError: n is no positive int.

        >>> import pgjax as pg
        >>> space = pg.search_space(pg.Dict(a=pg.oneof('xy'), b=pg.floatv(1e-4, 1.0, scale='log')))
        >>> [(p.a, round(p.b, 4)) for p in map(space.decode, space.grid(3))][:3]
        [('x', 0.0001), ('x', 0.01), ('x', 1.0)]
        """
        return iter(self._enumeration(n))

    def _finite(self, what: str) -> Enumeration:
        if self.num_floats:
            name = next(d.id for d in self.decisions if d.kind == 'float')
            raise SpaceError(f'{what}: a space with floats ({name}) has no end; use space.random, or space.grid(n).')
        return self._enumeration(None)

    def decision(self, name: str) -> Decision:
        """The decision of a name or id.

        Raises:
          SpaceError: there is none.

        >>> import pgjax as pg
        >>> space = pg.search_space(pg.Dict(a=pg.oneof('xy'), b=pg.floatv(0.0, 1.0, name='rate')))
        >>> space.decision('rate').id, space.decision('a').column
        ('b', 0)
        """
        by_name = {d.id: d for d in self.decisions} | {d.name: d for d in reversed(self.decisions) if d.name}
        if name not in by_name:
            raise SpaceError(
                f'There is no decision {show(name)}; there are {show(list(by_name))}.{did_you_mean(str(name), by_name)}'
            )
        return by_name[name]

    def to_dict(
        self,
        dna: DNA,
        key_type: _dicts.KeyType = 'name_or_id',
        value_type: _dicts.ValueType = 'value',
        multi_choice_key: _dicts.MultiChoiceKey = 'subchoice',
        include_inactive_decisions: bool = False,
        filter_fn: Callable[[Decision], bool] | None = None,
    ) -> Any:
        """A point as a dictionary, in one of PyGlove's views; a batch as a list of dictionaries.

        Args:
          dna: one point, or a batch.
          key_type: 'name_or_id', or 'id' alone.
          value_type: of a choice: 'value', its index; 'choice', '2/3'; 'literal', what the candidate is called
            (with the index before it where another one is called the same);
            'choice_and_literal', '2/3 (relu)'. Numbers are always their values.
          multi_choice_key: whether slots of a `manyof` have keys of their own ('subchoice'), one key with a list
            ('parent'), or 'both'. Slots of a named one always share the name.
          include_inactive_decisions: whether decisions that the point does not use are there, as None.
          filter_fn: keeps only the decisions for which it is true.

        Raises:
          DnaError: the DNA does not fit.
          SpaceError: there is no such view.

        >>> import pgjax as pg
        >>> space = pg.search_space(pg.Dict(x=pg.oneof(['a', 'b']), y=pg.intv(10, 20)))
        >>> space.to_dict(space.nth(12)), space.to_dict(space.nth(12), value_type='choice_and_literal')
        ({'x': 1, 'y': 11}, {'x': "1/2 ('b')", 'y': 11})
        """
        host = self.check(dna)
        view = key_type, value_type, multi_choice_key, include_inactive_decisions, filter_fn
        return self._to_dict(host, self.active(host), view)

    def _to_dict(self, host: DNA, mask: Any, view: tuple[Any, ...]) -> Any:
        if host.shape:
            return [self._to_dict(host[i], mask[i], view) for i in range(len(host))]
        return _dicts.to_dict(self._layout, host, mask, *view)

    def from_dict(self, values: Any, use_ints_as_literals: bool = False) -> DNA:
        """The inverse of `to_dict`, whatever the view.

        Args:
          values: by name, id, or the id of a `manyof` (a list); decisions not in use may be absent or None. A list
            of such dictionaries gives a batch.
          use_ints_as_literals: whether an int for a choice is a candidate; else it is an index.

        Raises:
          DnaError: a decision is missing, unknown or out of range.
        """
        if isinstance(values, (list, tuple)):
            return self._batch(lambda point: self.from_dict(point, use_ints_as_literals), values)
        return self.canonical(self.check(_dicts.from_dict(self._layout, values, use_ints_as_literals)))

    def _batch(self, read: Callable[[Any], DNA], given: Iterable[Any]) -> DNA:
        """What `read` makes of each of several, all of one shape, along a new first axis.

        Raises:
          DnaError: `read` refuses one; the message says which.
        """
        points = []
        for index, one in enumerate(given):
            try:
                points.append(read(one))
            except DnaError as error:
                raise DnaError(f'point {index}: {error}') from error
        if not points:
            return DNA(np.zeros((0, self.num_choices), np.int32), np.zeros((0, self.num_floats), np.float32))
        if any(p.shape != points[0].shape for p in points):
            raise DnaError('A list of lists must be as deep everywhere; this one holds points and lists of points.')
        return DNA(np.stack([p.choices for p in points]), np.stack([p.floats for p in points]))

    def to_columns(self, dna: DNA) -> dict[str, np.ma.MaskedArray]:
        """A population [P] as one column for each decision, masked where a member does not use it.

        Raises:
          DnaError: the DNA does not fit, or has not exactly one leading axis.
        """
        host = self.check(dna)
        if len(host.shape) != 1:
            raise DnaError(f'to_columns needs a population [P, ...]; this DNA has leading axes {host.shape}.')
        return _dicts.to_columns(self._layout, host, self.active(host))

    def to_numbers(self, dna: DNA) -> list[Any]:
        """The values of the decisions in use, in the order in which they are met, as PyGlove's `to_numbers`.

        Choices are indices, numbers their values. A batch gives a list of lists.
        """
        host = self.check(dna)
        if host.shape:
            return [self.to_numbers(host[i]) for i in range(len(host))]
        return _dicts.to_numbers(self._layout, host)

    def from_numbers(self, numbers: Iterable[Any]) -> DNA:
        """The inverse of `to_numbers`: of one point, or of a list of lists, or an array [P, ...], which gives a batch.

        Raises:
          DnaError: too few or too many numbers, or one that does not fit its decision.
        """
        given = _dicts.listed(numbers)
        is_several = given and isinstance(given[0], (list, tuple, np.ndarray, jax.Array)) and np.ndim(given[0])
        if is_several or getattr(numbers, 'ndim', 1) > 1:  # the rows of an array may be none
            return self._batch(self.from_numbers, given)
        return self.check(_dicts.from_numbers(self._layout, given))


@functools.partial(jax.jit, static_argnums=(0, 2), inline=True)
def _nth_of_array(space: PointMethods, index: jax.Array, grid: int | None) -> DNA:
    return space._enumeration(grid).nth_of_array(index)
