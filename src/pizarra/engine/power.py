"""Starts and stops many machines: so many at a time, an outcome each, nobody waits for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pizarra.engine.events import Began, Emit, Settled
from pizarra.engine.halts import forget_halts
from pizarra.engine.host import Host
from pizarra.engine.recovery import ensure_startable
from pizarra.engine.stopwatch import Stopwatch
from pizarra.errors import PizarraError
from pizarra.model.facts import Power, Seat
from pizarra.model.outcome import Outcome, SeatOutcome
from pizarra.model.sentence import N_, join

_LOOK_EVERY_S = 0.5
_ASK_EVERY_S = 10.0


def each_seat(
    host: Host, verb: str, seats: Sequence[Seat], act: Callable[[Seat], SeatOutcome], emit: Emit
) -> tuple[SeatOutcome, ...]:
    """Do ``act`` for every seat that is not at fault, ``at_once`` side by side; in order."""
    emit(Began(what=verb, total=len(seats)))

    def settled(seat: Seat) -> SeatOutcome:
        outcome = _act_on(seat, act)
        emit(Settled(outcome=outcome))
        return outcome

    with ThreadPoolExecutor(host.settings.at_once) as threads:
        return tuple(threads.map(settled, seats))


def _act_on(seat: Seat, act: Callable[[Seat], SeatOutcome]) -> SeatOutcome:
    if seat.fault:
        return SeatOutcome(seat=seat.name, outcome=Outcome.UNKNOWN, reason=seat.fault)
    try:
        return act(seat)
    except PizarraError as error:
        return SeatOutcome(seat=seat.name, outcome=Outcome.FAILED, reason=join([error]))


def start_seats(host: Host, seats: Sequence[Seat], emit: Emit) -> tuple[SeatOutcome, ...]:
    """Switch on. Seats that run already are ``unchanged``."""

    def start(seat: Seat) -> SeatOutcome:
        if seat.power is Power.RUNNING:
            return SeatOutcome(
                seat=seat.name, outcome=Outcome.UNCHANGED, reason=N_("it runs already")
            )
        watch = Stopwatch()
        with watch.timing(N_("start"), [seat.name]):
            ensure_startable(host, seat)
            if seat.power is Power.PAUSED:
                host.compute.resume(seat.domain_uuid)
            elif seat.has_saved_ram:
                host.compute.wake(seat.domain_uuid)
            else:
                host.compute.start(seat.domain_uuid)
            forget_halts(host.settings.halt_folder, [seat])
        return SeatOutcome(
            seat=seat.name, outcome=Outcome.DONE, timings_ms=dict(watch.of(seat.name))
        )

    return each_seat(host, N_("start"), seats, start, emit)


def stop_seats(
    host: Host, seats: Sequence[Seat], grace_s: float, emit: Emit
) -> tuple[SeatOutcome, ...]:
    """Ask every guest, wait for all together, then switch off those that did not listen."""
    asked = [seat for seat in seats if not seat.fault and seat.power is Power.RUNNING]
    began = time.perf_counter()
    if grace_s > 0:
        shut_down_and_wait(host, [seat.domain_uuid for seat in asked], grace_s)
    waited_ms = (time.perf_counter() - began) * 1000
    off = {domain.uuid for domain in host.compute.observe() if domain.power is Power.OFF}

    def stop(seat: Seat) -> SeatOutcome:
        if seat.power in (Power.OFF, Power.ABSENT):
            return SeatOutcome(seat=seat.name, outcome=Outcome.UNCHANGED, reason=N_("it was off"))
        if seat.domain_uuid in off:
            return SeatOutcome(seat=seat.name, outcome=Outcome.DONE, timings_ms={"stop": waited_ms})
        host.compute.kill(seat.domain_uuid)
        ms = (time.perf_counter() - began) * 1000
        reason = N_("switched off: the guest did not shut down in time") if grace_s > 0 else None
        return SeatOutcome(
            seat=seat.name, outcome=Outcome.DONE, reason=reason, timings_ms={"stop": ms}
        )

    return each_seat(host, N_("stop"), seats, stop, emit)


def _ask(host: Host, machines: Sequence[str]) -> None:
    def ask(machine: str) -> None:
        try:
            host.compute.ask_to_stop(machine)
        except PizarraError:
            return  # a guest that cannot be asked is switched off when the grace ends

    with ThreadPoolExecutor(host.settings.at_once) as threads:
        list(threads.map(ask, machines))


def shut_down_and_wait(host: Host, machines: Sequence[str], grace_s: float) -> None:
    """Ask all of them (UUIDs), and again now and then: a guest that is still booting hears nothing.
    Until they are off, or the grace has passed."""
    began, waiting = time.monotonic(), set(machines)
    asked = began - _ASK_EVERY_S
    while waiting:
        now = time.monotonic()
        if now - asked >= _ASK_EVERY_S:
            asked = now
            _ask(host, sorted(waiting))
        if now - began >= grace_s:
            return
        time.sleep(_LOOK_EVERY_S)
        waiting &= {d.uuid for d in host.compute.observe() if d.power is not Power.OFF}
