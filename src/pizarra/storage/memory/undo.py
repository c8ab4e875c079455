"""Contents that a rewind took away: in two slots of each disk, as in a thin pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Volume
from pizarra.model.sentence import Sentence
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.interface import (
    NO_UNDO,
    PRESENT,
    ContentIds,
    Faults,
    InRecords,
    UndoSwap,
)
from pizarra.storage.memory.disks import Disk, next_made
from pizarra.storage.memory.driver import MemoryDriver


class MemoryUndo(MemoryDriver):
    """The part of the memory driver that is an ``UndoStore``."""

    def save_undo(self, slots: Mapping[Volume, UndoSlot]) -> Faults:
        """A step each."""
        step, faults = self._begin("save_undo"), dict[str, PizarraError | None]()
        for volume, slot in slots.items():
            faults[volume.uuid] = None
            try:
                step()
                self._save_undo(self._find(volume), slot)
            except PizarraError as error:
                faults[volume.uuid] = error
        return faults

    def _save_undo(self, disk: Disk, slot: UndoSlot) -> None:
        if disk.blocks is not None and slot not in disk.undo:
            self._change()
            disk.undo[slot] = disk.content()

    def _replace(self, disk: Disk, by: Disk, step: Callable[[], None]) -> None:
        self._change()
        disk.blocks = None
        step()
        self._change()
        disk.blocks, disk.written, disk.baseline = by.blocks, by.written, by.baseline
        disk.made = next_made()

    def undo_slots(self, volumes: Sequence[Volume]) -> Mapping[str, frozenset[UndoSlot]]:
        """Those that hold something. One step."""
        self._begin("undo_slots")()
        found = {one.uuid: frozenset(self._find(one).undo) for one in volumes}
        return {uuid: slots for uuid, slots in found.items() if slots}

    def content_ids(self, volumes: Sequence[Volume]) -> Mapping[str, ContentIds]:
        """As a thin pool counts. One step."""
        self._begin("content_ids")()
        return {one.uuid: _content_ids(self._find(one)) for one in volumes}

    def swap_with_undo(self, swaps: Sequence[UndoSwap]) -> Faults:
        """Four steps each, as in a thin pool."""
        step = self._begin("swap_with_undo")
        faults: dict[str, PizarraError | None] = {}
        for one in swaps:
            faults[one.volume.uuid] = None
            try:
                disk = self._find(one.volume)
                step()
                self._swap(disk, one, step)
            except PizarraError as error:
                faults[one.volume.uuid] = error
        return faults

    def _swap(self, disk: Disk, one: UndoSwap, step: Callable[[], None]) -> None:
        if not disk.undo:
            raise StorageFault("Nothing is kept of what a reset took away.")
        self._save_undo(disk, one.to)
        if kept := disk.undo.get(one.kept):
            self._replace(disk, kept.content(), step)
            self._change()
            del disk.undo[one.kept]

    def reclaim_space(
        self, volumes: Sequence[Volume], *, keep: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """One step."""
        self._begin("reclaim_space")()
        for volume in volumes:
            disk = self._find(volume)
            disk.going.clear()
            if volume.uuid in keep and keep[volume.uuid].other in disk.undo:
                self._change()
                del disk.undo[keep[volume.uuid].other]
        return {volume.uuid: None for volume in volumes}

    def discard_undo(self, volumes: Sequence[Volume]) -> Faults:
        """A step each."""
        step = self._begin("discard_undo")
        for volume in volumes:
            step()
            disk = self._find(volume)
            if disk.undo:
                self._change()
                disk.undo.clear()
            disk.going.clear()
        return {volume.uuid: None for volume in volumes}

    def repair_after_crash(self, volumes: Sequence[Volume], in_records: InRecords) -> Sequence[str]:
        """What goes may be left, and a slot that was filled for a step never taken. One step."""
        self._begin("repair_after_crash")()
        explained = in_records()
        disks = [self._find(one) for one in volumes if one.uuid not in explained]
        left = [disk for disk in disks if disk.going or _needless(disk)]
        for disk in left:
            disk.going.clear()
            for slot in _needless(disk):
                del disk.undo[slot]
        text = "{n} undos that were cut off or left behind are settled"
        return (Sentence(text, n=len(left)),) if left else ()


def _content_ids(disk: Disk) -> ContentIds:
    present = {} if disk.blocks is None else {PRESENT: str(disk.made)}
    return present | {str(slot): str(held.made) for slot, held in disk.undo.items()}


def _needless(disk: Disk) -> list[UndoSlot]:
    """Slots that were filled for a step that was never taken: the disk has the older content."""
    if disk.blocks is None:
        return []
    return [slot for slot, held in disk.undo.items() if held.made > disk.made]
