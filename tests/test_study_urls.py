"""Studies at URLs: the same studies as in folders, through the same checkpoints, and no write that fails loses any."""

import itertools
import os
import random
import subprocess
import sys
import textwrap
import time
import warnings

import fake_buckets
import numpy as np
import pytest
import study_child
from test_store import DOCUMENT, STUB, check, fill, rows_of, state_of

import pgjax as pg
from pgjax import cli, search
from pgjax.io import _lease, _objects
from pgjax.io._places import storage_at
from pgjax.search._store import StudyDamagedWarning, StudyStore

NUMBERS = itertools.count()
SPACE = pg.Dict(n=pg.oneof([1, 2]), x=pg.floatv(0.0, 1.0))


@pytest.fixture(params=['memory', 'gs', 's3'])
def url(request):
    fake_buckets.serve()
    return f'{request.param}://bucket/studies/{next(NUMBERS)}'


@pytest.fixture
def memory():
    return f'memory://studies/{next(NUMBERS)}'


def run(study, generations, **options):
    return study.run(study_child.evaluate, generations, progress=False, **options)


@pytest.fixture(scope='module')
def uninterrupted():
    return study_child.digest(run(study_child.study_at(), 4))


def copy(source, target):
    """What a copying tool does, which knows nothing of studies."""
    if source.folder is None:
        names = source._objects.names()
    else:
        found = [os.path.join(at, name) for at, _, names in os.walk(source.folder) for name in names]
        names = [os.path.relpath(path, source.folder) for path in found]
    for name in names:
        target.prepare(os.path.dirname(name))
        target.write(name, source.read(name, 1 << 30))


# --- studies


def test_a_study_resumed_at_a_url_is_the_same_study(url, uninterrupted):
    first = run(study_child.study_at(url), 2, checkpoint_seconds=0)
    assert first.path == url and f"path='{url}'" in repr(first)
    again = search.Study.load(url + '/')
    assert study_child.digest(again) == study_child.digest(first)
    assert study_child.digest(run(again, 2)) == uninterrupted
    assert study_child.digest(study_child.study_at(url)) == uninterrupted
    with pytest.raises(pg.StudyMismatchError, match='gone on'):
        run(first, 1)
    assert StudyStore.open(url).verify() == []


def test_forks_between_a_url_and_a_folder(memory, tmp_path, uninterrupted):
    first = run(study_child.study_at(memory), 2)
    there = run(first.fork(tmp_path / 'folder'), 1)
    back = run(search.Study.load(tmp_path / 'folder').fork(f'{memory}-2'), 1)
    assert study_child.digest(back) == study_child.digest(search.Study.load(f'{memory}-2')) == uninterrupted
    assert len(search.Study.load(memory).history) == len(there.history) - 16 == 32
    with pytest.raises(pg.StudyExistsError, match=memory):
        there.fork(memory)
    assert search.Study.load(f'file://{tmp_path}/folder').path == f'{tmp_path}/folder'


@pytest.mark.parametrize('url', ['s3'], indirect=True)
def test_a_study_may_be_copied_by_any_tool(url, tmp_path, uninterrupted):
    run(study_child.study_at(tmp_path / 'folder'), 3)
    copy(storage_at(tmp_path / 'folder'), storage_at(url))
    assert StudyStore.open(url).verify() == []
    run(search.Study.load(url), 1)
    copy(storage_at(url), storage_at(tmp_path / 'back'))
    assert study_child.digest(search.Study.load(tmp_path / 'back')) == uninterrupted


def test_ask_and_tell_notes_and_extending(memory):
    study = search.Study(SPACE, search.Random(batch_size=4), objectives=['y'], path=memory)
    for _ in range(5):
        trials = study.ask(2)
        study = study.tell(trials, [{'y': t.value.x} for t in trials])
    assert len(search.Study.load(memory).history) == 10
    larger = pg.Dict(n=pg.oneof([1, 2, 3]), x=pg.floatv(0.0, 1.0))
    made = search.Study(larger, search.Random(batch_size=4), objectives=['y'], path=memory, extend=True)
    assert [t.value.x for t in map(made.trial, range(10))] == [t.value.x for t in map(study.trial, range(10))]
    assert search.Study.load(memory).space == made.space


def test_a_loop_keeps_its_trials_and_notes(url):
    def loop(number):
        samples = pg.sample(SPACE, search.Random(batch_size=4), number, path=url, checkpoint_seconds=0)
        for value, feedback in samples:
            feedback.skip('odd') if feedback.id % 3 == 2 else feedback(value.x, metadata={'at': feedback.id})
        samples.close()
        return samples.study

    loop(6)
    assert [search.Study.load(url).notes[i] for i in (1, 2)] == [{'metadata': {'at': 1}}, {'reason': 'odd'}]
    study = loop(9)
    found = search.Study.load(url)
    assert len(found.history) == 9 and dict(found.notes) == dict(study.notes) and len(found.notes) == 9


