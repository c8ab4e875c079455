"""What a storage backend is. Every driver keeps the same promises; tests/contract holds it to them.

A backend lives at one *place* (a volume group, a folder). All its calls are synchronous, safe to
repeat, and batched: they take all the volumes of a step and cost as little as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol

from pizarra.errors import PizarraError
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.facts import StorageFacts, StorageKind, Volume
from pizarra.model.labels import CheckpointLabels, Labels, SeatLabels

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    L = TypeVar("L", bound=Labels, default=Labels, covariant=True)
else:
    from typing import TypeVar

    L = TypeVar("L")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do; the planner asks here and never the driver's type."""

    hot_reset: bool  # content can be swapped while QEMU holds the disk open
    disk_type: str  # of libvirt: "block" or "file"
    disk_format: str  # of QEMU: "raw" or "qcow2"
    moves_at_reset: (
        bool  # a seat goes to another golden at its next rewind; else at once, while off
    )
    new_is_zero: bool  # a new golden volume reads as zeros, so an import may leave holes
    checkpoints: bool  # the present state of a seat can be saved beside it
    undo: bool  # what a rewind takes away can be kept, and put back


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


class Storage(Protocol):
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

    def create_golden(self, new: NewVolume) -> Volume:
        """A blank writable volume, for an import to write to; its labels are ``FillingLabels``."""
        ...

    def create_draft(
        self, golden: Volume, new: NewVolume, progress: Progress = ignore_progress
    ) -> Volume:
        """A writable volume with the content of ``golden``, to become the next version of it."""
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

    def write_record(self, record: ClassroomRecord) -> None:
        """Put the record of a classroom at this place, or another one in its place, durably."""
        ...

    def remove_record(self, classroom: str) -> None:
        """Take the record of a classroom away; fine if there is none."""
        ...

    def rebase(self, moves: Sequence[Rebase]) -> Faults:
        """Each volume names another golden volume of the same place as its baseline, and is at
        least as large. Its content stays until the next rewind; where ``moves_at_reset`` is False
        it is the new one's at once, and nobody may have it open."""
        ...

    def rewind(self, pairs: Sequence[RewindTarget], *, keep: bool | None = None) -> Faults:
        """Every seat volume has its baseline's content again. Constant cost a volume.

        Nobody may be writing: the machine is off or paused. One bad volume never stops the others.
        ``keep``: True keeps what goes for ``swap_with_undo``, be it the original, instead of what
        an earlier rewind kept; False keeps nothing; None leaves what is kept as it is. An adopted
        classic volume, and any backend that cannot (capabilities.undo), keep nothing. What goes
        for good still takes its space, until ``reclaim_space``.
        """
        ...

    def reclaim_space(self, volumes: Sequence[Volume]) -> Faults:
        """The space of what rewinds took away is free. Takes as long as much was written; machines
        may run meanwhile. What a crash leaves of it, the next rewind or ``repair_after_crash``
        gives back."""
        ...

    def volumes_with_undo(self, volumes: Sequence[Volume]) -> frozenset[str]:
        """The UUIDs of those whose content before their last rewind is kept."""
        ...

    def undo_generations(self, volumes: Sequence[Volume]) -> Mapping[str, str]:
        """By UUID, a mark of what is kept: another one whenever something else is. A crash is put
        right first. Only of those of which something is kept."""
        ...

    def swap_with_undo(self, volumes: Sequence[Volume]) -> Faults:
        """Each has the content that was kept, and what it had is kept instead: twice is nothing.

        Nobody may be writing. What a crash leaves of it, ``repair_after_crash`` ends or takes back.
        """
        ...

    def discard_undo(self, volumes: Sequence[Volume]) -> Faults:
        """Nothing is kept of these any more; their space is free."""
        ...

    def repair_after_crash(self, volumes: Sequence[Volume]) -> Sequence[str]:
        """After a crash: end or take back whatever these, which are all there are, were cut off in,
        and drop what is kept of others that are gone. Says in words what it did."""
        ...

    def has_error_table(self, volume: Volume) -> bool:
        """Whether a rewind was cut off and its device stands on nothing; only looks."""
        ...

    def activate(self, volume: Volume) -> bool:
        """Its device is there and shows its content; False when a rewind that was cut off took
        that. Of what is kept nothing changes."""
        ...

    def diff(self, pairs: Sequence[RewindTarget]) -> Changes:
        """How each differs from its baseline, from metadata, without reading data.

        As fast as the backend can; exact about *whether* it differs, and about how much.
        """
        ...

    def diff_independently(self, pairs: Sequence[RewindTarget]) -> Changes:
        """The same, found by an independent tool where there is one (thin_delta); slower."""
        ...

    def checksum(self, volume: Volume, size_bytes: int) -> str:
        """SHA-256 of the first ``size_bytes`` of the content, read from the disk itself."""
        ...

    def create_baseline(self, seat: Volume, new: NewVolume) -> Volume:
        """The present state of an adopted volume, kept as its original. Unsupported on files."""
        ...

    def create_checkpoints(self, new: Sequence[NewCheckpoint]) -> Faults:
        """The present state of volumes, saved: read-only, and a pair's baseline from then on.

        Nobody may be writing. By the UUID of the volume; nothing is there of one that failed.
        """
        ...

    def grow(self, volume: Volume, size_bytes: int) -> None:
        """Make a volume larger. Raises BadInput when it would shrink below its content."""
        ...

    def remove(self, volumes: Sequence[Volume]) -> Faults:
        """Remove volumes that are ours, in one batch, seats before what they stand on."""
        ...

    def opening(self, volume: Volume) -> AbstractContextManager[Path]:
        """The content, readable as a raw block device or a file that qemu-img knows."""
        ...

    def opening_raw(
        self, volume: Volume, *, writable: bool = False
    ) -> AbstractContextManager[Path]:
        """The content as a raw block device or file, to be read, and written in place if so.

        Nobody may be writing. What was written is on the disk when the block is left.
        """
        ...
