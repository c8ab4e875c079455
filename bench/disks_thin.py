"""disks.thin: thirty dirty thin seats, against four ways that people use.

disks.thin.after is what a reset does when the machines have their disks: blocks are given back.
disks.thin.dirty: a few seats with little and much written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import recipes
from bench.disks import (
    VG,
    all_dirtied,
    by_name,
    dirtied,
    given_back,
    proven_original,
    rewound,
    seats_on,
)
from bench.series import Series, say, timed_ms
from demo import recipe_2014
from pizarra.model.sizes import MIB
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.system.process import run

SEATS, DIRTY_BYTES, SIZE_BYTES = 30, 64 * MIB, 256 * MIB
FEW, DIRTY_MIB = 8, (1, 16, 256)
ROUNDS, SAMPLES = 4, 4


def measured() -> Iterator[Series]:
    """Ours in rounds over the class; each other way a few times for one seat."""
    storage = DmThinStore(VG)
    with seats_on(storage, SEATS, SIZE_BYTES) as pairs:
        ours, after = [], []
        for number in range(1, ROUNDS + 1):
            say(f"disks.thin: round {number} of {ROUNDS}: {SEATS} seats, 64 MiB dirty each")
            all_dirtied(pairs, DIRTY_BYTES)
            ours.append(timed_ms(lambda: rewound(storage, pairs), SEATS))
            proven_original(storage, pairs)
            after.append(timed_ms(lambda: given_back(storage, pairs), SEATS))
        others = {"recipe.proxmox": [], "recipe.2014": [], **_files()}  # type: dict[str, list[float]]
        golden = pairs[0].source.name
        for seat in by_name(pairs)[:SAMPLES]:
            say(f"disks.thin: recipe.proxmox on {seat.name}")
            dirtied(seat.path, 0, DIRTY_BYTES)
            others["recipe.proxmox"].append(recipes.proxmox_ms(seat, golden))
        _untagged_removed(seat.name for seat in by_name(pairs)[:SAMPLES])
    for number in range(1, SAMPLES + 1):
        say(f"disks.thin: recipe.2014, {number} of {SAMPLES}")
        others["recipe.2014"].append(recipe_2014.measure(VG, SIZE_BYTES, DIRTY_BYTES))
    yield Series(name="disks.thin", n=SEATS, ours_ms=ours, others_ms=others)
    yield Series(name="disks.thin.after", n=SEATS, ours_ms=after)
    yield from _by_dirt(storage)


def _by_dirt(storage: DmThinStore) -> Iterator[Series]:
    """The sizes take turns, so that a slow moment of the machine is nobody's alone. What is rewound
    has as much kept of it as is written to it."""
    ours: dict[int, list[float]] = {mib: [] for mib in DIRTY_MIB}
    with seats_on(storage, FEW, SIZE_BYTES) as pairs:
        for number in range(1, ROUNDS + 1):
            for mib in DIRTY_MIB:
                say(f"disks.thin.dirty: round {number} of {ROUNDS}, {mib} MiB")
                for _ in range(2):
                    all_dirtied(pairs, mib * MIB)
                    took_ms = timed_ms(lambda: rewound(storage, pairs), FEW)
                    proven_original(storage, pairs)
                    given_back(storage, pairs)
                ours[mib].append(took_ms)
    for mib, times in ours.items():
        yield Series(name="disks.thin.dirty", n=mib, unit="MiB dirty", ours_ms=times)


def _untagged_removed(names: Iterator[str]) -> None:
    """What the recipe made carries no label of ours, so the product would leave it alone."""
    run(["lvremove", "-q", "-y", *(f"{VG}/{name}" for name in names)], timeout_s=300)


def _files() -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = folder / "base.qcow2"
        run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "1G"])
        say("disks.thin: recipe.overlay")
        overlay = [recipes.overlay_ms(folder, base, number) for number in range(SAMPLES)]
        say("disks.thin: recipe.virsh")
        machine = recipes.VirshSnapshots(folder, DIRTY_BYTES)
        virsh = [machine.reverted_ms() for _ in range(SAMPLES)]
        machine.removed()
    return {"recipe.overlay": overlay, "recipe.virsh": virsh}
