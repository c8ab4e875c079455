"""checkpoint: save, restore, hand out, list, delete."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from pizarra.engine import recovery
from pizarra.engine.events import Began, Noted, Settled
from pizarra.engine.reset import HandOutRun, ResetRun
from pizarra.errors import PizarraError
from pizarra.model.facts import Power, Seat
from pizarra.model.names import check_name
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.sentence import N_, join
from pizarra.planner import checkpoints as planner
from pizarra.planner.checkpoints import Checkpoint
from pizarra.planner.host_facts import choose_seats
from pizarra.planner.reset import ResetPlan
from pizarra.service import identity_offline
from pizarra.service.claims import Numbers, claiming_seats, claiming_to_rewind
from pizarra.service.context import Context
from pizarra.service.guard import ensure_room_for
from pizarra.storage.interface import Change, Faults, RewindTarget

_AT_ONCE = 8  # seats that stand still together while LVM makes their snapshots


def save(
    context: Context, classroom: str, name: str, numbers: Numbers = None, *, ram: bool = False
) -> Report:
    """Save the present state of seats under a name. A seat that runs is paused meanwhile.

    With ``ram`` the RAM of machines that run is saved too, at the same instant.
    """
    check_name(name, N_("checkpoint"))
    planner.check_unreserved(name)
    began = time.perf_counter()
    with claiming_seats(context, classroom, numbers, N_("checkpoint save")) as seats:
        outcomes = save_claimed(context, classroom, name, seats, ram=ram)
    return _report(classroom, "checkpoint save", outcomes, began, checkpoint=name)


def save_claimed(
    context: Context, classroom: str, name: str, seats: Sequence[Seat], *, ram: bool = False
) -> tuple[SeatOutcome, ...]:
    """Save the present state of seats that the caller has claimed."""
    now, host = int(time.time()), context.host
    there = planner.checkpoints(host.observe().volumes.values(), classroom)
    planner.check_new(there, name, seats, host.storages.capabilities)
    context.emit(Began(what=N_("checkpoint save"), total=len(seats)))
    outcomes: tuple[SeatOutcome, ...] = ()
    for first in range(0, len(seats), _AT_ONCE):
        outcomes += _save_batch(context, seats[first : first + _AT_ONCE], name, now, ram=ram)
    return outcomes


def _save_batch(
    context: Context, seats: Sequence[Seat], name: str, now: int, *, ram: bool
) -> tuple[SeatOutcome, ...]:
    sound = [seat for seat in seats if not seat.fault]
    why: dict[str, object] = {seat.name: seat.fault for seat in seats if seat.fault}
    with _paused(context, sound, why, ram=ram) as still:
        made = [
            pair
            for seat in still
            for pair in planner.new_volumes(name, seat, now, _ram_bytes(context, seat, ram))
        ]
        faults = context.host.create_checkpoints(made)
    for seat in still:
        wrong = [fault for volume in seat.volumes if (fault := faults.get(volume.uuid))]
        if wrong:
            why[seat.name] = wrong[0]
    _remove_half_made(context, [seat for seat in still if seat.name in why], name)
    return tuple(_settle(context, seat, why.get(seat.name)) for seat in seats)


def _settle(context: Context, seat: Seat, why: object) -> SeatOutcome:
    failed = Outcome.UNKNOWN if seat.fault else Outcome.FAILED
    outcome = SeatOutcome(
        seat=seat.name,
        outcome=failed if why else Outcome.DONE,
        reason=join([why]) if why else None,
    )
    context.emit(Settled(outcome=outcome))
    return outcome


def _ram_bytes(context: Context, seat: Seat, ram: bool) -> int:
    if not ram or seat.power is not Power.RUNNING:
        return 0
    return context.host.states.ram(seat.volumes[0]).stat().st_size


@contextmanager
def _paused(
    context: Context, seats: Sequence[Seat], why: dict[str, object], *, ram: bool
) -> Iterator[list[Seat]]:
    """Pause the seats that run, and give those whose disks nobody writes to now. The others get a
    reason in ``why``. All of them go on at the end."""
    compute, states = context.host.compute, context.host.states
    running = [seat for seat in seats if seat.power is Power.RUNNING]

    def paused(seat: Seat) -> PizarraError | None:
        try:
            if ram:
                compute.save_ram(seat.domain_uuid, states.ram_new(seat.volumes[0]))
            else:
                compute.pause(seat.domain_uuid)
        except PizarraError as error:
            states.ram(seat.volumes[0]).unlink(missing_ok=True)  # what there is of it is no RAM
            return error
        return None

    def resumed(seat: Seat) -> None:
        try:
            if ram:
                path = states.ram(seat.volumes[0])
                compute.restore_ram(seat.domain_uuid, path)
                path.unlink()
            else:
                compute.resume(seat.domain_uuid)
        except PizarraError as error:
            text = N_("{name} stands still: {why}")
            context.emit(Noted(text=text, facts={"name": seat.name, "why": error}))

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        errors = list(threads.map(paused, running))
        refused = {seat.name: error for seat, error in zip(running, errors, strict=True) if error}
        why.update(refused)
        try:
            yield [seat for seat in seats if seat.name not in refused]
        finally:
            list(threads.map(resumed, [seat for seat in running if seat.name not in refused]))


def _remove_half_made(context: Context, seats: Sequence[Seat], name: str) -> None:
    if not seats:
        return
    left = [
        volume
        for volume in planner.of_seats(context.host.observe().volumes.values(), seats)
        if volume.labels.checkpoint == name
    ]
    context.host.remove(left)


def restore(context: Context, classroom: str, name: str, numbers: Numbers = None) -> Report:
    """Put seats back to a checkpoint, and prove that they are equal to it. An undo brings the
    present content back."""
    began = time.perf_counter()
    with claiming_to_rewind(context, classroom, numbers, N_("checkpoint restore")) as claimed:
        checkpoint = _choose(context, classroom, name)
        its = tuple(seat for seat in claimed if seat.number in checkpoint.volumes)
        seats = its if numbers is None else claimed
        capabilities = context.host.storages.capabilities
        cut_off = recovery.cut_off_rewinds(context.host, seats)
        plan = planner.plan_restore(checkpoint, seats, capabilities, cut_off=cut_off)
        ensure_room_for(context, plan, seats)
        outcomes = _run(context, plan)
    return _report(classroom, plan.verb, outcomes, began, checkpoint=name)


def hand_out(
    context: Context, classroom: str, name: str, source: int, numbers: Numbers = None
) -> Report:
    """Give all seats the state that was saved of one seat. A seat that has an identity of its own
    keeps it, where the identity can be written to its disk."""
    began = time.perf_counter()
    with claiming_to_rewind(context, classroom, numbers, N_("checkpoint hand-out")) as seats:
        checkpoint = _choose(context, classroom, name)
        choose_seats(context.host.observe().classroom(classroom), [source])
        capabilities = context.host.storages.capabilities
        cut_off = recovery.cut_off_rewinds(context.host, seats)
        plan = planner.plan_restore(checkpoint, seats, capabilities, source=source, cut_off=cut_off)
        others: list[str] = []

        def own(seat: Seat) -> None:
            if seat.number != source and not identity_offline.restore_own(context, seat):
                others.append(seat.name)

        outcomes = HandOutRun(context.host, plan, context.emit, own).run()
        if others and any(seat.identity for seat in seats):
            text = N_("These have the name and keys of machine {n} now: {names}")
            names = ", ".join(sorted(others))
            context.emit(Noted(text=text, facts={"n": source, "names": names}))
    return _report(classroom, plan.verb, outcomes, began, checkpoint=name)


def _choose(context: Context, classroom: str, name: str) -> Checkpoint:
    check_name(name, N_("checkpoint"))
    return planner.find_checkpoint(context.host.observe().volumes.values(), classroom, name)


def _run(context: Context, plan: ResetPlan) -> tuple[SeatOutcome, ...]:
    return ResetRun(context.host, plan, context.emit).run()


def list_checkpoints(context: Context, classroom: str) -> list[dict[str, Any]]:
    """The checkpoints of a classroom: the seats of each, when it was saved, and how much of it
    differs from the original."""
    check_name(classroom, N_("classroom"))
    facts = context.host.observe()
    facts.classroom(classroom)
    there = planner.checkpoints(facts.volumes.values(), classroom)
    pairs = [
        RewindTarget(volume=volume, source=facts.volumes[volume.labels.baseline])
        for one in there
        for volume in one.all_volumes
        if volume.labels.baseline in facts.volumes
    ]
    changes = context.host.changes(pairs)

    def differs(one: Checkpoint) -> int | None:
        known = [changes.get(volume.uuid) for volume in one.all_volumes]
        sizes = [change.changed_bytes for change in known if isinstance(change, Change)]
        return sum(sizes) if len(sizes) == len(known) else None

    return [
        {
            "checkpoint": one.name,
            "saved": one.saved,
            "seats": list(one.seats),
            "ram_bytes": one.ram_bytes,
            "differs_bytes": differs(one),
        }
        for one in there
    ]


def delete(context: Context, classroom: str, name: str, numbers: Numbers = None) -> Report:
    """Delete a checkpoint. The seats stay as they are."""
    began = time.perf_counter()
    with claiming_seats(context, classroom, numbers, N_("checkpoint delete")) as seats:
        checkpoint = _choose(context, classroom, name)
        wanted = {seat.number for seat in seats} & set(checkpoint.volumes)
        gone = [volume for number in wanted for volume in checkpoint.volumes[number]]
        faults = context.host.remove(gone)
        outcomes = tuple(
            _settle(context, seat, _fault(checkpoint, seat, faults))
            for seat in seats
            if seat.number in wanted
        )
    return _report(classroom, "checkpoint delete", outcomes, began, checkpoint=name)


def _fault(checkpoint: Checkpoint, seat: Seat, faults: Faults) -> PizarraError | None:
    of_it = [faults.get(volume.uuid) for volume in checkpoint.volumes[seat.number]]
    return next(filter(None, of_it), None)


def _report(
    classroom: str, verb: str, outcomes: tuple[SeatOutcome, ...], began: float, *, checkpoint: str
) -> Report:
    return Report(
        classroom=classroom,
        verb=verb,
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
        extra={"checkpoint": checkpoint},
    )
