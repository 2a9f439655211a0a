"""What a study costs around the objective, beside PyGlove and Optuna: `python benchmarks/studies.py`.

Loops that hold nothing but a reward are timed in CPU seconds, which do not depend on what else runs; loops on disk in
wall time too, which is mostly the disk's, with all libraries in turn in the same minutes. A library that is not
installed is left out.
"""

import concurrent.futures
import importlib
import importlib.util
import itertools
import json
import os
import pathlib
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

import pgjax as pg
from pgjax import search
from pgjax.search._host import TRIALS_AHEAD

DECISIONS = 10
MANY = 100  # decisions of the larger space
CANDIDATES = 5  # of its choices


def template(library: Any, decisions: int = DECISIONS) -> Any:
    return library.Dict(**{f'x{i}': library.floatv(0.0, 1.0) for i in range(decisions)})


def cpu_per_call(step: Callable[[], Any], number: int) -> float:
    """CPU microseconds of one call, the least of three rounds, after a warm-up."""
    for _ in range(min(number, 130)):
        step()
    rounds = []
    for _ in range(3):
        start = time.process_time()
        for _ in range(number):
            step()
        rounds.append((time.process_time() - start) / number)
    return 1e6 * min(rounds)


def ours(batch_size: int, path: pathlib.Path | None = None) -> Callable[[], None]:
    loop = pg.sample(template(pg), search.Random(batch_size=batch_size), path=path)

    def step() -> None:
        _, feedback = next(loop)
        feedback(0.5)

    return step


def pyglove_loop() -> Callable[[], None]:
    pyglove = importlib.import_module('pyglove')
    loop: Iterator[Any] = pyglove.sample(template(pyglove), pyglove.geno.Random(seed=0))

    def step() -> None:
        _, feedback = next(loop)
        feedback(0.5)

    return step


def optuna_loop(storage: Any = None, decisions: int = DECISIONS) -> Callable[[], None]:
    optuna = importlib.import_module('optuna')
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))

    def step() -> None:
        trial = study.ask()
        for i in range(decisions):
            trial.suggest_float(f'x{i}', 0.0, 1.0)
        study.tell(trial, 0.5)

    return step


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def in_memory() -> None:
    print(f'\nIn memory, {DECISIONS} decisions: CPU us a trial (trials per CPU second)')
    loops = {f'pg.sample, batch_size={b}': (ours(b), 4000) for b in (1, 16, 64, 1024)}
    if has('optuna'):
        loops['Optuna, random'] = (optuna_loop(), 500)
    if has('pyglove'):
        loops['PyGlove, pg.sample, random'] = (pyglove_loop(), 50)
    for name, (step, number) in loops.items():
        micros = cpu_per_call(step, number)
        print(f'  {name:32} {micros:10.1f}   ({1e6 / micros:,.0f})')


def ask_and_tell() -> None:
    print(f'\nAsk and tell, {MANY} decisions: CPU us a trial, without building its object')
    for size in (1, 64, 4096):
        study = search.Study(template(pg, MANY), search.Random(batch_size=size), objectives='y')
        rewards = {'y': np.zeros(size, np.float32)}

        def step(held: list[Any] = [study], rewards: dict[str, Any] = rewards) -> None:  # noqa: B006  what it goes on from
            held[0] = held[0].tell(held[0].ask(), rewards)

        print(f'  batch_size={size:<5} {cpu_per_call(step, max(3, 600 // size)) / size:10.2f}')
    if has('optuna'):
        print(f'  Optuna, random   {cpu_per_call(optuna_loop(decisions=MANY), 50):10.2f}')


def journal_by_hand(path: pathlib.Path, decisions: int = DECISIONS) -> Callable[[], None]:
    """The floor: a line of JSON and a sync for each proposal and reward, and nothing else."""
    random, file, trial = np.random.default_rng(0), path.open('ab', buffering=0), itertools.count()

    def step() -> None:
        line = {'trial': next(trial), 'values': random.random(decisions).tolist(), 'reward': 0.5}
        file.write(json.dumps(line).encode() + b'\n')
        os.fsync(file.fileno())

    return step


