"""A population split by structure: the members that one compiled program can run, as one object."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pgjax.space._decode import is_column, put


@dataclasses.dataclass(frozen=True)
class Group:
    """Members of a population that have one structure.

    Attributes:
      indices: int[n], their positions in the population.
      population: one object whose leaves have the leading axis n.
    """

    indices: np.ndarray
    population: Any


def partition(rows: np.ndarray) -> list[np.ndarray]:
    """Positions of equal rows, in the order of each row's first appearance.

    Args:
      rows: int32[P, S].
    """
    if rows.shape[1] == 0 or len(rows) == 0:
        return [np.arange(len(rows))] if len(rows) else []
    packed = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)
    labels: dict[bytes, int] = {}
    numbers = np.fromiter((labels.setdefault(row, len(labels)) for row in packed.tolist()), np.intp, len(rows))
    order = np.argsort(numbers, kind='stable')
    return np.split(order, np.cumsum(np.bincount(numbers))[:-1])


def stacked(indices: np.ndarray, members: Sequence[Any]) -> list[Group]:
    """Members that are known one by one, at positions int[n], in groups of one structure."""
    alike: dict[Any, list[int]] = {}
    flat = [jax.tree.flatten(member) for member in members]
    for row, (leaves, treedef) in enumerate(flat):
        alike.setdefault((treedef, *map(_structure, leaves)), []).append(row)
    found = []
    for (treedef, *_), rows in alike.items():
        columns = zip(*(flat[row][0] for row in rows), strict=True)
        found.append(Group(indices[rows], treedef.unflatten(put(list(map(_column, columns))))))
    return found


def _structure(leaf: Any) -> Any:
    """What a leaf that is structure is grouped by: itself, or its identity."""
    if is_column(leaf):
        return None
    return leaf if isinstance(leaf, (str, bytes)) else id(leaf)


def _column(leaves: tuple[Any, ...]) -> Any:
    """[n, ...], one leaf of n members."""
    if not is_column(leaves[0]):
        return leaves[0]
    if isinstance(leaves[0], jax.Array):
        return jnp.stack(leaves)
    column = np.stack([np.asarray(leaf) for leaf in leaves])
    return column.astype(jax.dtypes.canonicalize_dtype(column.dtype), copy=False)
