"""Measures the recipe of 2014 for one machine, with LVM's own commands."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pizarra.system.process import run


def measure(vg: str, size_bytes: int, dirty_bytes: int) -> float:
    """Milliseconds to reset one machine: merge its snapshot, wait, and make the snapshot again."""
    run(["lvcreate", "-y", "-Wn", "-L", f"{size_bytes}b", "-n", "one2014", vg])
    snapshot = ["lvcreate", "-y", "-s", "-L", f"{size_bytes}b", "-n", "original2014"]
    run([*snapshot, f"{vg}/one2014"])
    _overwrite(Path(f"/dev/{vg}/one2014"), dirty_bytes)
    run(["udevadm", "settle"])
    began = time.perf_counter()
    # lvconvert's default is to look for the end of the merge every 15 s, which would be unfair
    run(["lvconvert", "-y", "--merge", "--interval", "1", f"{vg}/original2014"])
    run([*snapshot, f"{vg}/one2014"])
    took_ms = (time.perf_counter() - began) * 1000
    run(["lvremove", "-y", f"{vg}/one2014"])
    return took_ms


def _overwrite(device: Path, dirty_bytes: int) -> None:
    with device.open("r+b", buffering=0) as file:
        file.write(os.urandom(dirty_bytes))
        os.fsync(file.fileno())
