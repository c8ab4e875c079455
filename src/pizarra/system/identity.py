"""What tells this host from all others: machines that hosts make must differ on a common bridge."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

MACHINE_ID = Path("/etc/machine-id")
BOARD = Path("/sys/class/dmi/id/product_uuid")
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # random(4)
_SPACE = uuid.UUID("f0b5b0c2-5a41-4a37-9d6e-686f73740000")


def host_identity() -> str:
    """A UUID made of the system's identity and the mainboard's; empty when a host has neither.

    Both count: hosts that were installed by copying a disk have one machine-id, and cheap boards
    have one UUID. The machine-id itself is never shown (machine-id(5)).
    """
    known = "/".join(filter(None, (_text(MACHINE_ID), _text(BOARD))))
    return str(uuid.uuid5(_SPACE, known)) if known else ""


def boot_identity() -> str:
    """A UUID that the kernel makes anew at each boot."""
    return _text(_BOOT)


def _text(path: Path) -> str:
    """Its line; empty for a file that is not there, or says that nothing was set up yet."""
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="ascii").strip()
        return "" if text == "uninitialized" else text
    return ""
