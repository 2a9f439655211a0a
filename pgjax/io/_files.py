"""Files that are replaced whole or not at all, and strict JSON bytes.

The order is always: write beside the target, sync, rename over it, sync the folder. A crash at any point
leaves either what was there before or what was to be there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import stat
from typing import Any

from pgjax._errors import EncodeError, FieldTypeError, LimitError, StudyNotFoundError, StudyWriteError, shorten, show

TEMPORARY = '.tmp'  # the end of the name of what is not finished
TRASH = '.trash-'  # the start of the name of what is being deleted
_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OUT_OF_REACH = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)
_ENCODERS = {  # `_check_keys` has found the circles
    sort: json.JSONEncoder(sort_keys=sort, separators=(',', ':'), allow_nan=False, check_circular=False)
    for sort in (False, True)
}
_SCALARS = (str, int, float, type(None))
_OS_ERROR_CODE = re.compile(r"os_error_code='(\d+)'")
_URL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')


def path_text(path: str | os.PathLike[str]) -> str:
    """A path as text; raises FieldTypeError for what is no path, such as an open file or its number.

    >>> import pathlib
    >>> path_text(pathlib.Path('runs/x.json'))
    'runs/x.json'
    """
    try:
        return os.fsdecode(path)
    except TypeError:
        what = f'A path is a string or an os.PathLike, such as "runs/x.json"; got {type(path).__name__} {show(path)}.'
        raise FieldTypeError(what) from None


def storable_path(path: str | os.PathLike[str]) -> str:
    """`path` made absolute, if TensorStore can write there.

    Raises:
      StudyWriteError: it is a URL, which would become a folder of that name, it holds a NUL or a backslash (which
        would be read as a slash), or is no UTF-8.
    """
    plain = path_text(path)
    whole = os.path.abspath(plain)
    try:
        whole.encode()
        if _URL.match(plain):
            raise ValueError('this is kept in folders only, not at URLs; mount the bucket, or copy what a folder holds')
        if '\0' in whole or (os.sep == '/' and '\\' in whole):
            raise ValueError('a path must not hold a NUL or a backslash')
    except ValueError as error:
        raise write_error(path, error) from error
    return whole


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Replaces the file at `path` by `data`, durably, or leaves it as it was.

    Args:
      path: the file; a symbolic link is followed, the mode of an existing file is kept.
      data: its new content.

    Raises:
      FieldTypeError: `path` is no path.
      StudyWriteError: it cannot be written, or is a folder or a device; the old content is intact.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomic(os.path.join(folder, 'a.json'), b'{}')
    ...     read_bytes(os.path.join(folder, 'a.json'), limit=10)
    b'{}'
    """
    plain, temporary = path_text(path), None
    try:
        target = os.path.realpath(plain)
        _check_replaceable(plain, target)
        temporary = os.path.join(os.path.dirname(target), f'.{secrets.token_hex(8)}{TEMPORARY}')
        with open(temporary, 'xb') as file:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), os.stat(target).st_mode & 0o7777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        fsync_directory(os.path.dirname(target))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise write_error(path, error, len(data)) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # gone already unless something above failed


def _check_replaceable(path: str, target: str) -> None:
    """Refuses what a rename would destroy or cannot become: a device such as /dev/null, a pipe, a folder."""
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(target).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise ValueError('it is a device, a pipe or a socket, which no file may replace')
    if path.endswith(os.sep):
        raise ValueError('a path that ends with a slash names a folder')


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """The content of the file at `path`, at most `limit` bytes.

    Raises:
      LimitError: the file is longer.
      OSError: it cannot be read.
    """
    with open(path, 'rb', opener=_open_at_once) as file:
        data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
        if len(data) <= limit and (more := file.read(limit + 1 - len(data))):  # it grew, or has no size
            data += more
    if len(data) > limit:
        raise LimitError(f'{os.fspath(path)} is longer than the {limit} bytes allowed here.')
    return data


