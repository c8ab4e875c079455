"""One version's part of bench/trees.py: rewinds when a line comes in, and says how long it took.

Runs with the modules of another tree, so it knows the names of that tree too.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from functools import partial
from types import SimpleNamespace
from typing import Any

SEATS, DIRTY_BYTES, SIZE_BYTES = 30, 16 << 20, 64 << 20


def main() -> None:
    """Make seats, rewind them for each line of the input, remove them."""
    disks: Any = importlib.import_module("bench.disks")
    disks.CLASSROOM = name = sys.argv[1]  # the other version has seats in the same volume group
    store = _first("pizarra.storage.dm_thin.store:DmThinStore", "pizarra.storage.lvm_thin:"
                   "LvmThinStorage")(disks.VG)  # fmt: skip
    with disks.seats_on(store, SEATS, SIZE_BYTES) as found:
        pairs = [pair for pair in found if _name(pair).startswith(name)]
        assert len(pairs) == SEATS, found
        print("ready", flush=True)
        rewinder = _rewinder(disks, store, pairs)
        for _ in sys.stdin:
            print(_round(disks, store, pairs, rewinder), flush=True)


def _rewinder(disks: Any, store: Any, pairs: list[Any]) -> Any:
    if hasattr(disks, "Rewinder"):
        return disks.Rewinder(store, pairs)
    return SimpleNamespace(
        rewind=partial(disks.rewound, store, pairs),
        reclaim_space=partial(disks.given_back, store, pairs),
    )


def _round(disks: Any, store: Any, pairs: list[Any], rewinder: Any) -> float:
    """Milliseconds a seat of the rewind; what comes before and after is not timed."""
    _either(disks, "dirty_all", "all_dirtied")(pairs, DIRTY_BYTES)
    subprocess.run(["udevadm", "settle", "--timeout=60"], check=False)
    began = time.perf_counter()
    rewinder.rewind()
    took_ms = (time.perf_counter() - began) * 1000
    _either(disks, "prove_original", "proven_original")(store, pairs)
    rewinder.reclaim_space()
    return took_ms / SEATS


def _name(pair: Any) -> str:
    return str(_either(pair, "volume", "seat").name)


def _either(owner: Any, name: str, older: str) -> Any:
    return getattr(owner, name) if hasattr(owner, name) else getattr(owner, older)


def _first(*places: str) -> Any:
    for place in places:
        module, name = place.split(":")
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError:
            continue
    raise SystemExit(f"none of {places} is there")


if __name__ == "__main__":
    main()
