"""What a space does with arrays of points: pure functions of a DNA with any leading axes, all of which jit."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from pgjax._errors import SpaceError, show
from pgjax.space import _check, _genes, _random
from pgjax.space._dna import DNA
from pgjax.space._plan import ConstrainedGroup, Decision, Layout
from pgjax.space._threefry import require_key


class ArrayMethods:
    """The part of `pg.Space` that JAX can compile."""

    _layout: Layout
    _tables: _genes.Tables
    decisions: tuple[Decision, ...]
    constrained_groups: tuple[ConstrainedGroup, ...]
    num_choices: int
    num_floats: int

    @functools.cached_property
    def structural(self) -> tuple[Decision, ...]:
        """The decisions that change the structure of the decoded object."""
        return tuple(d for d in self.decisions if d.structural)

    @functools.cached_property
    def traced(self) -> tuple[Decision, ...]:
        """The decisions that only change leaves, or pick a branch of a switch: they vary inside one program."""
        return tuple(d for d in self.decisions if not d.structural)

    @functools.cached_property
    def _structural_columns(self) -> tuple[np.ndarray, np.ndarray]:
        choices = [d.column for d in self.structural if d.kind != 'float']
        return np.array(choices, int), np.array([d.column for d in self.structural if d.kind == 'float'], int)

    def active(self, dna: DNA) -> Any:
        """bool[..., C + F]: the genes that a point uses; jittable."""
        return _genes.active(self._tables, dna) if _on_host(dna) else _active(self, dna)

    def canonical(self, dna: DNA) -> DNA:
        """The same point with unused genes zero, so that equal points have equal arrays; jittable.

        Positions of floats below 2**-24 count as 0.
        """
        return _genes.canonical(self._layout, self._tables, dna) if _on_host(dna) else _canonical(self, dna)

    def violations(self, dna: DNA) -> Any:
        """bool[..., C + F]: genes in use that are out of range or break their group's rule; jittable."""
        return _genes.violations(self._tables, dna) if _on_host(dna) else _violations(self, dna)

    def values(self, dna: DNA) -> jax.Array:
        """float32[..., C + F]: what each gene stands for, used or not; jittable.

        The value of a number, the candidate of a choice among at most 16 numbers, and else the index.
        """
        return _values(self, dna)

    def repair(self, dna: DNA) -> DNA:
        """A valid canonical point near by, and the point itself where it is valid; jittable."""
        return _repair(self, dna)

    def fingerprint(self, dna: DNA) -> Any:
        """uint32[..., 2]: a hash of the canonical point; jittable."""
        return _genes.fingerprint(self._layout, self._tables, dna) if _on_host(dna) else _fingerprint(self, dna)

    def random(self, key: jax.Array, shape: tuple[int, ...] | int = (), *, canonical: bool = True) -> DNA:
        """Random points, in canonical form unless told otherwise; jittable for a static `shape`.

        Choices are uniform over their candidates, numbers uniform on their scale, slots of a distinct group
        uniform over arrangements, of a sorted one sorted draws.

        Raises:
          SpaceError: `shape` is no shape, or the key is not one key of threefry.

        >>> import jax, pgjax as pg
        >>> space = pg.search_space([pg.oneof([1, 2]), pg.floatv(0.0, 1.0)])
        >>> dna = space.random(jax.random.key(0), (3,))
        >>> dna.choices.shape, dna.floats.shape
        ((3, 1), (3, 1))
        """
        require_key(key, 'random')
        return _random_points(self, key, _shape(shape), canonical)

    def structure_key(self, dna: DNA) -> Any:
        """int32[..., S]: the structural genes in canonical form; members of equal rows share a program."""
        return _genes.structure_key(self._structural_columns, self.canonical(dna))

    def check(self, dna: Any) -> DNA:
        """The DNA on the host, known to be valid.

        Raises:
          DnaError: see the message; it names the decision.
        """
        return _check.check(self._layout, self._tables, dna)


def _shape(shape: Any) -> tuple[int, ...]:
    """The leading axes of random points."""
    try:
        axes = tuple(map(operator.index, shape if isinstance(shape, Iterable) else (shape,)))
    except TypeError:  # of something that is no int
        axes = (-1,)
    if any(axis < 0 for axis in axes):
        raise SpaceError(f'random: shape must be an int from 0 on, or a tuple of them, got {show(shape)}.')
    return axes


def _on_host(dna: DNA) -> bool:
    return isinstance(dna.choices, np.ndarray) and isinstance(dna.floats, np.ndarray)


# One compiled program per space and shape, where eager calls would dispatch dozens of operations.
_compiled = functools.partial(jax.jit, static_argnums=0, inline=True)


@_compiled
def _active(space: ArrayMethods, dna: DNA) -> jax.Array:
    return _genes.active(space._tables, dna)


@_compiled
def _canonical(space: ArrayMethods, dna: DNA) -> DNA:
    return _genes.canonical(space._layout, space._tables, dna)


@_compiled
def _violations(space: ArrayMethods, dna: DNA) -> jax.Array:
    return _genes.violations(space._tables, dna)


@_compiled
def _values(space: ArrayMethods, dna: DNA) -> jax.Array:
    return _genes.values(space._layout, dna)


@_compiled
def _repair(space: ArrayMethods, dna: DNA) -> DNA:
    return _genes.repair(space._layout, space._tables, dna)


@_compiled
def _fingerprint(space: ArrayMethods, dna: DNA) -> jax.Array:
    return _genes.fingerprint(space._layout, space._tables, dna)


@functools.partial(jax.jit, static_argnums=(0, 2, 3), inline=True)
def _random_points(space: ArrayMethods, key: jax.Array, shape: tuple[int, ...], canonical: bool) -> DNA:
    return _random.random(space._layout, space._tables, key, shape, canonical_form=canonical)
