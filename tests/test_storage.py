"""Where files and bundles are: one contract for a local folder, the memory and buckets behind TensorStore's drivers."""

import itertools
import os
import threading
import time

import fake_buckets
import numpy as np
import pytest

from pgjax import _errors as errors, io
from pgjax.io import _key_value_storage, _lease, _objects
from pgjax.io._arrays import pack_bundle
from pgjax.io._places import place_of, storage_at, storage_of

BUNDLE = pack_bundle({'x': np.arange(5), 'large': np.zeros(1 << 20, np.uint8)}, {'step': 1})
NUMBERS = itertools.count()  # a place of its own for each test


@pytest.fixture(params=['memory', 'gs', 's3'])
def url(request):
    if request.param != 'memory':
        fake_buckets.serve()
    return f'{request.param}://bucket/a folder/ä{next(NUMBERS)}'


@pytest.fixture(params=['local', 'memory', 'gs', 's3'])
def files(request, tmp_path):
    if request.param == 'local':
        return storage_at(tmp_path / 'new' / 'place', writing=True)
    fake_buckets.serve()
    return storage_at(f'{request.param}://bucket/place/{next(NUMBERS)}', writing=True)


def objects_of(files):
    return files._objects.names()


# --- the contract


def test_files_are_replaced_whole(files):
    files.prepare('sub')
    assert not files.has('a.json') and files.names('absent') == []
    with pytest.raises(FileNotFoundError):
        files.read('a.json', 10)
    for content in (b'{}', b'', b'12345'):
        files.write('a.json', content)
        assert files.read('a.json', 5) == content and files.has('a.json')
    with pytest.raises(errors.LimitError, match=r'a\.json is longer than the 4 bytes'):
        files.read('a.json', 4)
    files.write('sub/b', b'x')
    assert files.names() == ['a.json', 'sub'] and files.names('sub') == ['b']
    files.remove('a.json', 'sub/b', 'absent')
    assert not files.has('a.json') and files.names('sub') == []


def test_appending_drops_what_lay_beyond(files):
    files.prepare('sub')
    assert files.read_start('notes', 9) == b''
    files.append('notes', 0, b'one')
    files.append('notes', 3, b'two, unfinished')
    files.append('notes', 6, b'!')
    assert files.read_start('notes', 99) == b'onetwo!' and files.read_start('notes', 3) == b'one'


def test_bundles_are_there_whole_or_not_at_all(files):
    files.prepare('sub')
    files.write_bundle('sub/one', BUNDLE)
    assert files.has('sub/one') and files.bundles('sub') == ['one'] and files.bundles('absent') == []
    with pytest.raises(errors.StudyExistsError, match='sub/one'):
        files.write_bundle('sub/one', BUNDLE)
    arrays, attributes = files.load_bundle('sub/one', BUNDLE.digest)
    assert attributes == files.load_attributes('sub/one') == {'step': 1}
    np.testing.assert_array_equal(arrays['x'], np.arange(5))
    assert len(arrays['large']) == 1 << 20
    files.rename('sub/one', 'sub/two')
    assert files.bundles('sub') == ['two'] and files.load_attributes('sub/two', BUNDLE.digest) == {'step': 1}
    for name in ('sub/one', 'sub/absent'):
        with pytest.raises(errors.StudyCorruptError, match=name):
            files.load_bundle(name)
    with pytest.raises(errors.StudyCorruptError, match='expected 000000'):
        files.load_bundle('sub/two', '0' * 64)
    files.remove('sub/two')
    assert files.bundles('sub') == [] and not files.has('sub/two')


def test_one_lock_at_a_time(files):
    files.prepare('sub')
    mine, other = files.lock('lock'), storage_at(files.path).lock('lock')
    mine.acquire()
    assert mine.held and not other.held and mine.forked_from is None
    with pytest.raises(errors.StudyLockedError, match=rf'lock is held by process {os.getpid()} on .* since 2'):
        other.acquire()
    mine.release()
    other.acquire()
    other.release()
    assert not mine.held and not other.held


# --- key-value stores


def test_the_commit_object_is_written_last_and_deleted_first():
    buckets = fake_buckets.serve()
    files = storage_at(f's3://bucket/{next(NUMBERS)}')
    buckets.requests.clear()
    files.write_bundle('one', BUNDLE)
    files.remove('one')
    changes = [(verb, path.rpartition('/')[2]) for verb, path in buckets.requests if verb in ('PUT', 'DELETE')]
    commit = _key_value_storage.COMMIT
    at = [changes.index((verb, commit)) for verb in ('PUT', 'DELETE')]
    assert [verb for verb, name in changes if name != commit and verb == 'PUT'] == ['PUT'] * at[0] and at[0] > 0
    assert at[1] == at[0] + 1 and len(changes) > at[1] + 1


