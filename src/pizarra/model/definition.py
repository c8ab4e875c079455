"""What a machine is defined to be: all that a start of it would use, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pizarra.model.labels import Firmware
from pizarra.model.sentence import Sentence


class Grade(StrEnum):
    """How much a difference matters."""

    CONTENT = "content"  # what the machine boots, or reads and writes as its own
    HARDWARE = "hardware"  # what else is plugged in: a technician may have meant it
    LIMIT = "limit"  # what keeps the machine from others: a reset puts it right in any case


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskDefinition:
    """A disk, a CD-ROM or a floppy."""

    target: str  # vda
    device: str  # disk, cdrom, floppy, lun
    source: str  # empty for an empty drive
    type: str  # file, block, volume, network
    format: str  # raw, qcow2
    bus: str
    boot: int  # its place in a boot order that is given by device; 0: it has none
    transient: bool  # libvirt puts a throw-away overlay over it
    backing: tuple[str, ...] = ()  # of a running machine: what its source stands on, from the top


@dataclass(frozen=True, slots=True, kw_only=True)
class NicDefinition:
    """A network card."""

    mac: str
    type: str  # network, bridge, user, direct
    source: str
    model: str
    boot: int
    port: str = ""  # of the bridge; empty: libvirt chooses a name at each start
    is_isolated: bool = False  # its port is


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherDevice:
    """A device of the host, a shared folder, arguments for QEMU: what no machine of ours has."""

    name: str  # as XML calls it
    has_content: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """All of a machine that a start would use."""

    disks: tuple[DiskDefinition, ...]
    boot: tuple[str, ...]  # hd, cdrom, network: the order that is given by kind
    firmware: Firmware
    loader: str
    nvram: str  # the file of its UEFI variables; empty for BIOS
    kernel: str  # of a machine that boots past its disks
    tpm: str  # "emulator 2.0"
    machine: str  # q35, i440fx
    memory_bytes: int
    vcpus: int
    nested: bool | None  # it may run machines of its own
    nics: tuple[NicDefinition, ...]
    others: tuple[OtherDevice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as the machine was made."""

    grade: Grade
    what: Sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a machine is not as it was made; its disks' contents are another matter."""

    defined: tuple[Difference, ...] = ()  # what a start would use
    live: tuple[Difference, ...] = ()  # what only the running machine uses

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.defined or self.live)

    @property
    def is_of_content(self) -> bool:
        """Whether the machine boots, reads or writes something that is not its own."""
        return any(one.grade is Grade.CONTENT for one in (*self.defined, *self.live))


NO_DRIFT = Drift()
