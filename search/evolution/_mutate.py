"""Point mutation of batches: one decision of each point is decided anew, or each with some probability."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from pgjax.search.evolution._genes import Where, genes_of, selected
from pgjax.search.evolution._opening import fresh_points
from pgjax.search.evolution._point import NOISE, change_each, change_one
from pgjax.search.evolution._schedule import Number
from pgjax.search.evolution._values import NormalStep, NumberStep
from pgjax.space import DNA, Space
from pgjax.space._threefry import uniform

NUMBER_STEP = 0.2  # standard deviation of a step of a float or int, as a part of its (scaled) range
NORMAL_STEP = NormalStep(NUMBER_STEP)


def mutated(
    space: Space,
    key: jax.Array,
    dna: DNA,
    *,
    fresh: DNA | None = None,
    where: Where = None,
    rate: Number | None = None,
    step: NumberStep | None = None,
) -> DNA:
    """Children of B canonical points; the arguments are those of `change_one`, and the attributes of `Uniform`."""
    allowed = selected(space, where)

    def changed(key: jax.Array) -> tuple[DNA, DNA | None]:
        noise, drawn = draw_changes(space, key, dna.shape, fresh)
        return jax.vmap(lambda d, n, f: change_one(space, d, n, f, allowed, step))(dna, noise, drawn), drawn

    if rate is None:
        return changed(key)[0]
    one_key, each_key, hit_key = jax.random.split(key, 3)
    one, drawn = changed(one_key)
    width = (*dna.shape, space.num_choices + space.num_floats)
    hit = uniform(hit_key, width) < rate
    each, any_hit = jax.vmap(lambda d, h, n, f: change_each(space, d, h, n, f, allowed, step))(
        dna, hit, uniform(each_key, width), drawn
    )
    return jax.tree.map(lambda a, b: jnp.where(any_hit[:, None], a, b), each, one)


def draw_changes(
    space: Space, key: jax.Array, shape: tuple[int, ...], fresh: DNA | None = None
) -> tuple[jax.Array, DNA | None]:
    """The random numbers of `mutated`, for as many points: `noise` and `fresh` of `change_one`."""
    if fresh is None and genes_of(space).depth:  # a split costs a tenth of a second to compile
        key, fresh_key = jax.random.split(key)
        fresh = fresh_points(space, fresh_key, shape)
    return uniform(key, (NOISE, *shape)).T, fresh


def mutate(space: Space, key: jax.Array, dna: DNA, fresh: DNA | None = None) -> DNA:
    """One decision of each of B points changed, numbers by normal steps: what named controllers use.

    Args:
      space: static.
      key: consumed.
      dna: B canonical points.
      fresh: B random points, not canonical, for decisions that come into use; drawn where not given.

    Returns:
      B canonical points that differ from `dna` wherever the space has another point.
    """
    return mutated(space, key, dna, fresh=fresh, step=NORMAL_STEP)
