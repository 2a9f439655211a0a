"""A lock on storage without locks: an object that names its holder and is renewed while it is held."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING

from pgjax._errors import PgjaxError, StudyLockedError, shorten
from pgjax.io._files import pack_json, unpack_json
from pgjax.io._lock import Lock, describe_self, name_of

if TYPE_CHECKING:
    from pgjax.io._objects import Objects

SECONDS = 60.0  # for which a lease holds without being renewed; four renewals fit into it


class Lease(Lock):
    """One writer at a time, by conditional writes of one object.

    A second writer is refused while the lease holds; one that was not renewed for 60 s is taken over. `confirm`, which
    comes before each commit, refuses a holder whose lease was taken over, and makes sure that half of it is left.

    What a kernel lock guarantees and a lease cannot: the holder's end does not free it, so whoever comes next waits for
    up to a minute; clocks must agree to within half a minute; and a write that was under way when the holder was
    suspended may arrive after somebody else has taken over. Such a write cannot replace what the other one has
    committed (see `KeyValueStorage.write_bundle`). Where a store does not honour conditional writes, two writers may
    take the lease in the same instant. The memory, Google Cloud Storage and Amazon S3 do honour them; of another store
    behind AWS_ENDPOINT_URL, TensorStore believes it if TENSORSTORE_S3_USE_CONDITIONAL_WRITE=1 is set.
    """

    def __init__(self, objects: Objects, name: str):
        self._objects = objects
        self._name = name
        self._mutex = threading.RLock()
        self._token = ''
        self._generation = b''
        self._expires = 0.0
        self._taken_by = ''  # who has taken it over
        self._released = threading.Event()

    def acquire(self) -> None:
        """Takes the lease, or refuses at once."""
        self._token, self._taken_by = secrets.token_hex(16), ''
        found, generation = self._objects.read(self._name)
        if found is not None and (left := _seconds_left(found)) > 0:
            raise self._refusal(found, left)
        if not self._put(generation):
            found, _ = self._objects.read(self._name)
            raise self._refusal(found or b'', SECONDS)
        self._owner = os.getpid()
        self._released = threading.Event()
        threading.Thread(target=self._keep, args=(self._released,), name='pgjax-lease', daemon=True).start()

    def release(self) -> None:
        """Gives the lease back; nothing in a forked child, which never had it."""
        held, self._owner = self.held, -1
        if held:
            self._released.set()
            with self._mutex, contextlib.suppress(PgjaxError):  # what cannot be deleted expires
                if not self._taken_by:
                    self._objects.write(self._name, None, if_equal=self._generation)

    def confirm(self) -> None:
        """Makes sure that the lease, if it was taken, is still this object's.

        Raises:
          StudyLockedError: somebody else has taken it over.
          StudyWriteError, StudyNotFoundError: its object cannot be reached.
        """
        if not self.held:
            return
        with self._mutex:
            if not self._taken_by and self._expires - time.time() < SECONDS / 2:
                self._renew()
            elif not self._taken_by:
                self._look()
            if self._taken_by:
                raise StudyLockedError(
                    f'{shorten(self._where, 200)} was taken over by {self._taken_by}, since this process had not '
                    f'renewed it for {SECONDS:.0f} s. Nothing more was written. Load the study again, to go on '
                    'from what the other process saved.'
                )

    @property
    def _where(self) -> str:
        return self._objects.where(self._name)

    def _keep(self, released: threading.Event) -> None:
        """Renews the lease until it is given back or lost."""
        while not released.wait(SECONDS / 4):
            with self._mutex, contextlib.suppress(PgjaxError):  # out of reach for now: `confirm` says so if it matters
                if released.is_set() or self._taken_by:
                    return
                self._renew()

    def _renew(self) -> None:
        if not self._put(self._generation):
            self._look()
            if not self._taken_by:  # ours, from a write whose answer was lost
                self._put(self._generation)

    def _look(self) -> None:
        """Notes who has the lease now."""
        found, generation = self._objects.read(self._name)
        if found is not None and _field(found, 'token') == self._token:
            self._generation = generation
        else:
            self._taken_by = 'somebody who deleted it' if found is None else name_of(found)

    def _put(self, generation: bytes) -> bool:
        """Writes the lease anew if its object has not changed since `generation`."""
        expires = time.time() + SECONDS
        content = pack_json({**describe_self(), 'token': self._token, 'expires': expires})
        written = self._objects.write(self._name, content, if_equal=generation)
        if not written:  # the driver may have tried twice, and the first time may have succeeded
            found, now = self._objects.read(self._name)
            written = now if found == content else b''
        if written:
            self._generation, self._expires = written, expires
        return bool(written)

    def _refusal(self, found: bytes, left: float) -> StudyLockedError:
        return StudyLockedError(
            f'{shorten(self._where, 200)} is held by {name_of(found)}. Wait for that process or stop it: the lock '
            f'frees itself {left:.0f} s after its process has ended, and there is nothing to delete. Reading needs no '
            'lock.'
        )


def _seconds_left(data: bytes) -> float:
    """For how long a lease still holds; 0 for what is no lease, such as a copied lock file."""
    expires = _field(data, 'expires')
    return expires - time.time() if isinstance(expires, int | float) else 0.0


def _field(data: bytes, name: str) -> object:
    with contextlib.suppress(ValueError):
        content = unpack_json(data)
        return content.get(name) if isinstance(content, dict) else None
    return None
