"""How good is what a controller finds, by evaluation: mean regret on tables of trained models.

usage: python benchmarks/quality.py [--tables nb201-cifar10,...] [--controllers random,bayesian,...] [--seeds 100]
                                    [--budget 500] [--checks] [--optuna 5] [--by-hand 20]

One row for a table and a controller: the mean over seeds of the regret of the best point so far, and its standard
error, after 50, 100, 200 and 500 evaluations. Queries are noise-free: the mean of what is stored. All controllers have
the same seeds. Searches are compiled, decoding and lookup included; those of cheap controllers run side by side, those
of models one after the other. Plain evolution, written by hand, is always beside them. Defaults are chosen on the
tables in `TABLES` and checked on those in `CHECKS`.

On a shared machine set OPENBLAS_NUM_THREADS=1: threads of small factorizations wait for each other.
"""

import argparse
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import pgjax as pg
from pgjax import search

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'examples'))

from loops.gaussian_process import regrets as process_regrets
from loops.plain_evolution import regrets as evolution_regrets
from tables import CHECKS, TABLES

MARKS = (50, 100, 200, 500)
CONTROLLERS = {
    'random': search.Random(batch_size=50),
    'regularized': search.RegularizedEvolution(batch_size=1),
    'without memory': search.RegularizedEvolution(batch_size=1, memory=0),
    'genetic': search.Genetic(batch_size=1),
    'genetic, Dedup': search.Dedup(search.Genetic(batch_size=1)),
    'hill-climb': search.HillClimb(),
    'local': search.LocalSearch(),
    'reinforce': search.REINFORCE(),
    'ppo': search.PPO(),
    'tpe': search.TPE(),
    'bayesian': search.Bayesian(),
    'auto': search.Auto(),
}
ONE_BY_ONE = ('tpe', 'bayesian', 'auto')  # their work fills a core alone


def regrets(table, controller, seeds, budget, one_by_one=False):
    """float64[seeds, budget]: the regret of the best point so far."""
    size = controller.batch_size
    loop = search.compile(
        table.template, table.evaluate, controller, objectives=[pg.maximize('value')], tile=size, batch='vmap'
    )

    def one(seed):
        return jax.lax.cummax(loop(jax.random.key(seed), -(-budget // size)).fitness.reshape(-1)[:budget])

    every = (lambda s: jax.lax.map(one, s)) if one_by_one else jax.vmap(one)
    best = np.asarray(jax.jit(every)(jnp.arange(seeds)), np.float64)
    return -best * table.scale


def optuna_regrets(table, seeds, budget):
    """The same with Optuna's default sampler, one seed after the other."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = np.zeros((seeds, budget))
    for seed in range(seeds):
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), direction='maximize')
        for number in range(budget):
            trial = study.ask()
            genes = [_suggest(trial, i, *about) for i, about in enumerate(zip(table.arity, table.ordinal, strict=True))]
            value = table.values[np.ravel_multi_index(genes, table.arity)]
            known = np.isfinite(value)
            study.tell(trial, value if known else None, state=None if known else optuna.trial.TrialState.FAIL)
            found[seed, number] = table.best - study.best_value if study.best_trials else np.inf
    return found * table.scale


def _suggest(trial, index, arity, ordinal):
    if ordinal:
        return trial.suggest_int(f'd{index}', 0, arity - 1)
    return trial.suggest_categorical(f'd{index}', list(range(arity)))


def report(title, name, found, seconds, marks=MARKS):
    """One row of float64[seeds, budget]."""
    at = [found[:, mark - 1] for mark in marks if mark <= found.shape[1]]
    cells = [f'{x.mean():8.4f} +- {x.std(ddof=1) / len(x) ** 0.5:.4f}' for x in at]
    print(f'{title:24} {name:18} {len(found):4} seeds  {"  ".join(cells)}  {seconds:6.1f} s', flush=True)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--tables', type=lambda text: text.split(','), default=None)
    parser.add_argument('--controllers', type=lambda text: text.split(','), default=[*CONTROLLERS])
    parser.add_argument('--seeds', type=int, default=100)
    parser.add_argument('--budget', type=int, default=MARKS[-1])
    parser.add_argument('--checks', action='store_true', help='the tables on which nothing was chosen')
    parser.add_argument('--optuna', type=int, default=0, metavar='SEEDS', help="Optuna's TPE as well")
    parser.add_argument('--by-hand', type=int, default=0, metavar='SEEDS', help='a plain Gaussian process as well')
    options = parser.parse_args(argv)
    known = CHECKS if options.checks else TABLES
    for chosen in options.tables or known:
        table = {**TABLES, **CHECKS}[chosen]()
        for name in options.controllers:
            start = time.perf_counter()
            found = regrets(table, CONTROLLERS[name], options.seeds, options.budget, name in ONE_BY_ONE)
            report(table.name, name, found, time.perf_counter() - start)
        peers = {
            'evolution, by hand': (evolution_regrets, options.seeds),
            'process, by hand': (process_regrets, options.by_hand),
            'optuna TPE': (optuna_regrets, options.optuna),
        }
        for name, (search_table, seeds) in peers.items():
            start = time.perf_counter()
            if seeds:
                report(table.name, name, search_table(table, seeds, options.budget), time.perf_counter() - start)


if __name__ == '__main__':
    main(sys.argv[1:])
