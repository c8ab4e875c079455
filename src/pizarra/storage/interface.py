"""What a storage backend is. Every driver keeps the same promises; tests/contract holds it to them.

A backend lives at one *place* (a volume group, a folder). All its calls are synchronous, safe to
repeat, and batched: they take all the volumes of a step and cost as little as one.

Each backend is a ``VolumeStore`` and a ``RecordStore``. What only some can do are protocols of
their own (``UndoStore``, ``CheckpointStore``, …): a driver has their methods, or none of them, and
its ``Capabilities`` say the same to whoever plans.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, Protocol, runtime_checkable

from pizarra.errors import PizarraError
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.facts import StorageFacts, StorageKind, Volume
from pizarra.model.labels import (
    BaselineLabels,
    CheckpointLabels,
    InspectionLabels,
    Labels,
    ResetMethod,
    SeatLabels,
)
from pizarra.model.undo_slot import UndoSlot

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    L = TypeVar("L", bound=Labels, default=Labels, covariant=True)
else:
    from typing import TypeVar

    L = TypeVar("L")


ORIGINAL = ".original"  # behind the name of an adopted volume, that of its baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do, and what others must know of it. Callers ask here, never for a kind.

    All are False where nothing else is said: the least that a backend can be.
    """

    hot_reset: bool = False  # content can be swapped while QEMU holds the disk open
    rebase_at_reset: bool = False  # a seat goes to another golden volume at its next rewind;
    # False: at once, while it is off
    new_is_zero: bool = False  # a new golden volume reads as zeros, so an import may leave holes
    resize_at_create: bool = False  # a seat's disk may be larger than its template's
    live_view: bool = False  # a volume in use can be looked at, through a snapshot of it
    extendable_store: bool = False  # a seat writes to a store of fixed size: an ExtendableStore
    volume_groups: bool = False  # its places are LVM volume groups; False: one folder of the host
    remote: bool = False  # several hosts reach the same volumes
    undo: bool = False  # what a rewind takes away can be kept, and come back: an UndoStore
    checkpoints: bool = False  # the present state of a seat can be saved: a CheckpointStore
    # how a volume of somebody else goes back, once it is adopted: an AdoptionStore; None: it cannot
    adoption: ResetMethod | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVolume(Generic[L]):
    """A volume to be made."""

    labels: L
    size_bytes: int
    name: str


