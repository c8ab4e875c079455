"""A student who forges: another's MAC and IP addresses, ARP and neighbour answers, DHCP answers.

Real libvirt, a real bridge and a real firewall. A student is a network namespace on the port that
the XML of a seat's machine names, with root, and with raw sockets.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from uuid import uuid4

import pytest

from pizarra.compute.fence import Fence
from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.compute.libvirt_rules import LibvirtRules
from pizarra.compute.network_xml import network_name, port_name
from pizarra.errors import RulesGone
from tests.fixtures.libvirt import Libvirt
from tests.host.test_networks import GATEWAY, School, Student, eventually
from tests.host.test_networks import school as school

OWN, OTHER = "10.77.66.11", "10.77.66.12"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
FORGED, LAST = b"FORGED-BY-A-STUDENT", b"LAST-OF-ALL"
_SNIFF = """
import socket, sys
door = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
door.bind((sys.argv[1], 0))
door.settimeout(60)
print("ready", flush=True)
frame = b""
while sys.argv[3].encode() not in frame:
    frame = door.recv(4096)
    if sys.argv[2].encode() in frame:
        print("arrived", flush=True)
"""
_SEND = """
import socket, sys
door = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
door.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    door.send(bytes.fromhex(frame))
"""


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(source: str, kind: int, payload: bytes, target: str = EVERYBODY) -> bytes:
    return mac_bytes(target) + mac_bytes(source) + struct.pack(">H", kind) + payload


def arp(mac: str, address: str, mark: bytes = FORGED, inner: str = "") -> bytes:
    """A frame that says: ``address`` is at ``inner``, or at ``mac``."""
    sender = mac_bytes(inner or mac) + IPv4Address(address).packed
    told = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 2) + sender + mac_bytes(EVERYBODY)
    return ethernet(mac, 0x0806, told + IPv4Address(GATEWAY).packed + mark)


def udp(mac: str, address: str, ports: tuple[int, int], mark: bytes = FORGED) -> bytes:
    body = struct.pack(">HHHH", *ports, 8 + len(mark), 0) + mark
    begin = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(body), 0, 0, 64, 17)
    both = IPv4Address(address).packed + IPv4Address("255.255.255.255").packed
    total = sum(struct.unpack(">9H", begin + both))  # a bridge may look at the checksum
    check = struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    return ethernet(mac, 0x0800, begin + check + both + body)


def ipv6(mac: str, kind: int, body: bytes) -> bytes:
    """A packet of ICMPv6 (58) or UDP (17) to all neighbours."""
    head = struct.pack(">IHBB", 0x60000000, len(body), kind, 255)
    both = IPv6Address("fe80::bad").packed + IPv6Address("ff02::1").packed
    return ethernet(mac, 0x86DD, head + both + body)


def router(mac: str) -> bytes:
    return ipv6(mac, 58, struct.pack(">BBHIII", 134, 0, 0, 0, 0, 0) + FORGED)


def neighbour(mac: str) -> bytes:
    target = IPv6Address("fe80::1").packed
    return ipv6(mac, 58, struct.pack(">BBHI", 136, 0, 0, 0x60000000) + target + FORGED)


def dhcp6_server(mac: str) -> bytes:
    return ipv6(mac, 17, struct.pack(">HHHH", 547, 546, 8 + len(FORGED), 0) + FORGED)


def tag(frame: bytes) -> bytes:
    """A frame of the VLAN 7."""
    return frame[:12] + struct.pack(">HH", 0x8100, 7) + frame[12:]


@dataclass(frozen=True, slots=True)
class Class:
    """Two seats: their machines are defined, and students are at their ports."""

    school: School
    bridge: str
    students: tuple[Student, Student]

    def mac(self, number: int = 1) -> str:
        return self.school.classroom.mac(number)

    def arrives(self, frame: bytes, at: Student | None = None) -> bool:
        """Whether a frame of the first student comes out on the bridge, or at the other student.

        The frame with ``LAST``, which may pass, comes after it: then all is known.
        """
        host = self.school.host
        where = (*host.prefix, "ip", "netns", "exec", at.name) if at else host.prefix
        card = at.card if at else self.bridge
        python = ("/usr/bin/python3", "-c")
        sniff = [*where, *python, _SNIFF, card, FORGED.decode(), LAST.decode()]
        with subprocess.Popen(sniff, stdout=subprocess.PIPE, text=True) as sniffer:
            assert sniffer.stdout is not None
            assert sniffer.stdout.readline() == "ready\n"
            first, frames = self.students[0], [frame] if at else [frame, arp(self.mac(), OWN, LAST)]
            sent = first.run(*python, _SEND, first.card, *(one.hex() for one in frames))
            assert sent.returncode == 0, sent.stderr
            if at:  # nothing of the first student comes there; what the host sends does
                last = ethernet("52:54:00:00:00:fe", 0x88B5, LAST)
                host.inside(*python, _SEND, self.bridge, last.hex())
            return "arrived" in sniffer.stdout.read()


def plug_in(school: School, bridge: str, network: str, *, isolated: bool) -> Class:
    """Define two machines, and put a student at the port of each. The fence stands."""
    for number in (1, 2):
        school.compute.define(school.classroom.seat(number, network=network))
    school.compute.raise_fence()
    students = (_student(school, bridge, 1, isolated), _student(school, bridge, 2, isolated))
    for student, address in zip(students, (OWN, OTHER), strict=True):
        student.set_address(address)
    eventually("reached", lambda: students[0].can_reach(GATEWAY))
    return Class(school, bridge, students)


def _student(school: School, bridge: str, number: int, isolated: bool) -> Student:
    mac, name = school.classroom.mac(number), f"p{uuid4().hex[:8]}"
    port, student = port_name(mac), Student(host=school.host, name=name, card=f"{name}e")
    school.plugged.append(name)
    ip = school.host.inside
    ip("ip", "netns", "add", name)
    ip("ip", "link", "add", port, "type", "veth", "peer", "name", student.card)
    ip("ip", "link", "set", port, "master", bridge, "up")
    if isolated:
        ip("bridge", "link", "set", "dev", port, "isolated", "on")
    ip("ip", "link", "set", student.card, "address", mac, "netns", name)
    ip("ip", "-n", name, "link", "set", student.card, "up")
    return student


@pytest.fixture(params=["isolated", "nat"])
def own(school: School, request: pytest.FixtureRequest) -> Class:
    """A class on a network of its own."""
    school.compute.define_network(school.classroom.network(request.param))
    return plug_in(school, school.bridge, request.param, isolated=True)


@pytest.fixture
def bridged(school: School) -> Iterator[Class]:
    """A class on a bridge of the host, whose ports nothing but the fence keeps apart."""
    bridge, ip = f"lan{uuid4().hex[:6]}", school.host.inside
    ip("ip", "link", "add", bridge, "type", "bridge")
    ip("ip", "address", "add", f"{GATEWAY}/24", "dev", bridge)
    ip("ip", "link", "set", bridge, "up")
    yield plug_in(school, bridge, f"bridge={bridge}", isolated=False)
    ip("ip", "link", "del", bridge)


def test_frames_when_a_seat_uses_its_own_addresses_then_they_pass(own: Class) -> None:
    assert own.arrives(arp(own.mac(), OWN))
    assert own.arrives(udp(own.mac(), OWN, (5000, 5000)))
    assert own.arrives(udp(own.mac(), "0.0.0.0", (68, 67)))


def test_frames_when_a_seat_forges_then_none_passes(own: Class) -> None:
    mine, others = own.mac(), own.mac(2)
    forged = {
        "another's MAC": udp(others, OTHER, (5000, 5000)),
        "any MAC": arp("52:54:00:00:00:99", OWN),
        "another's IPv4": udp(mine, OTHER, (5000, 5000)),
        "no IPv4, but no client of DHCP": udp(mine, "0.0.0.0", (5000, 5000)),
        "ARP: another's address": arp(mine, OTHER),
        "ARP: the gateway's address": arp(mine, GATEWAY),
        "ARP: another's MAC": arp(mine, OWN, inner=others),
        "DHCP answer": udp(mine, OWN, (67, 68)),
        "IPv6 neighbour": neighbour(mine),
        "IPv6 router": router(mine),
        "DHCPv6 answer": dhcp6_server(mine),
        "VLAN": tag(udp(mine, OWN, (5000, 5000))),
        "another protocol": ethernet(mine, 0x88B5, FORGED),
    }
    assert [what for what, frame in forged.items() if own.arrives(frame)] == []


def test_host_when_a_seat_takes_anothers_addresses_then_it_believes_the_other(own: Class) -> None:
    thief, victim = own.students
    thief.set_address(OTHER)
    ip = ("ip", "-n", thief.name)
    own.school.host.inside(*ip, "address", "del", f"{OWN}/24", "dev", thief.card)
    assert not thief.can_reach(GATEWAY)
    own.school.host.inside(*ip, "link", "set", thief.card, "address", own.mac(2))
    assert not thief.can_reach(GATEWAY)
    assert victim.can_reach(GATEWAY)


@pytest.mark.long
def test_bridge_when_a_seat_forges_then_what_pizarra_can_know_does_not_pass(
    bridged: Class,
) -> None:
    mine, others = bridged.mac(), bridged.mac(2)
    forged = {
        "another's MAC": udp(others, OTHER, (5000, 5000)),
        "ARP: another's MAC": arp(mine, OWN, inner=others),
        "DHCP answer": udp(mine, OWN, (67, 68)),
        "IPv6 router": router(mine),
        "DHCPv6 answer": dhcp6_server(mine),
        "VLAN": tag(udp(mine, OWN, (5000, 5000))),
        "another protocol": ethernet(mine, 0x88B5, FORGED),
    }
    assert [what for what, frame in forged.items() if bridged.arrives(frame)] == []
    assert bridged.arrives(udp(mine, OWN, (5000, 5000)))
    assert bridged.arrives(neighbour(mine)), "docs/security.md says so"


@pytest.mark.long
def test_bridge_when_a_seat_looks_for_another_then_nothing_arrives(bridged: Class) -> None:
    other = bridged.students[1]
    assert not bridged.arrives(udp(bridged.mac(), OWN, (5000, 5000)), at=other)
    assert not bridged.students[0].can_reach(OTHER)


def test_bridge_when_a_seat_runs_then_libvirt_isolates_its_port(school: School) -> None:
    bridge, ip = f"lan{uuid4().hex[:6]}", school.host.inside
    ip("ip", "link", "add", bridge, "type", "bridge")
    try:
        seat = school.classroom.seat(network=f"bridge={bridge}")
        school.compute.define(seat)
        school.compute.start(seat.uuid)
        port = ip("bridge", "-d", "link", "show", "dev", port_name(seat.mac))
        assert f"master {bridge}" in port
        assert "isolated on" in port
    finally:
        school.compute.kill(school.classroom.seat().uuid)
        ip("ip", "link", "del", bridge)


# ---- somebody takes the rules away


def rules(host: Libvirt) -> str:
    tables = [host.inside("nft", "list", "table", one, "pizarra") for one in ("inet", "bridge")]
    return "".join(tables)


def is_named_by_libvirt(school: School) -> bool:
    return f" {school.bridge} " in school.host.inside("iptables-save")


def test_rules_when_all_were_flushed_then_the_guard_raises_ours_and_libvirt_its_own(
    own: Class,
) -> None:
    school, spoof = own.school, udp(own.mac(), OTHER, (5000, 5000))
    compute, network = school.compute, network_name(school.classroom.name)
    assert is_named_by_libvirt(school)
    assert compute.networks_without_rules() == ()
    assert compute.is_fenced()
    school.host.inside("nft", "flush", "ruleset")
    assert own.arrives(spoof), "nothing else holds a seat to its address"
    assert network in compute.networks_without_rules()
    assert not compute.is_fenced()
    assert compute.raise_fence() is False
    assert not own.arrives(spoof)
    assert own.arrives(udp(own.mac(), OWN, (5000, 5000)))
    assert compute.raise_fence() is True
    compute.renew_network_rules()
    assert compute.networks_without_rules() == ()
    assert is_named_by_libvirt(school)
    assert own.students[0].can_reach(GATEWAY)


def test_start_when_all_rules_were_flushed_then_all_stand_and_other_machines_go_on(
    school: School,
) -> None:
    school.compute.define_network(school.classroom.network("nat"))
    first, second = (school.classroom.seat(number, network="nat") for number in (1, 2))
    for seat in (first, second):
        school.compute.define(seat)
    school.compute.start(first.uuid)
    qemu = school.host.inside("pgrep", "-f", first.uuid)
    school.host.inside("nft", "flush", "ruleset")
    school.compute.start(second.uuid)
    assert all(port_name(seat.mac) in rules(school.host) for seat in (first, second))
    assert is_named_by_libvirt(school)
    assert school.host.inside("pgrep", "-f", first.uuid) == qemu


@pytest.mark.long
def test_network_when_all_rules_were_flushed_then_another_starts_all_the_same(
    school: School,
) -> None:
    school.compute.define_network(school.classroom.network("nat"))
    school.compute.remove_network(school.classroom.name, school.classroom.network("nat").uuid)
    school.host.inside("nft", "flush", "ruleset")
    assert school.compute.networks_without_rules() == (), "none runs that could show it"
    school.compute.define_network(school.classroom.network("nat"))
    assert is_named_by_libvirt(school)


def test_network_when_libvirt_cannot_make_its_rules_then_the_error_says_so_and_what_to_do(
    school: School,
) -> None:
    """As on a host whose libvirt cannot be restarted."""
    school.compute.define_network(school.classroom.network("nat"))
    school.compute.remove_network(school.classroom.name, school.classroom.network("nat").uuid)
    school.host.inside("nft", "flush", "ruleset")
    prefix = school.host.prefix
    stuck = LibvirtCompute(
        school.host.uri, fence=Fence(prefix), rules=LibvirtRules(prefix, restart=())
    )
    with pytest.raises(RulesGone, match="firewall rules of the network of") as fault:
        stuck.define_network(school.classroom.network("nat"))
    assert "systemctl restart libvirtd" in fault.value.hint
    stuck.close()
    school.compute.define_network(school.classroom.network("nat"))


@pytest.mark.parametrize("harm", [
    ("delete", "table", "bridge", "pizarra"),
    ("delete", "table", "inet", "pizarra"),
    ("flush", "chain", "bridge", "pizarra", "seat"),
])  # fmt: skip
def test_start_when_rules_were_taken_away_then_they_stand_before_the_machine_runs(
    school: School, harm: tuple[str, ...]
) -> None:
    school.compute.define_network(school.classroom.network())
    first, second = (school.classroom.seat(number, network="isolated") for number in (1, 2))
    for seat in (first, second):
        school.compute.define(seat)
    school.compute.start(first.uuid)
    before = rules(school.host)
    school.host.inside("nft", *harm)
    school.compute.start(second.uuid)
    after = rules(school.host)
    assert after.count(" drop") == before.count(" drop")
    assert all(f'"{port_name(seat.mac)}" . {seat.mac}' in after for seat in (first, second))
    assert f'"{port_name(second.mac)}" . {OTHER}' in after


@pytest.mark.long
def test_port_when_the_fence_knows_no_machine_then_nothing_passes(own: Class) -> None:
    """The rules that stand before libvirtd does: `fence.nft`."""
    compute, host = own.school.compute, own.school.host
    for number in (1, 2):
        compute.undefine(own.school.classroom.seat(number).uuid)
    compute.raise_fence()
    assert not own.students[0].can_reach(GATEWAY)
    assert port_name(own.mac()) not in rules(host)
