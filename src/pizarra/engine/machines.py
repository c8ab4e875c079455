"""The machines of seats, held against what they were made as; and put right.

Of a machine of ours its disks and its classroom's record say what it was made as. Of an adopted one
the XML is kept that it had when it was adopted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pizarra.compute.definition import definition_of, parse_definition, parse_live_disks
from pizarra.compute.definition_edit import carry_changes, replace_content
from pizarra.compute.domain_edit import parse_domain
from pizarra.compute.seat_metadata import is_ours
from pizarra.engine.host import Host
from pizarra.errors import ComputeFault, PizarraError, Unsupported
from pizarra.model.definition import NO_DRIFT, Definition, Difference, Drift, Grade
from pizarra.model.facts import Maintenance, Power, Seat
from pizarra.model.sentence import join
from pizarra.planner.definition_diff import adopted_differences, diff_definitions, live_differences
from pizarra.planner.drift import Judge, is_kept, of_content, to_put_right, words
from pizarra.planner.maintenance import machine
from pizarra.planner.provision import domain_spec

_OFF = (Power.OFF, Power.CRASHED)


def examine(host: Host, seats: Sequence[Seat], judge: Judge) -> tuple[Seat, ...]:
    """The seats with their drift. What ``judge`` says of it is a fault of the seat, and so is a
    machine that libvirt cannot describe. Two calls to libvirt a seat that runs, else one."""
    return tuple(_examine(host, seat, judge) for seat in seats)


def _examine(host: Host, seat: Seat, judge: Judge) -> Seat:
    if seat.fault or seat.power is Power.ABSENT:
        return seat
    try:
        examined = replace(seat, drift=_drift(host, seat))
    except PizarraError as error:
        return replace(seat, fault=join([error]))
    return replace(examined, fault=judge(examined))


def _drift(host: Host, seat: Seat) -> Drift:
    present = parse_definition(host.compute.xml(seat.domain_uuid))
    defined = _differences(host, seat, present)
    if seat.power in _OFF:
        return Drift(defined=defined) if defined else NO_DRIFT
    disks = parse_live_disks(host.compute.live_xml(seat.domain_uuid))
    live = live_differences(present.disks, disks)
    return Drift(defined=defined, live=live) if defined or live else NO_DRIFT


def _differences(host: Host, seat: Seat, present: Definition) -> tuple[Difference, ...]:
    if not seat.is_adopted:
        return diff_definitions(definition_of(domain_spec(seat)), present)
    if made := host.definitions.get(seat.domain_uuid):
        return diff_definitions(parse_definition(made), present)
    return adopted_differences({one.labels.disk: one.path for one in seat.all_volumes}, present)


def check_maintained(host: Host, maintenance: Maintenance) -> str | None:
    """What was changed of the hardware of the machine of a version that is being made, in words.

    Raises ComputeFault when that machine does not write to the disks that the version will be made
    of, or when somebody means to go back to what it was.
    """
    if maintenance.power is Power.ABSENT:
        return None
    uuid = maintenance.domain_uuid
    present = parse_definition(host.compute.xml(uuid))
    found = [*diff_definitions(definition_of(machine(maintenance)), present)]
    if maintenance.power not in _OFF:
        found += live_differences(present.disks, parse_live_disks(host.compute.live_xml(uuid)))
    if wrong := of_content(found):
        raise ComputeFault(
            "The machine {name} does not use the disks of its template: {what}.",
            "After a snapshot: virsh blockcommit {name} vda --active --pivot",
            name=maintenance.name,
            what=words(wrong),
        )
    if maintenance.has_saved_ram:
        raise ComputeFault(
            "The RAM of {name} is saved, and what it has not written yet is in there.",
            "Start it, and shut it down: virsh start {name}; virsh shutdown {name}",
            name=maintenance.name,
        )
    if maintenance.has_snapshots:
        raise ComputeFault(
            "The machine {name} has snapshots of libvirt's own, which would be forgotten.",
            "See virsh snapshot-list {name}; then virsh snapshot-delete {name} SNAPSHOT --metadata",
            name=maintenance.name,
        )
    return words(tuple(one for one in found if one.grade is Grade.HARDWARE))


def redefine(host: Host, was: Seat, now: Seat, seed: Path | None = None) -> str | None:
    """Define the machine of a seat that was made as ``was`` says as ``now`` says. What somebody did
    to its hardware meanwhile stays, if the policy of ``now`` keeps that; what stays, in words.

    The machine has the disk ``seed``, if one is named. Raises ComputeFault, NotOurs.
    """
    xml = _next_xml(host, was, now, seed)
    if xml is None:
        host.compute.define(replace(domain_spec(now), seed=seed))
        return None
    host.compute.redefine(xml)
    return words(_hardware(now, parse_definition(xml)))


def plan_redefinition(host: Host, was: Seat, now: Seat) -> tuple[str | None, str | None]:
    """What of the machine's hardware ``redefine`` would keep, and what would go, in words.

    ``was`` has its drift. Raises ComputeFault.
    """
    changed = tuple(one for one in was.drift.defined if one.grade is Grade.HARDWARE)
    if not changed:
        return None, None
    xml = _next_xml(host, was, now)
    after = parse_definition(xml) if xml else definition_of(domain_spec(now))
    stays = {str(one.what) for one in _hardware(was, after)}
    return words(_hardware(now, after)), words(
        tuple(one for one in changed if str(one.what) not in stays)
    )


def _next_xml(host: Host, was: Seat, now: Seat, seed: Path | None = None) -> str | None:
    """None for a machine that is to be defined whole."""
    if now.power is Power.ABSENT or not is_kept(now):
        return None
    present = host.compute.xml(now.domain_uuid)
    if not is_ours(parse_domain(present)):
        return None  # ``define`` refuses it
    made = host.compute.made_xml(replace(domain_spec(now), seed=seed))
    carried = carry_changes(present, host.compute.made_xml(domain_spec(was)), made)
    return replace_content(carried, made)


def _hardware(seat: Seat, present: Definition) -> tuple[Difference, ...]:
    """What hardware a machine with this definition has that it was not made with."""
    differences = diff_definitions(definition_of(domain_spec(seat)), present)
    return tuple(one for one in differences if one.grade is Grade.HARDWARE)


def put_right(host: Host, seat: Seat) -> Path:
    """Define the machine of a seat that is off as it was made, but for what its classroom's policy
    keeps. The path of the definition that it had. Raises ComputeFault, Unsupported."""
    present = host.compute.xml(seat.domain_uuid)
    made = _made_xml(host, seat)
    before = host.definitions.put_before(seat.domain_uuid, present)
    host.compute.redefine(replace_content(present, made) if is_kept(seat) else made)
    left = to_put_right(replace(seat, drift=_drift(host, replace(seat, power=Power.OFF))))
    if left:
        raise ComputeFault("{name}: {what}.", name=seat.name, what=words(left))
    return before


def _made_xml(host: Host, seat: Seat) -> str:
    if not seat.is_adopted:
        return host.compute.made_xml(domain_spec(seat))
    if made := host.definitions.get(seat.domain_uuid):
        return made
    raise Unsupported(
        "Nobody knows how the machine {name} was when it was adopted.",
        "Put it right with: virsh edit {name}",
        name=seat.name,
    )


def is_known_by_disks_only(host: Host, seat: Seat) -> bool:
    """Whether it was adopted by a version that did not keep how its machine was."""
    return seat.is_adopted and host.definitions.get(seat.domain_uuid) is None


def keep_adopted(host: Host, seat: Seat) -> None:
    """Of an adopted machine of which nobody keeps how it was: it is so from now on, if it uses its
    disks. Raises StorageFault, ComputeFault."""
    if (
        is_known_by_disks_only(host, seat)
        and seat.power is not Power.ABSENT
        and not _drift(host, seat)
    ):
        host.definitions.put(seat.domain_uuid, host.compute.xml(seat.domain_uuid))
