"""After a crash: look at what there is, and finish or repeat. Twice changes nothing."""

from __future__ import annotations

import time

from pizarra.engine.events import Began, Noted
from pizarra.engine.power import each_seat
from pizarra.errors import PizarraError
from pizarra.model.facts import Power, Seat
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.sentence import Sentence, joined
from pizarra.planner import provision
from pizarra.planner.reset import pairs_of
from pizarra.service import data_disks, identity, inspect, maintenance, undo, upgrade
from pizarra.service.adoption_ends import left_over_settled
from pizarra.service.classrooms import network_restored
from pizarra.service.context import Context
from pizarra.system.locks import claimed


def recovered(context: Context) -> list[Report]:
    """Every classroom of the host; left-over imports are removed first.

    What goes wrong stops nothing else: it is told, and the first such error is raised at the end.
    """
    faults = _left_overs_settled(context)
    reports = []
    for name in context.host.observe().classrooms:
        try:
            reports.append(_classroom_recovered(context, name))
        except PizarraError as error:
            faults.append(error)
    for fault in faults:
        context.emit(Noted(text="Not recovered: {why}", facts={"why": fault}))
    if faults:
        raise faults[0]
    return reports


def _left_overs_settled(context: Context) -> list[PizarraError]:
    faults = undo.settled(context, context.host.observe())  # first: a pool may be stuck in it
    left_over_settled(context, context.host.observe())
    inspect.left_over_removed(context)
    try:
        data_disks.recovered(context)
    except PizarraError as error:
        faults.append(error)
    facts = context.host.observe()
    for part in (maintenance.recovered, upgrade.recovered, identity.recovered):
        try:
            part(context, facts)
        except PizarraError as error:
            faults.append(error)
    return faults


def _classroom_recovered(context: Context, name: str) -> Report:
    began = time.perf_counter()
    with claimed([name], "recover", wait_s=context.wait_s):
        classroom = context.host.observe().classroom(name)
        context.emit(Began(what="recover", total=len(classroom.seats)))
        network_restored(context, classroom)
        outcomes = each_seat(
            context.host,
            "recover",
            classroom.seats,
            lambda seat: _seat_recovered(context, seat),
            context.emit,
        )
    return Report(
        classroom=name,
        verb="recover",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
    )


def _seat_recovered(context: Context, seat: Seat) -> SeatOutcome:
    """A machine that is gone is defined again; disks that a reset left half-way are rewound."""
    host, mended = context.host, []
    if seat.power is Power.ABSENT:
        if seat.labels.name:
            return SeatOutcome(
                seat=seat.name,
                outcome=Outcome.UNKNOWN,
                reason="its machine is gone, and it was not ours to describe",
            )
        host.compute.define(provision.domain_spec(seat, host.storages.capabilities))
        mended.append(Sentence("machine defined again"))
    if seat.power in (Power.OFF, Power.ABSENT) and _half_way(context, seat):
        faults = host.rewound(list(pairs_of(seat)))
        for fault in faults.values():
            if fault is not None:
                return SeatOutcome(seat=seat.name, outcome=Outcome.UNKNOWN, reason=joined([fault]))
        mended.append(Sentence("disks put back to the original"))
    return SeatOutcome(
        seat=seat.name,
        outcome=Outcome.DONE if mended else Outcome.UNCHANGED,
        reason=joined(mended) or None,
    )


def _half_way(context: Context, seat: Seat) -> bool:
    """Whether a reset of it was cut off in the middle."""
    storages = [(context.host.storage_of(volume), volume) for volume in seat.volumes]
    awake = [storage.woken(volume) for storage, volume in storages]
    return not all(awake) or any(storage.is_detached(volume) for storage, volume in storages)
