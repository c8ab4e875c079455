"""What was seen on a host at one moment: volumes, pools, domains. Nothing here is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pizarra.model.labels import Labels, Role


class StorageKind(StrEnum):
    """The storage backends."""

    LVM_THIN = "lvm-thin"
    LVM_THICK = "lvm-thick"
    QCOW2 = "qcow2"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One disk as its backend reports it: ours (``labels``) or somebody else's (None)."""

    kind: StorageKind
    place: str  # the volume group, or the folder
    name: str
    uuid: str  # LVM's own, or the one we wrote beside a file; names are never enough
    path: Path  # what QEMU opens
    size_bytes: int
    labels: Labels | None = None
    fault: str | None = None  # why it may not be used: unreadable labels, an invalid snapshot
    active: bool = True
    read_only: bool = False
    used_share: float | None = None  # of its own space: thin data, COW store, overlay; 0 to 1
    pool: str = ""
    thin_id: int = 0
    origin: str = ""  # name of the volume that it is a snapshot of


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where the space of volumes comes from: a thin pool, a volume group, a file system."""

    kind: StorageKind
    place: str
    name: str
    size_bytes: int
    free_bytes: int
    metadata_used_share: float | None = None  # thin pools only
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFacts:
    """All volumes and pools of one backend at one place."""

    volumes: tuple[Volume, ...] = ()
    pools: tuple[Pool, ...] = ()


class Power(StrEnum):
    """What a virtual machine is doing."""

    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"
    CRASHED = "crashed"
    ABSENT = "absent"  # no such domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One libvirt domain, ours or not."""

    uuid: str
    name: str
    power: Power


def _disk_of(volume: Volume) -> str:
    return volume.labels.disk if volume.labels else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A student's machine: the volumes that say they are its own, and its domain."""

    classroom: str
    number: int
    name: str
    domain_uuid: str
    power: Power
    volumes: tuple[Volume, ...]  # those that go back
    baselines: Mapping[str, Volume]  # by the UUID of the seat's volume
    data: tuple[Volume, ...] = ()  # those that stay as they are, whatever is done to the others
    fault: str | None = None  # why nobody may touch it, in words

    @property
    def all_volumes(self) -> tuple[Volume, ...]:
        """All of its disks, in order."""
        return tuple(sorted((*self.volumes, *self.data), key=_disk_of))

    @property
    def labels(self) -> Labels:
        """Of the first disk, which carries what is said once a seat."""
        labels = self.volumes[0].labels
        assert labels is not None, "a seat is made of labelled volumes only"
        return labels

    @property
    def identity(self) -> Labels | None:
        """Of the state in which it was given its own name and keys, if it goes back to that."""
        baseline = self.baselines.get(self.volumes[0].uuid)
        told = baseline.labels if baseline else None
        return told if told and told.role is Role.CHECKPOINT else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a golden machine."""

    name: str
    version: int
    kind: StorageKind
    place: str
    volumes: tuple[Volume, ...]
    seats: int  # how many stand on it, or will until their next reset
    fault: str | None = None

    @property
    def warm(self) -> bool:
        """Whether classrooms made of it get warm baselines."""
        return any(one.labels and one.labels.warm for one in self.volumes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """The next version of a template, and the machine in which somebody changes it."""

    template: str
    version: int  # that it will be
    kind: StorageKind
    place: str
    name: str  # of the machine
    domain_uuid: str
    power: Power
    volumes: tuple[Volume, ...]
    fault: str | None = None

    @property
    def labels(self) -> Labels:
        """Of the first disk, which carries what is said once."""
        labels = self.volumes[0].labels
        assert labels is not None, "made of labelled volumes only"
        return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Classroom:
    """N seats of one template version."""

    name: str
    seats: tuple[Seat, ...]

    @property
    def labels(self) -> Labels:
        """Of its first seat: template, version, memory, vcpus, network."""
        return self.seats[0].labels
