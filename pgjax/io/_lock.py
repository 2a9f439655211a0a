"""A lock that the kernel frees, on a file that names its holder."""

from __future__ import annotations

import abc
import contextlib
import datetime
import os
import socket
import weakref

from pgjax._errors import StudyLockedError, shorten
from pgjax.io._files import pack_json, unpack_json, write_error


class Lock(abc.ABC):
    """One writer at a time. A forked child does not have its parent's lock."""

    _owner = -1  # the process that took it

    @property
    def held(self) -> bool:
        """Whether this process has taken the lock through this object and not given it back."""
        return self._owner == os.getpid()

    @property
    def forked_from(self) -> int | None:
        """The process that took the lock and that this one was forked from, if so."""
        return None if self._owner in (-1, os.getpid()) else self._owner

    @abc.abstractmethod
    def acquire(self) -> None:
        """Takes the lock.

        Raises:
          StudyLockedError: somebody else has it; the message names the holder.
          StudyWriteError: it cannot be written.
        """

    @abc.abstractmethod
    def release(self) -> None:
        """Gives the lock back; nothing in a forked child, which never had it."""


def describe_self() -> dict[str, object]:
    """What a lock says of its holder: host, process, time."""
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
    return {'host': socket.gethostname(), 'pid': os.getpid(), 'started': started}


def name_of(data: bytes) -> str:
    """The holder in the content of a lock, in words."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        holder = unpack_json(data)
        return shorten(f'process {holder["pid"]} on {holder["host"]} since {holder["started"]}', 160)
    return 'a process that left no name'


class FileLock(Lock):
    """A kernel lock on a local file: it dies with its process, so there is no stale lock to remove."""

    def __init__(self, path: str):
        self._path = path
        self._descriptor = -1

    def acquire(self) -> None:
        """Takes the lock, or refuses at once."""
        import fcntl  # there is none on Windows, where only this class is missed

        descriptor = -1
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, pack_json(describe_self()), 0)
        except BlockingIOError as error:
            holder_text = name_of(os.pread(descriptor, 4096, 0))
            os.close(descriptor)
            raise StudyLockedError(
                f'{shorten(self._path, 200)} is held by {holder_text}. Wait for that process or stop it: '
                'the lock frees itself when its process ends, and there is nothing to delete. '
                'Reading needs no lock.'
            ) from error
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            raise write_error(self._path, error) from error
        self._descriptor, self._owner = descriptor, os.getpid()
        _HELD.add(self)

    def release(self) -> None:
        """Gives the lock back; nothing in a forked child, which never had it."""
        descriptor, self._descriptor, self._owner = self._descriptor, -1, -1
        if descriptor >= 0:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_UN)  # also where a child forked by C code has a copy
            os.close(descriptor)


_HELD: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _drop_after_fork() -> None:
    """In a forked child: closes its copies, or an orphan would keep the lock of a dead parent."""
    for lock in _HELD:
        if lock._descriptor >= 0:
            os.close(lock._descriptor)
            lock._descriptor = -1


os.register_at_fork(after_in_child=_drop_after_fork)
