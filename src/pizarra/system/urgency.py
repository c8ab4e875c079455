"""The few milliseconds in which LVM's lock is held go before other work of this host.

Each table swap makes udev look at the device. On few cores its workers would stand between us and
the end of the batch, with everybody waiting for the lock: a factor of three in the lab.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# what we start meanwhile is not urgent
_FIRST, _ORDINARY = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.SCHED_OTHER


def make_thread_urgent() -> None:
    """From now on; fine where it is not allowed, as in a container."""
    with suppress(OSError):
        os.sched_setscheduler(0, _FIRST, os.sched_param(1))


@contextmanager
def urgent() -> Iterator[None]:
    """This thread, for as long as the block lasts."""
    make_thread_urgent()
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, _ORDINARY, os.sched_param(0))
