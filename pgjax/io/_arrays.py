"""A bundle: one folder that holds named arrays and a JSON dict, written once and never changed.

It is one TensorStore OCDBT database, committed in one atomic transaction. Arrays are stored as their bytes:
a large one alone, all small ones packed into one, since a file or a Zarr array per leaf would cost more than
the data. A manifest in the same transaction has the shape, dtype, length and SHA-256 of each, and begins
with its own SHA-256, the bundle's digest. Nothing in a bundle names a path, a driver or code.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import math
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from pgjax._errors import (
    EncodeError,
    StudyCorruptError,
    StudyExistsError,
    StudyVersionError,
    TopologyError,
    shorten,
    show,
)
from pgjax.io._files import TEMPORARY, fsync_directory, pack_json, storable_path, unpack_json, write_error

FORMAT = 'pgjax bundle'
VERSION = 1
LARGE = 1 << 20  # bytes from which an array is stored alone, and written without being copied
KEYS = ('threefry2x32', 'rbg', 'unsafe_rbg')  # kinds of typed PRNG keys that can be stored
_MANIFEST = 'manifest.json'
_NUMPY = """
    bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128
"""
_ML_DTYPES = """
    bfloat16 int2 int4 uint2 uint4 float4_e2m1fn float6_e2m3fn float6_e3m2fn float8_e3m4 float8_e4m3
    float8_e4m3b11fnuz float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu
