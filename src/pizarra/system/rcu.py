"""Faster grace periods for a moment.

A table swap waits for RCU grace periods, some 20 ms each on an ordinary kernel; expedited ones take
a fraction of it (Documentation/RCU; ``/sys/kernel/rcu_expedited``). The switch is the whole
kernel's, so it is on for the milliseconds of a rewind only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pizarra.errors import Busy
from pizarra.system.locks import claiming

_SWITCH = Path("/sys/kernel/rcu_expedited")


class _Switch:
    """Who turned it on turns it off; rewinds of several groups in this process share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._held = ExitStack()

    def take(self) -> None:
        with self._lock:
            self._holders += 1
            if self._holders == 1 and _claiming(self._held) and not _write("1"):
                self._held.callback(_write, "0")

    def let_go(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._held.close()


_switch = _Switch()


@contextmanager
def expediting() -> Iterator[None]:
    """On while the block lasts; at the ordinary pace while another process has it in hand."""
    _switch.take()
    try:
        yield
    finally:
        _switch.let_go()


def _claiming(held: ExitStack) -> bool:
    try:
        held.enter_context(claiming(["rcu-expedited"], "rewind"))
    except Busy:
        return False
    return True


def _write(wanted: str) -> bool:
    """Whether it was on before. A kernel without the switch has nothing to say."""
    try:
        was_on = _SWITCH.read_text(encoding="ascii").strip() != "0"
        _SWITCH.write_text(wanted, encoding="ascii")
    except OSError:
        return True
    return was_on
