"""Claim seats first, then look at them. So one look is enough, and nobody changes what was seen.

A command that died may have left a record of these seats. The record is completed between the claim
and the look, so that no command sees a seat in the middle of a change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from pizarra.engine import recovery
from pizarra.engine.journal import DISK_ACTIONS, Action
from pizarra.engine.machines import examine
from pizarra.engine.recovery import Completed, Result
from pizarra.errors import Forbidden
from pizarra.model.facts import Seat
from pizarra.model.names import check_name, seat_name
from pizarra.model.sentence import N_, join
from pizarra.planner.drift import Judge, any_fault
from pizarra.service import identity_offline
from pizarra.service.context import Context
from pizarra.service.identity_ends import take_back_cut_off
from pizarra.service.look import Numbers as Numbers
from pizarra.service.look import look_at_disks
from pizarra.service.look import look_at_seats as look_at_seats


@dataclass(frozen=True, slots=True)
class Claimed:
    """Seats that the command has claimed, and what was completed of commands that died, by name of
    seat."""

    seats: tuple[Seat, ...]
    completed: Mapping[str, Completed]  # by name of seat


@contextmanager
def claiming_seats(
    context: Context,
    classroom: str,
    numbers: Numbers,
    verb: str,
    *,
    completes: bool = True,
    judge: Judge = any_fault,
) -> Iterator[tuple[Seat, ...]]:
    """Claim some seats, or the whole classroom when ``numbers`` is None, and look at them.

    A seat gets a fault with the reason when its record cannot be completed, or when ``judge``
    refuses its machine. A command that does not need whole disks says ``completes=False``. Raises
    Busy, which names the user and the time.
    """
    with _claiming(context, classroom, numbers, verb):
        actions = DISK_ACTIONS if completes else frozenset[Action]()
        yield _complete(context, classroom, numbers, actions, judge).seats


@contextmanager
def claiming_to_rewind(
    context: Context, classroom: str, numbers: Numbers, verb: str, judge: Judge = any_fault
) -> Iterator[tuple[Seat, ...]]:
    """Claim seats that the caller rewinds. The caller goes on with a rewind that was cut off, by
    its record. What is left of the record at the end is completed.

    For the policy, whatever takes the content of a seat away is a reset. Raises Forbidden.
    """
    with _claiming(context, classroom, numbers, verb):
        check_may_reset(context, look_at_disks(context, classroom, numbers)[1])
        seats = _complete(context, classroom, numbers, {Action.UNDO}, judge).seats
        before = {record.id for record, _ in context.host.journal.entries().values()}
        yield seats
        there = context.host.journal.entries()
        left = [seat.name for seat in seats if seat.name in there]
        _complete_names(context, [one for one in left if there[one][0].id in before], DISK_ACTIONS)


@contextmanager
def claiming_to_undo(context: Context, classroom: str, numbers: Numbers) -> Iterator[Claimed]:
    """Claim seats for an undo. An undo that was cut off is completed first. Raises Forbidden."""
    with _claiming(context, classroom, numbers, N_("undo")):
        check_may_reset(context, look_at_disks(context, classroom, numbers)[1])
        yield _complete(context, classroom, numbers, DISK_ACTIONS, notice=False)


def check_may_reset(context: Context, seats: Sequence[Seat]) -> None:
    """For whatever takes the content of these seats away. Raises Forbidden."""
    by = context.by
    for seat in seats:
        policy = seat.record.policy
        if by is not None and not policy.may_reset(by):
            raise Forbidden(
                "The policy of {name} leaves resets to its {those}.",
                "Ask one of them.",
                name=seat.classroom,
                those=policy.reset_by,
            )


def complete_cut_off(context: Context, seats: Sequence[Seat]) -> None:
    """Complete the records of seats that the caller has claimed by other means, as far as possible.
    Raises Busy, StorageFault."""
    _complete_names(context, [seat.name for seat in seats], DISK_ACTIONS)


@contextmanager
def _claiming(context: Context, classroom: str, numbers: Numbers, verb: str) -> Iterator[None]:
    check_name(classroom, N_("classroom"))
    wait_s = context.wait_s
    if numbers is None:
        claim = context.claim([f"classroom:{classroom}"], verb, wait_s=wait_s)
    else:
        names = [f"seat:{seat_name(classroom, number)}" for number in numbers]
        claim = context.claim(names, verb, shared=[f"classroom:{classroom}"], wait_s=wait_s)
    with claim:
        yield


def _complete(
    context: Context,
    classroom: str,
    numbers: Numbers,
    actions: Collection[Action],
    judge: Judge = any_fault,
    *,
    notice: bool = True,
) -> Claimed:
    seats = _awake(context, classroom, numbers)
    names = [seat.name for seat in seats]
    taken_back = take_back_cut_off(context, seats) if actions else {}
    completed = _complete_names(context, names, actions, notice=notice)
    if completed or taken_back:
        seats = look_at_disks(context, classroom, numbers)[1]
    seats = examine(context.host, seats, judge)
    faults = {name: one.reason for name, one in completed.items() if one.result is Result.LEFT}
    faults |= {name: join([why]) for name, why in taken_back.items() if why}
    return Claimed(tuple(_with_fault(seat, faults.get(seat.name)) for seat in seats), completed)


def _awake(context: Context, classroom: str, numbers: Numbers) -> tuple[Seat, ...]:
    seats = look_at_disks(context, classroom, numbers)[1]
    return look_at_disks(context, classroom, numbers)[1] if context.host.wake(seats) else seats


def _complete_names(
    context: Context, names: Sequence[str], actions: Collection[Action], *, notice: bool = True
) -> dict[str, Completed]:
    if not names or not actions:
        return {}
    own = own_identity(context)
    return recovery.complete_all(context.host, names, actions=actions, own=own, notice=notice)


def _with_fault(seat: Seat, why: str | None) -> Seat:
    return replace(seat, fault=why) if why and not seat.fault else seat


def own_identity(context: Context) -> Callable[[Seat], object]:
    """The function that writes a seat's own name and keys to its disk, where that is possible."""
    return partial(identity_offline.restore_own, context)
