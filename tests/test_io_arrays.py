"""Bundles: every dtype comes back bit for bit, and no damage to the files goes unseen."""

import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import textwrap

import hypothesis
import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore as ts
from hypothesis import strategies as st

from pgjax import _errors as errors
from pgjax.io import _arrays, _bundle, _files

SHAPES = [(), (0,), (3,), (2, 0, 5), (2, 3, 4)]
STUB = """
import sys, types
import numpy as np
for name, place in [('pgjax', 'pgjax'), ('pgjax.io', 'pgjax/io'), ('pgjax.search', 'search')]:
    sys.modules[name] = types.ModuleType(name)  # the storage without the rest, hence without JAX
    sys.modules[name].__path__ = [sys.argv[1] + '/' + place]
"""


def run_child(code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Runs `code` in a process that knows the storage but not JAX; `sys.argv[2:]` are the arguments."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, '-c', STUB + textwrap.dedent(code), root, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def same(a, b) -> bool:
    """Whether two dicts of arrays agree in names, order, shapes, dtypes and bits."""
    return list(a) == list(b) and all(
        x.shape == b[name].shape and x.dtype == b[name].dtype and bits(x) == bits(b[name]) for name, x in a.items()
    )


def bits(x) -> bytes:
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return str(jax.random.key_impl(x)).encode() + np.asarray(jax.random.key_data(x)).tobytes()
    return np.asarray(x).tobytes()


def files_of(path):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)


@pytest.fixture
def bundle(tmp_path):
    arrays = {
        'w': np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        'zeros': np.zeros(7, np.int32),
        'step': np.int64(5),
        'mask': np.array([True, False]),
    }
    path = str(tmp_path / 'bundle')
    return path, arrays, _arrays.save_arrays(path, arrays, {'step': 5, 'note': 'ä'})


# --- what goes in comes out


