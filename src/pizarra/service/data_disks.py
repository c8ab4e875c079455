"""Data disks go from seat to seat: a student who changes places takes their data along."""

from __future__ import annotations

import time

from pizarra.errors import BadInput
from pizarra.model.facts import Power, Seat, Volume
from pizarra.model.labels import Labels
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.planner import provision
from pizarra.service.claims import claimed_seats, seats_seen
from pizarra.service.context import Context


def swapped(context: Context, classroom: str, one: int, other: int) -> Report:
    """The data disks of two seats that are off change places. Raises BadInput."""
    began = time.perf_counter()
    if one == other:
        raise BadInput("A seat has its own data already.", "Name two seats.")
    with claimed_seats(context, classroom, [one, other], "classroom swap-data") as seats:
        for seat in seats:
            _ready_checked(seat)
        first, second = seats
        wished: dict[Volume, Labels] = {}
        for volumes, to in ((first.data, second), (second.data, first)):
            for volume in volumes:
                assert volume.labels is not None, "chosen by its labels"
                wished[volume] = volume.labels.but(seat=to.number, domain=to.domain_uuid)
        context.host.relabelled(wished)
        capabilities = context.host.storages.capabilities
        for seat in seats_seen(context, classroom, [one, other])[1]:
            context.host.compute.define(provision.domain_spec(seat, capabilities))
    return Report(
        classroom=classroom,
        verb="classroom swap-data",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=tuple(SeatOutcome(seat=seat.name, outcome=Outcome.DONE) for seat in seats),
    )


def _ready_checked(seat: Seat) -> None:
    if seat.fault:
        raise BadInput("{seat}: {why}.", seat=seat.name, why=seat.fault)
    if not seat.data:
        raise BadInput(
            "{seat} has no data disk.",
            "A template gives one to its seats: pizarra template import --data",
            seat=seat.name,
        )
    if seat.power is not Power.OFF:
        raise BadInput(
            "{seat} is {power}: its data disk is in use.",
            "Stop it first: pizarra stop {room} {n}",
            seat=seat.name,
            power=seat.power,
            room=seat.classroom,
            n=seat.number,
        )
