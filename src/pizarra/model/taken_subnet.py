"""A part of the IPv4 addresses that somebody uses already."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network


@dataclass(frozen=True, slots=True)
class TakenSubnet:
    """What is taken, and by whom."""

    subnet: IPv4Network
    by: str  # a network device (eth0), a network of libvirt (default), or in words what is there

    def __str__(self) -> str:
        return f"{self.subnet} ({self.by})"
