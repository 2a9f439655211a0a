"""The database of a bundle: one OCDBT database on any key-value store, written in one atomic transaction.

What a bundle is, and what of it is computed before, stands in `_arrays`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from pgjax._errors import StudyCorruptError, StudyVersionError, shorten, show
from pgjax.io._files import read_error, unpack_json

FORMAT = 'pgjax bundle'
VERSION = 2
_CHECKSUMMED = 1  # up to this version TensorStore, too, kept a checksum of each array
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


def digests(blobs: Sequence[np.ndarray]) -> list[str]:
    """SHA-256 of each, the large ones side by side: hashlib lets other threads run."""

    def digest(blob: np.ndarray) -> str:
        return hashlib.sha256(blob.data).hexdigest()

    if sum(blob.size >= LARGE for blob in blobs) < 2:
        return list(map(digest, blobs))
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(digest, blobs))


def tensorstore() -> Any:
    """The module, imported when it is first needed: it costs 0.2 s, which `import pgjax` should not."""
    import tensorstore

    return tensorstore


@dataclasses.dataclass(frozen=True)
class Base:
    """Where a database is.

    Attributes:
      path: for messages.
      spec: of the key-value store, as JSON; its path ends with a slash, or is empty.
      context: the `tensorstore.Context` that it is opened in.
    """

    path: str
    spec: Mapping[str, Any]
    context: Any

    @classmethod
    def folder(cls, path: str, context: Mapping[str, Any] | None = None) -> Base:
        """A local folder, opened in a context of its own."""
        return cls(path, {'driver': 'file', 'path': path + '/'}, tensorstore().Context(dict(context or {})))


def commit(base: Base, bundle: Bundle) -> None:
    """Writes `bundle` to an empty `base`: its data first, then the manifest of the database, which publishes it."""
    ts = tensorstore()
    transaction = ts.Transaction(atomic=True)
    writes = [
        ts.open(array_spec(base, name, blob.size), create=True, context=base.context, transaction=transaction)
        .result()
        .write(blob, can_reference_source_data_indefinitely=True)
        for name, blob in bundle.blobs.items()
    ]
    store = ts.KvStore.open(_database(base), context=base.context).result()
    store.with_transaction(transaction).write(_MANIFEST, bundle.header).result()
    transaction.commit_sync()
    for write in writes:
        write.result()


def _database(base: Base) -> dict[str, Any]:
    return {'driver': 'ocdbt', 'base': dict(base.spec)}


def array_spec(base: Base, name: str, size: int, version: int = VERSION) -> dict[str, Any]:
    """uint8[size] in one chunk. A lost chunk must not read as zeros, hence the two fill options.

    There is no checksum codec: the SHA-256 in the manifest says more, and the codec costs a quarter of the CPU time.
    """
    checksum = [{'name': 'crc32c'}] if version <= _CHECKSUMMED else []
    return {
        'driver': 'zarr3',
        'kvstore': {**_database(base), 'path': name},
        'metadata': {
            'shape': [size],
            'data_type': 'uint8',
            'chunk_grid': {'name': 'regular', 'configuration': {'chunk_shape': [size]}},
            'chunk_key_encoding': {'name': 'default'},
            'codecs': [{'name': 'bytes'}, *checksum],
            'fill_value': 0,
        },
        'fill_missing_data_reads': False,
        'store_data_equal_to_fill_value': True,
    }


def read_bundle(base: Base, expected: str | None, room: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and the attributes, every byte checked.

    Args:
      base: where they are.
      expected: the digest, or None for any.
      room: the bytes that are there; nothing larger is allocated.

    Raises:
      StudyCorruptError, StudyVersionError: as `load_arrays`.
    """
    path = base.path
    with corrupt(path):
        manifest = _read_manifest(base, expected)
        entries = [_Entry.parse(path, entry) for entry in _expect(path, manifest['arrays'], list)]
        blobs = _read_blobs(base, entries, room, manifest['version'])
        for entry, found in zip(entries, digests(blobs), strict=True):
            if found != entry.sha256:
                raise damage(path, f'array {show(entry.name)}: SHA-256', entry.sha256[:16], found[:16])
        arrays = {e.name: e.array(path, blob) for e, blob in zip(entries, blobs, strict=True)}
        if len(arrays) != len(entries):
            raise damage(path, 'manifest', 'each name once', 'a name that occurs twice')
        return arrays, manifest['attributes']


