"""The parts of a seat, its disks and its firmware state, are saved together before one of them
changes. So what an undo brings back is always of one time, wherever an operation was cut off.

While a slot of one part is empty, no part of that seat has changed: then what an attempt before
had saved of the others is saved again, because the machine may have run since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from pizarra.engine.machine_state import MachineStates
from pizarra.errors import PizarraError
from pizarra.model.facts import Volume
from pizarra.model.labels import firmware_state_of, seat_labels_of
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.interface import Faults

Filled = Mapping[str, frozenset[UndoSlot] | PizarraError]


class UndoHost(Protocol):
    """What this needs of a host."""

    states: MachineStates

    def undo_slots(self, volumes: Sequence[Volume]) -> Filled:
        """By UUID, the slots that hold something, or why nobody knows."""
        ...

    def save_undo(self, slots: Mapping[Volume, UndoSlot]) -> Faults:
        """The present content of each volume is in its slot too, unless that is filled."""
        ...

    def reclaim_space(self, volumes: Sequence[Volume], *, keep: Mapping[str, UndoSlot]) -> Faults:
        """Of each volume only the slot in ``keep`` stays."""
        ...


class SeatParts:
    """The volumes of some seats, and the slot that each is saved in."""

    def __init__(self, host: UndoHost, slots: Mapping[Volume, UndoSlot]) -> None:
        self._host = host
        self._slots = slots
        groups: dict[tuple[str, int], list[Volume]] = defaultdict(list)
        for volume in slots:
            if its := seat_labels_of(volume.labels):
                groups[its.classroom, its.seat].append(volume)
        self._unsaved = [group for group in groups.values() if _has_parts(group)]

    def empty_partly_saved(self) -> dict[str, PizarraError | None]:
        """Slots that an attempt had filled before it was cut off in the saving; a fault each."""
        volumes = [volume for group in self._unsaved for volume in group]
        filled = self._host.undo_slots(volumes) if volumes else {}
        faults: dict[str, PizarraError | None] = {}
        for group in self._unsaved:
            if why := next(
                (e for v in group if isinstance(e := filled[v.uuid], PizarraError)), None
            ):
                faults |= {volume.uuid: why for volume in group}
        self._unsaved = [
            group
            for group in self._unsaved
            if group[0].uuid not in faults and not all(self._is_in(one, filled) for one in group)
        ]
        stale = [one for group in self._unsaved for one in group if self._is_in(one, filled)]
        keep = {one.uuid: self._slots[one].other for one in stale}
        faults |= self._host.reclaim_space(stale, keep=keep) if stale else {}
        for volume in (volume for group in self._unsaved for volume in group):
            discard = self._host.states.discard_slot
            faults[volume.uuid] = faults.get(volume.uuid) or discard(volume, self._slots[volume])
        return faults

    def save_together(self, faults: Faults) -> dict[str, PizarraError | None]:
        """Disks of seats with several are saved, where no part is at fault; a fault of one is one
        of all. A single disk is saved when it changes."""
        groups = [group for group in self._unsaved if not any(faults.get(v.uuid) for v in group)]
        slots = {one: self._slots[one] for group in groups if len(group) > 1 for one in group}
        saved = self._host.save_undo(slots) if slots else {}
        found: dict[str, PizarraError | None] = {}
        for group in self._unsaved:
            its = (faults.get(one.uuid) or saved.get(one.uuid) for one in group)
            if why := next(filter(None, its), None):
                found |= {volume.uuid: why for volume in group}
        return found

    def _is_in(self, volume: Volume, filled: Filled) -> bool:
        there = filled[volume.uuid]
        return not isinstance(there, PizarraError) and self._slots[volume] in there


def _has_parts(group: Sequence[Volume]) -> bool:
    return len(group) > 1 or any(firmware_state_of(one.labels) for one in group)
