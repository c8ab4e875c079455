"""The interface of what runs machines.

Every call names one machine by UUID, can be repeated, and has a time limit. Calls on different
machines may come from different threads at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pizarra.model.disk_source import DiskSource
from pizarra.model.facts import Domain
from pizarra.model.hardware import USUAL, Hardware
from pizarra.model.labels import Firmware
from pizarra.model.policy import WEIGHT_USUAL
from pizarra.model.taken_subnet import TakenSubnet


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """One disk of a machine to define."""

    source: DiskSource
    target: str  # vda, vdb
    bus: str = "virtio"


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSpec:
    """The whole description of a seat's machine."""

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
    hardware: Hardware = USUAL  # what its system was installed for
    weight: int = WEIGHT_USUAL  # for processors and disks, beside other machines
    nested: bool = False  # whether it may run machines of its own
    seed: Path | None = None  # a small disk for cloud-init, while a machine is given its identity
    network: str  # "none", "bridge=br0", or the mode of the classroom's own network
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The fixed address of a seat on its classroom's network."""

    name: str
    mac: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A classroom's own network: without a way out (isolated), or with one (nat)."""

    classroom: str
    uuid: str
    mode: str  # isolated or nat
    leases: Sequence[Lease]
    gateway: str  # the host's address on the network
    prefix: int


class Compute(Protocol):
    """The machines of one host. Errors: ComputeFault, HostNotFit, NotOurs."""

    def observe(self) -> tuple[Domain, ...]:
        """All domains of the host, ours and others, in one call."""
        ...

    def define(self, spec: DomainSpec) -> None:
        """Define or redefine the machine. Raises NotOurs if its name or UUID is somebody else's."""
        ...

    def made_xml(self, spec: DomainSpec) -> str:
        """The XML by which ``define`` defines a machine."""
        ...

    def undefine(self, uuid: str) -> None:
        """Remove the definition, NVRAM and TPM of a machine that is off. Fine if there is none."""
        ...

    def start(self, uuid: str) -> None:
        """Switch the machine on with clean RAM. Fine if it is on."""
        ...

    def wake(self, uuid: str) -> None:
        """Switch the machine on; it goes on with the RAM that libvirt saved. Fine if it is on."""
        ...

    def keep_saved_ram(self, uuid: str, to: Path) -> None:
        """The RAM that libvirt saved of the machine is in the file ``to`` too."""
        ...

    def put_saved_ram(self, uuid: str, path: Path) -> None:
        """libvirt has this RAM saved of the machine, which is off. The inverse of ``keep``."""
        ...

    def drop_saved_ram(self, uuid: str) -> None:
        """Forget the RAM that libvirt saved of the machine. Fine if there is none."""
        ...

    def ask_to_stop(self, uuid: str) -> None:
        """Ask the guest to shut down, by its agent or else by ACPI. Returns at once."""
        ...

    def kill(self, uuid: str) -> None:
        """Switch the machine off now (destroy). Returns when QEMU is gone. Fine if it is off."""
        ...

    def pause(self, uuid: str) -> None:
        """Stop the CPUs. All disk I/O has ended when the call returns."""
        ...

    def resume(self, uuid: str) -> None:
        """Let the CPUs of a paused machine go on."""
        ...

    def reset_button(self, uuid: str) -> None:
        """Push the reset button: the same QEMU boots again."""
        ...

    def save_ram(self, uuid: str, path: Path) -> None:
        """Save the RAM to a file and switch the machine off. Its disks stay as at that moment."""
        ...

    def restore_ram(self, uuid: str, path: Path) -> None:
        """Start the machine from saved RAM, and set its clock if the guest has an agent."""
        ...

    def agent_answers(self, uuid: str) -> bool:
        """Whether the guest's agent answers now."""
        ...

    def agent(self, uuid: str, command: Mapping[str, Any], timeout_s: float = 5) -> dict[str, Any]:
        """Send a command to the guest's QEMU agent. Raises ComputeFault when none answers."""
        ...

    def raise_fence(self) -> bool:
        """The firewall stands as a whole, with the addresses of all machines. Whether it stood
        already. Raises CommandFailed, HostNotFit."""
        ...

    def networks_without_rules(self) -> tuple[str, ...]:
        """The networks that run, ours and others, whose own firewall rules (DHCP, NAT) somebody
        took away. Raises CommandFailed, HostNotFit."""
        ...

    def renew_network_rules(self) -> None:
        """Those networks have their rules again; machines go on. Raises ComputeFault when they do
        not, CommandTimedOut, HostNotFit."""
        ...

    def define_network(self, spec: NetworkSpec) -> None:
        """Make, update and start a network. Raises NotOurs if its name is somebody else's, and
        SubnetTaken when it cannot start with these addresses."""
        ...

    def remove_network(self, classroom: str, uuid: str) -> None:
        """Stop and remove a classroom's network. Fine if there is none."""
        ...

    def network_gateways(self) -> dict[str, str]:
        """UUID -> gateway ("10.x.y.1/24") of all networks of the host, ours and others."""
        ...

    def taken_subnets(self) -> tuple[TakenSubnet, ...]:
        """What a new network must not overlap: addresses and routes of the host, its routers and
        DNS servers, and the networks of libvirt, ours and others. Raises ComputeFault, HostNotFit.
        """
        ...

    def macs(self) -> Mapping[str, frozenset[str]]:
        """The MAC addresses of all machines, each with their names; and those of the host's devices
        and neighbours, which have no names."""
        ...

    def screenshot(self, uuid: str) -> bytes:
        """A small picture (PNG) of the screen of a machine that is on."""
        ...

    def console(self, uuid: str) -> int:
        """A file descriptor that speaks VNC, without any TCP port. The caller closes it."""
        ...

    def xml(self, uuid: str) -> str:
        """The inactive (persistent) domain XML."""
        ...

    def live_xml(self, uuid: str) -> str:
        """The XML of the machine as it runs; the persistent one of a machine that is off."""
        ...

    def redefine(self, xml: str) -> None:
        """Replace the persistent definition of a domain, as an adoption does."""
        ...

    def volume_path(self, pool: str, name: str) -> Path:
        """Where a volume of a storage pool is. Raises NotFound, HostNotFit, Unsupported."""
        ...

    def find(self, name: str) -> Domain | None:
        """The domain of this name, or None."""
        ...
