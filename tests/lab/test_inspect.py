"""Inspects seats in the lab: what changed, devices, copies of files, and no traces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pizarra.engine.events import Began, Event, Noted
from pizarra.errors import AlreadyExists, BadInput, Unsupported
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import StorageKind
from pizarra.model.outcome import Outcome
from pizarra.model.sizes import MIB
from pizarra.service import classrooms, inspect, recover, templates, verbs, views
from pizarra.service.context import Context
from pizarra.service.inspect import Where
from pizarra.service.views import View, Which
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG, direct_write
from tests.lab.conftest import command

ORIGINAL = Where(which=Which.ORIGINAL)
START_SECTOR = 2048


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with a small and a large partition; the large one has an ext4 with files."""
    folder = tmp_path_factory.mktemp("disk")
    tree = folder / "tree"
    (tree / "home" / "ana").mkdir(parents=True)
    (tree / "home" / "ana" / "report.txt").write_text("what I did")
    (tree / "home" / "ana" / "shadow").symlink_to("/etc/shadow")
    part, image = folder / "part", folder / "disk.img"
    command("mkfs.ext4", "-q", "-d", tree, part, "40M")
    with image.open("wb") as file:
        file.truncate(64 * MIB)
        file.seek(START_SECTOR * 512)
        file.write(part.read_bytes())
    table = f"label: dos\n{START_SECTOR} 81920 L\n83968 2048 L\n"
    subprocess.run(["sfdisk", "-q", image], input=table, text=True, check=True, capture_output=True)
    return image


def room(lab: Context, disk: Path, kind: StorageKind, seats: int = 2) -> None:
    vg = "" if kind is Kind.QCOW2 else VG
    templates.import_template(lab, "t", templates.source_of_file(disk), kind=kind, vg=vg)
    spec = ClassroomSpec(name="net", template="t", seats=seats, memory_bytes=64 * MIB, vcpus=1,
                         network="none")  # fmt: skip
    classrooms.create(lab, spec)


def write_file(path: Path, name: str, text: str, folder: Path) -> None:
    """Write a file to the disk of a seat that is off, as a student would."""
    folder.mkdir()
    command("mount", "-o", f"loop,offset={START_SECTOR * 512},sizelimit={40 * MIB}", path, folder)
    try:
        (folder / name).write_text(text)
    finally:
        command("umount", folder)
    command("blockdev", "--flushbufs", path)


def traces() -> list[str]:
    """What views have left: volumes, loop devices, mounts, notes."""
    names = command("lvs", "--noheadings", "-o", "lv_name", VG).split()
    loops = command("losetup", "-n", "-O", "BACK-FILE", "-a").split()
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if "/dev/loop" in line]
    notes = [str(path) for path in Settings().view_folder.glob("*")]
    return [name for name in names if name.endswith("-view")] + loops + mounts + notes


@pytest.mark.parametrize("kind", [Kind.LVM_THIN, Kind.LVM_THICK])
def test_inspect_when_a_student_wrote_then_shows_how_much_and_copies_either_state_out(
    lab: Context, disk: Path, tmp_path: Path, kind: StorageKind
) -> None:
    room(lab, disk, kind)
    assert inspect.show(lab, "net-01")["disks"][0]["changed_bytes"] == 0
    write_file(Path(f"/dev/{VG}/net-01.vda"), "new.txt", "by a student", tmp_path / "m")
    told = inspect.show(lab, "net-01")
    assert told["disks"][0]["changed_bytes"] > 0
    assert (told["seat"], told["template"], told["power"]) == ("net-01", "t", "off")
    assert told["disks"][0]["size_bytes"] == 64 * MIB

    events: list[Event] = []
    watched: list[str] = []

    def watch(event: Event) -> None:
        events.append(event)
        mounts = Path("/proc/mounts").read_text().splitlines()
        watched.extend(line for line in mounts if VG in line or "/dev/mapper" in line)

    copying = Context(lab.host, watch)
    copied = inspect.copy(copying, "net-01", ["/new.txt", "/home"], tmp_path / "out", Where())
    assert [type(one) for one in events][:2] == [Noted, Began]
    assert watched == [], "nothing of a guest's disk is mounted, at any moment"
    assert copied.files == 2
    assert copied.left_out == ["/home/ana/shadow: a link"]
    assert (tmp_path / "out" / "new.txt").read_text() == "by a student"
    assert (tmp_path / "out" / "home" / "ana" / "report.txt").read_text() == "what I did"
    with pytest.raises(BadInput):
        inspect.copy(lab, "net-01", ["/new.txt"], tmp_path / "first", ORIGINAL)
    inspect.copy(lab, "net-01", ["/home/ana/report.txt"], tmp_path / "first", ORIGINAL)
    assert (tmp_path / "first" / "report.txt").read_text() == "what I did"
    assert traces() == []
    assert verbs.reset(lab, "net").seats[0].verified is True
    assert verbs.verify(lab, "net", deep=True).exit_status == 0


