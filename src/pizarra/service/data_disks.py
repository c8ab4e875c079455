"""Move data disks from seat to seat: a student who changes places takes the data disk along.

The journal says first which seat gets which disk. Until the exchange is done, both machines are
defined without a data disk. So a kill in the middle shows nobody another student's work, and
``recover`` does what the record says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace

from pizarra.engine.events import Noted
from pizarra.engine.journal import Action, Record, SeatEntry, VolumeEntry
from pizarra.errors import BadInput, Busy, NotFound
from pizarra.model.facts import Power, Seat, Volume, has_labels
from pizarra.model.labels import Labels, SeatLabels
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.sentence import N_
from pizarra.planner import provision
from pizarra.service.claims import claiming_seats, look_at_seats
from pizarra.service.context import Context
from pizarra.system.locks import who

_OLD_NOTES = "data-swaps"  # in the state folder, of a Pizarra without a journal


def swap(context: Context, classroom: str, one: int, other: int) -> Report:
    """Exchange the data disks of two seats that are off. Raises BadInput."""
    began = time.perf_counter()
    if one == other:
        raise BadInput("A seat has its own data already.", "Name two seats.")
    verb = N_("classroom swap-data")
    with claiming_seats(context, classroom, [one, other], verb) as seats:
        for seat in seats:
            _check_ready(seat)
        first, second = seats
        entries = (_entry(first, second.data), _entry(second, first.data))
        with context.host.journal.begin(verb, Action.SWAP_DATA, who(), entries) as opened:
            _finish(context, classroom, [one, other], _going(opened.record))
            opened.close()
    return Report(
        classroom=classroom,
        verb=verb,
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=tuple(SeatOutcome(seat=seat.name, outcome=Outcome.DONE) for seat in seats),
    )


def _entry(seat: Seat, gets: tuple[Volume, ...]) -> SeatEntry:
    volumes = tuple(
        VolumeEntry(uuid=one.uuid, kind=one.kind, place=one.place, name=one.name) for one in gets
    )
    return SeatEntry(
        seat=seat.name,
        classroom=seat.classroom,
        number=seat.number,
        domain=seat.domain_uuid,
        volumes=volumes,
    )


def _going(record: Record) -> dict[str, int]:
    """The number of the seat that gets each disk, by UUID of the disk."""
    return {volume.uuid: entry.number for entry in record.seats for volume in entry.volumes}


def recover(context: Context) -> None:
    """Complete all exchanges that were cut off. Raises PizarraError."""
    for record in context.host.journal.records()[0]:
        if record.action is Action.SWAP_DATA:
            complete_swap(context, record)
    _migrate_notes(context)


def complete_swap(context: Context, record: Record) -> None:
    """Complete an exchange by its record, if the owner of the record is dead. Raises
    PizarraError."""
    try:
        opened = context.host.journal.take_over(record)
    except Busy:
        return  # it lives
    with opened:
        numbers = sorted(entry.number for entry in record.seats)
        _finish_claimed(context, record.seats[0].classroom, numbers, _going(record))
        opened.close()


def _finish_claimed(
    context: Context, room: str, numbers: list[int], going: Mapping[str, int]
) -> None:
    try:
        with claiming_seats(context, room, numbers, N_("recover")):
            _finish(context, room, numbers, going)
    except NotFound:
        return  # deleted since, with its data or without
    text = N_("{room}: the data of machines {one} and {other} changes places, as was begun.")
    facts: dict[str, object] = {"room": room, "one": numbers[0], "other": numbers[1]}
    context.emit(Noted(text=text, facts=facts))


def _migrate_notes(context: Context) -> None:
    for note in sorted((context.host.settings.state_folder / _OLD_NOTES).glob("[!.]*")):
        told = json.loads(note.read_text(encoding="utf-8"))
        _finish_claimed(context, told["classroom"], told["seats"], told["going"])
        note.unlink()


def _finish(context: Context, classroom: str, numbers: list[int], going: Mapping[str, int]) -> None:
    """Do what the record says. It may be done twice."""
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
