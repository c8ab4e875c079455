"""After a crash: look at what there is, and finish or repeat. Twice changes nothing."""

from __future__ import annotations

import time

from pizarra.engine import recovery
from pizarra.engine.events import Began, Noted
from pizarra.engine.journal import Action
from pizarra.engine.machines import examine, keep_adopted
from pizarra.engine.old_state import migrate_old_state
from pizarra.engine.power import each_seat
from pizarra.engine.recovery import Completed, Result
from pizarra.errors import PizarraError
from pizarra.model.facts import Classroom, Power, Seat, Volume
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.sentence import N_, Sentence, join
from pizarra.planner import provision
from pizarra.planner.drift import start_fault
from pizarra.planner.reset import pairs_of
from pizarra.service import (
    data_disks,
    identity,
    inspect,
    maintenance,
    records,
    undo,
    unfinished,
    upgrade,
)
from pizarra.service.adoption_ends import finish_adoptions
from pizarra.service.after_boot import start_due
from pizarra.service.backup.settle import forget_restored, put_back_states, settle_restored
from pizarra.service.backup.staging import exchange_folders
from pizarra.service.claims import own_identity
from pizarra.service.classrooms import restore_network
from pizarra.service.context import Context
from pizarra.service.guard import raise_fence
from pizarra.service.identity_ends import take_back_cut_off


def recover(context: Context) -> list[Report]:
    """Every classroom of the host; left-over imports are removed first.

    What goes wrong stops nothing else: it is told, and the first such error is raised at the end.
    """
    exchange_folders(context.host.settings)  # of a restore that was cut off
    faults = settle_restored(context)  # first: it brings records, which explain undos
    faults += _settle_left_overs(context)
    reports = []
    for name in context.host.observe().classrooms:
        try:
            reports.append(_recover_classroom(context, name, faults))
        except PizarraError as error:
            faults.append(error)
    faults += _forget_records(context)
    raise_fence(context)  # machines that run already have their addresses again
    reports = start_due(context, reports)
    for fault in faults:
        context.emit(Noted(text=N_("Not recovered: {why}"), facts={"why": fault}))
    if faults:
        raise faults[0]
    return reports


def _settle_left_overs(context: Context) -> list[PizarraError]:
    faults = _wake(context)
    faults += undo.settle_undos(context, context.host.observe())  # first: a pool may be stuck in it
    finish_adoptions(context, context.host.observe())
    inspect.remove_left_over(context)
    faults += _migrate(context)
    try:
        data_disks.recover(context)
    except PizarraError as error:
        faults.append(error)
    facts = context.host.observe()
    for part in (
        maintenance.recover,
        unfinished.recover,
        upgrade.recover,
        identity.recover,
        records.recover,
    ):
        try:
            part(context, facts)
        except PizarraError as error:
            faults.append(error)
    return faults


def _wake(context: Context) -> list[PizarraError]:
    """Volume groups that came late, or that somebody deactivated."""
    faults = list[PizarraError]()
    for room in context.host.observe().classrooms.values():
        try:
            context.host.wake(room.seats)
        except PizarraError as error:
            faults.append(error)
    return faults


def _migrate(context: Context) -> list[PizarraError]:
    rooms = context.host.observe().classrooms.values()
    try:
        for told in migrate_old_state(context.host, [s for room in rooms for s in room.seats]):
            context.emit(Noted(text="{what}.", facts={"what": told}))
    except PizarraError as error:
        return [error]
    return []


def _recover_classroom(context: Context, name: str, faults: list[PizarraError]) -> Report:
    """A network that cannot be there goes to ``faults``, and keeps no disk from being put right."""
    began = time.perf_counter()
    with context.claim([f"classroom:{name}"], N_("recover")):
        classroom = context.host.observe().classroom(name)
        context.emit(Began(what=N_("recover"), total=len(classroom.seats)))
        try:
            restore_network(context, classroom)
        except PizarraError as error:
            faults.append(error)
        defined = _define_again(context, classroom)
        put_back_states(context, classroom.seats, defined)
        completed = _complete(context, classroom)
        outcomes = each_seat(
            context.host,
            N_("recover"),
            context.host.observe().classroom(name).seats,
            lambda seat: _recover_seat(
                context, seat, completed.get(seat.name), is_defined=seat.name in defined
            ),
            context.emit,
        )
    return Report(
        classroom=name,
        verb="recover",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
    )


