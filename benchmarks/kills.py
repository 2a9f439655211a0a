"""Kills studies at random moments and counts what is lost: `python benchmarks/kills.py [--number 1000]`.

Every kind of controller's state and all ways of keeping a study have their share of the kills: `run` checkpoints after
each generation; `sample` writes each trial to a journal, and checkpoints now and then, or at a bucket, where there are
no journals, after each trial. The bucket is one of a server in this process. SIGKILL comes at random moments, a third
of them within saves, and the study goes on after each. It must always load without a warning. Of a `run`, no more is
lost than the generation that was announced last and the one that was being saved meanwhile; of a `sample`, no trial
that was reported is ever evaluated again. In the end the study must be bit-identical to one that nobody killed.
"""

import argparse
import multiprocessing
import pathlib
import random
import shutil
import sys
import tempfile
import time
import warnings

import jax
from reliability import SPACE, digest, evaluate

import pgjax as pg
from pgjax import search

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'tests'))

import fake_buckets

FINITE = SPACE.rebind(scale=pg.oneof([1e-3, 0.1, 1.0]), mix=pg.floatv(0.0, 1.0, step=0.001))
CONTROLLERS = {
    'Random': search.Random(batch_size=8),
    'Sweep': search.Sweep(batch_size=8),
    'RegularizedEvolution': search.RegularizedEvolution(population_size=24, tournament_size=4, batch_size=8),
    'Genetic': search.Genetic(population_size=24, batch_size=8),
    'HillClimb': search.HillClimb(batch_size=8),
    'LocalSearch': search.LocalSearch(batch_size=8),
    'NEAT': search.NEAT(batch_size=8),
    'NSGA2': search.NSGA2(population_size=24, batch_size=8),
    'SEMO': search.SEMO(batch_size=8),
    'MapElites': search.MapElites(bounds=[(-10.0, 10.0)], bins=8, batch_size=8),
    'Islands': search.Islands(search.Genetic(population_size=8, batch_size=2), number=4),
    'REINFORCE': search.REINFORCE(batch_size=8),
    'PPO': search.PPO(batch_size=8),
    'TPE': search.TPE(batch_size=8, capacity=64),
    'Bayesian': search.Bayesian(batch_size=8, capacity=64),
    'Portfolio': search.Portfolio([search.Random(batch_size=4), search.Genetic(population_size=8, batch_size=4)]),
    'Dedup': search.Dedup(search.Random(batch_size=8)),
}
BUCKET = 'gs://bucket'
LAYOUTS = ('run', 'sample', 'run at a bucket', 'sample at a bucket')
MULTIOBJECTIVE = ('NSGA2', 'SEMO', 'MapElites')
LONG = 100_000  # generations, more than a run can reach
PROCESSES = multiprocessing.get_context('forkserver')
PROCESSES.set_forkserver_preload(['pgjax.search'])  # imported once; each child starts a JAX of its own


def study_at(path, name):
    objectives = ['score', 'scale'] if name in MULTIOBJECTIVE else ['score']
    space = FINITE if name == 'Sweep' else SPACE
    return search.Study(space, CONTROLLERS[name], objectives=objectives, seed=7, path=path, tile=8, batch='vmap')


def measure(exp, key):
    return {**evaluate(exp, key), 'scale': exp.scale}


class Sent(search.Progress):
    """Says after each generation, just before it is saved, how many there are."""

    def __init__(self, pipe):
        super().__init__(enabled=False)
        self._pipe = pipe

    def update(self, study, compiles):
        self._pipe.send(study.generation)


def run(pipe, path, name, cache):
    """Runs a study until it is killed."""
    compile_once(cache)
    study_at(path, name).run(measure, LONG, progress=Sent(pipe), checkpoint_seconds=0.0)


def sample(pipe, path, name, cache):
    """Evaluates trials of a study until the process is killed."""
    compile_once(cache)
    for number in reported(loop_at(path, name, None)):
        pipe.send(number)


