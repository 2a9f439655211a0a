"""Writing the history of a stored study: segments are appended, merged, and removed when no checkpoint lists them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from pgjax._errors import PgjaxError, StudyCorruptError
from pgjax.io._arrays import pack_bundle
from pgjax.search._store_history import SEGMENT, Head, Segment, concatenate, merge_from, names_of
from pgjax.search._store_read import Reader, segment_name, warn_damaged


class Segments:
    """The segments of one study, and which checkpoint lists which; only for the holder of the lock."""

    def __init__(self, reader: Reader):
        self._reader = reader
        self._files = reader.files
        self._listed: dict[int, frozenset[str]] = {}  # by step, of steps that never change

    def append(self, head: Head, rows: dict[str, np.ndarray], count: int) -> tuple[Segment, ...]:
        """The segments with `rows` as the last, merged with those before it when enough have gathered."""
        start, level = merge_from([segment.level for segment in head.segments])
        kept, merged = head.segments[:start], head.segments[start:]
        if merged:
            try:
                rows = concatenate([*map(self._reader.read_segment, merged), rows])
            except StudyCorruptError as error:  # every step lists it, so load says so too; save what is new
                warn_damaged(f'{error} It was not merged with the others.')
                kept, merged, level = head.segments, (), 0
        first = kept[-1].first + kept[-1].count if kept else 0
        count += sum(segment.count for segment in merged)
        bundle = pack_bundle(rows, {'study': self._reader.identity, 'first': first, 'count': count})
        name = f'segment-{first:012d}-{first + count - 1:012d}-{bundle.digest[:16]}'
        segment = Segment(name, bundle.digest, first, count, level)
        if self._files.has(segment_name(name)):  # from a failed save, or a damaged checkpoint
            with contextlib.suppress(StudyCorruptError):
                self._reader.read_segment(segment)
                return (*kept, segment)
            self._files.remove(segment_name(name))
        self._files.write_bundle(segment_name(name), bundle)
        return (*kept, segment)

    def note(self, step: int, segments: Sequence[Segment]) -> None:
        """Remembers what a checkpoint lists."""
        self._listed[step] = names_of(segments)

    def forget(self, *steps: int) -> frozenset[str]:
        """Forgets checkpoints that were removed, and returns what they listed."""
        return frozenset().union(*(self._listed.pop(step, frozenset()) for step in steps))

    def forget_all(self) -> None:
        """Forgets all checkpoints, since others may have written."""
        self._listed.clear()

    def prune(self) -> None:
        """Deletes the segments that no checkpoint lists; none of them if a checkpoint cannot be read."""
        try:
            listed = frozenset().union(*map(self._listed_by, self._reader.steps()))
            stored = {name for name in self._files.bundles('history') if SEGMENT.fullmatch(name)}
            self._files.remove(*map(segment_name, sorted(stored - listed)))
        except (PgjaxError, OSError):
            return  # what is too much does no harm, and the next lock tries again

    def _listed_by(self, step: int) -> frozenset[str]:
        if step not in self._listed:
            self._listed[step] = self._reader.segments_of(step)
        return self._listed[step]
