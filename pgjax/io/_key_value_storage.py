"""Files and bundles in a key-value store: memory, or a bucket. A file is an object; there are no renames.

A bundle is the same as in a folder: the objects of an OCDBT database, below its name. Its commit is the write of the
database's manifest object, which comes last, and its end is the deletion of that object, which comes first. So a study
copied from a folder to a bucket, or back, is the same study.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from pgjax._errors import PgjaxError, StudyExistsError, StudyNotFoundError, StudyWriteError
from pgjax.io._bundle import Base, Bundle, commit, corrupt, read_attributes, read_bundle, tensorstore
from pgjax.io._lease import Lease
from pgjax.io._objects import Objects, open_store
from pgjax.io._storage import Storage

COMMIT = 'manifest.ocdbt'  # the object of a bundle that makes it one


class KeyValueStorage(Storage):
    """A place in a key-value store.

    What is written is written whole; a lock of this object that was taken is confirmed before each commit, and before
    anything is deleted or replaced.
    """

    def __init__(self, url: str, spec: Mapping[str, Any]):
        """`spec`: of the place, as TensorStore's JSON; its path ends with a slash."""
        self.path = url
        self._objects = Objects(url, spec)
        self._leases: list[Lease] = []

    def prepare(self, *folders: str) -> None:
        """Nothing: there are no folders."""

    def names(self, folder: str = '') -> list[str]:
        """The first parts of the names of all objects below."""
        prefix = f'{folder}/' if folder else ''
        return sorted({name[len(prefix) :].split('/')[0] for name in self._objects.names(prefix)})

    def bundles(self, folder: str) -> list[str]:
        """The names below which there is a commit object."""
        parts = (name[len(folder) + 1 :].split('/') for name in self._objects.names(f'{folder}/'))
        return sorted(part[0] for part in parts if part[1:] == [COMMIT])

    def has(self, name: str) -> bool:
        """Whether there is an object of the name, or a commit object."""
        return bool(self._objects.read_all([name, f'{name}/{COMMIT}']))

    def read(self, file: str, limit: int) -> bytes:
        """The value of an object."""
        return self._objects.read_limited(file, limit)

    def read_start(self, file: str, length: int) -> bytes:
        """The first bytes of an object."""
        return (self._objects.read(file)[0] or b'')[:length]

    def write(self, file: str, data: bytes) -> None:
        """Replaces an object."""
        self._confirm()
        self._objects.write(file, data)

    def append(self, file: str, length: int, data: bytes) -> None:
        """Replaces an object by its first bytes and more, which costs its whole length, unless it changes meanwhile."""
        found, generation = self._objects.read(file)
        self._confirm()
        start = (found or b'')[:length].ljust(length, b'\0')
        if not self._objects.write(file, start + data, if_equal=generation):
            raise StudyWriteError(f'Cannot write {self.where(file)}: another process has written it meanwhile.')

    def write_bundle(self, name: str, bundle: Bundle) -> None:
        """Writes the objects of a database that is made in memory, the commit object last.

        That one is written only if there is still none. So of two writers of one bundle, one succeeds.
        """
        found, generation = self._objects.read(f'{name}/{COMMIT}')
        if found is not None:
            raise StudyExistsError(f'{self.where(name)} exists; a bundle is written once. Choose another name.')
        objects = {f'{name}/{key}': value for key, value in _made(bundle).items()}
        manifest = objects.pop(f'{name}/{COMMIT}')
        try:
            self._objects.write_all(objects)
            self._confirm()
            self._commit(f'{name}/{COMMIT}', manifest, generation)
        except (StudyWriteError, StudyNotFoundError):
            with contextlib.suppress(PgjaxError):
                self._forget(f'{name}/{COMMIT}', manifest, objects)
            raise

    def _commit(self, name: str, manifest: bytes, generation: bytes) -> None:
        if not self._objects.write(name, manifest, if_equal=generation):
            found, _ = self._objects.read(name)
            if found != manifest:  # else the driver has tried twice, and the first time has succeeded
                raise StudyExistsError(f'{self.where(name)}: another process has written it meanwhile. Load it again.')

    def _forget(self, name: str, manifest: bytes, objects: Mapping[str, bytes]) -> None:
        """Deletes what a failed write may have left, the commit object first, but not that of another writer."""
        found, generation = self._objects.read(name)
        if found == manifest:
            self._objects.write(name, None, if_equal=generation)
        self._objects.write_all(dict.fromkeys(objects))

    def load_bundle(self, name: str, digest: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arrays and attributes of a bundle, whose objects are fetched at once."""
        base, room = self._fetched(name)
        return read_bundle(base, digest, room)

    def load_attributes(self, name: str, digest: str | None = None) -> dict[str, Any]:
        """The attributes of a bundle."""
        return read_attributes(self._fetched(name)[0], digest)

    def _fetched(self, name: str) -> tuple[Base, int]:
        """The database of a bundle in memory, and its bytes. So whatever is wrong from then on is damage."""
        found = self._objects.read_all(self._objects.names(f'{name}/'))
        base = _in_memory(self.where(name))
        with corrupt(base.path):
            store = open_store(base.spec, base.context)
            for key, value in found.items():
                store.write(key[len(name) + 1 :], value).result()
        return base, sum(map(len, found.values()))

    def remove(self, *names: str) -> None:
        """Deletes the commit objects first, then the others."""
        if not names:
            return
        self._confirm()
        found = {key for name in names for key in self._objects.names(name) if f'{key}/'.startswith(f'{name}/')}
        first = {key for key in found if key.endswith(f'/{COMMIT}')}
        self._objects.write_all(dict.fromkeys(first))
        self._objects.write_all(dict.fromkeys(found - first))

    def rename(self, name: str, new: str) -> None:
        """Copies the objects of a bundle, and removes it."""
        found = self._objects.read_all(self._objects.names(f'{name}/'))
        self._objects.write_all({new + key[len(name) :]: value for key, value in found.items()})
        self.remove(name)

    def remove_leftovers(self, *folders: str) -> None:
        """Deletes the objects of bundles without a commit object."""
        for folder in filter(None, folders):
            whole = set(self.bundles(folder))
            below = self._objects.names(f'{folder}/')
            left = [key for key in below if (parts := key[len(folder) + 1 :].split('/'))[1:] and parts[0] not in whole]
            self._objects.write_all(dict.fromkeys(left))

    def lock(self, name: str) -> Lease:
        """A lease in the object `name`."""
        self._leases.append(lease := Lease(self._objects, name))
        return lease

    def _confirm(self) -> None:
        for lease in self._leases:
            lease.confirm()


def _in_memory(path: str) -> Base:
    return Base(path, {'driver': 'memory'}, tensorstore().Context())


def _made(bundle: Bundle) -> dict[str, bytes]:
    """The objects of a bundle's database."""
    base = _in_memory('memory')
    commit(base, bundle)
    store = open_store(base.spec, base.context)
    return {key.decode(): store.read(key).result().value for key in store.list().result()}
