"""Goes on with an operation whose owner is dead, by its record: forward only, and safe to repeat.

What a rewind takes away is in the slot that the record names, so to go on loses nothing. A machine
that is on was started since, or never stopped: nobody may change its disks, so it is left alone.
What storage and libvirt say stays the authority on what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pizarra.engine.entries import standing_undo_entry
from pizarra.engine.host import Host
from pizarra.engine.journal import (
    DISK_ACTIONS,
    Action,
    OpenRecord,
    PowerAfter,
    Record,
    SeatEntry,
    UndoRule,
)
from pizarra.errors import Busy, PizarraError, StorageFault
from pizarra.model.facts import Power, Seat, Volume
from pizarra.model.labels import CheckpointLabels
from pizarra.model.sentence import Sentence, join
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.reset import CutOff, pairs_of
from pizarra.storage.interface import Change, Faults, RewindTarget, UndoSwap
from pizarra.system.locks import who

_OFF = (Power.OFF, Power.CRASHED, Power.ABSENT)
_WAIT_S = 30.0  # for another command that completes other seats of the same record
HAND_OUT = "checkpoint hand-out"
Own = Callable[[Seat], object]  # makes a machine itself again after a hand-out


class Result(StrEnum):
    """What became of a seat of a record."""

    FINISHED = "finished"  # what was left is done now
    DONE = "done"  # it had been done already
    UNTOUCHED = "untouched"  # it is on, and nothing had been done to it
    LEFT = "left"  # it could not be completed: the reason says why
    GONE = "gone"  # its disks are not there any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A seat of a record, and what became of it."""

    result: Result
    entry: SeatEntry
    action: Action
    reason: str | None = None

    @property
    def is_due_to_run(self) -> bool:
        """Whether the operation would have started its machine."""
        return self.entry.power is not PowerAfter.OFF


def complete(
    host: Host,
    opened: OpenRecord,
    names: Collection[str] | None = None,
    *,
    own: Own | None = None,
    notice: bool = True,
) -> dict[str, Completed]:
    """Go on with a record for these seats, or all of it; by name what became of each.

    The caller has claimed the seats. ``own`` is called for seats of a hand-out. ``notice`` leaves
    word that an undo was completed, for its command may be given again.
    """
    record, facts = opened.record, host.observe()
    work = _Work(host, record, facts)
    for entry in record.open:
        if names is None or entry.seat in names:
            work.sort(entry)
    opened.mark_begun([one.seat for one, _ in work.to_do if one.undo is not UndoRule.SAVE])
    faults = work.swap() if record.action is Action.UNDO else work.rewind()
    finished = list[str]()
    for entry, seat in work.to_do:
        if fault := faults.get(entry.seat) or work.identity_fault(entry, seat, own):
            work.settle(entry, Result.LEFT, join([fault]))
        else:
            work.settle(entry, Result.FINISHED)
            finished.append(entry.seat)
    opened.mark_done(finished)
    work.resume_paused()
    over = [name for name, one in work.results.items() if one.result is not Result.LEFT]
    freed = free_space(host, opened.record, over, facts.volumes)
    undone = notice and record.action is Action.UNDO
    end_seats(host, opened, over, freed, undone=undone)
    return work.results


