"""What is known of a trial besides numbers: why it failed, measurements by step, metadata, links.

Most trials of most studies have none, so notes are kept apart from the columns of the history: in memory as
chunks by trial, on disk as `notes.jsonl`, an append-only file of lines that carry their own checksum. A
checkpoint says how many bytes of it are its own; what lies beyond is from a save that was never finished.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pgjax._errors import PgjaxError
from pgjax.io._files import pack_json, unpack_json
from pgjax.io._storage import Storage

NAME = 'notes.jsonl'
Note = Mapping[str, Any]  # JSON values by name


class NotesDamagedWarning(UserWarning):
    """Some notes of a stored study cannot be read; its trials can."""


class Notes(Mapping[int, Note]):
    """Notes by trial id. Immutable: `added` returns a larger one that shares the rest.

    >>> notes = Notes().added({3: {'error': 'ValueError: no'}})
    >>> notes[3]['error'], len(notes)
    ('ValueError: no', 1)
    """

    def __init__(self, chunks: tuple[Mapping[int, Note] | Callable[[], Mapping[int, Note]], ...] = ()):
        """`chunks`: notes by trial, or a function that reads them when they are first looked at."""
        self._chunks = chunks

    @functools.cached_property
    def _all(self) -> dict[int, Note]:
        return {trial: note for c in self._chunks for trial, note in (c if isinstance(c, Mapping) else c()).items()}

    def __getitem__(self, trial: int) -> Note:
        return self._all[trial]

    def __iter__(self) -> Iterator[int]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def added(self, notes: Mapping[int, Note]) -> Notes:
        """These notes and more."""
        if not notes:
            return self
        chunks = list(self._chunks)
        while chunks and isinstance(last := chunks[-1], Mapping) and len(last) <= len(notes):
            notes = {**last, **notes}
            chunks.pop()
        return Notes((*chunks, notes))

    def since(self, first: int) -> dict[int, Note]:
        """The notes of the trials from `first` on."""
        found: dict[int, Note] = {}
        for chunk in reversed(self._chunks):
            mine = {t: n for t, n in chunk.items() if t >= first} if isinstance(chunk, Mapping) else {}
            if not mine:
                break
            found = {**mine, **found}
        return found


class NotesFile:
    """`notes.jsonl` in a study's directory. Only the holder of the study's lock may append."""

    def __init__(self, files: Storage):
        self._files = files

    def append(self, length: int, notes: Mapping[int, Note]) -> int:
        """Writes notes after the first `length` bytes, durably; what lay beyond is dropped. Returns the new length.

        Raises:
          StudyWriteError: they cannot be written; the first `length` bytes are intact.
        """
        if not notes:
            return length
        data = b''.join(_line(trial, note) for trial, note in notes.items())
        self._files.append(NAME, length, data)
        return length + len(data)

    def read(self, length: int) -> Notes:
        """The notes in the first `length` bytes, read when they are first looked at."""
        return Notes((lambda: self._read(length),)) if length else Notes()

    def problems(self, length: int) -> list[str]:
        """What is wrong with the first `length` bytes, a line each; empty if all is well."""
        notes, intact = self._notes(length)
        return [] if intact else [f'{NAME}: it is damaged: {len(notes)} notes could be read.']

    def _read(self, length: int) -> dict[int, Note]:
        notes, intact = self._notes(length)
        if not intact:
            warnings.warn(
                f'{self._files.where(NAME)} is damaged: {len(notes)} notes could be read; '
                'the trials themselves are intact.',
                NotesDamagedWarning,
                stacklevel=2,
            )
        return notes

    def _notes(self, length: int) -> tuple[dict[int, Note], bool]:
        """The notes that can be read, and whether these are all."""
        data = self._files.read_start(NAME, length)
        lines = data.split(b'\n')[:-1]
        notes = dict(filter(None, map(_parse, lines)))
        intact = len(data) == length and len(notes) == len(lines) and b'\0' not in data  # zeros for what was cut off
        return notes, intact


def _line(trial: int, note: Note) -> bytes:
    body = pack_json({'trial': trial, **note})
    return b'%08x %s\n' % (zlib.crc32(body), body)


def _parse(line: bytes) -> tuple[int, Note] | None:
    with contextlib.suppress(ValueError, PgjaxError, KeyError):
        checksum, body = line.rpartition(b'\0')[2].split(b' ', 1)
        if int(checksum, 16) == zlib.crc32(body):
            note = unpack_json(body)
            return note.pop('trial'), note
    return None
