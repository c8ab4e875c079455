"""A machine of a real libvirt becomes a template, and its seats boot with its hardware."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from pizarra.compute.domain_hardware import read_hardware
from pizarra.errors import HostNotFit, NotFound
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power
from pizarra.model.hardware import BUSES, NICS, SCSI, USB, VIDEO, Hardware
from pizarra.model.labels import Firmware
from pizarra.model.names import seat_uuid
from pizarra.planner.domain_import import plan_import
from pizarra.service import classrooms, templates, verbs
from pizarra.service.domain_import import sources_of_domain
from tests.contract.compute_bench import Classroom, power_of
from tests.contract.storage_qcow2 import image_read
from tests.fixtures.libvirt import Libvirt
from tests.fixtures.windows import OS, WINDOWS, disk, machine
from tests.host.test_classroom_qcow2 import QCOW2, School, bootsector, school
from tests.host.test_libvirt import eventually

__all__ = ["bootsector", "school"]  # fixtures


CHOICES = (
    *(Hardware(bus="scsi", scsi=one) for one in SCSI),
    *(Hardware(nic=one) for one in NICS),
    *(Hardware(usb=one, video=two) for one, two in zip(USB, VIDEO, strict=False)),
    *(Hardware(bus=one, machine="i440fx") for one in BUSES),
    Hardware(video="bochs", boot="vda"),
    Hardware(bus="sata", secure_boot="yes", cpu="Haswell-noTSX", sockets="one"),
    replace(WINDOWS, hyperv=""),
)


@pytest.mark.parametrize("hardware", CHOICES, ids=str)
def test_hardware_when_a_seat_is_defined_with_it_then_libvirt_keeps_it(
    libvirt_host: Libvirt, tmp_path: Path, hardware: Hardware
) -> None:
    compute, room = libvirt_host.compute(), Classroom(folder=tmp_path)
    firmware = Firmware.UEFI if hardware.secure_boot == "yes" else Firmware.BIOS
    spec = room.seat(hardware=hardware, network="bridge=br0", firmware=firmware)
    spec = replace(spec, disks=[replace(one, bus=hardware.bus) for one in spec.disks])
    compute.define(spec)
    try:
        xml = compute.xml(spec.uuid)
        kept = plan_import(spec.name, xml).disks[0].hardware
        assert replace(kept, boot=hardware.boot) == hardware
        assert ("<boot order" in xml) == bool(hardware.boot)
    finally:
        compute.undefine(spec.uuid)
        compute.close()


@pytest.fixture
def libvirt(school: School) -> Iterator[School]:
    """Has no machine ``win`` and no pool ``win-pool`` afterwards."""
    yield school
    uri = ("virsh", "-q", "-c", school.libvirt.uri)
    for argv in (("undefine", "win", "--managed-save"), ("pool-destroy", "win-pool"),
                 ("pool-undefine", "win-pool")):  # fmt: skip
        school.libvirt.inside(*uri, *argv, check=False)


def define(school: School, folder: Path, xml: str) -> None:
    file = folder / "win.xml"
    file.write_text(xml)
    school.virsh("define", str(file))


def import_and_start(school: School) -> etree._Element:
    """Make a template of ``win`` and a seat of it; the seat's XML, while it runs."""
    sources, found = sources_of_domain(school.context, "win")
    templates.import_template(school.context, "win", sources, machine=found, kind=QCOW2)
    spec = ClassroomSpec(name="lab", template="win", seats=1, network="none", vcpus=1)
    assert classrooms.create(school.context, spec).exit_status == 0
    assert verbs.start(school.context, "lab", [1]).exit_status == 0
    return etree.fromstring(school.compute.xml(seat_uuid("lab", 1)))


def await_boot_and_stop(school: School, disk: str = "vda") -> None:
    """The guest obeys the power button once it has booted, which it counted on its disk."""
    uuid = seat_uuid("lab", 1)

    def ask_again() -> bool:
        school.compute.ask_to_stop(uuid)
        return power_of(school.compute, uuid) == Power.OFF

    eventually("off", ask_again)
    state = image_read(school.folder / "seats" / f"lab-01.{disk}.qcow2", 4096, 32)
    assert state.startswith(b"PIZARRA STATE"), state
    assert int.from_bytes(state[16:20], "little") == 1


