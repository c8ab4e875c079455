"""Programs read the content of a seat's disk, and write it while the machine is off."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pizarra.model.sizes import MIB
from tests.contract.test_storage import AT, ORIGINAL, STUDENT, Room, bench, kind, room, shared

__all__ = ["bench", "kind", "room", "shared"]  # fixtures


def test_opened_when_read_by_qemu_img_then_has_the_content(room: Room, tmp_path: Path) -> None:
    room.vandalise(1)
    form = room.seats[1].source.format
    with room.storage.opening(room.seats[1]) as path:
        copied = tmp_path / "raw"
        cache = "none" if path.is_block_device() else "writeback"
        argv = ["qemu-img", "convert", "-T", cache, "-f", form, "-O", "raw", str(path), str(copied)]
        subprocess.run(argv, check=True)
    data = copied.read_bytes()
    assert data[AT : AT + len(STUDENT)] == STUDENT
    assert data[MIB : MIB + len(ORIGINAL)] == ORIGINAL


def test_raw_when_written_then_a_guest_reads_it_and_a_rewind_takes_it_back(
    room: Room,
) -> None:
    with (
        room.storage.opening(room.seats[1], raw=True, writable=True) as path,
        path.open("r+b") as file,
    ):
        file.seek(AT)
        assert file.read(len(ORIGINAL)) == ORIGINAL
        file.seek(AT)
        file.write(STUDENT)
    assert room.is_vandalised(1)
    with room.storage.opening(room.seats[1], raw=True) as path, path.open("rb") as file:
        file.seek(AT)
        assert file.read(len(STUDENT)) == STUDENT
    with room.storage.opening(room.golden, raw=True) as path, path.open("rb") as file:
        file.seek(AT)
        assert file.read(len(ORIGINAL)) == ORIGINAL
    assert room.is_original(2)
    assert room.storage.rewind(room.pairs(1)) == {room.seats[1].uuid: None}
    assert room.is_original(1)
