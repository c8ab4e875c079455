"""Disks of a class without machines: thin and classic seats, made dirty and put back."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pizarra.model.facts import Volume, labelled
from pizarra.model.labels import FillingLabels, SeatLabels, TemplateLabels
from pizarra.model.sizes import MIB
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.dm_snapshot.store import DmSnapshotStore
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.interface import NewVolume, RewindTarget, UndoStore, raise_first
from pizarra.system.process import run

VG = "vg_class"
CLASSROOM = "bench"
LvmStorage = DmThinStore | DmSnapshotStore


@contextmanager
def seats_on(storage: LvmStorage, seats: int, size_bytes: int) -> Iterator[list[RewindTarget]]:
    """So many seats on a golden volume of some data; all removed in the end."""
    labels = TemplateLabels(template=CLASSROOM, version=1)
    name = f"{CLASSROOM}.v1.vda"
    new = NewVolume(labels=FillingLabels(becoming=labels), size_bytes=size_bytes, name=name)
    golden = storage.create_golden(new)
    dirty(golden.path, 0, 4 * MIB)
    golden = storage.seal_golden(golden, labels)
    seat = SeatLabels(
        classroom=CLASSROOM,
        seat=0,
        template=CLASSROOM,
        version=1,
        baseline=golden.uuid,
        domain="-",
    )
    storage.create_seats(
        golden,
        [
            NewVolume(
                labels=replace(seat, seat=n), size_bytes=size_bytes, name=f"{CLASSROOM}-{n:04d}"
            )
            for n in range(1, seats + 1)
        ],
    )
    try:
        yield pairs_now(storage)
    finally:
        ours = [volume for volume in storage.observe().volumes if volume.labels]
        storage.remove(ours)


def pairs_now(storage: LvmStorage) -> list[RewindTarget]:
    """Every active seat with its baseline, as LVM says now."""
    volumes = {volume.uuid: volume for volume in storage.observe().volumes}
    return [
        RewindTarget(volume=volume, source=volumes[volume.labels.baseline])
        for volume in labelled(volumes.values(), SeatLabels)
        if volume.active
    ]


def dirty_all(pairs: Sequence[RewindTarget], dirty_bytes: int) -> None:
    """Each seat's disk as after a lesson, two at a time."""
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda pair: dirty(pair.volume.path, 0, dirty_bytes), pairs))


def dirty(device: Path, offset: int, dirty_bytes: int) -> None:
    """Written past the page cache, as a machine does."""
    fd = os.open(device, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
    try:
        with mmap.mmap(-1, MIB) as buffer:
            buffer[:] = os.urandom(4096) * (MIB // 4096)
            for written in range(0, dirty_bytes, MIB):
                os.pwrite(fd, buffer, offset + written)
        os.fsync(fd)
    finally:
        os.close(fd)


class Rewinder:
    """Rewinds the same seats again and again, as resets one after another do."""

    def __init__(self, storage: LvmStorage, pairs: Sequence[RewindTarget]) -> None:
        self._storage = storage
        self._pairs = pairs
        self._slot = UndoSlot.B

    def rewind(self) -> None:
        """Rewind all seats, with an undo where the storage has undos. Raises the first fault."""
        self._slot = self._slot.other  # the one that holds no undo
        raise_first(self._storage.rewind(self._pairs, undo=self._slots()))

    def reclaim_space(self) -> None:
        """What a reset does when the machines have their disks. Raises the first fault."""
        if not isinstance(self._storage, UndoStore):
            return
        volumes = [pair.volume for pair in self._pairs]
        raise_first(self._storage.reclaim_space(volumes, keep=self._slots()))

    def _slots(self) -> dict[str, UndoSlot]:
        """By volume, the slot that the last rewind filled."""
        has_undo = self._storage.capabilities.undo
        return {pair.volume.uuid: self._slot for pair in self._pairs} if has_undo else {}


def prove_original(storage: LvmStorage, pairs: Sequence[RewindTarget]) -> None:
    """A time means nothing if the disk is not the original's."""
    for pair, change in zip(pairs, storage.diff(pairs).values(), strict=True):
        assert getattr(change, "changed_bytes", None) == 0, (pair.volume.name, change)


def wait_for_udev() -> None:
    """Until udev has done what earlier steps gave it to do, so that none of it is in a clock."""
    run(["udevadm", "settle", "--timeout=60"], check=False)


def by_name(pairs: Sequence[RewindTarget]) -> list[Volume]:
    """The seats, in order."""
    return sorted((pair.volume for pair in pairs), key=lambda volume: volume.name)


def direct_block(device: Path, offset: int) -> bytes:
    """4 KiB as they are on the disk, while a machine writes to it."""
    fd = os.open(device, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        with mmap.mmap(-1, 4096) as buffer:
            os.preadv(fd, [buffer], offset)
            return buffer[:]
    finally:
        os.close(fd)
