"""The study directory: what was acknowledged is never lost, never torn, and damage is always named."""

import contextlib
import errno
import hashlib
import os
import random
import shutil
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest

from pgjax import _errors as errors
from pgjax.io import _arrays, _files
from pgjax.search import _store, _store_document, _store_history
from pgjax.search._store import StudyDamagedWarning, StudyStore

STUB = """
import os, sys, types
import numpy as np
for name, place in [('pgjax', 'pgjax'), ('pgjax.io', 'pgjax/io'), ('pgjax.search', 'search')]:
    sys.modules[name] = types.ModuleType(name)  # the storage without the rest, hence without JAX
    sys.modules[name].__path__ = [sys.argv[1] + '/' + place]
from pgjax.search._store import StudyStore
"""
DOCUMENT = {'seed': 0, 'controller': {'name': 'random', 'rate': 0.5}, 'note': 'ä'}


def child(code: str, *arguments) -> subprocess.Popen:
    """A process that runs `code`, knowing the storage but not JAX; `sys.argv[2:]` are the arguments."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, '-c', STUB + textwrap.dedent(code), root, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def state_of(step):
    """A state in which every number tells the step, so that a mixture is provable."""
    return {'population': np.full((8, 3), step, np.float32), 'key': np.full(2, step, np.uint32)}


def rows_of(first, count):
    trial = np.arange(first, first + count)
    return {'trial': trial, 'fitness': (trial * 0.5).astype(np.float32), 'choices': np.stack([trial] * 3, 1)}


def fill(store, steps, count=4, **options):
    """Saves `steps`, each with `count` trials more."""
    with store.lock():
        for step in steps:
            store.save(step, state_of(step), rows_of((step - 1) * count, count), {'at': step}, **options)


def check(checkpoint, step, count=4):
    """That a checkpoint holds what `fill` saved as `step`, and nothing else."""
    assert checkpoint.step == step and checkpoint.attributes == {'at': step}
    for name, array in state_of(step).items():
        np.testing.assert_array_equal(checkpoint.state[name], array)
    for name, array in rows_of(0, step * count).items():
        np.testing.assert_array_equal(checkpoint.rows[name], array)
        assert checkpoint.rows[name].dtype == array.dtype


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / 'study')


@pytest.fixture
def store(path):
    made = StudyStore.create(path, DOCUMENT)
    fill(made, range(1, 6))
    return made


def folder(store, step):
    return f'{store.path}/checkpoints/step-{step:010d}'


def files_of(path):
    return sorted(os.path.join(where, name) for where, _, names in os.walk(path) for name in names)


def damage(path):
    """Flips a bit in the middle of the data of a bundle."""
    file = max(files_of(path), key=os.path.getsize)
    with open(file, 'r+b') as f:
        f.seek(os.path.getsize(file) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))


# --- saving and loading


def test_what_is_saved_is_loaded(store, path):
    assert store.steps() == [3, 4, 5]
    check(StudyStore.open(path).load(), 5)
    check(store.load(4), 4)
    assert store.load(5, history=False).rows == {}
    assert StudyStore.open(path).document == DOCUMENT and StudyStore.exists(path)
    assert store.verify() == []


def test_the_document_is_a_copy(store):
    store.document['seed'] = 1
    assert store.document == DOCUMENT


def test_the_document_can_be_replaced_under_the_lock(store, path):
    with pytest.raises(errors.StudyLockedError, match='needs the lock'):
        store.replace_document({'seed': 1})
    with store.lock():
        store.replace_document({'seed': 1})
    assert StudyStore.open(path).document == {'seed': 1}
    check(StudyStore.open(path).load(), 5)


def test_saving_goes_on_after_opening_again(store, path):
    again = StudyStore.open(path)
    fill(again, [6])  # without loading first
    other = StudyStore.open(path)
    other.load()
    with other.lock():
        other.save(9, state_of(9), rows_of(24, 12), {'at': 9})
    check(StudyStore.open(path).load(), 9)


def test_a_save_without_trials(path):
    store = StudyStore.create(path, {})
    with store.lock():
        store.save(1, {}, {'trial': np.zeros(0, np.int64), 'x': np.zeros((0, 0))}, {})
        rows = store.load().rows
        assert rows['trial'].shape == (0,) and rows['x'].shape == (0, 0) and rows['trial'].dtype == np.int64
        store.save(2, {}, rows_of(0, 4), {})
        store.save(3, {}, {}, {})
        store.save(4, {}, rows_of(0, 0), {})
    assert len(store.load().rows['trial']) == 4


def test_saves_that_do_not_continue_are_refused(store, path):
    with store.lock():
        for step, rows, options in [
            (5, rows_of(20, 4), {}),
            (6, rows_of(24, 4), {'first': 24}),
            (6, rows_of(20, 4), {'keep': 0}),
            (6, {'trial': np.arange(2)}, {}),
            (6, rows_of(20, 4) | {'trial': np.arange(3)}, {}),
            (6, rows_of(20, 4) | {'fitness': np.zeros(4)}, {}),
            (6, {'trial': np.int64(3)}, {}),
        ]:
            with pytest.raises(errors.StudyMismatchError):
                store.save(step, {}, rows, {}, **options)
        with pytest.raises(errors.EncodeError):
            store.save(6, {'x': np.array([None])}, rows_of(20, 4), {})
    check(StudyStore.open(path).load(), 5)
    fill(store, [6])
    check(StudyStore.open(path).load(), 6)
    assert store.verify() == []


def test_keep_says_how_many_checkpoints_stay(path):
    store = StudyStore.create(path, {})
    fill(store, range(1, 6), keep=1)
    assert store.steps() == [5]
    fill(store, range(6, 9), keep=5)
    assert store.steps() == [5, 6, 7, 8]
    check(store.load(5), 5)


def test_order_is_by_number_not_by_time(store):
    os.utime(folder(store, 3), (2**33, 2**33))
    assert store.load().step == 5


@pytest.mark.parametrize('name', ['a b', 'ü%20?#|', 'new\nline', 'x' * 200])
def test_any_path_works(tmp_path, name):
    os.mkdir(tmp_path / 'real')
    os.symlink(tmp_path / 'real', tmp_path / 'link')
    fill(StudyStore.create(f'{tmp_path}/link/{name}/', DOCUMENT), [1, 2])
    check(StudyStore.open(tmp_path / 'real' / name).load(), 2)
    assert os.listdir(tmp_path / 'real') == [name] and sorted(os.listdir(tmp_path)) == ['link', 'real']


# --- where a study can be


def test_create_in_a_new_or_empty_folder(tmp_path):
    os.mkdir(tmp_path / 'empty')
    for name in ('empty', 'a/b/c'):
        assert StudyStore.create(tmp_path / name, {}).steps() == []
    with pytest.raises(errors.StudyNotFoundError, match='no checkpoint yet'):
        StudyStore.open(tmp_path / 'empty').load()


def test_create_refuses_what_is_there(tmp_path, store, path):
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'thesis.tex').write_bytes(b'')
    with pytest.raises(errors.StudyExistsError, match=r'other.*thesis\.tex'):
        StudyStore.create(tmp_path / 'other', {})
    assert os.listdir(tmp_path / 'other') == ['thesis.tex']
    with pytest.raises(errors.StudyExistsError, match=r'thesis\.tex'):
        StudyStore.create(tmp_path / 'other' / 'thesis.tex', {})
    with pytest.raises(errors.StudyExistsError, match='holds a study already'):
        StudyStore.create(path, {})
    check(StudyStore.open(path).load(), 5)


def test_create_goes_on_after_a_crash_in_create(tmp_path, path):
    StudyStore.create(path, {})
    os.unlink(path + '/study.json')
    StudyStore.create(path, {'a': 1})
    assert StudyStore.open(path).document == {'a': 1}


def test_open_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.StudyNotFoundError, match='create=True') as caught:
        StudyStore.open('nowhere')
    assert str(tmp_path / 'nowhere') in str(caught.value) and os.listdir(tmp_path) == []
    (tmp_path / 'file').write_bytes(b'')
    for place in ('.', 'file'):
        with pytest.raises(errors.StudyNotFoundError, match='file'):
            StudyStore.open(place)
    assert not StudyStore.exists('file') and not StudyStore.exists('nowhere')


@pytest.mark.parametrize('code', [13, 30, 28])
def test_an_unwritable_folder_is_named_at_once(tmp_path, monkeypatch, store, path, code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(_store.os, 'makedirs', fail)
        with pytest.raises(errors.StudyWriteError, match=os.strerror(code)):
            StudyStore.create(tmp_path / 'new', {})
    with monkeypatch.context() as patch:
        patch.setattr(_files.os, 'open', fail)
        with pytest.raises(errors.StudyWriteError, match=os.strerror(code)), store.lock():
            pass
    fill(store, [6])
    check(StudyStore.open(path).load(), 6)


@pytest.mark.parametrize('code', [errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize('place', ['study.json', 'checkpoints', 'checkpoints/step-0000000005', 'history'])
def test_what_is_out_of_reach_is_neither_missing_nor_damaged(monkeypatch, store, path, place, code):
    segments = sorted(os.listdir(f'{path}/history'))

    def failing(call):
        def fail(name='.', *args, **kwargs):
            if str(name).startswith(f'{path}/{place}'):
                raise OSError(code, os.strerror(code), name)
            return call(name, *args, **kwargs)

        return fail

    with monkeypatch.context() as patch:
        patch.setattr(os, 'scandir', failing(os.scandir))
        patch.setattr('builtins.open', failing(open))
        with pytest.raises(errors.StudyNotFoundError, match=errno.errorcode[code]):
            StudyStore.open(path).load()
        with contextlib.suppress(errors.PgjaxError), store.lock():
            pass
    assert sorted(os.listdir(f'{path}/history')) == segments, 'what no step seems to list is not removed'
    check(StudyStore.open(path).load(), 5)


def test_a_read_only_folder_can_be_read(store, path):
    if os.geteuid() == 0:
        mounted = subprocess.run(['mount', '--bind', path, path], capture_output=True).returncode == 0
        if not mounted or subprocess.run(['mount', '-o', 'remount,ro,bind', path]).returncode != 0:
            pytest.skip('permissions do not bind root, and mounting is not allowed')
        undo = ['umount', path]
    else:
        undo = ['chmod', '-R', 'u+w', path]
        subprocess.run(['chmod', '-R', 'u-w', path], check=True)
    try:
        check(StudyStore.open(path).load(), 5)
        with pytest.raises(errors.StudyWriteError, match=r'EROFS|EACCES'), StudyStore.open(path).lock():
            pass
    finally:
        subprocess.run(undo, check=True)


# --- damage


def test_every_flipped_byte_of_the_document_is_seen(store, path):
    with open(path + '/study.json', 'rb') as f:
        whole = f.read()
    for i in range(len(whole)):
        with open(path + '/study.json', 'wb') as f:
            f.write(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :])
        with pytest.raises((errors.StudyCorruptError, errors.StudyVersionError)):
            StudyStore.open(path)
    for i in range(len(whole)):
        with open(path + '/study.json', 'wb') as f:
            f.write(whole[:i])
        with pytest.raises(errors.StudyCorruptError, match=r'study\.json'):
            StudyStore.open(path)
    os.unlink(path + '/study.json')
    with pytest.raises(errors.StudyCorruptError, match=r'study\.json'):
        StudyStore.open(path)
    assert StudyStore.exists(path) and store.verify()


def test_a_document_of_a_newer_format_is_named(path):
    StudyStore.create(path, {})
    content = {'format': _store_document.FORMAT, 'version': 7, 'id': 'x', 'document': {}}
    content['sha256'] = hashlib.sha256(_files.pack_json(content)).hexdigest()
    _files.write_atomic(path + '/study.json', _files.pack_json(content))
    with pytest.raises(errors.StudyVersionError, match=r'format 7.* format 1'):
        StudyStore.open(path)


@pytest.mark.parametrize('missing', ['version', 'id', 'document'])
def test_a_document_that_lacks_a_part_is_refused(path, missing):
    content = {'format': _store_document.FORMAT, 'version': 1, 'id': 'x', 'document': {}}
    del content[missing]
    content['sha256'] = hashlib.sha256(_files.pack_json(content)).hexdigest()
    os.mkdir(path)
    _files.write_atomic(path + '/study.json', _files.pack_json(content))
    with pytest.raises(errors.StudyCorruptError, match=f'study.json is damaged.*no {missing}'):
        StudyStore.open(path)


def test_a_damaged_step_falls_back_and_says_so(store, path):
    damage(folder(store, 5))
    before = {file: os.stat(file).st_mtime_ns for file in files_of(path)}
    with pytest.warns(StudyDamagedWarning, match=r'(?s)step 5 is damaged.*Using step 4'):
        check(StudyStore.open(path).load(), 4)
    with pytest.raises(errors.StudyCorruptError, match=r'newest intact step is 4.*step 5 is damaged'):
        store.load(5)
    assert [line[:7] for line in store.verify()] == ['step 5:']
    assert before == {file: os.stat(file).st_mtime_ns for file in files_of(path)}


def test_the_study_goes_on_after_damage(store, path):
    damage(folder(store, 5))
    again = StudyStore.open(path)
    with again.lock():
        with pytest.warns(StudyDamagedWarning):
            assert again.load().step == 4
        again.continue_from(4)
        assert again.steps() == [3, 4]
    fill(again, [5, 6])
    check(StudyStore.open(path).load(), 6)
    check(StudyStore.open(path).load(5), 5)
    (problem,) = again.verify()
    assert problem.startswith('damaged-step-0000000005-') and 'set aside' in problem


def test_a_damaged_last_segment_is_written_again(store, path):
    (last,) = [name for name in os.listdir(path + '/history') if '000000000016' in name]
    damage(f'{path}/history/{last}')
    again = StudyStore.open(path)
    with pytest.warns(StudyDamagedWarning, match='segment'):
        assert again.load().step == 4
    fill(again, [5])
    check(StudyStore.open(path).load(), 5)


def test_an_exchanged_segment_is_seen(store, path):
    name = f'{path}/history/{min(os.listdir(path + "/history"))}'
    about = _arrays.load_attributes(name)
    shutil.rmtree(name)
    _arrays.save_arrays(name, rows_of(0, 4) | {'fitness': np.ones(4, np.float32)}, about)
    with pytest.raises(errors.StudyCorruptError, match='SHA-256'):
        store.load()


def test_a_damaged_first_segment_leaves_the_states(store, path):
    damage(f'{path}/history/{min(os.listdir(path + "/history"))}')
    with pytest.raises(errors.StudyCorruptError, match=r'No step is intact.*segment'):
        StudyStore.open(path).load()
    assert StudyStore.open(path).load(history=False).step == 5
    assert len(store.verify()) == 3


def test_all_steps_damaged(store):
    for step in store.steps():
        damage(folder(store, step))
    with pytest.raises(errors.StudyCorruptError, match='No step is intact'):
        store.load()


def test_exchanged_steps_are_named(store):
    os.rename(folder(store, 3), folder(store, 5) + 'x')
    os.rename(folder(store, 5), folder(store, 3))
    os.rename(folder(store, 5) + 'x', folder(store, 5))
    with pytest.raises(errors.StudyCorruptError, match=r'expected step 5.*found step 3'):
        store.load(5)
    with pytest.warns(StudyDamagedWarning, match=r'expected step 5.*found step 3.*Using step 4'):
        check(store.load(), 4)


def test_a_step_of_another_study_is_named(store, tmp_path):
    other = StudyStore.create(tmp_path / 'other', {'seed': 1})
    fill(other, range(1, 6))
    shutil.rmtree(folder(store, 5))
    shutil.copytree(folder(other, 5), folder(store, 5))
    with pytest.raises(errors.StudyCorruptError, match='of study'):
        store.load(5)


def test_files_exchanged_between_steps_are_seen(store):
    for mine, older in zip(files_of(folder(store, 5)), files_of(folder(store, 4)), strict=True):
        with open(mine, 'rb') as f:
            whole = f.read()
        shutil.copy(older, mine)
        with pytest.raises(errors.StudyCorruptError, match='newest intact step is 4'):
            store.load(5)
        with open(mine, 'wb') as f:
            f.write(whole)
    check(store.load(5), 5)


def test_any_flip_or_lost_file_of_a_step_is_seen_or_harmless(store, path):
    places = [(f, i) for f in files_of(folder(store, 5)) for i in range(os.path.getsize(f))]
    for file, i in [*random.Random(1).sample(places, 100), *((f, None) for f in files_of(folder(store, 5)))]:
        with open(file, 'rb') as f:
            whole = f.read()
        if i is None:
            os.unlink(file)
        else:
            with open(file, 'r+b') as f:
                f.seek(i)
                f.write(bytes([whole[i] ^ 1 << i % 8]))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            loaded = store.load()
        check(loaded, 4 if caught else 5)
        with open(file, 'wb') as f:
            f.write(whole)


@pytest.mark.parametrize('name', ['../../outside', '/etc/passwd', 'segment-../x', 'http://localhost/x', '', 3])
def test_a_listed_segment_outside_the_study_is_refused(store, name):
    about = _arrays.load_attributes(folder(store, 5))
    about['segments'][0][0] = name
    shutil.rmtree(folder(store, 5))
    _arrays.save_arrays(folder(store, 5), state_of(5), about)
    with pytest.raises(errors.StudyCorruptError, match=r'outside the study directory|TypeError'):
        store.load(5)


@pytest.mark.parametrize(
    'change',
    [{'segments': 3}, {'segments': [[1]]}, {'columns': []}, {'columns': {'a': ['object', []]}},
     {'columns': {'a': ['float32', ['x']]}}, {'columns': {}}, {'step': '5'}, {'study': None},
     {'segments': []}],
)  # fmt: skip
def test_hostile_attributes_are_refused(store, change):
    about = _arrays.load_attributes(folder(store, 5)) | change
    shutil.rmtree(folder(store, 5))
    _arrays.save_arrays(folder(store, 5), state_of(5), about)
    if change == {'segments': []}:  # sound, only shorter
        assert len(store.load(5).rows['trial']) == 0
        return
    with pytest.raises(errors.StudyCorruptError):
        store.load(5)


# --- going on from elsewhere


def test_a_stale_store_cannot_overwrite(store, path):
    stale = StudyStore.open(path)
    stale.load()
    fill(store, [6])
    with stale.lock():
        with pytest.raises(errors.StudyMismatchError, match='gone on to step 6'):
            stale.save(7, state_of(7), rows_of(20, 8), {'at': 7})
        with pytest.raises(errors.StudyMismatchError, match='gone on to step 6'):
            stale.continue_from(5)
        with pytest.raises(errors.StudyMismatchError, match='gone on to step 6'):
            stale.continue_from(None)
    check(StudyStore.open(path).load(), 6)


def test_rewind_drops_later_steps(store, path):
    with store.lock():
        store.rewind(3)
    assert store.steps() == [3]
    fill(store, [4])
    check(StudyStore.open(path).load(), 4)
    with store.lock(), pytest.raises(errors.StudyNotFoundError, match=r'no step 9; its steps are \[3, 4\]'):
        store.rewind(9)


# --- the history


def test_merging_keeps_every_trial_and_few_segments(path, monkeypatch):
    monkeypatch.setattr(_store_history, 'FAN', 4)  # three levels in 70 saves, not in 4096
    store = StudyStore.create(path, {})
    sizes = []
    for start in range(1, 71, 10):
        fill(store, range(start, start + 10), count=2)
        sizes.append(len(os.listdir(path + '/history')))
    check(StudyStore.open(path).load(), 70, count=2)
    check(store.load(68), 68, count=2)
    about = _arrays.load_attributes(folder(store, 70))
    assert [fields[-1] for fields in about['segments']] == [3, 1, 0, 0]  # 70 = 64 + 4 + 1 + 1
    assert max(sizes) <= 4 * _store_history.FAN  # those of the newest step, and what older ones still list
    assert store.verify() == []


@pytest.mark.parametrize('fan', [2, 3, 16])
def test_levels_stay_few(monkeypatch, fan):
    monkeypatch.setattr(_store_history, 'FAN', fan)
    levels = []
    for saves in range(1, 3000):
        start, level = _store_history.merge_from(levels)
        levels = [*levels[:start], level]
        assert levels == sorted(levels, reverse=True) and max(map(levels.count, levels)) < fan
        assert sum(fan**level for level in levels) == saves


def test_the_cost_of_a_save_does_not_grow(path):
    store = StudyStore.create(path, {})
    with store.lock():
        store.save(1, {}, rows_of(0, 200_000), {})

        def cost(step, first):
            started = time.process_time()
            store.save(step, state_of(step), rows_of(first, 4), {})
            return time.process_time() - started, sum(map(os.path.getsize, files_of(folder(store, step))))

        costs = [cost(step, 200_000 + (step - 2) * 4) for step in range(2, 14)]
    assert min(seconds for seconds, _ in costs) < 0.1  # not the time to rewrite 200,000 trials, let alone more
    assert max(size for _, size in costs) < 8000


def test_unlisted_segments_are_removed_under_the_lock_only(store, path):
    shutil.copytree(f'{path}/history/{min(os.listdir(path + "/history"))}',
                    f'{path}/history/segment-{20:012d}-{23:012d}-{"0" * 16}')  # fmt: skip
    for name in ('history/x.tmp', 'checkpoints/.trash-1', '.y.tmp'):
        os.mkdir(f'{path}/{name}')
    before = sorted(os.listdir(path + '/history'))
    check(StudyStore.open(path).load(), 5)
    assert sorted(os.listdir(path + '/history')) == before
    with StudyStore.open(path).lock():
        pass
    assert len(os.listdir(path + '/history')) == len(before) - 2
    assert sorted(os.listdir(path)) == ['checkpoints', 'history', 'lock', 'study.json']
    assert len(os.listdir(path + '/checkpoints')) == 3
    check(StudyStore.open(path).load(), 5)


def test_segments_of_a_damaged_step_are_not_removed(store, path):
    before = sorted(os.listdir(path + '/history'))
    for step in (3, 4, 5):
        damage(folder(store, step))
    with StudyStore.open(path).lock():
        pass
    assert sorted(os.listdir(path + '/history')) == before


# --- the lock


def test_saving_needs_the_lock(store):
    with pytest.raises(errors.StudyLockedError, match=r'with store\.lock\(\)'):
        store.save(6, {}, {}, {})


def test_the_lock_nests_and_is_given_back(store, path):
    with store.lock(), store.lock():
        pass
    other = StudyStore.open(path)
    with other.lock():
        with (
            pytest.raises(errors.StudyLockedError, match=rf'process {os.getpid()} on .* since 2'),
            store.lock(),
        ):
            pass
        check(store.load(), 5)  # reading needs none
    with contextlib.suppress(ZeroDivisionError), store.lock():
        raise ZeroDivisionError
    with other.lock():
        pass


def test_two_processes_and_a_killed_holder(store, path):
    holder = child(
        """
        with StudyStore.open(sys.argv[2]).lock():
            print('locked', flush=True)
            sys.stdin.read()
        """,
        path,
    )
    assert holder.stdout.readline() == 'locked\n'
    started = time.monotonic()
    with pytest.raises(errors.StudyLockedError, match=rf'(?s)is held by process {holder.pid}.*nothing to delete'):
        fill(store, [6])
    assert time.monotonic() - started < 20  # it does not wait
    holder.kill()
    holder.communicate()
    fill(store, [6])
    check(StudyStore.open(path).load(), 6)


def test_a_forked_child_does_not_have_the_lock(store, path):
    """Nor does an orphan of a killed holder keep it."""
    holder = child(
        """
        import time
        store = StudyStore.open(sys.argv[2])
        with store.lock():
            if os.fork() == 0:
                for use in (lambda: store.save(6, {}, {}, {}), store.lock().__enter__):
                    try:
                        use()
                    except Exception as e:
                        print(type(e).__name__, e, flush=True)
                print('done', flush=True)
                time.sleep(5)
                os._exit(0)
            time.sleep(60)
        """,
        path,
    )
    lines = [holder.stdout.readline() for _ in range(3)]
    holder.kill()
    holder.wait()
    assert lines[2] == 'done\n'
    assert all('StudyLockedError' in x and 'forked' in x and 'Open the study in the child' in x for x in lines[:2])
    with store.lock():  # while the orphan lives
        pass
    holder.stdout.close(), holder.stdin.close()


# --- crashes, full disks, readers


WRITER = """
    store = StudyStore.open(sys.argv[2])
    with store.lock():
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


