"""Kills workers that share a study's directory, and counts what is lost: `python benchmarks/shared_study.py [SECONDS]`.

Three processes work on one `pg.sample` study and save all the time; at random moments one of them gets SIGKILL and
another takes its place. In the end the study must be bit-identical to that of one worker whom nobody killed.
"""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

import pgjax as pg
from pgjax import search

TRIALS, WORKERS = 400, 3
SPACE = pg.Dict(x=pg.floatv(0.0, 1.0), n=pg.oneof([1, 2, 3]))
CONTROLLER = search.RegularizedEvolution(population_size=12, tournament_size=3, batch_size=8)


def work(path: str | None = None) -> search.Study:
    samples = pg.sample(SPACE, CONTROLLER, TRIALS, path=path, checkpoint_seconds=0.05)
    for exp, feedback in samples:
        feedback(exp.x * exp.n)
    return samples.study


def start(path: pathlib.Path) -> subprocess.Popen[bytes]:
    root = pathlib.Path(__file__).resolve().parent.parent
    environment = {**os.environ, 'PYTHONPATH': str(root), 'JAX_PLATFORMS': 'cpu'}
    return subprocess.Popen([sys.executable, __file__, 'worker', str(path)], env=environment)


def known(path: pathlib.Path) -> int:
    """The number of trials in the last checkpoint; raises if it cannot be read."""
    return len(search.Study.load(path).history) if (path / 'study.json').exists() else 0


def kill_for(seconds: float, path: pathlib.Path) -> int:
    """The number of kills until the time is over or the study is complete."""
    generator, kills, until = random.Random(0), 0, time.monotonic() + seconds
    workers = [start(path) for _ in range(WORKERS)]
    while time.monotonic() < until and known(path) < TRIALS:
        time.sleep(generator.uniform(0.2, 6.0))  # a process needs a second or two to begin
        index = generator.randrange(WORKERS)
        if path.exists():
            workers[index].kill()
            kills += workers[index].wait() != 0
            workers[index] = start(path)
    for worker in workers:
        worker.kill()
        worker.wait()
    return kills


def main() -> None:
    folder = pathlib.Path(tempfile.mkdtemp(prefix='pgjax-shared-', dir='.'))
    try:
        alone = work()
        kills = kill_for(float(sys.argv[1]) if len(sys.argv) > 1 else 120.0, folder / 'study')
        before = known(folder / 'study')
        shared = work(str(folder / 'study'))
        for name in shared.history.columns.keys() - {'seconds'}:
            np.testing.assert_array_equal(shared.history.columns[name], alone.history.columns[name], name)
        print(f'{kills} kills; {before} of {TRIALS} trials were saved then; the finished study is bit-identical.')
    finally:
        shutil.rmtree(folder)


if __name__ == '__main__':
    if sys.argv[1:2] == ['worker']:
        work(sys.argv[2])
    else:
        main()
