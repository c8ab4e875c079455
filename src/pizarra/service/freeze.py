"""freeze and unfreeze: machines stand still while the teacher speaks, and go on afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable

from pizarra.engine.events import Noted
from pizarra.engine.halts import halt_seen, sentence
from pizarra.engine.power import each_seat
from pizarra.engine.recovery import ensure_startable
from pizarra.model.facts import Power, Seat
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.sentence import N_
from pizarra.planner.drift import no_fault
from pizarra.service.claims import Numbers, claiming_seats
from pizarra.service.context import Context


def freeze(context: Context, classroom: str, numbers: Numbers = None, message: str = "") -> Report:
    """Pause every machine that runs. The server shows ``message``; a terminal cannot."""
    if message and context.by is None:
        context.emit(Noted(text=N_("The message is shown on a server's pages only."), facts={}))

    def pause(seat: Seat) -> SeatOutcome:
        if seat.power is not Power.RUNNING:
            return SeatOutcome(seat=seat.name, outcome=Outcome.UNCHANGED)
        context.host.compute.pause(seat.domain_uuid)
        return SeatOutcome(seat=seat.name, outcome=Outcome.DONE)

    return _over_seats(context, classroom, numbers, N_("freeze"), pause)


def unfreeze(context: Context, classroom: str, numbers: Numbers = None) -> Report:
    """Resume every machine that is paused, except those that the guard paused."""

    def resume(seat: Seat) -> SeatOutcome:
        if seat.power is not Power.PAUSED:
            return SeatOutcome(seat=seat.name, outcome=Outcome.UNCHANGED)
        if why := halt_seen(context.host.settings.halt_folder, seat):
            return SeatOutcome(seat=seat.name, outcome=Outcome.SKIPPED, reason=sentence(why))
        ensure_startable(context.host, seat)  # a hot reset may have been cut off in it
        context.host.compute.resume(seat.domain_uuid)
        return SeatOutcome(seat=seat.name, outcome=Outcome.DONE)

    return _over_seats(context, classroom, numbers, N_("unfreeze"), resume)


def _over_seats(
    context: Context,
    classroom: str,
    numbers: Numbers,
    verb: str,
    act: Callable[[Seat], SeatOutcome],
) -> Report:
    began = time.perf_counter()
    with claiming_seats(context, classroom, numbers, verb, judge=no_fault) as seats:
        outcomes = each_seat(context.host, verb, seats, act, context.emit)
    return Report(
        classroom=classroom,
        verb=verb,
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
    )
