"""The port to the queue: ask for a use case, get a job. A second click gets the same job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from pizarra.server.jobs.models import AuditEntry, Job, State
from pizarra.server.people.models import User
from pizarra.server.rooms.models import Room, SeatAssignment

_OPEN = (State.QUEUED, State.RUNNING)
_LETS_GO = ("undo", "checkpoint restore", "checkpoint hand-out", "classroom delete", "reset")


def enqueue(
    user: User,
    use_case: str,
    arguments: dict[str, Any],
    *,
    request: HttpRequest | None = None,
    key: str = "",
) -> Job:
    """The job for it: a new one, or that of the same wish that has not ended, or of the key."""
    classroom, numbers = arguments.get("classroom", ""), arguments.get("numbers")
    room = Room.objects.filter(name=classroom).first()
    host = room.host if room else "local"
    with transaction.atomic():
        if key:
            same = Job.objects.filter(user=user, use_case=use_case, arguments__key=key).first()
            if same is not None:
                return same
        waiting = Job.objects.filter(
            host=host, use_case=use_case, classroom=classroom, state__in=_OPEN
        ).order_by("created")
        for one in waiting:
            if {**one.arguments, "key": None} == {**arguments, "key": None}:
                return one
        job = Job.objects.create(
            host=host,
            use_case=use_case,
            arguments={**arguments, **({"key": key} if key else {})},
            classroom=classroom,
            numbers=numbers,
            user=user,
        )
        write_audit(user, use_case, classroom, facts=arguments, job=job, request=request)
    if room and use_case in _LETS_GO and arguments.get("mode") != "hot":
        release_consoles(room, numbers)
    return job


def release_consoles(room: Room, numbers: Sequence[int] | None) -> None:
    """Whoever looks at these seats must ask again."""
    for one in SeatAssignment.objects.filter(room=room):
        if numbers is None or one.number in numbers:
            one.generation += 1
            one.save(update_fields=["generation"])


def write_audit(
    user: User,
    action: str,
    classroom: str = "",
    *,
    target: str = "",
    facts: dict[str, Any] | None = None,
    job: Job | None = None,
    request: HttpRequest | None = None,
) -> AuditEntry:
    """A line of the audit."""
    return AuditEntry.objects.create(
        user=user,
        who=user.username,
        address=request.META.get("REMOTE_ADDR") or None if request else None,
        action=action,
        target=target,
        classroom=classroom,
        facts=facts or {},
        outcome="asked" if job else "done",
        job=job,
    )
