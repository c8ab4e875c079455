"""Carries out a reset plan as a pipeline: while some seats still stop, others are rewound, proven
and started. One thread a storage place rewinds whatever is ready, a batch at a time; stops and
starts run side by side, as many at once as the host is set to.

A seat is started or called original only after its proof.
"""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from pizarra.engine import recovery
from pizarra.engine.entries import Entries, rewind_entries, undo_entries
from pizarra.engine.events import Began, Emit, Noted, Settled
from pizarra.engine.host import Host
from pizarra.engine.journal import Action, OpenRecord, PowerAfter, UndoRule
from pizarra.engine.machines import put_right
from pizarra.engine.stopwatch import Stopwatch
from pizarra.errors import PizarraError
from pizarra.model.facts import Seat
from pizarra.model.outcome import Mode, Outcome, SeatOutcome
from pizarra.model.sentence import N_, Sentence, join
from pizarra.planner.reset import ResetPlan, SeatPlan, Step
from pizarra.storage.interface import Change, Faults, UndoSwap
from pizarra.system.locks import who

_Place = tuple[str, str]
_TURN = 16  # seats rewound and proven at a time: they start while the next ones are rewound


class SeatRun(ABC):
    """Seats are stopped, their disks put right, and started again: one run under way."""

    step: Step  # that puts the disks right
    action = Action.REWIND  # for the journal
    proven: bool | None = True  # what is known of the disks of a seat that goes on

    _opened: OpenRecord

    def __init__(self, host: Host, plan: ResetPlan, emit: Emit) -> None:
        self.host = host
        self.plan = plan
        self.emit = emit
        self.watch = Stopwatch()
        self._outcomes: dict[str, SeatOutcome] = {}
        self._ending: list[Future[None]] = []
        self._touched: set[str] = set()  # names of seats whose disks may have been changed
        self._with_ram: set[str] = set()  # names of seats that got back the RAM that was saved
        self._freed: dict[str, PizarraError | None] = {}  # by volume: whether its space is free
        self._ready: dict[_Place, queue.SimpleQueue[SeatPlan | None]] = defaultdict(
            queue.SimpleQueue
        )

    def run(self) -> tuple[SeatOutcome, ...]:
        """Do it all; in the plan's order. Raises StorageFault, and nothing is done, when the
        journal cannot be written."""
        self.emit(Began(what=self.plan.verb, total=len(self.plan.seats)))
        rewinds = [one for one in self.plan.seats if self.step in one.steps]
        entries = self._entries(rewinds) if rewinds else Entries((), {})
        for one in rewinds:
            if fault := entries.faults.get(one.seat.name):
                self._settle(one, Outcome.FAILED, join([fault]))
        sound = [one for one in rewinds if one.seat.name in entries.names]
        if not sound:
            self._run([])
            return self._in_order()
        journal = self.host.journal
        with journal.begin(self.plan.verb, self.action, who(), entries.seats) as self._opened:
            try:
                recovery.close_older(self.host, entries.names, self._opened.record)
            except PizarraError:
                self._opened.close()
                raise
            self._run(sound)
            self._end(sound)
        return self._in_order()

    def _in_order(self) -> tuple[SeatOutcome, ...]:
        return tuple(self._outcomes[one.seat.name] for one in self.plan.seats)

    def _run(self, rewinds: Sequence[SeatPlan]) -> None:
        at_once = self.host.settings.at_once
        with ThreadPoolExecutor(at_once) as stops, ThreadPoolExecutor(at_once) as starts:
            for one in self.plan.seats:
                if self.step not in one.steps:
                    self._ending.append(starts.submit(self._settle_without_rewind, one))
            stopping = [stops.submit(self._halt, one) for one in rewinds]
            self._rewind_all(rewinds, stopping, starts)
            for ending in self._ending:
                ending.result()

    @abstractmethod
    def _entries(self, rewinds: Sequence[SeatPlan]) -> Entries:
        """What the journal says of these."""

    def _mark_done(self, seats: Sequence[SeatPlan]) -> list[SeatPlan]:
        """Lasting before their machines start; those that may go on."""
        try:
            self._opened.mark_done([one.seat.name for one in seats])
        except PizarraError as error:
            for one in seats:
                self._settle(one, Outcome.FAILED, join([error]), verified=self.proven)
            return []
        return list(seats)

    def _end(self, seats: Sequence[SeatPlan]) -> None:
        """Nothing waits any more: the record goes, but for seats that it is still needed for."""
        left = self._opened.record.left
        volumes = {volume.uuid: volume for one in seats for volume in one.seat.volumes}
        over = {one.seat.name for one in seats} - {entry.seat for entry in left}
        over |= {
            entry.seat
            for entry in left
            if entry.seat not in self._touched
            or not recovery.is_begun(self.host, self._opened.record, entry, volumes)
        }
        try:
            recovery.end_seats(self.host, self._opened, over, self._freed)
        except PizarraError as error:  # all is done; the record stays for the next one
            self._tell_later(error)

    def _free_space(self, seats: Sequence[SeatPlan]) -> None:
        """No disk of a place waits any more; machines may still start."""
        names = [one.seat.name for one in seats]
        volumes = {volume.uuid: volume for one in seats for volume in one.seat.volumes}
        freed = recovery.free_space(self.host, self._opened.record, names, volumes)
        self._freed |= freed
        if fault := next(filter(None, freed.values()), None):  # what stops one stops all
            self._tell_later(fault)

    def _tell_later(self, why: PizarraError) -> None:
        text = N_("{why} What the reset took away has its space until: pizarra recover")
        self.emit(Noted(text=text, facts={"why": why}))

    def _rewind_all(
        self,
        rewinds: Sequence[SeatPlan],
        stopping: Sequence[Future[None]],
        starts: ThreadPoolExecutor,
    ) -> None:
        places = {_place(one) for one in rewinds}
        with ThreadPoolExecutor(max(1, len(places))) as rewinders:
            working = [
                rewinders.submit(self._rewinder, self._ready[place], starts) for place in places
            ]
            try:
                for stop in stopping:
                    stop.result()
            finally:
                for place in places:
                    self._ready[place].put(None)
            for work in working:
                work.result()

    def _settle_without_rewind(self, one: SeatPlan) -> None:
        """A seat that needs no rewind: it has its outcome, and may have to be started."""
        outcome = one.outcome or Outcome.UNKNOWN
        if outcome is Outcome.UNCHANGED:
            try:
                recovery.ensure_startable(self.host, one.seat)
            except PizarraError as error:
                self._settle(one, Outcome.FAILED, join([error]), verified=False)
                return
        verified = self.proven if outcome is Outcome.UNCHANGED else False  # an undo proves nothing
        if Step.START in one.steps:
            self._start(one, outcome)
        else:
            self._settle(one, outcome, one.reason, verified=verified)

    def _halt(self, one: SeatPlan) -> None:
        try:
            if Step.STOP in one.steps:
                with self.watch.timing(N_("stop"), [one.seat.name]):
                    self.host.compute.kill(one.seat.domain_uuid)
            if Step.DROP_RAM in one.steps:
                self._drop_ram(one)
            if Step.REDEFINE in one.steps:
                one = self._redefine(one)
            if Step.PAUSE in one.steps:
                with self.watch.timing(N_("pause"), [one.seat.name]):
                    self.host.compute.pause(one.seat.domain_uuid)
            if Step.PRESS in one.steps:  # now, for it takes longest, and nobody runs meanwhile
                with self.watch.timing(N_("press"), [one.seat.name]):
                    self.host.compute.reset_button(one.seat.domain_uuid)
        except PizarraError as error:
            self._settle(one, Outcome.FAILED, Sentence("it could not be stopped: {why}", why=error))
        else:
            self._ready[_place(one)].put(one)

    def _drop_ram(self, one: SeatPlan) -> None:
        """RAM that libvirt saved may not meet another disk. An undo brings both back."""
        slot = next(v.slot for e in self._opened.record.seats if e.seat == one.seat.name
                    for v in e.volumes)  # fmt: skip
        self.host.states.drop_ram(one.seat, slot)

    def _redefine(self, one: SeatPlan) -> SeatPlan:
        """Put the machine's definition right. The plan, with a reason that says what it was."""
        before = put_right(self.host, one.seat)
        text = N_("put right: {what}; the definition that it had is in {file}")
        return replace(one, reason=Sentence(text, what=one.redefined, file=before))

    def _rewinder(
        self, ready: queue.SimpleQueue[SeatPlan | None], starts: ThreadPoolExecutor
    ) -> None:
        ended, all_seats = False, list[SeatPlan]()
        while not ended:
            batch = [ready.get()]
            while len(batch) < _TURN and not ready.empty():
                batch.append(ready.get())
            ended = None in batch
            seats = [one for one in batch if one is not None]
            if not seats:
                continue
            all_seats += seats
            self._touched |= {one.seat.name for one in seats}
            for one in self._mark_done(self._put_right(seats)):
                self._ending.append(starts.submit(self._continue, one))
        self._free_space(all_seats)

    @abstractmethod
    def _put_right(self, seats: Sequence[SeatPlan]) -> list[SeatPlan]:
        """The disks of a batch; those seats that may go on. The others are settled."""

    def _continue(self, one: SeatPlan) -> None:
        if Step.RESUME in one.steps:
            self._resume(one)
        elif Step.WAKE in one.steps:
            self._wake(one)
        elif Step.START in one.steps:
            self._start(one, Outcome.DONE)
        else:
            self._settle(one, Outcome.DONE, one.reason, verified=self.proven)

    def _start(self, one: SeatPlan, outcome: Outcome) -> None:
        compute = self.host.compute
        start = compute.wake if one.seat.name in self._with_ram else compute.start
        try:
            with self.watch.timing(N_("start"), [one.seat.name]):
                start(one.seat.domain_uuid)
        except PizarraError as error:
            reason = Sentence("its disks are right, but it did not start: {why}", why=error)
            self._settle(one, Outcome.FAILED, reason, verified=self.proven)
        else:
            self._settle(one, outcome, one.reason, verified=self.proven)

    def _wake(self, one: SeatPlan) -> None:
        """From its saved RAM; a machine that refuses it boots, and its outcome says why."""
        assert one.sources is not None, "planned with what was saved"
        ram = self.host.states.ram(one.sources[one.seat.volumes[0].uuid])
        try:
            with self.watch.timing(N_("start"), [one.seat.name]):
                self.host.compute.restore_ram(one.seat.domain_uuid, ram)
        except PizarraError as error:
            self._boot_instead(replace(one, reason=Sentence("it starts cold: {why}", why=error)))
        else:
            self._settle(one, Outcome.DONE, one.reason, verified=self.proven)

    def _boot_instead(self, one: SeatPlan) -> None:
        """From the original, after a reset; from what was saved, after a restore."""
        if self.plan.mode is not Mode.WARM:
            self._start(one, Outcome.DONE)
            return
        cold = replace(one, sources=None)
        pairs, verb = list(cold.pairs), self.plan.verb
        faults = recovery.rewind_again(self.host, verb, [one.seat], PowerAfter.START)
        if self._is_proven(cold, {**self.host.changes(pairs), **_only(faults)}):
            self._start(cold, Outcome.DONE)

    def _resume(self, one: SeatPlan) -> None:
        try:
            with self.watch.timing(N_("start"), [one.seat.name]):
                self.host.compute.resume(one.seat.domain_uuid)
        except PizarraError as error:
            reason = Sentence("its disks are original, but it did not go on: {why}", why=error)
            self._settle(one, Outcome.FAILED, reason, verified=self.proven)
        else:
            self._settle(one, Outcome.DONE, verified=self.proven)

    def _is_proven(self, one: SeatPlan, found: dict[str, Change | PizarraError]) -> bool:
        for volume in one.seat.volumes:
            answer = found.get(volume.uuid)
            if isinstance(answer, Change) and answer.original:
                continue
            why = answer if isinstance(answer, PizarraError) else Sentence("it still differs")
            reason = join((volume.name, why), ": ")
            self._settle(one, Outcome.FAILED, reason, verified=False)
            return False
        return True

    def _settle(
        self,
        one: SeatPlan,
        outcome: Outcome,
        reason: str | None = None,
        *,
        verified: bool | None = None,
    ) -> None:
        name = one.seat.name
        settled = SeatOutcome(
            seat=name,
            outcome=outcome,
            reason=reason,
            verified=verified,
            timings_ms=self.watch.of(name),
        )
        self._outcomes[name] = settled
        self.emit(Settled(outcome=settled))


