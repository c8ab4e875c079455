"""A limit for calls to the kernel that wait for a disk: one that is overdue gets a signal.

The kernel's wait for I/O under way on a device ends with it, and what was begun is undone. What it
lets nobody interrupt (a pool that writes its metadata to a disk that hangs) is at least told of.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def patient(what: str, limit_s: float) -> Iterator[None]:
    """The block makes one call to the kernel. Raises StorageFault when it was ended for its limit,
    and what the call raised otherwise."""
    _watch()
    call = _Call(what, time.monotonic() + limit_s)
    with _lock:
        _calls[threading.get_ident()] = call
    try:
        yield
    except OSError:
        if not call.overdue:
            raise
        raise StorageFault(
            "The disk did not answer within {limit:g} s: {what}.",
            "See what ails it: dmesg | tail; when it answers again: pizarra recover",
            limit=limit_s,
            what=what,
        ) from None
    finally:
        with _lock:
            del _calls[threading.get_ident()]


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
