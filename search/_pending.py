"""Trials of a study's directory that several processes evaluate: claimed by a kernel lock, answered by a file.

    pending/000000000012.lock   held while some process evaluates trial 12; freed by the kernel when it dies
    pending/000000000012.json   what became of trial 12, until a checkpoint holds it

A result is published before its claim is let go, and deleted only after the checkpoint that holds it is
committed. So whoever gets a claim and finds neither a result nor a newer checkpoint is the only one to
evaluate that trial.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterable
from typing import Any

from pgjax._errors import PgjaxError, StudyLockedError
from pgjax.io._files import FileLock, pack_json, read_bytes, unpack_json, write_atomic, write_error
from pgjax.search._history import TrialStatus
from pgjax.search._measurement import numbers_from_json, numbers_to_json
from pgjax.search._outcome import Told

MOST = 1 << 26  # bytes of one result


class Pending:
    """The claims of this process, and the results of all, in the directory of one study."""

    def __init__(self, study: str):
        """Raises StudyWriteError where the directory cannot be written."""
        self._folder = os.path.join(study, 'pending')
        self._claims: dict[int, FileLock] = {}
        try:
            os.makedirs(self._folder, exist_ok=True)
        except OSError as error:
            raise write_error(self._folder, error) from error

    def claim(self, trial: int) -> bool:
        """Takes a trial, unless another process has it."""
        if trial in self._claims:
            return True
        lock = FileLock(self._path(trial, 'lock'))
        with contextlib.suppress(StudyLockedError):
            lock.acquire()
            self._claims[trial] = lock
        return trial in self._claims

    def is_claimed(self, trial: int) -> bool:
        """Whether this process has the trial."""
        return trial in self._claims

    def give_back(self, trial: int) -> None:
        """Lets another process have the trial."""
        if lock := self._claims.pop(trial, None):
            lock.release()

    def publish(self, trial: int, told: Told) -> None:
        """Keeps a result, durably, and lets the claim go.

        Raises:
          StudyWriteError: it cannot be kept; the claim stays.
        """
        write_atomic(self._path(trial, 'json'), _seal(trial, told))
        self.give_back(trial)

    def results(self, wanted: Iterable[int]) -> dict[int, Told]:
        """The results that are there, of some trials. One that is damaged is as if it were not there."""
        try:
            names = set(os.listdir(self._folder))
        except OSError as error:
            raise write_error(self._folder, error) from error
        found = {trial: self._read(trial) for trial in wanted if f'{trial:012d}.json' in names}
        return {trial: told for trial, told in found.items() if told is not None}

    def forget(self, before: int) -> None:
        """Deletes what there is of the trials below a number, which a checkpoint holds."""
        for trial in [t for t in self._claims if t < before]:
            self.give_back(trial)
        with contextlib.suppress(OSError):  # what is left does no harm, and the next one deletes it
            for name in os.listdir(self._folder):
                if name[:12].isdigit() and int(name[:12]) < before:
                    os.unlink(os.path.join(self._folder, name))

    def _path(self, trial: int, ending: str) -> str:
        return os.path.join(self._folder, f'{trial:012d}.{ending}')

    def _read(self, trial: int) -> Told | None:
        with contextlib.suppress(OSError, ValueError, PgjaxError, KeyError, TypeError, AttributeError):
            content = unpack_json(read_bytes(self._path(trial, 'json'), MOST))
            if content.pop('sha256') == _digest(content) and content.pop('trial') == trial:
                content['metrics'] = numbers_from_json(content['metrics'])
                return Told(**{**content, 'status': TrialStatus(content['status'])})
        return None


def _seal(trial: int, told: Told) -> bytes:
    content = {**dataclasses.asdict(told), 'trial': trial, 'status': int(told.status)}
    content['metrics'] = numbers_to_json(told.metrics)
    return pack_json({**content, 'sha256': _digest(content)})


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(pack_json(content)).hexdigest()
