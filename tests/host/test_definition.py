"""What libvirt makes of our XML is what the machine was made as; what virsh changes is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from pizarra.compute.definition import parse_definition
from pizarra.compute.definition_edit import carry_changes, replace_content
from pizarra.compute.domain_xml import domain_xml
from pizarra.compute.interface import DomainSpec
from pizarra.model.labels import Firmware
from pizarra.planner.definition_diff import diff_definitions, live_differences
from tests.fixtures.libvirt import Libvirt
from tests.host.test_libvirt import Seat, seat_on


@pytest.fixture
def seat(libvirt_host: Libvirt, tmp_path: Path) -> Iterator[Seat]:
    made = seat_on(libvirt_host, tmp_path)
    yield made
    made.compute.kill(made.uuid)
    made.compute.undefine(made.uuid)


def differences(seat: Seat, spec: DomainSpec) -> list[str]:
    made = parse_definition(domain_xml(spec, kvm=False))
    return [
        str(one.what)
        for one in diff_definitions(made, parse_definition(seat.compute.xml(seat.uuid)))
    ]


def test_definition_when_libvirt_completed_it_then_it_is_what_was_made(seat: Seat) -> None:
    for spec in (
        seat.spec,
        replace(seat.spec, firmware=Firmware.UEFI, tpm=True),
        replace(seat.spec, network="bridge=br0"),
    ):
        seat.compute.define(spec)
        assert differences(seat, spec) == []


def test_definition_when_a_snapshot_was_taken_then_its_overlay_is_told(
    seat: Seat, libvirt_host: Libvirt, tmp_path: Path
) -> None:
    seat.compute.define(seat.spec)
    virsh = ("virsh", "-c", libvirt_host.uri)
    overlay = tmp_path / "guest.s"
    libvirt_host.inside(
        *virsh, "snapshot-create-as", seat.uuid, "s", "--disk-only",
        "--diskspec", f"vda,file={overlay}",
    )  # fmt: skip
    assert differences(seat, seat.spec) == [f"its disk vda is {overlay}"]
    libvirt_host.inside(*virsh, "snapshot-delete", seat.uuid, "s", "--metadata")


def test_definition_when_a_running_machine_was_changed_then_only_live_tells(
    seat: Seat, libvirt_host: Libvirt
) -> None:
    seat.compute.define(seat.spec)
    seat.compute.start(seat.uuid)
    virsh = ("virsh", "-c", libvirt_host.uri)
    live = parse_definition(libvirt_host.inside(*virsh, "dumpxml", seat.uuid))
    made = parse_definition(domain_xml(seat.spec, kvm=False))
    assert live_differences(made.disks, live.disks) == ()


def test_definition_when_we_change_it_then_libvirt_takes_it_with_what_somebody_added(
    seat: Seat, libvirt_host: Libvirt, tmp_path: Path
) -> None:
    was = replace(seat.spec, network="bridge=br0")
    seat.compute.define(was)
    disc, device = tmp_path / "tools.iso", tmp_path / "added.xml"
    disc.write_bytes(bytes(2048))
    device.write_text(
        f'<disk type="file" device="cdrom"><source file="{disc}"/>'
        '<target dev="sda" bus="sata"/></disk>'
    )
    virsh = ("virsh", "-c", libvirt_host.uri)
    libvirt_host.inside(*virsh, "attach-device", seat.uuid, str(device), "--config")
    libvirt_host.inside(*virsh, "setmaxmem", seat.uuid, "96M", "--config")
    slots = slots_of(seat)
    for now in (
        replace(was, weight=50, nested=True),
        replace(was, memory_bytes=48 << 20, vcpus=2, version=was.version + 1),
        replace(was, seed=tmp_path / "seed.img"),
        replace(was, network="none"),
        was,
    ):
        carried = carry_changes(
            seat.compute.xml(seat.uuid), seat.compute.made_xml(was), seat.compute.made_xml(now)
        )
        seat.compute.redefine(replace_content(carried, seat.compute.made_xml(now)))
        others = [one for one in differences(seat, now) if "memory" not in one]
        assert others == [f"{disc} is plugged in as sda"]
        was = now
    assert slots_of(seat) == slots
    assert parse_definition(seat.compute.xml(seat.uuid)).memory_bytes == was.memory_bytes


def slots_of(seat: Seat) -> dict[str, str]:
    """Where each disk and the screen are plugged in, as libvirt has chosen."""
    root = etree.fromstring(seat.compute.xml(seat.uuid))
    disks = {str(disk.xpath("string(target/@dev)")): disk for disk in root.iterfind("devices/disk")}
    devices = {**disks, "screen": root.find("devices/video")}
    return {
        name: etree.tostring(place).decode().strip()
        for name, device in devices.items()
        if device is not None and (place := device.find("address")) is not None
    }
