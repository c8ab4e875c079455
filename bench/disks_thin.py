"""disks.thin: thirty dirty thin seats, against four ways that people use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import recipes
from bench.disks import VG, all_dirtied, by_name, dirtied, proven_original, rewound, seats_on
from bench.series import Series, say, timed_ms
from demo import recipe_2014
from pizarra.model.sizes import MIB
from pizarra.storage.lvm_thin import LvmThinStorage
from pizarra.system.process import run

SEATS, DIRTY_BYTES, SIZE_BYTES = 30, 64 * MIB, 256 * MIB
ROUNDS, SAMPLES = 4, 4


def measured() -> Iterator[Series]:
    """Ours in rounds over the class; each other way a few times for one seat."""
    storage = LvmThinStorage(VG)
    with seats_on(storage, SEATS, SIZE_BYTES) as pairs:
        ours = []
        for number in range(1, ROUNDS + 1):
            say(f"disks.thin: round {number} of {ROUNDS}: {SEATS} seats, 64 MiB dirty each")
            all_dirtied(pairs, DIRTY_BYTES)
            ours.append(timed_ms(lambda: rewound(storage, pairs), SEATS))
            proven_original(storage, pairs)
        others = {"recipe.proxmox": [], "recipe.2014": [], **_files()}  # type: dict[str, list[float]]
        golden = pairs[0].baseline.name
        for seat in by_name(pairs)[:SAMPLES]:
            say(f"disks.thin: recipe.proxmox on {seat.name}")
            dirtied(seat.path, 0, DIRTY_BYTES)
            others["recipe.proxmox"].append(recipes.proxmox_ms(seat, golden))
        _untagged_removed(seat.name for seat in by_name(pairs)[:SAMPLES])
    for number in range(1, SAMPLES + 1):
        say(f"disks.thin: recipe.2014, {number} of {SAMPLES}")
        others["recipe.2014"].append(recipe_2014.measured(VG, SIZE_BYTES, DIRTY_BYTES))
    yield Series(name="disks.thin", n=SEATS, ours_ms=ours, others_ms=others)


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
