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
    nics: tuple[NicDefinition, ...]
    others: tuple[
        str, ...
    ]  # devices of a host, shared folders, arguments for QEMU: by what XML says


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as the machine was made."""

    grade: Grade
    what: Sentence
