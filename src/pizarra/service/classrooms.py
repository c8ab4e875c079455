"""Classrooms: create, list, show, resize, delete. What fails half-way is reverted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pizarra.engine.events import Began, Noted, Settled
from pizarra.engine.machines import examine
from pizarra.engine.power import each_seat
from pizarra.errors import BadInput, NotOurs, PizarraError, Unsupported
from pizarra.model.classroom_record import ClassroomRecord, new_id
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Classroom, Power, Seat, Template
from pizarra.model.labels import IDENTITY
from pizarra.model.names import check_name
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.policy import Policy
from pizarra.model.sentence import N_, Sentence, join
from pizarra.planner import provision
from pizarra.planner.checkpoints import of_seats
from pizarra.planner.drift import redefine_fault
from pizarra.planner.host_facts import HostFacts
from pizarra.service import inspect, records
from pizarra.service.adopt import let_go
from pizarra.service.claims import check_may_reset, complete_cut_off
from pizarra.service.context import Context
from pizarra.service.limits import check_disk, check_limits, check_policy
from pizarra.service.look import look_at_all
from pizarra.service.networks import macs_by_number, make_class_network
from pizarra.storage.interface import Faults, RewindTarget


def create(context: Context, spec: ClassroomSpec, id_: str = "") -> Report:
    """Make N seats of a template: all of them, or none. ``id_`` is the id of the new classroom;
    without it one is made.

    Raises Forbidden for what the limits of a teacher do not allow.
    """
    check_limits(context, spec)
    began = time.perf_counter()
    with context.claim(
        [f"classroom:{spec.name}"],
        N_("classroom create"),
        shared=[f"template:{spec.template}"],
        wait_s=context.wait_s,
    ):
        facts = context.host.observe()
        provision.check_new(facts, spec)
        template = _template(context, facts, spec)
        record = provision.record_of(spec, template.version, id_ or new_id())
        numbers = list(range(1, spec.seats + 1))
        seats = _make_seats(context, facts, template, spec, numbers, record)
    return _report(spec.name, "create", seats, began)


def _template(context: Context, facts: HostFacts, spec: ClassroomSpec) -> Template:
    template = facts.template(spec.template, spec.storage, spec.vg, spec.version)
    provision.check_template(template, spec, context.host.storages.capabilities)
    return template


def _make_seats(
    context: Context,
    facts: HostFacts,
    template: Template,
    spec: ClassroomSpec,
    numbers: Sequence[int],
    record: ClassroomRecord,
) -> tuple[SeatOutcome, ...]:
    """Make volumes, then the network, then machines. When one cannot be made, all of it is reverted
    in reverse."""
    context.emit(Began(what=N_("create"), total=len(numbers)))
    try:
        storage = context.host.storages.at(template.kind, template.place)
        if spec.name not in facts.classrooms:  # first: no seat is ever without
            storage.write_record(record)
        macs = context.host.compute.macs()
        uuids = provision.choose_uuids(facts, spec.name, numbers, context.host.identity, macs)
        for golden, new in provision.seat_volumes(template, spec, uuids):
            storage.create_seats(golden, new)
        made = _make(context.host.observe(), spec.name, numbers)
        before = facts.classrooms.get(spec.name)
        present = before.seats if before else ()
        make_class_network(context, spec.name, spec.network, [*present, *made])
        return _make_machines(context, made)
    except BaseException:
        _take_back(context, facts, spec.name, numbers)
        raise


def _make(facts: HostFacts, name: str, numbers: Sequence[int]) -> list[Seat]:
    """The seats just made, as LVM reports them. Raises PizarraError when one is missing."""
    present = facts.classrooms.get(name)
    seats = [seat for seat in present.seats if seat.number in set(numbers)] if present else []
    for seat in seats:
        if seat.fault:
            raise PizarraError("{seat}: {why}.", seat=seat.name, why=seat.fault)
    if len(seats) != len(numbers):
        raise PizarraError(
            "Only {made} of {wished} seats were made.", made=len(seats), wished=len(numbers)
        )
    return seats


def restore_network(context: Context, classroom: Classroom) -> None:
    """Define and start the classroom's network again, if it has one of its own."""
    make_class_network(context, classroom.name, classroom.record.network, classroom.seats)


def _make_machines(context: Context, seats: Sequence[Seat]) -> tuple[SeatOutcome, ...]:
    def make(seat: Seat) -> SeatOutcome:
        context.host.compute.define(provision.domain_spec(seat))
        _give_state(context, seat)
        outcome = SeatOutcome(seat=seat.name, outcome=Outcome.DONE)
        context.emit(Settled(outcome=outcome))
        return outcome

    with ThreadPoolExecutor(context.host.settings.at_once) as threads:
        return tuple(threads.map(make, seats))


