"""LVM under the contract suite: only in the lab, whose volume group is nobody's."""

from __future__ import annotations

import mmap
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pizarra.model.facts import StorageKind, Volume
from pizarra.model.labels import ResetMethod
from pizarra.storage.dm_snapshot.store import DmSnapshotStore
from pizarra.storage.dm_thin import ids as thin_ids
from pizarra.storage.dm_thin.pool import ThinPool, read_thins
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.interface import Storage
from pizarra.storage.kinds import Kind
from pizarra.system import devmapper

VG = "vg_class"
POOL = "pizarra"


class LvmBench:
    """A thin or a thick backend on the lab's volume group."""

    def __init__(self, kind: StorageKind) -> None:
        self.kind = kind
        self.storage = self.again()
        thin = kind is Kind.LVM_THIN
        self.seats_grow = thin  # a classic snapshot is as large as its origin
        self.seats_outlive_golden = thin
        self.adopts_as: ResetMethod | None = ResetMethod.REWIND if thin else ResetMethod.MERGE

    def clear(self, *, but: str) -> None:
        kept = {but, POOL} if self.kind is Kind.LVM_THIN else {but}
        report = lvm("lvs", "--noheadings", "-o", "lv_name,origin", VG).splitlines()
        found = [line.split() for line in report]
        # a seat goes with its origin, and cannot be named when that one is
        standing = [name for name, *origin in found if origin and name not in kept]
        others = [name for name, *origin in found if not origin and name not in kept]
        for batch in (standing, others):
            if batch:
                lvm("lvremove", "-ff", "-y", *(f"{VG}/{name}" for name in batch))
        forget_undos()

    def again(self) -> Storage:
        if self.kind is Kind.LVM_THIN:
            return DmThinStore(VG, POOL)
        return DmSnapshotStore(VG)

    def write(self, volume: Volume, offset: int, data: bytes) -> None:
        with self.storage.opening(volume) as path:
            direct_write(path, offset, data)

    def read(self, volume: Volume, offset: int, length: int) -> bytes:
        with self.storage.opening(volume) as path, both_ways(path) as read:
            return read(offset, length)

    @contextmanager
    def holding(self, volume: Volume) -> Iterator[Callable[[int, int], bytes]]:
        with both_ways(volume.path) as read:
            yield read

    def foreign(self, name: str) -> None:
        thin = ("-V", "8m", "-T", f"{VG}/{POOL}")
        form = thin if self.kind is Kind.LVM_THIN else ("-L", "8m", VG)
        lvm("lvcreate", "-y", "-Wn", "-n", name, *form)

    def lose(self, volume: Volume) -> None:
        lvm("lvremove", "-ff", "-y", f"{VG}/{volume.name}")


def forget_undos() -> None:
    """What was kept or set aside of seats that went without us."""
    pool = ThinPool(VG, POOL)
    if devmapper.device(pool.device):
        for thin_id in read_thins(pool):
            if thin_id >= thin_ids.DISCARDED:
                devmapper.message(pool.device, f"delete {thin_id}")


def lvm(*argv: str) -> str:
    done = subprocess.run(["lvm", *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def direct_write(device: Path, offset: int, data: bytes) -> None:
    """As QEMU with cache='none'; only it gets past what the page cache holds."""
    fd = os.open(device, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
    try:
        with mmap.mmap(-1, len(data)) as buffer:
            buffer[:] = data
            assert os.pwrite(fd, buffer, offset) == len(data)
    finally:
        os.close(fd)


@contextmanager
def both_ways(device: Path) -> Iterator[Callable[[int, int], bytes]]:
    """Reads with O_DIRECT and through the page cache, which must agree."""
    direct = os.open(device, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    cached = os.open(device, os.O_RDONLY | os.O_CLOEXEC)

    def read(offset: int, length: int) -> bytes:
        with mmap.mmap(-1, length) as buffer:
            assert os.preadv(direct, [buffer], offset) == length
            data = buffer[:]
        assert os.pread(cached, length, offset) == data, "the page cache holds something else"
        return data

    try:
        yield read
    finally:
        os.close(direct)
        os.close(cached)
