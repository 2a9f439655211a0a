"""A folder of experiments, each stored once under the hash of its content, some of them under names too.

experiments/<content hash>-<start of the file's SHA-256>.json      names/<quoted name>.json

Both kinds of files are replaced whole, an experiment's only by its equal, where it is damaged: so any number of
processes may save and load.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

from pgjax._errors import LimitError, PathError, StudyCorruptError, StudyNotFoundError, did_you_mean, shorten, show
from pgjax.io._content_hash import content_hash
from pgjax.io._files import read_bytes, storable_path, unpack_json, write_atomic, write_error
from pgjax.io._json import Unknown
from pgjax.io._persist import load, pack, write
from pgjax.io._syntax import MAX_BYTES

_FILE = re.compile(r'([0-9a-f]{64})-([0-9a-f]{16})\.json')
_HASH = re.compile('[0-9a-f]{64}')
_PREFIX = re.compile('[0-9a-f]{4,64}')
_MOST_NAME = 200  # bytes of a quoted name, which is a file name


class Repository:
    """Experiments in a folder, by content hash and by name.

    >>> import pgjax.io, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   repository = pgjax.io.Repository(folder)
    ...   digest = repository.save({'lr': 0.1}, name='baseline')
    ...   repository.load('baseline'), repository.load(digest[:8]), repository.names() == {'baseline': digest}
    ({'lr': 0.1}, {'lr': 0.1}, True)
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Opens the folder `path`; it is made at the first `save`."""
        self._path = storable_path(path)
        self._experiments = os.path.join(self._path, 'experiments')
        self._names = os.path.join(self._path, 'names')

    def __repr__(self) -> str:
        return f'Repository({self._path!r})'

    def save(self, experiment: Any, name: str | None = None) -> str:
        """Stores an experiment, unless it is there undamaged, and lets `name` mean it from now on.

        Returns:
          Its content hash.

        Raises:
          EncodeError, CycleError: it cannot be stored.
          PathError: the name is empty, too long, no UTF-8, or looks like a content hash.
          StudyWriteError: the folder cannot be written.
        """
        entry = self._name_file(name) if name is not None else None
        digest = content_hash(experiment)
        self._make_folders()
        data, bundle = pack(experiment)
        path = os.path.join(self._experiments, f'{digest}-{_checksum(data)}.json')
        stored = self._sound(digest)
        if stored is None or (bundle is not None and stored == path):  # `write` looks at the arrays beside it
            write(path, data, bundle)
        if entry is not None:
            write_atomic(entry, json.dumps({'name': name, 'hash': digest}).encode())
        return digest

    def load(self, which: str, *, unknown: Unknown = 'error') -> Any:
        """The experiment of a content hash, of a unique start of one (4 digits or more), or of a name.

        Raises:
          PathError: there is none, or several begin like that.
          StudyCorruptError: its file is damaged or missing; saving it again mends that.
          DecodeError: as `pg.load`.
        """
        digest = self.resolve(which)
        path = self._sound(digest)
        if path is None:
            place = shorten(os.path.join(self._experiments, f'{digest}-*.json'), 300)
            raise StudyCorruptError(
                f'{place} is missing or damaged: its SHA-256 is not the one in its name. Save again.'
            )
        return load(path, unknown=unknown)

    def resolve(self, which: str) -> str:
        """The content hash that a hash, a unique start of one or a name means; raises PathError."""
        if not isinstance(which, str):
            raise PathError(f'An experiment is named by its content hash or its name, not {show(which)}.')
        hashes = list(self)
        if which in hashes:
            return which
        names = self.names()
        if which in names:
            return names[which]
        found = [h for h in hashes if h.startswith(which)] if _PREFIX.fullmatch(which) else []
        if len(found) == 1:
            return found[0]
        if found:
            raise PathError(f'{len(found)} experiments begin with {which!r}: {shorten(", ".join(found))}.')
        raise PathError(
            f'{self._path} has no experiment {show(which)}; it has {len(hashes)} experiments and {len(names)} names.'
            + did_you_mean(which, names)
        )

    def names(self) -> dict[str, str]:
        """The content hash of each name, sorted by name."""
        found = {}
        for file in _listed(self._names):
            if file.endswith('.json') and not file.startswith('.'):
                path = os.path.join(self._names, file)
                try:
                    entry = unpack_json(read_bytes(path, 1 << 16))
                    if not _HASH.fullmatch(entry['hash']) or self._name_file(entry['name']) != path:
                        raise ValueError(entry)
                    found[entry['name']] = entry['hash']
                except FileNotFoundError:
                    continue
                except (OSError, ValueError, LookupError, TypeError) as error:
                    what = f'{shorten(path, 300)} is damaged; save the experiment under that name again.'
                    raise StudyCorruptError(what) from error
        return dict(sorted(found.items()))

    def __iter__(self) -> Iterator[str]:
        """The content hashes, sorted."""
        return iter(sorted({match[1] for file in _listed(self._experiments) if (match := _FILE.fullmatch(file))}))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, which: object) -> bool:
        """Whether there is such a hash or name; any other value is looked for by its content."""
        if isinstance(which, str):
            return which in list(self) or which in self.names()
        return content_hash(which) in list(self)

    def _sound(self, digest: str) -> str | None:
        """The path of an undamaged file of this content hash; there are several where versions of pgjax wrote it."""
        for file in sorted(_listed(self._experiments)):
            match, path = _FILE.fullmatch(file), os.path.join(self._experiments, file)
            if match and match[1] == digest:
                with contextlib.suppress(OSError, LimitError):
                    if _checksum(read_bytes(path, MAX_BYTES)) == match[2]:
                        return path
        return None

    def _name_file(self, name: str) -> str:
        quoted = ''
        if isinstance(name, str):
            with contextlib.suppress(UnicodeEncodeError):  # half of a surrogate pair, which no file name holds
                quoted = urllib.parse.quote(name, safe=' ', errors='strict')
        if not 0 < len(quoted) <= _MOST_NAME or _PREFIX.fullmatch(name):
            raise PathError(
                f'{show(name)} cannot name an experiment: a name has 1 to {_MOST_NAME} characters of UTF-8 and does '
                'not look like the start of a content hash (4 to 64 digits 0-9a-f).'
            )
        return os.path.join(self._names, f'{quoted.replace(".", "%2E")}.json')

    def _make_folders(self) -> None:
        try:
            for folder in (self._experiments, self._names):
                os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise write_error(self._path, error) from error


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StudyNotFoundError(f'{shorten(folder, 200)} is no folder that can be read: {error.strerror}.') from error
