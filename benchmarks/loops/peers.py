"""The same jobs by other libraries, as near as they come: PyGlove, evosax, pymoo and QDax."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loops.by_hand import ARITY, Run

CELLS = 32  # of a grid archive, along each of two descriptors


def pyglove_trials(genes: int, trials: int = 60, population: int = 20) -> float:
    """Seconds a trial of regularized evolution, DNA alone: points are proposed and told, and never made."""
    import pyglove
    from pyglove.ext import evolution

    space = pyglove.List([pyglove.oneof(list(range(ARITY))) for _ in range(genes)])
    algorithm = evolution.regularized_evolution(population_size=population, tournament_size=10)
    algorithm.setup(pyglove.dna_spec(space))
    best = np.inf
    for trial in range(population + trials):
        start = time.process_time()
        dna = algorithm.propose()
        algorithm.feedback(dna, float(trial % 7))
        best = min(best, time.process_time() - start) if trial >= population else np.inf
    return best


def evosax_simple(size: int, genes: int, generations: int) -> Run:
    """SimpleGA on as many floats, which is the nearest that it has."""
    from evosax.algorithms import SimpleGA

    algorithm = SimpleGA(population_size=size, solution=jnp.zeros(genes))
    params = algorithm.default_params

    def step(state: Any, key: jax.Array) -> Any:
        ask_key, tell_key = jax.random.split(key)
        population, state = algorithm.ask(ask_key, state, params)
        state, _ = algorithm.tell(tell_key, population, jnp.sum(population**2, -1), state, params)
        return state, None

    def run(key: jax.Array) -> Any:
        first = jax.random.uniform(key, (size, genes))
        state = algorithm.init(key, first, jnp.sum(first**2, -1), params)
        return jax.lax.scan(step, state, jax.random.split(key, generations))[0]

    return jax.jit(run)


def pymoo_minimize(
    look_up: Callable[[np.ndarray], np.ndarray], arity: Any, objectives: int, size: int, stop: Any, **of
):
    """NSGA-II on ints, with uniform crossover and one mutated decision on average; `look_up` gives losses [n, M]."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PolynomialMutation
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Problems(Problem):
        def __init__(self) -> None:
            super().__init__(n_var=len(arity), n_obj=objectives, xl=0, xu=np.array(arity) - 1, vtype=int)

        def _evaluate(self, x: Any, out: Any, *_: Any, **__: Any) -> None:
            out['F'] = look_up(x.astype(int))

    mutation = PolynomialMutation(prob_var=1 / len(arity), repair=RoundingRepair())
    algorithm = NSGA2(size, sampling=IntegerRandomSampling(), crossover=UniformCrossover(), mutation=mutation)
    return minimize(Problems(), algorithm, stop, verbose=False, **of)


def pymoo_nsga2(size: int, genes: int, generations: int) -> Callable[[jax.Array], Any]:
    """Two objectives: how many zeros, and how many ones."""
    count = lambda x: -np.stack([(x == 0).sum(1), (x == 1).sum(1)], 1).astype(float)  # noqa: E731
    return lambda key: pymoo_minimize(count, (ARITY,) * genes, 2, size, ('n_gen', generations), seed=1)


def qdax_map_elites(size: int, genes: int, generations: int) -> Run:
    """A grid archive of two genes as descriptors, filled by directional variation."""
    from qdax.core.containers.mapelites_repertoire import compute_euclidean_centroids
    from qdax.core.emitters.mutation_operators import isoline_variation
    from qdax.core.emitters.standard_emitters import MixingEmitter
    from qdax.core.map_elites import MAPElites

    def score(points: jax.Array, key: jax.Array) -> Any:
        return -((points - 0.5) ** 2).sum(-1)[:, None], points[:, :2], {}

    vary = functools.partial(isoline_variation, iso_sigma=0.05, line_sigma=0.1, minval=0.0, maxval=1.0)
    emitter = MixingEmitter(mutation_fn=None, variation_fn=vary, variation_percentage=1.0, batch_size=size)
    algorithm = MAPElites(scoring_function=score, emitter=emitter, metrics_function=lambda repertoire: {})
    centroids = compute_euclidean_centroids(grid_shape=(CELLS, CELLS), minval=0.0, maxval=1.0)

    @jax.jit
    def run(key: jax.Array) -> Any:
        start, loop = jax.random.split(key)
        points = jax.random.uniform(start, (size, genes))
        repertoire, state, _ = algorithm.init(points, centroids, start)
        carry, _ = jax.lax.scan(algorithm.scan_update, (repertoire, state, loop), None, length=generations)
        return carry[0].fitnesses

    return run
