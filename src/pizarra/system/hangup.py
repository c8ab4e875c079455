"""A terminal that closes does not stop work in the middle."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ignoring_hangup() -> Iterator[None]:
    """While the block lasts SIGHUP is ignored, by this process and by the commands that it runs.

    The kernel sends SIGHUP to all that a terminal started when the terminal closes, or when a
    connection by ssh breaks. Only the main thread may set signals; an agent has no terminal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before or signal.SIG_DFL)
