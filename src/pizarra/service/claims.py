"""Seats are claimed first, then looked at: one look is enough, and nobody changes what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pizarra.model.facts import Seat
from pizarra.model.names import name_checked, seat_name
from pizarra.planner.host_facts import HostFacts, seats_chosen
from pizarra.service.context import Context
from pizarra.system.locks import claimed

Numbers = Sequence[int] | None


def seats_seen(
    context: Context, classroom: str, numbers: Numbers
) -> tuple[HostFacts, tuple[Seat, ...]]:
    """For those who only look. Raises NotFound."""
    name_checked(classroom, "classroom")
    facts = context.host.observe()
    return facts, seats_chosen(facts.classroom(classroom), numbers)


@contextmanager
def claimed_seats(
    context: Context, classroom: str, numbers: Numbers, verb: str
) -> Iterator[tuple[Seat, ...]]:
    """By number, or the classroom as a whole. Raises Busy with who and since when."""
    name_checked(classroom, "classroom")
    wait_s = context.wait_s
    if numbers is None:
        claim = claimed([classroom], verb, wait_s=wait_s)
    else:
        names = [seat_name(classroom, number) for number in numbers]
        claim = claimed(names, verb, shared=[classroom], wait_s=wait_s)
    with claim:
        yield seats_seen(context, classroom, numbers)[1]