def _left_alone(context: Context, seat: str, why: str) -> SeatOutcome:
    outcome = SeatOutcome(seat=seat, outcome=Outcome.UNKNOWN, reason=why)
    context.emit(Settled(outcome=outcome))
    return outcome


def _give_state(context: Context, seat: Seat) -> None:
    """Give the machine its firmware variables and its TPM state, if it has none yet. Raises
    StorageFault."""
    first = seat.volumes[0]
    if seat.power is Power.ABSENT and first.uuid in seat.baselines:
        pair = RewindTarget(volume=first, source=seat.baselines[first.uuid])
        if fault := context.host.states.commit(pair):
            raise fault


def _take_back(context: Context, before: HostFacts, name: str, numbers: Sequence[int]) -> None:
    """Remove what this command made: only what was not there before, and is ours.

    A removal that fails is told, and the others go on.
    """

    def tried(step: Callable[[], Faults | None]) -> None:
        try:
            faults = list((step() or {}).values())
        except NotOurs:
            return  # it stood in the way, and was not made just now
        except PizarraError as error:
            faults = [error]
        for why in filter(None, faults):
            context.emit(Noted(text=N_("Not all was taken back: {why}"), facts={"why": why}))

    now = context.host.observe().classrooms.get(name)
    seats = [seat for seat in now.seats if seat.number in set(numbers)] if now else []
    for seat in seats:
        if seat.domain_uuid not in before.domains:
            tried(partial(context.host.compute.undefine, seat.domain_uuid))
    tried(partial(_restore_network_of, context, before, name))
    volumes = [v for seat in seats for v in seat.all_volumes if v.uuid not in before.volumes]
    tried(partial(context.host.remove, volumes))
    left = context.host.observe()
    if name not in left.classrooms:
        tried(partial(records.remove_record, context, left, name))


def _restore_network_of(context: Context, before: HostFacts, name: str) -> None:
    if name in before.classrooms:
        restore_network(context, before.classrooms[name])
    else:
        context.host.compute.remove_network(name, provision.network_uuid(name))


def list_classrooms(context: Context) -> tuple[Classroom, ...]:
    """All classrooms of this host."""
    return tuple(look_at_all(context).classrooms.values())


def show(context: Context, name: str) -> dict[str, Any]:
    """One classroom, with the address of each seat."""
    check_name(name, N_("classroom"))
    classroom = context.host.observe().classroom(name)
    return classroom_json(classroom) | {"addresses": addresses(context, classroom)}


def addresses(context: Context, classroom: Classroom) -> dict[str, str]:
    """Seat -> address on the classroom's own network."""
    subnet = provision.subnet_of(classroom.name, context.host.compute.network_gateways())
    if subnet is None:
        return {}
    macs = macs_by_number(classroom.seats)
    spec = provision.network_spec(classroom.name, classroom.record.network, subnet, macs)
    return {lease.name: lease.address for lease in spec.leases}


def classroom_json(classroom: Classroom) -> dict[str, Any]:
    """The form of ``classroom list`` and ``show``."""
    record = classroom.record
    return {
        "classroom": classroom.name,
        "id": record.id,
        "template": record.template,
        "version": record.version,
        "at_next_reset": sum(bool(seat.labels.content_version) for seat in classroom.seats),
        "storage": str(classroom.seats[0].volumes[0].kind),
        "place": classroom.seats[0].volumes[0].place,
        "memory_bytes": record.memory_bytes,
        "vcpus": record.vcpus,
        "network": record.network,
        "policy": policy_json(record.policy),
        "identities": sum(seat.identity is not None for seat in classroom.seats),
        "running": sum(seat.power is Power.RUNNING for seat in classroom.seats),
        "faults": {seat.name: seat.fault for seat in classroom.seats if seat.fault},
        "seats": [seat.name for seat in classroom.seats],
    }


def policy_json(policy: Policy) -> dict[str, Any]:
    """The policy, as the classroom's file would say it."""
    return {
        "after_reset": str(policy.after_reset),
        "modes": [str(mode) for mode in policy.modes],
        "reset_by": str(policy.reset_by),
        "undo_hours": policy.undo_hours,
        "minutes": policy.minutes,
        "changed_hardware": str(policy.changed_hardware),
        "growth_bytes": policy.growth_bytes,
        "weight": policy.weight,
        "nested": policy.nested,
    }