class ResetRun(SeatRun):
    """Back to the original state, and proven so."""

    step = Step.REWIND

    def _put_right(self, seats: Sequence[SeatPlan]) -> list[SeatPlan]:
        """Rewind and prove a batch; those that are original again."""
        names = [one.seat.name for one in seats]
        pairs = [pair for one in seats for pair in one.pairs]
        with self.watch.timing(N_("rewind"), names):
            faults = self._rewind(seats)
        with self.watch.timing(N_("prove"), names):
            whole = [pair for pair in pairs if faults[pair.volume.uuid] is None]
            changes = self.host.changes(whole)
        proven = [one for one in seats if self._is_proven(one, {**changes, **_only(faults)})]
        return self._write_labels(proven)

    def _entries(self, rewinds: Sequence[SeatPlan]) -> Entries:
        return rewind_entries(self.host, rewinds)

    def _rewind(self, seats: Sequence[SeatPlan]) -> Faults:
        """What goes is kept where a plan says that it can be, and only as long as the setting."""
        names = {one.seat.name for one in seats}
        entries = [one for one in self._opened.record.seats if one.seat in names]
        slots = {v.uuid: v.slot for one in entries for v in one.volumes if v.slot}
        try:
            self._opened.mark_begun([one.seat for one in entries if one.undo is not UndoRule.SAVE])
        except PizarraError as error:
            return {volume.uuid: error for one in seats for volume in one.seat.volumes}
        return self.host.rewind([pair for one in seats for pair in one.pairs], undo=slots)

    def _write_labels(self, seats: Sequence[SeatPlan]) -> list[SeatPlan]:
        """After an upgrade, and only then, labels are written: the content is the new version's."""
        moving = [one for one in seats if one.seat.labels.content_version and one.sources is None]
        try:
            self.host.set_labels(
                {
                    volume: replace(volume.labels, content_version=0)
                    for one in moving
                    for volume in one.seat.volumes
                    if volume.labels
                }
            )
        except PizarraError as error:
            reason = Sentence("its disks are original, but do not say so: {why}", why=error)
            for one in moving:
                self._settle(one, Outcome.FAILED, reason, verified=True)
            return [one for one in seats if one not in moving]
        return list(seats)


