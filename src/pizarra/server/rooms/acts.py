"""Rosters, class codes and joining: one function each for the page and the API."""

from __future__ import annotations

from django.http import HttpRequest

from pizarra.errors import BadInput
from pizarra.server.hosts import host
from pizarra.server.jobs.queue import write_audit
from pizarra.server.people import guesses
from pizarra.server.people.models import User
from pizarra.server.rooms import roster, roster_files
from pizarra.server.rooms.models import Room, SeatAssignment


def put_roster(
    user: User, room: Room, csv: str, *, apply: bool, request: HttpRequest
) -> tuple[roster.Roster, bool]:
    """Check a roster, or apply all of it. The second value says whether it was applied."""
    read = roster.read_roster(room, csv, _numbers(room))
    applied = apply and bool(read.rows) and not read.errors
    if applied:
        first_passwords = roster.apply_roster(room, read)
        for row in read.rows:
            row["first_password"] = first_passwords.get(row["username"], "")
        write_audit(user, "roster", room.name, facts={"n": len(read.rows)}, request=request)
    return read, applied


def read_roster_file(room: Room, data: bytes, course: str) -> tuple[str, roster.Roster]:
    """The text of a roster's file; of a OneRoster file, of the class ``course``. The roster has the
    errors of the file, and no rows. Raises BadInput."""
    taken = room.assignments.exclude(student=None).select_related("student")
    sitting = {one.student.username: one.number for one in taken if one.student}
    text, report = roster_files.roster_text(data, course, sitting, _numbers(room))
    return text, roster.Roster(errors=report.errors)


def _numbers(room: Room) -> set[int]:
    """Of the seats of the room's own classroom. Raises NotFound when it has gone."""
    return set(host().seat_numbers(room.name, room.classroom_id))


def renew_code(user: User, room: Room, request: HttpRequest) -> str:
    """Make a new class code. The old code stops working."""
    write_audit(user, "class code", room.name, request=request)
    return roster.make_code(room)


def join(user: User, code: str, request: HttpRequest) -> SeatAssignment:
    """Take a free machine of the class with this code. A second call gives the same one. Raises
    TooOften for one who guesses, BadInput."""
    guesses.check_code_guesses(request, user)
    room = roster.room_of_code(code)
    if room is None:
        if guesses.count_wrong(guesses.code_counts(request, user)):
            write_audit(user, "join", request=request, outcome="throttled")
        raise BadInput("There is no class with this code.", "Ask your teacher for it again.")
    seat = roster.join(user, room, _numbers)
    write_audit(user, "join", seat.room.name, target=seat.seat, request=request)
    return seat
