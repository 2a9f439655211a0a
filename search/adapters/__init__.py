"""Samplers and strategies of other libraries as controllers. Each needs its extra only when it is used."""

from pgjax.search.adapters._evosax import Evosax, evosax
from pgjax.search.adapters._optuna import Optuna, optuna

__all__ = ['Evosax', 'Optuna', 'evosax', 'optuna']