"""
DTYPES = {name: np.dtype(name) for name in _NUMPY.split()} | {
    name: np.dtype(getattr(ml_dtypes, name)) for name in _ML_DTYPES.split() if hasattr(ml_dtypes, name)
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}  # `dtype.name` takes 10 us


@dataclasses.dataclass(frozen=True)
class HostArray:
    """The bytes of one array, on the host.

    Attributes:
      dtype: a name in `DTYPES`.
      shape: of the array; of its data for a PRNG key array.
      data: uint8[bytes], contiguous.
      key: for a typed PRNG key array its kind, else None.
    """

    dtype: str
    shape: tuple[int, ...]
    data: np.ndarray
    key: str | None = None


@dataclasses.dataclass(frozen=True)
class Bundle:
    """What `write_bundle` writes: all that depends on the arrays is computed, nothing is on disk.

    Attributes:
      digest: SHA-256 of the manifest, in hex.
      header: the digest, a newline, and the manifest.
      blobs: by name in the database, uint8 arrays.
    """

    digest: str
    header: bytes
    blobs: Mapping[str, np.ndarray]


def to_host(arrays: Mapping[str, Any], *, copy: bool = False) -> dict[str, HostArray]:
    """The bytes of each array, fetched from the devices all at once; what is host data already stays.

    Args:
      arrays: NumPy and JAX arrays, typed PRNG key arrays, numbers, or results of this function.
      copy: whether to copy what would share memory with the caller, who may then change or donate it.

    Raises:
      EncodeError: a name is not a string, or a dtype has no stored form.
      TopologyError: an array lies on other processes' devices too.
    """
    fetched = {name: _unwrap(name, value) for name, value in arrays.items()}
    jax = sys.modules.get('jax')  # without it there are no JAX arrays
    if jax is not None and jax.default_backend() != 'cpu':  # what is there already costs 10 us an array to ask for
        for value, _ in fetched.values():
            if isinstance(value, jax.Array):
                value.copy_to_host_async()
    return {name: _bytes_of(name, value, key, copy) for name, (value, key) in fetched.items()}


def _unwrap(name: Any, value: Any) -> tuple[Any, str | None]:
    """`value`, or the numbers in a key array with the kind of the keys."""
    if not isinstance(name, str):
        raise EncodeError(f'An array must be named by a string; got {show(name)}.')
    jax = sys.modules.get('jax')
    if jax is None or not isinstance(value, jax.Array):
        return value, None
    if not (value.is_fully_addressable or value.is_fully_replicated):
        raise TopologyError(
            f'Array {show(name)} is spread over several processes; gather it, or save only the part '
            'in `addressable_shards`.'
        )
    if isinstance(value.dtype, np.dtype) or not jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
        return value, None
    if (kind := str(jax.random.key_impl(value))) not in KEYS:
        raise EncodeError(f'Array {show(name)} holds PRNG keys of kind {show(kind)}; stored are {KEYS}.')
    return jax.random.key_data(value), kind


def _bytes_of(name: str, value: Any, key: str | None, copy: bool) -> HostArray:
    if isinstance(value, HostArray):
        return value
    array = np.asarray(value)
    if (called := _NAMES.get(array.dtype) or _native_name(array.dtype)) is None:
        raise EncodeError(f'Array {show(name)} has dtype {array.dtype}, which cannot be stored.')
    flat = np.array(array, DTYPES[called], order='C', copy=True if copy else None).reshape(-1)
    return HostArray(called, array.shape, flat.view(np.uint8), key)


def _native_name(dtype: np.dtype) -> str | None:
    """The name of a dtype that has another byte order."""
    return dtype.name if dtype.name in DTYPES else None


def pack_bundle(arrays: Mapping[str, Any], attributes: Mapping[str, Any], *, writer: str = '') -> Bundle:
    """Lays out a bundle and computes its digests.

    Args:
      arrays: as for `to_host`.
      attributes: a JSON dict to store beside them.
      writer: what writes this, named in the message when a reader is too old.

    Raises:
      EncodeError, TopologyError: something has no stored form.
    """
    host = to_host(arrays)
    alone = {name: array.data for name, array in host.items() if array.data.size >= LARGE}
    small = [array.data for name, array in host.items() if name not in alone]
    packed = np.concatenate(small) if small else np.zeros(0, np.uint8)
    blobs = {f'large/{i}/': data for i, data in enumerate(alone.values())}
    blobs |= {'small/': packed} if packed.size else {}
    digests = _digests([array.data for array in host.values()])
    entries = [
        {'name': name, 'dtype': array.dtype, 'shape': list(array.shape), 'key': array.key,
         'bytes': array.data.size, 'alone': name in alone, 'sha256': digest}
        for (name, array), digest in zip(host.items(), digests, strict=True)
    ]  # fmt: skip
    stamp = {'format': FORMAT, 'version': VERSION, 'writer': writer}
    manifest = pack_json({**stamp, 'attributes': dict(attributes), 'arrays': entries})
    digest = hashlib.sha256(manifest).hexdigest()
    return Bundle(digest, digest.encode() + b'\n' + manifest, blobs)


def _digests(blobs: Sequence[np.ndarray]) -> list[str]:
    """SHA-256 of each, the large ones side by side: hashlib lets other threads run."""

    def digest(blob: np.ndarray) -> str:
        return hashlib.sha256(blob.data).hexdigest()

    if sum(blob.size >= LARGE for blob in blobs) < 2:
        return list(map(digest, blobs))
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(digest, blobs))


def write_bundle(path: str | os.PathLike[str], bundle: Bundle) -> None:
    """Writes `bundle` to the new folder `path`, whole and durable, or not at all.

    Safe to run in any thread. The arrays must not change until it returns.

    Raises:
      StudyExistsError: there is something at `path`.
      StudyWriteError: it cannot be written.
    """
    path = storable_path(path)
    if os.path.lexists(path):
        raise StudyExistsError(f'{path} exists; a bundle is written once. Choose another path.')
    temporary = f'{path}.{secrets.token_hex(4)}{TEMPORARY}'
    try:
        os.mkdir(temporary)
        _commit(temporary, bundle)
        for folder, _, _ in os.walk(temporary):
            fsync_directory(folder)
        os.rename(temporary, path)
        temporary, parent = path, os.path.dirname(path)  # from here a failure takes the new name away
        fsync_directory(parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if not isinstance(error, Exception) or isinstance(error, MemoryError):
            raise
        needed = len(bundle.header) + sum(blob.size for blob in bundle.blobs.values())
        raise write_error(path, error, needed) from error  # TensorStore has no error type of its own


def _commit(folder: str, bundle: Bundle) -> None:
    ts = _tensorstore()
    context, transaction = ts.Context(), ts.Transaction(atomic=True)
    writes = [
        ts.open(_array_spec(folder, name, blob.size), create=True, context=context, transaction=transaction)
        .result()
        .write(blob, can_reference_source_data_indefinitely=True)
        for name, blob in bundle.blobs.items()
    ]
    store = ts.KvStore.open(_store_spec(folder), context=context).result()
    store.with_transaction(transaction).write(_MANIFEST, bundle.header).result()
    transaction.commit_sync()
    for write in writes:
        write.result()


def _tensorstore() -> Any:
    import tensorstore  # costs 0.2 s, which `import pgjax` should not

    return tensorstore


def _store_spec(folder: str) -> dict[str, Any]:
    return {'driver': 'ocdbt', 'base': {'driver': 'file', 'path': folder + '/'}}


def _array_spec(folder: str, name: str, size: int) -> dict[str, Any]:
    """uint8[size] in one chunk. A lost chunk must not read as zeros, hence the two fill options."""
    return {
        'driver': 'zarr3',
        'kvstore': {**_store_spec(folder), 'path': name},
        'metadata': {
            'shape': [size],
            'data_type': 'uint8',
            'chunk_grid': {'name': 'regular', 'configuration': {'chunk_shape': [size]}},
            'chunk_key_encoding': {'name': 'default'},
            'codecs': [{'name': 'bytes'}, {'name': 'crc32c'}],
            'fill_value': 0,
        },
        'fill_missing_data_reads': False,
        'store_data_equal_to_fill_value': True,
    }


def save_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Any],
    attributes: Mapping[str, Any],
    *,
    writer: str = '',
) -> str:
    """Writes a bundle to the new folder `path`; see `pack_bundle` and `write_bundle`.

    Returns:
      Its digest, to be kept elsewhere and given to `load_arrays`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     digest = save_arrays(folder + '/one', {'x': np.arange(3)}, {'step': 1})
    ...     load_arrays(folder + '/one', digest)
    ({'x': array([0, 1, 2])}, {'step': 1})
    """
    bundle = pack_bundle(arrays, attributes, writer=writer)
    write_bundle(path, bundle)
    return bundle.digest


def load_arrays(
    path: str | os.PathLike[str], expected_digest: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads a bundle and checks every byte that it returns.

    Args:
      path: the folder.
      expected_digest: what `save_arrays` returned; by default any intact bundle will do.

    Returns:
      The arrays by name, of NumPy, writable and sharing nothing (key arrays are JAX's), and the attributes.

    Raises:
      StudyCorruptError: anything in it is missing, damaged or not what was expected.
      StudyVersionError: a newer version wrote it.
    """
    path = os.path.abspath(os.fspath(path))
    with _corrupt(path):
        manifest, room = _read_manifest(path, expected_digest)
        entries = [_Entry.parse(path, entry) for entry in _expect(path, manifest['arrays'], list)]
        blobs = _read_blobs(path, entries, room)
        for entry, found in zip(entries, _digests(blobs), strict=True):
            if found != entry.sha256:
                raise _damage(path, f'array {show(entry.name)}: SHA-256', entry.sha256[:16], found[:16])
        arrays = {e.name: e.array(path, blob) for e, blob in zip(entries, blobs, strict=True)}
        if len(arrays) != len(entries):
            raise _damage(path, 'manifest', 'each name once', 'a name that occurs twice')
        return arrays, manifest['attributes']


