"""Several objectives: who dominates whom, how crowded a front is, how much of the space it covers, constraints."""

from pgjax.search.multiobjective._constraints import Constrained, Constraint, at_least, at_most, constrained
from pgjax.search.multiobjective._dominance import (
    best_first,
    crowding_distance,
    dominates,
    nondominated_ranks,
    nondominated_sort,
)
from pgjax.search.multiobjective._hypervolume import hypervolume

__all__ = [
    'Constrained',
    'Constraint',
    'at_least',
    'at_most',
    'best_first',
    'constrained',
    'crowding_distance',
    'dominates',
    'hypervolume',
    'nondominated_ranks',
    'nondominated_sort',
]