def read_attributes(base: Base, expected: str | None) -> dict[str, Any]:
    """The attributes, checked, without reading the arrays."""
    with corrupt(base.path):
        return _read_manifest(base, expected)['attributes']


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
            raise damage(path, 'manifest', f'the fields {sorted(fields)} of an array', show(entry))
        name, key, shape = entry['name'], entry['key'], entry['shape']
        sizes = [*shape, entry['bytes']] if isinstance(shape, list) else [None]
        if not all(type(size) is int and 0 <= size < 1 << 62 for size in sizes) or len(sizes) > 33:
            raise damage(path, f'array {show(name)}', 'a shape and a length', show([shape, entry['bytes']]))
        if not all(isinstance(entry[field], str) for field in ('name', 'dtype', 'sha256')):
            raise damage(path, f'array {show(name)}', 'names', show(entry))
        if (dtype := DTYPES.get(entry['dtype'])) is None or (key is not None and key not in KEYS):
            raise damage(path, f'array {show(name)}', 'a known dtype', show([entry['dtype'], key]))
        if entry['bytes'] != (length := math.prod(shape) * dtype.itemsize):
            raise damage(path, f'array {show(name)}: bytes', f'{length} for its shape', entry['bytes'])
        return cls(name, dtype, tuple(shape), key, length, entry['alone'] is True, entry['sha256'])

    def array(self, path: str, blob: np.ndarray) -> Any:
        """The array whose bytes are `blob`, which it takes over if they were stored alone."""
        if self.dtype == bool and blob.size and blob.max() > 1:
            raise damage(path, f'array {show(self.name)}', 'bytes 0 and 1 for bool', blob.max())
        owned = blob if self.alone and blob.flags.writeable else blob.copy()
        array = owned.view(self.dtype).reshape(self.shape)
        if self.key is None:
            return array
        import jax

        return jax.random.wrap_key_data(jax.numpy.asarray(array), impl=self.key)


def _read_manifest(base: Base, expected: str | None) -> dict[str, Any]:
    """The manifest, checked against its digest."""
    path = base.path
    header = tensorstore().KvStore.open(_database(base), context=base.context).result().read(_MANIFEST).result().value
    stored, _, manifest = header.partition(b'\n')
    found = hashlib.sha256(manifest).hexdigest()
    if stored != found.encode() or (expected is not None and found != expected):
        wanted = expected if expected is not None else stored.decode('ascii', 'replace')
        raise damage(path, 'manifest: SHA-256', wanted[:16] or 'one', found[:16])
    content = _expect(path, unpack_json(manifest), dict)
    if content.get('format') != FORMAT or type(content.get('version')) is not int:
        raise damage(path, 'manifest: format', FORMAT, show(content.get('format')))
    if content['version'] > VERSION:
        raise StudyVersionError(
            f'{path} has bundle format {content["version"]}, written by {show(content.get("writer"))}; this '
            f'version of pgjax reads up to format {VERSION}. Install the newer version to read it.'
        )
    _expect(path, content.get('attributes'), dict)
    return content


def _read_blobs(base: Base, entries: Sequence[_Entry], room: int, version: int) -> list[np.ndarray]:
    """The bytes of each array. Nothing is read unless the files are as long as the manifest says."""
    needed = sum(entry.bytes for entry in entries)
    if needed > room:
        raise damage(base.path, 'files', f'at least {needed} bytes', room)
    packed = sum(entry.bytes for entry in entries if not entry.alone)
    sizes = [entry.bytes for entry in entries if entry.alone]
    names = [f'large/{i}/' for i in range(len(sizes))] + ['small/'] * bool(packed)
    ts = tensorstore()
    reads = [
        ts.open(array_spec(base, name, size, version), open=True, context=base.context).result().read()
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
        raise damage(path, 'manifest', f'a {kind.__name__}', show(value))
    return value


def damage(path: str, where: str, expected: Any, found: Any) -> StudyCorruptError:
    return StudyCorruptError(
        f'{shorten(path, 200)} is damaged: {where}: expected {expected}, found {found}. Restore it from a '
        'copy, or use an earlier one.'
    )


@contextlib.contextmanager
def corrupt(path: str) -> Iterator[None]:
    """Turns what reading raises into StudyCorruptError, or StudyNotFoundError for files that are out of reach."""
    try:
        yield
    except (StudyCorruptError, StudyVersionError, MemoryError):
        raise
    except Exception as error:  # TensorStore has no error type of its own, and JAX refuses bad key data
        found = shorten(f'{type(error).__name__}: {error}', 240)
        raise read_error(path, error) or damage(path, 'files', 'a bundle', found) from error
