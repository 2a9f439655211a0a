"""Stopping in good order: a signal asks the search to finish its generation and to save."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """Which signal asked to stop, if one did."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def end(self) -> None:
        """Leaves the program as the signal wants: SIGTERM by exit status 143, SIGINT by KeyboardInterrupt."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Notes SIGTERM and SIGINT instead of dying of them; a second one of either acts at once.

    Signals reach the main thread only: elsewhere this does nothing.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        if request.signal is not None:
            request.end()
        request.signal = number

    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
