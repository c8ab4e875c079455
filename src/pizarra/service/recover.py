"""After a crash: look at what there is, and finish or repeat. Twice changes nothing."""

from __future__ import annotations

import time

from pizarra.engine import cut_off
from pizarra.engine.events import Began, Noted
from pizarra.engine.power import each_seat
from pizarra.errors import PizarraError
from pizarra.model.facts import Power, Seat, Volume
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.sentence import Sentence, join
from pizarra.planner import provision
from pizarra.planner.reset import pairs_of
from pizarra.service import data_disks, identity, inspect, maintenance, records, undo, upgrade
from pizarra.service.adoption_ends import finish_adoptions
from pizarra.service.classrooms import restore_network
from pizarra.service.context import Context
from pizarra.system.locks import claiming


def recover(context: Context) -> list[Report]:
    """Every classroom of the host; left-over imports are removed first.

    What goes wrong stops nothing else: it is told, and the first such error is raised at the end.
    """
    faults = _settle_left_overs(context)
    reports = []
    for name in context.host.observe().classrooms:
        try:
            reports.append(_recover_classroom(context, name))
        except PizarraError as error:
            faults.append(error)
    for fault in faults:
        context.emit(Noted(text="Not recovered: {why}", facts={"why": fault}))
    if faults:
        raise faults[0]
    return reports


def _settle_left_overs(context: Context) -> list[PizarraError]:
    faults = undo.settle_undos(context, context.host.observe())  # first: a pool may be stuck in it
    finish_adoptions(context, context.host.observe())
    inspect.remove_left_over(context)
    try:
        data_disks.recover(context)
    except PizarraError as error:
        faults.append(error)
    facts = context.host.observe()
    for part in (maintenance.recover, upgrade.recover, identity.recover, records.recover):
        try:
            part(context, facts)
        except PizarraError as error:
            faults.append(error)
    return faults


def _recover_classroom(context: Context, name: str) -> Report:
    began = time.perf_counter()
    with claiming([name], "recover", wait_s=context.wait_s):
        classroom = context.host.observe().classroom(name)
        context.emit(Began(what="recover", total=len(classroom.seats)))
        restore_network(context, classroom)
        outcomes = each_seat(
            context.host,
            "recover",
            classroom.seats,
            lambda seat: _recover_seat(context, seat),
            context.emit,
        )
    return Report(
        classroom=name,
        verb="recover",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
    )


def _recover_seat(context: Context, seat: Seat) -> SeatOutcome:
    """A machine that is gone is defined again, a disk that a reset took off its device is put back
    on it as it is; one without any content is rewound."""
    host, mended = context.host, []
    if seat.power is Power.ABSENT:
        if seat.is_adopted:
            return SeatOutcome(
                seat=seat.name,
                outcome=Outcome.UNKNOWN,
                reason="its machine is gone, and it was not ours to describe",
            )
        host.compute.define(provision.domain_spec(seat))
        mended.append(Sentence("machine defined again"))
    detached = any(_is_detached(context, volume) for volume in seat.volumes)
    if seat.power not in (Power.OFF, Power.ABSENT):
        if not detached:
            return SeatOutcome(seat=seat.name, outcome=Outcome.UNCHANGED)
        # what it has in its RAM may not meet another disk
        reason = Sentence("a reset of it was cut off while it was on: reset it again")
        return SeatOutcome(seat=seat.name, outcome=Outcome.UNKNOWN, reason=reason)
    lost = [pair for pair in pairs_of(seat) if not host.activate(pair.volume)]
    given_back = host.reclaim_space([pair.volume for pair in lost])
    lost = [pair for pair in lost if not host.activate(pair.volume)]
    if not (fault := next(filter(None, given_back.values()), None)):  # nowhere else it would be
        fault = next(filter(None, host.rewind(lost).values()), None)
    if fault:
        return SeatOutcome(seat=seat.name, outcome=Outcome.UNKNOWN, reason=join([fault]))
    if lost:
        mended.append(Sentence("disks put back to the original"))
    has_finished = cut_off.finish(host, seat)
    if detached and not lost:
        mended.append(Sentence("a reset of it was cut off: its disks are as that left them"))
    outcome = Outcome.DONE if mended or has_finished else Outcome.UNCHANGED
    if cut_off.is_undo_complete(host, seat):
        mended.append(cut_off.already_undone_reason())
    elif cut_off.is_half_done(host, seat):
        mended.append(cut_off.half_done_reason())
    elif has_finished:
        mended.append(Sentence("disks put back to the original"))
    return SeatOutcome(seat=seat.name, outcome=outcome, reason=join(mended) or None)


def _is_detached(context: Context, volume: Volume) -> bool:
    return context.host.storage_of(volume).has_error_table(volume)