class HandOutRun(ResetRun):
    """To somebody else's saved state, proven so; then ``own`` makes a machine itself again."""

    def __init__(
        self, host: Host, plan: ResetPlan, emit: Emit, own: Callable[[Seat], None]
    ) -> None:
        super().__init__(host, plan, emit)
        self._own = own

    def _write_labels(self, seats: Sequence[SeatPlan]) -> list[SeatPlan]:
        arrived = super()._write_labels(seats)
        with ThreadPoolExecutor(self.host.settings.at_once) as threads:
            own = threads.map(self._restore_identity, arrived)
        return [one for one, is_own in zip(arrived, own, strict=True) if is_own]

    def _restore_identity(self, one: SeatPlan) -> bool:
        try:
            self._own(one.seat)
        except PizarraError as error:
            reason = Sentence("it has another machine's name and keys: {why}", why=error)
            self._settle(one, Outcome.FAILED, reason, verified=True)
            return False
        return True


class UndoRun(SeatRun):
    """Back to what the last reset took away; what is there now is kept instead."""

    step = Step.UNDO
    action = Action.UNDO
    proven = None

    def _entries(self, rewinds: Sequence[SeatPlan]) -> Entries:
        return undo_entries(self.host, rewinds)

    def _put_right(self, seats: Sequence[SeatPlan]) -> list[SeatPlan]:
        """Exchange a batch."""
        volumes = {volume.uuid: volume for one in seats for volume in one.seat.volumes}
        swaps = [
            UndoSwap(volume=volumes[volume.uuid], kept=volume.kept, to=volume.slot)
            for entry in self._opened.record.seats
            for volume in entry.volumes
            if volume.uuid in volumes and volume.kept and volume.slot
        ]
        with self.watch.timing(N_("undo"), [one.seat.name for one in seats]):
            faults = self.host.swap_with_undo(swaps)
        right = []
        for one in seats:
            why = [fault for volume in one.seat.volumes if (fault := faults[volume.uuid])]
            if why:
                self._settle(one, Outcome.FAILED, join(why))
            else:
                right.append(self._put_ram(one))
        return right

    def _put_ram(self, one: SeatPlan) -> SeatPlan:
        """RAM that the reset dropped is saved again. The plan, with a reason where it is not."""
        first = one.seat.volumes[0].uuid
        kept = next(v.kept for e in self._opened.record.seats for v in e.volumes if v.uuid == first)
        try:
            if kept and self.host.states.put_ram(one.seat, kept):
                self._with_ram.add(one.seat.name)
        except PizarraError as error:
            text = N_("its RAM of then could not be put back: {why}")
            return replace(one, reason=Sentence(text, why=error))
        return one


def _place(one: SeatPlan) -> _Place:
    volume = one.seat.volumes[0]
    return (volume.kind, volume.place)


def _only(faults: object) -> dict[str, PizarraError]:
    assert isinstance(faults, dict)
    return {uuid: fault for uuid, fault in faults.items() if fault is not None}