def load_attributes(path: str | os.PathLike[str], expected_digest: str | None = None) -> dict[str, Any]:
    """The attributes of a bundle, checked, without reading its arrays; raises as `load_arrays`."""
    path = os.path.abspath(os.fspath(path))
    with _corrupt(path):
        return _read_manifest(path, expected_digest)[0]['attributes']


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One array of a manifest; its length is known to fit its shape and dtype."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    key: str | None
    bytes: int
    alone: bool
    sha256: str

    @classmethod
    def parse(cls, path: str, entry: Any) -> _Entry:
        fields = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(entry, dict) or entry.keys() != fields:
            raise _damage(path, 'manifest', f'the fields {sorted(fields)} of an array', show(entry))
        name, key, shape = entry['name'], entry['key'], entry['shape']
        sizes = [*shape, entry['bytes']] if isinstance(shape, list) else [None]
        if not all(type(size) is int and 0 <= size < 1 << 62 for size in sizes) or len(sizes) > 33:
            raise _damage(path, f'array {show(name)}', 'a shape and a length', show([shape, entry['bytes']]))
        if not all(isinstance(entry[field], str) for field in ('name', 'dtype', 'sha256')):
            raise _damage(path, f'array {show(name)}', 'names', show(entry))
        if (dtype := DTYPES.get(entry['dtype'])) is None or (key is not None and key not in KEYS):
            raise _damage(path, f'array {show(name)}', 'a known dtype', show([entry['dtype'], key]))
        if entry['bytes'] != (length := math.prod(shape) * dtype.itemsize):
            raise _damage(path, f'array {show(name)}: bytes', f'{length} for its shape', entry['bytes'])
        return cls(name, dtype, tuple(shape), key, length, entry['alone'] is True, entry['sha256'])

    def array(self, path: str, blob: np.ndarray) -> Any:
        """The array whose bytes are `blob`, which it takes over if they were stored alone."""
        if self.dtype == bool and blob.size and blob.max() > 1:
            raise _damage(path, f'array {show(self.name)}', 'bytes 0 and 1 for bool', blob.max())
        owned = blob if self.alone and blob.flags.writeable else blob.copy()
        array = owned.view(self.dtype).reshape(self.shape)
        if self.key is None:
            return array
        import jax

        return jax.random.wrap_key_data(jax.numpy.asarray(array), impl=self.key)


