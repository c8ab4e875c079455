"""What libvirt makes of our XML is what the machine was made as; what virsh changes is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.compute.definition import parse_definition
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