class _Work:
    """The seats of one record, sorted by what is to be done."""

    def __init__(self, host: Host, record: Record, facts: HostFacts) -> None:
        self.host = host
        self.record = record
        self.volumes = facts.volumes
        self.seats = {one.name: one for room in facts.classrooms.values() for one in room.seats}
        self.to_do: list[tuple[SeatEntry, Seat]] = []
        self.done: list[tuple[SeatEntry, Seat]] = []
        self.results: dict[str, Completed] = {}

    def settle(self, entry: SeatEntry, result: Result, reason: str | None = None) -> None:
        """It has its result."""
        self.results[entry.seat] = Completed(
            result=result, entry=entry, action=self.record.action, reason=reason
        )

    def sort(self, entry: SeatEntry) -> None:
        """It has a result already, or is to do."""
        seat = self.seats.get(entry.seat)
        if not any(one.uuid in self.volumes for one in entry.volumes):
            self.settle(entry, Result.GONE)
        elif entry.seat in self.record.done:
            self.settle(entry, Result.DONE)
            self.done += [(entry, seat)] if seat else []
        elif seat is None or {v.uuid for v in seat.volumes} != {v.uuid for v in entry.volumes}:
            self.settle(entry, Result.LEFT, Sentence("its disks are others by now"))
        elif seat.fault:
            self.settle(entry, Result.LEFT, seat.fault)
        elif seat.power not in _OFF and not self._stands_still(entry, seat):
            self._sort_running(entry)
        elif lost := [v.source for v in entry.volumes if v.source and v.source not in self.volumes]:
            reason = Sentence("what it was to get ({uuid}) is gone: reset it again", uuid=lost[0])
            self.settle(entry, Result.LEFT, reason)
        elif self.record.action is Action.UNDO and not self._has_undo(entry):
            self.settle(entry, Result.UNTOUCHED)
        else:
            self.to_do.append((entry, seat))

    def _has_undo(self, entry: SeatEntry) -> bool:
        """Whether there is anything to undo: somebody may have dropped it since."""
        slots = self.host.undo_slots([self.volumes[one.uuid] for one in entry.volumes])
        return any(isinstance(one, PizarraError) or one for one in slots.values())

    def _stands_still(self, entry: SeatEntry, seat: Seat) -> bool:
        """Whether a hot reset paused it. Its reset button is pressed again: what is in its RAM may
        not meet another disk."""
        if entry.power is not PowerAfter.RESUME or seat.power is not Power.PAUSED:
            return False
        try:
            self.host.compute.reset_button(seat.domain_uuid)
        except PizarraError:
            return False
        return True

    def resume_paused(self) -> None:
        """Machines that a hot reset paused go on, with their disks right."""
        right = (Result.FINISHED, Result.DONE)
        for entry, seat in (*self.to_do, *self.done):
            result = self.results[entry.seat].result
            stands_still = entry.power is PowerAfter.RESUME and seat.power is Power.PAUSED
            if not stands_still or result not in right:
                continue
            try:
                self.host.compute.resume(seat.domain_uuid)
            except PizarraError as error:
                reason = Sentence("its disks are right, but it did not go on: {why}", why=error)
                self.settle(entry, result, reason)

    def _sort_running(self, entry: SeatEntry) -> None:
        if is_begun(self.host, self.record, entry, self.volumes):
            self.settle(entry, Result.LEFT, left_reason(self.record.action))
        else:
            self.settle(entry, Result.UNTOUCHED)

    def rewind(self) -> dict[str, PizarraError | None]:
        """Those that are to do; a fault each, by name."""
        ram = {entry.seat: self._drop_ram(entry, seat) for entry, seat in self.to_do}
        sound = [(entry, seat) for entry, seat in self.to_do if not ram[entry.seat]]
        pairs = {entry.seat: self._targets(entry) for entry, _ in sound}
        slots = {v.uuid: v.slot for entry, _ in sound for v in entry.volumes if v.slot}
        every = [pair for these in pairs.values() for pair in these]
        faults = self.host.rewind(every, undo=slots)
        changes = self.host.changes([pair for pair in every if not faults[pair.volume.uuid]])
        found = {
            name: next(filter(None, (_fault(pair, faults, changes) for pair in these)), None)
            for name, these in pairs.items()
        }
        for entry, seat in sound:
            if not found[entry.seat]:
                found[entry.seat] = self._write_labels(entry, seat)
        return {**ram, **found}

    def _drop_ram(self, entry: SeatEntry, seat: Seat) -> PizarraError | None:
        """RAM that libvirt saved goes before the disk, into the slot of its record."""
        slots = {one.uuid: one.slot for one in entry.volumes}
        try:
            if seat.has_saved_ram:
                self.host.states.drop_ram(seat, slots[seat.volumes[0].uuid])
        except PizarraError as error:
            return error
        return None

    def _put_ram(self, entry: SeatEntry, seat: Seat) -> PizarraError | None:
        """An undo brings the RAM back that its reset dropped; twice is once."""
        kept = {one.uuid: one.kept for one in entry.volumes}[seat.volumes[0].uuid]
        try:
            if kept:
                self.host.states.put_ram(seat, kept)
        except PizarraError as error:
            return error
        return None

    def _is_swapped(self, entry: SeatEntry) -> bool:
        """Whether nothing is left in the slots that an undo takes its contents from."""
        kept = {one.uuid: one.kept for one in entry.volumes}
        filled = self.host.undo_slots([self.volumes[uuid] for uuid in kept])
        return not any(isinstance(one, PizarraError) or kept[uuid] in one
                       for uuid, one in filled.items())  # fmt: skip

    def identity_fault(self, entry: SeatEntry, seat: Seat, own: Own | None) -> PizarraError | None:
        """After a hand-out a machine is made itself again, but for the one that was saved."""
        source = self.volumes.get(entry.volumes[0].source)
        saved = source.labels if source else None
        is_its_own = isinstance(saved, CheckpointLabels) and saved.seat == entry.number
        if self.record.verb != HAND_OUT or own is None or is_its_own:
            return None
        try:
            own(seat)
        except PizarraError as error:
            return error
        return None

    def _targets(self, entry: SeatEntry) -> list[RewindTarget]:
        return [
            RewindTarget(volume=self.volumes[one.uuid], source=self.volumes[one.source])
            for one in entry.volumes
        ]

    def _write_labels(self, entry: SeatEntry, seat: Seat) -> PizarraError | None:
        """After an upgrade, and only then: the content is the new version's."""
        to = {one.uuid: one.source for one in entry.volumes}
        arrived = all(to[v.uuid] == v.labels.baseline for v in seat.volumes)
        if not seat.labels.content_version or not arrived:
            return None
        try:
            wished = {v: replace(v.labels, content_version=0) for v in seat.volumes}
            self.host.set_labels(wished)
        except PizarraError as error:
            return error
        return None

    def swap(self) -> dict[str, PizarraError | None]:
        """Those that are to do change places with what is kept; a fault each, by name."""
        ram = {  # where the swap was done already, what libvirt has is what the undo brought back
            entry.seat: self._drop_ram(entry, seat)
            for entry, seat in self.to_do
            if seat.has_saved_ram and not self._is_swapped(entry)
        }
        swaps = [
            UndoSwap(volume=self.volumes[one.uuid], kept=one.kept, to=one.slot)
            for entry, _ in self.to_do
            if not ram.get(entry.seat)
            for one in entry.volumes
            if one.kept and one.slot
        ]
        faults = self.host.swap_with_undo(swaps)
        found = {
            entry.seat: ram.get(entry.seat)
            or next(filter(None, (faults.get(one.uuid) for one in entry.volumes)), None)
            for entry, _ in self.to_do
        }
        for entry, seat in self.to_do:
            found[entry.seat] = found[entry.seat] or self._put_ram(entry, seat)
        return found


