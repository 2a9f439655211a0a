"""A space split into parts that are decided apart, whose DNAs go together again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from pgjax._errors import SpaceError
from pgjax.space._dna import DNA

if TYPE_CHECKING:
    from pgjax.space._space import Space


@dataclasses.dataclass(frozen=True)
class Partition(Mapping[str, 'Space']):
    """The parts of a space by name. Decoding with one part leaves the holes of the others open.

    Attributes:
      whole: the space that was split.
      spaces: its parts, in the order given.
    """

    whole: Space
    spaces: dict[str, Space]
    _columns: dict[str, tuple[np.ndarray, np.ndarray]]  # of each part: where its columns lie in the whole

    @classmethod
    def of(cls, whole: Space, parts: Mapping[str, Callable[[Any], bool]], make: Callable[..., Space]) -> Partition:
        """Splits a space; see `Space.partition`."""
        rules = list(parts.values())

        def own(number: int) -> Callable[[Any], bool]:
            return lambda hole: rules[number](hole) and not any(rule(hole) for rule in rules[:number])

        spaces = {name: make(whole.template, own(number)) for number, name in enumerate(parts)}
        where = {(d.kind == 'float', d.id): d.column for d in whole.decisions}
        columns = {}
        for name, space in spaces.items():
            places = tuple(
                np.array([where.pop((kind, d.id)) for d in space.decisions if (d.kind == 'float') is kind], int)
                for kind in (False, True)
            )
            columns[name] = (places[0], places[1])
        if where:
            _, missing = next(iter(where))
            raise SpaceError(
                f'{missing}: the decision belongs to no part. Every hole needs a part that wants it, and a hole '
                'inside candidates the part of the hole around it.'
            )
        return cls(whole, spaces, columns)

    def __getitem__(self, name: str) -> Space:
        return self.spaces[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.spaces)

    def __len__(self) -> int:
        return len(self.spaces)

    def join(self, points: Mapping[str, DNA]) -> DNA:
        """The DNA of the whole space from one for each part, with the same leading axes; jittable.

        Args:
          points: a DNA of each part's space, by its name.

        >>> import pgjax as pg
        >>> space = pg.search_space([pg.oneof([1, 2], hints='hw'), pg.oneof([3, 4, 5])])
        >>> parts = space.partition({'rest': lambda h: h.hints != 'hw', 'hw': lambda h: True})
        >>> space.decode(parts.join({'hw': parts['hw'].nth(1), 'rest': parts['rest'].nth(2)}))
        [2, 5]
        """
        order = list(self.spaces)
        genes = [
            jnp.concatenate([jnp.asarray(values(points[name])) for name in order], -1)[
                ..., np.argsort(np.concatenate([self._columns[name][kind] for name in order]))
            ]
            for kind, values in enumerate((lambda p: p.choices, lambda p: p.floats))
        ]
        return DNA(genes[0], genes[1])

    def split(self, dna: DNA) -> dict[str, DNA]:
        """The inverse of `join`; jittable."""
        return {n: DNA(dna.choices[..., c], dna.floats[..., f]) for n, (c, f) in self._columns.items()}
