"""What this host has and reaches: its addresses, its routes, its name servers, its neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from pizarra.errors import HostNotFit
from pizarra.model.sentence import Sentence
from pizarra.model.taken_subnet import TakenSubnet
from pizarra.system.process import run

# the first is often a stub of this host itself; the others name the servers behind the stub
RESOLVERS = (
    Path("/etc/resolv.conf"),
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/run/NetworkManager/no-stub-resolv.conf"),
)
_NAME_SERVER = re.compile(r"^\s*nameserver\s+([0-9.]+)\s*$", re.MULTILINE)
# 10.0.0.0/8 is the largest private range. A wider route (a VPN's 0.0.0.0/1) is a way out, as the
# default route is.
_WAY_OUT_PREFIX = 7


class _Address(BaseModel):
    local: str = ""
    prefixlen: int = 32


class _Link(BaseModel):
    ifname: str = ""
    address: str = ""
    addr_info: list[_Address] = []


class _Hop(BaseModel):
    gateway: str = ""
    dev: str = ""


class _Route(_Hop):
    dst: str = "default"
    nexthops: list[_Hop] = []


class _Neighbour(BaseModel):
    lladdr: str = ""


_T = TypeVar("_T", bound=BaseModel)


def host_subnets() -> tuple[TakenSubnet, ...]:
    """All that a new subnet must not overlap. Raises HostNotFit, CommandFailed."""
    links = _ask(_Link, "-4", "address", "show")
    routes = _ask(_Route, "-4", "route", "show", "table", "all")
    found = (*_of_links(links), *_of_routes(routes), *_name_servers())
    return tuple(dict.fromkeys(found))


def macs_in_sight() -> frozenset[str]:
    """The MAC addresses of this host's network devices, and of the neighbours that it knows."""
    links = (link.address for link in _ask(_Link, "link", "show"))
    neighbours = (one.lladdr for one in _ask(_Neighbour, "neighbour", "show"))
    return frozenset(mac.lower() for mac in (*links, *neighbours) if mac)


def _ask(kind: type[_T], *argv: str) -> list[_T]:
    """``ip -j``, ip(8). Some versions print an empty object for what was filtered out."""
    told = run(["ip", "-j", *argv]).stdout
    try:
        return TypeAdapter(list[kind]).validate_json(told or "[]")  # type: ignore[valid-type]
    except ValidationError as error:
        raise HostNotFit(
            "The answer of {command} cannot be read: {why}.",
            "Look at it, and at the package that has it: dpkg -S $(which ip)",
            command=f"ip -j {' '.join(argv)}",
            why=error.errors()[0]["msg"],
        ) from None


def _of_links(links: Iterable[_Link]) -> Iterator[TakenSubnet]:
    for link in links:
        for address in link.addr_info:
            if address.local:
                its = IPv4Interface(f"{address.local}/{address.prefixlen}")
                yield TakenSubnet(its.network, link.ifname)
                yield TakenSubnet(IPv4Network(its.ip), link.ifname)


def _of_routes(routes: Iterable[_Route]) -> Iterator[TakenSubnet]:
    for route in routes:
        hops = (route, *route.nexthops)
        device = next((hop.dev for hop in hops if hop.dev), "") or Sentence("a route")
        if (subnet := _subnet(route.dst)) and subnet.prefixlen > _WAY_OUT_PREFIX:
            yield TakenSubnet(subnet, device)
        for gateway in (_subnet(hop.gateway) for hop in hops):
            if gateway:
                yield TakenSubnet(gateway, Sentence("a router"))


def _subnet(text: str) -> IPv4Network | None:
    """None for ``default``, and where there is none."""
    with suppress(ValueError):
        return IPv4Network(text, strict=False)
    return None


def _name_servers() -> Iterator[TakenSubnet]:
    for path in RESOLVERS:
        with suppress(OSError):
            text = path.read_text(encoding="utf-8", errors="replace")
            for subnet in map(_subnet, _NAME_SERVER.findall(text)):
                if subnet:
                    yield TakenSubnet(subnet, Sentence("a DNS server"))
