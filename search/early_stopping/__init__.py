"""Early stopping: which trials of a `pg.sample` loop are not worth going on with."""

from pgjax.search.early_stopping._halving import ASHA, SuccessiveHalving
from pgjax.search.early_stopping._percentile import Percentile, median
from pgjax.search.early_stopping._policy import And, Curves, Not, Or, Policy, Settled
from pgjax.search.early_stopping._step_wise import ByRank, ByValue, early_stop_by_rank, early_stop_by_value

__all__ = [
    'ASHA',
    'And',
    'ByRank',
    'ByValue',
    'Curves',
    'Not',
    'Or',
    'Percentile',
    'Policy',
    'Settled',
    'SuccessiveHalving',
    'early_stop_by_rank',
    'early_stop_by_value',
    'median',
]
