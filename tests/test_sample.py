"""`pg.sample`: a loop with any Python inside, shared by groups, threads and processes, and always the same study."""

import contextlib
import gc
import itertools
import math
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import pgjax as pg
from pgjax import search
from pgjax.search import _session
from pgjax.search._outcome import Told
from pgjax.search._pending import Pending
from pgjax.search._sample import Samples

TEMPLATE = pg.Dict(x=pg.floatv(0.0, 1.0), n=pg.oneof([1, 2, 3]))
NUMBERS = itertools.count()  # of studies shared by name
EVOLUTION = search.RegularizedEvolution(population_size=8, tournament_size=3, batch_size=4)


def score(exp):
    return exp.x * exp.n


def loop(controller=EVOLUTION, num_trials=22, **options):
    return pg.sample(TEMPLATE, controller, num_trials, **options)


def same(one, other):
    assert one.history.columns.keys() == other.history.columns.keys()
    for name in one.history.columns.keys() - {'seconds'}:
        np.testing.assert_array_equal(one.history.columns[name], other.history.columns[name], name)


@pytest.fixture(scope='module')
def alone():
    """What one worker makes of 22 trials."""
    samples = loop()
    for exp, feedback in samples:
        feedback(score(exp))
    return samples.study


def test_a_loop_is_a_study(alone):
    study = search.Study(TEMPLATE, EVOLUTION, objectives='reward')
    while len(study.history) < 22:
        trials = study.ask(min(3, len(study.ask()), 22 - len(study.history)))
        study = study.tell(trials, [{'reward': score(t.value)} for t in trials])
    same(study, alone)
    assert alone.history.trial.tolist() == list(range(22))
    assert (alone.history.parents[8:] >= 0).all()


@settings(max_examples=10)
@given(st.data())
def test_the_order_in_which_groups_finish_makes_no_difference(alone, data):
    """Several groups hold trials at once; who goes on next is drawn."""
    name = f'drawn-{next(NUMBERS)}'
    workers = [loop(name=name, group=g) for g in range(3)]
    held = {}
    while workers or held:
        if held and (not workers or len(held) == 3 or data.draw(st.booleans())):
            group = data.draw(st.sampled_from(sorted(held)))
            exp, feedback = held.pop(group)
            feedback(score(exp))
            continue
        free = [g for g in range(3) if g not in held]
        group = data.draw(st.sampled_from(free))
        try:
            held[group] = next(workers[group]) if workers else None
        except StopIteration:
            workers = []
        except pg.TrialStateError:  # the generation is given out
            exp, feedback = held.pop(sorted(held)[0])
            feedback(score(exp))
        if group in held and held[group] is None:
            del held[group]
    same(search.poll(name), alone)


@pytest.mark.parametrize('workers', [2, 8])
def test_threads_share_a_study_by_name(alone, workers):
    name, seen = f'threads-{workers}', []

    def work():
        for exp, feedback in loop(name=name):
            seen.append(feedback.id)
            feedback(score(exp))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(22))
    same(search.poll(name), alone)


def test_the_trial_of_a_thread_that_died_is_given_to_another():
    def die():
        next(loop(name='dead', num_trials=4))
        del keep[:]

    keep = [1]
    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    assert not keep
    assert [f(0.5) or f.id for _, f in loop(name='dead', num_trials=4)] == [0, 1, 2, 3]


def test_num_trials_counts_over_all_loops_of_a_study():
    ids = []
    for number in (2, 2, 4):
        for exp, feedback in loop(name='counted', num_trials=number):
            feedback(score(exp))
            ids.append(feedback.id)
    assert ids == [0, 1, 2, 3]
    assert len(list(loop(num_trials=0))) == 0


