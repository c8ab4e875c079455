"""The record of a classroom. It is written where the seats are, and rebuilt when it is missing.

``recover`` also rewrites labels of an older format here, for all volumes of a host.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from pizarra.compute.domain_edit import network_of, resources_of
from pizarra.engine.events import Noted
from pizarra.errors import Busy, ComputeFault
from pizarra.model.classroom_record import ClassroomRecord, new_id
from pizarra.model.facts import Classroom, Power, Seat, Volume
from pizarra.model.labels import (
    CheckpointLabels,
    FillingLabels,
    InspectionLabels,
    Labels,
    SeatLabels,
    TemplateLabels,
    seat_labels_of,
)
from pizarra.model.sentence import N_
from pizarra.planner.host_facts import HostFacts
from pizarra.service.context import Context


def write_record(context: Context, classroom: Classroom, record: ClassroomRecord) -> None:
    """Write the record of a classroom, then remove what its seats carried of an older record."""
    volume = classroom.seats[0].volumes[0]
    context.host.storages.at(volume.kind, volume.place).write_record(record)
    wished: dict[Volume, Labels] = {
        volume: replace(volume.labels, record=None)
        for seat in classroom.seats
        for volume in seat.all_volumes
        if volume.labels.record is not None or volume.has_old_labels
    }
    context.host.set_labels(wished)


def remove_record(context: Context, facts: HostFacts, name: str) -> None:
    """Remove the record of a classroom whose seats are gone. It may be gone already."""
    for one in facts.records:
        if one.classroom == name:
            context.host.storages.at(one.kind, one.place).remove_record(name)


def recover(context: Context, facts: HostFacts) -> None:
    """Write records that are missing, remove those of no classroom, and rewrite labels of an older
    format. What another command works on is left for the next time."""
    for name, classroom in facts.classrooms.items():
        if not classroom.recorded_at or not classroom.record.id or _carries(classroom):
            _unless_busy(context, f"classroom:{name}", partial(_recover_classroom, context, name))
    mentioned = {labels.classroom for v in facts.volumes.values()
                 if (labels := seat_labels_of(v.labels))}  # fmt: skip
    for name in sorted({one.classroom for one in facts.records} - mentioned):
        _unless_busy(context, f"classroom:{name}", partial(_remove_orphan, context, name))
    _renew_labels(context, facts)


def _remove_orphan(context: Context, name: str) -> None:
    now = context.host.observe()
    if name not in now.classrooms:
        remove_record(context, now, name)


def _carries(classroom: Classroom) -> bool:
    """Whether the labels of its seats have to be rewritten."""
    volumes = (volume for seat in classroom.seats for volume in seat.all_volumes)
    return any(one.has_old_labels or one.labels.record is not None for one in volumes)


def _unless_busy(context: Context, owner: str, act: Callable[[], None]) -> None:
    with suppress(Busy), context.claim([owner], N_("recover"), wait_s=0):
        act()


def _recover_classroom(context: Context, name: str) -> None:
    classroom = context.host.observe().classroom(name)
    record = classroom.record
    if classroom.record_fault:
        found = _rebuilt(context, classroom)
        if found is None:
            return
        record = found
        text = N_(
            "The record of {name} was missing. It is written again from its machines; "
            "its policy and the way out of its network are the usual ones: "
            "pizarra classroom apply FILE"
        )
        context.emit(Noted(text=text, facts={"name": classroom.name}))
    id_ = record.id or new_id(rebuilt=bool(classroom.record_fault))
    write_record(context, classroom, replace(record, id=id_))


def _rebuilt(context: Context, classroom: Classroom) -> ClassroomRecord | None:
    """A record made from the first machine that libvirt still knows. None when libvirt knows no
    machine, and for a record that exists but cannot be read: a newer version may have written
    it."""
    if classroom.recorded_at:
        return None
    for seat in classroom.seats:
        if seat.power is not Power.ABSENT:
            with suppress(ComputeFault):
                return _from_machine(context, classroom, seat)
    return None


def _from_machine(context: Context, classroom: Classroom, seat: Seat) -> ClassroomRecord:
    xml = context.host.compute.xml(seat.domain_uuid)
    memory_bytes, vcpus = resources_of(xml)
    return replace(
        classroom.record, memory_bytes=memory_bytes, vcpus=vcpus, network=network_of(xml)
    )


def _renew_labels(context: Context, facts: HostFacts) -> None:
    """Rewrite the labels of templates and checkpoints, with their owner claimed meanwhile. Those of
    seats are done before."""
    by_owner: dict[str, dict[Volume, Labels]] = {}
    for volume in facts.volumes.values():
        if volume.has_old_labels and volume.labels and (owner := _owner(volume.labels)):
            by_owner.setdefault(owner, {})[volume] = volume.labels
    for owner, wished in by_owner.items():
        _unless_busy(context, owner, partial(context.host.set_labels, wished))


def _owner(labels: Labels) -> str:
    """The name to claim for a change of this volume; empty for a volume that is not whole, or is
    done elsewhere."""
    match labels:
        case SeatLabels() | FillingLabels() | InspectionLabels():
            return ""
        case CheckpointLabels():
            return f"classroom:{labels.classroom}"
        case TemplateLabels():
            return f"template:{labels.template}"
        case _:
            seat = seat_labels_of(labels)
            return f"classroom:{seat.classroom}" if seat else ""
