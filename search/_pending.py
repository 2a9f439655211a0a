"""Trials of a study's directory that several processes evaluate: claimed by a kernel lock, answered in a journal.

    pending/claims           byte 2**62 + t is locked while some process evaluates trial t; the kernel frees it when it
                             dies. Byte t is a mark: not zero once some process has begun to publish trial t
    pending/journal-<name>   what became of trials, a line each, by one process, until a checkpoint holds them

A result is durable in the journal before its claim is let go, and a journal is deleted only after the checkpoint
that holds its trials is committed. So whoever gets a claim, and then finds neither a result in the journals nor a
newer checkpoint, is the only one to evaluate that trial. Only a trial with a mark has to be looked for: marks are made
under the claim and before the line in the journal, so without one nobody has published the trial since the study was
opened, when all journals were read. No sync makes a mark durable: a process that dies leaves it, and the crash of a
machine, which may take it away, leaves no process that would rely on it.

One sync a trial is all that this costs, and half of one at that: a journal is written over zeros that are on disk
already, so that its length, which file systems keep in a log of their own, changes but once in some hundred trials.

Before there were marks, byte t was locked to claim trial t. Who makes them shares a lock of all bytes below 2**62 as
long as the study is open, so an old process and a new one never work on it at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import zlib
from collections.abc import Mapping

from pgjax._errors import PgjaxError, StudyLockedError
from pgjax.io._files import fsync_directory, pack_json, unpack_json, write_error
from pgjax.search._history import TrialStatus
from pgjax.search._measurement import numbers_from_json, numbers_to_json
from pgjax.search._outcome import Told

_PREFIX = 'journal-'
_AHEAD = 2**15  # bytes of zeros after the last line
_CLAIMS = 2**62  # where the locks of trials begin, far behind all marks
_sync = getattr(os, 'fdatasync', os.fsync)  # of content and length; not of times


class Pending:
    """The claims and the journal of this process, and the journals of all, in the directory of one study.

    One object a process and directory: closing another one's file would free the claims of this one.
    """

    def __init__(self, study: str):
        """Raises StudyWriteError where the directory cannot be written, StudyLockedError where an older pgjax works."""
        self._folder = os.path.join(study, 'pending')
        self._process = os.getpid()
        self._claims: set[int] = set()
        self._read: dict[str, _Reader] = {}
        self._journal: _Journal | None = None
        try:
            os.makedirs(self._folder, exist_ok=True)
            path = os.path.join(self._folder, 'claims')
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise write_error(self._folder, error) from error
        if not self._lock(0, _CLAIMS, shared=True):
            raise StudyLockedError(
                f'{study} is in use by an older version of pgjax, whose results this one could miss. Stop the loops of '
                'that version, or update it, and open the study again.'
            )

    def __del__(self) -> None:
        if getattr(self, '_descriptor', -1) >= 0 and self._process == os.getpid():
            os.close(self._descriptor)

    def claim(self, trial: int) -> bool:
        """Takes a trial, unless another process has it.

        Raises:
          StudyLockedError: this process was forked from the one that opened the study.
          StudyWriteError: the directory cannot be written.
        """
        self._refuse_fork()
        if trial not in self._claims:
            if not self._lock(_CLAIMS + trial, 1):
                return False
            self._claims.add(trial)
        return True

    def _lock(self, start: int, length: int, shared: bool = False) -> bool:
        """Locks bytes of the file of claims, unless another process has locked some of them."""
        import fcntl  # there is none on Windows, where only this is missed

        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.lockf(self._descriptor, kind | fcntl.LOCK_NB, length, start)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise write_error(self._folder, error) from error
        return True

    def is_claimed(self, trial: int) -> bool:
        """Whether this process has the trial."""
        return trial in self._claims

    def give_back(self, trial: int) -> None:
        """Lets another process have the trial."""
        if trial in self._claims:
            import fcntl

            self._claims.discard(trial)
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _CLAIMS + trial)

    def is_marked(self, trial: int) -> bool:
        """Whether somebody may have published the trial since the study was opened; ask with its claim in hand."""
        try:
            return os.pread(self._descriptor, 1, trial) not in (b'', b'\0')
        except OSError:
            return True  # nobody knows

    def _mark(self, trial: int) -> None:
        try:
            os.pwrite(self._descriptor, b'1', trial)
        except OSError as error:
            raise write_error(self._folder, error, 1) from error

    def publish(self, trial: int, told: Told) -> None:
        """Keeps a result, durably, and lets the claim go.

        Raises:
          StudyWriteError: it cannot be kept; the claim stays.
        """
        self._refuse_fork()
        self._mark(trial)
        if self._journal is None:
            self._journal = _Journal(self._folder)
        self._journal.append(trial, told)
        self.give_back(trial)

    def news(self) -> dict[int, Told]:
        """The results that were published since the last call, by others, and by this process before it began.

        Raises:
          StudyWriteError: the directory has vanished.
        """
        try:
            names = [name for name in os.listdir(self._folder) if name.startswith(_PREFIX)]
            own = None if self._journal is None else self._journal.name
        except OSError as error:
            raise write_error(self._folder, error) from error
        self._read = {
            name: self._read.get(name) or _Reader(os.path.join(self._folder, name)) for name in names if name != own
        }
        found: dict[int, Told] = {}
        for reader in self._read.values():
            found.update(reader.news())
        return found

    def forget(self, before: int) -> None:
        """Deletes the journals of ended processes, and this one's, that hold nothing but trials below a number."""
        if self._journal is not None and self._journal.last < before:
            self._journal.delete()
            self._journal = None
        for name, reader in list(self._read.items()):
            if reader.last < before and _is_abandoned(path := os.path.join(self._folder, name)):
                with contextlib.suppress(OSError):  # what is left does no harm, and the next one deletes it
                    os.unlink(path)

    def _refuse_fork(self) -> None:
        if self._process != os.getpid():
            raise StudyLockedError(
                f'{os.path.dirname(self._folder)}: this process was forked from process {self._process}, which has '
                'the study open. Open the study in the child, after the fork.'
            )


