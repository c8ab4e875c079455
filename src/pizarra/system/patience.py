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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def patient(what: str, limit_s: float) -> Iterator[None]:
    """Give the one kernel call in the block a limit.

    Raises StorageFault when the limit ended the call, else what the call raises.
    """
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
