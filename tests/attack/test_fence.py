"""What a seat on a bridge of the host hides from a rule of the firewall that would drop it.

A bridge in a network namespace, without a machine. What some hosts load with Docker looks at
packets on a bridge too (br_netfilter), and is off here.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from ipaddress import IPv6Address
from uuid import uuid4

import pytest

from pizarra.compute.fence import Fence, Port
from pizarra.compute.network_xml import port_name
from tests.attack.test_network import FORGED, LAST, OWN, arp, ethernet, neighbour, router, udp

MAC = "52:54:00:aa:bb:01"
_SNIFF_AND_SEND = """
import socket, sys
first, last, *frames = map(bytes.fromhex, sys.argv[1:])
bridge = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
bridge.bind(("lan", 0))
bridge.settimeout(60)
seat = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
seat.bind(("seat", 0))
for frame in frames:
    seat.send(frame)
arrived, frame = 0, b""
while last not in frame:
    frame = bridge.recv(4096)
    arrived += first in frame
print(arrived)
"""
_OFF = (
    'for one in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$one" ] || echo 0 >"$one"; done'
)


@pytest.fixture
def lan() -> Iterator[tuple[str, ...]]:
    """A command that leads into the namespace: a bridge, and a seat at a port of ours."""
    name, port = f"x{uuid4().hex[:8]}", port_name(MAC)
    inside = ("ip", "netns", "exec", name)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for line in (
            "ip link add lan type bridge mcast_snooping 0",
            f"ip link add {port} type veth peer name seat address {MAC}",
            f"ip link set {port} master lan up",
            "ip link set seat up",
            "ip link set lan up",
        ):
            subprocess.run([*inside, *line.split()], check=True)
        subprocess.run([*inside, "sh", "-c", _OFF], check=True)
        Fence(inside).build([Port(name=port, mac=MAC, is_known=False)])
        yield inside
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def count_arrived(lan: tuple[str, ...], *frames: bytes) -> int:
    """How many of the frames with the mark come out on the bridge."""
    words = [FORGED, LAST, *frames, arp(MAC, OWN, LAST)]
    argv = [*lan, "/usr/bin/python3", "-c", _SNIFF_AND_SEND, *(one.hex() for one in words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return int(done.stdout)


def with_length(frame: bytes, length: int) -> bytes:
    """An IPv4 packet that says that it is so long."""
    head = bytearray(frame[14:34])
    head[2:4], head[10:12] = struct.pack(">H", length), bytes(2)
    total = sum(struct.unpack(">10H", bytes(head)))
    head[10:12] = struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    return frame[:14] + bytes(head) + frame[34:]


def packet6(kind: int, body: bytes) -> bytes:
    head = struct.pack(">IHBB", 0x60000000, len(body), kind, 255)
    both = IPv6Address("fe80::bad").packed + IPv6Address("ff02::1").packed
    return ethernet(MAC, 0x86DD, head + both + body)


def fragment(kind: int, offset: int, more: bool, body: bytes) -> bytes:
    return packet6(44, struct.pack(">BBHI", kind, 0, offset << 3 | more, 7) + body)


# destination options that end before what they announce, and carry our mark
_OPTIONS = struct.pack(">BBBB", 58, 3, 1, 28) + FORGED.ljust(28, b"\0")
_DHCP = udp(MAC, OWN, (67, 68))
_UDP6 = struct.pack(">HHHH", 5555, 5555, 64, 0) + FORGED.ljust(56, b"\0")

HIDDEN = {
    "dhcp, longer than it is": with_length(_DHCP, 600),
    "dhcp, shorter than its head": with_length(_DHCP, 10),
    "dhcp, of another version": _DHCP[:14] + b"\x55" + _DHCP[15:],
    "router, longer than it is": router(MAC)[:18] + struct.pack(">H", 500) + router(MAC)[20:],
    "router, in the second fragment": fragment(60, 0, True, _OPTIONS),
    "router, behind options that are cut": fragment(60, 0, True, _OPTIONS[:24]),
}


@pytest.mark.parametrize("trick", HIDDEN)
def test_bridge_when_a_seat_hides_what_it_sends_then_it_does_not_pass(
    lan: tuple[str, ...], trick: str
) -> None:
    assert count_arrived(lan, HIDDEN[trick]) == 0


def test_bridge_when_a_seat_hides_nothing_then_its_packets_pass(lan: tuple[str, ...]) -> None:
    large = [fragment(17, 0, True, _UDP6), fragment(17, 8, False, FORGED)]
    usual = [udp(MAC, OWN, (5555, 68)), neighbour(MAC), packet6(17, _UDP6), packet6(6, FORGED)]
    assert count_arrived(lan, *large, *usual) == len(large) + len(usual)
