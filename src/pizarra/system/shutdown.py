"""Whether this system is going down."""

from __future__ import annotations

from pathlib import Path

from pizarra.errors import PizarraError
from pizarra.system.process import run

_SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)
_LIMIT_S = 5


def is_shutting_down() -> bool:
    """Whether systemd says so (systemctl(1), is-system-running). Elsewhere nobody knows."""
    if not _SYSTEMD.is_dir():
        return False
    try:
        done = run(["systemctl", "is-system-running"], timeout_s=_LIMIT_S, check=False)
    except PizarraError:
        return False
    return done.stdout.strip() == "stopping"
