"""Selectors: which individuals of a population go on."""

from pgjax.search.evolution.selectors._count import Count
from pgjax.search.evolution.selectors._drawn import (
    MOST_BY_PRODUCT,
    Proportional,
    Random,
    Sample,
    Tournament,
    below,
    draw_below,
    winners,
)
from pgjax.search.evolution.selectors._ranked import Bottom, Filter, First, Last, Top
from pgjax.search.evolution.selectors._selector import Selector

__all__ = [
    'MOST_BY_PRODUCT',
    'Bottom',
    'Count',
    'Filter',
    'First',
    'Last',
    'Proportional',
    'Random',
    'Sample',
    'Selector',
    'Top',
    'Tournament',
    'below',
    'draw_below',
    'winners',
]
