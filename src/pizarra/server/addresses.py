"""Whose an address is, for limits per address."""

from __future__ import annotations

import ipaddress

_OWN_BITS = 64  # one machine may use any address of its IPv6 network


def group_of(address: str) -> str:
    """What a limit per address counts: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _OWN_BITS), strict=False))
