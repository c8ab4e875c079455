"""Reads and writes of thin volumes while their machines are off."""

from __future__ import annotations

from pathlib import Path

from pizarra.service.context import Context
from pizarra.storage.images import image_info
from pizarra.system.ext_files import linux_root
from tests.contract.storage_lvm import VG, direct_write
from tests.fixtures.command import pizarra
from tests.lab.school import direct_read
from tests.lab.test_adopt import with_pool
from tests.lab.test_firmware import run_seats
from tests.unit.test_identity_offline import made

WORK = b"lesson three".ljust(4096, b".")
SEATS = ("--seats", "2", "--memory", "16M", "--vcpus", "1", "--network", "none")


def disk(number: int) -> Path:
    return Path(f"/dev/{VG}/net-{number:02d}.vda")


def hostname(number: int) -> bytes | None:
    root = linux_root(disk(number))
    assert root
    return root.read("/etc/hostname")


def test_identify_when_the_disk_is_written_then_a_reset_brings_the_name_back(
    lab: Context, tmp_path: Path
) -> None:
    assert lab
    with_pool()
    assert pizarra("template", "import", "ext", str(made(tmp_path)), "--vg", VG).status == 0
    run_seats("classroom", "create", "net", "--template", "ext", *SEATS, "--identify")
    names = [hostname(number) for number in (1, 2)]
    assert names == [b"net-01\n", b"net-02\n"]
    for number in (1, 2):
        direct_write(disk(number), 0, bytes(1 << 20))  # no partition is left
        direct_write(disk(number), 2 << 20, bytes(1 << 20))
    assert {one["verified"] for one in run_seats("reset", "net").values()} == {True}
    assert [hostname(number) for number in (1, 2)] == names
    assert {one["verified"] for one in run_seats("verify", "net", "--deep").values()} == {True}
    run_seats("checkpoint", "save", "net", "lesson", "1")
    run_seats("checkpoint", "hand-out", "net", "lesson", "--from", "1")
    assert [hostname(number) for number in (1, 2)] == names


def test_export_when_it_is_a_checkpoint_of_a_thin_volume_then_a_template_is_made_of_it(
    lab: Context, bootsector: Path, tmp_path: Path
) -> None:
    with_pool()
    assert pizarra("template", "import", "boot", str(bootsector), "--vg", VG).status == 0
    run_seats("classroom", "create", "net", "--template", "boot", *SEATS)
    direct_write(disk(1), 1 << 20, WORK)
    run_seats("checkpoint", "save", "net", "lesson-3", "1")
    direct_write(disk(1), 1 << 20, bytes(4096))
    folder = tmp_path / "usb"
    done = pizarra("checkpoint", "export", "net", "lesson-3", str(folder), "--from", "1")
    assert done.status == 0, done.err
    assert image_info(next(folder.glob("*.qcow2"))).content_bytes < 8 << 20
    assert pizarra("template", "import", "lesson", str(folder), "--vg", VG).status == 0
    golden = lab.host.observe().template("lesson").volumes[0]
    with lab.host.storage_of(golden).opening(golden) as path:
        assert direct_read(path, 1 << 20, 4096) == WORK
