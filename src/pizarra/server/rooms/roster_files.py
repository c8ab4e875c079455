"""A file as the text of a roster: CSV of a spreadsheet, or one class of a OneRoster zip."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping

from django.utils.translation import gettext as _

from pizarra.errors import BadInput
from pizarra.model.sizes import MIB
from pizarra.server.people.usernames import parse_username
from pizarra.server.rooms.one_roster import Course, Report, read_courses
from pizarra.server.rooms.roster_text import decode_text

FILE_BYTES_MAX = 2 * MIB  # the gate lets no more through
_ZIP = b"PK\x03\x04"


def roster_text(
    data: bytes, wanted: str, sitting: Mapping[str, int], seats: Collection[int]
) -> tuple[str, Report]:
    """A file as lines of ``seat,username,full name``, and the errors of a OneRoster file.

    ``wanted`` names the class of a OneRoster file that has several. Students who sit already, by
    user name, keep their seats; the others get the free ones in the order of their names. Raises
    BadInput.
    """
    if len(data) > FILE_BYTES_MAX:
        raise BadInput(
            "The file has {n} bytes; a roster has at most {most}.", n=len(data), most=FILE_BYTES_MAX
        )
    if not data.startswith(_ZIP):
        return decode_text(data), Report()
    courses, report = read_courses(data)
    return _text_of(_choose(courses, wanted), sitting, seats), report


def _choose(courses: Collection[Course], wanted: str) -> Course:
    """Raises BadInput, which names the classes of the file."""
    wanted = wanted.strip()
    found = [one for one in courses if wanted in (one.id, one.code, one.title)]
    found = found if wanted else [*courses]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.name for one in found or courses)
    if not courses:
        raise BadInput("The file has no class that can be read.", "See its errors.")
    raise BadInput(
        "The file has {n} classes that this could be: {names}",
        "Choose the file again, and name one of them.",
        n=len(found or courses),
        names=names if len(names) < 2000 else names[:2000] + " …",
    )


def _text_of(course: Course, sitting: Mapping[str, int], seats: Collection[int]) -> str:
    """Whoever has no seat left is in the text too, so that the roster says so by line."""
    known = {one: sitting[name] for one in course.students
             if (name := parse_username(one.username)) in sitting}  # fmt: skip
    free = sorted({*seats} - {*sitting.values()})
    lines = io.StringIO()
    write = csv.writer(lines, lineterminator="\n").writerow
    for student in sorted(course.students, key=lambda one: one.order):
        seat = known.get(student) or (free.pop(0) if free else _("none"))
        write([seat, student.username, student.name])
    return lines.getvalue()
