"""The hypervolume that fronts reach: NSGA-II and SEMO beside random search and pymoo.

usage: python benchmarks/multiobjective.py [--seeds 10]

Mean and standard error over seeds, as a part of the hypervolume of the true front, after 500 and 2,000 evaluations of
NAS-Bench-Graph arxiv (accuracy, latency, parameters); pip install nas-bench-graph. pymoo (pip install pymoo) is left
out where it is not installed. Their speed is measured by `speed.py`.
"""

import argparse
import importlib.util
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
from loops.peers import pymoo_minimize

from pgjax import search
from pgjax.search.multiobjective import hypervolume

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'examples'))

import tables

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
    seen = []

    def losses(points):
        seen.append(values[points @ strides])
        return np.where(np.isnan(seen[-1]), 1e9, -seen[-1])

    pymoo_minimize(losses, arity, 3, 50, ('n_eval', evaluations), seed=seed)
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
    parser.add_argument('--seeds', type=int, default=10)
    arguments = parser.parse_args()
    fronts(arguments.seeds, (500, 2000))


if __name__ == '__main__':
    main()
