"""A host that lost its root file system and kept its disks comes back: real LVM, libvirt, OVMF.

Root's folders and the machines of libvirt are thrown away. The volume group stays.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pizarra import settings as settings_file
from pizarra.compute.domain_edit import state_files_of
from pizarra.service.context import Context
from tests.contract.storage_lvm import POOL, VG, lvm
from tests.fixtures.command import CommandResult, pizarra
from tests.lab.conftest import command
from tests.lab.test_adopt import define_machine, with_pool
from tests.lab.test_firmware import files, mark_nvram, run_seats, the_seat

STATE = Path("/var/lib/pizarra")
HARD = ("--memory", "64M", "--vcpus", "1", "--network", "none")


@pytest.fixture
def backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a backup goes; the file of the settings is the test's own."""
    file = tmp_path / "etc" / "pizarra" / "pizarra.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'vg = "{VG}"\n')
    monkeypatch.setattr(settings_file, "FILE", file)
    return tmp_path / "backup"


def well(said: CommandResult) -> CommandResult:
    assert said.status == 0, (said.out, said.err)
    return said


def write_disk(name: str, text: bytes) -> None:
    command("sh", "-c", f"printf %s '{text.decode()}' | dd of=/dev/{VG}/{name} bs=4096 "
            "seek=2000 count=1 conv=sync oflag=direct iflag=fullblock")  # fmt: skip


def disk(name: str) -> str:
    said = command("dd", f"if=/dev/{VG}/{name}", "bs=4096", "skip=2000", "count=1", "iflag=direct")
    return said.rstrip("\0")


def throw_root_away() -> None:
    """All that a new system does not have."""
    for name in command("virsh", "-q", "list", "--all", "--name").split():
        command("virsh", "-q", "undefine", name, "--nvram", "--tpm")
    shutil.rmtree(STATE)
    shutil.rmtree(settings_file.FILE.parent)
    command("vgchange", "-an", VG)
    command("vgchange", "-ay", VG)


def make_class(bootsector: Path) -> None:
    with_pool()
    how = ("--firmware", "uefi", "--tpm", "--storage", "lvm-thin", "--vg", VG)
    well(pizarra("template", "import", "boot", str(bootsector), *how))
    well(pizarra("classroom", "create", "net", "--template", "boot", "--seats", "3", *HARD))
    for number in (1, 2, 3):
        write_disk(f"net-0{number}.vda", b"first lesson")


def test_restore_when_root_is_lost_and_the_group_kept_then_the_class_is_as_it_was(
    lab: Context, bootsector: Path, backup: Path
) -> None:
    make_class(bootsector)
    run_seats("reset", "net", "1-2")
    lvm("lvcreate", "-y", "-V", "32m", "-T", f"{VG}/{POOL}", "-n", "theirs")
    define_machine("theirs", f"/dev/{VG}/theirs")
    run_seats("adopt", "theirs", "--classroom", "office")
    seat = the_seat(lab, "net", 3)
    nvram = files(lab, seat).nvram
    assert nvram
    run_seats("start", "net", "3")
    run_seats("stop", "net", "3", "--grace", "0")
    mark_nvram(nvram)
    variables = nvram.read_bytes()

    well(pizarra("backup", str(backup), "--json"))
    write_disk("net-02.vda", b"second lesson")
    run_seats("reset", "net", "2")
    throw_root_away()

    done = well(pizarra("restore", str(backup), "--yes", "--json")).document
    assert (done["next"], done["database"]) == ("pizarra recover", "none")
    said = well(pizarra("recover", "--json"))
    rooms = {one["classroom"]: one["seats"] for one in said.document["classrooms"]}
    assert {one["outcome"] for seats in rooms.values() for one in seats} == {"done"}
    assert "net-02: its undo is not that of the backup" in said.err
    assert nvram.read_bytes() == variables
    assert disk("net-03.vda") == "first lesson"
    assert run_seats("verify", "net", "1-2", "--deep")["net-01"]["verified"] is True

    run_seats("undo", "net", "1")
    assert disk("net-01.vda") == "first lesson"
    assert pizarra("undo", "net", "2").status == 2
    assert disk("net-02.vda") == ""
    run_seats("reset", "net")
    assert {disk(f"net-0{number}.vda") for number in (1, 2, 3)} == {""}
    assert {one["verified"] for one in run_seats("verify", "net", "--deep").values()} == {True}
    run_seats("start", "net", "1")
    run_seats("stop", "net", "1", "--grace", "0")
    write_disk("theirs", b"work")
    run_seats("reset", "office")
    assert disk("theirs") == ""
    again = well(pizarra("recover", "--json")).document["classrooms"]
    assert {one["outcome"] for room in again for one in room["seats"]} == {"unchanged"}


def test_recover_when_there_is_no_backup_then_disks_are_right_and_what_is_lost_is_told(
    lab: Context, bootsector: Path, backup: Path
) -> None:
    make_class(bootsector)
    run_seats("reset", "net", "1")
    throw_root_away()
    said = well(pizarra("recover", "--json"))
    (room,) = said.document["classrooms"]
    assert {one["outcome"] for one in room["seats"]} == {"done"}
    assert (disk("net-01.vda"), disk("net-03.vda")) == ("", "first lesson")
    assert pizarra("undo", "net", "1").status == 2
    refused = pizarra("reset", "net", "3", "--json")
    assert refused.status == 1
    assert "firmware's original state" in refused.document["seats"][0]["reason"]
    assert disk("net-03.vda") == "first lesson", "nothing is half-done"
    (STATE / "machines" / the_seat(lab, "net", 3).labels.baseline).mkdir(parents=True)
    run_seats("reset", "net", "3")
    assert disk("net-03.vda") == ""
    assert not backup.exists()
    assert state_files_of(lab.host.compute.xml(the_seat(lab, "net").domain_uuid)).nvram
