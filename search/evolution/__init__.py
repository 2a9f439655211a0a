"""Evolution on arrays of DNA."""

from pgjax.search.evolution._mutate import mutate
from pgjax.search.evolution._regularized import RegularizedEvolution

__all__ = ['RegularizedEvolution', 'mutate']
