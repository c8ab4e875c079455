"""Networks of our own: beside all that the host has and reaches, with an address for each seat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network

from pizarra.compute.interface import NetworkSpec
from pizarra.errors import SubnetTaken
from pizarra.model.facts import Seat
from pizarra.model.sentence import Sentence
from pizarra.model.taken_subnet import TakenSubnet
from pizarra.planner import provision
from pizarra.service.context import Context

_TRIES = 4


def make_network(
    context: Context, room: str, seats: int, spec_in: Callable[[IPv4Network], NetworkSpec]
) -> None:
    """Define and start the network of a room. A subnet that libvirt refuses is replaced by the
    next, some times. ``seats`` is the highest number; ``spec_in`` says the network in a subnet.

    Raises HostNotFit, ComputeFault, NotOurs.
    """
    compute, ranges = context.host.compute, context.host.settings.subnets
    present = provision.subnet_of(room, compute.network_gateways())
    taken = [*compute.taken_subnets()]
    for last in (*[False] * (_TRIES - 1), True):
        subnet = provision.subnet_for(room, seats, present, taken, ranges)
        try:
            compute.define_network(spec_in(subnet))
        except SubnetTaken:
            if last:
                raise
            taken.append(TakenSubnet(subnet, Sentence("libvirt refuses it")))
        else:
            return


def make_class_network(context: Context, room: str, mode: str, seats: Iterable[Seat]) -> None:
    """Define and start the network of a classroom, if it has one of its own and seats that we
    made."""
    macs = macs_by_number(seats)
    if mode in provision.OWN_NETWORKS and macs:
        make_network(
            context, room, max(macs), lambda it: provision.network_spec(room, mode, it, macs)
        )


def macs_by_number(seats: Iterable[Seat]) -> Mapping[int, str]:
    """The MAC address of each seat that we made, by its number."""
    return {seat.number: provision.mac_of(seat) for seat in seats if not seat.is_adopted}
