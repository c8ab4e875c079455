"""The XML of seats and networks against golden files, and against libvirt's own schemas.

PIZARRA_UPDATE_GOLDEN=1 writes the golden files anew: read the difference before it is committed.
"""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from pizarra.compute.addresses import RANGES, choose_subnet, gateway_address, seat_address
from pizarra.compute.domain_xml import domain_xml
from pizarra.compute.interface import DiskSpec, DomainSpec, Lease, NetworkSpec
from pizarra.compute.network_xml import bridge_name, network_xml, read_network
from pizarra.errors import HostNotFit
from pizarra.model.disk_source import BlockDevice, ImageFile, RbdImage
from pizarra.model.hardware import Hardware
from pizarra.model.labels import Firmware
from pizarra.model.names import SEATS_MAX, seat_mac, seat_name, seat_uuid
from pizarra.model.sizes import GIB
from pizarra.model.taken_subnet import TakenSubnet
from tests.fixtures.windows import WINDOWS

GOLDEN = Path(__file__).parents[1] / "golden" / "xml"
SCHEMAS = Path("/usr/share/libvirt/schemas")
LVM = DiskSpec(source=BlockDevice(Path("/dev/vg_class/net-07")), target="vda")
DATA = DiskSpec(source=BlockDevice(Path("/dev/vg_class/net-07-vdb")), target="vdb")
QCOW2 = DiskSpec(source=ImageFile(Path("/srv/pizarra/net-07.qcow2"), "qcow2"), target="vda")
RBD = DiskSpec(
    source=RbdImage(
        pool="classes",
        image="net-07.vda",
        monitors=("ceph-1", "ceph-2:6789"),
        user="pizarra",
        secret_uuid="5f1f6f0e-31c4-4e55-9c8c-6d1f0d9f2a11",
    ),
    target="vda",
)
SEAT = DomainSpec(
    uuid=seat_uuid("net", 7),
    name=seat_name("net", 7),
    classroom="net",
    number=7,
    template="debian",
    version=3,
    memory_bytes=2 * GIB,
    vcpus=2,
    firmware=Firmware.BIOS,
    disks=(LVM,),
    network="isolated",
    mac=seat_mac(seat_uuid("net", 7), "net", 7),
)
SUBNET = IPv4Network("10.200.3.0/24")
NETWORK = NetworkSpec(
    classroom="net",
    uuid=seat_uuid("net", 0),
    mode="isolated",
    gateway=str(gateway_address(SUBNET)),
    prefix=24,
    leases=tuple(
        Lease(
            name=seat_name("net", number),
            mac=seat_mac(seat_uuid("net", number), "net", number),
            address=str(seat_address(SUBNET, number)),
        )
        for number in (1, 2)
    ),
)
WINDOWS_SEAT = replace(SEAT, disks=(replace(LVM, bus="ide"),), hardware=WINDOWS)
WINDOWS_11 = replace(
    SEAT,
    disks=(replace(LVM, bus="sata"),),
    firmware=Firmware.UEFI,
    tpm=True,
    hardware=replace(WINDOWS, bus="sata", machine="q35", cpu="", secure_boot="yes"),
)
VMWARE = replace(
    SEAT,
    disks=(replace(LVM, bus="scsi"), replace(DATA, bus="scsi")),
    hardware=Hardware(
        bus="scsi", machine="i440fx", boot="vdb", nic="vmxnet3", scsi="lsisas1068", usb="piix3-uhci"
    ),
)
VARIANTS = {
    "bios-kvm": domain_xml(SEAT, kvm=True),
    "bios-emulated": domain_xml(SEAT, kvm=False),
    "uefi": domain_xml(replace(SEAT, firmware=Firmware.UEFI), kvm=True),
    "two-disks-nat": domain_xml(replace(SEAT, disks=(LVM, DATA), network="nat"), kvm=True),
    "qcow2": domain_xml(replace(SEAT, disks=(QCOW2,)), kvm=True),
    "qcow2-buffered": domain_xml(replace(SEAT, disks=(QCOW2,)), kvm=True, buffered=("vda",)),
    "rbd": domain_xml(replace(SEAT, disks=(RBD,)), kvm=True),
    "bridge": domain_xml(replace(SEAT, network="bridge=br0"), kvm=True),
    "nested-weight": domain_xml(replace(SEAT, nested=True, weight=300), kvm=True),
    "weight-of-processors": domain_xml(replace(SEAT, weight=50), kvm=True, controllers=("cpu",)),
    "no-network": domain_xml(replace(SEAT, network="none"), kvm=True),
    "windows-bios": domain_xml(WINDOWS_SEAT, kvm=True),
    "windows-emulated": domain_xml(WINDOWS_SEAT, kvm=False),
    "windows-uefi": domain_xml(WINDOWS_11, kvm=True),
    "vmware-second-disk": domain_xml(VMWARE, kvm=True),
    "network-isolated": network_xml(NETWORK),
    "network-nat": network_xml(replace(NETWORK, mode="nat")),
}


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_xml_when_built_then_as_the_golden_file(variant: str) -> None:
    golden = GOLDEN / f"{variant}.xml"
    if os.environ.get("PIZARRA_UPDATE_GOLDEN"):
        golden.write_text(VARIANTS[variant])
    assert VARIANTS[variant] == golden.read_text()


