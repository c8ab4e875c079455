"""What people have to do with the answers of a host: whose classrooms, who sits where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pizarra.server.consoles import activity
from pizarra.server.jobs.models import OPEN, Job
from pizarra.server.people.models import User
from pizarra.server.permissions import rooms_of
from pizarra.server.rooms.models import Room


def _own_classrooms(user: User, answer: Any) -> Any:
    """Only those that the caller has to do with."""
    rooms = {room.name: room for room in rooms_of(user)}
    return [
        {**one, "title": rooms[one["classroom"]].title_shown}
        for one in answer
        if one["classroom"] in rooms
    ]


def with_people(classroom: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Who sits there, when a console was last touched, and what is under way."""
    room = Room.objects.get(name=classroom)
    sits = {one.number: one.student for one in room.assignments.select_related("student")}
    for seat in answer["seats"]:
        student = sits.get(seat["number"])
        seat["student"] = student.name_shown if student else ""
        seat["active_s_ago"] = activity.active_s_ago(classroom, seat["number"])
    return {**answer, "title": room.title_shown, "jobs": jobs_under_way(classroom)}


def jobs_under_way(classroom: str) -> list[dict[str, Any]]:
    """Of a classroom, the newest first."""
    return [
        {"id": str(one.id), "use_case": one.use_case, "numbers": one.numbers}
        for one in Job.objects.filter(classroom=classroom, state__in=OPEN)
    ]


ANSWERS: dict[str, Callable[[User, Any], Any]] = {"classroom list": _own_classrooms}