def spec_of(classroom: Classroom, *, seats: int | None = None) -> ClassroomSpec:
    """The wish that would make this classroom as it is."""
    record, volume = classroom.record, classroom.seats[0].volumes[0]
    usual = ClassroomSpec(name=classroom.name, template=record.template, seats=1)
    return ClassroomSpec(
        name=classroom.name,
        template=record.template,
        seats=seats or len(classroom.seats),
        version=record.version,
        memory_bytes=record.memory_bytes or usual.memory_bytes,
        vcpus=record.vcpus or usual.vcpus,
        network=record.network or usual.network,
        storage=volume.kind,
        vg=volume.place,
        policy=record.policy,
    )


def change_machines(context: Context, spec: ClassroomSpec) -> tuple[SeatOutcome, ...]:
    """Give the seats that are there another memory, vcpus or network, from their next start."""
    with context.claim([f"classroom:{spec.name}"], N_("classroom apply"), wait_s=context.wait_s):
        facts = context.host.observe()
        classroom = facts.classroom(spec.name)
        check_limits(context, spec, classroom)  # again: it may be another one than was planned for
        check_policy(context, spec.policy, classroom.record.policy)
        _check_not_adopted(classroom, N_("changed"))
        sound = [seat for seat in classroom.seats if not seat.fault]
        faults = {
            seat.name: seat.fault
            for seat in examine(context.host, sound, redefine_fault)
            if seat.fault
        }
        version = classroom.record.version or classroom.seats[0].labels.version
        record = provision.record_of(spec, version, classroom.record.id or new_id())
        records.write_record(context, classroom, record)
        facts = context.host.observe()
        seats = facts.classroom(spec.name).seats
        make_class_network(context, spec.name, spec.network, seats)
        outcomes = (
            *(_left_alone(context, name, why) for name, why in sorted(faults.items())),
            *_make_machines(context, [seat for seat in seats if seat.name not in faults]),
        )
        if spec.network not in provision.OWN_NETWORKS:
            context.host.compute.remove_network(spec.name, provision.network_uuid(spec.name))
    return outcomes


def resize(
    context: Context,
    name: str,
    *,
    seats: int | None = None,
    disk_bytes: int | None = None,
    with_data: bool = False,
) -> Report:
    """Add or remove seats (the highest numbers go), or grow every seat's first disk. Raises
    Forbidden, also for who may not reset and removes seats."""
    began = time.perf_counter()
    check_name(name, N_("classroom"))
    with context.claim([f"classroom:{name}"], N_("classroom resize"), wait_s=context.wait_s):
        facts = context.host.observe()
        classroom = facts.classroom(name)
        _check_not_adopted(classroom, N_("resized"))
        outcomes: tuple[SeatOutcome, ...] = ()
        if disk_bytes is not None:
            check_disk(context, disk_bytes)
            outcomes += _grow_disks(context, classroom, disk_bytes)
        if seats is not None and seats > len(classroom.seats):
            outcomes += _add_seats(context, facts, classroom, seats)
        elif seats is not None and seats < len(classroom.seats):
            _check_at_least_one(seats)
            check_may_reset(context, classroom.seats[seats:])
            _check_data(classroom.seats[seats:], with_data=with_data)
            outcomes += _remove_seats(context, classroom.seats[seats:])
    return _report(name, "resize", outcomes, began)


def _check_at_least_one(seats: int) -> None:
    if seats < 1:
        raise BadInput(
            "A classroom has at least one seat.", "To remove it: pizarra classroom delete"
        )


def _check_not_adopted(classroom: Classroom, verb: str) -> None:
    if classroom.is_adopted:
        raise Unsupported(
            "The classroom {name} has adopted machines and cannot be {verb}.",
            "Change those with virsh; pizarra resets them as they are.",
            name=classroom.name,
            verb=verb,
        )


def _add_seats(
    context: Context, facts: HostFacts, classroom: Classroom, seats: int
) -> tuple[SeatOutcome, ...]:
    if classroom.record_fault:
        raise NotOurs("{name}: {why}.", name=classroom.name, why=classroom.record_fault)
    spec = spec_of(classroom, seats=seats)
    check_limits(context, spec, classroom)
    numbers = provision.missing_numbers(classroom, seats)
    provision.check_names_free(facts, spec, numbers)
    template = _template(context, facts, spec)
    if not classroom.recorded_at:
        records.write_record(context, classroom, classroom.record)
    made = _make_seats(context, facts, template, spec, numbers, classroom.record)
    if any(seat.identity for seat in classroom.seats):
        text = N_("The new ones have no identity yet: pizarra classroom identify {name} {seats}")
        seats_text = ",".join(map(str, numbers))
        context.emit(Noted(text=text, facts={"name": classroom.name, "seats": seats_text}))
    return made


