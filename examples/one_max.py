"""One-max: how many ones a string of 100 bits can have, by a genetic algorithm in one compiled program.

Twenty searches with keys of their own run side by side. usage: one_max.py [PLOT [GENERATIONS]]
"""

import os
import sys

import jax
import numpy as np

import pgjax as pg
from pgjax import search
from pgjax.search.evolution import mutators, recombinators

BITS, SEARCHES = 100, 20
SPACE = pg.search_space(pg.List([pg.oneof([0.0, 1.0]) for _ in range(BITS)]))


def evaluate(bits, key):
    del key
    return {'ones': sum(bits)}


def main(plot: str = 'runs/one_max.png', *, generations: int = 60) -> np.ndarray:
    controller = search.Genetic(
        population_size=64,
        batch_size=64,
        crossover=recombinators.Uniform(children=2),
        mutator=mutators.Uniform(),
    )
    loop = search.compile(SPACE, evaluate, controller, objectives=[pg.maximize('ones')], tile=64, batch='vmap')
    keys = jax.random.split(jax.random.key(0), SEARCHES)
    ones = jax.jit(jax.vmap(lambda key: loop(key, generations).metrics['ones']))(keys)
    best = np.maximum.accumulate(np.asarray(ones).max(-1), axis=1)  # [searches, generations]
    solved = (best[:, -1] == BITS).sum()
    print(f'{solved} of {SEARCHES} searches found {BITS} ones within {generations} generations of 64')
    print(f'best after 10 generations: {best[:, min(9, generations - 1)].mean():.1f} on average')
    save_plot(best, plot)
    return best


def save_plot(best: np.ndarray, path: str) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    axes.plot(1 + np.arange(best.shape[1]), best.T, color='tab:blue', alpha=0.3)
    axes.set(xlabel='generation', ylabel='ones in the best string', title='One-max, 100 bits')
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches='tight')
    pyplot.close(figure)
    print(f'plot: {path}')


if __name__ == '__main__':
    main(*sys.argv[1:2], generations=int(sys.argv[2]) if len(sys.argv) > 2 else 60)
