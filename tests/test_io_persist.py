"""Files: replaced whole, arrays beside them, and repositories by content."""

import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pgjax as pg
from pgjax import _errors as errors, io
from pgjax.io import _persist, _places


class Net(pg.Object, type_name='persist.Net'):
    weights: Any = None
    name: str = ''


def big(fill: float = 0.0):
    return np.full((128, 256), fill, np.float32)


def everything(folder):
    return sorted(str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob('*') if p.is_file())


def bundles(path):
    return sorted(name for name in os.listdir(f'{path}.arrays') if name != 'lock')


def test_small_values_are_one_file(tmp_path):
    path = tmp_path / 'x.json'
    io.save(Net(np.arange(3), 'a'), path, indent=2)
    assert everything(tmp_path) == ['x.json']
    assert pg.eq(io.load(path), Net(np.arange(3), 'a'))
    document = json.loads(path.read_text())
    assert (document['_pgjax'], document['_type']) == (1, 'persist.Net')
    io.save([1], path)
    assert io.load(str(path)) == [1] and path.read_text() == '{"_pgjax":1,"_writer":"0.1.0","_value":[1]}\n'


def test_large_arrays_lie_beside_the_file(tmp_path):
    path = tmp_path / 'x.json'
    shared = jnp.asarray(big(1))
    keys = jax.random.split(jax.random.key(0), 10_000)
    value = Net([shared, big(2), np.arange(3), shared, keys, jnp.ones((1 << 17,), 'int4')], 'a')
    io.save(value, path)
    assert path.stat().st_size < 3000 and len(bundles(path)) == 1
    once = io.load(path)
    for a, b in zip(once.weights, value.weights, strict=True):
        assert type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape
    assert once.weights[0] is once.weights[3]
    assert io.content_hash(once) == io.content_hash(value)
    with pytest.raises(errors.DecodeError, match=r'pg\.load'):
        io.from_json_str(path.read_text())


def test_replacing_a_file_removes_its_old_arrays(tmp_path):
    path = tmp_path / 'x.json'
    io.save(Net(big(1)), path)
    first = bundles(path)
    io.save(Net(big(1), 'renamed'), path)
    assert bundles(path) == first and io.load(path).name == 'renamed'
    io.save(Net(big(2)), path)
    assert len(bundles(path)) == 1 and bundles(path) != first
    io.save(Net(1), path)
    assert bundles(path) == [] and io.load(path) == Net(1)


def test_what_cannot_be_stored_leaves_the_file(tmp_path):
    path = tmp_path / 'x.json'
    io.save(Net(big(1)), path)
    before = everything(tmp_path)
    for value in (Net([big(2), lambda: 0]), Net(np.array([object()]))):
        with pytest.raises(errors.EncodeError, match='weights'):
            io.save(value, path)
    assert everything(tmp_path) == before and pg.eq(io.load(path), Net(big(1)))


