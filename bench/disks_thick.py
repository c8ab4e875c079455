"""disks.thick: classic snapshots; the store is emptied, however much is in it."""

from __future__ import annotations

from collections.abc import Iterator

from bench.disks import VG, Rewinder, dirty_all, prove_original, seats_on
from bench.series import Series, say, timed_ms
from demo import recipe_2014
from pizarra.model.sizes import MIB
from pizarra.storage.dm_snapshot.store import DmSnapshotStore

SEATS, SIZE_BYTES = 4, 1280 * MIB  # a seat's store is a quarter of it, and must not overflow
RECIPE_BYTES = 320 * MIB
DIRTY_MIB = (1, 16, 256)
ROUNDS, SAMPLES = 5, 2


def measure() -> Iterator[Series]:
    """One line for each amount of change."""
    storage = DmSnapshotStore(VG)
    with seats_on(storage, SEATS, SIZE_BYTES) as pairs:
        rewinder = Rewinder(storage, pairs)
        ours: dict[int, list[float]] = {mib: [] for mib in DIRTY_MIB}
        # the sizes take turns, so that a slow moment of the machine is nobody's alone
        for number in range(1, ROUNDS + 1):
            for mib in DIRTY_MIB:
                say(f"disks.thick: round {number} of {ROUNDS}, {mib} MiB dirty")
                dirty_all(pairs, mib * MIB)
                ours[mib].append(timed_ms(rewinder.rewind, SEATS))
                prove_original(storage, pairs)
    for mib in DIRTY_MIB:
        say(f"disks.thick: recipe.2014, {mib} MiB dirty")
        theirs = [recipe_2014.measure(VG, RECIPE_BYTES, mib * MIB) for _ in range(SAMPLES)]
        yield Series(
            name="disks.thick",
            n=mib,
            unit="MiB dirty",
            ours_ms=ours[mib],
            others_ms={"recipe.2014": theirs},
            notes={"seats": SEATS},
        )
