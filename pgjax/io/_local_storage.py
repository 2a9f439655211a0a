"""Files and bundles in a local folder: replaced by renames, made durable by syncs, locked by the kernel."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from pgjax.io._arrays import load_arrays, load_attributes, write_bundle
from pgjax.io._bundle import Bundle
from pgjax.io._files import (
    fsync_directory,
    read_bytes,
    read_error,
    remove_leftovers,
    remove_tree_atomically,
    write_atomic,
    write_error,
)
from pgjax.io._lock import FileLock
from pgjax.io._storage import Storage


class LocalStorage(Storage):
    """A local folder, which need not be there yet."""

    def __init__(self, path: str):
        """`path`: absolute."""
        self.path = self.folder = path

    def where(self, name: str) -> str:
        """The whole path of a name."""
        return os.path.join(self.path, name)

    def prepare(self, *folders: str) -> None:
        """Makes the folder itself with its parents, and the folders in it, and syncs each that got a new name."""
        known = os.path.isdir(self.path)
        try:
            parent = os.path.dirname(self.path)
            while not os.path.isdir(parent):
                parent = os.path.dirname(parent)
            for folder in folders:
                os.makedirs(self.where(folder), exist_ok=True)
            for name in ('', *os.path.relpath(os.path.dirname(self.path), parent).split(os.sep)):
                with contextlib.suppress(*([PermissionError] if known else [])):  # then nothing there is new
                    fsync_directory(parent := os.path.join(parent, name))
        except (OSError, ValueError) as error:
            raise write_error(self.path, error) from error

    def names(self, folder: str = '') -> list[str]:
        """What lies in a folder, unfinished and half removed entries too."""
        try:
            return sorted(os.listdir(self.where(folder)))
        except NotADirectoryError:
            raise
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return []

    def bundles(self, folder: str) -> list[str]:
        """The folders in a folder."""
        try:
            with os.scandir(self.where(folder)) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            if out_of_reach := read_error(self.where(folder), error):  # which is not the same as empty
                raise out_of_reach from error
            return []

    def has(self, name: str) -> bool:
        """Whether something has the name, a damaged bundle included."""
        return os.path.lexists(self.where(name))

    def read(self, file: str, limit: int) -> bytes:
        """The content of a file."""
        return read_bytes(self.where(file), limit)

    def read_start(self, file: str, length: int) -> bytes:
        """The first bytes of a file."""
        with contextlib.suppress(OSError), open(self.where(file), 'rb') as opened:
            return opened.read(length)
        return b''

    def write(self, file: str, data: bytes) -> None:
        """Replaces a file by a rename."""
        write_atomic(self.where(file), data)

    def append(self, file: str, length: int, data: bytes) -> None:
        """Cuts a file to its first bytes and appends."""
        path = self.where(file)
        try:
            with open(path, 'r+b' if os.path.exists(path) else 'xb') as opened:
                opened.truncate(length)
                opened.seek(length)
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
        except OSError as error:
            raise write_error(path, error, len(data)) from error

    def write_bundle(self, name: str, bundle: Bundle) -> None:
        """Writes a bundle beside its place and renames it."""
        write_bundle(self.where(name), bundle)

    def load_bundle(self, name: str, digest: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arrays and attributes of a bundle."""
        return load_arrays(self.where(name), digest)

    def load_attributes(self, name: str, digest: str | None = None) -> dict[str, Any]:
        """The attributes of a bundle alone."""
        return load_attributes(self.where(name), digest)

    def remove(self, *names: str) -> None:
        """Renames what is to go, syncs, and only then deletes."""
        remove_tree_atomically(*map(self.where, names))

    def rename(self, name: str, new: str) -> None:
        """Renames a bundle."""
        try:
            os.rename(self.where(name), self.where(new))
        except OSError as error:
            raise write_error(self.where(name), error) from error

    def remove_leftovers(self, *folders: str) -> None:
        """Deletes entries with the names of unfinished and half removed ones."""
        for folder in folders:
            remove_leftovers(self.where(folder))

    def lock(self, name: str) -> FileLock:
        """A kernel lock on the file `name`."""
        return FileLock(self.where(name))
