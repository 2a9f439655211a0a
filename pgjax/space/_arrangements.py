"""How many points the slots of a `manyof` have: sums of products over the index tuples that its rules allow."""

from __future__ import annotations

import functools
import math
from typing import Any

from pgjax.space._plan import ConstrainedGroup


def arrangements(sizes: tuple[int, ...], k: int, group: ConstrainedGroup, memory: Any) -> int:
    """The points of k slots over candidates of so many points each: sums of products over allowed indices."""
    if group.sorted:
        first = 0 if memory is None else memory + group.distinct
        return _sorted_sums(sizes, k, group.distinct)[k][first]
    if not group.distinct:
        return sum(sizes) ** k
    free = [s for i, s in enumerate(sizes) if i not in (memory or ())]
    if all(s == free[0] for s in free):
        return math.perm(len(free), k) * free[0] ** k
    return _sorted_sums(tuple(free), k, True)[k][0] * math.factorial(k)


@functools.lru_cache(maxsize=256)
def _sorted_sums(sizes: tuple[int, ...], k: int, distinct: bool) -> list[list[int]]:
    """[j][first]: the sum over sorted j-tuples of candidates from `first` on of the product of their sizes."""
    n = len(sizes)
    sums = [[1] * (n + 2)]
    for _ in range(k):
        row = [0] * (n + 2)
        for first in range(n - 1, -1, -1):
            row[first] = row[first + 1] + sizes[first] * sums[-1][first + distinct]
        sums.append(row)
    return sums
