"""Species: groups of points that are alike, by the distance of their DNA."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space import DNA, Space

NO_SPECIES = -1


def distance(space: Space, a: DNA, b: DNA, disjoint: Any = 1.0, matching: Any = 1.0) -> jax.Array:
    """float32[]: how different two points are, per decision in use.

    Decisions that only one of both uses count `disjoint` each. Those that both use count `matching` times their
    difference: 1 where choices differ, and for numbers the part of the range between them. The sum is divided by
    the number of decisions that either uses. (In NEAT's terms disjoint and excess genes are one kind here: a space
    knows no order of innovation.)

    Args:
      space: static.
      a: int32[C] and float32[F], a canonical point.
      b: another.
      disjoint: the coefficient of decisions in use in one alone.
      matching: the coefficient of differences.

    >>> import pgjax as pg
    >>> space = pg.search_space([pg.oneof('ab'), pg.oneof([pg.Dict(z=pg.intv(0, 4)), 'none'])])
    >>> points = [space.encode(['a', {'z': 0}]), space.encode(['b', {'z': 2}]), space.encode(['a', 'none'])]
    >>> float(distance(space, points[0], points[1])), round(float(distance(space, points[0], points[2])), 4)
    (0.5, 0.6667)
    """
    per_step = _per_step(space)
    in_a, in_b = space.active(a), space.active(b)
    steps = jnp.abs(a.choices - b.choices).astype(jnp.float32)
    between = jnp.where(np.isnan(per_step), steps > 0, steps * np.nan_to_num(per_step))
    differences = jnp.concatenate([between, jnp.abs(a.floats - b.floats)])
    alone, both = (in_a ^ in_b).sum(), jnp.where(in_a & in_b, differences, 0.0).sum()
    return (disjoint * alone + matching * both) / jnp.maximum((in_a | in_b).sum(), 1)


@functools.lru_cache(maxsize=256)
def _per_step(space: Space) -> np.ndarray:
    """float32[C]: the part of an int's range that one step is; NaN for choices among candidates."""
    choices = sorted((d for d in space.decisions if d.kind != 'float'), key=lambda d: d.column)
    return np.array([1 / max((d.arity or 1) - 1, 1) if d.kind == 'int' else np.nan for d in choices], np.float32)


def speciate(
    space: Space, dna: DNA, exists: Any, representatives: DNA, taken: Any, threshold: Any, *coefficients: Any
) -> jax.Array:
    """int32[P]: the species of each point, the first whose representative is near enough (NEAT, section 3.3).

    A point that is near none founds a species in a free place, and represents it for those that follow; where no
    place is free it joins the nearest species.

    Args:
      space: static.
      dna: int32[P, C] and float32[P, F].
      exists: bool[P]; the others get species -1.
      representatives: int32[S, C] and float32[S, F], one in each of S places.
      taken: bool[S], the places that have a representative.
      threshold: points nearer than this are of one species.
      *coefficients: of `distance`.
    """

    def join(carry: tuple[DNA, jax.Array], point: tuple[DNA, jax.Array]) -> tuple[Any, jax.Array]:
        (representatives, taken), (one, real) = carry, point
        apart = jax.vmap(lambda other: distance(space, one, other, *coefficients))(representatives)
        apart = jnp.where(taken, apart, jnp.inf)
        near = apart < threshold
        founds = real & ~near.any() & ~taken.all()
        place = jnp.where(near.any(), jnp.argmax(near), jnp.where(founds, jnp.argmin(taken), jnp.argmin(apart)))
        mine = founds & (jnp.arange(len(taken)) == place)
        representatives = jax.tree.map(lambda old, new: jnp.where(mine[:, None], new, old), representatives, one)
        return (representatives, taken | mine), jnp.where(real, place, NO_SPECIES).astype(jnp.int32)

    return jax.lax.scan(join, (representatives, taken), (dna, exists))[1]
