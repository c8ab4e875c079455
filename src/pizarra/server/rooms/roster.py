"""Rosters (who sits where, from CSV) and class codes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from pizarra.errors import BadInput
from pizarra.model.names import parse_number, parse_seat_name
from pizarra.server.people.models import Role, User
from pizarra.server.people.usernames import parse_username, username_fault
from pizarra.server.rooms.models import Room, SeatAssignment
from pizarra.server.rooms.roster_text import Line, parse_lines

_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that look alike
CODE_LENGTH = 6
_NAME_LENGTH_MAX = 150  # of each of Django's two columns


@dataclass(slots=True)
class Roster:
    """The rows of a roster, and the errors of its lines."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def wrong(self, line: int, why: str) -> None:
        """Note an error of a line."""
        self.errors.append({"line": line, "why": why})


def read_roster(room: Room, text: str, seats: set[int]) -> Roster:
    """Read lines of ``seat,username,full name``. A heading and empty lines are ignored."""
    found = Roster()
    numbers: dict[int, int] = {}
    names: dict[str, int] = {}
    for line in parse_lines(text):
        if line.fault:
            found.wrong(line.number, line.fault)
            continue
        seat, username, full = line.cells[0], parse_username(line.cells[1]), _full_name(line)
        number = _number(room, seat)
        known = User.objects.filter(username=username).first()
        if number is None or number not in seats:
            shown = seat if seat.isprintable() else ascii(seat)
            found.wrong(line.number, _("there is no seat {seat}").format(seat=shown[:60]))
        elif number in numbers:
            told = _("seat {n} is on line {line} already")
            found.wrong(line.number, told.format(n=number, line=numbers[number]))
        elif why := username_fault(username):
            found.wrong(line.number, why)
        elif username in names:
            told = _("{name} is on line {line} already")
            found.wrong(line.number, told.format(name=username, line=names[username]))
        elif known and not _may_sit(known):
            found.wrong(line.number, _("{name} is not a student").format(name=username))
        elif len(full) > _NAME_LENGTH_MAX:
            told = _("the name has {n} characters; it can have {most}")
            found.wrong(line.number, told.format(n=len(full), most=_NAME_LENGTH_MAX))
        else:
            numbers[number], names[username] = line.number, line.number
            found.rows.append({"line": line.number, "number": number, "username": username,
                               "name": full, "new": known is None})  # fmt: skip
    return found


def _full_name(line: Line) -> str:
    return line.cells[2] if len(line.cells) > 2 else ""


def _may_sit(user: User) -> bool:
    return user.role == Role.STUDENT


def _number(room: Room, text: str) -> int | None:
    number = parse_number(text)
    if number is not None:
        return number
    try:
        classroom, number = parse_seat_name(text)
    except BadInput:
        return None
    return number if classroom == room.name else None


def apply_roster(room: Room, roster: Roster) -> dict[str, str]:
    """Assign the seats. Returns the first passwords of new students, by user name."""
    new = [row["username"] for row in roster.rows if row["new"]]
    passwords = {name: secrets.token_urlsafe(6) for name in new}
    # before the transaction, which nobody else writes in: each takes a tenth of a second
    hashes = {name: make_password(password) for name, password in passwords.items()}
    with transaction.atomic():
        made = [_assign_row(room, row, hashes.get(row["username"])) for row in roster.rows]
    return {name: passwords[name] for name in made if name in passwords}


def _assign_row(room: Room, row: dict[str, Any], password_hash: str | None) -> str:
    """The name of a student who is new; else empty. Raises BadInput when somebody deleted a
    student meanwhile."""
    user = User.objects.filter(username=row["username"]).first()
    is_new = user is None
    if user is None:
        if password_hash is None:
            raise BadInput("{name} is gone.", "Send the roster again.", name=row["username"])
        first, _, last = row["name"].partition(" ")
        user = User.objects.create(
            username=row["username"], password=password_hash, role=Role.STUDENT,
            first_name=first, last_name=last,
        )  # fmt: skip
    room.students.add(user)
    assign(room, row["number"], user)
    return row["username"] if is_new else ""


def assign(room: Room, number: int, student: User | None) -> SeatAssignment:
    """Give a seat to a student, and close its consoles."""
    SeatAssignment.objects.filter(room=room, student=student).exclude(number=number).update(
        student=None
    ) if student else None
    seat = SeatAssignment.objects.get_or_create(room=room, number=number)[0]
    if seat.student_id != (student.pk if student else None):
        seat.student, seat.generation = student, seat.generation + 1
        seat.save()
    return seat


def make_code(room: Room) -> str:
    """Make a new class code. The old code stops working."""
    while True:
        room.class_code = "".join(secrets.choice(_LETTERS) for _ in range(CODE_LENGTH))
        try:
            with transaction.atomic():
                room.save(update_fields=["class_code"])
        except IntegrityError:
            continue
        return room.class_code


def room_of_code(code: str) -> Room | None:
    """The class with this code."""
    wanted = code.strip().upper()
    return Room.objects.filter(class_code=wanted).first() if code.isascii() and wanted else None


@transaction.atomic
def join(user: User, room: Room, seats_of: Callable[[Room], Collection[int]]) -> SeatAssignment:
    """Give a student the first free seat of a class. Raises BadInput."""
    own = room.assignments.filter(student=user).first()
    if own is not None:
        return own
    taken = {one.number for one in room.assignments.exclude(student=None)}
    free = sorted(number for number in seats_of(room) if number not in taken)
    if not free:
        raise BadInput("Every machine of this class is taken.", "Tell your teacher.")
    room.students.add(user)
    return assign(room, free[0], user)
