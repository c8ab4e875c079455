"""For what of the kernel a machine can have a weight on this host: processors (cpu), disks (io).

https://docs.kernel.org/admin-guide/cgroup-v2.html. systemd gives each machine a group of its own.
"""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_FILES = {"cpu": ("cpu.weight",), "io": ("io.weight", "io.bfq.weight")}


def weight_controllers(root: Path = _ROOT) -> frozenset[str]:
    """Those that some group of the host has a weight of."""
    return frozenset(
        name for name, files in _FILES.items() if any(any(root.glob(f"*/{one}")) for one in files)
    )
