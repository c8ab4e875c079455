"""undo: the last reset of seats is taken back, and can be done again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pizarra.engine import cut_off, undo_notes
from pizarra.engine.events import Noted
from pizarra.engine.reset import UndoRun
from pizarra.engine.undo import discard_old_undo, undo_ages
from pizarra.errors import PizarraError, Unsupported
from pizarra.model.facts import Power, Seat
from pizarra.model.outcome import Outcome, Report
from pizarra.model.sentence import join
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.undo import plan_undo
from pizarra.service.claims import Numbers, claiming_seats
from pizarra.service.context import Context


def undo(context: Context, classroom: str, numbers: Numbers = None) -> Report:
    """Seats have again what their last reset took away. Raises Unsupported when none could."""
    began = time.perf_counter()
    host = context.host
    with claiming_seats(context, classroom, numbers, "undo") as seats:
        settled_before = _settled_seats(context, seats)
        discard_old_undo(host, seats, context.emit)
        there, able = undo_ages(host, seats), host.storages.capabilities
        plan = plan_undo(classroom, seats, there, able, settled=settled_before)
        if all(one.outcome is Outcome.SKIPPED for one in plan.seats):
            raise Unsupported(
                "Nothing of {name} can be undone: {why}.", name=classroom, why=plan.seats[0].reason
            )
        outcomes = UndoRun(host, plan, context.emit).run()
    return Report(
        classroom=classroom,
        verb="undo",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
    )


def _settled_seats(context: Context, seats: Sequence[Seat]) -> dict[str, tuple[Outcome, str]]:
    """By name, seats that are left alone: what they were cut off in is done, or cannot be."""
    found: dict[str, tuple[Outcome, str]] = {}
    for seat in seats:
        try:
            if _is_undone_already(context, seat):
                found[seat.name] = (Outcome.UNCHANGED, cut_off.already_undone_reason())
            elif cut_off.is_half_done(context.host, seat):
                found[seat.name] = (Outcome.SKIPPED, cut_off.half_done_reason())
        except PizarraError as error:
            found[seat.name] = (Outcome.FAILED, join([error]))
    return found


def _is_undone_already(context: Context, seat: Seat) -> bool:
    """An undo of it was cut off, and is done by now: another would take it back."""
    if not undo_notes.is_under_way(seat):
        return False
    if seat.power is Power.OFF:
        cut_off.activate_all(context.host, seat)
        cut_off.finish(context.host, seat)
    its = cut_off.CutOff.of(context.host, seat)
    if its.is_whole:
        undo_notes.end(seat.volumes)
    return its.is_whole and its.of_kind(cut_off.UNDO)


def settle_undos(context: Context, facts: HostFacts) -> list[PizarraError]:
    """For ``recover``: undos that were cut off, and what is kept of seats that are gone. What
    stopped it in a pool that is not well; the other pools' are settled."""
    faults: list[PizarraError] = []
    places = {
        (pool.kind, pool.place)
        for pool in facts.pools
        if pool.kind in context.host.storages.capabilities
    }
    seats = [seat for room in facts.classrooms.values() for seat in room.seats]
    volumes = [volume for seat in seats for volume in seat.volumes]
    for kind, place in sorted(places):
        these = [one for one in volumes if (one.kind, one.place) == (kind, place)]
        try:
            for told in context.host.storages.at(kind, place).repair_after_crash(these):
                context.emit(Noted(text="{what}.", facts={"what": told}))
        except PizarraError as error:
            faults.append(error)
    return faults
