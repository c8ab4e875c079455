"""What an adoption plans for each machine and each disk of it, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from pizarra.compute.domain_edit import (
    DiskSeen,
    add_seat_metadata,
    disks_of,
    remove_seat_metadata,
    resources_of,
    seat_of,
)
from pizarra.compute.seat_metadata import SeatMetadata
from pizarra.errors import BadInput
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.disk_source import BlockDevice
from pizarra.model.facts import Domain, Power, StorageFacts, Volume
from pizarra.model.hardware import Hardware
from pizarra.model.labels import BaselineLabels, ResetMethod, Role, SeatLabels, labels_from_tags
from pizarra.model.outcome import Outcome
from pizarra.model.sizes import GIB, MIB
from pizarra.planner.adoption import (
    Action,
    Destination,
    DiskFound,
    MachineFound,
    MachinePlan,
    check_classroom,
    needs_a_place,
    plan_adoption,
)
from pizarra.planner.host_facts import HostFacts, assemble
from pizarra.storage.images import ImageInfo
from pizarra.storage.kinds import Kind

FILE = Path("/var/lib/libvirt/images/win11.qcow2")
DISK = "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>{}{}</disk>"
XML = (
    "<domain type='kvm'><name>win11</name><uuid>u-win11</uuid><memory unit='MiB'>512</memory>"
    "<vcpu>2</vcpu><os firmware='efi'><type>hvm</type></os><devices>"
    + DISK.format(f"<source file='{FILE}'/>", "<target dev='sda' bus='sata'/>")
    + "</devices></domain>"
)
THIN: Volume = Volume(
    kind=Kind.LVM_THIN,
    place="vg0",
    name="old",
    uuid="v-old",
    source=BlockDevice(Path("/dev/vg0/old")),
    size_bytes=20 * GIB,
    labels=None,
    pool="pool0",
    thin_id=4,
)
THICK = replace(THIN, kind=Kind.LVM_THICK, pool="", thin_id=0)
TO = Destination(kind=Kind.LVM_THIN, place="vg0", reset_method=ResetMethod.REWIND)


def seen(**changes: Any) -> DiskSeen:
    values: dict[str, Any] = {
        "target": "sda",
        "path": str(FILE),
        "type": "file",
        "format": "qcow2",
        "device": "disk",
        "read_only": False,
    }
    return DiskSeen(**(values | changes))


def file_disk(**changes: Any) -> DiskFound:
    image = ImageInfo(path=FILE, format="qcow2", virtual_size_bytes=GIB, content_bytes=MIB)
    return DiskFound(seen=seen(**changes), image=image)


def volume_disk(volume: Volume, **changes: Any) -> DiskFound:
    told = {"path": str(volume.path), "type": "block", "format": "raw"}
    methods = {Kind.LVM_THIN: ResetMethod.REWIND, Kind.LVM_THICK: ResetMethod.MERGE}
    method = methods.get(Kind(volume.kind))
    return DiskFound(seen=seen(**(told | changes)), volume=volume, reset_method=method)


def machine(
    *disks: DiskFound, name: str = "win11", power: Power = Power.OFF, xml: str = XML
) -> MachineFound:
    domain = Domain(uuid=f"u-{name}", name=name, power=power)
    return MachineFound(domain=domain, xml=xml, disks=disks)


def facts(*volumes: Volume) -> HostFacts:
    return assemble([StorageFacts(volumes=volumes)], [])


def planned(found: MachineFound, *volumes: Volume) -> MachinePlan:
    return plan_adoption(facts(*volumes), "adopted", [found], TO)[0]


def test_plan_when_the_disk_is_a_file_then_moves_it_and_changes_only_that_in_the_xml() -> None:
    plan = planned(machine(file_disk()))
    disk = plan.disks[0]
    assert (plan.outcome, plan.number, disk.action) == (None, 1, Action.MOVE)
    assert (disk.kind, disk.place, disk.name, disk.size_bytes) == (
        TO.kind,
        TO.place,
        "win11.sda",
        GIB,
    )
    assert (disk.filling.labels.role, disk.baseline.labels.role) == (Role.FILLING, Role.BASELINE)
    assert disk.baseline.name == "win11.sda.original"
    moved = disks_of(plan.xml)[0]
    assert (moved.path, moved.type, moved.format) == ("/dev/vg0/win11.sda", "block", "raw")
    assert seat_of(plan.xml) == ("adopted", "1")


def test_plan_when_a_machine_is_adopted_then_its_labels_tell_what_it_is_and_survive_tags() -> None:
    plan = planned(machine(file_disk()))
    labels = plan.disks[0].labels
    assert labels == SeatLabels(
        disk="sda", firmware=labels.firmware, firmware_state="nvram", classroom="adopted", seat=1,
        domain="u-win11", name="win11",
        hardware=Hardware(bus="sata", machine="i440fx"),
    )  # fmt: skip
    assert plan.record == ClassroomRecord(classroom="adopted", memory_bytes=512 * MIB, vcpus=2)
    assert labels_from_tags(labels.to_tags()) == labels
    assert labels.firmware == "uefi"


@pytest.mark.parametrize(
    ("volume", "way"), [(THIN, ResetMethod.REWIND), (THICK, ResetMethod.MERGE)]
)
def test_plan_when_the_disk_is_a_volume_then_keeps_it_where_it_is(
    volume: Volume, way: ResetMethod
) -> None:
    plan = planned(machine(volume_disk(volume)), volume)
    disk = plan.disks[0]
    assert (plan.outcome, disk.action, disk.labels.reset_method) == (None, Action.KEEP, way)
    assert (disk.place, disk.name, disk.kind) == ("vg0", "old", volume.kind)
    assert disks_of(plan.xml) == disks_of(XML), "only the metadata is new"


def test_plan_when_there_are_drives_and_read_only_disks_then_they_are_left_alone() -> None:
    others = [
        DiskFound(seen=seen(target="sdb", device="cdrom", path="")),
        DiskFound(seen=seen(target="fda", device="floppy")),
        DiskFound(seen=seen(target="vdb", read_only=True, type="network", path="")),
    ]
    plan = planned(machine(*others, file_disk()))
    assert [disk.labels.disk for disk in plan.disks] == ["sda"]


OURS = SeatLabels(classroom="net", seat=1, domain="other")


@pytest.mark.parametrize(
    ("disk", "why"),
    [
        (DiskFound(seen=seen(type="network", path="")), "type network"),
        (DiskFound(seen=seen(type="volume", path="")), "type volume"),
        (DiskFound(seen=seen(type="block", path="/dev/sdx")), "/dev/sdx"),
        (DiskFound(seen=seen(device="lun", type="block")), "kind lun"),
        (DiskFound(seen=seen(), why_not="it stands on another image"), "stands on another"),
        (file_disk(format="vmdk"), "vmdk for its machine, but its file is qcow2"),
        (file_disk(target="x y"), "kind"),
        (volume_disk(replace(THIN, labels=OURS)), "ours already"),
        (volume_disk(replace(THIN, active=False)), "lvchange -ay vg0/old"),
        (volume_disk(replace(THIN, read_only=True)), "read-only"),
        (volume_disk(replace(THIN, fault="LVM says of it: failed")), "failed"),
        (volume_disk(replace(THICK, origin="golden")), "snapshot of golden"),
        (volume_disk(replace(THIN, origin="golden")), "outside its pool"),
    ],
)
def test_plan_when_a_disk_cannot_be_adopted_then_says_which_and_why(
    disk: DiskFound, why: str
) -> None:
    plan = planned(machine(disk), *([disk.volume] if disk.volume else []))
    assert (plan.outcome, plan.disks) == (Outcome.SKIPPED, ())
    assert why in str(plan.reason)
    assert "old" in str(plan.reason) or "disk" in str(plan.reason)


def test_plan_when_a_thin_volume_is_a_clone_in_its_own_pool_then_is_adopted() -> None:
    clone = replace(THIN, origin="golden")
    golden = replace(THIN, name="golden", uuid="v-golden", thin_id=3)
    assert planned(machine(volume_disk(clone)), clone, golden).outcome is None


@pytest.mark.parametrize("power", [Power.RUNNING, Power.PAUSED, Power.CRASHED])
def test_plan_when_the_machine_is_not_off_then_says_how_to_shut_it_down(power: Power) -> None:
    plan = planned(machine(file_disk(), power=power))
    assert plan.outcome is Outcome.SKIPPED
    assert f"it is {power}" in str(plan.reason)
    assert "virsh shutdown win11" in str(plan.reason)


def test_plan_when_its_ram_is_saved_then_is_refused() -> None:
    found = machine(file_disk())
    found = replace(found, domain=replace(found.domain, has_saved_ram=True))
    assert "managedsave-remove win11" in str(planned(found).reason)


@pytest.mark.parametrize("name", ["my machine", "máquina", "a/b", "-x", "x" * 81, "a;b"])
def test_plan_when_the_name_cannot_be_on_a_tag_then_is_refused(name: str) -> None:
    plan = planned(machine(file_disk(), name=name))
    assert plan.outcome is Outcome.SKIPPED
    assert "virsh domrename" in str(plan.reason)


def test_plan_when_a_volume_has_the_name_already_then_is_refused_and_names_it() -> None:
    for name in ("win11.sda", "win11.sda.original"):
        plan = planned(machine(file_disk()), replace(THIN, name=name))
        assert (plan.outcome, name in str(plan.reason)) == (Outcome.SKIPPED, True)


def test_plan_when_two_disks_are_one_then_is_refused() -> None:
    two = machine(volume_disk(THIN), volume_disk(THIN, target="sdb", path="/dev/mapper/vg0-old"))
    assert "the same" in str(planned(two, THIN).reason)


def test_plan_when_there_is_no_disk_then_is_refused() -> None:
    assert planned(machine()).outcome is Outcome.SKIPPED


def test_plan_when_one_of_several_cannot_be_then_the_others_get_the_next_free_numbers() -> None:
    room = with_seats(2)
    found = [machine(file_disk(), name="a"), machine(name="b"), machine(file_disk(), name="c")]
    plans = plan_adoption(room, "adopted", found, TO)
    assert [(plan.name, plan.number, plan.outcome) for plan in plans] == [
        ("a", 1, None),
        ("b", 0, Outcome.SKIPPED),
        ("c", 3, None),
    ]


def test_plan_when_it_is_a_seat_already_then_nothing_changes() -> None:
    plan = plan_adoption(with_seats(2), "adopted", [machine(file_disk(), name="seat2")], TO)[0]
    assert (plan.outcome, plan.number) == (Outcome.UNCHANGED, 2)


def with_seats(number: int, name: str = "seat2") -> HostFacts:
    """A host with one seat of the classroom ``adopted``."""
    baseline = replace(THIN, name="b", uuid="v-b", labels=BaselineLabels(of=OURS))
    labels = SeatLabels(classroom="adopted", seat=number, domain=f"u-{name}",
                        name=name, baseline="v-b")  # fmt: skip
    seat = replace(THIN, name="s", uuid="v-s", labels=labels)
    domain = Domain(uuid=f"u-{name}", name=name, power=Power.OFF)
    return assemble([StorageFacts(volumes=(baseline, seat))], [domain])


def test_classroom_when_made_of_a_template_then_takes_no_adopted_machine() -> None:
    check_classroom(with_seats(1), "adopted")
    check_classroom(with_seats(1), "new")
    with pytest.raises(BadInput):
        check_classroom(with_seats(1, name=""), "adopted")


def test_needs_a_place_when_all_disks_are_volumes_then_no() -> None:
    assert needs_a_place([machine(volume_disk(THIN)), machine(file_disk())])
    assert not needs_a_place([machine(volume_disk(THIN))])
    assert not needs_a_place([machine(file_disk(read_only=True))])


def test_metadata_when_taken_off_then_the_xml_is_as_it_was() -> None:
    adopted = (Path(__file__).parents[1] / "fixtures" / "adopted.xml").read_text()
    seat = SeatMetadata(classroom="adopted", number=3, template="", version=0)
    assert seat_of(adopted) is None
    for xml in (adopted, XML):
        ours = add_seat_metadata(xml, seat)
        assert seat_of(ours) == ("adopted", "3")
        assert canonical(remove_seat_metadata(ours)) == canonical(xml)
        assert "urn:pizarra" not in remove_seat_metadata(ours)


def canonical(xml: str) -> bytes:
    """What it says, however it is indented."""
    parser = etree.XMLParser(remove_blank_text=True)
    return etree.tostring(etree.fromstring(xml, parser), method="c14n")


@pytest.mark.parametrize(
    ("memory", "vcpus", "expected"),
    [
        ("<memory>2097152</memory>", "<vcpu>2</vcpu>", (2 * GIB, 2)),
        ("<memory unit='GiB'>1</memory>", "<vcpu placement='auto'> 4 </vcpu>", (GIB, 4)),
        ("<memory unit='parsec'>1</memory>", "<vcpu/>", (0, 0)),
        ("", "", (0, 0)),
    ],
)
def test_resources_when_said_simply_then_in_bytes(
    memory: str, vcpus: str, expected: tuple[int, int]
) -> None:
    assert resources_of(f"<domain>{memory}{vcpus}</domain>") == expected
