"""classroom warm: boot each seat once from its original, and save its disks and its RAM."""

from __future__ import annotations

import time
from dataclasses import replace

from pizarra.engine import recovery
from pizarra.engine.events import Began, Noted
from pizarra.engine.journal import PowerAfter
from pizarra.errors import PizarraError
from pizarra.model.facts import Power, Seat
from pizarra.model.outcome import WELL, Mode, Report, SeatOutcome
from pizarra.model.policy import After
from pizarra.model.sentence import N_
from pizarra.model.sizes import size_text
from pizarra.planner.checkpoints import checkpoints
from pizarra.planner.warm import WARM
from pizarra.service import checkpoints as saving
from pizarra.service import verbs
from pizarra.service.claims import Numbers, claiming_seats, look_at_seats
from pizarra.service.context import Context
from pizarra.storage.interface import raise_first

SETTLE_S = 120.0
_LOOK_EVERY_S = 1.0


def warm(
    context: Context, classroom: str, numbers: Numbers = None, *, settle_s: float = SETTLE_S
) -> Report:
    """Make the warm baselines of seats anew. Seats that were off are off again afterwards.

    The present content goes, as in a reset; an undo brings it back.
    """
    began = time.perf_counter()
    _, before = look_at_seats(context, classroom, numbers)
    booted = verbs.reset(context, classroom, numbers, mode=Mode.COLD, after=After.RUNNING)
    up = [one for one in booted.seats if one.outcome in WELL]
    outcomes = {one.seat: one for one in booted.seats}
    chosen = [seat for seat in before if seat.name in {one.seat for one in up}]
    if chosen:
        _settle(context, chosen, settle_s)
        outcomes |= {one.seat: one for one in _save(context, classroom, chosen).seats}
    off = [seat.number for seat in chosen if seat.power is Power.OFF]
    if off:
        _off_again(context, classroom, off)
    return Report(
        classroom=classroom,
        verb="classroom warm",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=tuple(_without_proof(outcomes[one.seat]) for one in booted.seats),
        extra={"ram_bytes": _ram_bytes(context, classroom)},
    )


def _off_again(context: Context, classroom: str, numbers: list[int]) -> None:
    """Switch seats off and put them back to the original. The content for an undo stays that of
    before the command."""
    host = context.host
    with claiming_seats(context, classroom, numbers, N_("classroom warm")) as seats:
        for seat in seats:
            host.compute.kill(seat.domain_uuid)
        faults = recovery.rewind_again(host, "classroom warm", seats, PowerAfter.OFF)
    raise_first(faults)


def _without_proof(outcome: SeatOutcome) -> SeatOutcome:
    return replace(outcome, verified=None)


def _settle(context: Context, seats: list[Seat], settle_s: float) -> None:
    """Wait until every guest agent answers, or the time is over."""
    context.emit(Began(what=N_("settle"), total=len(seats)))
    deadline, waiting = time.monotonic() + settle_s, list(seats)
    while waiting and time.monotonic() < deadline:
        time.sleep(min(_LOOK_EVERY_S, settle_s))
        waiting = [one for one in waiting if not _answers(context, one)]
    if waiting:
        text = N_("No agent answers in {names}; {s:.0f} s were waited for them.")
        names = ", ".join(seat.name for seat in waiting)
        context.emit(Noted(text=text, facts={"names": names, "s": settle_s}))


def _answers(context: Context, seat: Seat) -> bool:
    try:
        return context.host.compute.agent_answers(seat.domain_uuid)
    except PizarraError:
        return False


def _save(context: Context, classroom: str, seats: list[Seat]) -> Report:
    """Save the new baselines. The old ones are deleted first, because there is one of a name. If no
    new one comes, a reset starts cold."""
    numbers = [seat.number for seat in seats]
    there = checkpoints(context.host.observe().volumes.values(), classroom)
    old = next((one for one in there if one.name == WARM), None)
    again = sorted(set(numbers) & set(old.volumes)) if old else []
    if again:
        saving.delete(context, classroom, WARM, again)
    return saving.save(context, classroom, WARM, numbers, ram=True)


def _ram_bytes(context: Context, classroom: str) -> int:
    there = checkpoints(context.host.observe().volumes.values(), classroom)
    total = sum(one.ram_bytes for one in there if one.name == WARM)
    context.emit(Noted(text=N_("The RAM of {n} takes {size}."),
                       facts={"n": classroom, "size": size_text(total)}))  # fmt: skip
    return total
