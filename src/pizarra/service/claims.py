"""Seats are claimed first, then looked at: one look is enough, and nobody changes what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pizarra.model.facts import Seat
from pizarra.model.names import check_name, seat_name
from pizarra.planner.host_facts import HostFacts, choose_seats
from pizarra.service.context import Context
from pizarra.system.locks import claiming

Numbers = Sequence[int] | None


def look_at_seats(
    context: Context, classroom: str, numbers: Numbers
) -> tuple[HostFacts, tuple[Seat, ...]]:
    """For those who only look. Raises NotFound."""
    check_name(classroom, "classroom")
    facts = context.host.observe()
    return facts, choose_seats(facts.classroom(classroom), numbers)


@contextmanager
def claiming_seats(
    context: Context, classroom: str, numbers: Numbers, verb: str
) -> Iterator[tuple[Seat, ...]]:
    """By number, or the classroom as a whole. Raises Busy with who and since when."""
    check_name(classroom, "classroom")
    wait_s = context.wait_s
    if numbers is None:
        claim = claiming([classroom], verb, wait_s=wait_s)
    else:
        names = [seat_name(classroom, number) for number in numbers]
        claim = claiming(names, verb, shared=[classroom], wait_s=wait_s)
    with claim:
        yield look_at_seats(context, classroom, numbers)[1]
