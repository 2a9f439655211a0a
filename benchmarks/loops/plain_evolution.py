"""Regularized evolution (Real et al., 2019) as one writes it first, in plain Python, with no point evaluated twice."""

from collections import deque
from typing import Any

import numpy as np

POPULATION, TOURNAMENT = 20, 10
TRIES = 50  # mutants of one parent that may all be known before another parent is drawn


def regrets(table: Any, seeds: int, budget: int) -> np.ndarray:
    """float64[seeds, budget]: the regret of the best point so far, in units of `table.scale`."""
    values = np.where(np.isfinite(table.values), table.values, -np.inf).reshape(table.arity)
    known = [_search(table.arity, values, np.random.default_rng(seed), budget) for seed in range(seeds)]
    return (table.best - np.maximum.accumulate(known, axis=1)) * table.scale


def _search(arity: tuple[int, ...], values: np.ndarray, random: np.random.Generator, budget: int) -> list[float]:
    """The values of the points that are evaluated, in order."""
    population: deque[tuple[float, tuple[int, ...]]] = deque(maxlen=POPULATION)  # the oldest leaves
    evaluated: dict[tuple[int, ...], float] = {}
    while len(evaluated) < budget:
        if len(population) < POPULATION:
            point = tuple(int(random.integers(n)) for n in arity)
        else:
            rows = random.choice(POPULATION, TOURNAMENT, replace=False)
            _, parent = max((population[row] for row in rows), key=lambda individual: individual[0])
            mutants = (_mutant(arity, parent, random) for _ in range(TRIES))
            point = next((mutant for mutant in mutants if mutant not in evaluated), parent)
        if point not in evaluated:
            evaluated[point] = float(values[point])
            population.append((evaluated[point], point))
    return [*evaluated.values()]


def _mutant(arity: tuple[int, ...], point: tuple[int, ...], random: np.random.Generator) -> tuple[int, ...]:
    """One gene has another value."""
    gene = int(random.integers(len(arity)))
    value = (point[gene] + 1 + int(random.integers(arity[gene] - 1))) % arity[gene]
    return (*point[:gene], value, *point[gene + 1 :])
