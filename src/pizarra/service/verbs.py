"""start, stop, reset, verify, status over the seats of a classroom."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pizarra.engine import recovery
from pizarra.engine.events import Began, Noted, Settled
from pizarra.engine.halts import Halt, forget_halts, halt_seen, sentence
from pizarra.engine.power import start_seats, stop_seats
from pizarra.engine.reset import ResetRun
from pizarra.engine.undo import discard_old_undo
from pizarra.errors import OtherOriginal, PizarraError, Unsupported
from pizarra.model.facts import Power, Seat
from pizarra.model.outcome import Mode, Outcome, Report, SeatOutcome
from pizarra.model.policy import After, Policy
from pizarra.model.sentence import N_, Sentence, join
from pizarra.planner.drift import Judge, no_fault, reset_fault, start_fault, to_keep, words
from pizarra.planner.reset import ResetPlan, Step, pairs_of, plan_reset, worth_proving
from pizarra.planner.warm import plan_warm
from pizarra.service import activity, halting
from pizarra.service.claims import (
    Numbers,
    claiming_seats,
    claiming_to_rewind,
)
from pizarra.service.context import Context
from pizarra.service.guard import ensure_room, ensure_room_for
from pizarra.service.look import look_at_seats
from pizarra.service.status import status as status  # one of them, which starts quickly alone
from pizarra.storage.content import checksum
from pizarra.storage.interface import Change, RewindTarget

_Outcomes = tuple[SeatOutcome, ...]


def _run_claimed(
    context: Context,
    classroom: str,
    numbers: Numbers,
    verb: str,
    act: Callable[[tuple[Seat, ...]], _Outcomes],
    *,
    judge: Judge,
    completes: bool = True,
) -> Report:
    began = time.perf_counter()
    with claiming_seats(
        context, classroom, numbers, verb, completes=completes, judge=judge
    ) as seats:
        outcomes = act(seats)
    return Report(
        classroom=classroom,
        verb=verb,
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
    )


def start(context: Context, classroom: str, numbers: Numbers = None) -> Report:
    """Start seats, a limited number at a time."""
    return _run_claimed(
        context,
        classroom,
        numbers,
        N_("start"),
        lambda seats: _start(context, seats),
        judge=start_fault,
    )


def _start(context: Context, seats: tuple[Seat, ...]) -> _Outcomes:
    folder = context.host.settings.halt_folder
    waiting = [one for one in seats if one.power is Power.OFF or halt_seen(folder, one)]
    ensure_room(context, [one for one in waiting if not one.fault], seats)
    over = halting.over_growth(context, seats)
    held = {
        name: SeatOutcome(seat=name, outcome=Outcome.SKIPPED, reason=sentence(Halt.GROWTH))
        for name in over
    }
    going = [seat for seat in seats if seat.name not in over]
    started = start_seats(context.host, going, context.emit)
    for outcome in held.values():
        context.emit(Settled(outcome=outcome))
    every = held | {one.seat: one for one in started}
    return tuple(every[seat.name] for seat in seats)


def stop(
    context: Context, classroom: str, numbers: Numbers = None, *, grace_s: float | None = None
) -> Report:
    """Shut seats down. A seat that is still on after the grace is switched off."""
    grace = context.host.settings.grace_s if grace_s is None else grace_s
    return _run_claimed(
        context,
        classroom,
        numbers,
        N_("stop"),
        lambda seats: stop_seats(context.host, seats, grace, context.emit),
        judge=no_fault,
        completes=False,
    )


def reset_plan(
    context: Context,
    classroom: str,
    numbers: Numbers = None,
    *,
    mode: Mode | None = None,
    after: After | None = None,
) -> ResetPlan:
    """What a reset would do now. Without ``mode`` and ``after`` the policy decides.

    Raises Unsupported when the reset could do nothing at all, BadInput for what the policy forbids.
    """
    _, seats = look_at_seats(context, classroom, numbers, reset_fault)
    return _plan(context, classroom, seats, mode, after)


def _plan(
    context: Context,
    classroom: str,
    seats: Sequence[Seat],
    wished: Mode | None,
    following: After | None,
) -> ResetPlan:
    host = context.host
    policy = seats[0].record.policy if seats else Policy()
    mode, after = policy.mode(wished), following or policy.after_reset
    changes = host.changes(worth_proving(seats))
    cut_off = recovery.cut_off_rewinds(host, seats)
    plan = plan_reset(classroom, seats, mode, after, changes, host.storages.capabilities, cut_off)
    if mode is Mode.WARM:
        plan = plan_warm(plan, host.observe().volumes.values())
    if plan.seats and all(one.outcome is Outcome.SKIPPED for one in plan.seats):
        raise Unsupported(
            "No seat of {name} can be reset so: {why}.",
            name=classroom,
            why=plan.seats[0].reason,
        )
    return plan


def reset(
    context: Context,
    classroom: str,
    numbers: Numbers = None,
    *,
    mode: Mode | None = None,
    after: After | None = None,
) -> Report:
    """Put seats back to their original state, and prove it."""
    began = time.perf_counter()
    with claiming_to_rewind(context, classroom, numbers, N_("reset"), reset_fault) as seats:
        discard_old_undo(context.host, seats, context.emit)
        plan = _plan(context, classroom, seats, mode, after)
        _warn_no_undo(context, plan)
        activity.warn_active(context, [one.seat for one in plan.seats if Step.REWIND in one.steps])
        ensure_room_for(context, plan, seats)
        run = ResetRun(context.host, plan, context.emit)
        outcomes = run.run()
        done = {one.seat for one in outcomes if one.outcome is Outcome.DONE}
        activity.forget(context, [seat for seat in seats if seat.name in done])
        forget_halts(context.host.settings.halt_folder, [s for s in seats if s.name in done])
    return Report(
        classroom=classroom,
        verb="reset",
        mode=str(plan.mode),
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
        extra={"disks_ms": round(run.watch.wall_ms(Step.REWIND), 1)},
    )


def _warn_no_undo(context: Context, plan: ResetPlan) -> None:
    """Say before the reset which contents no undo can bring back."""
    for why in sorted({str(one.no_undo) for one in plan.seats if one.no_undo}):
        these = [one for one in plan.seats if one.no_undo and str(one.no_undo) == why]
        names = ", ".join(one.seat.name for one in these)
        text = N_("This reset cannot be undone for {names}: {why}.")
        context.emit(Noted(text=text, facts={"names": names, "why": these[0].no_undo}))


def verify(
    context: Context, classroom: str, numbers: Numbers = None, *, deep: bool = False
) -> Report:
    """Prove that seats are original: with an independent tool, or with ``deep`` from the data
    itself."""
    began = time.perf_counter()
    with claiming_seats(context, classroom, numbers, N_("verify")) as seats:
        context.emit(Began(what=N_("verify"), total=len(seats)))
        pairs = [pair for seat in seats if not seat.fault for pair in pairs_of(seat)]
        sums = _checksums(context, pairs) if deep else {}
        changes = context.host.changes(pairs, witness=not deep)
    outcomes = tuple(_verdict(seat, changes, sums) for seat in seats)
    for outcome in outcomes:
        context.emit(Settled(outcome=outcome))
    return Report(
        classroom=classroom,
        verb="verify",
        mode="deep" if deep else None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
    )


_Sums = Mapping[str, tuple[str, str] | PizarraError]


def _checksums(context: Context, pairs: Sequence[RewindTarget]) -> _Sums:
    """The checksums of baseline and seat, by the seat's volume. Each baseline is read once."""
    wanted = {(pair.source.uuid, pair.source.size_bytes): pair.source for pair in pairs}
    wanted |= {(pair.volume.uuid, pair.source.size_bytes): pair.volume for pair in pairs}

    def summed(key: tuple[str, int]) -> str | PizarraError:
        volume = wanted[key]
        try:
            return checksum(context.host.storage_of(volume), volume, key[1])
        except PizarraError as error:
            return error

    with ThreadPoolExecutor(2) as threads:
        sums = dict(zip(wanted, threads.map(summed, wanted), strict=True))
    found: dict[str, tuple[str, str] | PizarraError] = {}
    for pair in pairs:
        size = pair.source.size_bytes
        original, present = sums[pair.source.uuid, size], sums[pair.volume.uuid, size]
        if isinstance(original, PizarraError):
            found[pair.volume.uuid] = original
        elif isinstance(present, PizarraError):
            found[pair.volume.uuid] = present
        else:
            found[pair.volume.uuid] = (original, present)
    return found


