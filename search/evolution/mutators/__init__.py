"""Mutators: new individuals, each made from one."""

from pgjax.search.evolution.mutators._arrange import Arrangement, Insert, Invert, Swap
from pgjax.search.evolution.mutators._mutator import Each, Mutator
from pgjax.search.evolution.mutators._uniform import Gaussian, Polynomial, Uniform

__all__ = ['Arrangement', 'Each', 'Gaussian', 'Insert', 'Invert', 'Mutator', 'Polynomial', 'Swap', 'Uniform']
