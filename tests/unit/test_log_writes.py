"""The log of a disk's writes: read as QEMU writes it, and what survives a loss of power."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.powercut.log_writes import DISCARD, FLUSH, FUA, MAGIC, entries, replayed, survivors

SECTOR = 512


def log_of(path: Path, *requests: tuple[int, bytes, int]) -> Path:
    """(sector, data, flags) of each."""
    parts = [struct.pack("<QQQI", MAGIC, 1, len(requests), SECTOR).ljust(SECTOR, b"\0")]
    for sector, data, flags in requests:
        sectors = 1 if flags & DISCARD else len(data) // SECTOR
        parts.append(struct.pack("<QQQQ", sector, sectors, flags, 0).ljust(SECTOR, b"\0"))
        parts.append(data)
    path.write_bytes(b"".join(parts))
    return path


def test_replay_when_power_is_lost_then_only_what_was_flushed_is_there(tmp_path: Path) -> None:
    a, b, c = (letter * SECTOR for letter in (b"a", b"b", b"c"))
    log = log_of(
        tmp_path / "log", (0, a, 0), (0, b"", FLUSH), (1, b, 0), (0, c, FUA), (2, a, 0),
        (1, b"", DISCARD), (0, b"", FLUSH),
    )  # fmt: skip
    found = list(entries(log))
    assert len(found) == 7
    states = []
    for cut in range(len(found) + 1):
        disk = tmp_path / "disk"
        disk.write_bytes(bytes(4 * SECTOR))
        replayed(log, disk, survivors(found, cut))
        data = disk.read_bytes()
        states.append(bytes(data[n * SECTOR] for n in range(3)))
    none, first, second, last = b"\0\0\0", b"a\0\0", b"cb\0", b"c\0a"
    assert states == [none, none, first, first, second, second, second, last]


def test_log_when_cut_off_in_an_entry_then_that_one_does_not_count(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", (0, b"a" * SECTOR, 0), (1, b"b" * SECTOR, 0))
    log.write_bytes(log.read_bytes()[:-1])
    assert len(list(entries(log))) == 1


def test_log_when_it_is_none_then_said(tmp_path: Path) -> None:
    other = tmp_path / "x"
    other.write_bytes(bytes(4096))
    with pytest.raises(ValueError, match="no log of writes"):
        list(entries(other))