def _verdict(seat: Seat, changes: Mapping[str, Change | PizarraError], sums: _Sums) -> SeatOutcome:
    if seat.fault:
        return SeatOutcome(
            seat=seat.name, outcome=Outcome.UNKNOWN, reason=seat.fault, verified=False
        )
    for volume in seat.volumes:
        known = changes.get(volume.uuid)
        beside = isinstance(known, Change) and known.state  # the sums are of the disk alone
        answer = known if beside else sums.get(volume.uuid) or known
        if (why := _difference(answer)) is not None:
            going = seat.labels.content_version and isinstance(answer, OtherOriginal)
            unknown = isinstance(answer, PizarraError) and not going
            outcome = Outcome.UNKNOWN if unknown else Outcome.FAILED
            return SeatOutcome(
                seat=seat.name,
                outcome=outcome,
                reason=join((volume.name, why), ": "),
                verified=False,
            )
    proof = {"sha256": sums[seat.volumes[0].uuid][1]} if sums else {}  # type: ignore[index]
    return SeatOutcome(
        seat=seat.name,
        outcome=Outcome.DONE,
        reason=words(to_keep(seat)),
        verified=True,
        extra=proof,
    )


def _difference(answer: Change | PizarraError | tuple[str, str] | None) -> str | None:
    if isinstance(answer, tuple):
        return None if answer[0] == answer[1] else Sentence("its data is not the original's")
    if isinstance(answer, Change):
        mib = answer.changed_bytes / 2**20
        if answer.changed_bytes:
            return Sentence("{mib:.1f} MiB differ from the original", mib=mib)
        if answer.state:
            return Sentence("its {state} is not the original", state=answer.state)
        return None
    return join([answer]) if answer else Sentence("it could not be compared")
