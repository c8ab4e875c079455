"""A definition against what the machine was made as: each change is told, by its grade."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.compute.definition import definition_of, parse_definition
from pizarra.compute.domain_xml import domain_xml
from pizarra.compute.interface import DomainSpec
from pizarra.compute.network_xml import port_name
from pizarra.errors import BadInput
from pizarra.model.definition import Definition, Grade
from pizarra.model.disk_source import ImageFile
from pizarra.model.hardware import Hardware
from pizarra.model.labels import Firmware
from pizarra.planner.definition_diff import diff_definitions, live_differences
from tests.fixtures.windows import WINDOWS
from tests.unit.test_domain_xml import DATA, LVM, SEAT

MADE_XML = domain_xml(replace(SEAT, firmware=Firmware.UEFI, disks=(LVM, DATA)), kvm=True)
MADE = parse_definition(MADE_XML)
CDROM = '<disk type="file" device="cdrom">{source}<target dev="sda" bus="sata"/>{boot}</disk>'
EXTRA = '<disk type="file" device="disk"><source file="/x.img"/><target dev="vdc"/></disk>'
NIC = (
    '<interface type="bridge"><mac address="52:54:00:00:00:01"/><source bridge="br9"/></interface>'
)


def with_device(xml: str) -> str:
    return MADE_XML.replace("</devices>", f"{xml}</devices>")


CHANGES = {
    "snapshot": (
        MADE_XML.replace('dev="/dev/vg_class/net-07"', 'dev="/var/net-07.s"'),
        (Grade.CONTENT, "its disk vda is /var/net-07.s"),
    ),
    "swapped": (
        MADE_XML.replace('dev="vda"', 'dev="vdx"')
        .replace('dev="vdb"', 'dev="vda"')
        .replace('dev="vdx"', 'dev="vdb"'),
        (Grade.CONTENT, "its disk vda is /dev/vg_class/net-07-vdb"),
    ),
    "no disk": (
        MADE_XML.replace('dev="vdb"', 'dev="vdc"'),
        (Grade.CONTENT, "its disk vdb is not plugged in"),
    ),
    "format": (
        MADE_XML.replace('type="raw"', 'type="qcow2"', 1),
        (Grade.CONTENT, "its disk vda is read as qcow2"),
    ),
    "transient": (
        MADE_XML.replace('<target dev="vda"', '<transient/><target dev="vda"'),
        (Grade.CONTENT, "what is written to its disk vda is thrown away"),
    ),
    "bus": (
        MADE_XML.replace('dev="vda" bus="virtio"', 'dev="vda" bus="sata"'),
        (Grade.HARDWARE, "its disk vda is on sata"),
    ),
    "extra disk": (with_device(EXTRA), (Grade.CONTENT, "/x.img is plugged in as vdc")),
    "cdrom": (
        with_device(CDROM.format(source='<source file="/a.iso"/>', boot="")),
        (Grade.HARDWARE, "/a.iso is plugged in as sda"),
    ),
    "cdrom boots": (
        with_device(CDROM.format(source='<source file="/a.iso"/>', boot='<boot order="1"/>')),
        (Grade.CONTENT, "it boots from sda"),
    ),
    "boot order": (
        MADE_XML.replace('<boot dev="hd"/>', '<boot dev="network"/><boot dev="hd"/>'),
        (Grade.CONTENT, "it boots from network, hd"),
    ),
    "kernel": (
        MADE_XML.replace('<boot dev="hd"/>', '<kernel>/vmlinuz</kernel><boot dev="hd"/>'),
        (Grade.CONTENT, "it boots the kernel /vmlinuz"),
    ),
    "firmware": (
        MADE_XML.replace(' firmware="efi"', ""),
        (Grade.CONTENT, "its firmware is bios"),
    ),
    "nvram": (
        MADE_XML.replace('<boot dev="hd"/>', '<nvram>/x.fd</nvram><boot dev="hd"/>'),
        (Grade.CONTENT, "its UEFI variables are in /x.fd"),
    ),
    "tpm": (
        with_device('<tpm><backend type="emulator" version="2.0"/></tpm>'),
        (Grade.CONTENT, "its TPM is: emulator 2.0"),
    ),
    "folder": (
        with_device("<filesystem/>"),
        (Grade.CONTENT, "it has a device that it was not made with: filesystem"),
    ),
    "usb": (
        with_device("<hostdev/>"),
        (Grade.HARDWARE, "it has a device that it was not made with: hostdev"),
    ),
    "arguments": (
        MADE_XML.replace(
            "</devices>",
            '</devices><q:commandline xmlns:q="http://libvirt.org/schemas/domain/qemu/1.0"/>',
        ),
        (Grade.CONTENT, "it has a device that it was not made with: qemu:commandline"),
    ),
    "card": (
        with_device(NIC),
        (Grade.HARDWARE, "it has a network card 52:54:00:00:00:01 on br9"),
    ),
    "memory": (
        MADE_XML.replace('"KiB">2097152', '"KiB">4194304'),
        (Grade.HARDWARE, "it has 4096 MiB of memory"),
    ),
    "vcpus": (
        MADE_XML.replace("<vcpu>2", "<vcpu>8"),
        (Grade.HARDWARE, "it has 8 virtual processors"),
    ),
    "machine": (
        MADE_XML.replace('machine="q35"', 'machine="pc-i440fx-7.2"'),
        (Grade.HARDWARE, "its machine type is i440fx"),
    ),
    "nested": (
        MADE_XML.replace('policy="disable" name="vmx"', 'policy="require" name="vmx"'),
        (Grade.LIMIT, "it may run machines of its own"),
    ),
    "not isolated": (
        MADE_XML.replace('<port isolated="yes"/>', ""),
        (Grade.LIMIT, f"its network card {SEAT.mac} is not held to its own addresses"),
    ),
    "another port": (
        MADE_XML.replace(port_name(SEAT.mac), "tap7"),
        (Grade.LIMIT, f"its network card {SEAT.mac} is not held to its own addresses"),
    ),
}


@pytest.mark.parametrize(
    "spec",
    [
        SEAT,
        replace(SEAT, firmware=Firmware.UEFI, tpm=True),
        replace(SEAT, disks=(LVM, DATA)),
        replace(SEAT, disks=(replace(LVM, source=ImageFile(Path("/x.qcow2"), "qcow2")),)),
        *(replace(SEAT, network=one) for one in ("none", "nat", "isolated", "bridge=br0")),
        replace(SEAT, hardware=WINDOWS),
        replace(SEAT, nested=True),
        replace(SEAT, weight=300),
        replace(SEAT, hardware=Hardware(machine="i440fx", nic="e1000"), network="bridge=b"),
        replace(SEAT, disks=(LVM, replace(DATA, bus="sata")), hardware=Hardware(boot=DATA.target)),
        replace(SEAT, firmware=Firmware.UEFI, hardware=Hardware(secure_boot="yes")),
        replace(SEAT, memory_bytes=2**30 + 1, mac="52:54:00:AB:CD:EF"),
    ],
)
def test_definition_of_when_a_machine_is_made_then_it_is_what_its_xml_says(
    spec: DomainSpec,
) -> None:
    assert definition_of(spec) == parse_definition(domain_xml(spec, kvm=True))


def test_diff_when_nothing_changed_then_there_is_none() -> None:
    assert diff_definitions(MADE, parse_definition(MADE_XML)) == ()


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_diff_when_a_machine_was_changed_then_the_change_is_told_by_its_grade(change: str) -> None:
    xml, expected = CHANGES[change]
    assert xml != MADE_XML, "the case changes something"
    found = diff_definitions(MADE, parse_definition(xml))
    assert expected in [(one.grade, str(one.what)) for one in found]


@pytest.mark.parametrize(
    "same",
    [
        CDROM.format(source="", boot=""),  # an empty drive holds nothing
        '<controller type="sata" index="0"/>',  # libvirt adds what it needs
        '<sound model="ich9"/>',
    ],
)
def test_diff_when_a_device_brings_nothing_then_the_machine_is_the_same(same: str) -> None:
    assert diff_definitions(MADE, parse_definition(with_device(same))) == ()


def test_diff_when_libvirt_named_the_machine_version_then_the_family_counts() -> None:
    xml = MADE_XML.replace('machine="q35"', 'machine="pc-q35-7.2"')
    assert diff_definitions(MADE, parse_definition(xml)) == ()


def test_live_when_a_running_machine_is_on_an_overlay_then_the_disk_is_told() -> None:
    live = MADE_XML.replace(
        '<source dev="/dev/vg_class/net-07"/>',
        '<source file="/var/net-07.s"/><backingStore type="block"><format type="raw"/>'
        '<source dev="/dev/vg_class/net-07"/><backingStore/></backingStore>',
    ).replace('type="block" device="disk"', 'type="file" device="disk"', 1)
    seen = parse_definition(live)
    assert seen.disks[0].backing == ("/dev/vg_class/net-07",)
    (told,) = live_differences(MADE.disks, seen.disks)
    assert str(told.what) == "the running machine has /var/net-07.s as vda"


def test_live_when_a_disk_was_unplugged_then_that_is_told() -> None:
    live = replace(MADE, disks=MADE.disks[:1])
    assert [str(one.what) for one in live_differences(MADE.disks, live.disks)] == [
        "the running machine has no disk vdb"
    ]


@pytest.mark.parametrize(
    "text", ["", "<domain", "<network/>", "<!DOCTYPE x []><domain>&a;</domain>"]
)
def test_parse_when_it_is_no_domain_then_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        parse_definition(text)


def test_parse_when_sources_are_of_other_types_then_each_is_named() -> None:
    xml = with_device(
        '<disk type="volume"><source pool="default" volume="v"/><target dev="vdc"/></disk>'
        '<disk type="network"><source protocol="rbd" name="pool/i"/><target dev="vdd"/></disk>'
    )
    made: Definition = parse_definition(xml)
    assert [disk.source for disk in made.disks[2:]] == ["default/v", "rbd:pool/i"]
