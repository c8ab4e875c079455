"""Is there room for what machines write: before they start, and every minute. Undos go first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from pizarra.engine import growth, undo
from pizarra.engine.events import Noted
from pizarra.engine.halts import Halt, halt_seen
from pizarra.engine.journal import Action, Record
from pizarra.errors import Busy, NoSpace, PizarraError
from pizarra.model.facts import Classroom, Pool, Power, Seat
from pizarra.model.policy import ResetBy
from pizarra.model.sentence import N_
from pizarra.model.sizes import size_text
from pizarra.planner.forecast import full_in_s
from pizarra.planner.guard import STORE_LAST_SHARE, STORE_SHARE, PoolNeed
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.reset import ResetPlan, Step
from pizarra.service import data_disks, halting
from pizarra.service.claims import claiming_seats
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.interface import ExtendableStore

SOON_S = 8 * 3600
PATIENCE_S = 600.0  # for whoever gives a command again that died
_STARTS = {Step.START, Step.WAKE, Step.RESUME}
_OFF = (Power.OFF, Power.ABSENT)


def ensure_room(context: Context, seats: Sequence[Seat], claimed: Sequence[Seat]) -> None:
    """Says what ``seats`` may need that are to start; makes room if a pool is nearly full: others
    that are ``claimed`` may have something kept, too. Raises NoSpace."""
    if not seats:
        return
    for seen in halting.pools_in_need(context, context.host.observe().pools, seats):
        need = _discard_undos(context, seen, claimed) if seen.is_full else seen
        if need.is_full:
            raise NoSpace(
                "{n} seats need up to {needs}, {free} are free in {place}/{pool}: not started.",
                "Make it larger: pizarra host check --fix; or delete checkpoints, old versions.",
                **_numbers(need),
            )
        if need.may_fill:
            text = N_("{n} seats need up to {needs}, {free} are free in {place}/{pool}.")
            context.emit(Noted(text=text, facts=_numbers(need)))
        _foresee(context, need.pool)


def ensure_room_for(context: Context, plan: ResetPlan, claimed: Sequence[Seat]) -> None:
    """The same of the machines that a plan starts. One that the guard paused is as one that is off
    when a student asks: no reset of theirs lets it go on writing. Raises NoSpace."""
    folder = context.host.settings.halt_folder
    by_student = context.by is ResetBy.STUDENTS
    ensure_room(
        context,
        [
            one.seat
            for one in plan.seats
            if _STARTS & {*one.steps}
            and (one.seat.power in _OFF or (by_student and halt_seen(folder, one.seat)))
        ],
        claimed,
    )


def _foresee(context: Context, pool: Pool) -> None:
    left_s = full_in_s(growth.history(context.host.settings.growth_folder, pool), pool.free_bytes)
    if left_s is not None and left_s < SOON_S:
        text = N_(
            "{place}/{pool} will be full in about {h:.1f} h, if it goes on as in the last hour."
        )
        facts = {"place": pool.place, "pool": pool.name, "h": left_s / 3600}
        context.emit(Noted(text=text, facts=facts))


def _numbers(need: PoolNeed) -> dict[str, object]:
    return {
        "n": need.seats,
        "needs": size_text(need.may_need_bytes),
        "free": size_text(need.pool.free_bytes),
        "place": need.pool.place,
        "pool": need.pool.name,
    }


def _discard_undos(context: Context, need: PoolNeed, claimed: Sequence[Seat]) -> PoolNeed:
    """The oldest first, one by one, until it is not full any more. What another command works on
    stays; what is ``claimed`` is ours."""
    host, facts = context.host, context.host.observe()
    everybody = {
        seat.name: seat
        for room in facts.classrooms.values()
        for seat in room.seats
        if seat.volumes[0].place == need.pool.place and not seat.fault
    }
    if not any(host.reclaim_space([v for one in everybody.values() for v in one.volumes]).values()):
        need = _again(context, need)  # what a reset that was cut off had not given back yet
    kept = undo.undo_ages(host, list(everybody.values())) if need.is_full else {}
    for name, since in kept.items():
        seat = everybody[name]
        try:
            with _claimable(context, seat, claimed):
                if undo.undo_ages(host, [seat]).get(name) != since:
                    continue  # something else is kept by now
                undo.discard_undo(host, [seat])
        except Busy:
            continue
        text = N_("{pool} is nearly full: the last reset of {name} can be undone no more.")
        context.emit(Noted(text=text, facts={"pool": need.pool.name, "name": name}))
        need = _again(context, need)
        if not need.is_full:
            break
    return need


def _claimable(
    context: Context, seat: Seat, claimed: Sequence[Seat]
) -> AbstractContextManager[object]:
    """Raises Busy."""
    if seat.name in {one.name for one in claimed}:
        return nullcontext()
    quick, numbers = replace(context, wait_s=0), [seat.number]
    return claiming_seats(quick, seat.classroom, numbers, N_("guard"), completes=False)


def _again(context: Context, need: PoolNeed) -> PoolNeed:
    """The same pool, as it is now."""
    pools = {(one.place, one.name): one for one in context.host.observe().pools}
    return replace(need, pool=pools[need.pool.place, need.pool.name])


def guard(context: Context) -> dict[str, Any]:
    """What a timer runs each minute: nothing runs full unnoticed, no undo outlives its time.

    A machine that somebody works on with another command is left to that command.
    """
    host = context.host
    facts = host.observe()
    seats = [seat for room in facts.classrooms.values() for seat in room.seats if not seat.fault]
    running = [seat for seat in seats if seat.power is Power.RUNNING]
    halting.forget_left_over(context, seats)
    seen = halting.pools_in_need(context, facts.pools, running)
    halted = halting.halt_writers(context, seen, running)  # first: the rest takes its time
    growth.record(host.settings.growth_folder, facts.pools)
    raise_fence(context)
    for seat in seats:
        _guard_stores(context, seat)
    _complete_records(context, facts)
    for room in facts.classrooms.values():
        _discard_old(context, room)
    for need in seen:
        if need.is_full:
            _full(context, need)
    halting.let_go_on(context, halted)
    return {
        "verb": "guard",
        "pools": [pool_json(host.settings, pool) for pool in host.observe().pools],
    }


def raise_fence(context: Context) -> None:
    """Somebody may have taken the rules between seats away. What keeps them away is told."""
    try:
        stood = context.host.compute.raise_fence()
    except PizarraError as error:
        text = N_("The firewall between seats cannot be raised: {why}")
        context.emit(Noted(text=text, facts={"why": error}))
        return
    if not stood:
        text = N_("The firewall between seats was not whole: it stands again.")
        context.emit(Noted(text=text, facts={}))
    try:
        _renew_network_rules(context)
    except PizarraError as error:
        text = N_("The firewall rules of libvirt's networks cannot be renewed: {why}")
        context.emit(Noted(text=text, facts={"why": error}))


def _renew_network_rules(context: Context) -> None:
    """libvirt's daemon starts anew when networks have lost their rules. It does so once: where that
    does not help, the next minute only says so. The file says that it was tried."""
    compute, tried = context.host.compute, context.host.settings.rules_file
    bare = compute.networks_without_rules()
    if not bare:
        tried.unlink(missing_ok=True)
        return
    if tried.exists():
        text = N_("The networks {names} have no firewall rules: systemctl restart libvirtd")
        context.emit(Noted(text=text, facts={"names": ", ".join(bare)}))
        return
    tried.parent.mkdir(parents=True, exist_ok=True)
    tried.touch()
    compute.renew_network_rules()
    text = N_("The networks {names} had lost their firewall rules: libvirt made them anew.")
    context.emit(Noted(text=text, facts={"names": ", ".join(bare)}))


def pool_json(settings: Settings, pool: Pool) -> dict[str, Any]:
    """A pool as pages and scripts see it, with what may be foreseen."""
    samples = growth.history(settings.growth_folder, pool)
    left_s = full_in_s(samples, pool.free_bytes)
    return {
        "storage": str(pool.kind),
        "place": pool.place,
        "name": pool.name,
        "size_bytes": pool.size_bytes,
        "free_bytes": pool.free_bytes,
        "metadata_used_share": pool.metadata_used_share,
        "fault": pool.fault,
        "full_in_s": None if left_s is None else round(left_s),
    }


def _guard_stores(context: Context, seat: Seat) -> None:
    """Its changes are in a classic store of their own; one that overflows is lost."""
    volumes = [*seat.volumes, *(one for one in seat.baselines.values() if one.origin)]
    for volume in volumes:
        store = context.host.storage_of(volume)
        if not isinstance(store, ExtendableStore) or (volume.used_share or 0) < STORE_SHARE:
            continue
        facts: dict[str, object] = {
            "name": volume.name,
            "seat": seat.name,
            "percent": 100 * (volume.used_share or 0),
        }
        try:
            store.extend_store(volume)
        except PizarraError as error:
            _paused_before(context, seat, {**facts, "why": error})
        else:
            text = N_("{name} was {percent:.0f} % full of changes: its store is larger now.")
            context.emit(Noted(text=text, facts=facts))


def _paused_before(context: Context, seat: Seat, facts: dict[str, object]) -> None:
    """Nothing more is written; what is there stays there."""
    text = N_("{name} is {percent:.0f} % full of changes, and cannot grow: {why}")
    context.emit(Noted(text=text, facts=facts))
    if seat.power is Power.RUNNING and float(str(facts["percent"])) >= 100 * STORE_LAST_SHARE:
        text = N_("{seat} stands still before its data is lost: make room, then `pizarra start`.")
        halting.halt(context, seat, Halt.SPACE, text, {})


def _discard_old(context: Context, room: Classroom) -> None:
    for seat in room.seats:
        if seat.fault or not undo.has_note(context.host, seat):
            continue
        try:
            with _claimable(context, seat, ()):
                seats = [seat]
                undo.discard_old_undo(context.host, seats, context.emit)
        except PizarraError:
            continue  # somebody works on it, and drops it then


def _complete_records(context: Context, facts: HostFacts) -> None:
    """Operations whose command died are gone on with, once whoever gave it had the time to give it
    again: until then the record tells that command what was done already."""
    journal = context.host.journal
    for record in journal.records()[0]:
        if time.time() - journal.last_change(record) < PATIENCE_S or journal.is_owner_alive(record):
            continue
        if record.action is Action.SWAP_DATA:
            _complete_swap(context, record)
            continue
        for name in sorted({one.classroom for one in record.open} & facts.classrooms.keys()):
            there = {seat.number for seat in facts.classrooms[name].seats}
            numbers = {one.number for one in record.open if one.classroom == name} & there
            try:
                with claiming_seats(replace(context, wait_s=0), name, sorted(numbers), N_("guard")):
                    pass  # whoever claims them completes them
            except PizarraError as error:
                _tell_not_completed(context, record, name, error)


def _complete_swap(context: Context, record: Record) -> None:
    try:
        data_disks.complete_swap(replace(context, wait_s=0), record)
    except PizarraError as error:
        _tell_not_completed(context, record, record.seats[0].classroom, error)


def _tell_not_completed(context: Context, record: Record, name: str, why: PizarraError) -> None:
    text = N_("What {verb} was cut off in for {name} is not completed: {why}")
    facts: dict[str, object] = {"verb": record.verb, "name": name, "why": why}
    context.emit(Noted(text=text, facts=facts))


def _full(context: Context, need: PoolNeed) -> None:
    """Undos go first; then it is said, every time, to whoever reads the journal."""
    left = _discard_undos(context, need, ())
    if left.is_full:
        text = N_(
            "{place}/{pool} is nearly full: {free} are free, and {n} running seats write to it."
        )
        context.emit(Noted(text=text, facts=_numbers(left)))


def sample(settings: Settings, pool: Pool, most: int = 100) -> list[list[float]]:
    """(seconds since 1970, share used), evenly chosen, for a chart."""
    samples = growth.history(settings.growth_folder, pool)
    step = max(1, len(samples) // most)
    return [[one.at, one.used_bytes / max(1, pool.size_bytes)] for one in samples[::step]]
