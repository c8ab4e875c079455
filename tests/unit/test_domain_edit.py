"""Edits of domains that somebody else made: what is meant changes, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from pizarra.compute.domain_edit import (
    add_seat_metadata,
    agent_listens,
    disks_of,
    firmware_of,
    replace_disk_source,
)
from pizarra.compute.seat_metadata import SeatMetadata, is_ours
from pizarra.errors import BadInput, NotFound, Unsupported
from pizarra.model.labels import Firmware

ADOPTED = (Path(__file__).parents[1] / "fixtures" / "adopted.xml").read_text()
NEW = Path("/dev/vg_class/old-01")
SEAT = SeatMetadata(classroom="net", number=4, template="old", version=1)


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that went and the lines that came, without their indentation."""
    old, new = ([line.strip() for line in text.splitlines()] for text in (before, after))
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_disks_of_when_every_kind_is_there_then_each_as_it_stands() -> None:
    seen = [
        (disk.target, disk.path, disk.type, disk.format, disk.device, disk.read_only)
        for disk in disks_of(ADOPTED)
    ]
    assert seen == [
        ("vda", "/var/lib/libvirt/images/old-01.qcow2", "file", "qcow2", "disk", False),
        ("sda", "/srv/iso/debian.iso", "file", "raw", "cdrom", True),
        ("sdc", "", "file", "raw", "cdrom", True),
        ("sdb", "/dev/vg0/old-01-data", "block", "raw", "disk", False),
        ("vdb", "", "network", "raw", "disk", False),
        ("vdc", "", "volume", "raw", "disk", False),
    ]


def test_disk_moved_when_qcow2_file_then_exactly_that_disk_changes() -> None:
    went, came = changed_lines(ADOPTED, replace_disk_source(ADOPTED, "vda", NEW))
    assert came == [
        '<driver name="qemu" type="raw" cache="none" error_policy="report" iothread="1" '
        'queues="2" io="native" discard="unmap">',
        '<source dev="/dev/vg_class/old-01">',
    ]
    assert [line.split()[0].strip("<>/") for line in went] == [
        *("disk", "driver", "metadata_cache", "max_size", "metadata_cache"),
        *("source", "slices", "slice", "slices"),
        *("backingStore", "format", "source", "backingStore", "backingStore"),
    ]


def test_disk_moved_when_done_then_guest_sees_the_same_disk() -> None:
    disk = etree.fromstring(replace_disk_source(ADOPTED, "vda", NEW)).find("devices/disk")
    assert disk is not None
    assert disk.get("type") == "block"
    kept = ["driver", "source", "target", "iotune", "serial", "alias", "address"]
    assert [child.tag for child in disk] == kept


def test_edits_when_done_then_libvirts_schema_still_holds() -> None:
    schema = etree.RelaxNG(file="/usr/share/libvirt/schemas/domain.rng")
    known = ADOPTED.replace('<from-a-newer-libvirt keep="me"/>', "")
    schema.assertValid(etree.fromstring(known))
    edited = add_seat_metadata(replace_disk_source(known, "vda", NEW), SEAT)
    schema.assertValid(etree.fromstring(edited))


def test_disk_moved_when_no_driver_stands_there_then_it_gets_one() -> None:
    moved = {disk.target: disk for disk in disks_of(replace_disk_source(ADOPTED, "vdc", NEW))}
    assert (moved["vdc"].type, moved["vdc"].path) == ("block", str(NEW))


def test_disk_moved_when_nothing_has_that_target_then_not_found() -> None:
    with pytest.raises(NotFound, match="vdz"):
        replace_disk_source(ADOPTED, "vdz", NEW)


def test_disk_moved_when_libvirt_decrypts_it_then_unsupported() -> None:
    locked = ADOPTED.replace('<seclabel model="dac"', '<encryption format="luks"/><seclabel')
    with pytest.raises(Unsupported):
        replace_disk_source(locked, "vda", NEW)


def test_seat_metadata_when_added_then_the_others_stay() -> None:
    told = add_seat_metadata(ADOPTED, SEAT)
    assert is_ours(etree.fromstring(told))
    assert "libosinfo:os" in told
    went, _ = changed_lines(ADOPTED, told)
    assert went == []


def test_seat_metadata_when_there_already_then_replaced() -> None:
    twice = add_seat_metadata(add_seat_metadata(ADOPTED, SEAT), SEAT)
    assert twice.count("<pizarra:seat ") == 1


def test_seat_metadata_when_domain_has_none_then_made_after_its_title() -> None:
    bare = "<domain>\n  <name>a</name>\n  <!-- why -->\n  <memory>1</memory>\n</domain>"
    tags = [child.tag for child in etree.fromstring(add_seat_metadata(bare, SEAT))]
    assert tags == ["name", "metadata", etree.Comment, "memory"]


@pytest.mark.parametrize(
    ("os", "firmware"),
    [
        ("<os><type>hvm</type></os>", Firmware.BIOS),
        ("<os><loader type='rom'>/x</loader></os>", Firmware.BIOS),
        ("<os firmware='bios'/>", Firmware.BIOS),
        ("<os firmware='efi'/>", Firmware.UEFI),
        ("<os><loader type='pflash'>/x</loader></os>", Firmware.UEFI),
        ("", Firmware.BIOS),
    ],
)
def test_firmware_of_when_said_so_then_so(os: str, firmware: Firmware) -> None:
    assert firmware_of(f"<domain>{os}</domain>") is firmware


@pytest.mark.parametrize(("state", "listens"), [("connected", True), ("disconnected", False)])
def test_agent_listens_when_the_guest_has_opened_its_channel_then_so(
    state: str, listens: bool
) -> None:
    channels = f"""
        <channel type='unix'>
          <target type='virtio' name='org.qemu.guest_agent.0' state='{state}'/>
        </channel>
        <channel type='spicevmc'>
          <target type='virtio' name='com.redhat.spice.0' state='connected'/>
        </channel>"""
    assert agent_listens(f"<domain><devices>{channels}</devices></domain>") is listens


@pytest.mark.parametrize("xml", ["", "<domain>", "<network/>", "nonsense"])
def test_edit_when_it_is_no_domain_then_bad_input(xml: str) -> None:
    with pytest.raises(BadInput):
        disks_of(xml)
