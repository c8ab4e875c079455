"""Machines come back after a boot, as their classrooms' policy ``after_boot`` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pizarra.engine.events import Noted
from pizarra.engine.power_note import begin_boot, settle_due
from pizarra.errors import NoSpace, PizarraError
from pizarra.model.facts import Classroom, Power, Seat
from pizarra.model.outcome import WELL, Report, SeatOutcome
from pizarra.model.policy import AfterBoot
from pizarra.model.sentence import N_, Sentence, join
from pizarra.service import halting, verbs
from pizarra.service.context import Context


def start_due(context: Context, reports: Sequence[Report]) -> list[Report]:
    """Start what is due after this boot, of the seats that ``reports`` of ``recover`` found whole.

    The reports, with what became of each of these. What cannot be started is told, and stops
    nothing else.
    """
    due = begin_boot(context.host)
    if not due:
        return list(reports)
    rooms = context.host.observe().classrooms
    return [
        _start_room(context, rooms[one.classroom], one, due) if one.classroom in rooms else one
        for one in reports
    ]


def _start_room(
    context: Context, room: Classroom, report: Report, due: Mapping[str, bool]
) -> Report:
    whole = {one.seat for one in report.seats if one.outcome in WELL}
    ready = [seat for seat in room.seats if seat.name in whole and seat.domain_uuid in due]
    seats = [seat for seat in ready if seat.power is Power.OFF and _is_wanted(seat, due)]
    settle_due(context.host, [seat.domain_uuid for seat in ready])
    if not seats:
        return report
    try:
        _check_room(context, seats)
        started = verbs.start(context, room.name, [seat.number for seat in seats])
    except PizarraError as error:
        text = N_("{name} is not started after the boot: {why}")
        context.emit(Noted(text=text, facts={"name": room.name, "why": error}))
        return report
    after = {one.seat: one for one in started.seats}
    return replace(report, seats=tuple(_merge(one, after.get(one.seat)) for one in report.seats))


def _is_wanted(seat: Seat, due: Mapping[str, bool]) -> bool:
    match seat.record.policy.after_boot:
        case AfterBoot.RUNNING:
            return True
        case AfterBoot.AS_BEFORE:
            return due[seat.domain_uuid]
    return False


def _check_room(context: Context, seats: Sequence[Seat]) -> None:
    """A start makes room with undos that others may want: nobody who is asked is there now."""
    for need in halting.pools_in_need(context, context.host.observe().pools, seats):
        if need.is_full:
            raise NoSpace("{pool} is nearly full.", pool=need.pool.title)


def _merge(recovered: SeatOutcome, started: SeatOutcome | None) -> SeatOutcome:
    """One outcome of the two."""
    if started is None:
        return recovered
    said = Sentence("started after the boot") if started.outcome in WELL else started.reason
    reasons = [one for one in (recovered.reason, said) if one]
    outcome = recovered.outcome if started.outcome in WELL else started.outcome
    return replace(recovered, outcome=outcome, reason=join(reasons) or None)