def test_loops_of_one_name_are_of_one_study():
    loop(name='one')
    with pytest.raises(pg.StudyMismatchError, match=r"'one'.*controller"):
        loop(search.Random(batch_size=4), name='one')
    with pytest.raises(pg.StudyMismatchError, match='seed 0, got 1'):
        loop(name='one', seed=1)
    with pytest.raises(pg.ControllerError, match='not by both'):
        loop(name='one', path='somewhere')
    with pytest.raises(pg.ControllerError, match='num_trials'):
        loop(num_trials=-1)
    with pytest.raises(pg.StudyNotFoundError):
        search.poll('nobody')


def test_groups_get_the_same_trial():
    workers = [loop(name='groups', group=group) for group in (0, 0, 1)]
    ids = [next(worker)[1] for worker in workers]
    assert [f.id for f in ids] == [0, 0, 1]
    ids[0](0.5)
    with pytest.raises(pg.TrialStateError, match=r'Trial 0 has a result already; open are \[1, 2, 3\]'):
        ids[1](0.7)
    with ids[1].ignore_race_condition():
        ids[1](0.7)
    assert search.poll('groups').history.metrics['reward'].tolist() == [0.5]


def test_a_thread_does_not_wait_for_itself():
    workers = [loop(search.Random(batch_size=1), name='itself', group=g) for g in (0, 1)]
    next(workers[0])
    with pytest.raises(pg.TrialStateError, match='batch_size above 1'):
        next(workers[1])


def test_a_trial_without_feedback_comes_again():
    samples = loop()
    ids = [next(samples)[1].id for _ in range(2)]
    with pytest.warns(UserWarning, match='Trial 0 is given out again'):
        ids.append(next(samples)[1].id)
    assert ids == [0, 0, 0]


def test_an_exception_leaves_the_trial_to_the_next_loop():
    with contextlib.suppress(ZeroDivisionError):
        for _, feedback in loop(name='raises'):
            if feedback.id == 2:
                raise ZeroDivisionError
            feedback(0.0)
    gc.collect()
    samples = loop(name='raises', group='another')
    assert next(samples)[1].id == 2
    assert len(samples.study.history) == 2


@pytest.mark.parametrize(
    ('call', 'words'),
    [
        (lambda f: f(), "trial 0.*objective 'reward' is not among"),
        (lambda f: f(None), 'trial 0.*reward'),
        (lambda f: f(metrics={'reward': None}), 'trial 0.*must be a scalar number, got NoneType'),
        (lambda f: f('good'), "trial 0: the metric 'reward' must be a scalar number, got str 'good'\\.$"),
        (lambda f: f([1.0, 2.0]), r"Trial 0: the objectives are \['reward'\], got 2 rewards"),
        (lambda f: f(np.ones((1, 2))), r'array of shape \[1, 2\]'),
        (lambda f: f(metrics={'loss': 1.0}), "objective 'reward'"),
        (lambda f: f(metrics=[1.0]), 'metrics are a dict'),
        (lambda f: f.done(), "objective 'reward'"),
        (lambda f: f.add_measure(), 'needs a reward or metrics'),
        (lambda f: f.add_measure('0.5'), 'must be a scalar number, got str'),
        (
            lambda f: f.add_measure(metrics={'loss': [0.5, 0.6]}),
            r'must be a scalar number, got an array of shape \[2\]',
        ),
    ],
)
def test_feedback_that_is_no_reward_leaves_the_trial_open(call, words):
    samples = loop(num_trials=1)
    _, feedback = next(samples)
    with pytest.raises(pg.FitnessError, match=words):
        call(feedback)
    assert len(samples.study.history) == 0
    feedback(np.float32(1.0))
    assert samples.study.history.metrics['reward'].tolist() == [1.0]


def test_rewards_of_every_kind_of_number_are_equal():
    import jax.numpy as jnp

    samples = loop(num_trials=8)
    for made in (1, True, 1.0, np.float64(1), jnp.bfloat16(1), jnp.ones(()), {'reward': 1}, [1.0]):
        next(samples)[1](made)
    assert samples.study.history.metrics['reward'].tolist() == [1.0] * 8


