"""Calls with a time limit, for a library that has none.

libvirt's client calls wait for ever when the daemon hangs or is stopped by a signal. So each call
runs on a thread that has a connection of its own. At the limit the caller goes on, and that thread
and its connection are never used again.
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
    """One thread with one connection. It makes one call at a time."""

    def __init__(self, connect: Callable[[], C], usable: Callable[[C], bool]) -> None:
        self._connect, self._usable = connect, usable
        self._connection: C | None = None
        self._calls: queue.SimpleQueue[tuple[Callable[[C], Any], Future[Any]] | None]
        self._calls = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="pizarra-libvirt", daemon=True)
        self._thread.start()

    def call(self, work: Callable[[C], T]) -> Future[T]:
        """Start ``work`` on the thread; the future gets its result or its error."""
        answer: Future[T] = Future()
        self._calls.put((work, answer))
        return answer

    def hang_up(self) -> None:
        """End the thread after its present call. Dropping the connection closes the connection."""
        self._calls.put(None)

    def await_end(self, timeout_s: float) -> None:
        """Until the thread has ended, or the time is up."""
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            self._answer(*call)
            del call  # an idle thread must not keep its last answer alive
        self._connection = None

    def _answer(self, work: Callable[[C], T], answer: Future[T]) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            answer.set_result(work(self._connection))
        except BaseException as error:  # noqa: BLE001 - raised where the answer is awaited
            if self._connection is not None and not self._usable(self._connection):
                self._connection = None
            answer.set_exception(error)


class ConnectionPool(Generic[C]):
    """As many connections as there are calls at one time. Idle connections are used again.

    ``connect`` makes a connection when its thread is first used. After an error, ``usable`` decides
    whether the connection is kept or made anew.
    """

    def __init__(self, connect: Callable[[], C], usable: Callable[[C], bool]) -> None:
        self._connect, self._usable = connect, usable
        self._idle: list[_Connection[C]] = []
        self._lock = threading.Lock()

    def call(self, work: Callable[[C], T], timeout_s: float) -> T:
        """Run ``work`` on a connection.

        Raises TimeoutError at the limit, else what ``work`` raises.
        """
        with self._lock:
            known = self._idle.pop() if self._idle else None
        connection = known or _Connection(self._connect, self._usable)
        answer = connection.call(work)
        try:
            return answer.result(timeout_s)
        finally:
            if answer.done():
                with self._lock:
                    self._idle.append(connection)
            else:
                connection.hang_up()

    def hang_up(self) -> list[_Connection[C]]:
        """Use none of the idle connections again: their daemon has gone."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.hang_up()
        return idle

    def close(self) -> None:
        """Close the idle connections; each has a second for its goodbye to the daemon."""
        for connection in self.hang_up():
            connection.await_end(_GOODBYE_S)
