"""Objects of a key-value store: whole values by name, each call with an end."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from pgjax._errors import LimitError, StudyNotFoundError, StudyWriteError, shorten
from pgjax.io._bundle import tensorstore

PATIENCE = 60.0  # seconds to wait for an answer, and one more for each megabyte
_RETRIES = {'max_retries': 5, 'initial_delay': '1s', 'max_delay': '8s'}  # TensorStore's own would take a quarter hour
_CURES = {
    'gcs': 'Check the bucket and the network, and sign in with `gcloud auth application-default login` or '
    'GOOGLE_APPLICATION_CREDENTIALS',
    's3': 'Check the bucket and the network, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE; for a '
    'store that is not Amazon, AWS_ENDPOINT_URL too',
}


@functools.cache
def context() -> Any:
    """The one context of this process: `memory://` lives in it."""
    return tensorstore().Context({'gcs_request_retries': _RETRIES, 's3_request_retries': _RETRIES})


class Objects:
    """Whole values by name below one place of a key-value store.

    A call that gets no answer ends after a minute, and a second for each megabyte, with StudyNotFoundError where it
    reads and StudyWriteError where it writes.
    """

    def __init__(self, url: str, spec: Mapping[str, Any]):
        """`spec`: of the place, as TensorStore's JSON; its path ends with a slash."""
        self._url = url
        self._spec = spec
        try:
            self._store = open_store(spec, context())
        except Exception as error:  # TensorStore has no error type of its own
            raise StudyNotFoundError(self._words('open', url, error)) from error

    def where(self, name: str) -> str:
        """The URL of a name."""
        return f'{self._url}/{name}'.rstrip('/')

    def names(self, prefix: str = '') -> list[str]:
        """All names that begin with `prefix`, in order."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else ''
        below = tensorstore().KvStore.KeyRange(prefix, end)  # an empty end is none
        keys = self._answer('list', prefix, lambda: self._store.list(below))
        return sorted(key.decode(errors='replace') for key in keys)

    def read(self, name: str) -> tuple[bytes | None, bytes]:
        """The value of a name, None if there is none, and its generation, for a conditional write."""
        found = self._answer('read', name, lambda: self._store.read(name))
        return found.value if found.state == 'value' else None, found.stamp.generation

    def read_limited(self, name: str, limit: int) -> bytes:
        """The value of a name.

        Raises:
          FileNotFoundError: there is none.
          LimitError: it is longer than `limit` bytes.
        """
        beyond = functools.partial(self._store.read, name, byte_range=slice(limit, limit + 1))
        try:
            if self._answer('read', name, beyond).state == 'value':
                raise LimitError(f'{self.where(name)} is longer than the {limit} bytes allowed here.')
        except StudyNotFoundError as error:
            if 'OUT_OF_RANGE' not in str(error.__cause__):  # which says that it is not longer
                raise
        data, _ = self.read(name)
        if data is None:
            raise FileNotFoundError(f'There is no object {self.where(name)}.')
        return data

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """The values of names at once; those that there are."""
        futures = {name: self._store.read(name) for name in names}
        found = {name: self._answer('read', name, lambda f=future: f) for name, future in futures.items()}
        return {name: result.value for name, result in found.items() if result.state == 'value'}

    def write(self, name: str, data: bytes | None, if_equal: bytes | None = None) -> bytes:
        """Replaces a value, or deletes it.

        Args:
          name: its name.
          data: None deletes.
          if_equal: a generation; nothing is written if the value has another.

        Returns:
          The new generation; empty where nothing was written.
        """
        write = functools.partial(self._store.write, name, data, if_equal=if_equal)
        return self._answer('write', name, write, len(data or b'')).generation

    def write_all(self, values: Mapping[str, bytes | None]) -> None:
        """Replaces or deletes values at once, in any order."""
        size = sum(len(data or b'') for data in values.values())
        futures = {name: self._store.write(name, data) for name, data in values.items()}
        for name, future in futures.items():
            self._answer('write', name, lambda f=future: f, size)

    def _answer(self, verb: str, name: str, ask: Any, size: int = 0) -> Any:
        future = None
        try:
            future = ask()
            return future.result(timeout=PATIENCE + size / 2**20)
        except Exception as error:
            if future is not None:
                future.cancel()
            kind = StudyWriteError if verb == 'write' else StudyNotFoundError
            raise kind(self._words(verb, self.where(name), error)) from error

    def _words(self, verb: str, where: str, error: Exception) -> str:
        cause = 'no answer in time' if isinstance(error, TimeoutError) else shorten(str(error), 200)
        cure = _CURES.get(self._spec['driver'], 'Check the place')
        saved = 'What was saved before is intact. ' if verb == 'write' else ''
        return f'Cannot {verb} {shorten(where, 200)}: {cause}. {saved}{cure}, then try again.'


def open_store(spec: Mapping[str, Any], within: Any) -> Any:
    """The `tensorstore.KvStore` of a spec."""
    return tensorstore().KvStore.open(dict(spec), context=within).result(timeout=PATIENCE)
