"""NSGA-II and MAP-Elites: evaluations per second against pymoo and QDax, and the hypervolume that fronts reach.

usage: python benchmarks/multiobjective.py [--generations 100] [--seeds 10] [--rounds 5]

Speed: the fastest of some rounds in which the candidates alternate, in CPU time and in wall time, compiling left
out. Both sides search the same space with the same population, uniform crossover and one mutated decision a child;
pymoo (pip install pymoo) and QDax (pip install qdax) are left out where they are not installed.
Hypervolume: mean and standard error over seeds, as a part of that of the true front, after 500 and 2,000 evaluations
of NAS-Bench-Graph arxiv (accuracy, latency, parameters); pip install nas-bench-graph.
"""

import argparse
import functools
import importlib.util
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import pgjax as pg
from pgjax import search
from pgjax.search.multiobjective import hypervolume

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'examples'))

import tables

GENES, VALUES, POPULATION = 100, 5, 256


def fastest(runs, rounds):
    """The least (CPU, wall) seconds of each run, all of them once a round."""
    best = dict.fromkeys(runs, (np.inf, np.inf))
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time(), time.perf_counter()
            run()
            took = time.process_time() - began[0], time.perf_counter() - began[1]
            best[name] = tuple(map(min, best[name], took))
    return best


def show(title, runs, rounds, evaluations):
    print(f'\n{title}: evaluations per second (millions)\n{"":34}  per CPU second      wall')
    found = fastest(runs, rounds)
    first = next(iter(found.values()))
    for name, (cpu, wall) in found.items():
        ratio = f'   {cpu / first[0]:6.1f} times the CPU of pgjax' if name != next(iter(found)) else ''
        print(f'{name:34}  {evaluations / cpu / 1e6:14.4f}  {evaluations / wall / 1e6:8.4f}{ratio}', flush=True)


def counts(exp, key):
    genes = jnp.stack(list(exp))
    return {'zeros': (genes == 0).sum(), 'ones': (genes == 1).sum()}


def nsga2(generations):
    template = [pg.oneof([float(v) for v in range(VALUES)]) for _ in range(GENES)]
    controller = search.NSGA2(population_size=POPULATION, batch_size=POPULATION)
    loop = search.compile(template, counts, controller, objectives=['zeros', 'ones'], tile=POPULATION, batch='vmap')
    run = jax.jit(lambda key: loop(key, generations).state.fitness)
    began = time.perf_counter()
    jax.block_until_ready(run(jax.random.key(0)))
    print(f'NSGA2: compiling and the first run took {time.perf_counter() - began:.1f} s')
    return lambda: jax.block_until_ready(run(jax.random.key(1)))


def pymoo_nsga2(generations):
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PolynomialMutation
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Counts(Problem):
        def __init__(self):
            super().__init__(n_var=GENES, n_obj=2, xl=0, xu=VALUES - 1, vtype=int)

        def _evaluate(self, x, out, *args, **kwargs):
            out['F'] = -np.stack([(x == 0).sum(1), (x == 1).sum(1)], 1).astype(float)

    def run():
        algorithm = NSGA2(
            pop_size=POPULATION,
            sampling=IntegerRandomSampling(),
            crossover=UniformCrossover(),
            mutation=PolynomialMutation(prob_var=1 / GENES, repair=RoundingRepair()),
        )
        minimize(Counts(), algorithm, ('n_gen', generations), seed=1, verbose=False)

    return run


CELLS = 32  # along each of two descriptors


def map_elites(generations):
    template = [pg.floatv(0.0, 1.0) for _ in range(GENES)]
    controller = search.MapElites(bins=CELLS, batch_size=POPULATION, initial_size=POPULATION)

    def evaluate(exp, key):
        genes = jnp.stack(list(exp))
        return {'f': -((genes - 0.5) ** 2).sum(), 'x': genes[0], 'y': genes[1]}

    loop = search.compile(template, evaluate, controller, objectives=['f', 'x', 'y'], tile=POPULATION, batch='vmap')
    run = jax.jit(lambda key: loop(key, generations).state.fitness)
    jax.block_until_ready(run(jax.random.key(0)))
    return lambda: jax.block_until_ready(run(jax.random.key(1)))


def qdax_map_elites(generations):
    from qdax.core.containers.mapelites_repertoire import compute_euclidean_centroids
    from qdax.core.emitters.mutation_operators import isoline_variation
    from qdax.core.emitters.standard_emitters import MixingEmitter
    from qdax.core.map_elites import MAPElites

    def score(genes, key):
        return -((genes - 0.5) ** 2).sum(-1)[:, None], genes[:, :2], {}

    vary = functools.partial(isoline_variation, iso_sigma=0.05, line_sigma=0.1, minval=0.0, maxval=1.0)
    emitter = MixingEmitter(mutation_fn=None, variation_fn=vary, variation_percentage=1.0, batch_size=POPULATION)
    algorithm = MAPElites(scoring_function=score, emitter=emitter, metrics_function=lambda repertoire: {})
    centroids = compute_euclidean_centroids(grid_shape=(CELLS, CELLS), minval=0.0, maxval=1.0)

    @jax.jit
    def run(key):
        start, loop = jax.random.split(key)
        genes = jax.random.uniform(start, (POPULATION, GENES))
        repertoire, state, _ = algorithm.init(genes, centroids, start)
        carry, _ = jax.lax.scan(algorithm.scan_update, (repertoire, state, loop), None, length=generations)
        return carry[0].fitnesses

    jax.block_until_ready(run(jax.random.key(0)))
    return lambda: jax.block_until_ready(run(jax.random.key(1)))


