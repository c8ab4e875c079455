"""scale: thirty seats are rewound in groups of 30, 300 and 1,000; LVM's own commands beside."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench import recipes
from bench.disks import (
    VG,
    Rewinder,
    by_name,
    dirty_all,
    pairs_now,
    prove_original,
    seats_on,
)
from bench.group_metadata import with_seats, without_seats
from bench.series import Series, say, timed_ms
from pizarra.model.sizes import MIB
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.interface import RewindTarget
from pizarra.system.process import run

LIVE, DIRTY_BYTES, SIZE_BYTES = 30, 4 * MIB, 64 * MIB
SIZES = (30, 300, 1000)
ROUNDS, SAMPLES = 6, 2
_ASLEEP = "asleep-"
_FIRST_COPY = 1_000_000  # thin ids that nothing else uses


def measure() -> Iterator[Series]:
    """Ours stays; `lvremove` + `lvcreate -s` grows with the group."""
    storage = DmThinStore(VG)
    with seats_on(storage, LIVE + SAMPLES * len(SIZES), SIZE_BYTES) as pairs:
        live, spare = _split(pairs)
        try:
            asleep = 0
            for size in SIZES:
                _add_sleeping(live[0].volume.name, range(asleep, size - LIVE))
                asleep = size - LIVE
                yield _at(storage, size, live, [spare.pop() for _ in range(SAMPLES)])
        finally:
            _rewrite_metadata(lambda text: without_seats(text, _ASLEEP))


def _split(pairs: Sequence[RewindTarget]) -> tuple[list[RewindTarget], list[RewindTarget]]:
    order = [volume.uuid for volume in by_name(pairs)]
    known = {pair.volume.uuid: pair for pair in pairs}
    found = [known[uuid] for uuid in order]
    return found[:LIVE], found[LIVE:]


def _add_sleeping(like: str, numbers: range) -> None:
    """So many seats more, which sleep."""
    say(f"scale: a volume group with {numbers.stop + LIVE} seats")
    names = [f"{_ASLEEP}{number:04d}" for number in numbers]
    _rewrite_metadata(lambda text: with_seats(text, like, names, _FIRST_COPY + numbers.start))


def _rewrite_metadata(change: Callable[[str], str]) -> None:
    """The group's metadata as it is now, with a change."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "group"
        run(["vgcfgbackup", "-f", str(file), VG])
        file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
        run(["vgcfgrestore", "-y", "--force", "-f", str(file), VG], timeout_s=300)


def _at(
    storage: DmThinStore, size: int, live: list[RewindTarget], spare: list[RewindTarget]
) -> Series:
    ours, rewinder = [], Rewinder(storage, live)
    for number in range(1, ROUNDS + 1):
        say(f"scale: {size} seats, round {number} of {ROUNDS}")
        dirty_all(live, DIRTY_BYTES)
        ours.append(timed_ms(rewinder.rewind, LIVE))
        prove_original(storage, live)
        rewinder.reclaim_space()
    theirs = []
    for pair in spare:
        say(f"scale: {size} seats, lvremove + lvcreate -s of {pair.volume.name}")
        theirs.append(recipes.proxmox_ms(pair.volume, pair.source.name))
    run(["lvremove", "-q", "-y", *(f"{VG}/{pair.volume.name}" for pair in spare)], timeout_s=600)
    report_ms = timed_ms(lambda: pairs_now(storage))
    return Series(
        name="scale",
        n=size,
        ours_ms=ours,
        others_ms={"recipe.proxmox": theirs},
        notes={"live": LIVE, "one_report_ms": round(report_ms, 1)},
    )
