"""A limit for calls to the kernel that wait for a disk: one that is overdue gets a signal.

The kernel's wait for I/O under way on a device ends with it, and what was begun is undone. What it
lets nobody interrupt (a pool that writes its metadata to a disk that hangs) is at least told of.
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

_WAKES = signal.SIGURG  # without a handler it would be ignored, and interrupt nothing
_LOOK_EVERY_S = 0.5
_log = logging.getLogger("pizarra")

with suppress(ValueError):  # only the main thread may, and it is what imports us
    signal.signal(_WAKES, lambda *_: None)


@dataclass(slots=True)
class _Call:
    what: str
    deadline: float
    overdue: bool = False


_calls: dict[int, _Call] = {}  # by thread: one waits for one thing
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
    thread = threading.Thread(target=_watched_loop, name="pizarra-patience", daemon=True)
    thread.start()
    return thread


def _watched_loop() -> None:
    while True:
        time.sleep(_LOOK_EVERY_S)
        with _lock:  # so a call that has just ended is not interrupted in its next
            for thread, call in _calls.items():
                if time.monotonic() > call.deadline:
                    if not call.overdue:
                        _log.warning("still waiting for the disk: %s", call.what)
                    call.overdue = True
                    signal.pthread_kill(thread, _WAKES)
