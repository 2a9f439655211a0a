"""Evolution against random search on the digits space, at equal evaluations, paired by seed.

usage: python benchmarks/digits_search.py [--seeds 12] [--generations 8] [--batch 32]

For each seed both searches train the same number of networks from the same initial generation's budget; the
figure is the validation accuracy of the best, and the one-sided p-value is that of a paired sign-flip
permutation test over all 2**seeds sign patterns (a sample of 100,000 beyond 16 seeds).
"""

import argparse
import itertools
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'examples'))

import digits

from pgjax import search


def final(controller, seed, generations):
    """(best validation accuracy, mean validation accuracy of the last generation, seconds)."""
    began = time.perf_counter()
    study = search.Study(digits.SPACE, controller, objectives=['accuracy'], seed=seed, tile=8, batch='vmap')
    study = study.run(digits.evaluate, generations, progress=False)
    last = study.history.generation == generations - 1
    return (
        study.best.metrics['accuracy'],
        float(study.history.metrics['accuracy'][last].mean()),
        time.perf_counter() - began,
    )


def p_value(differences):
    """One-sided p-value of a mean difference above zero, by flipping signs."""
    n = len(differences)
    if n <= 16:
        signs = np.array(list(itertools.product((1, -1), repeat=n)))
    else:
        signs = np.random.default_rng(0).choice((1, -1), (100_000, n))
    return float(((signs * differences).mean(-1) >= differences.mean() - 1e-12).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, default=12)
    parser.add_argument('--generations', type=int, default=8)
    parser.add_argument('--batch', type=int, default=32)
    arguments = parser.parse_args()
    controllers = {
        'random': search.Random(batch_size=arguments.batch),
        'evolution': search.RegularizedEvolution(
            population_size=2 * arguments.batch, tournament_size=12, batch_size=arguments.batch
        ),
    }
    found = {name: [] for name in controllers}
    print(f'{arguments.generations * arguments.batch} evaluations each\nseed  random  evolution  seconds')
    for seed in range(arguments.seeds):
        for name, controller in controllers.items():
            found[name].append(final(controller, seed, arguments.generations))
        random, evolution = found['random'][-1], found['evolution'][-1]
        print(f'{seed:4}  {random[0]:.4f}  {evolution[0]:.4f}     {random[2]:.0f} {evolution[2]:.0f}', flush=True)
    for index, what in enumerate(('best accuracy', 'mean accuracy of the last generation')):
        random, evolution = (np.array([row[index] for row in found[n]]) for n in ('random', 'evolution'))
        difference = evolution - random
        error = difference.std(ddof=1) / len(difference) ** 0.5
        print(
            f'{what}: random {random.mean():.4f}, evolution {evolution.mean():.4f}, '
            f'difference {difference.mean():+.4f} +- {error:.4f}, p = {p_value(difference):.2g}'
        )


if __name__ == '__main__':
    main()
