"""A time limit for calls to the kernel that wait for a disk.

A thread whose call is overdue gets a signal. The signal ends the kernel's wait for I/O on a device,
and the kernel reverts what the call began. Some waits cannot be interrupted: a pool that writes its
metadata to a disk that hangs. Then the log at least says what the process waits for.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from pizarra.errors import StorageFault

_WAKES = signal.SIGURG  # without a handler the signal would be ignored and interrupt nothing
_LOOK_EVERY_S = 0.5
_log = logging.getLogger("pizarra")

with suppress(ValueError):  # only the main thread may set a handler, and it imports this module
    signal.signal(_WAKES, lambda *_: None)


@dataclass(slots=True)
class _Call:
    what: str
    deadline: float
    overdue: bool = False


_calls: dict[int, _Call] = {}  # by thread: a thread makes one call at a time
_lock = threading.Lock()


class patient:
    """The block makes one call to the kernel. Raises StorageFault when it was ended for its limit,
    and what the call raised otherwise.

    A class, for a rewind enters it some ten times a seat and a generator costs twice as much.
    """

    __slots__ = ("_call", "_limit_s")

    def __init__(self, what: str, limit_s: float) -> None:
        self._call = _Call(what, time.monotonic() + limit_s)
        self._limit_s = limit_s

    def __enter__(self) -> None:
        _watch()
        with _lock:
            _calls[threading.get_ident()] = self._call

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        with _lock:
            del _calls[threading.get_ident()]
        if isinstance(error, OSError) and self._call.overdue:
            raise StorageFault(
                "The disk did not answer within {limit:g} s: {what}.",
                "See what ails it: dmesg | tail; when it answers again: pizarra recover",
                limit=self._limit_s,
                what=self._call.what,
            ) from None


@cache
def _watch() -> threading.Thread:
    thread = threading.Thread(target=_interrupt_overdue_calls, name="pizarra-patience", daemon=True)
    thread.start()
    return thread


def _interrupt_overdue_calls() -> None:
    while True:
        time.sleep(_LOOK_EVERY_S)
        with _lock:  # so that a thread is not interrupted in its next call
            for thread, call in _calls.items():
                if time.monotonic() > call.deadline:
                    if not call.overdue:
                        _log.warning("still waiting for the disk: %s", call.what)
                    call.overdue = True
                    signal.pthread_kill(thread, _WAKES)
