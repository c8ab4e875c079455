"""What runs seats. Every call names one machine by UUID, is safe to repeat, and has a limit.

Calls on different machines may come from different threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pizarra.model.disk_source import DiskSource
from pizarra.model.facts import Domain
from pizarra.model.labels import Firmware


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """One disk of a machine to be."""

    source: DiskSource
    target: str  # vda, vdb


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSpec:
    """A seat's machine, wholly described."""

    uuid: str
    name: str
    classroom: str
    number: int
    template: str
    version: int
    memory_bytes: int
    vcpus: int
    firmware: Firmware
    disks: Sequence[DiskSpec]
    tpm: bool = False  # an emulated TPM 2.0
    seed: Path | None = None  # a small disk for cloud-init, while a machine is given its identity
    network: str  # "none", "bridge=br0", or the mode of the classroom's own network
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A seat's known address on its classroom's network."""

    name: str
    mac: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A classroom's own network: isolated from everything, or with a way out (nat)."""

    classroom: str
    uuid: str
    mode: str  # isolated or nat
    leases: Sequence[Lease]
    gateway: str  # the host's address on it
    prefix: int


class Compute(Protocol):
    """The machines of one host. Errors: ComputeFault, HostNotFit, NotOurs."""

    def observe(self) -> tuple[Domain, ...]:
        """All domains, ours and not, in one sweep."""
        ...

    def define(self, spec: DomainSpec) -> None:
        """Make the machine known, or bring it up to date. NotOurs if the name is another's."""
        ...

    def undefine(self, uuid: str) -> None:
        """Forget the machine, its NVRAM and TPM; it must be off. Fine if it is not there."""
        ...

    def start(self, uuid: str) -> None:
        """Switch on with clean RAM; fine if it runs."""
        ...

    def ask_to_stop(self, uuid: str) -> None:
        """Ask the guest, through its agent or else ACPI, to shut down; returns at once."""
        ...

    def kill(self, uuid: str) -> None:
        """Switch off now (destroy); fine if it is off. Returns when QEMU is gone."""
        ...

    def pause(self, uuid: str) -> None:
        """Freeze the CPUs; all disk I/O has ended when this returns."""
        ...

    def resume(self, uuid: str) -> None:
        """Let the CPUs go on."""
        ...

    def reset_button(self, uuid: str) -> None:
        """As a push on the reset button: the same QEMU boots again."""
        ...

    def save_ram(self, uuid: str, path: Path) -> None:
        """Its RAM is in that file and it is off: its disks are as they were at that instant."""
        ...

    def restore_ram(self, uuid: str, path: Path) -> None:
        """It goes on from such a file, with its clock set where the guest has an agent."""
        ...

    def agent_answers(self, uuid: str) -> bool:
        """Whether the guest has an agent that answers now."""
        ...

    def agent(self, uuid: str, command: Mapping[str, Any], timeout_s: float = 5) -> dict[str, Any]:
        """A command to the guest's QEMU agent; its answer. ComputeFault when none answers."""
        ...

    def define_network(self, spec: NetworkSpec) -> None:
        """Make, update and start a classroom's network. NotOurs if the name is another's."""
        ...

    def remove_network(self, classroom: str, uuid: str) -> None:
        """Stop and forget it; fine if it is not there."""
        ...

    def network_gateways(self) -> dict[str, str]:
        """Network UUID -> "10.x.y.1/24" of all networks of the host, ours and not."""
        ...

    def screenshot(self, uuid: str) -> bytes:
        """A picture (PNG or PPM) of what a machine that is on shows now."""
        ...

    def console(self, uuid: str) -> int:
        """A file descriptor that speaks VNC; the caller closes it. No TCP port is involved."""
        ...

    def xml(self, uuid: str) -> str:
        """The inactive (persistent) domain XML."""
        ...

    def redefine(self, xml: str) -> None:
        """Replace a domain's persistent definition, as an adoption does."""
        ...

    def has_saved_ram(self, uuid: str) -> bool:
        """Whether its next start by others would go on from a saved RAM image, and its XML."""
        ...

    def find(self, name: str) -> Domain | None:
        """A domain by name."""
        ...
