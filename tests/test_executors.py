"""Python objectives on executors: the same study at any number of workers, and trouble spoils its own trial alone."""

import concurrent.futures
import multiprocessing
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

import executor_child
import jax
import numpy as np
import pytest

import pgjax as pg
from pgjax import search

SEED_OF_TROUBLE = 106  # of ten points one each has n = 0, 1, 2, 3
EVOLUTION = search.RegularizedEvolution(population_size=8, tournament_size=3, batch_size=6)


def make(path=None, **changes):
    settings = {'controller': EVOLUTION, 'objectives': ['y'], 'path': path, **changes}
    return search.Study(executor_child.TEMPLATE, settings.pop('controller'), **settings)


def run(study, evaluate, generations=1, executor=None, **options):
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        return study.run(evaluate, generations, executor=executor or threads, progress=False, **options)


def same(one, other):
    for name in one.history.columns.keys() - {'seconds'}:
        np.testing.assert_array_equal(one.history.columns[name], other.history.columns[name], name)


def slowly(exp, key):
    """Finishes in an order of its own."""
    time.sleep(0.003 * (exp.n % 4))
    return executor_child.score(exp, key)


class AnyOrder(concurrent.futures.Executor):
    """Runs what was submitted in a random order, in one thread, after a moment."""

    def __init__(self, seed):
        self._random, self._jobs, self._lock = random.Random(seed), [], threading.Lock()

    def submit(self, fn, /, *args, **kwargs):
        future = concurrent.futures.Future()
        future.n = getattr(args[2], 'n', None)  # what is decided, for an heir that looks
        with self._lock:
            self._jobs.append((future, lambda: fn(*args, **kwargs)))
        threading.Timer(0.01, self._run_one).start()
        return future

    def _run_one(self):
        with self._lock:
            if not self._jobs:
                return
            future, job = self._jobs.pop(self._random.randrange(len(self._jobs)))
        self.settle(future, job)

    def settle(self, future, job):
        if future.set_running_or_notify_cancel():
            future.set_result(job())


class Brittle(AnyOrder):
    """Breaks, with all that is in flight, at some experiments; `made` counts how often it was made."""

    made = 0
    deadly: tuple[int, ...] = ()

    def __init__(self):
        super().__init__(0)
        type(self).made += 1

    def settle(self, future, job):
        if future.n not in self.deadly:
            return super().settle(future, job)
        with self._lock:
            lost, self._jobs = [future, *(f for f, _ in self._jobs)], []
        for one in lost:
            one.set_exception(concurrent.futures.BrokenExecutor('a worker ended'))
        return None


@pytest.fixture(scope='module')
def alone():
    """What one thread makes of four generations."""
    with concurrent.futures.ThreadPoolExecutor(1) as one:
        return run(make(), executor_child.score, 4, one)


def test_an_executor_is_your_own_loop(alone):
    study = make()
    for _ in range(4):
        trials = study.ask()
        study = study.tell(trials, [executor_child.score(t.value, study.key_of(t)) for t in trials])
    same(study, alone)


@pytest.mark.parametrize('workers', [2, 8])
def test_any_number_of_workers_makes_the_same_study(alone, workers):
    with concurrent.futures.ThreadPoolExecutor(workers) as threads:
        same(run(make(), slowly, 4, threads), alone)


@pytest.mark.parametrize('seed', [0, 1])
def test_any_order_of_results_makes_the_same_study(alone, seed):
    same(run(make(), executor_child.score, 4, AnyOrder(seed)), alone)


def test_an_objective_that_needs_no_key():
    study = run(make(), lambda exp: {'y': exp.x})
    np.testing.assert_array_equal(study.history.metrics['y'], study.history.dna.floats[:, 0])


@pytest.fixture(scope='module')
def processes():
    with search.ProcessExecutor(2) as executor:
        yield executor


def test_processes_make_the_same_study(alone, processes):
    same(run(make(), executor_child.score, 4, processes), alone)


def test_exceptions_hangs_crashes_and_nan_spoil_their_own_trials_alone(processes):
    study = make(controller=search.Random(batch_size=10), seed=SEED_OF_TROUBLE)
    study = run(study, executor_child.troubled, executor=processes, timeout=0.5, retries=1)
    trials = [study.trial(i) for i in range(10)]
    errors = {0: 'ValueError: no such n', 1: 'TrialTimeoutError: .*timeout = 0.5 s', 2: 'WorkerLostError.*by SIGKILL'}
    assert {0, 1, 2, 3} <= {t.value.n for t in trials}
    for trial in trials:
        if trial.value.n > 3:
            assert trial.metrics['y'] == trial.value.x and not trial.note
        else:
            assert trial.status is search.TrialStatus.FAILED and np.isneginf(trial.fitness).all()
            assert re.search(errors.get(trial.value.n, ''), trial.note.get('error', ''))
    assert 'in troubled' in next(t for t in trials if t.value.n == 0).note['traceback']
    assert study.best.value.n > 3