def _grow_disks(context: Context, classroom: Classroom, size_bytes: int) -> tuple[SeatOutcome, ...]:
    def grow(seat: Seat) -> SeatOutcome:
        volume = seat.volumes[0]
        if volume.size_bytes == size_bytes:
            return SeatOutcome(seat=seat.name, outcome=Outcome.UNCHANGED)
        why = N_("it runs: stop it first") if seat.power is not Power.OFF else None
        if seat.identity:
            why = Sentence(
                "its own original is smaller: pizarra checkpoint delete {classroom} {name}",
                classroom=seat.classroom,
                name=IDENTITY,
            )
        if why:
            return SeatOutcome(seat=seat.name, outcome=Outcome.SKIPPED, reason=why)
        context.host.storage_of(volume).grow(volume, size_bytes)
        return SeatOutcome(seat=seat.name, outcome=Outcome.DONE)

    return each_seat(context.host, N_("resize"), classroom.seats, grow, context.emit)


def _remove_seats(context: Context, seats: Sequence[Seat]) -> tuple[SeatOutcome, ...]:
    """Remove machines first, then disks in one batch. An adopted machine is let go, with its disks.

    Raises StorageFault before anything is removed, when the storage of a disk cannot be used.
    """
    context.host.wake(seats)

    def remove_machine(seat: Seat) -> SeatOutcome:
        inspect.remove_views_of(context, seat)
        if seat.is_adopted:
            return let_go(context, seat)
        context.host.compute.kill(seat.domain_uuid)
        context.host.compute.undefine(seat.domain_uuid)
        return SeatOutcome(seat=seat.name, outcome=Outcome.DONE, reason=_forgotten(seat))

    outcomes = each_seat(context.host, N_("delete"), seats, remove_machine, context.emit)
    gone = {one.seat for one in outcomes if one.outcome is Outcome.DONE}
    made = [seat for seat in seats if seat.name in gone and not seat.is_adopted]
    volumes = [volume for seat in made for volume in seat.all_volumes]
    going = [seat for seat in seats if seat.name in gone]
    saved = of_seats(context.host.observe().volumes.values(), going)
    faults = context.host.remove([*volumes, *saved])
    by_seat = {
        seat.name: fault
        for seat in seats
        for volume in seat.all_volumes
        if (fault := faults.get(volume.uuid)) is not None
    }
    return tuple(
        SeatOutcome(seat=one.seat, outcome=Outcome.FAILED, reason=join([by_seat[one.seat]]))
        if one.seat in by_seat
        else one
        for one in outcomes
    )


def _forgotten(seat: Seat) -> str | None:
    """What goes with a machine, and what somebody else may have meant to keep."""
    if not seat.has_snapshots:
        return None
    return Sentence("libvirt has forgotten its own snapshots of it; the files of those stay")


def _check_data(seats: Sequence[Seat], *, with_data: bool) -> None:
    """Raises BadInput when data disks would be removed without ``with_data``."""
    having = [seat.name for seat in seats if seat.data]
    if having and not with_data:
        raise BadInput(
            "The data disks of {names} would be lost: they are kept through everything else.",
            "Copy what is on them (pizarra inspect SEAT), then say --with-data.",
            names=", ".join(having),
        )


def delete(context: Context, name: str, *, with_data: bool = False) -> Report:
    """Remove a classroom: machines, disks, network. Adopted machines are let go, not removed.

    Raises BadInput when there are data disks, but ``with_data`` was not said; Forbidden for who may
    not reset: a classroom that is made again has the original content.
    """
    began = time.perf_counter()
    check_name(name, N_("classroom"))
    with context.claim([f"classroom:{name}"], N_("classroom delete"), wait_s=context.wait_s):
        classroom = context.host.observe().classroom(name)
        check_may_reset(context, classroom.seats)
        _check_data(classroom.seats, with_data=with_data)
        adopted = [seat for seat in classroom.seats if seat.labels.name]
        complete_cut_off(context, adopted)  # they go on with the disks that they have
        outcomes = _remove_seats(context, classroom.seats)
        if all(one.outcome is Outcome.DONE for one in outcomes):
            context.host.compute.remove_network(name, provision.network_uuid(name))
            records.remove_record(context, context.host.observe(), name)
    return _report(name, "delete", outcomes, began)


def _report(name: str, verb: str, outcomes: tuple[SeatOutcome, ...], began: float) -> Report:
    return Report(
        classroom=name,
        verb=verb,
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
    )
