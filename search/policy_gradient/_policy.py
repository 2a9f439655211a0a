"""The interface of policies over DNA: distributions with parameters, from which points are drawn."""

from __future__ import annotations

import abc
from typing import Any

import jax

from pgjax.space import DNA, Space
from pgjax.symbolic import Object

Parameters = Any


class Policy(Object):
    """A distribution over the points of a space; holds settings only, its parameters are passed.

    The probability of a point is the product over the genes it uses; genes not in use count for nothing.

    Attributes:
      bins: numbers with more values are drawn from a histogram of so many equal bins, uniform within each.
    """

    bins: int = 16

    @abc.abstractmethod
    def init(self, space: Space, key: jax.Array) -> Parameters:
        """Parameters of the uniform policy."""

    @abc.abstractmethod
    def sample(self, space: Space, parameters: Parameters, key: jax.Array, number: int) -> DNA:
        """`number` independent canonical points."""

    @abc.abstractmethod
    def log_prob(self, space: Space, parameters: Parameters, dna: DNA) -> jax.Array:
        """float32[n], the log probability of each of n canonical points' categories."""

    @abc.abstractmethod
    def gradient(
        self, space: Space, parameters: Parameters, dna: DNA, weight: jax.Array, entropy: jax.Array | float
    ) -> Parameters:
        """The gradient of sum(weight * log_prob(dna)) + entropy * (entropy of the decisions in use).

        Args:
          space: static.
          parameters: of the policy.
          dna: n canonical points.
          weight: float32[n].
          entropy: the coefficient of the entropy, summed over decisions and averaged over the points whose weight is
            not exactly 0.
        """
