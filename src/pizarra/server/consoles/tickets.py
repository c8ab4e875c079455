"""Console tickets: signed, for one user and one seat, good for a minute, worthless when the seat is
reset or becomes somebody else's."""

from __future__ import annotations

from django.core import signing

from pizarra.server.people.models import User
from pizarra.server.permissions import Rule, may
from pizarra.server.rooms.models import SeatAssignment

_SALT = "pizarra.console"
GOOD_S = 60


def generation(classroom: str, number: int) -> int:
    """Grows when whoever looks at the seat must be let go."""
    found = SeatAssignment.objects.filter(room__name=classroom, number=number).first()
    return found.generation if found else 0


def ticket_for(user: User, classroom: str, number: int) -> str:
    """For the address of the console's socket."""
    told = {"u": user.pk, "c": classroom, "n": number, "g": generation(classroom, number)}
    return signing.dumps(told, salt=_SALT, compress=True)


def admit(ticket: str, user: object) -> tuple[str, int, int] | None:
    """(classroom, number, generation) if this very user may look there still."""
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
