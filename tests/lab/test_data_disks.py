"""Data disks on thin volumes keep their content, whatever happens to the system disk."""

from __future__ import annotations

from pathlib import Path

from pizarra.service.context import Context
from tests.contract.storage_lvm import VG, direct_write
from tests.fixtures.command import pizarra
from tests.lab.conftest import command
from tests.lab.school import direct_read
from tests.lab.test_adopt import with_pool
from tests.lab.test_firmware import run_seats, the_seat

WORK = b"a term's work" + bytes(4083)


def disk(name: str) -> Path:
    return Path(f"/dev/{VG}/{name}")


def test_reset_when_there_is_a_data_disk_then_it_stays_and_goes_along_with_its_student(
    lab: Context, bootsector: Path
) -> None:
    with_pool()
    how = ("--vg", VG, "--data", "32M")
    assert pizarra("template", "import", "boot", str(bootsector), *how).status == 0
    wish = ("--template", "boot", "--seats", "2", "--memory", "16M", "--vcpus", "1")
    run_seats("classroom", "create", "keep", *wish, "--network", "none")
    run_seats("start", "keep", "1")
    for name in ("keep-01.vda", "keep-01.vdb"):
        direct_write(disk(name), 1 << 20, WORK)
    done = run_seats("reset", "keep", "1", "--off")["keep-01"]
    assert (done["outcome"], done["verified"]) == ("done", True)
    assert direct_read(disk("keep-01.vda"), 1 << 20, 4096) != WORK
    assert direct_read(disk("keep-01.vdb"), 1 << 20, 4096) == WORK
    assert run_seats("verify", "keep", "--deep")["keep-01"]["verified"] is True

    run_seats("undo", "keep", "1")
    assert direct_read(disk("keep-01.vda"), 1 << 20, 4096) == WORK
    assert pizarra("recover").status == 0
    run_seats("classroom", "swap-data", "keep", "1", "2")
    (kept,) = the_seat(lab, "keep", 2).data
    assert direct_read(kept.path, 1 << 20, 4096) == WORK
    assert str(kept.path) in command("virsh", "domblklist", "keep-02")

    refused = pizarra("classroom", "delete", "keep", "--yes")
    assert (refused.status, "would be lost" in refused.err) == (2, True)
    run_seats("classroom", "delete", "keep", "--with-data", "--yes")
    assert pizarra("template", "delete", "boot", "--yes").status == 0
    ours = [volume.name for volume in lab.host.observe().volumes.values() if volume.labels]
    assert ours == []