def _fault(
    pair: RewindTarget,
    faults: Mapping[str, PizarraError | None],
    changes: Mapping[str, Change | PizarraError],
) -> PizarraError | None:
    uuid = pair.volume.uuid
    answer = faults[uuid] or changes.get(uuid)
    if isinstance(answer, PizarraError):
        return answer
    if answer is None or not answer.original:
        return StorageFault("{name}: {why}", name=pair.volume.name, why=STILL_DIFFERS)
    return None


STILL_DIFFERS = Sentence("it still differs")


def is_begun(host: Host, record: Record, entry: SeatEntry, volumes: Mapping[str, Volume]) -> bool:
    """Whether something may have been done to a seat that is not done. It is saved as a whole first
    (``seat_parts``), so its slots tell that; the record tells it of a seat of which nothing is."""
    slots = {one.uuid: one.slot for one in entry.volumes}
    if not all(slots.values()):
        return entry.seat in record.begun
    filled = host.undo_slots([volumes[uuid] for uuid in slots if uuid in volumes])
    return all(isinstance(one, PizarraError) or slots[uuid] in one for uuid, one in filled.items())


def left_reason(action: Action) -> Sentence:
    """Of a seat that was cut off in the middle and is on."""
    if action is Action.UNDO:
        return Sentence("an undo of it was cut off while it was on: stop it, then undo it again")
    return Sentence("a reset of it was cut off while it was on: reset it again")


def free_space(
    host: Host, record: Record, names: Iterable[str], volumes: Mapping[str, Volume]
) -> Faults:
    """What these seats, which are done, lost for good gives its space back; a fault each. Takes as
    long as much was written; machines may run meanwhile."""
    faults: dict[str, PizarraError | None] = {}
    for rule in UndoRule:
        entries = [one for one in record.done_of(names) if one.undo is rule]
        its = [volumes[v.uuid] for one in entries for v in one.volumes if v.uuid in volumes]
        if not its:
            continue
        if rule is UndoRule.NONE:
            faults |= host.discard_undo(its)
        else:
            keep = {v.uuid: v.slot for one in entries for v in one.volumes if v.slot}
            faults |= host.reclaim_space(its, keep=keep)
    return faults


def end_seats(
    host: Host, opened: OpenRecord, names: Iterable[str], freed: Faults, *, undone: bool = False
) -> None:
    """These seats are over: what can be undone of them gets known, and the record is no longer
    about them, but for those whose space could not be freed: whoever completes the record tries
    that again. ``freed`` tells of all their volumes that are there. Raises StorageFault."""
    names = {*names}
    done = opened.record.done_of(names)
    slots = {v.uuid: v.slot for one in done for v in one.volumes if v.slot and v.uuid in freed}
    host.undo_index.put(slots, opened.record.when, undone=undone)
    stuck = {one.seat for one in done if any(freed.get(v.uuid) for v in one.volumes)}
    opened.close_seats(names - stuck)


