"""Seats and their machines as they are, for commands that only look and claim nothing."""

from __future__ import annotations

from collections.abc import Sequence

from pizarra.engine.events import Noted
from pizarra.engine.machines import examine
from pizarra.model.facts import Seat
from pizarra.model.names import check_name
from pizarra.model.sentence import N_
from pizarra.planner.drift import Judge, any_fault
from pizarra.planner.host_facts import HostFacts, choose_seats
from pizarra.service.context import Context

Numbers = Sequence[int] | None  # None is the whole classroom


def look_at_seats(
    context: Context, classroom: str, numbers: Numbers, judge: Judge = any_fault
) -> tuple[HostFacts, tuple[Seat, ...]]:
    """Observe the host, and choose seats of a classroom. A machine that is not as it was made is a
    fault of its seat where ``judge`` says so. Raises NotFound."""
    facts, seats = look_at_disks(context, classroom, numbers)
    return facts, examine(context.host, seats, judge)


def look_at_disks(
    context: Context, classroom: str, numbers: Numbers
) -> tuple[HostFacts, tuple[Seat, ...]]:
    """The same without a look at the machines. Raises NotFound."""
    check_name(classroom, N_("classroom"))
    facts = context.host.observe()
    return facts, choose_seats(facts.classroom(classroom), numbers)


def look_at_all(context: Context) -> HostFacts:
    """Observe the host, and tell what could not be seen, or is strange."""
    facts = context.host.observe()
    for why in (*facts.unseen, *facts.strange):
        context.emit(Noted(text="{why}", facts={"why": why}))
    return facts