def _define_again(context: Context, classroom: Classroom) -> frozenset[str]:
    """The names of seats whose machine was gone and is described again."""
    compute = context.host.compute
    defined = set[str]()
    for seat in classroom.seats:
        if seat.power is not Power.ABSENT or seat.fault:
            continue
        made = context.host.definitions.get(seat.domain_uuid) if seat.is_adopted else None
        try:
            if made:
                compute.redefine(made, absent=True)
            elif not seat.is_adopted:
                compute.define(provision.domain_spec(seat))
            else:
                continue  # it was not ours to describe
        except PizarraError as error:
            context.emit(Noted(text=N_("Not recovered: {why}"), facts={"why": error}))
            continue  # the seat says that its machine is gone
        defined.add(seat.name)
    return frozenset(defined)


def _complete(context: Context, classroom: Classroom) -> dict[str, Completed]:
    names = [seat.name for seat in classroom.seats]
    for fault in filter(None, take_back_cut_off(context, classroom.seats).values()):
        context.emit(Noted(text=N_("Not recovered: {why}"), facts={"why": fault}))
    return recovery.complete_all(context.host, names, own=own_identity(context))


def _recover_seat(
    context: Context, seat: Seat, completed: Completed | None, *, is_defined: bool
) -> SeatOutcome:
    """What it was cut off in is completed by now. A disk that a reset took off its device is put
    back on it as it is; one without any content is rewound."""
    if completed is not None and completed.result is Result.LEFT:
        return _unknown(seat, completed.reason)
    if seat.power is Power.ABSENT:
        return _unknown(seat, _gone_reason(seat))
    mended = [Sentence("machine defined again")] if is_defined else []
    if completed is not None and completed.result is Result.FINISHED:
        mended.append(_finished_reason(completed))
    detached = any(_is_detached(context, volume) for volume in seat.volumes)
    if seat.power is not Power.OFF:
        if detached:  # what it has in its RAM may not meet another disk
            return _unknown(seat, recovery.left_reason(Action.REWIND))
    else:
        lost = [pair for pair in pairs_of(seat) if not context.host.activate(pair.volume)]
        if fault := next(filter(None, context.host.rewind(lost).values()), None):
            return _unknown(seat, join([fault]))
        if lost:
            context.host.reclaim_space([pair.volume for pair in lost])
            mended.append(Sentence("disks put back to the original"))
        elif detached:
            mended.append(Sentence("a reset of it was cut off: its disks are as that left them"))
    seat = _examine(context, seat)
    if seat.fault:
        return _unknown(seat, seat.fault)
    outcome = Outcome.DONE if mended else Outcome.UNCHANGED
    if _is_undone(context, seat) and recovery.undone_reason() not in mended:
        mended.append(recovery.undone_reason())
    return SeatOutcome(seat=seat.name, outcome=outcome, reason=join(mended) or None)


def _examine(context: Context, seat: Seat) -> Seat:
    """A machine that would not start from its own disks is told; no policy is asked."""
    keep_adopted(context.host, seat)
    return examine(context.host, [seat], start_fault)[0]


def _unknown(seat: Seat, reason: str | None) -> SeatOutcome:
    return SeatOutcome(seat=seat.name, outcome=Outcome.UNKNOWN, reason=reason)


def _gone_reason(seat: Seat) -> str:
    if seat.is_adopted:
        return Sentence("its machine is gone, and it was not ours to describe")
    return Sentence("its machine is gone: run pizarra recover")


def _finished_reason(completed: Completed) -> Sentence:
    if completed.action is Action.UNDO:
        return recovery.undone_reason()
    return Sentence("a reset of it was cut off, and is done now")


def _is_undone(context: Context, seat: Seat) -> bool:
    """An undo of it was completed, and its command has not been given again."""
    known = [context.host.undo_index.get(volume) for volume in seat.volumes]
    return any(kept.is_undone for kept in known if kept)


def _is_detached(context: Context, volume: Volume) -> bool:
    return context.host.has_error_table(volume)


def _forget_records(context: Context) -> list[PizarraError]:
    """Records of seats that are gone, and files that say nothing; those are told."""
    journal = context.host.journal
    try:
        forget_restored(context.host)
        journal.remove_unfinished()
        recovery.forget_gone(context.host, context.host.observe())
    except PizarraError as error:
        return [error]
    return [one.why for one in journal.records()[1]]
