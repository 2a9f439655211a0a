"""Hypervolume: how much of the objective space a set of points dominates."""

from __future__ import annotations

from typing import Any

import numpy as np

from pgjax._errors import FitnessError, show


def hypervolume(fitness: Any, reference: Any) -> float:
    """The volume that lies below at least one row and above the reference point, in float64 on the host.

    Exact in any number of objectives: objectives are sliced off one by one (While et al., 2006, HSO), down to
    two, where the volume is a staircase. The cost is O(P log P) for M = 2, and another factor P for each further one.

    Args:
      fitness: float[P, M], maximized; rows with NaN or -inf, and rows that do not exceed the reference in every
        objective, add nothing.
      reference: float[M], the worst point that counts.

    Raises:
      FitnessError: the shapes do not fit, or the reference is not finite.

    >>> hypervolume([[3, 1], [2, 2], [1, 3]], [0, 0])
    6.0
    """
    fitness, reference = np.asarray(fitness, np.float64), np.asarray(reference, np.float64)
    if fitness.ndim != 2 or reference.shape != fitness.shape[1:] or not len(reference):
        raise FitnessError(
            f'hypervolume takes fitness [P, M] and a reference [M], got shapes {fitness.shape} and {reference.shape}.'
        )
    if not np.isfinite(reference).all():
        raise FitnessError(f'The reference point of a hypervolume must be finite, got {show(reference.tolist())}.')
    with np.errstate(invalid='ignore'):
        heights = fitness - reference
    return _volume(heights[(heights > 0).all(-1) & ~np.isnan(fitness).any(-1)])


def _volume(points: np.ndarray) -> float:
    """The volume between zero and float64[P, M], all positive."""
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    points = points[np.argsort(-points[:, 0], kind='stable')]
    if points.shape[1] == 2:
        return _area(points)
    total, depths = 0.0, np.append(points[:, 0], 0.0)
    for number in range(1, len(points) + 1):  # the slab in which exactly the first `number` points stand
        if depths[number - 1] > depths[number]:
            total += (depths[number - 1] - depths[number]) * _volume(points[:number, 1:])
    return total


def _area(points: np.ndarray) -> float:
    """The area below a staircase: float64[P, 2] in descending order of the first column."""
    heights = np.maximum.accumulate(points[:, 1])
    steps = np.diff(heights, prepend=0.0)
    return float((points[:, 0] * steps).sum())
