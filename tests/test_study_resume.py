"""A study stopped anywhere goes on bit for bit; on any number of devices it is the same study."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile

import jax
import numpy as np
import pytest
import study_child

import pgjax as pg
from pgjax import search

CHILD = pathlib.Path(study_child.__file__)
CACHE = pathlib.Path(
    tempfile.mkdtemp(prefix='pgjax-compiled-')
)  # the first child of a kind compiles, the others start faster


def start(path, generations, seconds=0.0, devices=1):
    environment = {
        **os.environ,
        'PYTHONPATH': f'{CHILD.parent}:{CHILD.parent.parent}',
        'JAX_COMPILATION_CACHE_DIR': str(CACHE / str(devices)),
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    }
    return subprocess.Popen(
        [
            sys.executable,
            '-c',
            'import study_child; study_child.main()',
            str(path),
            str(generations),
            str(seconds),
            str(devices),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.split()[-1]


@pytest.fixture(scope='module')
def uninterrupted():
    return study_child.digest(study_child.study_at().run(study_child.evaluate, 10, progress=False))


def test_a_study_cut_in_two_processes_is_the_same_study(tmp_path, uninterrupted):
    finish(start(tmp_path / 'study', 5))
    assert finish(start(tmp_path / 'study', 10)) == uninterrupted


def test_a_study_cut_within_one_process_is_the_same_study(tmp_path, uninterrupted):
    first = study_child.study_at(tmp_path / 'study').run(study_child.evaluate, 3, progress=False)
    again = search.Study.load(tmp_path / 'study')
    assert study_child.digest(again) == study_child.digest(first)
    assert study_child.digest(again.run(study_child.evaluate, 7, progress=False)) == uninterrupted


@pytest.mark.slow
def test_twenty_kills_lose_at_most_one_interval(tmp_path, uninterrupted):
    """SIGKILL at random moments after work has begun, saves and start-up among them."""
    generator = random.Random(0)
    path = tmp_path / 'study'
    kills, acknowledged = 0, 0
    while kills < 20:
        process = start(path, 10_000)
        lines = []
        moment = generator.uniform(0.0, 0.25)
        for line in process.stdout:
            lines.append(line.split())
            if lines[-1][0] == 'begins':
                at = int(lines[-1][1])
                assert at >= acknowledged, 'an acknowledged checkpoint was lost'
            if lines[-1][0] == 'generation':
                break
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.kill()
        lines += [line.split() for line in process.communicate()[0].splitlines()]
        kills += 1
        # A generation is announced before it is saved, and one save may be under way: two may be lost.
        acknowledged = max([acknowledged, *(int(n) - 2 for word, n in lines if word == 'generation')])
    reached = study_child.study_at(path)
    assert reached.generation >= acknowledged
    straight = study_child.study_at().run(study_child.evaluate, reached.generation, progress=False)
    assert study_child.digest(reached) == study_child.digest(straight)


def test_sigterm_finishes_the_generation_and_exits_143(tmp_path):
    process = start(tmp_path / 'study', 10_000, seconds=3600)
    for line in process.stdout:
        if line.startswith('generation'):
            process.send_signal(signal.SIGTERM)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    announced = [int(line.split()[1]) for line in out.splitlines() if line.startswith('generation')]
    assert search.Study.load(tmp_path / 'study').generation == max([1, *announced])


@pytest.mark.parametrize('devices', [2, 4])
def test_the_digest_does_not_depend_on_the_number_of_devices(devices, uninterrupted):
    mesh = jax.make_mesh(
        (devices,), ('pop',), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:devices]
    )
    study = study_child.study_at(mesh=mesh).run(study_child.evaluate, 10, progress=False)
    assert study_child.digest(study) == uninterrupted


def test_the_digest_of_a_process_with_four_devices(uninterrupted):
    assert finish(start('-', 10, devices=4)) == uninterrupted


def test_the_digest_does_not_depend_on_the_order_of_groups(uninterrupted, monkeypatch):
    in_order = pg.Space.groups
    monkeypatch.setattr(pg.Space, 'groups', lambda self, dna: in_order(self, dna)[::-1])
    study = study_child.study_at().run(study_child.evaluate, 10, progress=False)
    assert study_child.digest(study) == uninterrupted


def test_one_member_gives_the_same_metrics_in_any_company():
    """Each trial alone, with the whole generation, and in another order."""
    study = study_child.study_at()
    study = study.run(study_child.evaluate, 1, progress=False)
    evaluator = search.Evaluator(study_child.evaluate, study.objectives, tile=4, batch='vmap')
    key = jax.random.key(7, impl='threefry2x32')
    dna, trials = study.history.dna, study.history.trial
    for rows in (np.arange(16)[::-1], np.array([3]), np.array([5, 1, 9])):
        metrics = evaluator(study.space, dna[rows], trials[rows], key)
        for name, column in metrics.items():
            np.testing.assert_array_equal(column, study.history.metrics[name][rows])
