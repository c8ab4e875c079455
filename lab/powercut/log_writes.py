"""Reads a log of every write to a disk, and rebuilds the disk as it was at any entry.

QEMU's blklogwrites writes the log, in the format of device-mapper's log-writes target.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0x6A736677736872
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
_LVM_SECTORS = 2048  # before the first extent, where pvcreate puts it: LVM's label and metadata


@dataclass(frozen=True, slots=True)
class Entry:
    """One request to the disk. ``at`` is the offset of its data in the log."""

    sector: int
    sectors: int
    flags: int
    at: int

    @property
    def is_flush(self) -> bool:
        """Whether all earlier writes are on the disk. FUA promises that only for its own data."""
        return bool(self.flags & FLUSH)


def entries(log: Path) -> Iterator[Entry]:
    """All entries that are whole, in order. Raises ValueError for a file that is no such log."""
    size = log.stat().st_size
    with log.open("rb") as file:
        magic, version, _, sector_bytes = _SUPER.unpack(file.read(_SUPER.size))
        if magic != MAGIC or version != 1 or not sector_bytes:
            raise ValueError(f"{log} is no log of writes")
        position = sector_bytes
        while position + sector_bytes <= size:
            file.seek(position)
            sector, sectors, flags, _ = _ENTRY.unpack(file.read(_ENTRY.size))
            if not (sector or sectors or flags):
                return
            at = position + sector_bytes
            data_bytes = 0 if flags & DISCARD else sectors * sector_bytes
            if at + data_bytes > size:
                return
            yield Entry(sector, sectors, flags, at)
            position = at + data_bytes


def survivors(all_entries: list[Entry], cut: int, some: random.Random | None = None) -> list[Entry]:
    """The writes that are on the disk when the power fails before entry ``cut``.

    These are the writes up to the last flush. Later writes were in the disk's cache: none of them
    survives, or with ``some`` each survives by chance. Those to LVM's own metadata survive in the
    order in which LVM made them. LVM writes a text, and then the header that points to the text,
    without a flush between the two: no volume group outlives a disk that turns them round.
    """
    flushed = max((n for n in range(cut) if all_entries[n].is_flush), default=-1)
    cached = all_entries[flushed + 1 : cut]
    by_lvm = [one for one in cached if one.sectors and one.sector < _LVM_SECTORS]
    if some:
        lucky = {*by_lvm[: some.randint(0, len(by_lvm))]}
        lucky |= {one for one in cached if one not in by_lvm and some.random() < 0.5}
    else:
        lucky = set()
    return all_entries[: flushed + 1] + [one for one in cached if one.flags & FUA or one in lucky]


def replay(log: Path, disk: Path, these: list[Entry], sector_bytes: int = 512) -> None:
    """Apply writes to a disk that is as it was when the log began."""
    with log.open("rb") as source, disk.open("r+b") as target:
        for entry in these:
            if entry.flags & MARK:
                continue  # the data of a mark is a word, not a write
            target.seek(entry.sector * sector_bytes)
            if entry.flags & DISCARD:
                _zero(target.fileno(), entry.sector * sector_bytes, entry.sectors * sector_bytes)
            elif entry.sectors:
                source.seek(entry.at)
                target.write(source.read(entry.sectors * sector_bytes))


def _zero(fd: int, start: int, length: int) -> None:
    """Zero a discarded range. A discarded block may hold anything; zeros are likely."""
    for offset in range(start, start + length, 1 << 20):
        os.pwrite(fd, bytes(min(1 << 20, start + length - offset)), offset)
