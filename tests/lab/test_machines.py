"""Machines that somebody changed behind our back, with real LVM, libvirt and virsh."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pizarra.errors import ComputeFault, Unsupported
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power
from pizarra.model.outcome import Mode, Outcome, Report
from pizarra.model.sizes import MIB
from pizarra.service import adopt, checkpoints, classrooms, maintenance, recover, templates, verbs
from pizarra.service.adopt import Wish
from pizarra.service.context import Context
from pizarra.service.undo import undo
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG
from tests.lab.conftest import command
from tests.lab.school import School

NAME = "net-01"


def virsh(*argv: str | Path) -> str:
    return command("virsh", "-q", *argv)


@pytest.fixture
def room(lab: Context, bootsector: Path) -> Iterator[School]:
    """Two seats of the boot-sector guest; the first runs and has booted."""
    source = templates.source_of_file(bootsector)
    templates.import_template(lab, "boot", source, kind=Kind.LVM_THIN, vg=VG)
    spec = ClassroomSpec(
        name="net", template="boot", seats=2, memory_bytes=16 * MIB, vcpus=1, network="none"
    )
    assert classrooms.create(lab, spec).exit_status == 0
    made = School(context=lab, kind=Kind.LVM_THIN, name="net")
    assert verbs.start(lab, "net", [1]).exit_status == 0
    made.await_boots(1, 1)
    yield made
    for name in virsh("snapshot-list", NAME, "--name").split():
        virsh("snapshot-delete", NAME, name, "--metadata")


@pytest.fixture
def folder(room: School, tmp_path: Path) -> Iterator[Path]:
    """A file system that allows O_DIRECT, as QEMU wants for the overlay of a snapshot."""
    command("lvcreate", "-y", "-L", "64M", "-n", "scratch", VG)
    command("mkfs.ext4", "-q", f"/dev/{VG}/scratch")
    mounted = tmp_path / "scratch"
    mounted.mkdir()
    command("mount", f"/dev/{VG}/scratch", mounted)
    yield mounted
    verbs.stop(room.context, "net", grace_s=0)
    command("umount", mounted)


def outcome(report: Report) -> Outcome:
    (one,) = report.seats
    assert one.reason or one.outcome in (Outcome.DONE, Outcome.UNCHANGED)
    return one.outcome


def says_original(context: Context, number: int = 1) -> bool:
    """Whether any verb that looks calls the seat original."""
    answers = [
        verbs.status(context, "net", [number]).seats[0].verified,
        verbs.verify(context, "net", [number]).seats[0].verified,
        verbs.verify(context, "net", [number], deep=True).seats[0].verified,
    ]
    assert len(set(answers)) == 1, answers
    return bool(answers[0])


def stop(room: School) -> None:
    assert verbs.stop(room.context, "net", [1], grace_s=0).exit_status == 0


def test_verbs_when_a_machine_runs_on_a_snapshot_then_none_calls_it_original(
    room: School, folder: Path
) -> None:
    context, overlay = room.context, folder / "net-01.s"
    room.press_reset(1)
    virsh("snapshot-create-as", NAME, "s", "--disk-only", "--diskspec", f"vda,file={overlay}")
    assert not says_original(context)
    for mode in Mode:
        assert outcome(verbs.reset(context, "net", [1], mode=mode)) is Outcome.UNKNOWN
    assert room.boots(1) == 2, "nothing was done to its disk"
    assert outcome(checkpoints.save(context, "net", "c", [1])) is Outcome.UNKNOWN
    (report,) = recover.recover(context)
    assert report.seats[0].outcome is Outcome.UNKNOWN

    virsh("snapshot-delete", NAME, "s", "--metadata")
    assert not says_original(context)
    with pytest.raises(Unsupported, match="--mode cold"):
        verbs.reset(context, "net", [1], mode=Mode.HOT)
    assert outcome(verbs.reset(context, "net", [1])) is Outcome.DONE
    room.await_boots(1, 1)
    assert overlay.is_file(), "what somebody made is not removed"
    stop(room)
    assert outcome(verbs.reset(context, "net", [1])) is Outcome.DONE
    assert says_original(context)


def test_reset_when_ram_was_saved_then_the_next_start_is_a_clean_one(room: School) -> None:
    virsh("managedsave", NAME)
    assert room.seat(1).power is Power.OFF
    assert not says_original(room.context)
    assert outcome(undo(room.context, "net", [1])) is Outcome.UNKNOWN
    assert outcome(verbs.reset(room.context, "net", [1])) is Outcome.DONE
    assert says_original(room.context)
    virsh("start", NAME)
    room.await_boots(1, 1)


def test_undo_when_a_reset_dropped_ram_then_the_machine_goes_on_with_it(room: School) -> None:
    room.press_reset(1)
    virsh("managedsave", NAME)
    assert outcome(verbs.reset(room.context, "net", [1])) is Outcome.DONE
    assert not room.seat(1).has_saved_ram
    assert outcome(undo(room.context, "net", [1])) is Outcome.DONE
    assert (room.seat(1).power, room.seat(1).has_saved_ram) == (Power.OFF, True)
    assert outcome(verbs.start(room.context, "net", [1])) is Outcome.DONE
    assert (room.seat(1).power, room.boots(1)) == (Power.RUNNING, 2)


def test_start_when_ram_was_saved_then_the_machine_goes_on(room: School) -> None:
    room.press_reset(1)
    virsh("managedsave", NAME)
    assert outcome(verbs.start(room.context, "net", [1])) is Outcome.DONE
    assert (room.seat(1).power, room.boots(1)) == (Power.RUNNING, 2)
    assert not room.seat(1).has_saved_ram


def define(xml: str) -> None:
    subprocess.run(["virsh", "-q", "define", "/dev/stdin"], input=xml, text=True, check=True)


def redefine(edit: Callable[[str], str]) -> None:
    xml = virsh("dumpxml", "--inactive", NAME)
    assert edit(xml) != xml
    define(edit(xml))


@pytest.mark.parametrize(
    "change",
    [
        lambda: redefine(lambda xml: xml.replace("net-01.vda", "net-02.vda")),
        lambda: virsh("detach-disk", NAME, "vda", "--config"),
        lambda: virsh("attach-disk", NAME, "/dev/vg_class/net-02.vda", "vdb", "--config"),
        lambda: redefine(lambda xml: xml.replace("dev='hd'", "dev='network'")),
    ],
    ids=["another disk", "no disk", "an extra disk", "network boot"],
)
def test_reset_when_the_definition_was_changed_then_it_is_put_right(
    room: School, change: Callable[[], object]
) -> None:
    stop(room)
    change()
    assert not says_original(room.context)
    assert outcome(verbs.start(room.context, "net", [1])) is Outcome.UNKNOWN
    report = verbs.reset(room.context, "net", [1])
    assert outcome(report) is Outcome.DONE
    assert "put right" in str(report.seats[0].reason)
    assert says_original(room.context)
    assert outcome(verbs.start(room.context, "net", [1])) is Outcome.DONE
    room.await_boots(1, 1)


def test_reset_when_hardware_was_changed_then_it_is_kept(room: School, tmp_path: Path) -> None:
    stop(room)
    (tmp_path / "a.iso").write_bytes(bytes(4096))
    virsh("attach-disk", NAME, tmp_path / "a.iso", "sda", "--type", "cdrom", "--config",
          "--targetbus", "sata")  # fmt: skip
    virsh("setmaxmem", NAME, "32M", "--config")
    virsh("detach-disk", NAME, "vda", "--config")
    assert outcome(verbs.reset(room.context, "net", [1])) is Outcome.DONE
    (seat,) = verbs.verify(room.context, "net", [1]).seats
    assert (seat.outcome, seat.verified) == (Outcome.DONE, True)
    assert "32 MiB of memory" in str(seat.reason)
    assert "a.iso" in str(seat.reason)


def test_publish_when_the_machine_runs_on_a_snapshot_then_it_is_refused(
    room: School, folder: Path
) -> None:
    made = maintenance.begin(room.context, "boot")
    virsh("snapshot-create-as", made.name, "s", "--disk-only",
          "--diskspec", f"vda,file={folder / 's'}")  # fmt: skip
    with pytest.raises(ComputeFault, match="does not use the disks"):
        maintenance.publish(room.context, "boot")
    virsh("snapshot-delete", made.name, "s", "--metadata")
    maintenance.discard(room.context, "boot")


def test_adopted_when_its_definition_was_changed_then_it_is_put_right(
    room: School, bootsector: Path, tmp_path: Path
) -> None:
    image = tmp_path / "old.img"
    command("cp", bootsector, image)
    define(command(
        "virt-install", "--name", "old", "--memory", "16", "--import", "--network", "none",
        "--disk", f"path={image},format=raw,bus=virtio", "--osinfo", "generic", "--print-xml",
        "--virt-type", "qemu",
    ))  # fmt: skip
    context = room.context
    assert adopt.adopt(context, ["old"], Wish(classroom="old", vg=VG)).exit_status == 0
    before = virsh("dumpxml", "--inactive", "old")
    virsh("detach-disk", "old", "vda", "--config")
    virsh("attach-disk", "old", image, "vda", "--config")
    assert verbs.verify(context, "old").seats[0].outcome is Outcome.UNKNOWN
    assert verbs.reset(context, "old").seats[0].outcome is Outcome.DONE
    assert virsh("dumpxml", "--inactive", "old") == before
    assert verbs.verify(context, "old").seats[0].outcome is Outcome.DONE
    assert classrooms.delete(context, "old").exit_status == 0
