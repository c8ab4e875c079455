"""Pauses machines before they fill a pool, or when they wrote more than their classroom allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pizarra.engine import writers
from pizarra.engine.events import Noted
from pizarra.engine.halts import Halt, forget_halts, halt_seen, put_halt, speed_bytes
from pizarra.errors import Busy, PizarraError
from pizarra.model.facts import Pool, Power, Seat
from pizarra.model.names import seat_name
from pizarra.model.policy import ResetBy
from pizarra.model.sentence import N_
from pizarra.model.sizes import size_text
from pizarra.planner.guard import PoolNeed, needs, writers_to_pause, writes_to
from pizarra.service.context import Context


@dataclass(frozen=True, slots=True)
class Halted:
    """A machine that was paused because its pool is nearly full."""

    seat: Seat
    need: PoolNeed


def reserve(context: Context) -> Callable[[Pool], int]:
    """How many bytes of a pool must stay free."""
    share = context.host.settings.pool_reserve_percent / 100
    return lambda pool: round(pool.size_bytes * share)


def pools_in_need(context: Context, pools: Sequence[Pool], seats: Sequence[Seat]) -> list[PoolNeed]:
    """The pools that seats write to, and whether each is at its reserve. Where a student asks,
    the reserve is larger by what these wrote in a minute when they were paused: who was paused
    before the pool was at its reserve cannot go on and fill it within the minute."""
    kept, able = reserve(context), context.host.storages.capabilities
    folder, by_student = context.host.settings.halt_folder, context.by is ResetBy.STUDENTS
    speed = sum(speed_bytes(folder, seat) for seat in seats) if by_student else 0
    return needs(pools, seats, able, lambda pool: kept(pool) + speed)


def halt_writers(
    context: Context, seen: Sequence[PoolNeed], running: Sequence[Seat]
) -> list[Halted]:
    """Pause the fastest writers of each pool that is at its reserve, or would be before the next
    look; and who is over its growth. What was paused for a pool."""
    host = context.host
    written = writers.written_bytes(host, running)
    held = writers.held_bytes([seat for seat in running if seat.name not in written])
    grown = writers.grown_bytes(host.settings.growth_folder, written, held)
    halted = []
    for need in seen:
        its = {seat.name: seat for seat in running if writes_to(seat, need.pool)}
        for name in writers_to_pause(need, {one: grown.get(one, 0) for one in its}):
            text = N_("{place}/{pool} is nearly full ({free} are free): {seat}, which wrote {size} "
                      "in a minute, is paused. Make room, then: pizarra start")  # fmt: skip
            facts = {
                "place": need.pool.place,
                "pool": need.pool.name,
                "free": size_text(need.pool.free_bytes),
                "size": size_text(grown[name]),
            }
            if halt(context, its[name], Halt.SPACE, text, facts, grown[name]):
                halted.append(Halted(its[name], need))
    gone = {one.seat.name for one in halted}
    _halt_grown(context, [one for one in running if one.name not in gone], written)
    return halted


def _halt_grown(context: Context, seats: Sequence[Seat], written: dict[str, int]) -> None:
    for seat in seats:
        most, has = seat.record.policy.growth_bytes, written.get(seat.name, 0)
        if most is not None and has > most:
            text = N_("{seat} wrote {size}, and its classroom allows {most}: it is paused. "
                      "A reset gives it room, or more growth in its classroom's file.")  # fmt: skip
            facts = {"size": size_text(has), "most": size_text(most)}
            halt(context, seat, Halt.GROWTH, text, facts)


def halt(
    context: Context,
    seat: Seat,
    why: Halt,
    text: str,
    facts: dict[str, str],
    speed: int = 0,
) -> bool:
    """Pause a machine and say so. For the space of a pool also one that another command works on:
    a command may go on for an hour, and a student can ask for one after another."""
    name = seat_name(seat.classroom, seat.number)
    try:
        with ExitStack() as claim:
            try:
                its = [f"classroom:{seat.classroom}"]
                claim.enter_context(context.claim([f"seat:{name}"], N_("guard"), shared=its))
            except Busy:
                if why is not Halt.SPACE:
                    raise
            context.host.compute.pause(seat.domain_uuid)
            put_halt(context.host.settings.halt_folder, seat, why, speed)
    except PizarraError as error:
        told: dict[str, object] = {"seat": seat.name, "why": error}
        context.emit(Noted(text=N_("{seat} could not be paused: {why}"), facts=told))
        return False
    context.emit(Noted(text=text, facts={**facts, "seat": seat.name}))
    return True


def let_go_on(context: Context, halted: Sequence[Halted]) -> None:
    """Resume the machines of a pool in which discarded undos have made room."""
    pools = {(one.place, one.name): one for one in context.host.observe().pools} if halted else {}
    for one in halted:
        pool = pools.get((one.need.pool.place, one.need.pool.name))
        if not one.need.is_full or pool is None or replace(one.need, pool=pool).is_full:
            continue
        try:
            context.host.compute.resume(one.seat.domain_uuid)
        except PizarraError:
            continue  # it is off meanwhile, or stays paused with its note
        forget_halts(context.host.settings.halt_folder, [one.seat])
        text = N_("There is room again: {seat} goes on.")
        context.emit(Noted(text=text, facts={"seat": one.seat.name}))


def forget_left_over(context: Context, seats: Sequence[Seat]) -> None:
    """Remove the notes of machines that are no longer paused."""
    going = [seat for seat in seats if seat.power is not Power.PAUSED]
    forget_halts(context.host.settings.halt_folder, going)


def over_growth(context: Context, seats: Sequence[Seat]) -> frozenset[str]:
    """The names of those that the guard paused for their growth, and would pause again."""
    folder = context.host.settings.halt_folder
    held = [seat for seat in seats if halt_seen(folder, seat) is Halt.GROWTH]
    written = writers.written_bytes(context.host, held)
    return frozenset(
        seat.name
        for seat in held
        if written.get(seat.name, 0) > (seat.record.policy.growth_bytes or float("inf"))
    )