@pytest.mark.parametrize('timeout', [30 * 86400.0, 1e300, float('inf')])
def test_a_timeout_may_be_longer_than_a_system_call_takes(alone, processes, timeout):
    same(run(make(), executor_child.score, 4, processes, timeout=timeout), alone)


def test_a_lost_worker_is_replaced_and_its_trial_tried_again(tmp_path, monkeypatch):
    monkeypatch.setenv('PGJAX_MARKS', str(tmp_path))
    study = make(controller=search.Random(batch_size=10), seed=SEED_OF_TROUBLE)
    with search.ProcessExecutor(1) as executor:
        study = run(study, executor_child.once, executor=executor)
    assert (study.history.status == search.TrialStatus.COMPLETE).all()
    assert len(list(tmp_path.iterdir())) == 1, 'one trial has killed its worker once'


@pytest.mark.slow
def test_a_pool_of_the_standard_library_that_breaks_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv('PGJAX_MARKS', str(tmp_path))
    study = make(controller=search.Random(batch_size=10), seed=SEED_OF_TROUBLE)
    spawn = multiprocessing.get_context('spawn')
    pool = lambda: concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn)  # noqa: E731  a factory
    study = run(study, executor_child.once, executor=pool)
    assert (study.history.status == search.TrialStatus.COMPLETE).all()


def test_of_a_broken_executor_only_the_culprit_is_charged(monkeypatch):
    study = make(controller=search.Random(batch_size=10), seed=SEED_OF_TROUBLE)
    monkeypatch.setattr(Brittle, 'deadly', (2,))
    monkeypatch.setattr(Brittle, 'made', 0)
    study = run(study, executor_child.score, executor=Brittle, retries=1)
    failed = [t.value.n for t in map(study.trial, range(10)) if t.status is search.TrialStatus.FAILED]
    assert failed == [2]
    # Made once, again after the first break and after one of the culprit alone; and after its last, if others wait.
    assert Brittle.made in (3, 4)


class BrokenAtOnce(Brittle):
    """Takes two experiments, and of the first executor that is made no more: it is broken by then."""

    def submit(self, fn, /, *args, **kwargs):
        if self.made == 1 and len(self._jobs) == 2:
            for future, _ in self._jobs:
                future.set_exception(concurrent.futures.BrokenExecutor('a worker ended'))
            self._jobs, self.lost = [], True
        if getattr(self, 'lost', False):
            raise concurrent.futures.BrokenExecutor('a worker ended')
        return super().submit(fn, *args, **kwargs)

    def _run_one(self):
        """In order of the experiments that are deadly: they end before the others."""
        with self._lock:
            self._jobs.sort(key=lambda job: job[0].n not in self.deadly)
            self._random.randrange = lambda number: 0
        super()._run_one()


def test_who_is_tried_alone_is_not_charged_for_who_waits(monkeypatch):
    """The last suspect runs by itself, also where trials wait that were never submitted."""
    study = make(controller=search.Random(batch_size=10), seed=SEED_OF_TROUBLE)
    n = [trial.value.n for trial in study.ask()]
    deadly = next(value for value in n[2:] if value not in n[:2])
    monkeypatch.setattr(BrokenAtOnce, 'deadly', (deadly,))
    monkeypatch.setattr(BrokenAtOnce, 'made', 0)
    study = run(study, executor_child.score, executor=BrokenAtOnce, retries=0)
    failed = {t.value.n for t in map(study.trial, range(10)) if t.status is search.TrialStatus.FAILED}
    assert failed == {deadly}


def test_an_executor_that_cannot_be_made_again(monkeypatch):
    study = make(controller=search.Random(batch_size=10), seed=SEED_OF_TROUBLE)
    monkeypatch.setattr(Brittle, 'deadly', (2,))
    with pytest.raises(pg.WorkerLostError, match='Pass a function that makes an executor'):
        run(study, executor_child.score, executor=Brittle())


@pytest.mark.parametrize(
    ('returned', 'words'),
    [
        (None, 'FitnessError: .*got NoneType'),
        ((1.0, 2.0), 'FitnessError: .*got tuple'),
        ({'y': 'good'}, "'y' must be a scalar number, got str"),
        ({'Y': 1.0}, "objective 'y' is not among .*'Y'.*expected y"),
        ({'y': np.ones(2)}, r'array of shape \[2\]'),
    ],
)
def test_what_is_no_metric_is_recorded(returned, words):
    study = run(make(), lambda exp: returned if exp.n < 5 else {'y': 1.0}, 2)
    wrong = np.array([study.trial(i).value.n < 5 for i in range(12)])
    assert ((study.history.status == search.TrialStatus.FAILED) == wrong).all() and wrong.any()
    assert re.search(words, study.trial(int(np.argmax(wrong))).note['error'])


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf'), -1e300])
def test_what_is_no_finite_number_is_a_failure(value):
    study = run(make(), lambda exp: {'y': value, 'also': value}, 2)
    assert (study.history.status == search.TrialStatus.FAILED).all() and study.best is None