def test_a_reward_that_is_no_finite_number_is_a_failure():
    samples = loop(num_trials=4)
    for (_, feedback), reward in zip(samples, [float('nan'), float('inf'), -1e300, 0.25], strict=False):
        feedback(reward)
    study = samples.study
    assert [search.TrialStatus(s).name for s in study.history.status] == ['FAILED', 'FAILED', 'FAILED', 'COMPLETE']
    assert study.best.id == 3
    assert np.isneginf(study.history.fitness[:3]).all()


def test_measurements_by_step_and_the_final_one():
    samples = loop(num_trials=3)
    for _, feedback in samples:
        feedback.add_measure(0.5, step=3, checkpoint_path='there/3')
        feedback.add_measure(0.9, {'loss': 2.0}, step=1)
        if feedback.id:
            feedback.add_measurement(0.7, step=3)
        feedback.done({'note': [1, 'two']}, {'log': 'file://log'})
    study = samples.study
    np.testing.assert_allclose(study.history.metrics['reward'], [0.5, 0.7, 0.7])
    note = study.trial(2).note
    assert note['metadata'] == {'note': [1, 'two']} and note['links'] == {'log': 'file://log'}
    assert [m[0] for m in note['measurements']] == [3, 1, 3]


def test_metrics_may_differ_between_trials(tmp_path):
    for _, feedback in loop(num_trials=6, path=tmp_path / 's'):
        feedback(0.5, {f'extra{feedback.id % 2}': feedback.id, 'bad': float('nan')})
    stored = search.Study.load(tmp_path / 's')
    np.testing.assert_array_equal(stored.history.metrics['extra1'], [np.nan, 1, np.nan, 3, np.nan, 5])
    assert stored.trial(3).metrics['extra1'] == 3


def test_skipped_trials_are_told_as_failures():
    samples = loop(num_trials=5)
    for _, feedback in samples:
        if feedback.id == 0:
            feedback.skip('too wide')
        elif feedback.id == 1:
            with feedback.skip_on_exceptions((ValueError, (KeyError, 'lost'))):
                feedback.add_measure(3.0)
                raise KeyError('all is lost')
        else:
            feedback(0.1 * feedback.id)
    study = samples.study
    assert study.history.status.tolist() == [3, 3, 1, 1, 1]
    assert study.best.id == 4
    assert study.trial(0).note == {'reason': 'too wide'}
    assert 'KeyError' in study.trial(1).note['traceback']
    _, feedback = next(loop())
    with pytest.raises(KeyError), feedback.skip_on_exceptions([(KeyError, 'other')]):
        raise KeyError('all is lost')
    feedback(1.0)


def test_end_loop_ends_every_loop_of_the_study():
    here, there = loop(name='ends', num_trials=None), loop(name='ends', num_trials=None, group=1)
    ids = []
    for _, feedback in here:
        feedback(1.0)
        ids.append(feedback.id)
        if feedback.id == 5:
            feedback.end_loop()
    assert ids == [0, 1, 2, 3, 4, 5]
    assert next(there, None) is None
    assert next(loop(name='ends', num_trials=None))[1].id == 6


def test_several_objectives():
    samples = loop(search.Random(batch_size=4), 4, objectives=[pg.maximize('reward'), pg.minimize('cost')])
    for exp, feedback in samples:
        if feedback.id % 2:
            feedback((exp.x, exp.n))
        else:
            feedback(exp.x, {'cost': exp.n})
    assert samples.study.history.metrics['cost'].tolist() == [samples.study.trial(i).value.n for i in range(4)]


def test_metadata_of_the_study_is_shared_by_its_loops():
    _, one = next(loop(name='meta', group=0))
    _, two = next(loop(name='meta', group=1))
    one.set_metadata('best', {'a': 1}, per_trial=False)
    one.set_metadata('mine', 2)
    assert two.get_metadata('best', per_trial=False) == {'a': 1}
    assert two.get_metadata('mine') is None and one.get_metadata('mine') == 2
    with pytest.raises(pg.EncodeError):
        one.set_metadata('bad', object())
    with pytest.raises(pg.EncodeError, match='a link is'):
        one.add_link('bad', 3)