class _Journal:
    """The results of this process; locked while it lives."""

    def __init__(self, folder: str):
        import fcntl

        self.name = f'{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}'
        self.last = -1
        self._process = os.getpid()
        self._path = os.path.join(folder, self.name)
        self._end = self._length = 0  # of the lines, and of the file
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            fsync_directory(folder)
        except OSError as error:
            raise write_error(self._path, error) from error

    def append(self, trial: int, told: Told) -> None:
        content = {'metrics': numbers_to_json(told.metrics), 'note': dict(told.note), 'seconds': told.seconds}
        content |= {'status': int(told.status), 'trial': trial}
        body = pack_json(content)
        line = b'%08x %s\n' % (zlib.crc32(body), body)
        end = self._end + len(line)
        try:
            if not os.fstat(self._descriptor).st_nlink:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            if end > self._length:
                with contextlib.suppress(OSError):  # where there is no room for them, there may be for the line
                    self._length += os.pwrite(self._descriptor, bytes(_AHEAD), self._length)
            written = 0
            while written < len(line):  # a full disk takes a part, and then raises
                written += os.pwrite(self._descriptor, line[written:], self._end + written)
            _sync(self._descriptor)
        except OSError as error:
            self._cut()
            raise write_error(self._path, error, len(line)) from error
        self._length, self._end = max(self._length, end), end
        self.last = max(self.last, trial)

    def _cut(self) -> None:
        """Ends the file after the last line that is whole."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._end)
            self._length = self._end

    def delete(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self.__del__()

    def __del__(self) -> None:
        if getattr(self, '_descriptor', -1) >= 0:
            if self._process == os.getpid():  # a fork does not know how far the file has come
                self._cut()
            os.close(self._descriptor)
            self._descriptor = -1


class _Reader:
    """How far a journal has been read. A line that is damaged is as if it were not there."""

    def __init__(self, path: str):
        self._path = path
        self._offset = 0
        self.last = -1

    def news(self) -> Mapping[int, Told]:
        found: dict[int, Told] = {}
        with contextlib.suppress(OSError), open(self._path, 'rb') as file:  # it may be deleted meanwhile
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b'\n')
            self._offset += len(whole) + len(newline)
            for line in whole.split(b'\n') if newline else ():
                self._take(line, found)
        return found

    def _take(self, line: bytes, found: dict[int, Told]) -> None:
        with contextlib.suppress(ValueError, PgjaxError, LookupError, TypeError, AttributeError):
            checksum, body = line.split(b' ', 1)
            if int(checksum, 16) == zlib.crc32(body):
                content = unpack_json(body)
                trial, status = content.pop('trial'), TrialStatus(content.pop('status'))
                metrics = numbers_from_json(content.pop('metrics'))
                found[trial] = Told(metrics=metrics, status=status, **content)
                self.last = max(self.last, trial)


def _is_abandoned(path: str) -> bool:
    """Whether the process that wrote a journal has ended, or closed it."""
    import fcntl

    with contextlib.suppress(OSError), open(path, 'rb') as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
