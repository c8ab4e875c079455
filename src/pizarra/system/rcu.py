"""Faster grace periods for a moment.

A table swap waits for RCU grace periods, some 20 ms each on an ordinary kernel; expedited ones take
a fraction of it (Documentation/RCU; ``/sys/kernel/rcu_expedited``). The switch is the whole
kernel's, so it is on for the milliseconds of a rewind only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pizarra.errors import Busy
from pizarra.system.locks import claimed

_SWITCH = Path("/sys/kernel/rcu_expedited")


@contextmanager
def expedited() -> Iterator[None]:
    """On while the block lasts; at the ordinary pace while another has it in hand."""
    with ExitStack() as held:
        try:
            held.enter_context(claimed(["rcu-expedited"], "rewind"))
        except Busy:
            yield
            return
        if not _written("1"):
            held.callback(_written, "0")
        yield


def _written(wanted: str) -> bool:
    """Whether it was on before. A kernel without the switch has nothing to say."""
    try:
        was_on = _SWITCH.read_text(encoding="ascii").strip() != "0"
        _SWITCH.write_text(wanted, encoding="ascii")
    except OSError:
        return True
    return was_on
