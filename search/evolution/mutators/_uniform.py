"""Mutators of decisions by themselves: uniform, Gaussian and polynomial."""

from __future__ import annotations

import jax

from pgjax.search._controller import is_within, require
from pgjax.search.evolution._genes import Where
from pgjax.search.evolution._mutate import NUMBER_STEP, mutated
from pgjax.search.evolution._operation import Context
from pgjax.search.evolution._schedule import Number, value_at
from pgjax.search.evolution._values import NormalStep, NumberStep, PolynomialStep
from pgjax.search.evolution.mutators._mutator import Mutator
from pgjax.space import DNA


class Uniform(Mutator, type_name='pgjax.search.evolution.mutators.Uniform'):
    """Decides one decision in use anew: any other value, all equally likely. A child always differs from its parent.

    PyGlove's may draw the value that was there. A slot of a distinct group takes a candidate that is free; slots of
    a permutation change places. Decisions that come into use are drawn.

    Attributes:
      where: which decisions may change, as a predicate of a `Decision` (its `hints`, `name`, `id`, `kind`); all by
        default.
      rate: the probability of each decision to change, a number or a schedule, instead of exactly one of them. Where
        chance changes none, one is changed. Of a distinct or sorted group one slot changes at a time.
    """

    where: Where = None
    rate: Number | None = None

    def step(self, context: Context) -> NumberStep | None:
        """How numbers move: None draws them anew."""
        del context
        return None

    def mutate(self, key: jax.Array, dna: DNA, context: Context) -> DNA:
        """Children that differ from their parents."""
        require(self.rate is None or is_within(self.rate, 0, 1), self, 'rate', 'between 0 and 1, or None')
        rate = None if self.rate is None else value_at(self.rate, context.step)
        return mutated(context.space, key, dna, where=self.where, rate=rate, step=self.step(context))


class Gaussian(Uniform, type_name='pgjax.search.evolution.mutators.Gaussian'):
    """As `Uniform`, but floats and ints take a normal step on their scale, reflected at the ends.

    Attributes:
      std: the standard deviation as a part of the range, a number or a schedule. An int moves by at least one.
    """

    std: Number = NUMBER_STEP

    def step(self, context: Context) -> NumberStep | None:
        """A normal step."""
        require(is_within(self.std, 0), self, 'std', 'a finite number of at least 0')
        return NormalStep(value_at(self.std, context.step))


class Polynomial(Uniform, type_name='pgjax.search.evolution.mutators.Polynomial'):
    """As `Uniform`, but numbers take a step of Deb's polynomial mutation on their scale (Deb and Agrawal, 1999).

    Attributes:
      eta: the larger, the smaller the steps: about 1 / (eta + 1) of the range; 20 is the authors' choice.
    """

    eta: Number = 20.0

    def step(self, context: Context) -> NumberStep | None:
        """A polynomial step."""
        require(is_within(self.eta, 0), self, 'eta', 'a finite number of at least 0')
        return PolynomialStep(value_at(self.eta, context.step))
