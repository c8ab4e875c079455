"""Machines made by virt-install are adopted, reset, and let go, with a real LVM and libvirt."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from lab.powercut.pool_ids import unknown_ids
from pizarra.compute.domain_edit import disks_of, seat_of
from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.engine.events import Advanced, Event
from pizarra.engine.host import Host
from pizarra.errors import ComputeFault
from pizarra.model.facts import Domain, Volume
from pizarra.model.labels import ResetMethod, Role, SeatLabels
from pizarra.model.outcome import Outcome, Report
from pizarra.service import adopt, classrooms, recover, verbs
from pizarra.service.adopt import Wish
from pizarra.service.context import Context
from pizarra.storage.dm_thin.pool import ThinPool
from pizarra.storage.interface import AdoptionStore
from tests.contract.storage_lvm import POOL, VG, direct_write, lvm
from tests.lab.conftest import EventList, command

STUDENT = b"student" + bytes(4089)
AT = 8 << 20


def virt_install(name: str, disk: str, *more: str) -> str:
    """Run virt-install; returns what it prints."""
    return command(
        *("virt-install", "--connect", "qemu:///system", "--name", name, "--memory", "64"),
        *("--vcpus", "1", "--virt-type", "qemu", "--import", "--noautoconsole"),
        *("--osinfo", "detect=off,require=off", "--graphics", "none", "--network", "none"),
        *("--disk", disk, *more),
    )


def define_machine(name: str, disk: str, *more: str) -> str:
    """Define a machine without a start; returns the XML that libvirt made of it."""
    made = virt_install(name, disk, *more, "--print-xml", "1")
    path = Path(f"/tmp/{name}.xml")
    path.write_text(made)
    command("virsh", "-q", "define", path)
    return dump_xml(name)


def dump_xml(name: str) -> str:
    return command("virsh", "dumpxml", "--inactive", "--security-info", name)


def with_pool() -> None:
    """Create the lab's thin pool, if no earlier test did."""
    if POOL not in command("lvs", "--noheadings", "-o", "lv_name", VG).split():
        lvm("lvcreate", "-y", "--type", "thin-pool", "-l", "50%FREE", "-n", POOL, VG)


def volumes(context: Context) -> dict[str, Volume]:
    return {
        volume.name: volume
        for volume in context.host.observe().volumes.values()
        if volume.place == VG
    }


def outcomes(report: Report) -> list[tuple[str, Outcome]]:
    sys.stdout.write(f"{report.seats}\n")  # pytest shows it on a failure
    return [(one.seat, one.outcome) for one in report.seats]


