"""A bundle: one folder that holds named arrays and a JSON dict, written once and never changed.

It is one TensorStore OCDBT database, committed in one atomic transaction. Arrays are stored as their bytes:
a large one alone, all small ones packed into one, since a file or a Zarr array per leaf would cost more than
the data. A manifest in the same transaction has the shape, dtype, length and SHA-256 of each, and begins
with its own SHA-256, the bundle's digest. Nothing in a bundle names a path, a driver or code.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pgjax._errors import EncodeError, StudyExistsError, TopologyError, show
from pgjax.io._bundle import (
    DTYPES,
    FORMAT,
    KEYS,
    LARGE,
    VERSION,
    Base,
    Bundle,
    commit,
    corrupt,
    damage,
    digests,
    read_attributes,
    read_bundle,
)
from pgjax.io._files import TEMPORARY, fsync_directory, fsync_tree, pack_json, storable_path, write_error

_NAMES = {dtype: name for name, dtype in DTYPES.items()}  # `dtype.name` takes 10 us


class HostArray(NamedTuple):
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


def to_host(arrays: Mapping[str, Any], *, copy: bool = False) -> dict[str, HostArray]:
    """The bytes of each array, fetched from the devices all at once; what is host data already stays.

    A search waits for this, hence what is asked of each array is little: some microseconds.

    Args:
      arrays: NumPy and JAX arrays, typed PRNG key arrays, numbers, or results of this function.
      copy: whether to copy what would share memory with the caller, who may then change or donate it.

    Raises:
      EncodeError: a name is not a string, a dtype has no stored form, or an array is masked.
      TopologyError: an array lies on other processes' devices too.
    """
    kinds: dict[str, str] = {}
    if (jax := sys.modules.get('jax')) is not None:  # without it there are no JAX arrays
        arrays, kinds = _numbers(jax, arrays)
    return {name: _bytes_of(name, value, kinds.get(name), copy) for name, value in arrays.items()}


def _numbers(jax: Any, arrays: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays, on their way to the host, with the numbers in place of keys; and the kinds of these keys."""
    kinds, result, kind_of_array = {}, dict(arrays), jax.Array
    alone, remote = jax.process_count() == 1, jax.default_backend() != 'cpu'
    for name, value in arrays.items():
        if not isinstance(value, kind_of_array):
            continue
        if not (alone or value.is_fully_addressable or value.is_fully_replicated):
            raise TopologyError(
                f'Array {show(name)} is spread over several processes; gather it, or save only the part '
                'in `addressable_shards`.'
            )
        if not isinstance(value.dtype, np.dtype) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            if (kind := str(jax.random.key_impl(value))) not in KEYS:
                raise EncodeError(f'Array {show(name)} holds PRNG keys of kind {show(kind)}; stored are {KEYS}.')
            kinds[name], result[name] = kind, jax.random.key_data(value)
        if remote:  # what is there already costs 10 us an array to ask for
            result[name].copy_to_host_async()
    return result, kinds


def _bytes_of(name: Any, value: Any, key: str | None, copy: bool) -> HostArray:
    if not isinstance(name, str):
        raise EncodeError(f'An array must be named by a string; got {show(name)}.')
    if isinstance(value, HostArray):
        return value
    array = np.asarray(value)
    if array is not value and isinstance(value, np.ma.MaskedArray):
        raise EncodeError(
            f'Array {show(name)} is masked, and its mask would be lost; keep data and mask as two arrays.'
        )
    if (called := _NAMES.get(array.dtype) or _native_name(array.dtype)) is None:
        raise EncodeError(f'Array {show(name)} has dtype {array.dtype}, which cannot be stored.')
    if copy or not array.flags.c_contiguous or array.dtype is not DTYPES[called]:
        array = np.array(array, DTYPES[called], order='C', copy=True if copy else None)
    return HostArray(called, array.shape, array.reshape(-1).view(np.uint8), key)


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
    found = digests([array.data for array in host.values()])
    entries = [
        {'name': name, 'dtype': array.dtype, 'shape': list(array.shape), 'key': array.key,
         'bytes': array.data.size, 'alone': name in alone, 'sha256': digest}
        for (name, array), digest in zip(host.items(), found, strict=True)
    ]  # fmt: skip
    stamp = {'format': FORMAT, 'version': VERSION, 'writer': writer}
    manifest = pack_json({**stamp, 'attributes': dict(attributes), 'arrays': entries}, sort_keys=False)
    digest = hashlib.sha256(manifest).hexdigest()
    return Bundle(digest, digest.encode() + b'\n' + manifest, blobs)


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
        commit(Base.folder(temporary, {'file_io_sync': False}), bundle)
        fsync_tree(temporary)  # once a file: TensorStore syncs each when it is named, and the manifest twice
        os.rename(temporary, path)
        temporary, parent = path, os.path.dirname(path)  # from here a failure takes the new name away
        fsync_directory(parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if not isinstance(error, Exception) or isinstance(error, MemoryError):
            raise
        needed = len(bundle.header) + sum(blob.size for blob in bundle.blobs.values())
        raise write_error(path, error, needed) from error  # TensorStore has no error type of its own


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
      StudyNotFoundError: it is out of reach, as without permission or with too many files open.
      StudyVersionError: a newer version wrote it.
    """
    path = os.path.abspath(os.fspath(path))
    return read_bundle(Base.folder(path), expected_digest, _room(path))


def load_attributes(path: str | os.PathLike[str], expected_digest: str | None = None) -> dict[str, Any]:
    """The attributes of a bundle, checked, without reading its arrays; raises as `load_arrays`."""
    path = os.path.abspath(os.fspath(path))
    _room(path)
    return read_attributes(Base.folder(path), expected_digest)


def _room(path: str) -> int:
    """The bytes of all files of the folder, which must be regular ones."""
    with corrupt(path):
        room = 0
        for folder, folders, files in os.walk(path, onerror=_raise):
            for name in folders + files:
                status = os.lstat(os.path.join(folder, name))
                if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                    raise damage(path, show(name), 'a regular file', 'a link or a special file')
                room += status.st_size if stat.S_ISREG(status.st_mode) else 0
        return room


def _raise(error: OSError) -> None:
    raise error