def test_where_leaves_the_other_holes_open():
    samples = pg.sample(TEMPLATE, search.Random(batch_size=4), 4, where=lambda hole: isinstance(hole, type(TEMPLATE.n)))
    for exp, feedback in samples:
        assert exp.n in (1, 2, 3) and pg.is_abstract(exp)
        feedback(exp.n)
    assert samples.study.space.num_floats == 0


def test_a_part_of_a_space_is_kept_and_needs_its_where_again(tmp_path):
    options = {'where': lambda hole: isinstance(hole, type(TEMPLATE.n)), 'path': tmp_path / 'study'}
    for limit in (3, 6):
        for exp, feedback in pg.sample(TEMPLATE, search.Random(batch_size=4), limit, **options):
            feedback(exp.n)
    part = pg.search_space(TEMPLATE, options['where'])
    settings = {'objectives': 'reward', 'path': tmp_path / 'study'}
    assert len(search.Study(part, search.Random(batch_size=4), **settings).history) == 6
    with pytest.raises(pg.StudyMismatchError, match=r"part of its space.*\['n'\].*where="):
        search.Study.load(tmp_path / 'study')
    with pytest.raises(pg.StudyMismatchError, match='part is'):
        search.Study(TEMPLATE, search.Random(batch_size=4), **settings)


def test_a_traced_program_is_run_with_the_decisions_of_a_trial():
    def program():
        return pg.oneof([1, 2]) + pg.oneof([10, 20])

    space = pg.trace(program)
    found = {
        space.apply(feedback.dna, program)
        for _, feedback in pg.sample(space, search.Random(batch_size=4), 1)
        if feedback(0.0) is None
    }
    assert found <= {11, 12, 21, 22} and found


def test_a_child_knows_the_checkpoint_of_its_parent():
    found = []
    for exp, feedback in loop():
        found.append(feedback.parent_checkpoint)
        feedback(score(exp), checkpoint_path=f'at/{feedback.id}')
    parents = feedback.study.history.parents[:, 0]
    assert found == [None if p < 0 else f'at/{p}' for p in parents]
    assert any(found)


def test_keys_are_those_of_the_study():
    samples = loop()
    _, feedback = next(samples)
    assert feedback.key == samples.study.key_of(0)


# --- on disk


def test_a_study_on_disk_goes_on_anywhere_in_a_generation(tmp_path, alone):
    path = tmp_path / 'study'
    for limit in (1, 6, 7, 22):
        for exp, feedback in loop(path=path, num_trials=limit):
            feedback(score(exp))
        assert len(search.Study.load(path).history) == limit
    same(search.Study.load(path), alone)
    assert os.listdir(path / 'pending') == ['claims']


def test_results_are_durable_before_the_generation_is_complete(tmp_path):
    path = tmp_path / 'study'
    samples = loop(path=path)
    for _ in range(2):
        next(samples)[1](0.5)
    assert len(search.Study.load(path).history) == 0
    held = next(samples)[1].id
    del samples
    gc.collect()
    assert held == 2
    assert next(loop(path=path))[1].id == 2


def journal_of(path, number):
    """What a loop that told some trials and ended leaves of them."""
    samples = loop(path=path)
    for _ in range(number):
        next(samples)[1](0.5)
    del samples
    gc.collect()
    (journal,) = (path / 'pending').glob('journal-*')
    return journal


def test_a_damaged_result_is_evaluated_again(tmp_path):
    path = tmp_path / 'study'
    journal = journal_of(path, 3)
    first, second, third = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(first[:-9] + b'\n' + second + third.replace(b'0.5', b'0.6') + b'half a li')
    samples = loop(path=path, num_trials=4)
    assert [feedback.id for _, feedback in samples if feedback(0.25) is None] == [0, 2, 3]
    assert samples.study.history.metrics['reward'].tolist() == [0.25, 0.5, 0.25, 0.25]


