"""Genes that come into use: they are drawn, since what an individual does not use it does not have."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.search.evolution._genes import genes_of
from pgjax.space import DNA, Space


def open_genes(space: Space, child: DNA, in_use: Any, fresh: DNA | None) -> DNA:
    """Canonical points in which the genes that have come into use are taken from `fresh`; on the host, or traced.

    Args:
      space: static.
      child: int32[..., C] and float32[..., F]; genes not in use may hold anything.
      in_use: bool[..., C + F], the genes that the child has on purpose.
      fresh: random points, every gene of them drawn; none is needed where all genes are always in use.
    """
    c = space.num_choices
    xp = np if isinstance(child.choices, np.ndarray) else jnp
    for _ in range(genes_of(space).depth):  # a decision below one that has just been opened is open now too
        assert fresh is not None
        opened = space.active(child) & ~in_use
        child = DNA(
            xp.where(opened[..., :c], fresh.choices, child.choices),
            xp.where(opened[..., c:], fresh.floats, child.floats),
        )
    return space.canonical(child)


def fresh_points(space: Space, key: jax.Array, shape: tuple[int, ...]) -> DNA | None:
    """Random points for `open_genes`, with every gene drawn; None where no gene can come into use."""
    return space.random(key, shape, canonical=False) if genes_of(space).depth else None
