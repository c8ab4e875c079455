"""undo: revert the last reset of seats. An undo can be undone."""

from __future__ import annotations

import time
from functools import partial

from pizarra.engine.events import Noted
from pizarra.engine.journal import Action, volumes_in_records
from pizarra.engine.recovery import Result, undone_reason
from pizarra.engine.reset import UndoRun
from pizarra.engine.undo import discard_old_undo, undo_ages
from pizarra.errors import PizarraError, Unsupported
from pizarra.model.facts import Power, Seat
from pizarra.model.outcome import Outcome, Report
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.reset import SeatPlan, Step
from pizarra.planner.undo import plan_undo
from pizarra.service.claims import Claimed, Numbers, claiming_to_undo
from pizarra.service.context import Context
from pizarra.storage.interface import RepairStore


def undo(context: Context, classroom: str, numbers: Numbers = None) -> Report:
    """Give seats the content that their last reset took away. Raises Unsupported when no seat has
    any."""
    began = time.perf_counter()
    host = context.host
    with claiming_to_undo(context, classroom, numbers) as claimed:
        completed = _completed_plans(context, claimed)
        seats = claimed.seats
        others = [seat for seat in seats if seat.name not in completed]
        discard_old_undo(host, others, context.emit)
        there, able = undo_ages(host, others), host.storages.capabilities
        plan = plan_undo(classroom, seats, there, able, completed=completed)
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


def _completed_plans(context: Context, claimed: Claimed) -> dict[str, SeatPlan]:
    """By name, the seats whose undo was cut off and is completed by now: a second undo would revert
    it. Their machines start if that undo would have started them."""
    found: dict[str, SeatPlan] = {}
    for seat in claimed.seats:
        its = claimed.completed.get(seat.name)
        if its is not None and its.action is Action.UNDO and its.result in _OUTCOMES:
            starts = its.is_due_to_run and seat.power is Power.OFF
            found[seat.name] = SeatPlan(
                seat=seat,
                steps=(Step.START,) if starts else (),
                outcome=_OUTCOMES[its.result],
                reason=undone_reason() if its.result is Result.DONE else its.reason,
            )
        elif its is None and _was_completed(context, seat):
            reason = undone_reason()
            found[seat.name] = SeatPlan(seat=seat, outcome=Outcome.UNCHANGED, reason=reason)
    return found


_OUTCOMES = {Result.DONE: Outcome.UNCHANGED, Result.FINISHED: Outcome.DONE}


def _was_completed(context: Context, seat: Seat) -> bool:
    """Whether another command completed the undo and left a note for this one. The note counts
    once."""
    index = context.host.undo_index
    known = {volume.uuid: kept for volume in seat.volumes if (kept := index.get(volume))}
    if not any(kept.is_undone for kept in known.values()):
        return False
    for uuid, kept in known.items():
        if kept.slot:
            index.put({uuid: kept.slot}, kept.since)
    return True


def settle_undos(context: Context, facts: HostFacts) -> list[PizarraError]:
    """For ``recover``: undos that were cut off, and what is kept of seats that are gone. What
    stopped it in a pool that is not well; the other pools' are settled."""
    faults: list[PizarraError] = []
    places = {
        (pool.kind, pool.place)
        for pool in facts.pools
        if pool.kind in context.host.storages.capabilities
    }
    in_records = partial(volumes_in_records, context.host.journal, facts.volumes)
    seats = [seat for room in facts.classrooms.values() for seat in room.seats]
    volumes = [volume for seat in seats for volume in seat.volumes]
    for kind, place in sorted(places):
        these = [one for one in volumes if (one.kind, one.place) == (kind, place)]
        try:
            storage = context.host.storages.at(kind, place)
            if not isinstance(storage, RepairStore):
                continue
            for told in storage.repair_after_crash(these, in_records):
                context.emit(Noted(text="{what}.", facts={"what": told}))
        except PizarraError as error:
            faults.append(error)
    return faults
