"""What the server adds to the answers of a host: whose classrooms they are and who sits where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pizarra.agent.client import HostRefused
from pizarra.errors import PizarraError
from pizarra.server.hosts import host
from pizarra.server.jobs.models import OPEN, Job
from pizarra.server.people.models import User
from pizarra.server.permissions import rooms_of
from pizarra.server.rooms.models import Room, SeatAssignment

Ask = Callable[[], Any]  # the host


def own_classrooms(user: User, arguments: Mapping[str, Any], ask: Ask) -> list[dict[str, Any]]:
    """Only the classrooms that the caller has to do with, with their titles."""
    _ = arguments
    rooms = {room.name: room for room in rooms_of(user)}
    return [
        {**one, "title": rooms[one["classroom"]].display_title}
        for one in ask()
        if one["classroom"] in rooms
        and (user.is_technician or rooms[one["classroom"]].classroom_id in ("", one["id"]))
    ]


def status(user: User, arguments: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    """Who sits at each seat, when a console was last touched, and what is under way."""
    _ = user
    classroom = arguments["classroom"]
    room = Room.objects.filter(name=classroom).first()
    jobs = [
        {"id": str(one.id), "use_case": one.use_case, "numbers": one.numbers}
        for one in Job.objects.filter(classroom=classroom, state__in=OPEN)
    ]
    try:
        answer = ask()
    except HostRefused as refused:
        if refused.http_status != 404 or not jobs:
            raise
        answer = {"classroom": classroom, "seats": []}  # it is being made
    taken = SeatAssignment.objects.filter(room=room).select_related("student") if room else ()
    sits = {one.number: one.student for one in taken}
    active = _active_s_ago(classroom, [seat["number"] for seat in answer["seats"]])
    for seat in answer["seats"]:
        student = sits.get(seat["number"])
        seat["student"] = student.display_name if student else ""
        seat["active_s_ago"] = active.get(seat["number"])
    title = room.display_title if room else classroom
    return {**answer, "title": title, "jobs": jobs}


def _active_s_ago(classroom: str, numbers: Sequence[int]) -> Mapping[int, int | None]:
    try:
        return host().activity(classroom, numbers)
    except PizarraError:
        return {}  # it is a note


ANSWERS: dict[str, Callable[[User, Mapping[str, Any], Ask], Any]] = {
    "classroom list": own_classrooms,
    "status": status,
}