def test_a_bundle_without_a_commit_object_is_not_there_and_goes(url):
    files = storage_at(url)
    files.write_bundle('sub/one', BUNDLE)
    files.write_bundle('sub/two', BUNDLE)
    files._objects.write(f'sub/two/{_key_value_storage.COMMIT}', None)
    assert files.bundles('sub') == ['one'] and not files.has('sub/two')
    files.write('sub/file', b'')
    files.remove_leftovers('', 'sub')
    assert {name.split('/')[1] for name in objects_of(files)} == {'one', 'file'}


def test_two_writers_of_one_bundle(url, monkeypatch):
    """The second has looked before the first wrote, and must not replace what the first has committed."""
    files, other = storage_at(url), storage_at(url)
    write_all = files._objects.write_all

    def slowly(values):
        write_all(values)
        if other is not None and not other.has('one'):
            other.write_bundle('one', pack_bundle({}, {'writer': 'other'}))

    monkeypatch.setattr(files._objects, 'write_all', slowly)
    with pytest.raises(errors.StudyExistsError, match='meanwhile'):
        files.write_bundle('one', BUNDLE)
    assert files.load_attributes('one') == {'writer': 'other'}


def test_any_flipped_byte_or_lost_object_of_a_bundle_is_seen(url):
    files = storage_at(url)
    bundle = pack_bundle({'x': np.arange(5)}, {})
    files.write_bundle('one', bundle)
    for name in objects_of(files):
        whole, _ = files._objects.read(name)
        places = range(0, len(whole), 1 if url.startswith('memory') else 97)
        for data in (None, whole[:-1], *(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :] for i in places)):
            files._objects.write(name, data)
            try:
                assert files.load_bundle('one', bundle.digest)[0]['x'].tolist() == [0, 1, 2, 3, 4]
            except errors.StudyCorruptError as error:
                assert url in str(error)
            else:
                assert data is not None and len(data) == len(whole)  # a byte that means nothing
        files._objects.write(name, whole)


# --- the lease


@pytest.fixture
def clock(monkeypatch):
    """The time by the lease's clock, which moves when it is told to, and threads that never wake up to renew."""
    now = [1000.0]
    monkeypatch.setattr(_lease.time, 'time', lambda: now[0])
    monkeypatch.setattr(_lease, 'SECONDS', 3600.0)
    return now


def test_an_expired_lease_is_taken_over_and_its_holder_cannot_write(url, clock):
    files, other = storage_at(url), storage_at(url)
    mine, theirs = files.lock('lock'), other.lock('lock')
    mine.acquire()
    files.write('a', b'mine')
    clock[0] += 3599
    with pytest.raises(errors.StudyLockedError, match='frees itself 1 s after'):
        theirs.acquire()
    clock[0] += 2
    theirs.acquire()
    other.write('a', b'theirs')
    for write in (lambda: files.write('a', b'mine'), lambda: files.append('a', 0, b'mine'), lambda: files.remove('a'),
                  lambda: files.write_bundle('one', BUNDLE)):  # fmt: skip
        with pytest.raises(errors.StudyLockedError, match=rf'was taken over by process {os.getpid()}.*Load the study'):
            write()
    mine.release()
    assert other.read('a', 9) == b'theirs' and not other.has('one') and other.has('lock')
    other.write('a', b'still')
    theirs.release()
    assert not other.has('lock')


def test_writing_renews_a_lease_that_is_half_over(url, clock):
    files, other = storage_at(url), storage_at(url)
    lease = files.lock('lock')
    lease.acquire()
    for _ in range(5):
        clock[0] += 3000
        files.write('a', b'')
    with pytest.raises(errors.StudyLockedError):
        other.lock('lock').acquire()
    clock[0] += 9000  # suspended, and nobody has come
    files.write('a', b'')
    lease.release()


def test_a_lease_is_renewed_while_its_holder_is_busy(url, monkeypatch):
    monkeypatch.setattr(_lease, 'SECONDS', 2.0)
    files = storage_at(url)
    lease = files.lock('lock')
    lease.acquire()
    first, give_up = files.read('lock', 999), time.monotonic() + 60
    while files.read('lock', 999) == first and time.monotonic() < give_up:
        threading.Event().wait(0.05)
    assert files.read('lock', 999) != first
    lease.release()