def wait_until(until: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 300
    while not until():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def without_disks(xml: str) -> list[bytes]:
    """The elements of the XML that an adoption may not change."""
    root = etree.fromstring(xml, etree.XMLParser(remove_blank_text=True))
    for disk in root.findall("devices/disk"):
        for changed in ("driver", "source", "backingStore"):
            for part in disk.findall(changed):
                disk.remove(part)
        disk.attrib.pop("type")
    for part in root.findall("metadata/{urn:pizarra:1}seat"):
        part.getparent().remove(part)  # type: ignore[union-attr]
    for part in root.findall("metadata"):
        if not len(part):
            root.remove(part)
    return [etree.tostring(part, method="c14n") for part in root]


def test_adopt_when_the_disk_is_a_qcow2_file_then_moves_it_and_it_is_a_seat_until_let_go(
    lab: Context, events: EventList, bootsector: Path, tmp_path: Path
) -> None:
    file, console = tmp_path / "old.qcow2", tmp_path / "console"
    command("qemu-img", "convert", "-O", "qcow2", bootsector, file)
    more = ("--serial", f"file,path={console}", "--metadata", "description=of 2014")
    virt_install("old-vm", f"path={file},format=qcow2,bus=virtio", *more)
    wait_until(lambda: " ready" in console.read_text(), "the guest does not boot")
    refused = adopt.adopt(lab, ["old-vm"], Wish())
    assert outcomes(refused) == [("old-vm", Outcome.SKIPPED)]
    assert "shut it down" in str(refused.seats[0].reason)
    command("virsh", "shutdown", "old-vm")
    wait_until(lambda: "off" in command("virsh", "domstate", "old-vm"), "it does not shut down")

    before, content = dump_xml("old-vm"), file.read_bytes()
    report = adopt.adopt(lab, ["old-vm", "no-such"], Wish())
    assert outcomes(report) == [("old-vm", Outcome.DONE), ("no-such", Outcome.FAILED)]
    assert report.seats[0].verified is True
    assert str(file) in str(report.seats[0].reason)
    assert any(isinstance(event, Advanced) for event in events)
    after = dump_xml("old-vm")
    disk = disks_of(after)[0]
    assert (disk.path, disk.type, disk.format) == (f"/dev/{VG}/old-vm.vda", "block", "raw")
    assert without_disks(after) == without_disks(before)
    assert file.read_bytes() == content
    command("qemu-img", "compare", "-f", "qcow2", "-F", "raw", file, disk.path)
    assert outcomes(adopt.adopt(lab, ["old-vm"], Wish())) == [("old-vm", Outcome.UNCHANGED)]

    assert outcomes(verbs.start(lab, "adopted")) == [("old-vm", Outcome.DONE)]
    wait_until(
        lambda: "boot 00000002" in console.read_text(), "the guest does not boot from its volume"
    )
    wait_until(
        lambda: " ready" in console.read_text().partition("boot 00000002")[2], "it is not ready"
    )
    assert (verbs.status(lab, "adopted").seats[0].extra["changed_bytes"] or 0) > 0
    assert verbs.reset(lab, "adopted").seats[0].outcome is Outcome.DONE
    wait_until(lambda: " ready" in console.read_text(), "the guest does not boot again")
    assert "boot 00000002" in console.read_text(), "it counts from its original again"
    assert outcomes(verbs.stop(lab, "adopted", grace_s=0)) == [("old-vm", Outcome.DONE)]
    assert verbs.reset(lab, "adopted").seats[0].verified is True
    assert verbs.verify(lab, "adopted").seats[0].verified is True
    assert verbs.verify(lab, "adopted", deep=True).seats[0].verified is True
    command("qemu-img", "compare", "-f", "qcow2", "-F", "raw", file, disk.path)

    gone = classrooms.delete(lab, "adopted")
    assert outcomes(gone) == [("old-vm", Outcome.DONE)]
    assert "let go" in str(gone.seats[0].reason)
    assert seat_of(dump_xml("old-vm")) is None
    assert without_disks(dump_xml("old-vm")) == without_disks(before)
    assert {name: v.labels for name, v in volumes(lab).items()} == {"old-vm.vda": None}
    assert unknown_ids(ThinPool(VG, POOL), volumes(lab).values()) == []


@pytest.mark.parametrize("way", list(ResetMethod))
def test_adopt_when_the_disk_is_a_volume_already_then_it_stays_and_goes_back_to_its_original(
    lab: Context, bootsector: Path, way: ResetMethod
) -> None:
    with_pool()
    form = ("-V", "300m", "-T", f"{VG}/{POOL}") if way is ResetMethod.REWIND else ("-L", "300m", VG)
    for name in ("theirs", "foreign"):
        lvm("lvcreate", "-y", "-Wn", "-n", name, *form)
        command("qemu-img", "convert", "-n", "-O", "raw", bootsector, f"/dev/{VG}/{name}")
    before = define_machine("theirs", f"path=/dev/{VG}/theirs,format=raw,bus=virtio")
    foreign = define_machine("foreign", f"path=/dev/{VG}/foreign,format=raw,bus=virtio")
    was = volumes(lab)

    report = adopt.adopt(lab, ["theirs"], Wish(classroom="office"))
    assert outcomes(report) == [("theirs", Outcome.DONE)]
    assert volumes(lab)["theirs"].uuid == was["theirs"].uuid
    assert disks_of(dump_xml("theirs")) == disks_of(before)
    for offset in (AT, 290 << 20):
        direct_write(Path(f"/dev/{VG}/theirs"), offset, STUDENT)
    assert verbs.verify(lab, "office", deep=True).seats[0].verified is False
    assert (verbs.status(lab, "office").seats[0].extra["changed_bytes"] or 0) > 0
    for _ in range(2):
        direct_write(Path(f"/dev/{VG}/theirs"), AT, STUDENT)
        reset = verbs.reset(lab, "office")
        assert (reset.seats[0].outcome, reset.seats[0].verified) == (Outcome.DONE, True)
        assert verbs.verify(lab, "office").seats[0].verified is True
        assert verbs.verify(lab, "office", deep=True).seats[0].verified is True
        command("cmp", f"/dev/{VG}/theirs", f"/dev/{VG}/foreign")
    assert verbs.status(lab, "office").seats[0].verified is True
    classrooms.delete(lab, "office")
    assert dump_xml("foreign") == foreign
    now = volumes(lab)
    assert unknown_ids(ThinPool(VG, POOL), now.values()) == []
    assert (now.keys(), now["foreign"].labels, now["theirs"].labels) == (was.keys(), None, None)


def test_adopt_when_it_is_cut_off_while_copying_then_all_is_as_before(
    lab: Context, bootsector: Path, tmp_path: Path
) -> None:
    file = tmp_path / "old.img"
    file.write_bytes(bootsector.read_bytes())
    before = define_machine("old-vm", f"path={file},format=raw")

    def interrupt(event: Event) -> None:
        if isinstance(event, Advanced):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adopt.adopt(Context(lab.host, interrupt), ["old-vm"], Wish())
    assert dump_xml("old-vm") == before
    assert volumes(lab) == {}
    assert file.read_bytes() == bootsector.read_bytes()


class DiesWithTheXml(LibvirtCompute):
    """libvirt has the new XML, and answers nothing from then on."""

    dead = False

    def redefine(self, xml: str, *, absent: bool = False) -> None:
        """Carried out, but nobody hears of it."""
        super().redefine(xml, absent=absent)
        self.dead = True
        raise ComputeFault("libvirtd is gone")

    def observe(self) -> tuple[Domain, ...]:
        """Fails once it is dead."""
        if self.dead:
            raise ComputeFault("libvirtd is gone")
        return super().observe()


def test_adopt_when_killed_with_the_new_xml_in_force_then_recover_ends_it(
    lab: Context, bootsector: Path, tmp_path: Path
) -> None:
    file = tmp_path / "old.img"
    file.write_bytes(bootsector.read_bytes())
    define_machine("old-vm", f"path={file},format=raw,bus=virtio")
    dying = Context(Host(lab.host.settings, DiesWithTheXml(), lab.host.storages))
    assert outcomes(adopt.adopt(dying, ["old-vm"], Wish())) == [("old-vm", Outcome.FAILED)]
    roles = {name: v.labels and v.labels.role for name, v in volumes(lab).items()}
    assert roles == {"old-vm.vda": Role.FILLING, "old-vm.vda.original": Role.BASELINE}

    assert [report.exit_status for report in recover.recover(lab)] == [0]
    assert verbs.verify(lab, "adopted", deep=True).seats[0].verified is True


def test_adopt_when_killed_before_the_new_xml_then_recover_takes_it_back(
    lab: Context, bootsector: Path, tmp_path: Path
) -> None:
    file = tmp_path / "old.img"
    file.write_bytes(bootsector.read_bytes())
    before = define_machine("old-vm", f"path={file},format=raw,bus=virtio")
    plan = adopt.plan(lab, ["old-vm"], Wish())[0].disks[0]
    storage = lab.host.storages.at(plan.kind, plan.place)
    assert isinstance(storage, AdoptionStore)
    storage.create_baseline(storage.create_golden(plan.filling), plan.baseline)
    assert len(volumes(lab)) == 2
    assert recover.recover(lab) == []
    assert (volumes(lab), dump_xml("old-vm")) == ({}, before)


def test_merge_when_killed_between_its_steps_then_recover_makes_the_snapshot_again(
    lab: Context, bootsector: Path
) -> None:
    lvm("lvcreate", "-y", "-Wn", "-Zn", "-L", "100m", "-n", "theirs", VG)
    command("qemu-img", "convert", "-n", "-O", "raw", bootsector, f"/dev/{VG}/theirs")
    define_machine("theirs", f"path=/dev/{VG}/theirs,format=raw")
    adopt.adopt(lab, ["theirs"], Wish())
    direct_write(Path(f"/dev/{VG}/theirs"), AT, STUDENT)
    seat = volumes(lab)["theirs"]
    assert isinstance(seat.labels, SeatLabels)
    storage = lab.host.storage_of(seat)
    storage.set_labels({seat.uuid: replace(seat.labels, baseline="merging")}, storage.observe())
    lvm("lvconvert", "-y", "--merge", f"{VG}/theirs.original")
    assert verbs.verify(lab, "adopted").seats[0].outcome is Outcome.UNKNOWN
    assert [report.exit_status for report in recover.recover(lab)] == [0]
    assert verbs.verify(lab, "adopted", deep=True).seats[0].verified is True
    with Path(f"/dev/{VG}/theirs").open("rb") as raw:
        raw.seek(AT)
        assert raw.read(len(STUDENT)) != STUDENT
