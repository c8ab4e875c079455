"""Data disks go from seat to seat: a student who changes places takes their data along.

Whose disk goes where is noted first. Until it is done both machines have none: a kill in the
middle shows nobody another's work, and ``recover`` ends what the note says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pizarra.engine.events import Noted
from pizarra.errors import BadInput, NotFound
from pizarra.model.facts import Power, Seat, Volume, has_labels
from pizarra.model.labels import Labels, SeatLabels
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.planner import provision
from pizarra.service.claims import claiming_seats, look_at_seats
from pizarra.service.context import Context
from pizarra.system.file_copies import write_atomically

NOTES = Path("/var/lib/pizarra/data-swaps")


def swap(context: Context, classroom: str, one: int, other: int) -> Report:
    """The data disks of two seats that are off change places. Raises BadInput."""
    began = time.perf_counter()
    if one == other:
        raise BadInput("A seat has its own data already.", "Name two seats.")
    with claiming_seats(context, classroom, [one, other], "classroom swap-data") as seats:
        for seat in seats:
            _check_ready(seat)
        first, second = seats
        going = {volume.uuid: second.number for volume in first.data}
        going |= {volume.uuid: first.number for volume in second.data}
        note = NOTES / f"{classroom}-{min(one, other)}-{max(one, other)}"
        NOTES.mkdir(mode=0o700, parents=True, exist_ok=True)
        what = {"classroom": classroom, "seats": [one, other], "going": going}
        write_atomically(note, json.dumps(what))  # before anything changes
        _finish(context, classroom, [one, other], going)
        note.unlink()
    return Report(
        classroom=classroom,
        verb="classroom swap-data",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=tuple(SeatOutcome(seat=seat.name, outcome=Outcome.DONE) for seat in seats),
    )


def recover(context: Context) -> None:
    """Swaps that were cut off are ended. Raises PizarraError."""
    for note in sorted(NOTES.glob("[!.]*")):
        told = json.loads(note.read_text(encoding="utf-8"))
        room, numbers = told["classroom"], told["seats"]
        try:
            with claiming_seats(context, room, numbers, "recover"):
                _finish(context, room, numbers, told["going"])
        except NotFound:
            pass  # deleted since, with its data or without
        else:
            text = "{room}: the data of machines {one} and {other} changes places, as was begun."
            facts = {"room": room, "one": numbers[0], "other": numbers[1]}
            context.emit(Noted(text=text, facts=facts))
        note.unlink()


def _finish(context: Context, classroom: str, numbers: list[int], going: Mapping[str, int]) -> None:
    """Twice is once."""
    facts, seats = look_at_seats(context, classroom, numbers)
    by_number = {seat.number: seat for seat in seats}
    for seat in seats:
        bare = provision.domain_spec(replace(seat, data=()))
        context.host.compute.define(bare)
    wished: dict[Volume, Labels] = {}
    for uuid, number in going.items():
        volume = facts.volumes.get(uuid)
        if volume is not None and has_labels(volume, SeatLabels):
            machine = by_number[number].domain_uuid
            wished[volume] = replace(volume.labels, seat=number, domain=machine)
    context.host.set_labels(wished)
    for seat in look_at_seats(context, classroom, numbers)[1]:
        context.host.compute.define(provision.domain_spec(seat))


def _check_ready(seat: Seat) -> None:
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