def test_attach_when_a_thin_seat_is_reset_meanwhile_then_neither_disturbs_the_other(
    lab: Context, disk: Path, tmp_path: Path
) -> None:
    room(lab, disk, Kind.LVM_THIN)
    seat = Path(f"/dev/{VG}/net-01.vda")
    write_file(seat, "new.txt", "by a student", tmp_path / "m")
    present = inspect.attach(lab, "net-01", Where())
    original = inspect.attach(lab, "net-01", ORIGINAL)
    with pytest.raises(AlreadyExists):
        inspect.attach(lab, "net-01", ORIGINAL)
    assert verbs.reset(lab, "net").seats[0].outcome is Outcome.DONE
    assert verbs.verify(lab, "net").exit_status == 0
    assert b"by a student" in Path(present["device"]).read_bytes()
    with pytest.raises(OSError):
        direct_write(Path(present["device"]), 0, bytes(4096))
    command("cmp", original["device"], seat)
    assert len(inspect.show(lab, "net-01")["views"]) == 2

    assert len(inspect.detach(lab, "net-01")) == 2
    assert inspect.detach(lab, "net-01") == []
    assert traces() == []


def test_attach_when_the_classroom_is_deleted_then_the_view_goes_with_the_seat(
    lab: Context, disk: Path
) -> None:
    room(lab, disk, Kind.LVM_THIN, seats=1)
    inspect.attach(lab, "net-01", ORIGINAL)
    assert classrooms.delete(lab, "net").exit_status == 0
    assert traces() == []


def test_recover_when_who_looked_was_killed_then_takes_what_is_left(
    lab: Context, disk: Path
) -> None:
    room(lab, disk, Kind.LVM_THIN, seats=2)
    for name in ("net-01", "net-02"):
        inspect.attach(lab, name, ORIGINAL)
    kept, killed = sorted(views.views(lab), key=lambda view: view.seat)
    View(**{**{key: getattr(killed, key) for key in View.__slots__}, "pid": 2**22 + 1}).write()
    recover.recover(lab)
    assert [view.seat for view in views.views(lab)] == [kept.seat]
    Settings().view_folder.joinpath("net-01.original.json").unlink()
    recover.recover(lab)
    assert traces() == []


def test_inspect_when_the_disk_holds_no_file_system_then_says_so_and_leaves_nothing(
    lab: Context, bootsector: Path, tmp_path: Path
) -> None:
    room(lab, bootsector, Kind.LVM_THIN, seats=1)
    with pytest.raises(Unsupported):
        inspect.copy(lab, "net-01", ["/x"], tmp_path / "out", Where())
    assert traces() == []


def test_inspect_when_the_seat_is_a_qcow2_file_then_its_files_come_without_a_device(
    lab: Context, disk: Path, tmp_path: Path
) -> None:
    room(lab, disk, Kind.QCOW2, seats=1)
    inspect.copy(lab, "net-01", ["/home/ana/report.txt"], tmp_path / "out", Where())
    assert (tmp_path / "out" / "report.txt").read_text() == "what I did"
    inspect.copy(lab, "net-01", ["/home/ana/report.txt"], tmp_path / "first", ORIGINAL)
    assert traces() == []
    assert verbs.verify(lab, "net").exit_status == 0


def test_command_when_asked_then_tells_in_words_and_in_json(
    lab: Context, disk: Path, tmp_path: Path
) -> None:
    room(lab, disk, Kind.LVM_THIN, seats=1)
    pizarra = Path(sys.executable).with_name("pizarra")
    environment = {**os.environ, "PIZARRA_VG": VG}

    def run_command(*argv: str) -> str:
        argv = (str(pizarra), "inspect", "net-01", *argv)
        return subprocess.run(argv, check=True, capture_output=True, text=True,
                              env=environment).stdout  # fmt: skip

    assert "net-01: off, t v1" in run_command()
    out = str(tmp_path / "out")
    told = json.loads(run_command("--copy", "/home/ana/report.txt", "--to", out, "--json"))
    assert (told["files"], told["size_bytes"], told["left_out"]) == (1, 10, [])