@pytest.mark.parametrize('value', [Net(2), Net(big(2))])
def test_a_failing_disk_leaves_the_file(tmp_path, monkeypatch, value):
    path = tmp_path / 'x.json'
    io.save(Net(big(1)), path)

    def fail(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(errors.StudyWriteError, match='ENOSPC'):
        io.save(value, path)
    monkeypatch.undo()
    assert pg.eq(io.load(path), Net(big(1)))
    io.save(value, path)
    assert pg.eq(io.load(path), value) and len(bundles(path)) <= 1


def test_damage_is_seen(tmp_path):
    path = tmp_path / 'x.json'
    io.save(Net(big(1)), path)
    (bundle,) = bundles(path)
    for file in pathlib.Path(f'{path}.arrays', bundle).rglob('*'):
        if file.is_file():
            data = file.read_bytes()
            file.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
            with pytest.raises(errors.StudyCorruptError, match='damaged'):
                io.load(path)
            file.write_bytes(data)
    assert pg.eq(io.load(path), Net(big(1)))
    os.rename(f'{path}.arrays', tmp_path / 'elsewhere')
    with pytest.raises(errors.StudyCorruptError, match='copy and move them together'):
        io.load(path)
    io.save(Net(big(1)), path)  # mends it
    assert pg.eq(io.load(path), Net(big(1)))


def test_a_document_cannot_lead_outside_its_folder(tmp_path):
    io.save(Net(big(1)), tmp_path / 'secret.json')
    path = tmp_path / 'x.json'
    for digest in [
        '../secret.json.arrays/' + bundles(tmp_path / 'secret.json')[0],
        '/etc',
        3,
        '0' * 64 + '/..',
        'a' * 63,
    ]:
        path.write_text(json.dumps({'_pgjax': 1, '_arrays': digest, '_value': 1}))
        with pytest.raises(errors.DecodeError, match='_arrays'):
            io.load(path)
    path.write_text(json.dumps({'_pgjax': 1, '_arrays': 'a' * 64, '_value': 1}))
    with pytest.raises(errors.StudyCorruptError):
        io.load(path)


def test_headers_must_fit_the_arrays(tmp_path):
    path = tmp_path / 'x.json'
    io.save(Net(big(1)), path)
    text = path.read_text()
    for old, new in [('float32', 'int32'), ('[128,256]', '[256,128]'), ('"stored":"0"', '"stored":"1"')]:
        path.write_text(text.replace(old, new))
        with pytest.raises(errors.DecodeError, match=r'x\.json: \$\.weights\._array'):
            io.load(path)


def test_errors_name_the_file(tmp_path):
    path = tmp_path / 'x.json'
    with pytest.raises(errors.StudyNotFoundError, match=r'x\.json'):
        io.load(path)
    with pytest.raises(errors.DecodeError):
        io.load(tmp_path)
    with pytest.raises(errors.DecodeError):
        io.load('a\0b')
    for text, error, words in [
        ('', errors.DecodeError, 'empty at line 1 column 1'),
        ('{"_type":"persist.Net",\n"weights":', errors.DecodeError, r'line 2 column 11 \(byte offset 34\)'),
        ('{"_type":"persist.Net","name":1}', errors.FieldTypeError, r'\.name: expected str, got int'),
        ('[1,1]' * 100, errors.DecodeError, 'Extra data'),
    ]:
        path.write_text(text)
        with pytest.raises(error, match=r'x\.json: \$.*' + words):
            io.load(path)
    path.write_text('[1, 2, 3]')
    with pytest.raises(errors.LimitError, match='5 bytes'):
        io.load(path, max_bytes=5)


WRITER = """
import sys
import numpy as np
import pgjax as pg
from pgjax import io
class Net(pg.Object, type_name='persist.Net'):
    weights: object = None
    name: str = ''
step = 0
while True:
    io.save(Net([np.full((64, 256), step, np.float32), np.full((64, 256), step, np.float32)], str(step)), sys.argv[1])
    print(step, flush=True)
    step += 1
"""


def test_killed_writers_leave_a_whole_file(tmp_path):
    path = tmp_path / 'x.json'
    for delay in (0.0, 0.013, 0.031):
        command = [sys.executable, '-c', WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(delay)
            reads = [io.load(path) for _ in range(5)]
            child.send_signal(signal.SIGKILL)
            acknowledged = child.stdout.read().splitlines() or ['0']
        for once in [*reads, io.load(path)]:
            assert all((w == float(once.name)).all() for w in once.weights)
        assert int(io.load(path).name) >= int(acknowledged[-1])
    io.save(Net(big(7)), path)  # nobody holds the lock, and leftovers go
    assert len(bundles(path)) == 1


def test_writers_in_threads_do_not_remove_each_others_arrays(tmp_path):
    path = tmp_path / 'x.json'
    failures: list[BaseException] = []

    def work(fill):
        try:
            for step in range(4):
                io.save(Net([big(fill), big(step)]), path)
                io.load(path)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(bundles(path)) == 1
    io.load(path)


def test_a_held_lock_is_named_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(_persist, 'PATIENCE', 0.05)
    path = tmp_path / 'x.json'
    io.save(Net(big(1)), path)
    held = _persist._locked(*_places.storage_of(f'{path}.arrays'))
    with held, pytest.raises(errors.StudyLockedError, match=str(os.getpid())):
        io.save(Net(big(2)), path)
    io.save(Net(big(2)), path)


# ---- repositories ----


def test_repository(tmp_path):
    repository = io.Repository(tmp_path / 'repo')
    assert len(repository) == 0 and repository.names() == {} and 'x' not in repository
    one = repository.save(Net(1), name='base line/1')
    two = repository.save(Net(big(2)), name='..')
    assert repository.save(Net(1)) == one and len(repository) == 2 and list(repository) == sorted([one, two])
    assert repository.names() == {'..': two, 'base line/1': one}
    for which in (one, one[:6], 'base line/1'):
        assert repository.load(which) == Net(1)
    assert pg.eq(repository.load('..'), Net(big(2)))
    assert one in repository and 'base line/1' in repository and Net(1) in repository and Net(3) not in repository
    repository.save(Net(3), name='base line/1')
    assert io.Repository(tmp_path / 'repo').load('base line/1') == Net(3) and repository.load(one) == Net(1)


def test_repository_refuses(tmp_path):
    repository = io.Repository(tmp_path)
    for which in ('nothing', 'abcd', '../x'):
        with pytest.raises(errors.PathError, match='has no experiment'):
            repository.load(which)
    hashes = [repository.save(Net(i)) for i in range(40)]
    repository.save(Net(0), name='baseline')
    with pytest.raises(errors.PathError, match="Did you mean 'baseline'"):
        repository.load('baselin')
    with pytest.raises(errors.PathError):
        repository.load(hashes[0][:3])
    for name in ('', 'deadbeef', 'x' * 300, 3):
        with pytest.raises(errors.PathError, match='cannot name'):
            repository.save(Net(1), name=name)
    (file,) = (tmp_path / 'experiments').glob(f'{hashes[0]}-*')
    file.write_text(file.read_text().replace('0', '1'))
    with pytest.raises(errors.StudyCorruptError, match='SHA-256'):
        repository.load(hashes[0])
    (tmp_path / 'names' / 'bad.json').write_text('{')
    with pytest.raises(errors.StudyCorruptError, match='names'):
        repository.names()


@pytest.mark.parametrize('value', [Net(1), Net(big(2))], ids=['alone', 'arrays beside it'])
def test_saving_again_mends_a_repository(tmp_path, value):
    repository = io.Repository(tmp_path)
    digest = repository.save(value)
    for which in range(len(everything(tmp_path / 'experiments'))):
        for damaged in (lambda data: data[:-3], lambda data: bytes([*data[:-9], data[-9] ^ 1, *data[-8:]])):
            part = tmp_path / 'experiments' / everything(tmp_path / 'experiments')[which]
            if part.name == 'lock':
                continue
            part.write_bytes(damaged(part.read_bytes()))
            with pytest.raises(errors.StudyCorruptError):
                repository.load(digest)
            assert repository.save(value) == digest
            assert pg.eq(repository.load(digest), value)


def test_a_damaged_repository_says_so(tmp_path):
    repository = io.Repository(tmp_path)
    repository.save(Net(1), name='base')
    (file,) = (tmp_path / 'names').iterdir()
    other_name = file.read_text().replace('base', 'case')
    for entry in ('[]', '{"name": "base", "hash": 7}', '{"name": "base", "hash": "../../x"}', '[' * 60_000, other_name):
        file.write_text(entry)
        with pytest.raises(errors.StudyCorruptError, match='names'):
            repository.load('base')
    file.write_text(json.dumps({'name': 'base', 'hash': '0' * 64}))
    with pytest.raises(errors.StudyCorruptError, match='missing'):
        repository.load('base')
    file.unlink()
    file.mkdir()
    with pytest.raises(errors.StudyCorruptError, match='names'):
        repository.names()


def test_what_a_repository_cannot_mean(tmp_path):
    repository = io.Repository(tmp_path / 'repo')
    for which in (5, None, ['x'], b'base'):
        with pytest.raises(errors.PathError):
            repository.load(which)
    with pytest.raises(errors.PathError, match='cannot name'):
        repository.save(Net(1), name='\ud800')
    (tmp_path / 'file').write_text('x')
    with pytest.raises(errors.StudyNotFoundError, match='no folder'):
        len(io.Repository(tmp_path / 'file'))


@pytest.mark.parametrize('path', [5, None, ['x.json'], 1.5])
def test_what_is_no_path(path):
    for call in (io.load, io.Repository, lambda p: io.save(1, p), lambda p: io.write_atomic(p, b'')):
        with pytest.raises(errors.FieldTypeError, match='A path is a string'):
            call(path)


@pytest.mark.parametrize(
    ('indent', 'error'),
    [
        ('x', errors.FieldTypeError),
        (1.5, errors.FieldTypeError),
        (-1, errors.FieldValueError),
        (10**9, errors.FieldValueError),
    ],
)
def test_an_indent_makes_json(tmp_path, indent, error):
    for write in (
        lambda: io.save((1, 2), tmp_path / 'x.json', indent=indent),
        lambda: io.to_json_str([1], indent=indent),
    ):
        with pytest.raises(error, match='indent is'):
            write()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('limit', ['max_depth', 'max_nodes', 'max_bytes'])
def test_limits_are_numbers(tmp_path, limit):
    io.save((1, 2), tmp_path / 'x.json')
    readers = [lambda **k: io.load(tmp_path / 'x.json', **k), lambda **k: io.from_json_str('[1]', **k)]
    for read in [*readers, lambda **k: io.from_json([1], **k)][: 2 if limit == 'max_bytes' else 3]:
        for value in (None, 'all', 1.5):
            with pytest.raises(errors.FieldTypeError, match=f'{limit} is an int'):
                read(**{limit: value})


def test_paths_in_bytes_are_paths(tmp_path):
    assert io.Repository(os.fsencode(tmp_path)).save(1) in io.Repository(tmp_path)
    io.save(2, os.fsencode(tmp_path / 'x.json'))
    assert io.load(os.fsencode(tmp_path / 'x.json')) == 2


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for save in (io.save, lambda _, p: io.write_atomic(p, b'{}')):
        with pytest.raises(errors.StudyWriteError, match='a device, a pipe'):
            save(1, tmp_path / 'pipe')
        with pytest.raises(errors.StudyWriteError, match='slash names a folder'):
            save(1, f'{tmp_path}/x.json/')
        with pytest.raises(errors.StudyWriteError, match='EISDIR'):
            save(1, tmp_path)
    assert (tmp_path / 'pipe').is_fifo() and os.listdir(tmp_path) == ['pipe']


def test_a_pipe_is_read_to_its_end_and_not_waited_for(tmp_path):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    with pytest.raises(errors.DecodeError):
        io.load(pipe)
    reader, writer = os.pipe()  # as what a shell makes of `<(command)`
    threading.Timer(0.1, lambda: (os.write(writer, b'[1, 2]'), os.close(writer))).start()
    assert io.load(f'/dev/fd/{reader}') == [1, 2]
    os.close(reader)


def test_ambiguous_prefix(tmp_path):
    repository = io.Repository(tmp_path)
    digest = repository.save(Net(1))
    (file,) = (tmp_path / 'experiments').iterdir()
    other = digest[:8] + ('0' if digest[8] != '0' else '1') + digest[9:]
    (tmp_path / 'experiments' / file.name.replace(digest, other)).write_bytes(file.read_bytes())
    with pytest.raises(errors.PathError, match='2 experiments begin'):
        repository.load(digest[:6])
    assert repository.load(digest[:12]) == Net(1)


def test_hashes_agree_between_processes(tmp_path):
    value = {'b': [1, 2.0, (True, None)], 'a': np.arange(4, dtype=np.int8), 3: 'x', 'k': jax.random.key(1)}
    code = """
    import jax, jax.numpy as jnp
    from pgjax import io
    value = {'k': jax.random.key(1), 3: 'x', 'a': jnp.arange(4, dtype='int8'), 'b': [1, 2.0, (True, None)]}
    print(io.content_hash(value))
    """
    environment = {**os.environ, 'PYTHONHASHSEED': '7'}
    command = [sys.executable, '-c', textwrap.dedent(code)]
    assert subprocess.check_output(command, text=True, env=environment).strip() == io.content_hash(value)