def complete_all(
    host: Host,
    names: Collection[str],
    *,
    actions: Collection[Action] = DISK_ACTIONS,
    own: Own | None = None,
    notice: bool = True,
) -> dict[str, Completed]:
    """Go on with every record that is still about one of these seats, the oldest first. The caller
    has claimed the seats, so no owner of such a record lives. Raises Busy, StorageFault."""
    found: dict[str, Completed] = {}
    latest = {name: record.id for name, (record, _) in host.journal.entries().items()}
    for record in host.journal.records()[0]:
        its = {one.seat for one in record.open} & {*names}
        if record.action not in actions or not its:
            continue
        with host.journal.take_over(record, wait_s=_WAIT_S) as opened:
            older = {name for name in its if latest.get(name) != record.id}
            _end_older(host, opened, older)
            if its - older:
                found |= complete(host, opened, its - older, own=own, notice=notice)
    return found


def _end_older(host: Host, opened: OpenRecord, names: Collection[str]) -> None:
    """A younger record is about these seats: what was done of them counts, the rest does not."""
    if names:
        freed = free_space(host, opened.record, names, host.observe().volumes)
        end_seats(host, opened, names, freed)


def rewind_again(host: Host, verb: str, seats: Sequence[Seat], power: PowerAfter) -> Faults:
    """Seats go back to their originals, for good: what is kept for an undo stays. A fault each."""
    if not seats:
        return {}
    entries = [standing_undo_entry(seat, seat.baselines, power) for seat in seats]
    volumes = {volume.uuid: volume for seat in seats for volume in seat.volumes}
    with host.journal.begin(verb, Action.REWIND, who(), entries) as opened:
        pairs = [pair for seat in seats for pair in pairs_of(seat)]
        opened.mark_begun([seat.name for seat in seats])
        faults = host.rewind(pairs)
        right = [one.name for one in seats if not any(faults[v.uuid] for v in one.volumes)]
        opened.mark_done(right)
        end_seats(host, opened, right, free_space(host, opened.record, right, volumes))
    return faults


def forget_gone(host: Host, facts: HostFacts) -> None:
    """Records of dead owners are no longer about seats that are not there any more. Raises
    StorageFault."""
    if facts.unseen:
        return  # a seat that nobody could see may be there
    seats = {one.name for room in facts.classrooms.values() for one in room.seats}
    for record in host.journal.records()[0]:
        gone = {one.seat for one in record.open} - seats
        if not gone or record.action is Action.SWAP_DATA:  # which is of two seats together
            continue
        try:
            with host.journal.take_over(record) as opened:
                if record.action in DISK_ACTIONS:
                    complete(host, opened, gone)
                else:
                    opened.close_seats(gone)
        except Busy:
            continue  # its owner lives


def close_older(host: Host, names: Collection[str], but: Record) -> None:
    """A new record is about these seats: no other one is. Raises Busy, StorageFault."""
    for record in host.journal.records()[0]:
        its = {one.seat for one in record.open} & {*names}
        if record.id != but.id and its and record.action in DISK_ACTIONS:
            with host.journal.take_over(record, wait_s=_WAIT_S) as opened:
                opened.close_seats(its)


def cut_off_rewinds(host: Host, seats: Iterable[Seat]) -> CutOff:
    """Those of these seats, which are claimed, whose rewind was cut off and is not completed."""
    there, left, ran = host.journal.entries(), set[str](), set[str]()
    for seat in seats:
        record, entry = there.get(seat.name, (None, None))
        if record is None or entry is None or record.action is not Action.REWIND:
            continue
        if seat.name not in record.done:
            left.add(seat.name)
        if entry.power is not PowerAfter.OFF:
            ran.add(seat.name)
    return CutOff(left=frozenset(left), ran=frozenset(ran))


def ensure_startable(host: Host, seat: Seat) -> None:
    """It may start, or go on. Raises StorageFault while a record is still about it and it is not
    done, or its device shows nothing."""
    record, entry = host.journal.entries().get(seat.name, (None, None))
    if record is None or entry is None:
        return
    if seat.name not in record.done:
        raise StorageFault("{name}: {why}.", name=seat.name, why=unfinished_reason(record.action))
    shown = [host.activate(one) for one in seat.volumes] if seat.power is Power.OFF else []
    if not all(shown):
        raise StorageFault(
            "A reset or an undo of {name} was cut off: run pizarra recover.", name=seat.name
        )


def unfinished_reason(action: Action) -> Sentence:
    """Of a seat whose disks, or its machine beside them, may be of two times."""
    if action is Action.UNDO:
        return Sentence("an undo of it was cut off: run pizarra recover")
    return Sentence("a reset of it was cut off: run pizarra recover, or reset it again")


def undone_reason() -> Sentence:
    """Of a seat whose undo was completed after its command had died."""
    return Sentence("an undo of it was cut off: it has its work again")