def test_a_trial_that_exits_fails_and_keeps_its_worker(processes):
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        for executor in (threads, processes):
            trial = run(make(), executor_child.leaves, executor=executor).trial(0)
            assert trial.note['error'] == 'SystemExit: 3' and 'in leaves' in trial.note['traceback']


def test_metrics_of_one_trial_alone():
    study = run(make(), lambda exp: {'y': 0.5, **({'extra': 1.0} if exp.n < 5 else {})}, 2)
    few = np.array([study.trial(i).value.n < 5 for i in range(12)])
    np.testing.assert_array_equal(study.history.metrics['extra'], np.where(few, 1, np.nan))


class Offset(pg.Object):
    by: float = 1.0
    sign: float = 1.0

    def __call__(self, exp):
        return {'y': self.sign * (exp.n + self.by)}


@pg.functor
def offset(exp, by):
    return {'y': exp.n + by}


@pytest.mark.parametrize('evaluate', [Offset(2.0), offset(by=2.0)])
def test_an_objective_that_is_an_object_gets_what_its_call_takes(evaluate):
    study = run(make(), evaluate, 1)
    assert all(study.trial(i).metrics['y'] == study.trial(i).value.n + 2.0 for i in range(6))


def test_an_objective_cannot_change_its_experiment():
    def mutates(exp):
        exp.n = 3
        return {'y': 0.0}

    assert 'FrozenError' in run(make(), mutates).trial(0).note['error']


def test_too_many_failures_in_a_row_end_the_run(tmp_path):
    def fails(exp):
        raise ValueError('always')

    with pytest.raises(pg.EvaluatorError, match=r'12 trials in a row.*max_failures = 10.*trial 11: ValueError: always'):
        run(make(tmp_path / 's'), fails, 5, max_failures=10)
    stored = search.Study.load(tmp_path / 's')
    assert len(stored.history) == 12, 'what is known is saved'
    assert 'ValueError: always' in stored.trial(11).note['traceback']
    assert len(run(make(), fails, 5, max_failures=None).history) == 30
    fewer = run(make(), lambda exp: {'y': 1 / (exp.n // 3)}, 5, max_failures=10)
    assert (fewer.history.status == search.TrialStatus.FAILED).sum() > 10 or len(fewer.history) == 30


def test_a_late_result_is_ignored():
    gate, calls, hanging = threading.Event(), [], []
    least = min(trial.value.n for trial in make().ask())

    def late(exp):
        calls.append(exp)
        if len(calls) > 6:  # the second generation: what hangs may return
            gate.set()
            for _ in range(200):  # until it has
                time.sleep(0.1)
                if not hanging:
                    break
        elif exp.n == least:
            hanging.append(exp)
            gate.wait(20)
            hanging.remove(exp)
        return {'y': 1.0}

    with (
        concurrent.futures.ThreadPoolExecutor(12) as threads,
        pytest.warns(UserWarning, match='returned after its timeout'),
    ):
        study = run(make(), late, 2, threads, timeout=1.0)
    hung = np.array([i < 6 and study.trial(i).value.n == least for i in range(12)])
    assert hung.any() and ((study.history.status == search.TrialStatus.FAILED) == hung).all()
    assert 'TrialTimeoutError' in study.trial(int(np.argmax(hung))).note['error']


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'executor': 3}, 'executor must be a concurrent.futures.Executor'),
        ({'timeout': 0}, 'timeout must be a positive number'),
    ],
)
def test_settings_that_make_no_sense(options, words):
    with pytest.raises(pg.EvaluatorError, match=words):
        run(make(), executor_child.score, **options)


@pytest.mark.slow
def test_an_objective_that_prints_and_moves_about_does_no_harm(tmp_path, monkeypatch, processes, alone):
    monkeypatch.chdir(tmp_path)
    same(run(make('here'), executor_child.rude, 4, processes), alone)
    same(search.Study.load(tmp_path / 'here'), alone)