OBJECTIVES = ['accuracy', 'latency', 'parameters']


def front_of(fitness):
    """float64[K, M], the rows that none beats; on the host, since every history has another shape."""
    rows = np.unique(fitness[np.isfinite(fitness).all(-1)], axis=0)[::-1]  # best first objective first
    kept = rows[:1]
    for row in rows[1:]:
        if not (kept >= row).all(-1).any():
            kept = np.concatenate([kept, row[None]])
    return kept


def pymoo_on_table(values, arity, strides, evaluations, seed):
    """float64[evaluations, 3], what pymoo's NSGA-II with population 50 looked up, in order."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PolynomialMutation
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    seen = []

    class Table(Problem):
        def __init__(self):
            super().__init__(n_var=len(arity), n_obj=3, xl=0, xu=np.array(arity) - 1, vtype=int)

        def _evaluate(self, x, out, *args, **kwargs):
            seen.append(values[x.astype(int) @ strides])
            out['F'] = np.where(np.isnan(seen[-1]), 1e9, -seen[-1])

    mutation = PolynomialMutation(prob_var=1 / len(arity), repair=RoundingRepair())
    algorithm = NSGA2(50, sampling=IntegerRandomSampling(), crossover=UniformCrossover(), mutation=mutation)
    minimize(Table(), algorithm, ('n_eval', evaluations), seed=seed, verbose=False)
    return np.concatenate(seen)


def fronts(seeds, evaluations):
    table, values = tables.nas_bench_graph('arxiv'), tables.graph_objectives('arxiv')
    best = front_of(values)
    low, high = best.min(0), best.max(0)  # volumes are above the worst corner of the true front
    values = (values - low) / (high - low)
    whole = hypervolume(front_of(values), np.zeros(3))
    stored = jnp.asarray(values, jnp.float32)

    def look_up(exp, key):
        index = sum(exp[f'd{i}'].index.astype(int) * int(s) for i, s in enumerate(table.strides))
        return dict(zip(OBJECTIVES, stored[index], strict=True))

    controllers = {
        'random': search.Random(batch_size=50),
        'NSGA2, population 50': search.NSGA2(population_size=50, batch_size=50),
        'NSGA2, no point twice': search.Dedup(search.NSGA2(population_size=50, batch_size=10)),
        'SEMO, no point twice': search.Dedup(search.SEMO(batch_size=10, initial_size=50)),
    }
    print(f'\n{table.name}, hypervolume as a part of that of the true front of {len(best)} points, {seeds} seeds')
    found = {}
    for name, controller in controllers.items():
        loop = search.compile(table.template, look_up, controller, objectives=OBJECTIVES)
        run = jax.jit(
            jax.vmap(lambda key, loop=loop, c=controller: loop(key, max(evaluations) // c.batch_size).fitness)
        )
        found[name] = np.asarray(run(jax.random.split(jax.random.key(0), seeds))).reshape(seeds, -1, 3)
    if importlib.util.find_spec('pymoo') is not None:
        each = [pymoo_on_table(values, table.arity, table.strides, max(evaluations), seed) for seed in range(seeds)]
        found['pymoo NSGA2, population 50'] = each
    for name, histories in found.items():
        for number in evaluations:
            parts = np.array([hypervolume(front_of(rows[:number]), np.zeros(3)) for rows in histories]) / whole
            error = parts.std(ddof=1) / seeds**0.5
            print(f'{name:34}  {number:5} evaluations  {parts.mean():.4f} +- {error:.4f}', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--generations', type=int, default=100)
    parser.add_argument('--seeds', type=int, default=10)
    parser.add_argument('--rounds', type=int, default=5)
    arguments = parser.parse_args()
    generations = arguments.generations
    installed = {name: importlib.util.find_spec(name) is not None for name in ('pymoo', 'qdax')}
    runs = {'pgjax NSGA2': nsga2(generations)}
    if installed['pymoo']:
        runs['pymoo NSGA2'] = pymoo_nsga2(generations)
    what = f'population {POPULATION}, {GENES} decisions'
    show(f'NSGA-II, 2 objectives, {what}', runs, arguments.rounds, generations * POPULATION)
    runs = {'pgjax MapElites': map_elites(generations)}
    if installed['qdax']:
        runs['QDax MAP-Elites'] = qdax_map_elites(generations)
    show(f'MAP-Elites, {CELLS} by {CELLS} cells, {what}', runs, arguments.rounds, generations * POPULATION)
    fronts(arguments.seeds, (500, 2000))


if __name__ == '__main__':
    main()
