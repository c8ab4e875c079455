"""Move a classroom to another version of its template, newer or older."""

from __future__ import annotations

import time
from dataclasses import replace

from pizarra.engine.events import Noted
from pizarra.engine.power import each_seat
from pizarra.errors import PizarraError, Unsupported
from pizarra.model.classroom_spec import check_version
from pizarra.model.facts import Classroom, Seat
from pizarra.model.names import check_name
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.sentence import N_, join
from pizarra.planner import provision
from pizarra.planner.host_facts import HostFacts, choose_seats
from pizarra.planner.upgrade import SeatMove, check_target, seat_moves, seat_volume_moves
from pizarra.service import records
from pizarra.service.claims import Numbers, check_may_reset, complete_cut_off
from pizarra.service.context import Context
from pizarra.storage.interface import Faults, Storage


def upgrade(context: Context, name: str, numbers: Numbers = None, *, version: int = 0) -> Report:
    """Move seats to a version, the newest when none is named: at their next reset, or at once on
    storage where a seat cannot stand on another golden volume."""
    began = time.perf_counter()
    check_name(name, N_("classroom"))
    check_version(version)
    classroom = context.host.observe().classroom(name)
    with context.claim(
        [f"classroom:{name}"],
        N_("classroom upgrade"),
        shared=[f"template:{classroom.record.template}"],
        wait_s=context.wait_s,
    ):
        complete_cut_off(context, classroom.seats)
        facts = context.host.observe()
        classroom = facts.classroom(name)
        storage = _storage(context, classroom)
        target = facts.template(classroom.record.template, storage.kind, storage.place, version)
        seats = choose_seats(classroom, numbers)
        for present in {seat.labels.version for seat in seats}:
            its = facts.template(target.name, target.kind, target.place, present)
            check_target(target, its)
        at_reset = storage.capabilities.rebase_at_reset
        if not at_reset:
            check_may_reset(context, seats)
        outcomes = _move(context, storage, seat_moves(seats, target, at_reset=at_reset))
        _record_version(context, context.host.observe().classroom(name), target.version)
    return Report(
        classroom=name,
        verb="upgrade",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
        extra={
            "template": target.name,
            "version": target.version,
            "when": "next reset" if at_reset else "now",
        },
    )


def _record_version(context: Context, classroom: Classroom, version: int) -> None:
    """Write the version into the classroom's record when all seats have it. Seats that are added
    later get it."""
    theirs = {seat.labels.version for seat in classroom.seats}
    if theirs == {version} and classroom.record.version != version:
        records.write_record(context, classroom, replace(classroom.record, version=version))


def _storage(context: Context, classroom: Classroom) -> Storage:
    volume = classroom.seats[0].volumes[0]
    if not classroom.record.template or classroom.is_adopted:
        raise Unsupported(
            "The classroom {name} has adopted machines, which are of no template.",
            "Change those with virsh; pizarra resets them as they are.",
            name=classroom.name,
        )
    return context.host.storages.at(volume.kind, volume.place)


def at_once(context: Context, name: str) -> bool:
    """Whether an upgrade of this classroom destroys the content of its seats at once."""
    check_name(name, N_("classroom"))
    classroom = context.host.observe().classroom(name)
    return not _storage(context, classroom).capabilities.rebase_at_reset


def _move(
    context: Context, storage: Storage, plans: tuple[SeatMove, ...]
) -> tuple[SeatOutcome, ...]:
    """Move all volumes in one batch. Then each machine's metadata gets the new version too."""
    faults = storage.rebase([move for one in plans for move in one.moves])
    present = {
        seat.name: seat
        for classroom in context.host.observe().classrooms.values()
        for seat in classroom.seats
    }
    by_name = {one.seat.name: one for one in plans}

    def settle(seat: Seat) -> SeatOutcome:
        plan = by_name[seat.name]
        if plan.outcome is not None:
            return SeatOutcome(seat=seat.name, outcome=plan.outcome, reason=plan.reason)
        if fault := _first(faults, plan):
            return SeatOutcome(seat=seat.name, outcome=Outcome.FAILED, reason=join([fault]))
        now = present.get(seat.name, seat)
        spec = provision.domain_spec(now)
        context.host.compute.define(spec)
        return SeatOutcome(seat=seat.name, outcome=Outcome.DONE)

    return each_seat(context.host, N_("upgrade"), [one.seat for one in plans], settle, context.emit)


def _first(faults: Faults, plan: SeatMove) -> PizarraError | None:
    its = (faults.get(move.volume.uuid) for move in plan.moves)
    return next((fault for fault in its if fault is not None), None)


def recover(context: Context, facts: HostFacts) -> None:
    """Complete upgrades that were cut off: a seat whose disks name two versions follows its first
    disk."""
    for classroom in facts.classrooms.values():
        for seat in classroom.seats:
            if len({v.labels.version for v in seat.volumes}) > 1:
                with context.claim(
                    [f"classroom:{classroom.name}"], N_("recover"), wait_s=context.wait_s
                ):
                    _settle_versions(context, facts, seat)


def _settle_versions(context: Context, facts: HostFacts, seat: Seat) -> None:
    volume = seat.volumes[0]
    target = facts.template(seat.labels.template, volume.kind, volume.place, seat.labels.version)
    moves = seat_volume_moves(seat, target)
    faults = context.host.storages.at(volume.kind, volume.place).rebase(moves)
    for fault in filter(None, faults.values()):
        context.emit(Noted(text="{name}: {why}", facts={"name": seat.name, "why": fault}))