def _read_manifest(path: str, expected: str | None) -> tuple[dict[str, Any], int]:
    """The manifest, checked against its digest, and the bytes that all files of the folder have."""
    room = 0
    for folder, folders, files in os.walk(path, onerror=_raise):
        for name in folders + files:
            status = os.lstat(os.path.join(folder, name))
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                raise _damage(path, show(name), 'a regular file', 'a link or a special file')
            room += status.st_size if stat.S_ISREG(status.st_mode) else 0
    header = _tensorstore().KvStore.open(_store_spec(path)).result().read(_MANIFEST).result().value
    stored, _, manifest = header.partition(b'\n')
    found = hashlib.sha256(manifest).hexdigest()
    if stored != found.encode() or (expected is not None and found != expected):
        wanted = expected if expected is not None else stored.decode('ascii', 'replace')
        raise _damage(path, 'manifest: SHA-256', wanted[:16] or 'one', found[:16])
    content = _expect(path, unpack_json(manifest), dict)
    if content.get('format') != FORMAT or type(content.get('version')) is not int:
        raise _damage(path, 'manifest: format', FORMAT, show(content.get('format')))
    if content['version'] > VERSION:
        raise StudyVersionError(
            f'{path} has bundle format {content["version"]}, written by {show(content.get("writer"))}; this '
            f'version of pgjax reads up to format {VERSION}. Install the newer version to read it.'
        )
    _expect(path, content.get('attributes'), dict)
    return content, room


def _read_blobs(path: str, entries: Sequence[_Entry], room: int) -> list[np.ndarray]:
    """The bytes of each array. Nothing is read unless the files are as long as the manifest says."""
    needed = sum(entry.bytes for entry in entries)
    if needed > room:
        raise _damage(path, 'files', f'at least {needed} bytes', room)
    packed = sum(entry.bytes for entry in entries if not entry.alone)
    sizes = [entry.bytes for entry in entries if entry.alone]
    names = [f'large/{i}/' for i in range(len(sizes))] + ['small/'] * bool(packed)
    ts = _tensorstore()
    context = ts.Context()
    reads = [
        ts.open(_array_spec(path, name, size), open=True, context=context).result().read()
        for name, size in zip(names, [*sizes, packed], strict=False)
    ]
    blobs = [read.result() for read in reads]
    small = blobs.pop() if packed else np.zeros(0, np.uint8)
    large, offset, found = iter(blobs), 0, []
    for entry in entries:
        if entry.alone:
            found.append(next(large))
        else:
            found.append(small[offset : offset + entry.bytes])
            offset += entry.bytes
    return found


def _expect(path: str, value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise _damage(path, 'manifest', f'a {kind.__name__}', show(value))
    return value


def _damage(path: str, where: str, expected: Any, found: Any) -> StudyCorruptError:
    return StudyCorruptError(
        f'{shorten(path, 200)} is damaged: {where}: expected {expected}, found {found}. Restore it from a '
        'copy, or use an earlier one.'
    )


@contextlib.contextmanager
def _corrupt(path: str) -> Iterator[None]:
    """Turns whatever reading damaged files raises into StudyCorruptError."""
    try:
        yield
    except (StudyCorruptError, StudyVersionError, MemoryError):
        raise
    except Exception as error:  # TensorStore has no error type of its own, and JAX refuses bad key data
        raise _damage(path, 'files', 'a bundle', shorten(f'{type(error).__name__}: {error}', 240)) from error


def _raise(error: OSError) -> None:
    raise error
