"""Values in files: a JSON document that is replaced whole, and large arrays in a folder beside it.

The folder `x.json.arrays` has one bundle per content, named by its digest; the document says which is its own.
So the rename that replaces the document switches both, a crash before it leaves the old pair, and what no
document names any more is removed afterwards.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from typing import Any

from pgjax._errors import DecodeError, StudyCorruptError, StudyLockedError, StudyNotFoundError, shorten
from pgjax._version import __version__
from pgjax.io._arrays import pack_bundle
from pgjax.io._bundle import Bundle
from pgjax.io._encode import Encoder
from pgjax.io._files import path_text, read_bytes, write_error
from pgjax.io._json import Unknown, check_limits, read_text, text_of
from pgjax.io._places import is_url, place_of, storage_of
from pgjax.io._stamp import document, stamps
from pgjax.io._storage import Storage
from pgjax.io._syntax import MAX_BYTES, MAX_DEPTH, MAX_NODES, Fault

LARGE = 1 << 16  # bytes from which an array lies beside the file
PATIENCE = 10.0  # seconds to wait for another writer of the same arrays
_DIGEST = re.compile('[0-9a-f]{64}')
_LOCK = 'lock'


def save(value: Any, path: str | os.PathLike[str], *, indent: int | None = None) -> None:
    """Writes `value` to a file that `load` reads, durably, or leaves what was there.

    Arrays of 64 KiB and more lie in the folder `<path>.arrays`; it belongs to the file and moves with it.

    Args:
      value: anything that `to_json` can store.
      path: the file, or its URL (`gs://bucket/x.json`); what was there is replaced in one step.
      indent: spaces per level of the JSON text, for human readers, at most 100; None for one line.

    Raises:
      EncodeError, CycleError: it cannot be stored; nothing is written.
      FieldTypeError, FieldValueError: `path` is no path, or `indent` no such number; nothing is written.
      StudyWriteError: the file cannot be written; its old content is intact.
      StudyLockedError: another process has been writing the same arrays for 10 s.

    >>> import pgjax.io, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   pgjax.io.save({'a': (1, 2)}, folder + '/x.json')
    ...   pgjax.io.load(folder + '/x.json')
    {'a': (1, 2)}
    """
    data, bundle = pack(value, indent)
    write(path, data, bundle)


def pack(value: Any, indent: int | None = None) -> tuple[bytes, Bundle | None]:
    """The content of the file for `value`, and the arrays beside it if any are large."""
    encoder = Encoder(LARGE)
    root, table = encoder.encode(value)
    head, bundle = stamps(True), None
    if encoder.aside:
        bundle = pack_bundle(encoder.aside, {}, writer=f'pgjax {__version__}')
        head['_arrays'] = bundle.digest
    return text_of(document(root, table, head), indent).encode() + b'\n', bundle


def write(path: str | os.PathLike[str], data: bytes, bundle: Bundle | None) -> None:
    """Puts a packed value in place of the file at `path`."""
    files, name = storage_of(_resolved(path, writing=True), writing=True)
    folder = arrays_folder(name)
    if bundle is None and not _has_arrays(files, folder):
        files.write(name, data)
        return
    with _locked(files, folder):
        if bundle is not None:
            _write_arrays(files, f'{folder}/{bundle.digest}', bundle)
        files.write(name, data)
        files.remove_leftovers(folder)
        own = bundle.digest if bundle is not None else ''
        files.remove(*(f'{folder}/{other}' for other in files.names(folder) if other not in (_LOCK, own)))


def _has_arrays(files: Storage, folder: str) -> bool:
    with contextlib.suppress(NotADirectoryError):
        return bool(files.names(folder))
    return False


def _resolved(path: str | os.PathLike[str], *, writing: bool = False) -> str:
    """The place of a file: where a symbolic link leads to, since the arrays lie there."""
    place = place_of(path, writing=writing)
    if writing and path_text(path).endswith('/'):  # the place has lost it, and `load` would look for a folder
        raise write_error(path, ValueError('a path that ends with a slash names a folder'))
    return place if is_url(place) else os.path.realpath(place)


def arrays_folder(path: str) -> str:
    """The folder of a file's large arrays."""
    return f'{path}.arrays'