def test_others_read_a_journal_that_is_being_written(tmp_path):
    """It is written over zeros, some hundred trials at a time, and has none at its end when it is closed."""
    ours, theirs = Pending(str(tmp_path)), Pending(str(tmp_path))
    expected = {}
    for trial in range(700):
        expected[trial] = Told({'reward': float(trial)}, note={'metadata': {'text': 'x' * (trial % 90)}})
        assert ours.claim(trial)
        ours.publish(trial, expected[trial])
        if trial % 100 == 0:
            assert set(theirs.news()) == set(range(max(0, trial - 99), trial + 1))
    assert theirs.news() == {trial: told for trial, told in expected.items() if trial > 600}
    (journal,) = (tmp_path / 'pending').glob('journal-*')
    del ours
    gc.collect()
    assert journal.read_bytes().count(b'\n') == 700 and b'\0' not in journal.read_bytes()
    assert Pending(str(tmp_path)).news() == expected


@pytest.fixture
def unpolled(monkeypatch):
    """Nobody looks at what others do but where a mark says so. Returns a list that grows by each look."""
    looks, news = [], Pending.news
    monkeypatch.setattr(_session, 'POLL_SECONDS', math.inf)
    monkeypatch.setattr(Pending, 'news', lambda self: looks.append(1) or news(self))
    return looks


def apart(path):
    """A loop with a session of its own, as in another process."""
    study = search.Study(TEMPLATE, EVOLUTION, objectives='reward', path=path)
    return Samples(_session.Session(study, 30.0), 22, None, None)


def test_what_another_session_published_is_known_by_its_mark(tmp_path, alone, unpolled):
    loops, ids = [apart(tmp_path / 'study') for _ in range(2)], []
    for samples in [*loops * 4, loops[0]]:
        for exp, feedback in itertools.islice(samples, 3):
            feedback(score(exp))
            ids.append(feedback.id)
    assert ids == list(range(22))
    same(search.Study.load(tmp_path / 'study'), alone)


def test_a_trial_without_a_mark_is_not_looked_for(tmp_path, unpolled):
    for exp, feedback in loop(path=tmp_path / 'study'):
        feedback(score(exp))
    assert len(unpolled) == 1, 'when the study was opened'


def test_without_the_marks_the_journals_are_enough(tmp_path, unpolled):
    """A power cut takes marks away and damages a line: trials of a later generation are not evaluated again."""
    path = tmp_path / 'study'
    journal = journal_of(path, 6)
    journal.write_bytes(journal.read_bytes().replace(b'"trial":2', b'"trial":3'))
    os.truncate(path / 'pending' / 'claims', 0)
    assert [feedback.id for _, feedback in loop(path=path, num_trials=8) if feedback(0.25) is None] == [2, 6, 7]


OLD = """
import fcntl, sys
with open(sys.argv[1], 'r+b') as claims:
    try:
        fcntl.lockf(claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 5)
        print('claimed', flush=True)
        sys.stdin.read()
    except BlockingIOError:
        print('taken')
"""