def test_what_cannot_be_sent_is_named_before_the_first_trial(tmp_path, processes):
    with pytest.raises(pg.EvaluatorError, match=r'cannot be sent to a worker process.*Use threads'):
        run(make(tmp_path / 's'), lambda exp: {'y': 1.0}, executor=processes)
    assert len(search.Study(executor_child.TEMPLATE, EVOLUTION, objectives=['y'], path=tmp_path / 's').history) == 0
    with pytest.raises(pg.EvaluatorError, match='cannot be sent'):
        processes.submit(threading.Lock().acquire)


def test_a_process_executor_is_an_executor(processes):
    assert list(processes.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1]
    with pytest.raises(ZeroDivisionError):
        processes.submit(divmod, 1, 0).result()
    assert processes.submit(os.getpid).result() != os.getpid()
    with (
        search.ProcessExecutor(1, initializer=executor_child.cannot_begin) as broken,
        pytest.raises(pg.WorkerLostError, match=r'with exit code 3\. It had not begun.*__main__'),
    ):
        broken.submit(abs, 1).result()
    ended = search.ProcessExecutor(1)
    ended.shutdown()
    with pytest.raises(RuntimeError, match='after shutdown'):
        ended.submit(abs, 1)


def test_a_signal_keeps_what_is_done_and_the_study_goes_on_to_the_same(tmp_path, alone):
    """SIGTERM in the middle of a generation: the first trials are kept, and the rest come again."""
    calls = []

    def interrupted(exp, key):
        calls.append(exp)
        if len(calls) == 9:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)
        return executor_child.score(exp, key)

    with concurrent.futures.ThreadPoolExecutor(1) as one, pytest.raises(SystemExit) as ended:
        run(make(tmp_path / 's'), interrupted, 4, one)
    assert ended.value.code == 143
    study = search.Study.load(tmp_path / 's')
    assert (len(study.history), study.generation) == (9, 1)
    same(run(study, executor_child.score, 3), alone)


ORPHANS = """
import time, executor_child
from pgjax import search
if __name__ == '__main__':
    executor = search.ProcessExecutor(1)
    print(executor.submit(executor_child.os.getpid).result(), flush=True)
    executor.submit(time.sleep, 3600)
    time.sleep(3600)
"""


@pytest.mark.slow
def test_workers_end_with_their_parent(tmp_path):
    script = tmp_path / 'parent.py'
    script.write_text(ORPHANS)
    here = pathlib.Path(__file__).parent
    environment = {**os.environ, 'PYTHONPATH': f'{here}:{here.parent}', 'JAX_PLATFORMS': 'cpu'}
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 5
    while _is_running(child):
        assert time.monotonic() < until, 'the worker has outlived its parent'
        time.sleep(0.05)


def _is_running(process):
    try:
        return pathlib.Path(f'/proc/{process}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_notes_are_kept_on_disk_and_damage_is_told(tmp_path):
    def fails(exp):
        raise ValueError(f'n is {exp.n}')

    path = tmp_path / 's'
    study = run(run(make(path), fails, 1), fails, 1)
    stored = search.Study.load(path)
    assert dict(stored.notes) == dict(study.notes) and len(stored.notes) == 12
    file = path / 'notes.jsonl'
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b''.join([*lines[:3], lines[3].replace(b'n is', b'n si'), *lines[4:]]))
    damaged = search.Study.load(path)
    with pytest.warns(UserWarning, match='damaged: 11 notes could be read'):
        assert 3 not in damaged.notes
    file.write_bytes(b''.join(lines)[:-9])
    run(search.Study.load(path), fails, 1)
    with pytest.warns(UserWarning, match='damaged: 17 notes could be read'):
        assert search.Study.load(path).notes.keys() == {*range(18)} - {11}
    file.unlink()
    with pytest.warns(UserWarning, match='0 notes could be read'):
        assert search.Study.load(path).trial(3).note == {}


def test_keys_in_threads_are_those_of_the_trials():
    study = run(make(), lambda exp, key: {'y': jax.random.uniform(key)})
    wanted = [float(jax.random.uniform(study.key_of(i))) for i in range(6)]
    assert study.history.metrics['y'].tolist() == wanted


@pytest.mark.parametrize('number', [0, -1, 1.5, 'all', True])
def test_a_process_executor_of_no_workers_is_refused(number):
    """It would take trials and never answer."""
    with pytest.raises(pg.EvaluatorError, match='max_workers must be a positive int or None, got'):
        search.ProcessExecutor(number)


def test_a_function_that_makes_no_executor():
    study = search.Study({'x': pg.floatv(0.0, 1.0)}, search.Random(batch_size=2), objectives='y')
    with pytest.raises(pg.EvaluatorError, match=r'executor must make a concurrent.futures.Executor, and made int 5'):
        study.run(lambda exp: {'y': 1.0}, 1, executor=lambda: 5, progress=False)
    with pytest.raises(pg.StudyMismatchError, match='merge takes another study, got int 5'):
        study.merge(5)
