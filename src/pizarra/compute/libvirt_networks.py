"""A classroom's own network in libvirt. Each function gets an open connection."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

import libvirt

from pizarra.compute.fence import Fence, Port, read_ports
from pizarra.compute.interface import Lease, NetworkSpec
from pizarra.compute.libvirt_connection import Connection, VirDomain, VirNetwork, or_none
from pizarra.compute.libvirt_rules import LibvirtRules
from pizarra.compute.network_xml import (
    NETWORK_PREFIX,
    NetworkInfo,
    lease_xml,
    names_by_mac,
    network_name,
    network_xml,
    read_network,
)
from pizarra.errors import ComputeFault, NotOurs, PizarraError, RulesGone, SubnetTaken
from pizarra.model.taken_subnet import TakenSubnet

_ABSENT = frozenset({libvirt.VIR_ERR_NO_NETWORK, libvirt.VIR_ERR_NO_DOMAIN})
_FIREWALL = re.compile(r"\b(?:ip6?tables|ebtables|nft)\b")  # a command, in any language
_WITH_RULES = frozenset({"isolated", "nat", "route"})


def _our_network(conn: Connection, name: str, uuid: str) -> VirNetwork | None:
    """The network of this name. libvirt 9.0 has no metadata on networks, so the UUID decides."""
    network = or_none(conn.networkLookupByName, name)
    if network is not None and network.UUIDString() != uuid:
        raise NotOurs(
            "A network {name} is there already, and it is not ours: its UUID is {found}.",
            "Remove it (virsh net-undefine) or choose another name for the classroom.",
            name=name,
            found=network.UUIDString(),
        )
    return network


def define_network(conn: Connection, spec: NetworkSpec) -> None:
    """Make, update and start the network of a classroom."""
    network = _our_network(conn, network_name(spec.classroom), spec.uuid)
    if network is not None and network.isActive():
        _update_live_network(network, spec)
    network = conn.networkDefineXML(network_xml(spec))
    network.setAutostart(True)
    if not network.isActive():
        _start(network, spec)


def _start(network: VirNetwork, spec: NetworkSpec) -> None:
    """libvirt refuses a subnet that a route of the host has already, dnsmasq an address, and the
    firewall a rule for a chain that has gone. All are internal errors of libvirt
    (networkCheckRouteCollision in src/network)."""
    try:
        network.create()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_INTERNAL_ERROR:
            raise
        said = (error.get_error_message() or "").rstrip(".")
        if _FIREWALL.search(said):
            raise RulesGone(
                "libvirt cannot make the firewall rules of the network of {classroom}: {said}.",
                "Restart libvirt, which makes its rules anew: systemctl restart libvirtd",
                classroom=spec.classroom,
                said=said,
            ) from None
        raise SubnetTaken(
            "libvirt cannot start the network of {classroom} with the address {gateway}: {said}.",
            "See what has it: ip route; pizarra host check",
            classroom=spec.classroom,
            gateway=f"{spec.gateway}/{spec.prefix}",
            said=said,
        ) from None


def _update_live_network(network: VirNetwork, spec: NetworkSpec) -> None:
    """Add and remove leases while the network runs. Other changes need an unused network."""
    live, wanted = read_network(network.XMLDesc()), read_network(network_xml(spec))
    if (live.mode, live.gateway) == (wanted.mode, wanted.gateway):
        _change_leases(
            network, libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE, live.leases - wanted.leases
        )
        _change_leases(
            network, libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, wanted.leases - live.leases
        )
        return
    if live.connections:
        raise ComputeFault(
            "The network of {classroom} cannot change while {count} machines run on it.",
            "Stop the classroom first: pizarra stop {classroom}",
            classroom=spec.classroom,
            count=live.connections,
        )
    network.destroy()


def _change_leases(network: VirNetwork, command: int, leases: Iterable[Lease]) -> None:
    section, live = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST, libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE
    for lease in sorted(leases, key=lambda lease: lease.address):
        network.update(command, section, 0, lease_xml(lease), live)


def remove_network(conn: Connection, classroom: str, uuid: str) -> None:
    """Stop and remove the network. Fine if there is none."""
    network = _our_network(conn, network_name(classroom), uuid)
    if network is None:
        return
    if network.isActive():
        network.destroy()
    network.undefine()


def gateways(conn: Connection) -> dict[str, str]:
    """UUID -> gateway ("10.x.y.1/24") of all networks with an IPv4 address."""
    return {uuid: info.gateway for uuid, _, info in _networks(conn) if info.gateway}


def network_subnets(conn: Connection) -> tuple[TakenSubnet, ...]:
    """Of all networks, those that are not started too."""
    found = ((subnet, name) for _, name, info in _networks(conn) for subnet in info.subnets)
    return tuple(TakenSubnet(subnet, name) for subnet, name in found)


def machine_macs(conn: Connection) -> dict[str, frozenset[str]]:
    """Of all machines, as they are defined and as they run."""
    return names_by_mac(
        (domain.name(), xml)
        for domain in conn.listAllDomains()
        for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE)
        for xml in _if_there(partial(domain.XMLDesc, flags))
    )


def admit(fence: Fence, rules: LibvirtRules, conn: Connection, *domains: VirDomain) -> None:
    """Before a network or these machines start: somebody may have flushed the rules, and those of
    libvirt with them."""
    if fence.admit(_seat_ports(conn, domains)):
        return
    rebuild_fence(fence, conn)
    with suppress(PizarraError):  # seats are apart without them, and the guard says so
        rules.renew(bridges_with_rules(conn).values())


def is_fenced(fence: Fence, conn: Connection) -> bool:
    """Whether all rules stand, or there is no seat yet."""
    return not _seat_ports(conn, conn.listAllDomains()) or fence.is_whole()


def bridges_with_rules(conn: Connection) -> dict[str, str]:
    """The bridge of each network that runs and for which libvirt makes rules, by its name."""
    active = libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE
    return {
        network.name(): info.bridge
        for network in conn.listAllNetworks(active)
        for xml in _if_there(network.XMLDesc)
        if (info := read_network(xml)).mode in _WITH_RULES and info.bridge
    }


def rebuild_fence(fence: Fence, conn: Connection) -> bool:
    """All rules stand, for the machines that there are. Whether they stood already."""
    ports = _seat_ports(conn, conn.listAllDomains())
    stood = fence.admit(ports)
    fence.build(ports)
    return stood


def _seat_ports(conn: Connection, domains: Iterable[VirDomain]) -> list[Port]:
    """The ports of machines: as they run, or as they will."""
    leases = {
        lease.mac: lease.address
        for _, name, info in _networks(conn)
        if name.startswith(NETWORK_PREFIX)
        for lease in info.leases
    }
    return [
        port
        for domain in domains
        for xml in _if_there(domain.XMLDesc)
        for port in read_ports(xml, leases)
    ]


def _networks(conn: Connection) -> Iterator[tuple[str, str, NetworkInfo]]:
    """(UUID, name, description) of each network."""
    for network in conn.listAllNetworks():
        for xml in _if_there(network.XMLDesc):
            yield network.UUIDString(), network.name(), read_network(xml)


def _if_there(read: Callable[[], str]) -> Iterator[str]:
    """Its answer; nothing when the network or machine went away meanwhile."""
    try:
        yield read()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in _ABSENT:
            raise
