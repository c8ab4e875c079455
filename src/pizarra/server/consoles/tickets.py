"""Console tickets. A ticket is signed, for one user and one seat, and valid for a minute. It stops
working when the seat is reset or gets another student."""

from __future__ import annotations

from django.core import signing

from pizarra.server.people.models import User
from pizarra.server.permissions import Rule, may
from pizarra.server.rooms.models import SeatAssignment

_SALT = "pizarra.console"
GOOD_S = 60


def generation(classroom: str, number: int) -> int:
    """A number that grows when the consoles of a seat must be closed."""
    found = SeatAssignment.objects.filter(room__name=classroom, number=number).first()
    return found.generation if found else 0


def ticket_for(user: User, classroom: str, number: int) -> str:
    """A ticket, for the address of the console's socket."""
    told = {"u": user.pk, "c": classroom, "n": number, "g": generation(classroom, number)}
    return signing.dumps(told, salt=_SALT, compress=True)


def admit(ticket: str, user: object) -> tuple[str, int, int] | None:
    """(classroom, number, generation) of a ticket, if the user may still open the console."""
    try:
        told = signing.loads(ticket, salt=_SALT, max_age=GOOD_S)
    except signing.BadSignature:
        return None
    classroom, number, then = told["c"], told["n"], told["g"]
    if not isinstance(user, User) or user.pk != told["u"]:
        return None
    if then != generation(classroom, number) or not may(user, Rule.SEAT_USER, classroom, number):
        return None
    return classroom, number, then