def loop_at(path, name, trials):
    like = study_at(None, name)
    seconds = 0.0 if str(path).startswith(BUCKET) else 0.3
    about = {'objectives': like.objectives, 'seed': 7, 'path': path, 'checkpoint_seconds': seconds}
    return search.sample(like.space, like.controller, trials, **about)


def reported(loop):
    """The ids of the trials of a loop, each when its result is durable."""
    for exp, feedback in loop:
        feedback({'score': exp.scale - (exp.mix - 0.3) ** 2 * exp.width, 'scale': exp.scale})
        yield feedback.id


def compile_once(cache):
    """Children of one kind take the first one's programs."""
    jax.config.update('jax_compilation_cache_dir', cache)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
    jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)


def killed(target, generator, within_save, path, *arguments):
    """What a child said until it was killed."""
    receives, sends = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=target, args=(sends, path, *arguments))
    process.start()
    sends.close()
    said = [receives.recv()]
    # What is announced comes just before a save.
    time.sleep(generator.random() * (0.004 if within_save else 0.4))
    process.kill()
    process.join()
    # The lease of a process outlives it by up to a minute. Nobody but this script can know that it is dead.
    fake_buckets.serve().objects.pop(f'{path.removeprefix("gs://")}/lock', None)
    try:
        while True:
            said.append(receives.recv())
    except (EOFError, OSError):
        return said


def loaded(path):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        return search.Study.load(path)


def kill_runs(path, name, number, cache):
    """Kills runs; returns the number of trials in the end."""
    generator, saved = random.Random(name), 0
    for kill in range(number):
        announced = max(killed(run, generator, kill % 3 == 0, path, name, cache))
        reached = loaded(path).generation
        least = max(saved, announced - 2)
        assert reached >= least, f'{path}: generation {least} was saved and {reached} is there'
        saved = reached
    straight = study_at(None, name).run(measure, saved, progress=False)
    assert digest(loaded(path)) == digest(straight), f'{path} differs from a run that nobody killed'
    return len(straight.history)


def kill_samples(path, name, number, cache):
    """Kills loops over single trials; returns the number of trials in the end."""
    generator, known = random.Random(name), set()
    for kill in range(number):
        said = killed(sample, generator, kill % 3 == 0, path, name, cache)
        assert not known.intersection(said), f'{path}: trials {sorted(known.intersection(said))} were evaluated again'
        known.update(said)
    trials = max(known) + 2  # one may have been kept and not reported
    last = set(reported(loop_at(path, name, trials)))
    assert not known & last, f'{path}: trials {sorted(known & last)} were evaluated again'
    unsaid = trials - len(known | last)  # a kill came after the result was kept, and before it was reported
    assert unsaid <= number, f'{path}: {unsaid} trials were kept and not reported, by {number} kills'
    straight = loop_at(None, name, trials)
    assert list(reported(straight)) == list(range(trials))
    assert digest(loaded(path)) == digest(straight.study), f'{path} differs from a loop that nobody killed'
    return trials


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--number', type=int, default=100, help='kills in all')
    parser.add_argument('--controllers', type=lambda text: text.split(','), default=[*CONTROLLERS])
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix='pgjax-kills-'))
    fake_buckets.serve()  # before the first child, which learns from the environment where it is
    kinds = [(layout, name) for name in arguments.controllers for layout in LAYOUTS]
    total, began = 0, time.perf_counter()
    for index, (layout, name) in enumerate(kinds):
        number = max(1, arguments.number * (index + 1) // len(kinds) - arguments.number * index // len(kinds))
        way, _, bucket = layout.partition(' at a ')
        kill = {'run': kill_runs, 'sample': kill_samples}[way]
        path = f'{BUCKET if bucket else folder}/{name}-{way}'
        trials = kill(path, name, number, str(folder / 'programs'))
        total += number
        print(f'{name:22} {layout:18} {number:4} kills over {trials:6} trials: nothing lost, same bytes', flush=True)
    shutil.rmtree(folder)
    print(f'{total} kills in {time.perf_counter() - began:.0f} s')


if __name__ == '__main__':
    main()
