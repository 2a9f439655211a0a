"""A study stopped anywhere goes on bit for bit; on any number of devices it is the same study."""

import contextlib
import multiprocessing
import os
import random
import signal
import tempfile

import jax
import numpy as np
import pytest
import study_child

import pgjax as pg
from pgjax import search

COMPILED = tempfile.mkdtemp(prefix='pgjax-compiled-')  # the first child of a kind compiles, the others start faster
CHILDREN = multiprocessing.get_context('forkserver')
CHILDREN.set_forkserver_preload(['pgjax.search'])  # imported once; each child starts a JAX of its own


class Child:
    """A process that runs a study, and what it says."""

    def __init__(self, path, generations, seconds=0.0, devices=1, template=study_child.SPACE):
        self.said, speaks = CHILDREN.Pipe(duplex=False)
        arguments = (speaks, path, generations, seconds, devices, f'{COMPILED}/{devices}', template)
        self.process = CHILDREN.Process(target=study_child.main, args=arguments)
        self.process.start()
        speaks.close()

    def lines(self):
        """What it says until it ends, as it says it."""
        with contextlib.suppress(EOFError):
            while True:
                yield self.said.recv()

    def finish(self):
        """Its digest."""
        *_, (word, digest) = self.lines()
        self.process.join(300)
        assert self.process.exitcode == 0 and word == 'digest'
        return digest


@pytest.fixture(scope='module')
def uninterrupted():
    return study_child.digest(study_child.study_at().run(study_child.evaluate, 10, progress=False))


def test_a_study_cut_in_two_processes_is_the_same_study(tmp_path, uninterrupted):
    Child(tmp_path / 'study', 5).finish()
    assert Child(tmp_path / 'study', 10).finish() == uninterrupted


def test_a_study_cut_within_one_process_is_the_same_study(tmp_path, uninterrupted):
    first = study_child.study_at(tmp_path / 'study').run(study_child.evaluate, 3, progress=False)
    again = search.Study.load(tmp_path / 'study')
    assert study_child.digest(again) == study_child.digest(first)
    assert study_child.digest(again.run(study_child.evaluate, 7, progress=False)) == uninterrupted


@pytest.mark.slow
def test_twenty_kills_lose_at_most_one_interval(tmp_path):
    """SIGKILL at random moments after work has begun, saves and start-up among them."""
    generator = random.Random(0)
    path = tmp_path / 'study'
    kills, acknowledged = 0, 0
    while kills < 20:
        child = Child(path, 10_000, template=study_child.FIXED)
        lines = []
        for word, at in child.lines():
            lines.append((word, at))
            if word == 'begins':
                assert at >= acknowledged, 'an acknowledged checkpoint was lost'
            if word == 'generation':
                break
        child.process.join(generator.uniform(0.0, 0.25))
        child.process.kill()
        lines += child.lines()
        kills += 1
        # A generation is announced before it is saved, and one save may be under way: two may be lost.
        acknowledged = max([acknowledged, *(at - 2 for word, at in lines if word == 'generation')])
    reached = study_child.study_at(path, template=study_child.FIXED)
    assert reached.generation >= acknowledged
    straight = study_child.study_at(template=study_child.FIXED)
    straight = straight.run(study_child.evaluate, reached.generation, progress=False)
    assert study_child.digest(reached) == study_child.digest(straight)


def test_sigterm_finishes_the_generation_and_exits_143(tmp_path):
    child = Child(tmp_path / 'study', 10_000, seconds=3600)
    announced = []
    for word, at in child.lines():
        if word == 'generation':
            announced.append(at)
            if len(announced) == 1:
                os.kill(child.process.pid, signal.SIGTERM)
    child.process.join(60)
    assert child.process.exitcode == 143
    assert search.Study.load(tmp_path / 'study').generation == announced[-1]


@pytest.mark.parametrize(
    ('devices', 'kind'),
    [(2, jax.sharding.AxisType.Auto), (4, jax.sharding.AxisType.Auto), (4, jax.sharding.AxisType.Explicit)],
)
def test_the_digest_does_not_depend_on_the_number_of_devices(devices, kind, uninterrupted):
    mesh = jax.make_mesh((devices,), ('pop',), axis_types=(kind,), devices=jax.devices()[:devices])
    study = study_child.study_at(mesh=mesh).run(study_child.evaluate, 10, progress=False)
    assert study_child.digest(study) == uninterrupted


def test_the_digest_of_a_process_with_four_devices(uninterrupted):
    assert Child(None, 10, devices=4).finish() == uninterrupted


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
