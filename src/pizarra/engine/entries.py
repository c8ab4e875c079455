"""What a run is about to do to its seats, as the journal says it: which slot each content goes to.

A seat that an earlier record is still about keeps the slot of that record: what the operation that
was cut off took away is what can be undone, and not what a machine wrote while it booted again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pizarra.engine.host import Host
from pizarra.engine.journal import (
    PowerAfter,
    SeatEntry,
    UndoRule,
    VolumeEntry,
)
from pizarra.engine.undo import undo_hours
from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Seat, Volume
from pizarra.model.sentence import N_
from pizarra.model.undo_slot import UndoSlot
from pizarra.planner.reset import SeatPlan, Step

_POWER = {
    Step.RESUME: PowerAfter.RESUME,
    Step.WAKE: PowerAfter.WAKE,
    Step.START: PowerAfter.START,
}


@dataclass(frozen=True, slots=True)
class Entries:
    """Of the seats that can be worked on, and by name why others cannot."""

    seats: tuple[SeatEntry, ...]
    faults: Mapping[str, PizarraError]

    @property
    def names(self) -> frozenset[str]:
        """Of the seats that can be worked on."""
        return frozenset(one.seat for one in self.seats)


def rewind_entries(host: Host, plans: Sequence[SeatPlan]) -> Entries:
    """For a reset, a restore or a hand-out. Slots that hold nothing of worth are
    emptied."""
    earlier = {name: entry for name, (_, entry) in host.journal.entries().items()}
    slots = _Slots(host, [one.seat for one in plans])
    seats, faults = list[SeatEntry](), dict[str, PizarraError]()
    for one in plans:
        seat, before = one.seat, _rewind_before(earlier.get(one.seat.name), one.seat)
        rule = UndoRule.NONE if one.no_undo or undo_hours(host, seat) <= 0 else UndoRule.SAVE
        chosen: Mapping[str, UndoSlot | None] = {}
        try:
            if before and rule is UndoRule.SAVE:
                rule, chosen = before.undo, {volume.uuid: volume.slot for volume in before.volumes}
            elif rule is UndoRule.SAVE:
                chosen = {volume.uuid: slots.prepare(volume) for volume in seat.volumes}
        except PizarraError as error:
            faults[seat.name] = error
            continue
        volumes = tuple(
            _volume_entry(pair.volume, source=pair.source.uuid, slot=chosen.get(pair.volume.uuid))
            for pair in one.pairs
        )
        seats.append(_seat_entry(one, volumes, rule))
    return Entries(tuple(seats), faults)


def _rewind_before(earlier: SeatEntry | None, seat: Seat) -> SeatEntry | None:
    """That was cut off, of the same disks."""
    if earlier is None or any(one.kept for one in earlier.volumes):
        return None
    same = {one.uuid for one in earlier.volumes} == {one.uuid for one in seat.volumes}
    return earlier if same else None


def undo_entries(host: Host, plans: Sequence[SeatPlan]) -> Entries:
    """For an undo."""
    slots = _Slots(host, [one.seat for one in plans])
    seats, faults = list[SeatEntry](), dict[str, PizarraError]()
    for one in plans:
        try:
            free = {volume.uuid: slots.prepare(volume) for volume in one.seat.volumes}
        except PizarraError as error:
            faults[one.seat.name] = error
            continue
        volumes = tuple(
            _volume_entry(volume, slot=free[volume.uuid], kept=free[volume.uuid].other)
            for volume in one.seat.volumes
        )
        seats.append(_seat_entry(one, volumes, UndoRule.SAVE))
    return Entries(tuple(seats), faults)


class _Slots:
    """What storage says of the slots of some seats, looked up at once."""

    def __init__(self, host: Host, seats: Sequence[Seat]) -> None:
        self.host = host
        self.filled = host.undo_slots([volume for seat in seats for volume in seat.volumes])

    def prepare(self, volume: Volume) -> UndoSlot:
        """Empty the slot that does not hold the undo of a volume, and say which it is. Raises what
        storage refuses."""
        filled = self.filled[volume.uuid]
        if isinstance(filled, PizarraError):
            raise filled
        known = self.host.undo_index.get(volume)
        kept = known.slot_among(filled) if known else None
        if kept:
            self.host.states.adopt_old_undo(volume, kept)
        slot = kept.other if kept else UndoSlot.A
        if slot in filled:
            self._empty(volume, slot)
        if fault := self.host.states.discard_slot(volume, slot):
            raise fault
        return slot

    def _empty(self, volume: Volume, slot: UndoSlot) -> None:
        """It holds what no record and no file knows any more."""
        faults = self.host.reclaim_space([volume], keep={volume.uuid: slot.other})
        if fault := faults[volume.uuid]:
            raise fault
        left = self.host.undo_slots([volume])[volume.uuid]
        if isinstance(left, PizarraError) or slot in left:
            text = N_("What is kept of {name} does not go together: run pizarra recover.")
            raise StorageFault(text, name=volume.name)


def standing_undo_entry(seat: Seat, sources: Mapping[str, Volume], power: PowerAfter) -> SeatEntry:
    """For a rewind that is no reset: the content goes for good, and what is kept stays."""
    volumes = tuple(_volume_entry(one, source=sources[one.uuid].uuid) for one in seat.volumes)
    return SeatEntry(
        seat=seat.name,
        classroom=seat.classroom,
        number=seat.number,
        domain=seat.domain_uuid,
        volumes=volumes,
        state=seat.labels.firmware_state,
        power=power,
    )


def _seat_entry(one: SeatPlan, volumes: tuple[VolumeEntry, ...], rule: UndoRule) -> SeatEntry:
    power = next((_POWER[step] for step in one.steps if step in _POWER), PowerAfter.OFF)
    return SeatEntry(
        seat=one.seat.name,
        classroom=one.seat.classroom,
        number=one.seat.number,
        domain=one.seat.domain_uuid,
        volumes=volumes,
        undo=rule,
        state=one.seat.labels.firmware_state,
        power=power,
    )


def _volume_entry(
    volume: Volume,
    *,
    source: str = "",
    slot: UndoSlot | None = None,
    kept: UndoSlot | None = None,
) -> VolumeEntry:
    return VolumeEntry(
        uuid=volume.uuid,
        kind=volume.kind,
        place=volume.place,
        name=volume.name,
        source=source,
        slot=slot,
        kept=kept,
    )