def test_a_second_loop_at_a_url_is_refused_by_name(memory):
    samples = pg.sample(SPACE, search.Random(batch_size=4), 8, path=memory)
    next(samples)[1](0.5)
    again = pg.sample(SPACE, search.Random(batch_size=4), 8, path=memory + '/')
    assert again._session is samples._session  # threads of one process share it
    other = search.Study.load(memory)
    with pytest.raises(pg.StudyLockedError, match=rf'{memory}/lock is held by process {os.getpid()}'):
        run(other, 1)
    with pytest.raises(pg.StudyLockedError, match=r'Only in a local folder can processes share'):
        from pgjax.search._session import Session

        Session(other, 30.0)
    del samples, again
    assert len(search.poll(memory).history) == 0  # the one result was in no checkpoint


def test_a_study_whose_lease_is_lost_stops(memory):
    stolen = []

    class Thief(search.Progress):
        def update(self, study, compiles):
            if not stolen:
                stolen.append(storage_at(memory)._objects.write('lock', b'{"host": "b", "pid": 7, "started": "now"}'))

    study = study_child.study_at(memory)
    with pytest.raises(pg.StudyLockedError, match='taken over by process 7 on b since now'):
        study.run(study_child.evaluate, 3, progress=Thief(enabled=False), checkpoint_seconds=0)
    assert StudyStore.open(memory).steps() == []
    assert run(search.Study.load(memory), 1).generation == 1


def test_values_with_large_arrays_are_saved_and_loaded(url):
    value = pg.Dict(a=np.arange(100_000), b=(1, 2))
    for factor in (1, 2):
        pg.save(pg.Dict(value, a=value.a * factor), f'{url}/x.json')
        assert pg.eq(pg.load(f'{url}/x.json'), pg.Dict(value, a=value.a * factor))
    files = storage_at(url)
    assert files.names() == ['x.json', 'x.json.arrays'] and len(files.names('x.json.arrays')) == 1
    pg.save(1, f'{url}/x.json')
    assert pg.load(f'{url}/x.json') == 1 and files.names() == ['x.json']
    with pytest.raises(pg.StudyNotFoundError, match=f'{url}/absent.json'):
        pg.load(f'{url}/absent.json')


@pytest.mark.parametrize('url', ['gs'], indirect=True)
def test_commands_on_urls(url, tmp_path, capsys):
    def said(*arguments):
        status = cli.main([str(a) for a in arguments])
        return status, capsys.readouterr().out

    study = run(study_child.study_at(f'{url}/one'), 1)
    assert said('study', 'ls', url)[1].splitlines()[1].split()[:3] == [f'{url}/one', '1', '16']
    assert said('study', 'ls', f'{url}/one')[1].splitlines()[1].split()[0] == f'{url}/one'
    assert '16 trials' in said('study', 'show', f'{url}/one')[1]
    assert said('study', 'verify', f'{url}/one') == (0, 'All is well.\n')
    assert said('study', 'export', f'{url}/one') == (0, f'{url}/one/trials.csv\n')
    study.to_csv(tmp_path / 'here.csv')
    assert storage_at(f'{url}/one').read('trials.csv', 1 << 20) == (tmp_path / 'here.csv').read_bytes()
    assert said('study', 'report', f'{url}/one') == (0, f'{url}/one/report.html\n')
    assert said('study', 'fork', f'{url}/one', f'{url}/two') == (0, f'{url}/two\n')
    assert len(said('study', 'ls', url)[1].splitlines()) == 3
    assert said('study', 'verify', f'{url}/none')[0] == 1


# --- what was saved is never lost


class Faulty:
    """A key-value store of which one call fails: before it does anything, or after, when its answer is lost."""

    def __init__(self, store, plan):
        self.store, self.plan = store, plan

    def __getattr__(self, name):
        real = getattr(self.store, name)

        def call(*arguments, **keywords):
            if name not in self.plan['verbs']:
                return real(*arguments, **keywords)
            self.plan['calls'] += 1
            if self.plan['calls'] != self.plan['fail_at']:
                return real(*arguments, **keywords)
            if self.plan['answer lost']:
                real(*arguments, **keywords).result()
            promise, answer = _objects.tensorstore().Promise.new()
            promise.set_exception(ValueError('UNAVAILABLE: injected'))
            return answer

        return call


def whole(store):
    """That every object of the study belongs to a bundle that is there, but for the document."""
    bundles = {f'{folder}/{name}' for folder in ('checkpoints', 'history') for name in store.files.bundles(folder)}
    objects = store.files._objects.names()
    return store.verify() == [] and {name.rpartition('/d/')[0] for name in objects if '/d/' in name} == bundles


