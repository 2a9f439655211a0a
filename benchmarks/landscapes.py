"""Search among many decisions that depend on one another: NK landscapes.

usage: python benchmarks/landscapes.py [--decisions 100] [--neighbours 2] [--seeds 5] [--budget 500]
                                       [--controllers random,regularized,tpe,auto]

One row for a controller: the mean over seeds of the best value so far, and its standard error, after 100, 200, 500,
1,000 and so on. Each decision takes one of four candidates and adds a normal number that depends on it and on its
neighbours; values have about mean 0 and deviation 1 over all points. Each seed is a landscape of its own, the same for
all controllers. On a shared machine set OPENBLAS_NUM_THREADS=1.

Source: Kauffman, Weinberger (1989), The NK model of rugged fitness landscapes, Journal of Theoretical Biology 141(2).
"""

import argparse
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from quality import CONTROLLERS, report

import pgjax as pg
from pgjax import search

ARITY = 4
MARKS = (100, 200, 500, 1000, 2000, 5000, 10000)


def landscape(decisions, neighbours, seed):
    """The value of a point int32[D], as a function."""
    generator = np.random.default_rng(seed)
    terms = generator.normal(size=(decisions, ARITY ** (neighbours + 1))) / decisions**0.5
    others = [generator.permutation(np.delete(np.arange(decisions), i))[:neighbours] for i in range(decisions)]
    rows = jnp.asarray(np.concatenate([np.arange(decisions)[:, None], np.array(others, int)], axis=1))
    digits = ARITY ** np.arange(neighbours + 1)
    stored = jnp.asarray(terms, jnp.float32)
    return lambda point: stored[jnp.arange(decisions), point[rows] @ digits].sum()


def best_so_far(controller, decisions, neighbours, seed, budget):
    """float64[budget]."""
    space = pg.search_space([pg.oneof([0, 1, 2, 3]) for _ in range(decisions)])
    value = landscape(decisions, neighbours, seed)

    def step(state, key):
        dna, state = controller.ask(space, state, key)
        found = jax.vmap(value)(dna.choices)
        return controller.tell(space, state, dna, found[:, None]), found

    def run(key):
        keys = jax.random.split(key, -(-budget // controller.batch_size))
        return jax.lax.scan(step, controller.init(space, key), keys)[1].reshape(-1)[:budget]

    return np.maximum.accumulate(np.asarray(jax.jit(run)(jax.random.key(seed)), np.float64))


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--decisions', type=int, default=100)
    parser.add_argument('--neighbours', type=int, default=2)
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--budget', type=int, default=500)
    parser.add_argument('--controllers', default='random,regularized,tpe,auto')
    options = parser.parse_args(argv)
    if options.seeds < 2 or not 0 <= options.neighbours < options.decisions:
        parser.error('at least 2 seeds, and fewer neighbours than decisions')
    for name in options.controllers.split(','):
        controller = search.Auto(budget=options.budget) if name == 'auto' else CONTROLLERS[name]
        about = controller, options.decisions, options.neighbours
        start = time.perf_counter()
        found = np.stack([best_so_far(*about, seed, options.budget) for seed in range(options.seeds)])
        title = f'{options.decisions} decisions, K = {options.neighbours}'
        report(title, name, found, time.perf_counter() - start, MARKS)


if __name__ == '__main__':
    main(sys.argv[1:])
