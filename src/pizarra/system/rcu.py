"""Expedites the kernel's RCU grace periods for a moment.

A table swap waits for RCU grace periods, of some 20 ms each on an ordinary kernel. Expedited grace
periods take a fraction of that (Documentation/RCU; ``/sys/kernel/rcu_expedited``). The switch is
for the whole kernel, so it is on for the milliseconds of a rewind only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pizarra.errors import Busy
from pizarra.model.sentence import N_
from pizarra.system import locks
from pizarra.system.locks import claiming

_SWITCH = Path("/sys/kernel/rcu_expedited")


class _Switch:
    """The kernel's switch, shared by the rewinds of this process. The last one turns it off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._held = ExitStack()

    def take(self) -> None:
        with self._lock:
            self._holders += 1
            if self._holders == 1 and _claim(self._held) and not _write("1"):
                self._held.callback(_write, "0")

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._held.close()


_switch = _Switch()


@contextmanager
def expediting() -> Iterator[None]:
    """Expedite while the block lasts, unless another process holds the switch."""
    _switch.take()
    try:
        yield
    finally:
        _switch.release()


def _claim(held: ExitStack) -> bool:
    try:
        held.enter_context(claiming(["rcu-expedited"], N_("rewind"), folder=locks.HOST_LOCKS))
    except Busy:
        return False
    return True


def _write(wanted: str) -> bool:
    """Write the switch; whether it was on before. True too for a kernel without the switch."""
    try:
        was_on = _SWITCH.read_text(encoding="ascii").strip() != "0"
        _SWITCH.write_text(wanted, encoding="ascii")
    except OSError:
        return True
    return was_on