@pytest.mark.parametrize('verb', ['write', 'read', 'list'])
@pytest.mark.parametrize('lost', [False, True])
def test_each_call_of_a_save_may_fail(monkeypatch, verb, lost):
    """The 1st, 2nd, ... call fails until there are no more; each time the last step is intact, and a retry succeeds."""
    plan, failed = {'verbs': (verb,), 'answer lost': lost, 'calls': 0, 'fail_at': 0}, 0
    opened = _objects.open_store
    monkeypatch.setattr(_objects, 'open_store', lambda spec, within: Faulty(opened(spec, within), plan))
    for fail_at in itertools.count(1):
        url = f'memory://studies/{next(NUMBERS)}'
        store = StudyStore.create(url, DOCUMENT)
        fill(store, range(1, 6))
        with store.lock(), warnings.catch_warnings():
            warnings.simplefilter('ignore', StudyDamagedWarning)  # an old checkpoint that was not removed
            plan |= {'calls': 0, 'fail_at': fail_at}
            try:
                store.save(6, state_of(6), rows_of(20, 4), {'at': 6})
            except (pg.StudyWriteError, pg.StudyNotFoundError) as error:
                assert url in str(error) and 'injected' in str(error)
                failed += 1
                check(StudyStore.open(url).load(), 5)
                store.save(6, state_of(6), rows_of(20, 4), {'at': 6})
            finished = plan['calls'] < fail_at
            plan['fail_at'] = 0
        check(StudyStore.open(url).load(), 6)
        fill(store, [7])
        check(StudyStore.open(url).load(), 7)
        assert whole(store) and store.steps() == [5, 6, 7]
        if finished:
            break
    assert failed >= {'write': 4, 'read': 4, 'list': 1}[verb]  # two bundles: their data, and their commits


@pytest.mark.parametrize('lost', ['d/', 'manifest.ocdbt'])
def test_a_damaged_step_falls_back(url, lost):
    store = StudyStore.create(url, DOCUMENT)
    fill(store, range(1, 6))
    objects = store.files._objects
    (name,) = objects.names(f'checkpoints/step-0000000005/{lost}')
    data, _ = objects.read(name)
    objects.write(name, data[:-1])
    with pytest.warns(StudyDamagedWarning, match=rf'step 5 is damaged: {url}.*Using step 4'):
        check(StudyStore.open(url).load(), 4)
    assert any('step 5' in line for line in store.verify())
    again = StudyStore.open(url)
    with pytest.warns(StudyDamagedWarning):
        again.load()
    fill(again, [5])
    check(StudyStore.open(url).load(), 5)
    assert len(again.verify()) == 1 and 'set aside as damaged' in again.verify()[0]


def test_a_lost_commit_object_takes_its_step_away(memory):
    store = StudyStore.create(memory, DOCUMENT)
    fill(store, range(1, 6))
    store.files._objects.write('checkpoints/step-0000000005/manifest.ocdbt', None)
    check(StudyStore.open(memory).load(), 4)
    store.files._objects.write('study.json', None)
    with pytest.raises(pg.StudyCorruptError, match=rf'{memory} is damaged: study\.json'):
        StudyStore.open(memory)


def test_what_is_there_is_not_overwritten(url):
    files = storage_at(url)
    files.write('thesis.tex', b'mine')
    with pytest.raises(pg.StudyExistsError, match=r'thesis\.tex'):
        StudyStore.create(url, {})
    with pytest.raises(pg.StudyNotFoundError, match=rf'no study at {url} \(it holds .*thesis'):
        StudyStore.open(url)
    files.remove('thesis.tex')
    fill(StudyStore.create(url, DOCUMENT), [1])
    with pytest.raises(pg.StudyExistsError, match='holds a study already'):
        StudyStore.create(url, {})
    assert not StudyStore.exists(url + 'x') and StudyStore.exists(url)


WRITER = """
    import time
    from pgjax._errors import StudyLockedError
    from pgjax.io import _lease
    _lease.SECONDS = 0.4
    store = StudyStore.open(sys.argv[2])
    while True:
        try:
            lock = store.lock()
            lock.__enter__()
            break
        except StudyLockedError:
            time.sleep(0.05)
    step = store.load().step if store.steps() else 0
    while True:
        step += 1
        trial = np.arange((step - 1) * 4, step * 4)
        fitness = (trial * 0.5).astype(np.float32)
        rows = {'trial': trial, 'fitness': fitness, 'choices': np.stack([trial] * 3, 1)}
        state = {'population': np.full((8, 3), step, np.float32), 'key': np.full(2, step, np.uint32)}
        store.save(step, state, rows, {'at': step})
        print(step, flush=True)
    """


@pytest.mark.slow
@pytest.mark.parametrize('scheme', ['gs', 's3'])
def test_kills_at_random_moments(scheme, monkeypatch):
    """Never unreadable, never torn, no acknowledged step lost; the lease of a killed writer is taken over."""
    fake_buckets.serve()
    url = f'{scheme}://bucket/killed/{next(NUMBERS)}'
    StudyStore.create(url, DOCUMENT)
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    rng, reached = random.Random(0), 0
    for _ in range(8):
        command = [sys.executable, '-c', STUB + textwrap.dedent(WRITER), root, url]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        first = writer.stdout.readline()  # it has started
        time.sleep(rng.random() * 0.3)
        writer.kill()
        acknowledged = int([first, *writer.communicate()[0].splitlines()][-1])
        found = StudyStore.open(url).load()
        assert acknowledged <= found.step <= acknowledged + 1 and found.step > reached
        check(found, found.step)
        reached = found.step
    store = StudyStore.open(url)
    monkeypatch.setattr(_lease, 'SECONDS', 0.4)
    time.sleep(0.5)
    with store.lock():
        assert whole(store)
