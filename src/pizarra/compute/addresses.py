"""The addresses of a classroom's own network: equal every time, on every host. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from pizarra.errors import HostNotFit

# The upper half of 10/8: sites that use 10/8 mostly count up from its lower end.
_SPACE = IPv4Network("10.128.0.0/9")
_FIRST_SEAT = 10
_SMALL, _LARGE = 24, 22  # prefixes
_SMALL_SEATS_MAX = 240


def choose_subnet(classroom: str, seats: int, taken: Iterable[IPv4Network]) -> IPv4Network:
    """A private subnet for up to ``seats`` seats that overlaps none of ``taken``.

    The search starts at a hash of the name, so that a classroom that is made again gets the same
    addresses. Raises HostNotFit when every subnet is taken.
    """
    prefix = _SMALL if seats <= _SMALL_SEATS_MAX else _LARGE
    used = tuple(taken)
    count = 1 << (prefix - _SPACE.prefixlen)
    first = int.from_bytes(hashlib.sha256(classroom.encode()).digest()[:4]) % count
    for index in range(count):
        subnet = _nth(prefix, (first + index) % count)
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise HostNotFit(
        "No subnet of {space} is free for the classroom {classroom}.",
        "Remove routes or networks that cover it.",
        space=str(_SPACE),
        classroom=classroom,
    )


def _nth(prefix: int, index: int) -> IPv4Network:
    start = int(_SPACE.network_address) + (index << (32 - prefix))
    return IPv4Network((start, prefix))


def gateway_address(subnet: IPv4Network) -> IPv4Address:
    """The host's own address on the subnet: the first one."""
    return subnet.network_address + 1


def seat_address(subnet: IPv4Network, number: int) -> IPv4Address:
    """The address of a seat: seat 1 has .11, seat 2 has .12."""
    return subnet.network_address + _FIRST_SEAT + number
