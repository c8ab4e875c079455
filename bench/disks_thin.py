"""disks.thin: thirty dirty thin seats, against the limit and against four ways that people use.

disks.thin.after is what a reset does when the machines have their disks: it reclaims space.
disks.thin.dirty: a few seats with little and much written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bench import recipes
from bench.disks import (
    VG,
    Rewinder,
    by_name,
    dirty,
    dirty_all,
    prove_original,
    seats_on,
    wait_for_udev,
)
from bench.limit import BareLoop, SeatIds
from bench.series import Series, say, timed_ms
from demo import recipe_2014
from pizarra.model.sizes import MIB
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.interface import RewindTarget
from pizarra.system import devmapper
from pizarra.system.process import run

SEATS, DIRTY_BYTES, SIZE_BYTES = 30, 64 * MIB, 256 * MIB
FEW, DIRTY_MIB = 8, (1, 16, 256)
ROUNDS, LIMIT_ROUNDS, SAMPLES = 4, 6, 4


def measure() -> Iterator[Series]:
    """Ours and the limit take turns over the class; each other way a few times for one seat."""
    storage = DmThinStore(VG)
    with seats_on(storage, SEATS, SIZE_BYTES) as pairs:
        ours, limit, after = _in_turns(storage, pairs)
        others = {"limit": limit, "recipe.proxmox": [], "recipe.2014": [], **_files()}
        golden = pairs[0].source.name
        for seat in by_name(pairs)[:SAMPLES]:
            say(f"disks.thin: recipe.proxmox on {seat.name}")
            dirty(seat.path, 0, DIRTY_BYTES)
            others["recipe.proxmox"].append(recipes.proxmox_ms(seat, golden))
        _remove_untagged(seat.name for seat in by_name(pairs)[:SAMPLES])
    for number in range(1, SAMPLES + 1):
        say(f"disks.thin: recipe.2014, {number} of {SAMPLES}")
        others["recipe.2014"].append(recipe_2014.measure(VG, SIZE_BYTES, DIRTY_BYTES))
    yield Series(name="disks.thin", n=SEATS, ours_ms=ours, others_ms=others)
    yield Series(name="disks.thin.after", n=SEATS, ours_ms=after)
    yield from _by_dirt(storage)


def measure_limit() -> Iterator[Series]:
    """disks.thin against the limit alone."""
    storage = DmThinStore(VG)
    with seats_on(storage, SEATS, SIZE_BYTES) as pairs:
        ours, limit, _ = _in_turns(storage, pairs)
    yield Series(name="disks.thin", n=SEATS, ours_ms=ours, others_ms={"limit": limit})


def _in_turns(
    storage: DmThinStore, pairs: Sequence[RewindTarget]
) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds a seat: our rewind, the bare loop's, and our reclaiming of space.

    A round without a clock comes first: no undo is there yet, and udev knows the seats from LVM.
    """
    ours, limit, after = [], [], []
    rewinder = Rewinder(storage, pairs)
    with closing(bare_loop(pairs)) as loop:
        for number in range(LIMIT_ROUNDS + 1):
            say(f"disks.thin: round {number} of {LIMIT_ROUNDS}: {SEATS} seats, 64 MiB dirty each")
            for is_ours in (number % 2 == 0, number % 2 == 1):
                dirty_all(pairs, DIRTY_BYTES)
                wait_for_udev()
                if is_ours:
                    took = timed_ms(rewinder.rewind, SEATS)
                    prove_original(storage, pairs)
                    reclaimed = timed_ms(rewinder.reclaim_space, SEATS)
                else:
                    with loop.ready():
                        bare = timed_ms(loop.rewind, SEATS)
                    prove_original(storage, pairs)
                    loop.clean_up()
            say(f"disks.thin: {took:.1f} ms a seat, the limit {bare:.1f}")
            if number:
                ours.append(took)
                limit.append(bare)
                after.append(reclaimed)
    return ours, limit, after


def bare_loop(pairs: Sequence[RewindTarget]) -> BareLoop:
    """The bare loop over these seats, which are of one pool."""
    pool = devmapper.dm_name(VG, pairs[0].volume.pool) + "-tpool"
    seats = [
        SeatIds(
            device=devmapper.dm_name(VG, pair.volume.name),
            thin_id=pair.volume.thin_id,
            baseline_id=pair.source.thin_id,
        )
        for pair in pairs
    ]
    return BareLoop(pool, seats)


def _by_dirt(storage: DmThinStore) -> Iterator[Series]:
    """The sizes take turns, so that a slow moment of the machine is nobody's alone. What is rewound
    has as much kept of it as is written to it."""
    ours: dict[int, list[float]] = {mib: [] for mib in DIRTY_MIB}
    with seats_on(storage, FEW, SIZE_BYTES) as pairs:
        rewinder = Rewinder(storage, pairs)
        for number in range(1, ROUNDS + 1):
            for mib in DIRTY_MIB:
                say(f"disks.thin.dirty: round {number} of {ROUNDS}, {mib} MiB")
                for _ in range(2):
                    dirty_all(pairs, mib * MIB)
                    took_ms = timed_ms(rewinder.rewind, FEW)
                    prove_original(storage, pairs)
                    rewinder.reclaim_space()
                ours[mib].append(took_ms)
    for mib, times in ours.items():
        yield Series(name="disks.thin.dirty", n=mib, unit="MiB dirty", ours_ms=times)


def _remove_untagged(names: Iterator[str]) -> None:
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
        machine.remove()
    return {"recipe.overlay": overlay, "recipe.virsh": virsh}
