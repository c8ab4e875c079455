"""A classroom as it is wished: by options of ``create`` or in a file for ``apply``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pizarra.errors import BadInput
from pizarra.model.facts import StorageKind
from pizarra.model.names import SEATS_MAX, name_checked
from pizarra.model.sizes import GIB, MIB, TIB, size_text

_BRIDGE = re.compile(r"bridge=[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
NETWORKS = "isolated, nat, none or bridge=NAME"
VCPUS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassroomSpec:
    """N seats of a template. Checked when it is made: raises BadInput naming what is wrong."""

    name: str
    template: str
    seats: int
    memory_bytes: int = 2 * GIB
    vcpus: int = 2
    network: str = "isolated"
    storage: StorageKind | None = None  # where the template is, if it is in one place
    vg: str = ""
    disk_bytes: int | None = None  # as large as the template's

    def __post_init__(self) -> None:
        name_checked(self.name, "classroom")
        name_checked(self.template, "template")
        _within("seats", self.seats, 1, SEATS_MAX)
        _within("vcpus", self.vcpus, 1, VCPUS_MAX)
        if not 4 * MIB <= self.memory_bytes <= TIB:
            raise BadInput(
                "A machine cannot have {memory} of memory.",
                "Choose from 4M to 1T, for example --memory 2G.",
                memory=size_text(self.memory_bytes),
            )
        network_checked(self.network)


def network_checked(network: str) -> str:
    """Raises BadInput unless it is a network that a seat can be on."""
    if network in ("isolated", "nat", "none") or _BRIDGE.fullmatch(network):
        return network
    raise BadInput("{network!r} is not a network.", "Choose {those}.", network=network,
                   those=NETWORKS)  # fmt: skip


def _within(what: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise BadInput(
            "A classroom cannot have {number} {what}.",
            "Choose from {least} to {most}.",
            what=what,
            number=number,
            least=least,
            most=most,
        )
