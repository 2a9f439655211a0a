"""Worker processes that can be killed: for trials that hang, crash, or take all the memory.

`concurrent.futures.ProcessPoolExecutor` cannot stop a task that runs, and one dead worker breaks it with all
that is in flight. Here every worker is watched by a thread of its own: a task that takes too long is killed with
its process, a process that dies takes its own task alone with it, and both are replaced. Processes are spawned,
never forked, since JAX has threads; they end when their parent does, however it ends.
"""

from __future__ import annotations

import concurrent.futures
import math
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from pgjax._errors import EvaluatorError, TrialTimeoutError, WorkerLostError, show
from pgjax.search._settings import is_whole

_SPAWN = multiprocessing.get_context('spawn')
_LONGEST_WAIT = 86400.0  # seconds; some weeks already are more than a system call takes


class _Task(NamedTuple):
    future: concurrent.futures.Future[Any]
    payload: bytes
    seconds: float | None


class ProcessExecutor(concurrent.futures.Executor):
    """Runs functions in processes of their own, at most `max_workers` at once.

    As with any spawned process, a script that makes one needs `if __name__ == '__main__':`, and what is sent
    must pickle. Nothing but what the program itself sends is ever unpickled.

    >>> with ProcessExecutor(max_workers=1) as executor:
    ...     executor.submit(abs, -2).result()
    2
    """

    def __init__(self, max_workers: int | None = None, *, initializer: Callable[[], Any] | None = None):
        """`initializer` is called once in each process; `max_workers` is the number of cores by default.

        Raises:
          EvaluatorError: there are to be no workers, which would never answer.
        """
        if max_workers is not None and (not is_whole(max_workers) or max_workers < 1):
            raise EvaluatorError(f'max_workers must be a positive int or None, got {show(max_workers)}.')
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._ended = False
        self._workers = [_Worker(initializer) for _ in range(max_workers or os.cpu_count() or 1)]
        self._threads = [
            threading.Thread(target=worker.serve, args=(self._tasks,), name='pgjax-worker', daemon=True)
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()
        weakref.finalize(self, _stop_all, self._workers, self._tasks)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """Runs `fn(*args, **kwargs)` in some worker.

        Raises:
          EvaluatorError: it cannot be sent there.
        """
        return self.submit_within(None, fn, *args, **kwargs)

    def submit_within(
        self, seconds: float | None, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[Any]:
        """`submit`, and the worker is killed if it takes longer than `seconds`.

        The future raises TrialTimeoutError then, and WorkerLostError if the worker dies by itself.
        """
        if self._ended:
            raise RuntimeError('cannot schedule new futures after shutdown')
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._tasks.put(_Task(future, pickled((fn, args, kwargs)), seconds))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the workers when they have done what was submitted."""
        self._ended = True
        while cancel_futures and not self._tasks.empty():
            task = self._tasks.get()
            if task is not None:
                task.future.cancel()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads if wait else ():
            thread.join()


def pickled(value: Any) -> bytes:
    """`value` as it is sent to a worker process.

    Raises:
      EvaluatorError: it cannot be sent.
    """
    try:
        return pickle.dumps(value)
    except Exception as error:  # a user's __reduce__ may raise anything
        raise EvaluatorError(
            f'The evaluator cannot be sent to a worker process: {type(error).__name__}: {error}. Use threads, or a '
            'module-level function without closures, whose arguments are plain data.'
        ) from error


def _stop_all(workers: list[_Worker], tasks: queue.SimpleQueue[_Task | None]) -> None:
    for worker in workers:
        tasks.put(None)
        worker.kill()


class _Worker:
    """One process at a time, and the thread that feeds it."""

    def __init__(self, initializer: Callable[[], Any] | None):
        self._initializer = initializer
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def serve(self, tasks: queue.SimpleQueue[_Task | None]) -> None:
        """Runs tasks until there is a None."""
        while (task := tasks.get()) is not None:
            if task.future.set_running_or_notify_cancel():
                try:
                    result = self._run(task)
                except BaseException as error:
                    task.future.set_exception(error)
                else:
                    task.future.set_result(result)
        self._end()

    def _run(self, task: _Task) -> Any:
        if self._process is None or not self._process.is_alive():
            self._start()
        assert self._process is not None and self._connection is not None
        began = None
        try:
            self._connection.send_bytes(task.payload)
            self._connection.recv_bytes()  # it begins: a new process takes seconds to import what it needs
            began = time.monotonic()
            if not _answers_within(self._connection, task.seconds):
                pid = self._process.pid
                self.kill()
                raise TrialTimeoutError(
                    f'It took more than timeout = {task.seconds:g} s (process {pid} was killed after '
                    f'{time.monotonic() - began:.1f} s).'
                )
            good, value = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            if isinstance(error, TrialTimeoutError):
                raise
            raise WorkerLostError(self._obituary(began is not None)) from error
        if not good:
            raise value
        return value

    def _start(self) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_child, args=(theirs, self._initializer), name='pgjax-worker')
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection

    def _obituary(self, began: bool) -> str:
        process = self._process
        assert process is not None
        process.join(5.0)
        code = process.exitcode
        by = f'by {signal.Signals(-code).name}' if code is not None and code < 0 else f'with exit code {code}'
        self.kill()
        cure = (
            ''
            if began
            else (
                ' It had not begun: see what it printed. A script that makes processes needs '
                "`if __name__ == '__main__':`, and they must be able to import the evaluator."
            )
        )
        return f'The worker process {process.pid} ended {by}.{cure}'

    def kill(self) -> None:
        """Ends the process at once."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if process is not None and connection is not None:
            process.kill()
            process.join()
            connection.close()

    def _end(self) -> None:
        if self._process is not None and self._connection is not None:
            self._connection.close()  # an idle child ends by itself
            self._process.join(5.0)
            self._process.kill()
            self._process = self._connection = None


def _answers_within(connection: Connection, seconds: float | None) -> bool:
    """Waits until something comes, or so many seconds, which may be infinite, are over."""
    until = time.monotonic() + (math.inf if seconds is None else seconds)
    while not connection.poll(min(max(until - time.monotonic(), 0.0), _LONGEST_WAIT)):
        if time.monotonic() >= until:
            return False
    return True


def _child(connection: Connection, initializer: Callable[[], Any] | None) -> None:
    """The life of a worker process: until the connection ends, or the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who ends the study in good order
    threading.Thread(target=_die_with_the_parent, daemon=True).start()
    if initializer is not None:
        initializer()
    while True:
        try:
            payload = connection.recv_bytes()
        except (EOFError, OSError):
            return
        connection.send_bytes(_answer(payload, connection))


def _answer(payload: bytes, connection: Connection) -> bytes:
    begun = False
    try:
        fn, args, kwargs = pickle.loads(payload)
        connection.send_bytes(b'begins')
        begun = True
        return pickle.dumps((True, fn(*args, **kwargs)))
    except Exception as error:
        if not begun:
            connection.send_bytes(b'begins')
        try:
            return pickle.dumps((False, error))
        except Exception:
            return pickle.dumps((False, EvaluatorError(f'{type(error).__name__}: {show(str(error))}')))


def _die_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