def on_disk(folder: pathlib.Path) -> None:
    """Each in turn, a few trials at a time, so that all meet the same disk."""
    print(f'\nDurable a trial, {DECISIONS} decisions: CPU ms and wall ms a trial, and both as times ours')
    loops = {'pg.sample': ours(64, folder / 'ours'), 'journal by hand': journal_by_hand(folder / 'by_hand')}
    if has('optuna'):
        storages = importlib.import_module('optuna.storages')
        journal = importlib.import_module('optuna.storages.journal')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # experimental features
            backend = storages.JournalStorage(journal.JournalFileBackend(str(folder / 'journal')))
            loops['Optuna journal'] = optuna_loop(backend)
            loops['Optuna SQLite'] = optuna_loop(f'sqlite:///{folder}/optuna.db')
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for step in loops.values():
        step()
    for _ in range(12):
        for name, step in loops.items():
            number = 4 if 'Optuna' in name else 80
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(number):
                step()
            rounds[name].append(((time.process_time() - cpu) / number, (time.perf_counter() - wall) / number))
    middle = {name: np.median(times, axis=0) for name, times in rounds.items()}
    for name, times in middle.items():
        ratios = ''.join(f'{ratio:10.2f}' for ratio in times / middle['pg.sample'])
        print(f'  {name:24} {1e3 * times[0]:10.3f}{1e3 * times[1]:10.3f} {ratios}')


def regularized_by_hand(decisions: int, population: int = 100, rivals: int = 10) -> Callable[[], None]:
    """Regularized evolution in NumPy as one would write it, in place, with random numbers drawn ahead."""
    random = np.random.default_rng(0)
    choices = random.integers(0, CANDIDATES, (population, decisions), np.int32)
    fitness, trial = np.zeros(population, np.float32), [0]

    def drawn() -> Iterator[Any]:
        while True:
            rows = random.integers(0, population, (TRIALS_AHEAD, rivals))
            genes, ways = random.integers(0, decisions, TRIALS_AHEAD), random.integers(1, CANDIDATES, TRIALS_AHEAD)
            yield from zip(rows, genes.tolist(), ways.tolist(), strict=True)

    numbers = drawn()

    def step() -> None:
        rows, gene, way = next(numbers)
        child = choices[rows[fitness.take(rows).argmax()]].copy()
        child[gene] = (child[gene] + way) % CANDIDATES
        slot = trial[0] % population
        choices[slot], fitness[slot] = child, 0.5
        trial[0] += 1

    return step


def regularized_on_host(space: pg.Space) -> Callable[[], None]:
    """One trial with the pure state of the controller, in NumPy."""
    controller = search.RegularizedEvolution(batch_size=1, population_size=100, tournament_size=10, memory=0)
    host = controller.on_host(space)
    assert host is not None
    keys = iter(lambda: jax.random.split(jax.random.key(0), TRIALS_AHEAD), None)
    numbers = (drawn for block in keys for drawn in host.draw(block))
    held = [jax.device_get(controller.init(space, jax.random.key(0)))]
    reward = np.full((1, 1), 0.5, np.float32)

    def step() -> None:
        dna, asked = host.ask(held[0], next(numbers))
        held[0] = host.tell(asked, dna, reward)

    return step


def regularized_compiled(space: pg.Space) -> Callable[[], None]:
    """The same by two calls of compiled programs."""
    controller = search.RegularizedEvolution(batch_size=1, population_size=100, tournament_size=10, memory=0)
    ask = jax.jit(lambda state, key: controller.ask(space, state, key))
    tell = jax.jit(lambda state, dna, fitness: controller.tell(space, state, dna, fitness))
    held, key = [controller.init(space, jax.random.key(0))], jax.random.key(1)
    reward = np.full((1, 1), 0.5, np.float32)

    def step() -> None:
        dna, asked = ask(held[0], key)
        held[0] = tell(asked, jax.tree.map(np.asarray, dna), reward)

    return step


