"""A log of writes: read, cut, and put on a disk again."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from lab.powercut.log_writes import (
    DISCARD,
    FLUSH,
    FUA,
    MAGIC,
    MARK,
    Entry,
    entries,
    replay,
    survivors,
)

SECTOR = 512


def log_of(path: Path, *told: tuple[int, int, bytes]) -> Path:
    """(sector, flags, data), as QEMU writes them."""
    raw = struct.pack("<QQQI", MAGIC, 1, len(told), SECTOR).ljust(SECTOR, b"\0")
    for sector, flags, data in told:
        head = struct.pack("<QQQQ", sector, len(data) // SECTOR, flags, 0)
        raw += head.ljust(SECTOR, b"\0") + (b"" if flags & DISCARD else data)
    path.write_bytes(raw)
    return path


def block(letter: bytes) -> bytes:
    return letter * SECTOR


def test_entries_when_a_log_is_whole_then_each_with_where_its_data_is(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", (1, 0, block(b"a")), (0, FLUSH, b""), (2, FUA, block(b"b")))
    assert list(entries(log)) == [
        Entry(1, 1, 0, 2 * SECTOR),
        Entry(0, 0, FLUSH, 4 * SECTOR),
        Entry(2, 1, FUA, 5 * SECTOR),
    ]


def test_entries_when_the_last_was_not_written_whole_then_without_it(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", (1, 0, block(b"a")), (2, 0, block(b"b") * 2))
    log.write_bytes(log.read_bytes()[:-1])
    assert [one.sector for one in entries(log)] == [1]


def test_entries_when_it_is_no_log_then_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(SECTOR))
    with pytest.raises(ValueError, match="no log of writes"):
        list(entries(tmp_path / "log"))


def test_survivors_when_the_power_fails_then_what_was_flushed_and_no_more() -> None:
    all_of_them = [Entry(n, 1, 0, 0) for n in range(6)]
    all_of_them[2] = Entry(0, 0, FLUSH, 0)
    all_of_them[4] = Entry(4, 1, FUA, 0)
    assert survivors(all_of_them, 2) == []
    assert survivors(all_of_them, 3) == all_of_them[:3]
    assert survivors(all_of_them, 6) == [*all_of_them[:3], all_of_them[4]]


def test_survivors_when_the_disk_had_written_some_then_any_of_the_cached() -> None:
    assert len(_seen_sectors([9001, 9002, 9003])) == 8


def test_survivors_when_lvm_wrote_its_metadata_then_what_survives_is_in_its_order() -> None:
    seen = _seen_sectors([100, 9001, 8])
    assert seen == {(), (100,), (9001,), (100, 9001), (100, 8), (100, 9001, 8)}


def _seen_sectors(sectors: list[int]) -> set[tuple[int, ...]]:
    all_of_them = [Entry(sector, 1, 0, 0) for sector in sectors]
    return {
        tuple(one.sector for one in survivors(all_of_them, 3, random.Random(seed)))
        for seed in range(200)
    }


def test_replayed_when_put_on_a_disk_then_it_is_as_then(tmp_path: Path) -> None:
    log = log_of(
        tmp_path / "log",
        (1, 0, block(b"a") * 2),
        (0, MARK, block(b"m")),
        (2, 0, block(b"b")),
        (1, DISCARD, block(b"?")),
    )
    disk = tmp_path / "disk"
    disk.write_bytes(block(b".") * 4)
    replay(log, disk, list(entries(log)))
    assert disk.read_bytes() == block(b".") + block(b"\0") + block(b"b") + block(b".")
