"""What a path means: a local folder, or a URL of a key-value store.

`runs/digits`, `/runs/digits` and `file:///runs/digits` are local paths; `memory://name/...` is the memory of this
process; `gs://bucket/...` and `s3://bucket/...` are buckets.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from pgjax._errors import StudyNotFoundError, StudyWriteError, shorten, show
from pgjax.io._files import path_text, storable_path, write_atomic as write_local
from pgjax.io._key_value_storage import KeyValueStorage
from pgjax.io._local_storage import LocalStorage
from pgjax.io._storage import Storage

_URL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')
_BUCKETS = {'gs': 'gcs', 's3': 's3'}
SCHEMES = 'file:///path, memory://name/path, gs://bucket/path and s3://bucket/path'


def place_of(path: str | os.PathLike[str], *, writing: bool = True) -> str:
    """`path` as an absolute path, or as a URL in its normal form: a small scheme, no slash at its end.

    Args:
      path: a local path or a URL.
      writing: whether it will be written to; then errors say so, and a local path must be one for TensorStore too.

    Raises:
      StudyWriteError, or StudyNotFoundError if not `writing`: it means no place.

    >>> place_of('gs://bucket/runs/'), place_of('file:///runs/a%20b')
    ('gs://bucket/runs', '/runs/a b')
    """
    plain = path_text(path)
    if is_url(plain):
        try:
            plain = _normal(plain)
        except ValueError as error:
            verb, kind = ('write', StudyWriteError) if writing else ('read', StudyNotFoundError)
            raise kind(f'Cannot {verb} {shorten(plain, 160)}: {error}') from error
    if is_url(plain):
        return plain
    return storable_path(plain) if writing else os.path.abspath(plain)


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether it is a URL, which no operating system opens."""
    return _URL.match(path_text(path)) is not None


def storage_at(path: str | os.PathLike[str], *, writing: bool = False) -> Storage:
    """The storage at a local path or a URL; raises as `place_of`, also where a URL cannot be opened."""
    place = place_of(path, writing=writing)
    if not is_url(place):
        return LocalStorage(place)
    try:
        return KeyValueStorage(place, _spec(place))
    except StudyNotFoundError as error:
        if not writing:
            raise
        raise StudyWriteError(str(error)) from error


def storage_of(file: str | os.PathLike[str], *, writing: bool = False) -> tuple[Storage, str]:
    """The storage around a file, and the name of the file in it; raises as `storage_at`."""
    around, _, name = place_of(file, writing=writing).rpartition('/')
    if around.endswith(':/'):
        kind = StudyWriteError if writing else StudyNotFoundError
        raise kind(f'{around}/{name} is a whole store, not a file. Name a file in it: {around}/{name}/file.json')
    return storage_at(around or '/', writing=writing), name


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Replaces the file at `path` by `data`, durably, or leaves it as it was.

    Args:
      path: the file, or the URL of an object; a symbolic link is followed, the mode of an existing file is kept.
      data: its new content.

    Raises:
      StudyWriteError: it cannot be written; the old content is intact.

    >>> write_atomic('memory://example/a.json', b'{}')
    >>> storage_at('memory://example').read('a.json', limit=10)
    b'{}'
    """
    if not is_url(path):
        write_local(path, data)
        return
    files, name = storage_of(path, writing=True)
    files.write(name, data)


def _normal(url: str) -> str:
    """The normal form of a URL, or a local path; raises ValueError."""
    scheme, _, rest = url.partition('://')
    if (scheme := scheme.lower()) == 'file':
        host, slash, local = rest.partition('/')
        if host not in ('', 'localhost') or not local:
            raise ValueError('the URL of a local path is file:///path, with three slashes.')
        return slash + urllib.parse.unquote(local)
    if scheme not in ('memory', *_BUCKETS):
        raise ValueError(
            f'{show(scheme)} is no scheme for studies; {SCHEMES} are, and local paths. For another kind of storage, '
            'mount it as a folder.'
        )
    parts = rest.rstrip('/').split('/')
    if any(part in ('', '.', '..') for part in parts) or not rest.isprintable():
        raise ValueError(f'after {scheme}:// come names, parted by single slashes, none of them . or ..')
    return f'{scheme}://{"/".join(parts)}'


def _spec(url: str) -> Mapping[str, Any]:
    """The key-value store of a URL in its normal form, as TensorStore's JSON; nothing in it is decoded or expanded."""
    scheme, _, rest = url.partition('://')
    if scheme == 'memory':
        return {'driver': 'memory', 'path': f'{rest}/'}
    bucket, _, path = rest.partition('/')
    spec = {'driver': _BUCKETS[scheme], 'bucket': bucket, 'path': f'{path}/' if path else ''}
    endpoint = os.environ.get('AWS_ENDPOINT_URL_S3') or os.environ.get('AWS_ENDPOINT_URL')
    if scheme == 's3' and endpoint:
        region = os.environ.get('AWS_REGION') or os.environ.get('AWS_DEFAULT_REGION') or 'us-east-1'
        return {**spec, 'endpoint': endpoint, 'aws_region': region}
    return spec
