"""An undo as a plan: which seats get back what their last reset took away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from pizarra.model.facts import Power, Seat, StorageKind
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.sentence import Sentence
from pizarra.planner.reset import ResetPlan, SeatPlan, Step, not_undoable, untouchable_plan
from pizarra.storage.interface import Capabilities


def plan_undo(
    classroom: str,
    seats: Sequence[Seat],
    kept: Collection[str],
    capabilities: Mapping[StorageKind, Capabilities],
    *,
    completed: Mapping[str, SeatPlan] = MappingProxyType({}),
) -> ResetPlan:
    """``kept``: the names of seats of which something is kept; ``completed``: the plans of those of
    which an undo was cut off and is done by now."""
    plans = tuple(
        completed.get(seat.name) or _seat_plan(seat, kept, capabilities) for seat in seats
    )
    return ResetPlan(classroom=classroom, mode=Mode.COLD, seats=plans, verb="undo")


def _seat_plan(
    seat: Seat, kept: Collection[str], capabilities: Mapping[StorageKind, Capabilities]
) -> SeatPlan:
    if untouchable := untouchable_plan(seat):
        return untouchable
    if why := not_undoable(seat, capabilities):
        return SeatPlan(seat=seat, outcome=Outcome.SKIPPED, reason=why)
    if seat.name not in kept:
        reason = Sentence("nothing is kept of it: it was not reset lately, or that is too long ago")
        return SeatPlan(seat=seat, outcome=Outcome.SKIPPED, reason=reason)
    on = seat.power is not Power.OFF
    before = (Step.STOP,) if on else ()
    after = (Step.START,) if on else ()
    return SeatPlan(seat=seat, steps=(*before, Step.UNDO, *after))