def _open_at_once(path: str, flags: int) -> int:
    """Opens a named pipe without a writer as an empty file, where `os.open` would wait for one without end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def fsync_directory(path: str) -> None:
    """Makes the names in the folder `path` durable; nothing where a file system has no such call."""
    _fsync(path, os.O_DIRECTORY)


def fsync_tree(folder: str) -> None:
    """Makes everything in `folder` durable: the content of its files, then all names."""
    for path, _, files in os.walk(folder, topdown=False):
        for file in files:
            _fsync(os.path.join(path, file))
        fsync_directory(path)


def _fsync(path: str, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def remove_tree_atomically(*paths: str) -> None:
    """Removes files or folders so that none is ever seen half deleted; missing ones are skipped.

    Each is renamed to a trash name beside it, the renames are made durable, and only then is anything
    deleted. What a crash leaves under a trash name, `remove_leftovers` deletes.

    Raises:
      StudyWriteError: one cannot be renamed or deleted.
    """
    trash = []
    try:
        for path in paths:
            away = os.path.join(os.path.dirname(path), TRASH + secrets.token_hex(8))
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, away)
                trash.append(away)
        for folder in {os.path.dirname(away) for away in trash}:
            fsync_directory(folder)
    except OSError as error:
        raise write_error(error.filename or paths[0], error) from error
    for away in trash:
        _delete(away)


def remove_leftovers(folder: str) -> None:
    """Deletes unfinished and trashed entries of `folder`; call it only while no one else writes there."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.endswith(TEMPORARY) or name.startswith(TRASH):
                _delete(os.path.join(folder, name))


def _delete(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)


def write_error(path: str | os.PathLike[str], error: BaseException, needed: int = 0) -> StudyWriteError:
    """The error for a failed write, from an OSError or from the text of a TensorStore error.

    Args:
      path: what was to be written.
      error: what went wrong.
      needed: the number of bytes that were to be written, if known.
    """
    code = error_code(error)
    cause = shorten(str(error), 160) if code is None else _words_of(code)
    room = f', {needed} bytes needed and {_free(path)} free' if needed and code in _OUT_OF_SPACE else ''
    name = shorten(os.fspath(path).encode(errors='replace').decode(), 160)
    wrapped = StudyWriteError(
        f'Cannot write {name}: {cause}{room}. What was saved before is intact; make room or mend the '
        'path or its permissions, then save again.'
    )
    wrapped.errno, wrapped.filename = code, os.fspath(path)
    return wrapped


def read_error(path: str | os.PathLike[str], error: BaseException) -> StudyNotFoundError | None:
    """The error for what may be intact but is out of reach for now; None if it is missing or damaged."""
    code = error_code(error)
    if code not in _OUT_OF_REACH:
        return None
    name = shorten(os.fspath(path), 200)
    return StudyNotFoundError(f'{name} cannot be read: {_words_of(code)}. It may be intact: mend that, and try again.')


def error_code(error: BaseException) -> int | None:
    """The number of an OSError, or of the one that a TensorStore error tells of in its text."""
    if isinstance(error, OSError):
        return error.errno
    found = _OS_ERROR_CODE.search(str(error))
    return int(found[1]) if found else None


def _words_of(code: int) -> str:
    return f'{errno.errorcode.get(code, code)} ({os.strerror(code)})'


def _free(path: str | os.PathLike[str]) -> str:
    folder = os.path.abspath(path)
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    try:
        return str(shutil.disk_usage(folder).free)
    except OSError:
        return 'an unknown number'


def pack_json(value: Any, *, sort_keys: bool = True) -> bytes:
    """Canonical JSON: one text for equal values, keys sorted, ASCII, no NaN.

    Args:
      value: of JSON's types.
      sort_keys: False keeps them in their order, which in a space is that of the decisions.

    Raises:
      EncodeError: `value` is not JSON (a NaN, a key that is no string, an object).

    >>> pack_json({'b': [1, 2.5], 'a': None})
    b'{"a":null,"b":[1,2.5]}'
    """
    try:
        _check_keys(value)
        return _ENCODERS[sort_keys].encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodeError(f'{show(value)} cannot be stored as JSON: {error}.') from error


def _check_keys(value: Any) -> None:
    """Raises TypeError for a key that is no string, which the json module would quietly turn into one."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError('a key is not a string')
        value = value.values()
    elif isinstance(value, _SCALARS):
        return
    for item in value:
        if not isinstance(item, _SCALARS):
            _check_keys(item)


def unpack_json(data: bytes) -> Any:
    """The value of strict JSON: no duplicate keys, no NaN, no infinity, no overflow.

    Raises:
      ValueError: anything else.
    """
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError('the JSON is nested too deeply') from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(made := dict(pairs)) != len(pairs):
        raise ValueError('a key occurs twice')
    return made


def _refuse(literal: str) -> Any:
    raise ValueError(f'{literal} is not JSON')


def _finite(literal: str) -> float:
    if (value := float(literal)) in (float('inf'), float('-inf')):
        raise ValueError(f'{literal} is too large')
    return value
