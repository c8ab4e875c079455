"""A classroom's own network as libvirt's XML (https://libvirt.org/formatnetwork.html). Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from lxml import etree

from pizarra.compute.elements import element as el
from pizarra.compute.elements import text_of
from pizarra.compute.interface import Lease, NetworkSpec

BRIDGE_PREFIX = "pz-"
NETWORK_PREFIX = "pizarra-"
PORT_PREFIX = "pzs"  # no bridge of ours begins so
_BRIDGE_LENGTH_MAX = 15  # IFNAMSIZ less the final zero


def network_name(classroom: str) -> str:
    """The network's name in libvirt: ``pizarra-net``."""
    return f"{NETWORK_PREFIX}{classroom}"


def bridge_name(classroom: str) -> str:
    """``pz-net``; ``pz--`` and a hash for a long name. No classroom's name starts with a hyphen."""
    plain = BRIDGE_PREFIX + classroom
    if len(plain) <= _BRIDGE_LENGTH_MAX:
        return plain
    hashed = f"{BRIDGE_PREFIX}-{hashlib.sha256(classroom.encode()).hexdigest()}"
    return hashed[:_BRIDGE_LENGTH_MAX]


def port_name(mac: str) -> str:
    """The name of the port of a bridge that a network card is on: ``pzs5254000a0b0c``."""
    return PORT_PREFIX + mac.lower().replace(":", "")


def network_xml(spec: NetworkSpec) -> str:
    """The definition of a network. Each seat gets its own fixed address, and nobody else gets one.

    Without a ``range`` dnsmasq answers known MACs only. The bridge runs no spanning tree: there is
    no loop to prevent, and a student could abuse the protocol.
    """
    forward = (el("forward", {"mode": "nat"}),) if spec.mode == "nat" else ()
    network = el(
        "network",
        el("name", network_name(spec.classroom)),
        el("uuid", spec.uuid),
        *forward,
        el("bridge", {"name": bridge_name(spec.classroom), "stp": "off", "delay": "0"}),
        el(
            "ip",
            {"address": spec.gateway, "prefix": str(spec.prefix)},
            el("dhcp", *(_host(lease) for lease in spec.leases)),
        ),
    )
    return text_of(network)


def _host(lease: Lease) -> etree._Element:
    return el("host", {"mac": lease.mac, "name": lease.name, "ip": lease.address})


def lease_xml(lease: Lease) -> str:
    """One DHCP host, as a live update of the network takes it."""
    return etree.tostring(_host(lease), encoding="unicode")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInfo:
    """What Pizarra reads from a network's XML."""

    mode: str  # isolated, nat, or another's: route, bridge, …
    bridge: str
    gateway: str  # "10.1.2.1/24", empty without an IPv4 address
    subnets: frozenset[IPv4Network]  # of all its IPv4 addresses and routes
    leases: frozenset[Lease]
    connections: int  # how many running guests use the network; only in a live XML


def read_network(xml: str) -> NetworkInfo:
    """Read the XML of any network, ours or somebody else's."""
    network = etree.fromstring(xml)
    forward, bridge = network.find("forward"), network.find("bridge")
    hosts = network.iterfind("ip/dhcp/host")
    return NetworkInfo(
        mode="isolated" if forward is None else forward.get("mode", "nat"),
        bridge="" if bridge is None else bridge.get("name", ""),
        gateway=next((_gateway(ip) for ip in network.iterfind("ip") if _is_ipv4(ip)), ""),
        subnets=frozenset(
            IPv4Interface(_gateway(one)).network
            for one in (*network.iterfind("ip"), *network.iterfind("route"))
            if _is_ipv4(one)
        ),
        leases=frozenset(_lease(host) for host in hosts if host.get("mac")),
        connections=int(network.get("connections", "0")),
    )


def _is_ipv4(ip: etree._Element) -> bool:
    return ip.get("family", "ipv4") == "ipv4"


def _gateway(ip: etree._Element) -> str:
    """libvirt keeps a prefix or a netmask, whichever was given."""
    length = ip.get("prefix") or ip.get("netmask")
    return f"{ip.get('address')}/{_prefix(length)}"


def _prefix(length: str | None) -> int:
    if length is None:
        return 24
    if "." not in length:
        return int(length)
    return sum(int(octet).bit_count() for octet in length.split("."))


def names_by_mac(machines: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """The addresses of all network cards of machines, each a name and XML, ours and others."""
    found = defaultdict[str, set[str]](set)
    for name, xml in machines:
        for card in etree.fromstring(xml).iterfind("devices/interface/mac"):
            found[card.get("address", "").lower()].add(name)
    return {mac: frozenset(names) for mac, names in found.items()}


def _lease(host: etree._Element) -> Lease:
    return Lease(
        name=host.get("name", ""), mac=host.get("mac", "").lower(), address=host.get("ip", "")
    )
