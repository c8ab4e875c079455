"""classroom identify: give every machine its own name and keys, and make that its original.

A machine boots once for it, unless the identity can be written to its disk while it is off
(``identity_offline``). A seat begins from its own original, or from the template when it has none.
After an upgrade the machines are as the template again, until they get an identity of the new
version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from pizarra.engine import recovery
from pizarra.engine.entries import standing_undo_entry
from pizarra.engine.guest_agent import GuestAgent
from pizarra.engine.journal import Action, PowerAfter
from pizarra.engine.power import each_seat, shut_down_and_wait, start_seats
from pizarra.engine.reset import ResetRun
from pizarra.errors import BadInput, ComputeFault, PizarraError, Unsupported
from pizarra.model.facts import Power, Seat
from pizarra.model.labels import IDENTITY
from pizarra.model.outcome import WELL, Outcome, Report, SeatOutcome
from pizarra.model.sentence import N_, Sentence, join
from pizarra.planner import identity as planner
from pizarra.planner import provision
from pizarra.planner.checkpoints import checkpoints
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.identity import Person
from pizarra.service import checkpoints as saving
from pizarra.service import identity_offline
from pizarra.service.claims import Numbers, claiming_seats, claiming_to_rewind
from pizarra.service.context import Context
from pizarra.service.identity_ends import take_back
from pizarra.system import seed
from pizarra.system.locks import who
from pizarra.system.process import run

LIMIT_S = 900.0
_LOOK_EVERY_S = 1.0
_OFF_S = 180.0  # for a guest that was asked to shut down


def password_hash(password: str) -> str:
    """The hash of a password, as in /etc/shadow. Raises BadInput for an empty password, or one of
    several lines."""
    if not password or "\n" in password or "\0" in password:
        raise BadInput("The password must be one line, and not empty.")
    return run(["openssl", "passwd", "-6", "-stdin"], input_text=password + "\n").stdout.strip()


def identify(
    context: Context,
    classroom: str,
    numbers: Numbers = None,
    *,
    person: Person | None = None,
    limit_s: float = LIMIT_S,
) -> Report:
    """Give seats their identities. Their present content goes, as in a reset; an undo brings it
    back."""
    began, host, person = time.perf_counter(), context.host, person or Person()
    with claiming_to_rewind(context, classroom, numbers, N_("classroom identify")) as seats:
        volumes = host.observe().volumes
        plan = planner.plan_fresh(classroom, seats, volumes, host.storages.capabilities)
        fresh = ResetRun(host, plan, context.emit).run()
        outcomes = {one.seat: replace(one, verified=None) for one in fresh}
        ready = [seat for seat in seats if outcomes[seat.name].outcome in WELL]
        _give_all(
            context, classroom, ready, outcomes, lambda seat: _give(context, seat, person, limit_s)
        )
        ran = [s for s in ready if s.power is Power.RUNNING and outcomes[s.name].outcome in WELL]
        again = start_seats(host, [replace(seat, power=Power.OFF) for seat in ran], context.emit)
        outcomes |= {one.seat: one for one in again if one.outcome not in WELL}
    return Report(
        classroom=classroom,
        verb="classroom identify",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=tuple(outcomes[seat.name] for seat in seats),
    )


def _give_all(
    context: Context,
    classroom: str,
    ready: Sequence[Seat],
    outcomes: dict[str, SeatOutcome],
    give: Callable[[Seat], SeatOutcome],
) -> None:
    """Give identities to seats, whose names are in the journal until all are done. A seat that is
    cut off in it goes back to its original."""
    if not ready:
        return
    host, verb = context.host, N_("classroom identify")
    entries = [standing_undo_entry(seat, seat.baselines, PowerAfter.OFF) for seat in ready]
    with host.journal.begin(verb, Action.IDENTIFY, who(), entries) as opened:
        outcomes |= {one.seat: one for one in each_seat(host, verb, ready, give, context.emit)}
        named = [seat for seat in ready if outcomes[seat.name].outcome is Outcome.DONE]
        outcomes |= _keep(context, classroom, named)
        _return_to_original(context, classroom, {seat.name for seat in ready}, outcomes)
        opened.close()


def _give(context: Context, seat: Seat, person: Person, limit_s: float) -> SeatOutcome:
    """Let one machine boot with a seed. At the end the machine is off and has no seed, whatever
    happens. Raises ComputeFault."""
    host = context.host
    if identity_offline.write(context, seat, person):
        return SeatOutcome(seat=seat.name, outcome=Outcome.DONE)
    spec = provision.domain_spec(seat)
    path = seed.seed_path(context.host.settings.seed_folder, seat.domain_uuid)
    files = {
        "meta-data": planner.meta_data(seat),
        "user-data": planner.user_data(seat, person),
    }
    try:
        seed.make_seed(path, planner.SEED_LABEL, files)
        host.compute.define(replace(spec, seed=path))
        host.compute.start(seat.domain_uuid)
        _wait_for(context, seat, person, limit_s)
    finally:
        with suppress(PizarraError):
            host.compute.kill(seat.domain_uuid)
        host.compute.define(spec)
        path.unlink(missing_ok=True)
    return SeatOutcome(seat=seat.name, outcome=Outcome.DONE)


def _wait_for(context: Context, seat: Seat, person: Person, limit_s: float) -> None:
    """Wait until cloud-init has switched the machine off, or the guest agent has done its work."""
    machine, deadline = seat.domain_uuid, time.monotonic() + limit_s
    agent = GuestAgent(compute=context.host.compute, machine=machine, limit_s=limit_s)
    has_cloud_init, why = None, _SILENT
    while time.monotonic() < deadline:
        if _is_off(context, seat):
            said = seed.read_seed(
                seed.seed_path(context.host.settings.seed_folder, machine), planner.RESULT
            )
            if wrong := planner.cloud_init_failure(said):
                raise ComputeFault("{why}", why=wrong)
            return
        if has_cloud_init is None and agent.answers():
            try:
                has_cloud_init = _has_cloud_init(agent)
            except ComputeFault as error:  # it goes off this moment, or may run no programs
                why = Sentence("its agent says: {why}", why=error)
        if has_cloud_init is False:
            _by_agent(context, seat, agent, person)
            return
        time.sleep(_LOOK_EVERY_S)
    raise ComputeFault("{why}; {s:.0f} s were waited", _NEEDS, why=why, s=limit_s)


_SILENT = Sentence("neither cloud-init nor a guest agent has given it an identity")
_NEEDS = N_(
    "Its template needs cloud-init, qemu-guest-agent, or its Linux on a plain ext4 partition; "
    "a slow machine needs --limit."
)


def _is_off(context: Context, seat: Seat) -> bool:
    power = {one.uuid: one.power for one in context.host.compute.observe()}
    return power.get(seat.domain_uuid) in (Power.OFF, Power.CRASHED, None)


def _has_cloud_init(agent: GuestAgent) -> bool:
    if agent.system() == "mswindows":
        raise Unsupported(
            "it is Windows, which gets its identity by sysprep",
            "Seal its template with: sysprep /generalize /oobe /shutdown",
        )
    return agent.shell("command -v cloud-init && test ! -e /etc/cloud/cloud-init.disabled")[0] == 0


def _by_agent(context: Context, seat: Seat, agent: GuestAgent, person: Person) -> None:
    status, said = agent.shell(planner.agent_script(seat, person))
    if status != 0:
        raise ComputeFault("its guest refused: {said}", said=said.strip()[-300:] or status)
    shut_down_and_wait(context.host, [seat.domain_uuid], _OFF_S)
    if not _is_off(context, seat):
        raise ComputeFault("it did not shut down within {s:.0f} s", s=_OFF_S)


def _keep(context: Context, classroom: str, seats: Sequence[Seat]) -> dict[str, SeatOutcome]:
    """Make the present state of seats their original, in the place of an older one."""
    if not seats:
        return {}
    numbers = {seat.number for seat in seats}
    there = checkpoints(context.host.observe().volumes.values(), classroom)
    old = [
        one.volumes[n] for one in there if one.name == IDENTITY for n in numbers & {*one.volumes}
    ]
    context.host.remove([volume for volumes in old for volume in volumes])
    off = [replace(seat, power=Power.OFF) for seat in seats]
    saved = saving.save_claimed(context, classroom, IDENTITY, off)
    return {one.seat: one for one in saved if one.outcome not in WELL}


def _return_to_original(
    context: Context, classroom: str, names: set[str], outcomes: dict[str, SeatOutcome]
) -> None:
    """Put seats that failed half-way back to their original."""
    failed = {name for name in names if outcomes[name].outcome not in WELL}
    if not failed:
        return
    there = context.host.observe().classroom(classroom).seats
    seats = [seat for seat in there if seat.name in failed]
    by_volume = {v.uuid: seat.name for seat in seats for v in seat.volumes}
    faults = recovery.rewind_again(context.host, "classroom identify", seats, PowerAfter.OFF)
    for uuid, fault in faults.items():
        if fault is not None:
            name = by_volume[uuid]
            told = (outcomes[name].reason or "", fault)
            outcomes[name] = replace(outcomes[name], reason=join(told))


def recover(context: Context, facts: HostFacts) -> None:
    """Complete runs that were cut off: their machines are switched off and go back to their
    original."""
    for path in sorted(context.host.settings.seed_folder.glob("*.img")):
        seats = (seat for room in facts.classrooms.values() for seat in room.seats)
        seat = next((one for one in seats if one.domain_uuid == path.stem), None)
        if seat is not None and seat.fault:
            continue  # nobody touches it, and its machine names the seed
        if seat is not None and seat.power is not Power.ABSENT:
            with claiming_seats(context, seat.classroom, [seat.number], N_("recover")):
                if not path.exists():
                    continue  # by its record
                take_back(context, seat)
        path.unlink(missing_ok=True)
