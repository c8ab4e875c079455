"""The addresses of a classroom's own network, beside those that are taken. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network

from pizarra.errors import HostNotFit
from pizarra.model.taken_subnet import TakenSubnet

# The upper half of 10/8 first: sites that use 10/8 mostly count up from its lower end.
RANGES = tuple(map(IPv4Network, ("10.128.0.0/9", "172.16.0.0/12", "192.168.0.0/16")))
_FIRST_SEAT = 10
_SMALL, _LARGE = 24, 22  # prefixes
_SMALL_SEATS_MAX = 240


def choose_subnet(
    classroom: str, seats: int, taken: Iterable[TakenSubnet], ranges: Sequence[IPv4Network] = ()
) -> IPv4Network:
    """A private subnet for up to ``seats`` seats that overlaps none of ``taken``.

    The search starts at a hash of the name, so that a classroom that is made again gets the same
    addresses. ``ranges`` are those of the settings, and may lie inside of a network that is taken
    as a whole: whoever chose them has set them aside. Raises HostNotFit when none is free.
    """
    used = [one.subnet for one in taken]
    for space in ranges or RANGES:
        near = [one for one in used if one.overlaps(space)]
        if ranges:
            near = [one for one in near if not space.subnet_of(one)]
        free = (one for one in _subnets(space, classroom, seats) if not _is_in(one, near))
        if subnet := next(free, None):
            return subnet
    raise HostNotFit(
        "No subnet of {ranges} is free for the classroom {classroom}.",
        'Set a range aside for classrooms: subnets = ["10.77.0.0/16"] in '
        "/etc/pizarra/pizarra.toml. What is taken: pizarra host check",
        ranges=", ".join(map(str, ranges or RANGES)),
        classroom=classroom,
    )


def _subnets(space: IPv4Network, classroom: str, seats: int) -> Iterator[IPv4Network]:
    """All of a size for these seats, from a hash of the name on."""
    prefix = _SMALL if seats <= _SMALL_SEATS_MAX else _LARGE
    if prefix < space.prefixlen:
        return
    count = 1 << (prefix - space.prefixlen)
    first = int.from_bytes(hashlib.sha256(classroom.encode()).digest()[:4]) % count
    for index in range(count):
        start = int(space.network_address) + ((first + index) % count << (32 - prefix))
        yield IPv4Network((start, prefix))


def _is_in(subnet: IPv4Network, used: Iterable[IPv4Network]) -> bool:
    return any(subnet.overlaps(other) for other in used)


def is_usable(subnet: IPv4Network, seats: int, taken: Iterable[TakenSubnet]) -> bool:
    """Whether a network that was made earlier can be started again as it was: its seats fit, and
    nothing that others use lies inside of it. That it lies inside of a larger one is borne."""
    fits = _FIRST_SEAT + seats < subnet.num_addresses - 1
    return fits and not any(one.subnet.subnet_of(subnet) for one in taken)


def gateway_address(subnet: IPv4Network) -> IPv4Address:
    """The host's own address on the subnet: the first one."""
    return subnet.network_address + 1


def seat_address(subnet: IPv4Network, number: int) -> IPv4Address:
    """The address of a seat: seat 1 has .11, seat 2 has .12."""
    return subnet.network_address + _FIRST_SEAT + number