# a seat's volume, and what its saved state will be
NewCheckpoint = tuple[Volume, NewVolume[CheckpointLabels]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewindTarget:
    """A seat's volume and the volume that holds its original state, both just observed.

    Or, in the place of its original, one that holds another state of it: a checkpoint.
    """

    volume: Volume
    source: Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoSwap:
    """A volume that changes places with what is kept of it."""

    volume: Volume
    kept: UndoSlot  # that holds what it gets
    to: UndoSlot  # that what it has goes to


NO_UNDO: Mapping[str, UndoSlot] = MappingProxyType({})


def is_valid_source(pair: RewindTarget) -> bool:
    """Whether the labels agree: it is the seat's baseline, or a checkpoint of its classroom."""
    seat, other = pair.volume.labels, pair.source.labels
    if not isinstance(seat, SeatLabels) or other is None:
        return False
    if isinstance(other, CheckpointLabels):
        return (other.classroom, other.machine, other.disk) == (
            seat.classroom,
            seat.machine,
            seat.disk,
        )
    return seat.baseline == pair.source.uuid


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How a seat's volume differs from its baseline."""

    changed_bytes: int  # blocks written since, whole; 0 is the proof of the original state
    state: str = ""  # what differs beside the disk: nvram, tpm

    @property
    def original(self) -> bool:
        """Whether nothing differs."""
        return self.changed_bytes == 0 and not self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebase:
    """A seat's volume that goes to another golden volume, and the labels that it has then."""

    volume: Volume
    golden: Volume
    labels: SeatLabels


Progress = Callable[[float], None]  # is told the share that is done, 0.0 to 1.0


def ignore_progress(share: float) -> None:
    """Progress that nobody looks at."""
    _ = share


# per volume UUID: None when it went well, else why not
Faults = Mapping[str, PizarraError | None]


def raise_first(faults: Faults) -> None:
    """What went wrong first, if anything did."""
    for fault in filter(None, faults.values()):
        raise fault


Changes = Mapping[str, Change | PizarraError]


class VolumeStore(Protocol):
    """One backend at one place. Errors: StorageFault, NoSpace, HostNotFit, NotOurs."""

    kind: StorageKind
    place: str
    capabilities: Capabilities

    def observe(self) -> StorageFacts:
        """Everything at this place, ours and not, in one report."""
        ...

    def check_space(self, new_bytes: int, what: str) -> None:
        """Raises NoSpace, with both numbers, unless ``new_bytes`` more can be written."""
        ...

    def create_golden(
        self,
        new: NewVolume,
        source: Volume | None = None,
        progress: Progress = ignore_progress,
    ) -> Volume:
        """A writable volume that is to become a disk of a template: blank, for an import to write
        to; or with the content of ``source``, a golden volume, as the next version of it."""
        ...

    def seal_golden(
        self, volume: Volume, labels: Labels, progress: Progress = ignore_progress
    ) -> Volume:
        """From now on it is only ever read, and stands on nothing; its labels say so last."""
        ...

    def create_seats(self, golden: Volume, new: Sequence[NewVolume]) -> None:
        """Seats that stand on ``golden``, each original. All in one batch."""
        ...

    def set_labels(self, volumes: Mapping[str, Labels], facts: StorageFacts) -> None:
        """Replace the labels of volumes, by UUID."""
        ...

    def rebase(self, moves: Sequence[Rebase]) -> Faults:
        """Each volume names another golden volume of the same place as its baseline, and is at
        least as large. Its content stays until the next rewind; where ``rebase_at_reset`` is False
        it is the new one's at once, and nobody may have it open."""
        ...

    def rewind(
        self, targets: Sequence[RewindTarget], *, undo: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """Every volume has the content of its source. Constant cost a volume.

        Nobody may be writing: the machine is off or paused. One bad volume never stops the others.
        ``undo``, of an ``UndoStore``, names by UUID of the volume the slot that the present content
        goes to, be it the original. A slot that is filled already stays as it is: it holds what an
        earlier attempt at the same rewind took away. So a rewind that was cut off is done again
        with the same slot, and loses nothing. The content of a volume that is not in ``undo`` goes
        for good; its slots stay. What goes for good still takes its space, until ``reclaim_space``.
        """
        ...

    def diff(self, targets: Sequence[RewindTarget], *, independently: bool = False) -> Changes:
        """How each differs from its source: exact about *whether*, and about how much.

        From metadata, without reading data, as fast as the backend can; ``independently``: by
        another tool where there is one (thin_delta), which is slower.
        """
        ...

    def grow(self, volume: Volume, size_bytes: int) -> None:
        """Make a volume larger. Raises BadInput when it would shrink below its content."""
        ...

    def remove(self, volumes: Sequence[Volume]) -> Faults:
        """Remove volumes that are ours, in one batch, seats before what they stand on."""
        ...

    def opening(
        self, volume: Volume, *, raw: bool = False, writable: bool = False
    ) -> AbstractContextManager[Path]:
        """The content, readable while the block lasts: a block device or a file, in the format of
        the volume's ``source``. With ``raw`` as a raw one; with ``writable`` that one can be
        written, and what was written is on the disk when the block is left. Nobody else may be
        writing then."""
        ...


@runtime_checkable
class RecordStore(Protocol):
    """Where the records of classrooms stand: every place has them, beside its volumes."""

    def write_record(self, record: ClassroomRecord) -> None:
        """Put the record of a classroom at this place, or another one in its place, durably."""
        ...

    def remove_record(self, classroom: str) -> None:
        """Take the record of a classroom away; fine if there is none."""
        ...


class Storage(VolumeStore, RecordStore, Protocol):
    """What every driver is."""


ContentIds = Mapping[str, str]  # by slot, and PRESENT for the volume itself
PRESENT = "present"


@runtime_checkable
class UndoStore(Protocol):
    """What a rewind takes away can be kept beside the volume, and change places with it."""

    def save_undo(self, slots: Mapping[Volume, UndoSlot]) -> Faults:
        """The present content of each volume is in its slot too, unless that is filled. Nobody may
        be writing. So all disks of one seat are saved before the first of them changes."""
        ...

    def undo_slots(self, volumes: Sequence[Volume]) -> Mapping[str, frozenset[UndoSlot]]:
        """By UUID, the slots that hold something; only of volumes that have such a slot."""
        ...

    def content_ids(self, volumes: Sequence[Volume]) -> Mapping[str, ContentIds]:
        """By UUID, which content each volume and each of its filled slots has: a word each.

        A content that a rewind or a swap made never has a word that another content of the same
        volume or slot has had. Who notes the words can tell later whether what was noted beside
        them is still about these contents. What a machine writes need not change a word.
        """
        ...

    def swap_with_undo(self, swaps: Sequence[UndoSwap]) -> Faults:
        """Each volume has what one slot holds, and what it had is in the other slot: that one is
        filled afterwards, and the first is empty. Nobody may be writing. A swap that was cut off is
        done again with the same slots; one that was done changes nothing."""
        ...

    def reclaim_space(
        self, volumes: Sequence[Volume], *, keep: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """The space of what rewinds took away for good is free. Of a volume in ``keep`` only that
        slot stays. Takes as long as much was written; machines may run meanwhile."""
        ...

    def discard_undo(self, volumes: Sequence[Volume]) -> Faults:
        """Both slots of these are empty, and their space is free."""
        ...


@runtime_checkable
class CheckpointStore(Protocol):
    """The present state of a seat's volume can be saved beside it."""

    def create_checkpoints(self, new: Sequence[NewCheckpoint]) -> Faults:
        """The present state of volumes, saved: read-only, and a source of a rewind from then on.

        Nobody may be writing. By the UUID of the volume; nothing is there of one that failed.
        """
        ...


@runtime_checkable
class AdoptionStore(Protocol):
    """A volume that somebody else made can become a seat's, where it is."""

    def is_path_of(self, volume: Volume, path: str) -> bool:
        """Whether a path of a domain's XML leads to the volume, by whatever name or link."""
        ...

    def baseline_bytes(self, size_bytes: int) -> int:
        """How much space the baseline of a volume of this size takes at once."""
        ...

    def create_baseline(self, seat: Volume, new: NewVolume[BaselineLabels]) -> Volume:
        """The present state of an adopted volume, kept as its original."""
        ...

    def remove_labels(self, volume: Volume) -> None:
        """It is somebody else's volume again, with the content that it has."""
        ...


@runtime_checkable
class DeviceStore(Protocol):
    """Volumes are devices of the kernel, which a crash can leave without their content."""

    def has_error_table(self, volume: Volume) -> bool:
        """Whether a rewind was cut off and the device stands on nothing; only looks."""
        ...

    def activate(self, volume: Volume) -> bool:
        """The device is there and shows the volume's content; False when a rewind that was cut off
        took that. Of what is kept for an undo nothing changes."""
        ...

    def wake(self, volumes: Sequence[Volume]) -> None:
        """All that these need is active, and those of machines are, as far as they can be. Raises
        StorageFault for what they have in common."""
        ...


InRecords = Callable[[], Collection[str]]


@runtime_checkable
class RepairStore(Protocol):
    """A crash can leave something that is to be ended, or taken back."""

    def repair_after_crash(self, volumes: Sequence[Volume], in_records: InRecords) -> Sequence[str]:
        """What the slots of these volumes, which are all that there are, hold without a reason
        goes, and so does what is kept of volumes that are gone. Says in words what it did.

        ``in_records`` tells the UUIDs of volumes that a record of the journal is about: those are
        left alone, for the record explains their slots. It is asked when the store holds its locks,
        so that an operation that begins meanwhile is seen.
        """
        ...


@runtime_checkable
class SteppedStore(Protocol):
    """Some changes of a volume take several steps; its labels say that one is not at its end."""

    def unfinished(self, volumes: Sequence[Volume]) -> Sequence[Volume]:
        """Those of these in the middle of a change: it goes on, or was cut off."""
        ...

    def finish(self, volume: Volume) -> str:
        """End the change of an unfinished volume, or take it back. Says in words what it did. The
        caller has claimed the volume's seat: nobody is at it."""
        ...


@runtime_checkable
class ExtendableStore(Protocol):
    """What a seat writes goes to a store of fixed size: full, the seat's content is lost."""

    def extend_store(self, volume: Volume) -> None:
        """Give it more room for changes. Raises NoSpace, NotOurs, StorageFault."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A volume's content as a read-only device of this host, and what there is to take away."""

    device: str = ""  # where the content can be read
    loop: str = ""  # a loop device, an nbd device, or a snapshot, made for this
    nbd: str = ""
    snapshot: str = ""  # its name


@runtime_checkable
class ViewStore(Protocol):
    """A volume can be looked at as a read-only device of this host."""

    def attach(
        self,
        volume: Volume,
        new: NewVolume[InspectionLabels],
        note: Callable[[Attachment], None],
    ) -> Attachment:
        """The content as it is now. ``note`` hears of everything before it is made, so that a crash
        leaves nothing unknown; ``new`` is what a snapshot is made as, where one is needed."""
        ...

    def detach(self, attachment: Attachment) -> None:
        """Take away what there is of it; twice is fine. Raises StorageFault when it is in use."""
        ...
