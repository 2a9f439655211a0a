"""Where files and bundles are: what a local folder and a key-value store have in common."""

from __future__ import annotations

import abc
from typing import Any

from pgjax.io._bundle import Bundle
from pgjax.io._lock import Lock


class Storage(abc.ABC):
    """Files and bundles by name, below one place. Names are relative, with slashes.

    A file is replaced whole or not at all; a bundle is there whole or not at all, and is never changed. What a crash
    leaves of one that was being written or removed is not there either, and `remove_leftovers` deletes it.

    Every method that writes raises StudyWriteError where it cannot, with what was there before intact, and
    StudyLockedError where a lock of this object was taken over by somebody else. Every method may raise
    StudyNotFoundError where the place cannot be reached.

    Attributes:
      path: the place: an absolute path, or a URL.
      folder: the same where it is a local folder, else None.
    """

    path: str
    folder: str | None = None

    def where(self, name: str) -> str:
        """The whole path of a name."""
        return f'{self.path}/{name}'.rstrip('/')

    @abc.abstractmethod
    def prepare(self, *folders: str) -> None:
        """Makes folders, durably, where a place needs them before anything can be written to them."""

    @abc.abstractmethod
    def names(self, folder: str = '') -> list[str]:
        """What lies directly in a folder, sorted; nothing if it is not there.

        Raises:
          NotADirectoryError: it is a file.
        """

    @abc.abstractmethod
    def bundles(self, folder: str) -> list[str]:
        """The names of the whole bundles in a folder, sorted."""

    @abc.abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is a file or a whole bundle of this name."""

    @abc.abstractmethod
    def read(self, file: str, limit: int) -> bytes:
        """The content of a file.

        Raises:
          FileNotFoundError, NotADirectoryError: there is none.
          LimitError: it is longer than `limit` bytes.
          OSError, ValueError: it cannot be read.
        """

    @abc.abstractmethod
    def read_start(self, file: str, length: int) -> bytes:
        """The first bytes of a file: `length`, or as many as there are, or none."""

    @abc.abstractmethod
    def write(self, file: str, data: bytes) -> None:
        """Replaces a file, durably."""

    @abc.abstractmethod
    def append(self, file: str, length: int, data: bytes) -> None:
        """Writes `data` after the first `length` bytes of a file, durably; what lay beyond is dropped."""

    @abc.abstractmethod
    def write_bundle(self, name: str, bundle: Bundle) -> None:
        """Writes a bundle, durably.

        Raises:
          StudyExistsError: there is one of this name.
        """

    @abc.abstractmethod
    def load_bundle(self, name: str, digest: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arrays and attributes of a bundle, every byte checked, as `load_arrays`."""

    @abc.abstractmethod
    def load_attributes(self, name: str, digest: str | None = None) -> dict[str, Any]:
        """The attributes of a bundle alone, checked."""

    @abc.abstractmethod
    def remove(self, *names: str) -> None:
        """Removes files or bundles, none of which is ever seen half removed; missing ones are skipped."""

    @abc.abstractmethod
    def rename(self, name: str, new: str) -> None:
        """Gives a bundle, which may be damaged, another name."""

    @abc.abstractmethod
    def remove_leftovers(self, *folders: str) -> None:
        """Deletes from folders what is unfinished or half removed; only while no one else writes there."""

    @abc.abstractmethod
    def lock(self, name: str) -> Lock:
        """The lock of this name, not yet taken."""
