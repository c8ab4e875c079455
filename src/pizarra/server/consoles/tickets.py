"""Console tickets. A ticket is signed, for one user and one seat, and valid for a minute. It stops
working when the seat is reset or gets another student, and with its classroom."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.core import signing

from pizarra.server.people.models import User
from pizarra.server.permissions import Rule, may, meant_id
from pizarra.server.rooms.models import Room, SeatAssignment
from pizarra.server.streams import Proof

_SALT = "pizarra.console"
GOOD_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """One user at one seat. ``generation`` grows when the consoles of the seat must be closed."""

    user_id: int
    classroom: str
    number: int
    classroom_id: str
    generation: int

    @property
    def whose(self) -> object:
        """The user and the seat, for the limit of streams."""
        return "console", self.user_id, self.classroom, self.number


def admission_of(user: User, classroom: str, number: int) -> Admission | None:
    """What lets a user to the console of a seat now; None when nothing does."""
    if not may(user, Rule.SEAT_USER, classroom, number):
        return None
    room = Room.objects.filter(name=classroom).first()
    seat = SeatAssignment.objects.filter(room=room, number=number).first() if room else None
    return Admission(
        user_id=user.pk,
        classroom=classroom,
        number=number,
        classroom_id=room.classroom_id if room else meant_id(user, classroom),
        generation=(room.generation if room else 0) + (seat.generation if seat else 0),
    )


def ticket_for(user: User, classroom: str, number: int) -> str:
    """A ticket, for the address of the console's socket. The caller has checked the rule."""
    now = admission_of(user, classroom, number)
    told = [now.user_id, now.classroom, now.number, now.classroom_id, now.generation] if now else []
    return signing.dumps(told, salt=_SALT, compress=True)


def admit(ticket: str, user: object) -> Admission | None:
    """The admission of a ticket, if the user may still open the console."""
    try:
        told = signing.loads(ticket, salt=_SALT, max_age=GOOD_S)
    except signing.BadSignature:
        return None
    if not told or not isinstance(user, User):
        return None
    user_id, classroom, number, classroom_id, generation = told
    then = Admission(
        user_id=user_id,
        classroom=classroom,
        number=number,
        classroom_id=classroom_id,
        generation=generation,
    )
    return then if _is_same(then, admission_of(user, classroom, number)) else None


def is_still_admitted(then: Admission, proof: Proof) -> bool:
    """Whether a console may stay open."""
    user = proof.user()
    return user is not None and _is_same(then, admission_of(user, then.classroom, then.number))


def _is_same(then: Admission, now: Admission | None) -> bool:
    """A room of before there were ids may have been bound to its classroom meanwhile."""
    if now is None:
        return False
    return now == (then if then.classroom_id else replace(then, classroom_id=now.classroom_id))