@pytest.mark.parametrize('dtype', sorted(_arrays.DTYPES))
def test_every_dtype_and_shape_round_trips(tmp_path, dtype):
    rng = np.random.default_rng(0)
    kind = _arrays.DTYPES[dtype]

    def make(shape):
        raw = rng.integers(0, 2 if dtype == 'bool' else 256, size=(*shape, kind.itemsize), dtype=np.uint8)
        return raw.view(kind).reshape(shape)  # any bits, NaN payloads among them

    arrays = {str(shape): make(shape) for shape in SHAPES}
    digest = _arrays.save_arrays(tmp_path / 'b', arrays, {})
    loaded, attributes = _arrays.load_arrays(tmp_path / 'b', digest)
    assert same(loaded, arrays) and attributes == {}
    assert all(x.flags.writeable for x in loaded.values())


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(
    arrays=st.dictionaries(
        st.text(max_size=8),
        hnp.arrays(
            st.sampled_from([np.bool_, np.int8, np.uint16, np.float16, np.float64, np.complex64]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=5,
    ),
    attributes=st.dictionaries(
        st.text(max_size=5),
        st.recursive(st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300)
                     | st.text(max_size=5), lambda s: st.lists(s, max_size=3), max_leaves=5),
        max_size=3,
    ),
)  # fmt: skip
def test_any_names_and_attributes_round_trip(tmp_path_factory, arrays, attributes):
    path = tmp_path_factory.mktemp('any') / 'b'
    digest = _arrays.save_arrays(path, arrays, attributes)
    loaded, found = _arrays.load_arrays(path, digest)
    assert same(loaded, arrays) and found == attributes and _arrays.load_attributes(path) == attributes


def test_special_values_keep_their_bits(tmp_path):
    quiet = np.array([0x7FC00001, 0xFFC12345, 0x7F800001], np.uint32).view(np.float32)
    arrays = {
        'nan': quiet,
        'zero': np.array([-0.0, 0.0]),
        'strided': np.arange(20)[::3],
        'big': np.arange(3, dtype='>f4'),
    }
    _arrays.save_arrays(tmp_path / 'b', arrays, {})
    loaded, _ = _arrays.load_arrays(tmp_path / 'b')
    assert bits(loaded['nan']) == bits(quiet) and np.signbit(loaded['zero']).tolist() == [True, False]
    np.testing.assert_array_equal(loaded['strided'], arrays['strided'])
    np.testing.assert_array_equal(loaded['big'], arrays['big'])


@pytest.mark.parametrize('kind', _arrays.KEYS)
def test_typed_keys_and_jax_arrays_round_trip(tmp_path, kind):
    key = jax.random.key(3, impl=kind)
    arrays = {'key': key, 'keys': jax.random.split(key, 4), 'none': jax.random.split(key, 4)[:0],
              'x': jnp.arange(4, dtype=jnp.bfloat16), 'i4': jnp.arange(4, dtype=jnp.int4)}  # fmt: skip
    _arrays.save_arrays(tmp_path / 'b', arrays, {})
    loaded, _ = _arrays.load_arrays(tmp_path / 'b')
    assert same(loaded, arrays)
    assert bits(jax.random.bits(loaded['key'])) == bits(jax.random.bits(key))


def test_large_arrays_are_stored_alone_and_not_copied(tmp_path):
    large, small = np.random.default_rng(0).random(_arrays.LARGE // 8), np.arange(9.0)
    arrays = {'a': small, 'L': large, 'b': small, 'L0': np.zeros_like(large)}
    packed = _arrays.pack_bundle(arrays, {})
    assert np.shares_memory(packed.blobs['large/0/'], large)
    assert len(packed.blobs) == 3
    _arrays.write_bundle(tmp_path / 'b', packed)
    assert same(_arrays.load_arrays(tmp_path / 'b', packed.digest)[0], arrays)


def test_to_host_copies_on_request():
    x = np.arange(4)
    shared, copied = _arrays.to_host({'x': x})['x'], _arrays.to_host({'x': x}, copy=True)['x']
    assert np.shares_memory(shared.data, x) and not np.shares_memory(copied.data, x)


def test_a_digest_depends_on_content_alone(tmp_path):
    def save(name, x):
        return _arrays.save_arrays(tmp_path / name, {'x': np.array([x])}, {'a': 1})

    assert save('one', 1.0) == save('two', 1.0) != save('three', 1.5)


@pytest.mark.parametrize('name', ['a b', 'ü', 'x%20y', 'x?y#z', 'a|b', 'a\nb', 'q\'"', '日本', 'x' * 200])
def test_any_path_works(tmp_path, name):
    os.mkdir(tmp_path / name)
    path = tmp_path / name / 'b#?%41'
    _arrays.save_arrays(path, {'x': np.arange(3)}, {})
    assert same(_arrays.load_arrays(path)[0], {'x': np.arange(3)})
    assert os.listdir(tmp_path) == [name] and os.listdir(tmp_path / name) == ['b#?%41']


# --- what cannot be stored


@pytest.mark.parametrize('value', [np.array(['a']), np.array([None]), np.array(['2020'], 'M8[Y]'), 'text'])
def test_other_dtypes_are_refused(tmp_path, value):
    with pytest.raises(errors.EncodeError, match="Array 'x' has dtype"):
        _arrays.save_arrays(tmp_path / 'b', {'x': value}, {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('attributes', [{'a': float('nan')}, {1: 2}, {'a': {None: 1}}, {'a': object()}])
def test_attributes_must_be_json(tmp_path, attributes):
    with pytest.raises(errors.EncodeError):
        _arrays.save_arrays(tmp_path / 'b', {}, attributes)
    assert os.listdir(tmp_path) == []


def test_a_bundle_is_written_once(bundle):
    path, arrays, digest = bundle
    with pytest.raises(errors.StudyExistsError, match='written once'):
        _arrays.save_arrays(path, {}, {})
    assert same(_arrays.load_arrays(path, digest)[0], arrays)


# --- damage


def outcome(path, digest, arrays):
    """'same' if the bundle reads as it was, 'seen' if damage was reported; anything else fails."""
    try:
        loaded, attributes = _arrays.load_arrays(path, digest)
    except errors.StudyCorruptError as error:
        assert path in str(error) and 'expected' in str(error) and 'found' in str(error)
        return 'seen'
    assert same(loaded, arrays) and attributes == {'step': 5, 'note': 'ä'}
    return 'same'


@pytest.mark.parametrize('known', [True, False], ids=['digest known', 'digest unknown'])
def test_flipped_bits_are_seen(bundle, known):
    path, arrays, digest = bundle
    places = [(file, i) for file in files_of(path) for i in range(os.path.getsize(file))]
    seen = 0
    for file, i in random.Random(0).sample(places, min(300, len(places))):
        with open(file, 'r+b') as f:
            f.seek(i)
            old = f.read(1)
            f.seek(i)
            f.write(bytes([old[0] ^ 1 << i % 8]))
        seen += outcome(path, digest if known else None, arrays) == 'seen'
        with open(file, 'r+b') as f:
            f.seek(i)
            f.write(old)
    assert outcome(path, digest, arrays) == 'same'
    assert seen > 200  # the rest is Zarr metadata that nothing depends on


def test_cut_emptied_and_lengthened_files_are_seen(bundle):
    path, arrays, digest = bundle
    for file in files_of(path):
        with open(file, 'rb') as f:
            whole = f.read()
        for length in sorted({0, 1, len(whole) - 1, *range(0, len(whole), max(1, len(whole) // 20))}):
            with open(file, 'wb') as f:
                f.write(whole[:length])
            outcome(path, digest, arrays)
        for content in (b'', b'\0' * len(whole), os.urandom(len(whole))):
            with open(file, 'wb') as f:
                f.write(content)
            assert outcome(path, digest, arrays) == 'seen'
        with open(file, 'wb') as f:
            f.write(whole + b'garbage')
        outcome(path, digest, arrays)
        os.unlink(file)
        assert outcome(path, digest, arrays) == 'seen'
        with open(file, 'wb') as f:
            f.write(whole)
    assert outcome(path, digest, arrays) == 'same'


def test_another_bundle_in_its_place_is_seen(bundle, tmp_path):
    path, arrays, digest = bundle
    other = str(tmp_path / 'other')
    _arrays.save_arrays(other, {**arrays, 'step': np.int64(6)}, {'step': 5, 'note': 'ä'})
    with pytest.raises(errors.StudyCorruptError, match='manifest: SHA-256'):
        _arrays.load_arrays(other, digest)
    for mine, theirs in zip(files_of(path), files_of(other), strict=True):  # one file of each
        mixed = str(tmp_path / 'mixed')
        shutil.copytree(path, mixed)
        shutil.copy(theirs, mixed + mine.removeprefix(path))
        assert outcome(mixed, digest, arrays) == 'seen'
        shutil.rmtree(mixed)


def forge(path, blobs, manifest, digest=None):
    """A bundle with any manifest, whose own digest is right: what somebody hostile could write."""
    text = _files.pack_json(manifest)
    digest = hashlib.sha256(text).hexdigest()
    _arrays.write_bundle(path, _arrays.Bundle(digest, digest.encode() + b'\n' + text, blobs))


def entry(**changes):
    digest = hashlib.sha256(bytes(4)).hexdigest()
    return {'name': 'x', 'dtype': 'float32', 'shape': [1], 'key': None, 'bytes': 4, 'alone': False,
            'sha256': digest} | changes  # fmt: skip


def stamp(*entries, **changes):
    return {
        'format': _arrays.FORMAT,
        'version': _bundle.VERSION,
        'writer': '',
        'attributes': {},
        'arrays': list(entries),
    } | changes


BAD = {
    'huge': stamp(entry(shape=[1 << 40], bytes=4 << 40)),
    'huge alone': stamp(entry(shape=[1 << 40], bytes=4 << 40, alone=True)),
    'overflow': stamp(entry(shape=[1 << 61, 1 << 61], bytes=0)),
    'empty but huge': stamp(entry(shape=[0, 1 << 61, 1 << 61], bytes=0)),
    'negative': stamp(entry(shape=[-1], bytes=-4)),
    'wrong shape': stamp(entry(shape=[2])),
    'wrong length': stamp(entry(bytes=8)),
    'object dtype': stamp(entry(dtype='object')),
    'dtype as code': stamp(entry(dtype='O8')),
    'structured dtype': stamp(entry(dtype='f4,f4', bytes=8)),
    'bad key kind': stamp(entry(dtype='uint32', key='os.system')),
    'key of wrong shape': stamp(entry(dtype='uint32', key='threefry2x32')),
    'a path': stamp(entry(path='/etc/passwd')),
    'a store': stamp(entry() | {'kvstore': {'driver': 'http', 'base_url': 'http://localhost'}}),
    'twice': stamp(entry(), entry()),
    'bool of 2': stamp(entry(dtype='int8', shape=[4]), entry(name='y')),
    'alone, but packed': stamp(entry(alone=True)),
    'no digest': stamp(entry(sha256=None)),
    'wrong digest': stamp(entry(sha256='0' * 64)),
    'no list': stamp(arrays={}),
    'no dict': [],
    'no attributes': stamp(entry(), attributes=[]),
    'other format': stamp(entry(), format='other'),
    'many dimensions': stamp(entry(shape=[1] * 100)),
    'fractional': stamp(entry(shape=[1.0])),
    'true': stamp(entry(shape=[True])),
}


@pytest.mark.parametrize('case', BAD)
def test_hostile_manifests_are_refused(tmp_path, case):
    path = str(tmp_path / 'b')
    forge(path, {'small/': np.zeros(4, np.uint8)}, BAD[case])
    with pytest.raises(errors.StudyCorruptError):
        _arrays.load_arrays(path)


def test_a_sound_forgery_loads(tmp_path):  # so that the cases above fail for the reason they name
    forge(str(tmp_path / 'b'), {'small/': np.zeros(4, np.uint8)}, stamp(entry()))
    assert same(_arrays.load_arrays(tmp_path / 'b')[0], {'x': np.zeros(1, np.float32)})


def test_bools_are_zero_or_one(tmp_path):
    digest = hashlib.sha256(b'\2\0\0\0').hexdigest()
    manifest = stamp(entry(dtype='bool', shape=[4], sha256=digest))
    forge(str(tmp_path / 'b'), {'small/': np.array([2, 0, 0, 0], np.uint8)}, manifest)
    with pytest.raises(errors.StudyCorruptError, match='0 and 1'):
        _arrays.load_arrays(tmp_path / 'b')


def test_compressed_data_is_refused(tmp_path, bundle):
    """A few bytes that would unpack to gigabytes are refused by their codec, still packed."""
    path = str(tmp_path / 'b')
    forge(path, {'small/': np.zeros(4, np.uint8)}, stamp(entry()))
    spec = _bundle.array_spec(_bundle.Base.folder(path), 'small/', 4)
    spec['metadata']['codecs'] = [{'name': 'bytes'}, {'name': 'zstd'}]
    ts.open(spec, create=True, delete_existing=True).result().write(np.zeros(4, np.uint8)).result()
    with pytest.raises(errors.StudyCorruptError, match='codecs'):
        _arrays.load_arrays(path)


def test_a_newer_format_is_named(tmp_path):
    forge(str(tmp_path / 'b'), {}, stamp(version=7, writer='pgjax 9'))
    with pytest.raises(errors.StudyVersionError, match=r"format 7, written by 'pgjax 9'.* format 2"):
        _arrays.load_arrays(tmp_path / 'b')


def test_the_first_format_is_read(tmp_path):
    """Its arrays had a checksum of TensorStore's, too."""
    path = str(tmp_path / 'b')
    forge(path, {}, stamp(entry(), version=1))
    spec = _bundle.array_spec(_bundle.Base.folder(path), 'small/', 4, version=1)
    assert spec['metadata']['codecs'] == [{'name': 'bytes'}, {'name': 'crc32c'}]
    ts.open(spec, create=True).result().write(np.zeros(4, np.uint8)).result()
    assert same(_arrays.load_arrays(path)[0], {'x': np.zeros(1, np.float32)})


def test_links_are_not_followed(bundle, tmp_path):
    path, _, _ = bundle
    file = max(files_of(path), key=os.path.getsize)
    os.rename(file, tmp_path / 'outside')
    os.symlink(tmp_path / 'outside', file)
    with pytest.raises(errors.StudyCorruptError, match='regular file'):
        _arrays.load_arrays(path)


def test_nothing_outside_the_folder_is_read(bundle):
    """TensorStore refuses keys with '..', so a database cannot point out of its folder."""
    path, _, _ = bundle
    store = ts.KvStore.open({'driver': 'file', 'path': path + '/'}).result()
    with pytest.raises(ValueError, match='Invalid key'):
        store.read('../secret').result()


def test_a_missing_bundle_is_damage(tmp_path):
    with pytest.raises(errors.StudyCorruptError, match='gone'):
        _arrays.load_arrays(tmp_path / 'gone')


# --- writing that fails


def test_file_size_limit(tmp_path):
    """EFBIG; Python itself ignores the signal SIGXFSZ from its start, so the write returns an error."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    done = run_child(
        """
        import os, resource
        from pgjax.io import _arrays, _bundle, _files
        from pgjax._errors import StudyWriteError
        os.chdir(sys.argv[2])
        _arrays.save_arrays('before', {'x': np.arange(5)}, {})
        _files.write_atomic('f', b'old')
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for write in (lambda: _arrays.save_arrays('b', {'x': np.random.default_rng(0).random(1 << 18)}, {}),
                      lambda: _arrays.save_arrays('b', {'x': np.random.default_rng(0).random(1 << 15)}, {}),
                      lambda: _files.write_atomic('f', bytes(200_000))):
            try:
                write()
            except StudyWriteError as e:
                print(e.errno, e)
            assert sorted(os.listdir()) == ['before', 'f'], os.listdir()
        assert open('f').read() == 'old'
        print(_arrays.load_arrays('before'))
        """,
        tmp_path,
    )
    assert done.stdout.count('27 Cannot write') == done.stdout.count('EFBIG') == 3, done
    assert done.stdout.count('is intact') == 3 and 'bytes needed' in done.stdout
    assert 'array([0, 1, 2, 3, 4])' in done.stdout


def test_disk_full(tmp_path):
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=400k', 'none', str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip('mounting a small file system needs root')
    try:
        _arrays.save_arrays(tmp_path / 'before', {'x': np.arange(5)}, {})
        with pytest.raises(errors.StudyWriteError, match=r'ENOSPC.*bytes needed and \d+ free.*intact') as caught:
            _arrays.save_arrays(tmp_path / 'b', {'x': np.random.default_rng(0).random(1 << 16)}, {})
        assert caught.value.errno == 28 and isinstance(caught.value, OSError)
        assert os.listdir(tmp_path) == ['before']
        _arrays.save_arrays(tmp_path / 'b', {'x': np.arange(6)}, {})  # a retry that fits
        assert len(_arrays.load_arrays(tmp_path / 'before')[0]['x']) == 5
    finally:
        subprocess.run(['umount', str(tmp_path)], check=True)


@pytest.mark.parametrize('call', ['mkdir', 'rename', 'fsync'])
@pytest.mark.parametrize('code', [5, 13, 30, 122])  # EIO, EACCES, EROFS, EDQUOT
def test_each_call_may_fail(tmp_path, monkeypatch, call, code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(_arrays.os if call != 'fsync' else _files.os, call, fail)
        with pytest.raises(errors.StudyWriteError, match=os.strerror(code)) as caught:
            _arrays.save_arrays(tmp_path / 'b', {'x': np.arange(5)}, {})
    assert caught.value.errno == code and os.listdir(tmp_path) == []
    _arrays.save_arrays(tmp_path / 'b', {'x': np.arange(5)}, {})


@pytest.mark.parametrize('path', ['missing/b', 'file/b', 'x' * 300, 'nul\0', 'surrogate\udcff', 'back\\slash'])
def test_impossible_paths(tmp_path, path):
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(errors.StudyWriteError, match='intact'):
        _arrays.save_arrays(str(tmp_path) + '/' + path, {'x': np.arange(5)}, {})
    with pytest.raises(errors.StudyWriteError, match='intact'):
        _files.write_atomic(
            str(tmp_path) + '/' + path.replace('surrogate', 'missing/').replace('back', 'missing/'), b''
        )
    assert os.listdir(tmp_path) == ['file']


def test_no_file_descriptor_is_left_open(tmp_path):
    _arrays.save_arrays(tmp_path / 'warm', {'x': np.arange(5)}, {})
    before = len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else pytest.skip('no /proc')
    for i in range(5):
        _arrays.save_arrays(tmp_path / str(i), {'x': np.arange(5)}, {})
        _arrays.load_arrays(tmp_path / str(i))
    assert len(os.listdir('/proc/self/fd')) <= before + 1


# --- single files


def test_write_atomic_keeps_mode_and_link(tmp_path):
    target = tmp_path / 'a'
    _files.write_atomic(target, b'1')
    os.chmod(target, 0o640)
    os.symlink(target, tmp_path / 'link')
    _files.write_atomic(tmp_path / 'link', b'2')
    assert os.path.islink(tmp_path / 'link') and target.read_bytes() == b'2'
    assert target.stat().st_mode & 0o777 == 0o640 and sorted(os.listdir(tmp_path)) == ['a', 'link']


def test_read_bytes_is_bounded(tmp_path):
    (tmp_path / 'a').write_bytes(b'12345')
    assert _files.read_bytes(tmp_path / 'a', 5) == b'12345'
    with pytest.raises(errors.LimitError, match='4 bytes'):
        _files.read_bytes(tmp_path / 'a', 4)
    with pytest.raises(errors.LimitError):
        _files.read_bytes('/dev/zero', 10)


@pytest.mark.parametrize('text', [b'{"a":1,"a":2}', b'NaN', b'[Infinity]', b'1e999', b'[' * 100_000, b'\xff', b''])
def test_json_is_strict(text):
    with pytest.raises(ValueError):
        _files.unpack_json(text)


def test_trees_vanish_whole(tmp_path):
    os.makedirs(tmp_path / 'a' / 'b')
    (tmp_path / 'f').write_bytes(b'')
    _files.remove_tree_atomically(str(tmp_path / 'a'), str(tmp_path / 'f'), str(tmp_path / 'missing'))
    assert os.listdir(tmp_path) == []


def test_nothing_on_a_load_path_executes_data():
    forbidden = ('pickle', 'marshal', 'eval(', 'exec(', 'importlib', '__import__', 'allow_pickle')
    for module in (_arrays, _files):
        with open(module.__file__) as file:
            assert not [word for word in forbidden if word in file.read()]


def test_limits_are_not_needed_by_a_small_reader(tmp_path):
    """A forged length makes nothing large: the address space is bounded and the error is still ours."""
    forge(str(tmp_path / 'b'), {}, stamp(entry(shape=[1 << 36], bytes=4 << 36)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(errors.StudyCorruptError, match='at least'):
        _arrays.load_arrays(tmp_path / 'b')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 100_000  # kilobytes


def test_masked_arrays_are_refused(tmp_path):
    masked = np.ma.array([1.0, 2.0], mask=np.array([True, False]))
    with pytest.raises(errors.EncodeError, match=r"'w' is masked.*keep data and mask as two arrays"):
        _arrays.save_arrays(tmp_path / 'a', {'w': masked}, {})
