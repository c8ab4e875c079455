"""What fills up: guard extends classic stores, and pauses machines in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pizarra.service.context import Context
from pizarra.storage.dm_snapshot.store import cow_bytes
from tests.contract.storage_lvm import VG, direct_write, lvm
from tests.fixtures.command import pizarra
from tests.lab.conftest import command, empty_lab
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


def fast(number: int) -> Path:
    return Path(f"/dev/{VG}/fast-{number:02d}.vda")


@pytest.fixture
def small_pool(lab: Context, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A thin pool of 128 MiB, half of which stays free."""
    _ = lab
    monkeypatch.setenv("PIZARRA_POOL", "small")
    monkeypatch.setenv("PIZARRA_POOL_RESERVE_PERCENT", "50")
    lvm("lvcreate", "-y", "--type", "thin-pool", "-L", "128m", "-n", "small", VG)
    yield
    empty_lab()
    lvm("lvremove", "-ff", "-y", f"{VG}/small")


@pytest.mark.usefixtures("small_pool")
def test_guard_when_a_thin_pool_is_at_its_reserve_then_its_fastest_writer_stands_still(
    tmp_path: Path,
) -> None:
    image = tmp_path / "blank.img"
    with image.open("wb") as file:
        file.truncate(100 * MIB)
    how = ("--storage", "lvm-thin", "--vg", VG)
    assert pizarra("template", "import", "blank", str(image), *how).status == 0
    wish = ("--template", "blank", "--seats", "2", "--memory", "16M", "--network", "none")
    run_seats("classroom", "create", "fast", *wish, "--vcpus", "1")
    run_seats("start", "fast")
    told = pizarra("guard")
    assert (told.status, "paused" in told.err) == (0, False), told.err

    for at in range(80):
        direct_write(fast(1), at * MIB, bytes([at + 1]) * MIB)
    # three times that in a minute, however soon the next look comes, lasts half an hour
    direct_write(fast(2), 0, b"x" * (MIB // 4))
    told = pizarra("guard")
    assert "small is nearly full" in told.err, told.err
    assert "fast-01, which wrote" in told.err, told.err
    assert "paused" in command("virsh", "domstate", "fast-01")
    assert "running" in command("virsh", "domstate", "fast-02")
    seen = run_seats("status", "fast")
    assert [seen[one]["halt"] for one in sorted(seen)] == ["space", None]
    assert direct_read(fast(1), 79 * MIB, 4096) == bytes([80]) * 4096, "nothing is lost"

    assert run_seats("unfreeze", "fast", status=1)["fast-01"]["outcome"] == "skipped"
    assert pizarra("start", "fast", "1").status == 3
    assert "paused" in command("virsh", "domstate", "fast-01")

    lvm("lvextend", "-y", "-L", "384m", f"{VG}/small")
    packed = tmp_path / "packed.qcow2"
    image.write_bytes(b"A" * 150 * MIB)
    command("qemu-img", "convert", "-c", "-O", "qcow2", image, packed)
    assert packed.stat().st_size < 2 * MIB
    refused = pizarra("template", "import", "bomb", str(packed), *how)
    assert (refused.status, "stay free" in refused.err) == (3, True), refused.err

    run_seats("start", "fast", "1")
    assert "running" in command("virsh", "domstate", "fast-01")
    assert pizarra("guard").status == 0
    assert run_seats("reset", "fast", "--off")["fast-01"]["verified"] is True
    assert pizarra("classroom", "delete", "fast", "--yes").status == 0