def test_a_version_without_marks_does_not_work_at_the_same_time(tmp_path):
    path, claims = tmp_path / 'study', tmp_path / 'study' / 'pending' / 'claims'
    samples = loop(path=path)
    old = [sys.executable, '-c', OLD, str(claims)]
    assert subprocess.run(old, capture_output=True, text=True).stdout == 'taken\n'
    del samples
    gc.collect()
    with subprocess.Popen(old, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'claimed\n'
        with pytest.raises(pg.StudyLockedError, match=r'study is in use by an older version.*Stop the loops'):
            loop(path=path)
        process.stdin.close()
    assert next(loop(path=path))[1].id == 0


WORKER = """
import sys, time
import pgjax as pg
from pgjax import search
import test_sample
path, kill_at, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
for exp, feedback in test_sample.loop(path=path, checkpoint_seconds=seconds):
    print(feedback.id, flush=True)
    if feedback.id == kill_at:
        time.sleep(3600)
    feedback(test_sample.score(exp))
"""


def start(path, kill_at=-1, seconds=30.0):
    here = pathlib.Path(__file__).parent
    environment = {**os.environ, 'PYTHONPATH': f'{here}:{here.parent}', 'JAX_PLATFORMS': 'cpu'}
    return subprocess.Popen(
        [sys.executable, '-c', WORKER, str(path), str(kill_at), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.slow
def test_processes_share_a_directory_and_one_is_killed(tmp_path, alone):
    """The stopped process holds trial 2 until it is killed; the other then gets it, and the study is the same."""
    path = tmp_path / 'study'
    stuck = start(path, kill_at=2)
    for line in stuck.stdout:
        if line == '2\n':
            break
    stuck.send_signal(signal.SIGSTOP)
    mine = loop(path=path)
    assert mine.study.generation == 0
    exp, feedback = next(mine)
    assert feedback.id == 3, 'the other process has 0 to 2'
    feedback(score(exp))
    stuck.kill()
    stuck.communicate()
    other = start(path)
    ids = [3]
    for exp, feedback in mine:
        feedback(score(exp))
        ids.append(feedback.id)
    out, err = other.communicate(timeout=60)
    assert other.returncode == 0, err
    assert sorted(ids + [int(line) for line in out.split()]) == list(range(2, 22))
    same(search.Study.load(path), alone)


@pytest.mark.slow
def test_processes_that_save_all_the_time(tmp_path, alone):
    """After each trial one of them commits, and the other goes on from there."""
    path = tmp_path / 'study'
    other = start(path, seconds=0.0)
    for line in other.stdout:
        if line == '0\n':
            break
    ids = [0]
    for exp, feedback in loop(path=path, checkpoint_seconds=0.0):
        feedback(score(exp))
        ids.append(feedback.id)
    out, err = other.communicate(timeout=60)
    assert other.returncode == 0, err
    assert sorted(ids + [int(line) for line in out.split()]) == list(range(22))
    same(search.Study.load(path), alone)


def test_a_full_disk_leaves_the_trial_open(tmp_path):
    samples = loop(path=tmp_path / 'study', num_trials=4)
    _, feedback = next(samples)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(pg.StudyWriteError, match=r'EFBIG.*bytes needed'):
            feedback(0.5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    feedback(0.25)
    for _, feedback in samples:
        feedback(0.75)
    assert search.Study.load(tmp_path / 'study').history.metrics['reward'].tolist() == [0.25, 0.75, 0.75, 0.75]


def test_a_forked_process_is_told_to_open_the_study_itself(tmp_path, monkeypatch):
    samples = loop(path=tmp_path / 'study')
    _, feedback = next(samples)
    process = os.getpid()
    monkeypatch.setattr(os, 'getpid', lambda: process + 1)
    with pytest.raises(pg.StudyLockedError, match=r'forked from process.*Open the study in the child'):
        feedback(0.5)


def test_a_run_goes_on_from_a_loop_and_a_loop_from_a_run(tmp_path, alone):
    """One directory, two ways to search: the trials that a loop began in a generation are completed by a run."""
    path = tmp_path / 'study'
    for exp, feedback in loop(path=path, num_trials=6):
        feedback(score(exp))
    study = search.Study.load(path).run(lambda exp, key: {'reward': exp.x * exp.n}, 1, progress=False)
    assert len(study.history) == 8 and study.generation == 2
    for exp, feedback in loop(path=path):
        feedback(score(exp))
    np.testing.assert_allclose(search.Study.load(path).history.fitness[:8], alone.history.fitness[:8], rtol=1e-6)
    assert len(search.Study.load(path).history) == 22


def test_what_another_process_saved_is_where_a_loop_goes_on(tmp_path, alone):
    """It has saved five trials of ten that are known here: the other five, of two generations, are kept."""
    path = tmp_path / 'study'
    samples = loop(path=path)
    for _ in range(10):
        exp, feedback = next(samples)
        feedback(score(exp))
    other = search.Study(TEMPLATE, EVOLUTION, objectives='reward', path=path)
    for size in (4, 1):
        trials = other.ask(size)
        other = other.tell(trials, [{'reward': score(t.value)} for t in trials])
    for exp, feedback in samples:
        feedback(score(exp))
    same(search.Study.load(path), alone)


def test_closing_a_loop_saves_the_study(tmp_path):
    with loop(path=tmp_path / 'study') as samples:
        for exp, feedback in samples:
            if feedback.id == 2:
                break
            feedback(score(exp))
    assert len(search.Study.load(tmp_path / 'study').history) == 2
    ended = loop(path=tmp_path / 'other', num_trials=None)
    for _, feedback in ended:
        feedback(0.5)
        feedback.end_loop()
    assert len(search.Study.load(tmp_path / 'other').history) == 1


def test_nothing_is_measured_of_a_trial_that_has_its_result():
    worker = loop(num_trials=4, name=f'late-{next(NUMBERS)}', group=0)
    _, feedback = next(worker)
    feedback.add_measure(0.5)
    feedback(1.0)
    for late in (lambda: feedback.add_measure(2.0), lambda: feedback(2.0), feedback.done, feedback.skip):
        with pytest.raises(pg.TrialStateError, match=r'Trial 0 has a result already; open are \[1, 2, 3\]'):
            late()
    with feedback.ignore_race_condition():
        feedback.add_measure(2.0)
        feedback(2.0)
    assert [m.metrics['reward'] for m in feedback.measurements] == [0.5, 1.0]
    assert feedback.study.history.fitness.tolist() == [[1.0]]


@pytest.mark.parametrize('step', [-1, 1.5, '2', True])
def test_steps_that_are_no_number_of_steps_are_refused(step):
    _, feedback = next(loop(num_trials=2))
    for say in (feedback.add_measure, feedback):
        with pytest.raises(pg.FitnessError, match='Trial 0: the step of a measurement is an int of at least 0, got'):
            say(1.0, step=step)
    feedback.add_measure(1.0, step=np.int64(3))
    assert [m.step for m in feedback.measurements] == [3]


@pytest.mark.parametrize(('reward', 'words'), [(10**400, 'larger than any float'), ([[1], [1, 2]], 'got 2 rewards')])
def test_a_reward_that_is_no_float_leaves_the_trial_open(reward, words):
    _, feedback = next(loop(num_trials=2))
    with pytest.raises(pg.FitnessError, match=words):
        feedback(reward)
    with pytest.raises(pg.FitnessError, match='scalar number, got list'):
        feedback(metrics={'reward': [[1], [1, 2]]})
    feedback(1.0)
    assert feedback.study.history.fitness.tolist() == [[1.0]]


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'early_stopping': 5}, 'early_stopping must be a policy of search.early_stopping, got 5'),
        ({'checkpoint_seconds': 'often'}, "checkpoint_seconds must be a number of seconds of at least 0, got 'often'"),
        ({'num_trials': 1.5}, r'num_trials must be a positive int or None, got 1\.5'),
    ],
)
def test_settings_of_a_loop_that_make_no_sense(settings, words):
    with pytest.raises(pg.ControllerError, match=words):
        loop(**settings)


def test_what_cannot_be_kept_with_a_trial_is_refused():
    _, feedback = next(loop(num_trials=2))
    for wrong, words in [
        ({'metadata': 5}, 'Trial 0: metadata are a dict by name, got 5'),
        ({'checkpoint_path': 5}, 'Trial 0: checkpoint_path is a path, got 5'),
    ]:
        with pytest.raises(pg.EncodeError, match=words):
            feedback(1.0, **wrong)
    with pytest.raises(pg.FitnessError, match='types of exceptions, or pairs'), feedback.skip_on_exceptions(5):
        pass
    feedback(1.0, checkpoint_path=pathlib.Path('here'))
    assert feedback.measurements[-1].checkpoint == 'here'
