"""undo: the last reset of seats is taken back, and can be done again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pizarra.engine.cut_off import finished
from pizarra.engine.events import Noted
from pizarra.engine.reset import UndoRun
from pizarra.engine.undo import aged_dropped, kept
from pizarra.errors import PizarraError, Unsupported
from pizarra.model.facts import Power, Seat
from pizarra.model.outcome import Outcome, Report
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.undo import plan_undo
from pizarra.service.claims import Numbers, claimed_seats
from pizarra.service.context import Context


def undone(context: Context, classroom: str, numbers: Numbers = None) -> Report:
    """Seats have again what their last reset took away. Raises Unsupported when none could."""
    began = time.perf_counter()
    host = context.host
    with claimed_seats(context, classroom, numbers, "undo") as seats:
        done = _finished(context, [seat for seat in seats if seat.power is Power.OFF])
        aged_dropped(host, seats, context.emit)
        there = kept(host, seats)
        plan = plan_undo(classroom, seats, there, host.storages.capabilities, done=done)
        if all(one.outcome is Outcome.SKIPPED for one in plan.seats):
            raise Unsupported(
                "Nothing of {name} can be undone: {why}.", name=classroom, why=plan.seats[0].reason
            )
        outcomes = UndoRun(host, plan, context.emit).outcomes()
    return Report(
        classroom=classroom,
        verb="undo",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
    )


def _finished(context: Context, seats: Sequence[Seat]) -> frozenset[str]:
    """The names of those of which an undo was cut off, and is done: another would take it back.
    What cannot be is said, and then nothing of that seat is undone."""
    done = set()
    for seat in seats:
        try:
            if finished(context.host, seat):
                done.add(seat.name)
        except PizarraError as error:
            context.emit(Noted(text="{name}: {why}", facts={"name": seat.name, "why": error}))
    return frozenset(done)


def settled(context: Context, facts: HostFacts) -> list[PizarraError]:
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
            for told in context.host.storages.at(kind, place).settled(these):
                context.emit(Noted(text="{what}.", facts={"what": told}))
        except PizarraError as error:
            faults.append(error)
    return faults
