"""Classic stores that fill up: guard extends them, or pauses their machine in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizarra.storage.dm_snapshot.store import cow_bytes
from tests.contract.storage_lvm import VG, direct_write, lvm
from tests.fixtures.command import pizarra
from tests.lab.conftest import command
from tests.lab.school import direct_read
from tests.lab.test_firmware import run_seats

MIB = 1 << 20
DISK = Path(f"/dev/{VG}/full-01.vda")


def store_bytes() -> int:
    said = command("lvs", "--noheadings", "--units", "b", "--nosuffix", "-o", "lv_size",
                   f"{VG}/full-01.vda")  # fmt: skip
    return int(said)


def fill(from_mib: int, to_mib: int) -> None:
    for at in range(from_mib, to_mib):
        direct_write(DISK, at * MIB, bytes([at % 251 + 1]) * MIB)


@pytest.mark.usefixtures("lab")
def test_guard_when_a_classic_store_fills_then_extends_it_or_stops_its_machine(
    tmp_path: Path,
) -> None:
    image = tmp_path / "blank.img"
    with image.open("wb") as file:
        file.truncate(400 * MIB)
    how = ("--storage", "lvm-thick", "--vg", VG)
    assert pizarra("template", "import", "blank", str(image), *how).status == 0
    wish = ("--template", "blank", "--seats", "1", "--memory", "16M", "--network", "none")
    run_seats("classroom", "create", "full", *wish, "--vcpus", "1")
    run_seats("start", "full")
    assert store_bytes() == cow_bytes(400 * MIB) == 100 * MIB

    fill(0, 60)
    assert pizarra("guard").status == 0
    assert store_bytes() == 100 * MIB, "there is room yet"
    fill(60, 82)
    told = pizarra("guard")
    assert (told.status, "its store is larger now" in told.err) == (0, True), told.err
    assert store_bytes() >= 150 * MIB

    lvm("lvcreate", "-y", "-l", "100%FREE", "-n", "theirs", VG)
    fill(82, 147)
    told = pizarra("guard")
    assert "stands still before its data is lost" in told.err, told.err
    assert "paused" in command("virsh", "domstate", "full-01")
    assert direct_read(DISK, 140 * MIB, 4096) == bytes([141]) * 4096, "nothing is lost"

    lvm("lvremove", "-y", f"{VG}/theirs")
    assert "larger now" in pizarra("guard").err
    run_seats("start", "full")
    assert "running" in command("virsh", "domstate", "full-01")
    assert run_seats("reset", "full", "--off")["full-01"]["verified"] is True
    assert pizarra("classroom", "delete", "full", "--yes").status == 0
