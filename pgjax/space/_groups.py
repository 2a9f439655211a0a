"""A population split by structure: the members that one compiled program can run, as one object."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


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
