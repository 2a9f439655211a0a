"""Recombinators: new individuals, each made from several."""

from pgjax.search.evolution.recombinators._permutations import Cycle, Order, PartiallyMapped
from pgjax.search.evolution.recombinators._points import Average, Sample, Uniform, WeightedAverage
from pgjax.search.evolution.recombinators._recombinator import Recombinator, Together
from pgjax.search.evolution.recombinators._segments import KPoint, Segmented

__all__ = [
    'Average',
    'Cycle',
    'KPoint',
    'Order',
    'PartiallyMapped',
    'Recombinator',
    'Sample',
    'Segmented',
    'Together',
    'Uniform',
    'WeightedAverage',
]
