"""New values of single decisions: steps in the unit interval, and other candidates.

What has an argument `xp` is for traced arrays, and with `xp=np` for those of NumPy, bit for bit. Compilers fuse a
product and a sum after it, which rounds once instead of twice, so in there no product that is rounded is added to
anything, and nothing is divided.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import statistics
from typing import Any

import jax.numpy as jnp
import numpy as np

_GRID = 2.0**24  # normal steps are multiples of its inverse, to which positions are resolved
_CELLS, _WITHIN = 12, 11  # bits of a uniform number: which quantiles it lies between, and where between them
_UNIT = 2.0**20  # quantiles are multiples of its inverse
_FARTHEST = 4.0  # the outermost cells then have the mean of the tails


class Single:
    """The part of an array namespace that single numbers need, without what calls on arrays cost: another `xp`."""

    minimum, maximum = min, max

    @staticmethod
    def where(condition: Any, yes: Any, no: Any) -> Any:
        """One of two numbers."""
        return yes if condition else no


class NumberStep(abc.ABC):
    """How numbers move under mutation."""

    @abc.abstractmethod
    def of_float(self, position: Any, u: Any) -> Any:
        """Another position in [0, 1], from one uniform number."""

    def of_int(self, gene: Any, u: Any, arity: Any) -> Any:
        """The int nearest to a step of its position, but never the same one while there is another."""
        top = jnp.maximum(arity - 1, 1)
        wanted = self.of_float(gene / top, u) * top
        moved = jnp.clip(jnp.round(wanted).astype(jnp.int32), 0, top)
        return _never_the_same(gene, moved, wanted < gene, arity, jnp)


@dataclasses.dataclass(frozen=True)
class NormalStep(NumberStep):
    """A normal step of at most four standard deviations, reflected at the ends.

    Quantiles come from a table, with whole numbers between its entries: formulas of logarithms and roots have other
    last bits in other programs.

    Attributes:
      std: the standard deviation as a part of the range.
    """

    std: Any

    def shift(self, u: Any) -> Any:
        """float32, how far a uniform number moves a position before it is reflected."""
        bits = 2 ** (_CELLS + _WITHIN)
        place = jnp.minimum((u * bits).astype(jnp.int32), bits - 1)
        cell, within = place >> _WITHIN, place & (2**_WITHIN - 1)
        low, width = (jnp.asarray(column)[cell] for column in _normal_cells())
        quantile = (low + ((width * within) >> _WITHIN)).astype(jnp.float32) * (1.0 / _UNIT)
        return jnp.round(self.std * quantile * _GRID) * (1.0 / _GRID)

    def of_float(self, position: Any, u: Any) -> Any:
        """The position, moved."""
        return reflected(position, self.shift(u))

    def of_int(self, gene: Any, u: Any, arity: Any) -> Any:
        """The gene, moved by the nearest whole number, but never the same one while there is another."""
        shift = self.shift(u)
        return reflected_int(gene, whole_shift(shift, arity), shift < 0, arity)


@functools.lru_cache(maxsize=1)
def _normal_cells() -> tuple[np.ndarray, np.ndarray]:
    """int32[2**_CELLS] each: where the cells of the normal quantiles begin, and how wide they are."""
    inverse = statistics.NormalDist().inv_cdf
    inner = [inverse(i / 2**_CELLS) for i in range(1, 2**_CELLS)]
    edges = np.rint(np.array([-_FARTHEST, *inner, _FARTHEST]) * _UNIT).astype(np.int32)
    return edges[:-1], np.diff(edges)


@dataclasses.dataclass(frozen=True)
class PolynomialStep(NumberStep):
    """Deb's polynomial mutation, in the form that keeps within [0, 1].

    Deb and Agrawal (1999), A niched-penalty approach for constraint handling in genetic algorithms; the bounded form
    is that of the authors' NSGA-II code.

    Attributes:
      eta: the larger, the smaller the steps.
    """

    eta: Any

    def of_float(self, position: Any, u: Any) -> Any:
        """The position, moved."""
        power = self.eta + 1.0
        down = 2.0 * u + (1.0 - 2.0 * u) * (1.0 - position) ** power
        up = 2.0 * (1.0 - u) + (2.0 * u - 1.0) * position**power
        down, up = jnp.maximum(down, 0.0) ** (1.0 / power), jnp.maximum(up, 0.0) ** (1.0 / power)
        step = jnp.where(u < 0.5, down - 1.0, 1.0 - up)
        return jnp.clip(position + step, 0.0, 1.0)


def reflected(position: Any, shift: Any, xp: Any = jnp) -> Any:
    """float32, the position moved by a shift, reflected at the ends of [0, 1]."""
    folded = abs(position + shift) % 2.0
    return xp.minimum(folded, 2.0 - folded)


def whole_shift(shift: Any, arity: Any, xp: Any = jnp) -> Any:
    """int32, a shift of positions as one of genes, at most from one end to the other and back."""
    top = xp.maximum(arity - 1, 1)
    within = (shift + 1.0) % 2.0 - 1.0  # two ranges on it is reflected to where it was
    whole = xp.rint(within * xp.asarray(top, np.float32)).astype(np.int32)
    return xp.minimum(xp.maximum(whole, -top), top)


def reflected_int(gene: Any, shift: Any, downwards: Any, arity: Any, xp: Any = jnp) -> Any:
    """The gene moved by a whole shift, reflected at the ends, but never the same one while there is another."""
    top = xp.maximum(arity - 1, 1)
    moved = xp.where(shift < 0, abs(gene + shift), top - abs(top - gene - shift))
    return _never_the_same(gene, moved, downwards, arity, xp)


def _never_the_same(gene: Any, moved: Any, downwards: Any, arity: Any, xp: Any) -> Any:
    aside = xp.where(downwards, gene - 1, gene + 1)
    inwards = xp.where(aside > arity - 1, gene - 1, xp.where(aside < 0, gene + 1, aside))
    return xp.where(arity < 2, gene, xp.where(moved == gene, inwards, moved))


def other_candidate(gene: Any, u: Any, arity: Any, xp: Any = jnp) -> Any:
    """Any candidate but this one, all equally likely; the same where there is no other."""
    return (gene + way_to_other(u, arity, xp)) % xp.maximum(arity, 1)


def way_to_other(u: Any, arity: Any, xp: Any = jnp) -> Any:
    """int32, how far another candidate lies after one, the first following the last."""
    return 1 + part_of(u, xp.maximum(arity - 1, 1), xp)


def part_of(u: Any, number: Any, xp: Any = jnp) -> Any:
    """int32, which of a number of equal parts of [0, 1) a uniform number lies in."""
    return xp.minimum((u * xp.asarray(number, np.float32)).astype(np.int32), number - 1)