def test_kills_at_random_moments(path):
    """Never unreadable, never torn, no acknowledged step lost, nothing left over."""
    StudyStore.create(path, DOCUMENT)
    rng, reached = random.Random(0), 0
    for _ in range(22):
        writer = child(WRITER, path)
        first = writer.stdout.readline()  # it has started
        time.sleep(rng.random() * 0.08)
        writer.kill()
        acknowledged = int([first, *writer.communicate()[0].splitlines()][-1])
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            found = StudyStore.open(path).load()
        assert acknowledged <= found.step <= acknowledged + 1 and found.step > reached
        check(found, found.step)
        reached = found.step
    store = StudyStore.open(path)
    with store.lock():
        assert not [f for f in files_of(path) if '.tmp' in f or '.trash' in f]
    assert store.verify() == []
    assert len(store.steps()) in (3, 4)  # killed between a rename and the removal of the oldest


def test_readers_never_see_a_torn_study(path):
    fill(StudyStore.create(path, DOCUMENT), [1])
    writer = child(WRITER, path)
    writer.stdout.readline()
    steps, give_up = [], time.monotonic() + 20
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        while len(set(steps)) < 12 and time.monotonic() < give_up:
            found = StudyStore.open(path).load()
            check(found, found.step)
            steps.append(found.step)
    writer.kill()
    writer.communicate()
    assert steps == sorted(steps) and len(set(steps)) > 3


