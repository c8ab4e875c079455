"""Subnets, MAC addresses and UUIDs: does what we choose collide with what is there? Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pizarra.compute.addresses import RANGES, choose_subnet
from pizarra.compute.network_xml import NETWORK_PREFIX, bridge_name
from pizarra.engine.fitness.facts import AddressesSeen, HostSeen, Trouble
from pizarra.engine.fitness.findings import Finding, Level, finding, good
from pizarra.errors import HostNotFit
from pizarra.model.sentence import N_
from pizarra.model.taken_subnet import TakenSubnet

_SEATS = 30  # of a usual class


def judge_addresses(seen: HostSeen) -> Iterator[Finding]:
    """When they cannot be seen, one finding says why."""
    addresses = seen.addresses
    if isinstance(addresses, Trouble):
        yield finding(Level.WARNING, "subnets", addresses.text, **addresses.facts)
        return
    yield _subnets(addresses)
    yield from _own_networks(addresses)
    if twins := sorted(map(sorted, addresses.twice)):
        text = N_("These machines have the same MAC address, and disturb each other: {names}.")
        mend = f"virsh edit {twins[0][-1]}"
        names = "; ".join(", ".join(one) for one in twins)
        yield finding(Level.WARNING, "mac-addresses", text, mend, names=names)
    if not addresses.identity:
        text = N_(
            "Nothing tells this host from others: it has no machine-id. Its machines may get the"
            " addresses of another host's machines."
        )
        yield finding(Level.WARNING, "identity", text, "systemd-machine-id-setup")


def _subnets(addresses: AddressesSeen) -> Finding:
    ranges = ", ".join(map(str, addresses.ranges or RANGES))
    facts = {"ranges": ranges, "taken": ", ".join(_told(addresses.taken)) or "-"}
    try:
        choose_subnet("", _SEATS, addresses.taken, addresses.ranges)
    except HostNotFit:
        text = N_("No subnet of {ranges} is free for a classroom's network. Taken: {taken}.")
        mend = "echo 'subnets = [\"10.77.0.0/16\"]' >>/etc/pizarra/pizarra.toml"
        return finding(Level.UNFIT, "subnets", text, mend, **facts)
    text = N_("Networks of classrooms are in {ranges}, beside what is taken: {taken}.")
    return good("subnets", text, **facts)


def _told(taken: tuple[TakenSubnet, ...]) -> list[str]:
    """Without addresses of this host itself, and without what lies in a wider one of the same."""
    return [
        str(one)
        for one in taken
        if not one.subnet.is_loopback
        and not any(
            one != other and one.by == other.by and one.subnet.subnet_of(other.subnet)
            for other in taken
        )
    ]


def _own_networks(addresses: AddressesSeen) -> Iterator[Finding]:
    """Each that has addresses of others inside of it."""
    for network, subnet in sorted(addresses.ours.items()):
        room = network.removeprefix(NETWORK_PREFIX)
        own = {network, bridge_name(room)}
        others = [
            one for one in addresses.taken if one.by not in own and one.subnet.subnet_of(subnet)
        ]
        if others:
            text = N_(
                "The network {network} has the addresses {subnet}, which hide others: {others}."
                " Stop its machines first; then it gets another subnet."
            )
            mend = f"virsh net-destroy {network} && pizarra recover"
            told = ", ".join(map(str, others))
            facts = {"network": network, "subnet": subnet, "others": told}
            yield finding(Level.WARNING, f"subnet {network}", text, mend, **facts)