def single_trials() -> None:
    print(f'\nAsk and tell one trial on the host, {MANY} decisions, regularized evolution: CPU us a trial')
    space = pg.search_space([pg.oneof(list(range(CANDIDATES))) for _ in range(MANY)])
    loops = {
        'controller.on_host': regularized_on_host(space),
        'by hand in NumPy, in place': regularized_by_hand(MANY),
        'compiled, a call each': regularized_compiled(space),
    }
    least = {name: min(cpu_per_call(step, 2 * TRIALS_AHEAD) for _ in range(3)) for name, step in loops.items()}
    for name, micros in least.items():
        print(f'  {name:32} {micros:10.1f}')


def workers() -> None:
    """A trial that sleeps needs no core: what is lost is what the scheduling costs."""
    print('\nA trial of 20 ms: busy fraction of the workers')

    def sleeps(exp: Any) -> dict[str, float]:
        time.sleep(0.02)
        return {'y': exp.x0}

    study = search.Study(template(pg), search.Random(batch_size=128), objectives='y')
    for number in (1, 8):
        with concurrent.futures.ThreadPoolExecutor(number) as threads:
            study.run(lambda exp: {'y': 0.0}, 1, executor=threads, progress=False)
            start = time.perf_counter()
            study.run(sleeps, 1, executor=threads, progress=False)
            print(f'  {number} threads {128 * 0.02 / number / (time.perf_counter() - start):10.3f}')


def long_histories(folder: pathlib.Path) -> None:
    print('\nA long history: CPU us to add a generation of 64, wall ms to save it, wall s to open the study')
    generation = search.Random(batch_size=64)
    for trials in (64, 6_400, 1_000_000):
        path = folder / f'long-{trials}'
        batch = search.Random(batch_size=max(64, trials // 8))
        first = search.Study(template(pg), batch, objectives='y')
        while len(first.history) < trials:
            first = first.tell(asked := first.ask(), {'y': np.zeros(len(asked), np.float32)})
        study = search.Study(template(pg), generation, objectives='y')
        study = study._advanced(history=first.history, _first=len(first.history)).fork(path)
        start = time.perf_counter()
        study = search.Study.load(path)
        opened = time.perf_counter() - start
        metrics = {'y': np.zeros(64, np.float32)}
        saves = []
        for _ in range(6):
            start = time.perf_counter()
            study = study.tell(study.ask(), metrics)
            saves.append(time.perf_counter() - start)
        held = [study.fork()]

        def step(held: list[Any] = held, metrics: dict[str, Any] = metrics) -> None:
            held[0] = held[0].tell(held[0].ask(), metrics)

        print(f'  {trials:>9,} trials {cpu_per_call(step, 32):10.0f} {1e3 * min(saves):10.1f} {opened:10.2f}')


def page(folder: pathlib.Path) -> None:
    trials, random = 100_000, np.random.default_rng(0)
    study = search.Study(template(pg), search.Random(batch_size=4000), objectives='y')
    while len(study.history) < trials:
        study = study.tell(asked := study.ask(), {'y': random.normal(size=len(asked))})
    start = time.perf_counter()
    study.report(folder / 'report.html')
    seconds, size = time.perf_counter() - start, (folder / 'report.html').stat().st_size
    print(f'\nThe report of {trials:,} trials: {seconds:.2f} s of wall time, {size / 1e6:.2f} MB')


def main() -> None:
    folder = pathlib.Path(tempfile.mkdtemp(prefix='pgjax-studies-', dir='.'))
    try:
        in_memory()
        ask_and_tell()
        single_trials()
        workers()
        long_histories(folder)
        page(folder)
        on_disk(folder)
    finally:
        shutil.rmtree(folder)


if __name__ == '__main__':
    main()