@pytest.mark.parametrize(
    ("target", "bus", "controller", "family"),
    [
        ("hda", "ide", "", "pc"),
        ("sda", "sata", "", "pc"),
        ("sda", "sata", "", "q35"),
        ("sda", "scsi", "<controller type='scsi' model='lsilogic'/>", "pc"),
        ("sda", "scsi", "<controller type='scsi' model='virtio-scsi'/>", "q35"),
        ("sda", "usb", "", "pc"),
    ],
)
def test_seat_when_its_template_was_a_machine_then_libvirt_takes_its_hardware_and_it_boots(
    libvirt: School, bootsector: Path, tmp_path: Path,
    target: str, bus: str, controller: str, family: str,
) -> None:  # fmt: skip
    os = OS.replace("pc-i440fx-7.2", family)
    define(libvirt, tmp_path, machine(disk(bootsector, target, bus), os=os, devices=controller))
    xml = import_and_start(libvirt)
    assert xml.xpath("string(devices/disk/target/@bus)") == bus
    kept = read_hardware(xml, "i440fx" if family == "pc" else family).hardware
    assert (kept.clock, kept.cpu, kept.sockets) == (WINDOWS.clock, WINDOWS.cpu, WINDOWS.sockets)
    await_boot_and_stop(libvirt)


def test_seat_when_the_machine_booted_from_its_second_disk_then_so_does_the_seat(
    libvirt: School, bootsector: Path, tmp_path: Path
) -> None:
    blank = tmp_path / "blank.img"
    subprocess.run(["truncate", "-s", "64M", blank], check=True)
    disks = disk(blank), disk(bootsector, "hdb", more="<boot order='1'/>")
    define(libvirt, tmp_path, machine(*disks))
    xml = import_and_start(libvirt)
    assert xml.xpath("string(devices/disk[boot]/target/@dev)") == "vdb"
    await_boot_and_stop(libvirt, "vdb")


def test_import_when_a_disk_is_in_a_pool_then_libvirt_says_where_it_is(
    libvirt: School, bootsector: Path, tmp_path: Path
) -> None:
    libvirt.virsh("pool-define-as", "win-pool", "dir", "--target", str(bootsector.parent))
    volume = disk("x").replace("type='file' device", "type='volume' device")
    volume = volume.replace("file='x'", f"pool='win-pool' volume='{bootsector.name}'")
    define(libvirt, tmp_path, machine(volume))
    with pytest.raises(HostNotFit, match="not active") as refusal:
        sources_of_domain(libvirt.context, "win")
    assert "virsh pool-start win-pool" in refusal.value.advice
    libvirt.virsh("pool-start", "win-pool")
    sources, _ = sources_of_domain(libvirt.context, "win")
    assert [one.image.path for one in sources] == [bootsector]
    with pytest.raises(NotFound, match="no volume"):
        libvirt.compute.volume_path("win-pool", "none")
    with pytest.raises(NotFound, match="no storage pool"):
        libvirt.compute.volume_path("none", "none")


def test_import_when_ram_was_saved_then_it_is_refused_until_the_command_was_run(
    libvirt: School, bootsector: Path, tmp_path: Path
) -> None:
    plain: dict[str, str | int] = {
        "features": "<acpi/><apic/>",
        "cpu": "",
        "vcpus": 1,
        "memory_kib": 65536,
    }
    define(libvirt, tmp_path, machine(disk(bootsector), **plain))
    libvirt.virsh("start", "win")
    libvirt.virsh("managedsave", "win")
    status, told = libvirt.command("template", "import", "t", "--from-domain", "win")
    assert (status, told["error"]["code"]) == (2, "bad_input")
    assert "virsh managedsave-remove win" in told["error"]["hint"]
    libvirt.virsh("managedsave-remove", "win")
    status, told = libvirt.command(
        "template", "import", "t", "--from-domain", "win", "--storage", "qcow2"
    )
    assert status == 0
    assert told["hardware"]["bus"] == "ide"
    assert any("memory" in line for line in told["changes"])
