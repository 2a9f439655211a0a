"""Model-based controllers: a Gaussian process over mixed, conditional spaces, and Parzen estimators."""

from pgjax.search.bayes._bayesian import Bayesian
from pgjax.search.bayes._tpe import TPE

__all__ = ['TPE', 'Bayesian']
