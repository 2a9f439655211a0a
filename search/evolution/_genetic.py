"""Genetic algorithms and hill climbing, as compositions of operations."""

from __future__ import annotations

import jax

from pgjax.search._controller import require
from pgjax.search.evolution._evolution import Composed, Evolution, EvolutionState
from pgjax.search.evolution._operation import Operation
from pgjax.search.evolution.mutators import Gaussian
from pgjax.search.evolution.recombinators import Uniform
from pgjax.search.evolution.selectors import Top, Tournament
from pgjax.space import Space


class Genetic(Composed, type_name='pgjax.search.Genetic'):
    """A genetic algorithm: tournaments, crossover in pairs, one mutation; the best of old and new survive.

    With several objectives individuals are ranked by front, then crowding, which makes it an NSGA-II.

    Attributes:
      batch_size: B, children per `ask`.
      population_size: P; the first P points are random.
      tournament_size: how many meet for the place of each parent.
      crossover: makes children of parents.
      mutator: changes children.

    >>> from pgjax import search
    >>> search.Genetic(population_size=8).evolution.population_update
    Top(n=8, key=None, in_order=False)
    """

    batch_size: int = 16
    population_size: int = 20
    tournament_size: int = 2
    crossover: Operation = Uniform(children=2)
    mutator: Operation = Gaussian()

    @property
    def evolution(self) -> Evolution:
        """Tournament, crossover, mutation; the best survive."""
        parents = self.batch_size + self.batch_size % 2
        return Evolution(
            population_init=self.population_size,
            reproduction=Tournament(parents, size=self.tournament_size) >> self.crossover >> self.mutator,
            population_update=Top(self.population_size, in_order=False),
            batch_size=self.batch_size,
        )

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> EvolutionState:
        """An empty population."""
        require(self.population_size >= 1, self, 'population_size', 'at least 1')
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        allowed = f'between 1 and population_size {self.population_size}'
        require(1 <= self.tournament_size <= self.population_size, self, 'tournament_size', allowed)
        return super().init(space, key, num_objectives)


class HillClimb(Composed, type_name='pgjax.search.HillClimb'):
    """Mutations of the best point so far; of equals the earliest is the best.

    It stalls where no single change is better; `LocalSearch` starts anew there.

    Attributes:
      batch_size: B, mutations per `ask`.
      init_population_size: how many points are random.
      mutator: changes the best.

    >>> from pgjax import search
    >>> search.HillClimb(batch_size=4).evolution.population_update
    Top(n=1, key=None, in_order=True)
    """

    batch_size: int = 1
    init_population_size: int = 1
    mutator: Operation = Gaussian()

    @property
    def evolution(self) -> Evolution:
        """The best, as often as there are children to make, then mutation; the best survives."""
        return Evolution(
            population_init=self.init_population_size,
            reproduction=Tournament(self.batch_size, size=1) >> self.mutator,
            population_update=Top(1),
            batch_size=self.batch_size,
        )

    def init(self, space: Space, key: jax.Array, num_objectives: int = 1) -> EvolutionState:
        """Nobody."""
        require(self.batch_size >= 1, self, 'batch_size', 'at least 1')
        require(self.init_population_size >= 1, self, 'init_population_size', 'at least 1')
        return super().init(space, key, num_objectives)
