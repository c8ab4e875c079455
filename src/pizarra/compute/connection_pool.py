"""Calls that must end: each runs on a thread that has its own connection, and may be left behind.

libvirt's client calls have no time limit. A daemon that hangs, or one stopped by a signal, would
hold its caller for ever; here the caller goes on at the limit, and the thread with its connection
is never used again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

C = TypeVar("C")
T = TypeVar("T")
_GOODBYE_S = 1.0


class _Connection(Generic[C]):
    """One thread, one connection, one call at a time."""

    def __init__(self, connect: Callable[[], C], usable: Callable[[C], bool]) -> None:
        self._connect, self._usable = connect, usable
        self._connection: C | None = None
        self._calls: queue.SimpleQueue[tuple[Callable[[C], Any], Future[Any]] | None]
        self._calls = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="pizarra-line", daemon=True)
        self._thread.start()

    def call(self, work: Callable[[C], T]) -> Future[T]:
        answer: Future[T] = Future()
        self._calls.put((work, answer))
        return answer

    def hang_up(self) -> None:
        """The thread ends after the call that it is in; dropping the connection closes it."""
        self._calls.put(None)

    def await_end(self, timeout_s: float) -> None:
        """Until the thread has ended, or the time is up."""
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            self._answer(*call)
            del call  # an idle line must not keep its last answer alive
        self._connection = None

    def _answer(self, work: Callable[[C], T], answer: Future[T]) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            answer.set_result(work(self._connection))
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            if self._connection is not None and not self._usable(self._connection):
                self._connection = None
            answer.set_exception(error)


class ConnectionPool(Generic[C]):
    """As many lines as there are calls at one time; idle ones are used again.

    A connection is made by ``connect`` when a line is first used, and made anew after an error
    that left it not ``usable``.
    """

    def __init__(self, connect: Callable[[], C], usable: Callable[[C], bool]) -> None:
        self._connect, self._usable = connect, usable
        self._idle: list[_Connection[C]] = []
        self._lock = threading.Lock()

    def call(self, work: Callable[[C], T], timeout_s: float) -> T:
        """``work`` on some connection. Raises TimeoutError at the limit, else what it raises."""
        with self._lock:
            line = self._idle.pop() if self._idle else _Connection(self._connect, self._usable)
        answer = line.call(work)
        try:
            return answer.result(timeout_s)
        finally:
            if answer.done():
                with self._lock:
                    self._idle.append(line)
            else:
                line.hang_up()

    def close(self) -> None:
        """Close the idle connections; each has a second for its goodbye to the daemon."""
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            line.hang_up()
        for line in idle:
            line.await_end(_GOODBYE_S)
