"""A classroom as it is wished: by options of ``create`` or in a file for ``apply``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pizarra.errors import BadInput
from pizarra.model.facts import StorageKind
from pizarra.model.names import SEATS_MAX, check_name
from pizarra.model.policy import Policy
from pizarra.model.sentence import N_
from pizarra.model.sizes import GIB, MIB, TIB, size_text

BRIDGE = "bridge="  # before the name of a bridge of the host
_BRIDGE = re.compile(BRIDGE + r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
NETWORKS = "isolated, nat, none or bridge=NAME"
VCPUS_MAX = 64
VERSION_MAX = 99_999
FILE_BYTES_MAX = 64 * 1024  # of a classroom's file


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassroomSpec:
    """N seats of a template. Checked when it is made: raises BadInput naming what is wrong."""

    name: str
    template: str
    seats: int
    version: int = 0  # the newest
    memory_bytes: int = 2 * GIB
    vcpus: int = 2
    network: str = "isolated"
    storage: StorageKind | None = None  # where the template is, if it is in one place
    vg: str = ""
    disk_bytes: int | None = None  # as large as the template's
    identify: bool = False  # each machine has a host name and keys of its own
    warm: bool = False  # each machine is booted once, and kept as it is then
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        check_name(self.name, N_("classroom"))
        check_name(self.template, N_("template"))
        _within(N_("seats"), self.seats, 1, SEATS_MAX)
        check_machine(self.memory_bytes, self.vcpus)
        check_network(self.network)
        check_version(self.version)


def check_machine(memory_bytes: int, vcpus: int) -> None:
    """Raises BadInput unless a machine can be so."""
    _within(N_("vcpus"), vcpus, 1, VCPUS_MAX)
    if not 4 * MIB <= memory_bytes <= TIB:
        raise BadInput(
            "A machine cannot have {memory} of memory.",
            "Choose from 4M to 1T, for example --memory 2G.",
            memory=size_text(memory_bytes),
        )


def check_version(version: int) -> int:
    """Raises BadInput unless it is a version, or 0 for the newest."""
    if 0 <= version <= VERSION_MAX:
        return version
    raise BadInput(
        "{version} is not a version of a template.", "Versions count up from 1.", version=version
    )


def check_network(network: str) -> str:
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
