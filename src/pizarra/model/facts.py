"""What was seen on a host at one moment: volumes, pools, domains. Nothing here is remembered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeGuard

from pizarra.errors import Unsupported
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.definition import NO_DRIFT, Drift
from pizarra.model.disk_source import DiskSource, RbdImage
from pizarra.model.labels import (
    FORMAT_TAG,
    CheckpointLabels,
    Labels,
    MaintenanceLabels,
    SeatLabels,
    TemplateLabels,
)
from pizarra.model.sentence import N_

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    L = TypeVar("L", bound=Labels | None, default=Labels | None, covariant=True)
else:
    from typing import TypeVar

    L = TypeVar("L")
Of = TypeVar("Of", bound=Labels)


# the name of a storage backend, as storage/registry.py has it; who has one asks what that can do
StorageKind = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Generic[L]):
    """One disk as its backend reports it: ours (``labels``) or somebody else's (None).

    ``Volume[SeatLabels]`` is one whose labels are known to be those of a seat.
    """

    kind: StorageKind
    place: str  # the volume group, or the folder
    name: str
    uuid: str  # LVM's own, or the one we wrote beside a file; names are never enough
    source: DiskSource  # what QEMU opens
    size_bytes: int
    labels: L
    tags: tuple[str, ...] = ()  # our labels as they stand there, of whatever format
    fault: str | None = None  # why it may not be used: unreadable labels, an invalid snapshot
    active: bool = True
    read_only: bool = False
    used_share: float | None = None  # of its own space: thin data, COW store, overlay; 0 to 1
    pool: str = ""
    thin_id: int = 0
    origin: str = ""  # name of the volume that it is a snapshot of

    @property
    def path(self) -> Path:
        """Where it is on this host. Raises Unsupported for one that is only reached by network."""
        if isinstance(self.source, RbdImage):
            raise Unsupported("{name} has no path on this host.", name=self.name)
        return self.source.path

    @property
    def has_old_labels(self) -> bool:
        """Whether its labels are of a format that is read, and not written any more."""
        return self.labels is not None and FORMAT_TAG not in self.tags


def has_labels(volume: Volume, cls: type[Of]) -> TypeGuard[Volume[Of]]:
    """Whether it has labels of this role."""
    return isinstance(volume.labels, cls)


def labelled(volumes: Iterable[Volume], cls: type[Of]) -> list[Volume[Of]]:
    """Those with labels of this role."""
    return [volume for volume in volumes if has_labels(volume, cls)]


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

    @property
    def title(self) -> str:
        """As a person knows it: ``vg0/pizarra``; a volume group or a folder has one name."""
        return self.name if self.name == self.place else f"{self.place}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSeen:
    """The record of a classroom, as it stands at one place."""

    kind: StorageKind  # a backend that can write it
    place: str
    classroom: str
    record: ClassroomRecord | None  # None: it cannot be read
    fault: str | None = None  # why


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFacts:
    """All volumes, pools and records of one backend at one place."""

    volumes: tuple[Volume, ...] = ()
    pools: tuple[Pool, ...] = ()
    records: tuple[RecordSeen, ...] = ()
    unseen: tuple[str, ...] = ()  # that there is more, which could not be looked at, and why
    strange: tuple[str, ...] = ()  # what is there and is nobody's, and what to do about it


class Power(StrEnum):
    """What a virtual machine is doing."""

    OFF = N_("off")
    RUNNING = N_("running")
    PAUSED = N_("paused")
    CRASHED = N_("crashed")
    ABSENT = N_("absent")  # no such domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One libvirt domain, ours or not."""

    uuid: str
    name: str
    power: Power
    has_saved_ram: bool = False  # libvirt saved it (virsh managedsave): a start goes on with it
    has_snapshots: bool = False  # of libvirt's own


def _disk_of(volume: Volume[Labels]) -> str:
    return volume.labels.disk


_NO_RECORD = ClassroomRecord(classroom="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A student's machine: the volumes that say they are its own, and its domain."""

    classroom: str
    number: int
    machine: str = ""  # which of the seat's; empty for its only one
    name: str
    domain_uuid: str
    power: Power
    volumes: tuple[Volume[SeatLabels], ...]  # those that go back
    baselines: Mapping[str, Volume]  # by the UUID of the seat's volume
    # those that stay as they are, whatever is done to the others
    data: tuple[Volume[SeatLabels], ...] = ()
    record: ClassroomRecord = _NO_RECORD  # of its classroom
    has_saved_ram: bool = False  # as of its domain
    has_snapshots: bool = False
    drift: Drift = NO_DRIFT  # known where somebody looked at its machine (engine/machines.py)
    fault: str | None = None  # why nobody may touch it, in words

    @property
    def all_volumes(self) -> tuple[Volume[SeatLabels], ...]:
        """All of its disks, in order."""
        return tuple(sorted((*self.volumes, *self.data), key=_disk_of))

    @property
    def labels(self) -> SeatLabels:
        """Of the first disk, which carries what is said once a machine."""
        return self.volumes[0].labels

    @property
    def is_adopted(self) -> bool:
        """Whether somebody else made the machine."""
        return bool(self.labels.name)

    @property
    def identity(self) -> CheckpointLabels | None:
        """Of the state in which it was given its own name and keys, if it goes back to that."""
        baseline = self.baselines.get(self.volumes[0].uuid)
        labels = baseline.labels if baseline else None
        return labels if isinstance(labels, CheckpointLabels) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a golden machine."""

    name: str
    version: int
    kind: StorageKind
    place: str
    volumes: tuple[Volume[TemplateLabels], ...]
    seats: int  # how many stand on it, or will until their next reset
    fault: str | None = None

    @property
    def labels(self) -> TemplateLabels:
        """Of the first disk, which carries what is said once a version."""
        return self.volumes[0].labels

    @property
    def warm(self) -> bool:
        """Whether classrooms made of it get warm baselines."""
        return any(one.labels.warm for one in self.volumes)


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
    volumes: tuple[Volume[MaintenanceLabels], ...]
    has_saved_ram: bool = False
    has_snapshots: bool = False
    fault: str | None = None

    @property
    def labels(self) -> MaintenanceLabels:
        """Of the first disk, which carries what is said once a machine."""
        return self.volumes[0].labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Classroom:
    """N seats, and what is said once for all of them."""

    name: str
    seats: tuple[Seat, ...]
    record: ClassroomRecord
    recorded_at: tuple[str, ...] = ()  # the places where the record stands; none: to be written
    record_fault: str | None = None  # why nobody knows what it says

    @property
    def is_adopted(self) -> bool:
        """Whether it has machines that somebody else made."""
        return any(seat.is_adopted for seat in self.seats)
