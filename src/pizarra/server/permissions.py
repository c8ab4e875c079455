"""Every rule of who may what, in one place, for pages, API and consoles alike.

A view names its rule with ``@rule(…)``. The middleware applies it before the view is called, from
the address alone: ``classroom`` and ``number`` in it say what it is about. A view without a rule
answers nobody, and a test fails.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import DataError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.views.defaults import bad_request

from pizarra.server.jobs.models import OPEN, Job
from pizarra.server.people.models import User
from pizarra.server.rooms.models import Room

Whoever = User | AnonymousUser
F = TypeVar("F", bound=Callable[..., Any])


class NotSignedIn(PermissionDenied):
    """The user is not signed in. The API answers 401."""


class Rule(Enum):
    """Who may. The value says it in words for the permission table of the documentation."""

    ANYBODY = "anybody"
    SIGNED_IN = "whoever is signed in"
    STAFF = "teachers and technicians"
    TECHNICIAN = "technicians"
    ROOM_TEACHER = "teachers of the classroom, and technicians"
    ROOM_MEMBER = "teachers and students of the classroom, and technicians"
    SEAT_USER = "the seat's student, teachers of the classroom, and technicians"
    SEAT_RESTART = "as SEAT_USER, and the student where the classroom lets students restart"
    SEAT_RESET = "as SEAT_USER, and the student where the classroom lets students reset"
    SEAT_CHECKPOINT = "as SEAT_USER, and the student where the classroom lets students checkpoint"


_ROOM_SETTING = {
    Rule.SEAT_RESTART: "students_may_restart",
    Rule.SEAT_RESET: "students_may_reset",
    Rule.SEAT_CHECKPOINT: "students_may_checkpoint",
}
MAKES_CLASSROOM = "classroom create"
NOBODYS_ID = "nobodys"
SEAT_RULES = frozenset({Rule.SEAT_USER, *_ROOM_SETTING})
ROOM_RULES = frozenset({Rule.ROOM_TEACHER, Rule.ROOM_MEMBER, *SEAT_RULES})


def may(who: Whoever, rule: Rule, classroom: str = "", number: int | None = None) -> bool:
    """Whether a rule lets a user, for a classroom and a seat."""
    if rule is Rule.ANYBODY:
        return True
    if not isinstance(who, User) or not who.is_active:
        return False
    if rule is Rule.SIGNED_IN or who.is_technician:
        return True
    if rule is Rule.STAFF:
        return who.is_teacher
    if rule is Rule.TECHNICIAN:
        return False
    return _may_in_room(who, rule, classroom, number)


def rooms_of(user: User) -> list[Room]:
    """The rooms that a user may see."""
    if user.is_technician:
        return list(Room.objects.all())
    seated = Room.objects.filter(assignments__student=user)
    return list((user.rooms_taught.all() | user.rooms_attended.all() | seated).distinct())


def _may_in_room(user: User, rule: Rule, classroom: str, number: int | None) -> bool:
    room = Room.objects.filter(name=classroom).first()
    if room is None:
        return user.is_teacher and _making(user, classroom) is not None
    if user.is_teacher and room.teachers.filter(pk=user.pk).exists():
        return True
    if rule is Rule.ROOM_MEMBER:
        return room.students.filter(pk=user.pk).exists() or _sits(user, room, None)
    if rule not in SEAT_RULES or number is None or not _sits(user, room, number):
        return False
    setting = _ROOM_SETTING.get(rule)
    return setting is None or bool(getattr(room, setting))


def _making(user: User, classroom: str) -> Job | None:
    """The job by which a user is making a classroom that nobody has a room for."""
    mine = Job.objects.filter(user=user, classroom=classroom, state__in=OPEN)
    return mine.filter(use_case=MAKES_CLASSROOM).first()


def meant_id(user: User, classroom: str) -> str:
    """The id of the classroom that a user means by a name: the one that gives the user a right.

    Empty for a technician, who may work with whichever has the name, and for a room of before
    there were ids. An id that no classroom has for somebody who lost the right meanwhile.
    """
    if user.is_technician or not classroom:
        return ""
    room = Room.objects.filter(name=classroom).first()
    if room is not None:
        return room.classroom_id
    job = _making(user, classroom)
    return job.classroom_id if job else NOBODYS_ID


def _sits(user: User, room: Room, number: int | None) -> bool:
    seats = room.assignments.filter(student=user)
    return (seats if number is None else seats.filter(number=number)).exists()


def check(who: Whoever, rule: Rule, classroom: str = "", number: int | None = None) -> None:
    """Raises NotSignedIn or PermissionDenied."""
    if may(who, rule, classroom, number):
        return
    if not isinstance(who, User):
        raise NotSignedIn
    raise PermissionDenied


def rule(one: Rule) -> Callable[[F], F]:
    """Give a view its rule."""

    def named(view: F) -> F:
        view.rule = one  # type: ignore[attr-defined]
        return view

    return named


def rule_of(view: Callable[..., Any]) -> Rule | None:
    """The rule that a view was given; a class-based view has it as an attribute."""
    found = getattr(view, "rule", None) or getattr(getattr(view, "view_class", None), "rule", None)
    return found if isinstance(found, Rule) else None


class EveryViewHasARule:
    """Middleware: a page is answered to whom its rule lets; the API has its own check."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.answer(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """None lets the view answer."""
        _ = args
        if request.resolver_match and request.resolver_match.app_name == "ninja":
            return None
        found = rule_of(view)
        if found is None:
            raise PermissionDenied
        try:
            check(request.user, found, kwargs.get("classroom", ""), kwargs.get("number"))
        except NotSignedIn:
            here = request.get_full_path()
            return redirect_to_login(here, resolve_url(settings.LOGIN_URL))
        except DataError as error:  # no name of a classroom has a NUL
            return bad_request(request, error)
        return None