@pytest.mark.parametrize('left', [b'', b'{}', b'[1]', b'{"host": "a", "pid": 1, "started": "then"}', b'\xff'])
def test_what_is_no_lease_does_not_hold(left):
    files = storage_at(f'memory://{next(NUMBERS)}')
    files.write('lock', left)
    lease = files.lock('lock')
    lease.acquire()
    lease.confirm()
    lease.release()


def test_a_deleted_lease_is_lost():
    files = storage_at(f'memory://{next(NUMBERS)}')
    lease = files.lock('lock')
    lease.acquire()
    files._objects.write('lock', None)
    with pytest.raises(errors.StudyLockedError, match='taken over by somebody who deleted it'):
        files.write('a', b'')
    lease.release()


# --- what a path means


@pytest.mark.parametrize(
    ('path', 'place'),
    [
        ('/a/b', '/a/b'),
        ('file:///a/b%20c/', '/a/b c'),
        ('file://localhost/a', '/a'),
        ('memory://a', 'memory://a'),
        ('MEMORY://a//', 'memory://a'),
        ('gs://bucket/a?b#c|d%20', 'gs://bucket/a?b#c|d%20'),
    ],
)
def test_paths_and_urls(path, place):
    assert place_of(path) == place
    assert storage_at(path, writing=True).path == place


@pytest.mark.parametrize(
    ('path', 'words'),
    [
        ('http://host/a', "'http' is no scheme.*gs://bucket/path"),
        ('hdfs://a', "'hdfs' is no scheme"),
        ('memory://', 'come names'),
        ('gs://b/../a', r'none of them \. or \.\.'),
        ('s3://b//a', 'single slashes'),
        ('s3://b/a\nb', 'come names'),
        ('file://host/a', 'three slashes'),
        ('file:///', 'three slashes'),
        ('gs://Not_A_Bucket!/a', 'Not_A_Bucket'),
    ],
)
def test_what_means_no_place_is_refused(path, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.StudyWriteError, match=rf'(?s){words}'):
        storage_at(path, writing=True)
    with pytest.raises(errors.StudyNotFoundError, match=rf'(?s){words}'):
        storage_at(path)
    with pytest.raises(errors.StudyWriteError):
        io.save(1, path)
    with pytest.raises(errors.StudyNotFoundError):
        io.load(path)
    assert os.listdir(tmp_path) == []


def test_what_is_kept_in_folders_only_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for keep in (lambda: io.Repository('gs://bucket/a'), lambda: io.save_arrays('memory://a', {}, {})):
        with pytest.raises(errors.StudyWriteError, match=r'folders only, not at URLs; mount the bucket'):
            keep()
    assert os.listdir(tmp_path) == []


def test_a_bucket_is_no_file():
    for path in ('memory://x.json', 'gs://bucket'):
        with pytest.raises(errors.StudyWriteError, match='whole store'):
            storage_of(path, writing=True)
        with pytest.raises(errors.StudyNotFoundError, match='whole store'):
            io.load(path)


# --- out of reach


@pytest.fixture
def impatient(monkeypatch):
    retries = {'max_retries': 2, 'initial_delay': '1ms', 'max_delay': '1ms'}
    context = _objects.tensorstore().Context({'s3_request_retries': retries})
    monkeypatch.setattr(_objects, 'context', lambda: context)
    monkeypatch.setattr(_objects, 'PATIENCE', 5.0)


def test_a_store_out_of_reach_says_so(impatient, monkeypatch):
    fake_buckets.serve()
    monkeypatch.setenv('AWS_ENDPOINT_URL_S3', 'http://127.0.0.1:9')
    files = storage_at('s3://bucket/a')
    cure = 's3://bucket/a.*Check the bucket and the network.*AWS_ACCESS_KEY_ID'
    for read in (files.names, lambda: files.has('a'), lambda: files.read('a', 9), lambda: files.load_bundle('a'),
                 lambda: files.load_attributes('a')):  # fmt: skip
        with pytest.raises(errors.StudyNotFoundError, match=cure):
            read()
    with pytest.raises(errors.StudyWriteError, match=f'{cure}') as caught:
        files.write('a', b'')
    assert 'What was saved before is intact' in str(caught.value)


def test_a_store_that_does_not_answer_is_not_waited_for(impatient, monkeypatch):
    buckets = fake_buckets.serve()
    files = storage_at('s3://bucket/a')
    monkeypatch.setattr(_objects, 'PATIENCE', 0.05)
    with buckets.mutex, pytest.raises(errors.StudyNotFoundError, match='no answer in time'):
        files.has('a')
