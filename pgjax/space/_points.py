"""What a space does with single points and their order: counting, ranking, enumerating, reading and writing them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pgjax._errors import SpaceError, show
from pgjax.space import _dicts
from pgjax.space._arrays import ArrayMethods
from pgjax.space._dna import DNA
from pgjax.space._order import Genes, Order
from pgjax.space._plan import Decision, Number


class PointMethods(ArrayMethods):
    """The part of `pg.Space` that works on the host."""

    @functools.cached_property
    def _order(self) -> Order:
        return Order(self._layout)

    @functools.cached_property
    def size(self) -> int | float:
        """The exact number of points, or `math.inf` where there are floats."""
        return math.inf if self.num_floats else self._order.size()

    def first(self) -> DNA:
        """The first point: every decision at its lowest value that the rules allow."""
        return self._point(Order(self._layout, lambda node: 1).nth(0))

    def iterate(self) -> Iterator[DNA]:
        """Every point of a finite space, the last decision fastest.

        Raises:
          SpaceError: the space has floats, and so no end.
        """
        return map(self._point, self._finite('iterate'))

    def nth(self, index: int) -> DNA:
        """The point at a position of the order of `iterate`, found without enumeration.

        Args:
          index: from 0 to size - 1, however large; negative ones count from the end.

        Raises:
          SpaceError: the space has floats, or fewer points.

        >>> import pgjax as pg
        >>> space = pg.search_space([pg.permutate(range(40))])
        >>> dna = space.nth(10**47)
        >>> space.decode(dna)[0][:5], space.rank(dna) == 10**47
        ([4, 36, 8, 19, 0], True)
        """
        order = self._finite('nth')
        size = order.size()
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not -size <= index < size:
            raise SpaceError(f'nth: the space has {show(size)} points; there is no point {show(index)}.')
        return self._point(order.nth(int(index) % size))

    def rank(self, dna: DNA) -> Any:
        """The inverse of `nth`: the position of a point, as a Python int; of a batch, a list of positions."""
        order = self._finite('rank')
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
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise SpaceError(f'grid: n must be a positive int, got {show(n)}.')
        most = {self._gene(d): (d.arity or 1) - 1 for d in self.decisions if d.kind == 'int'}

        def levels(node: Number) -> int:
            return n if node.kind == 'float' else min(n, node.arity)

        def placed(genes: Genes) -> Genes:
            return {gene: self._grid_gene(gene, value, n, most) for gene, value in genes.items()}

        return (self._point(placed(genes)) for genes in Order(self._layout, levels))

    def _grid_gene(self, gene: int, place: int, n: int, most: Mapping[int, int]) -> Any:
        position = place / (n - 1) if n > 1 else 0.5
        if gene >= self.num_choices:
            return position
        return round(position * most[gene]) if most.get(gene, 0) >= n else place

    def _gene(self, decision: Decision) -> int:
        return decision.column + (self.num_choices if decision.kind == 'float' else 0)

    def _finite(self, what: str) -> Order:
        if self.num_floats:
            name = next(d.id for d in self.decisions if d.kind == 'float')
            raise SpaceError(f'{what}: a space with floats ({name}) has no end; use space.random, or space.grid(n).')
        return self._order

    def _point(self, genes: Genes) -> DNA:
        choices = np.zeros(self.num_choices, np.int32)
        floats = np.zeros(self.num_floats, np.float32)
        for gene, value in genes.items():
            if gene < self.num_choices:
                choices[gene] = value
            else:
                floats[gene - self.num_choices] = value
        return DNA(choices, floats)

    def to_dict(
        self,
        dna: DNA,
        key_type: _dicts.KeyType = 'name_or_id',
        value_type: _dicts.ValueType = 'value',
        multi_choice_key: _dicts.MultiChoiceKey = 'subchoice',
        include_inactive_decisions: bool = False,
        filter_fn: Callable[[Decision], bool] | None = None,
    ) -> dict[str, Any]:
        """A point as a dictionary, in one of PyGlove's views.

        Args:
          dna: one point.
          key_type: 'name_or_id', or 'id' alone.
          value_type: of a choice: 'value', its index; 'choice', '2/3'; 'literal', what the candidate is called;
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
        mask = self.active(host)
        return _dicts.to_dict(
            self._layout,
            host,
            mask,
            key_type,
            value_type,
            multi_choice_key,
            include_inactive_decisions,
            filter_fn,
        )

    def from_dict(self, values: Mapping[str, Any], use_ints_as_literals: bool = False) -> DNA:
        """The inverse of `to_dict`, whatever the view.

        Args:
          values: by name, id, or the id of a `manyof` (a list); decisions not in use may be absent or None.
          use_ints_as_literals: whether an int for a choice is a candidate; else it is an index.

        Raises:
          DnaError: a decision is missing, unknown or out of range.
        """
        return self.canonical(self.check(_dicts.from_dict(self._layout, values, use_ints_as_literals)))

    def to_columns(self, dna: DNA) -> dict[str, np.ma.MaskedArray]:
        """A population [P] as one column for each decision, masked where a member does not use it."""
        host = self.check(dna)
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
        """The inverse of `to_numbers`, for one point.

        Raises:
          DnaError: too few or too many numbers, or one that does not fit its decision.
        """
        return self.check(_dicts.from_numbers(self._layout, numbers))
