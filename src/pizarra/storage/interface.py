"""What a storage backend is. Every driver keeps the same promises; tests/contract holds it to them.

A backend lives at one *place* (a volume group, a folder). All its calls are synchronous, safe to
repeat, and batched: they take all the volumes of a step and cost as little as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from pizarra.errors import PizarraError
from pizarra.model.facts import StorageFacts, StorageKind, Volume
from pizarra.model.labels import Labels, Role
from pizarra.model.undo_slot import UndoSlot


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
class NewVolume:
    """A volume to be made."""

    labels: Labels
    size_bytes: int
    name: str


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
    if seat is None or other is None:
        return False
    if other.role is Role.CHECKPOINT:
        return (other.classroom, other.disk) == (seat.classroom, seat.disk)
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
    labels: Labels


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
        """A blank writable volume of role FILLING, for an import to write to."""
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

    def rebase(self, moves: Sequence[Rebase]) -> Faults:
        """Each volume names another golden volume of the same place as its baseline, and is at
        least as large. Its content stays until the next rewind; where ``moves_at_reset`` is False
        it is the new one's at once, and nobody may have it open."""
        ...

    def rewind(
        self, pairs: Sequence[RewindTarget], *, undo: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """Every volume has the content of its source. Constant cost a volume.

        Nobody may be writing: the machine is off or paused. One bad volume never stops the others.
        ``undo`` names, by UUID of the volume, the slot that the present content goes to, be it the
        original. A slot that is filled already stays as it is: it holds what an earlier attempt at
        the same rewind took away. So a rewind that was cut off is done again with the same slot,
        and loses nothing. The content of a volume that is not in ``undo`` goes for good; its slots
        stay. What goes for good still takes its space, until ``reclaim_space``.
        """
        ...

    def save_undo(self, slots: Mapping[Volume, UndoSlot]) -> Faults:
        """The present content of each volume is in its slot too, unless that is filled. Nobody may
        be writing. So all disks of one seat are saved before the first of them changes."""
        ...

    def undo_slots(self, volumes: Sequence[Volume]) -> Mapping[str, frozenset[UndoSlot]]:
        """By UUID, the slots that hold something; only of volumes that have such a slot."""
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

    def repair_after_crash(self, volumes: Sequence[Volume]) -> Sequence[str]:
        """After a crash, when every record of the journal is completed: what the slots of these
        volumes, which are all that there are, hold without a reason goes, and so does what is kept
        of volumes that are gone. Says in words what it did."""
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

    def create_checkpoints(self, new: Sequence[tuple[Volume, NewVolume]]) -> Faults:
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