@contextlib.contextmanager
def _locked(files: Storage, folder: str) -> Iterator[None]:
    """Holds the lock of a folder of arrays, so that no writer removes what another has just written."""
    files.prepare(folder)
    lock = files.lock(f'{folder}/{_LOCK}')
    last_try = time.monotonic() + PATIENCE
    while True:
        try:
            lock.acquire()
            break
        except StudyLockedError:
            if time.monotonic() > last_try:
                raise
            time.sleep(0.01)
    try:
        yield
    finally:
        lock.release()


def _write_arrays(files: Storage, name: str, bundle: Bundle) -> None:
    """Writes a bundle unless it is there, whole: the name ends with its digest."""
    if files.has(name):
        try:
            files.load_bundle(name, bundle.digest)  # every byte, or saving again could not mend what is damaged
            return
        except StudyCorruptError:
            files.remove(name)
    files.write_bundle(name, bundle)


def load(
    path: str | os.PathLike[str],
    *,
    unknown: Unknown = 'error',
    max_depth: int = MAX_DEPTH,
    max_nodes: int = MAX_NODES,
    max_bytes: int = MAX_BYTES,
) -> Any:
    """The value in a file that `save` wrote; nothing in the file is executed.

    Args:
      path: the file, or its URL. Nothing but it and its folder of arrays is opened.
      unknown: 'error', or 'keep' for `UnknownObject` in place of objects whose classes are not registered.
      max_depth: most levels of nesting.
      max_nodes: most values in the document.
      max_bytes: longest document.

    Raises:
      StudyNotFoundError: there is no file.
      DecodeError: it is no such document; the message names file and JSON path. Its subclasses, and errors of
        fields and versions, are those of `from_json`.
      StudyCorruptError: its arrays are missing or damaged.

    >>> import pgjax as pg, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   pg.save({'widths': [64, 32]}, f'{folder}/x.json')
    ...   pg.load(f'{folder}/x.json').widths
    [64, 32]
    """
    name = path_text(path)
    check_limits(max_bytes=max_bytes)
    data = _read(name, max_bytes)
    for _ in range(20):
        try:
            return read_text(data, unknown, max_depth, max_nodes, max_bytes, name, _ArraysOf(name))
        except StudyCorruptError:
            newer = _read(name, max_bytes)  # a writer may have replaced both meanwhile
            if newer == data:
                raise
            data = newer
    raise StudyCorruptError(f'{shorten(name, 200)} is being replaced again and again; its arrays could not be read.')


def _read(path: str, limit: int) -> bytes:
    try:
        if is_url(path):
            files, name = storage_of(path)
            return files.read(name, limit)
        return read_bytes(path, limit)
    except StudyNotFoundError:  # a URL that means nothing, or is out of reach
        raise
    except FileNotFoundError:
        raise StudyNotFoundError(f'There is no file {shorten(path, 200)}. Check the path.') from None
    except (OSError, ValueError) as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f'{shorten(path, 200)} cannot be read: {shorten(str(error), 200)}.') from error


class _ArraysOf:
    """Reads the arrays beside a file by the digest in its document."""

    def __init__(self, path: str):
        self._path = path

    def __call__(self, digest: Any) -> dict[str, Any]:
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise Fault(DecodeError, 'the digest of the arrays beside the file is no SHA-256.', '_arrays')
        files, name = storage_of(_resolved(self._path))
        bundle = f'{arrays_folder(name)}/{digest}'
        if not files.has(bundle):
            raise StudyCorruptError(
                f'{shorten(files.where(name), 160)}: its arrays are not in {shorten(files.where(bundle), 200)}. That '
                'folder belongs to the file: copy and move them together.'
            )
        return files.load_bundle(bundle, digest)[0]