def test_golden_files_when_listed_then_each_has_its_variant() -> None:
    assert {file.stem for file in GOLDEN.glob("*.xml")} == set(VARIANTS)


@pytest.fixture(scope="module")
def schemas() -> dict[str, etree.RelaxNG]:
    """What virt-xml-validate holds XML against."""
    return {kind: etree.RelaxNG(file=SCHEMAS / f"{kind}.rng") for kind in ("domain", "network")}


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_xml_when_held_against_libvirts_schema_then_valid(
    variant: str, schemas: dict[str, etree.RelaxNG]
) -> None:
    document = etree.fromstring(VARIANTS[variant])
    schemas[str(document.tag)].assertValid(document)


def test_xml_when_a_path_has_markup_then_it_is_escaped() -> None:
    sly = replace(QCOW2, source=ImageFile(Path("/srv/<a>&'\".qcow2"), "qcow2"))
    document = etree.fromstring(domain_xml(replace(SEAT, disks=(sly,)), kvm=True))
    assert document.xpath("string(devices/disk/source/@file)") == "/srv/<a>&'\".qcow2"


@pytest.mark.parametrize("network", ["isolated", "nat"])
def test_interface_when_on_our_network_then_its_port_is_isolated(network: str) -> None:
    document = etree.fromstring(domain_xml(replace(SEAT, network=network), kvm=True))
    assert document.xpath("string(devices/interface/port/@isolated)") == "yes"


def test_console_when_built_then_no_port_listens() -> None:
    document = etree.fromstring(VARIANTS["bios-kvm"])
    assert document.xpath("count(devices/graphics[@port or @autoport or @listen])") == 0
    assert document.xpath("string(devices/graphics/listen/@type)") == "none"


# ---- networks


def test_network_when_read_back_then_as_written() -> None:
    seen = read_network(network_xml(replace(NETWORK, mode="nat")))
    assert (seen.mode, seen.bridge, seen.gateway) == ("nat", "pz-net", "10.200.3.1/24")
    assert seen.leases == frozenset(NETWORK.leases)


@pytest.mark.parametrize(
    ("ip", "gateway"),
    [
        ("<ip address='192.168.122.1' netmask='255.255.254.0'/>", "192.168.122.1/23"),
        ("<ip family='ipv6' address='fd00::1' prefix='64'/>", ""),
        ("<ip family='ipv6' address='fd00::1'/><ip address='10.0.0.1' prefix='8'/>", "10.0.0.1/8"),
        ("", ""),
    ],
)
def test_network_seen_when_anothers_then_its_ipv4_gateway(ip: str, gateway: str) -> None:
    assert read_network(f"<network><name>x</name>{ip}</network>").gateway == gateway


names = st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,12})?", fullmatch=True)


@given(st.lists(names, unique=True))
def test_bridge_name_when_names_differ_then_short_and_different(classrooms: list[str]) -> None:
    bridges = {bridge_name(classroom) for classroom in classrooms}
    assert len(bridges) == len(classrooms)
    assert all(len(bridge) <= 15 for bridge in bridges)


# ---- addresses


@given(names, st.integers(1, SEATS_MAX))
def test_subnet_when_chosen_then_private_and_every_seat_fits(classroom: str, seats: int) -> None:
    subnet = choose_subnet(classroom, seats, ())
    hosts = {seat_address(subnet, number) for number in range(1, seats + 1)}
    assert subnet.is_private
    assert subnet == choose_subnet(classroom, seats, ())
    assert all(host in subnet for host in hosts)
    assert not hosts & {gateway_address(subnet), subnet.broadcast_address}


def test_subnet_when_taken_then_the_next_free_one() -> None:
    first = choose_subnet("net", 30, ())
    second = choose_subnet("net", 30, (TakenSubnet(first, "eth0"),))
    assert not first.overlaps(second)
    assert choose_subnet("net", 30, (TakenSubnet(second, "eth0"),)) == first


def test_subnet_when_everything_is_taken_then_host_not_fit() -> None:
    with pytest.raises(HostNotFit):
        choose_subnet("net", 30, [TakenSubnet(one, "eth0") for one in RANGES])
