"""What the contract suite needs beside each Compute driver: acts of somebody else."""

from __future__ import annotations

import os
import subprocess
import uuid
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Protocol

from pizarra.compute.addresses import gateway_address, seat_address
from pizarra.compute.interface import Compute, DiskSpec, DomainSpec, Lease, NetworkSpec
from pizarra.compute.memory import MemoryCompute
from pizarra.model.disk_source import ImageFile
from pizarra.model.labels import Firmware
from pizarra.model.names import seat_mac, seat_name, seat_uuid
from pizarra.model.sizes import MIB
from tests.fixtures.libvirt import Libvirt

FOREIGN = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <description>nobody of ours</description>
  <memory unit='KiB'>65536</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices><memballoon model='none'/></devices>
</domain>
"""
FOREIGN_NETWORK = """\
<network>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <bridge name='{bridge}'/>
  <ip address='10.9.8.1' netmask='255.255.255.0'/>
</network>
"""


class ComputeBench(Protocol):
    """A driver, and acts of others on the same host."""

    compute: Compute

    def put(self, xml: str) -> None:
        """Define a domain as somebody else would."""
        ...

    def put_network(self, name: str, uuid: str) -> None:
        """Define a network, 10.9.8.1/24, as somebody else would."""
        ...

    def clean(self, classroom: Classroom) -> None:
        """Remove all that this test made."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Classroom:
    """A classroom with a name of its own. Its seats have blank disks."""

    folder: Path
    name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")

    def seat(self, number: int = 1, **changes: Any) -> DomainSpec:
        """The description of a seat's machine."""
        disk = DiskSpec(source=ImageFile(self.disk(number), "raw"), target="vda")
        values: dict[str, Any] = {
            "uuid": seat_uuid(self.name, number),
            "name": seat_name(self.name, number),
            "classroom": self.name,
            "number": number,
            "template": "debian",
            "version": 1,
            "memory_bytes": 64 * MIB,
            "vcpus": 1,
            "firmware": Firmware.BIOS,
            "disks": (disk,),
            "network": "none",
            "mac": self.mac(number),
        }
        return DomainSpec(**(values | changes))

    def mac(self, number: int) -> str:
        """The address of a seat's network card."""
        return seat_mac(seat_uuid(self.name, number), self.name, number)

    def disk(self, number: int) -> Path:
        """The disk of a seat. The first call makes it, blank."""
        path = self.folder / f"{number}.img"
        path.touch()
        os.truncate(path, max(MIB, path.stat().st_size))
        return path

    def network(self, mode: str = "isolated", seats: int = 2, **changes: Any) -> NetworkSpec:
        """The description of the classroom's own network."""
        subnet = IPv4Network("10.77.66.0/24")
        values: dict[str, Any] = {
            "classroom": self.name,
            "uuid": seat_uuid(self.name, 0),
            "mode": mode,
            "gateway": str(gateway_address(subnet)),
            "prefix": subnet.prefixlen,
            "leases": tuple(
                Lease(
                    name=seat_name(self.name, number),
                    mac=self.mac(number),
                    address=str(seat_address(subnet, number)),
                )
                for number in range(1, seats + 1)
            ),
        }
        return NetworkSpec(**(values | changes))


class MemoryComputeBench:
    """The bench of the memory driver."""

    def __init__(self) -> None:
        self.memory = MemoryCompute()
        self.compute: Compute = self.memory

    def put(self, xml: str) -> None:
        self.memory.put(xml)

    def put_network(self, name: str, uuid: str) -> None:
        self.memory.put_network(name, uuid, "10.9.8.1/24")

    def clean(self, classroom: Classroom) -> None:
        pass


class LibvirtComputeBench:
    """The bench of the libvirt driver."""

    def __init__(self, libvirt: Libvirt, folder: Path) -> None:
        self._uri, self._folder = libvirt.uri, folder
        self.driver = libvirt.compute()
        self.compute: Compute = self.driver

    def virsh(self, *argv: str, check: bool = True) -> str:
        """Run virsh, as somebody else would."""
        command = ["virsh", "-q", "-c", self._uri, *argv]
        return subprocess.run(command, check=check, capture_output=True, text=True).stdout

    def put(self, xml: str) -> None:
        self.virsh("define", str(self._write(xml)))

    def put_network(self, name: str, uuid: str) -> None:
        xml = FOREIGN_NETWORK.format(name=name, uuid=uuid, bridge=f"x{uuid[:8]}")
        self.virsh("net-define", str(self._write(xml)))

    def _write(self, xml: str) -> Path:
        file = self._folder / "put.xml"
        file.write_text(xml)
        return file

    def clean(self, classroom: Classroom) -> None:
        for name in self.virsh("list", "--all", "--name").split():
            if classroom.name in name:
                self.virsh("destroy", name, check=False)
                self.virsh("undefine", "--nvram", "--managed-save", name, check=False)
        for name in self.virsh("net-list", "--all", "--name").split():
            if classroom.name in name:
                self.virsh("net-destroy", name, check=False)
                self.virsh("net-undefine", name, check=False)
        self.driver.close()


def power_of(compute: Compute, uuid: str) -> str:
    """The power of a machine, as ``observe`` says; "absent" for an unknown machine."""
    return next((str(seen.power) for seen in compute.observe() if seen.uuid == uuid), "absent")