def test_each_system_call_may_fail(store, path, monkeypatch):
    """The 1st, 2nd, ... call fails until a save succeeds; each time the last step is intact."""
    real = {name: getattr(os, name) for name in ('mkdir', 'rename', 'fsync', 'open')}
    attempts = 0
    with store.lock():
        while True:
            calls = 0

            def failing(name, *args, fail_at=attempts, **kwargs):
                nonlocal calls
                calls += 1
                if calls == fail_at + 1:
                    raise OSError(28, os.strerror(28))
                return real[name](*args, **kwargs)

            with monkeypatch.context() as patch, warnings.catch_warnings():
                warnings.simplefilter('ignore', StudyDamagedWarning)  # an old checkpoint that was not removed
                for name in real:
                    patch.setattr(os, name, lambda *a, _name=name, **k: failing(_name, *a, **k))
                try:
                    store.save(6, state_of(6), rows_of(20, 4), {'at': 6})
                    break
                except errors.StudyWriteError as error:
                    assert error.errno == 28 and path in str(error)
            check(StudyStore.open(path).load(), 5)
            attempts += 1
    assert attempts >= 8
    fill(store, [7])
    check(StudyStore.open(path).load(), 7)
    assert store.verify() == [] and not [f for f in files_of(path) if '.tmp' in f]


def test_a_full_disk_loses_nothing(path):
    StudyStore.create(path, DOCUMENT)
    writer = child(
        """
        import resource
        from pgjax._errors import StudyWriteError
        store = StudyStore.open(sys.argv[2])
        with store.lock():
            store.save(1, {'x': np.zeros(10)}, {'trial': np.arange(4)}, {})
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
            for rows in (np.arange(4, 8), np.arange(4, 10_004)):
                try:
                    store.save(2, {'x': np.random.default_rng(0).random(10_000)}, {'trial': rows}, {})
                except StudyWriteError as e:
                    print(e.errno, store.load().step, len(store.load().rows['trial']))
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            store.save(2, {'x': np.zeros(10_000)}, {'trial': np.arange(4, 8)}, {})
            print(store.load().rows['trial'].tolist(), store.verify())
        """,
        path,
    )
    assert writer.communicate()[0].splitlines() == ['27 1 4', '27 1 4', '[0, 1, 2, 3, 4, 5, 6, 7] []']


def test_nothing_on_a_load_path_executes_data():
    forbidden = ('pickle', 'marshal', 'eval(', 'exec(', 'importlib', '__import__')
    with open(_store.__file__) as file:
        assert not [word for word in forbidden if word in file.read()]
