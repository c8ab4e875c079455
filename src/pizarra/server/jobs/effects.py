"""The effects of commands beside their work on a host: on people, messages and lessons.

The table of commands names the effects of each command. Each effect is implemented here once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from pizarra.agent.client import HostClient
from pizarra.errors import BadInput, Forbidden, NotFound, PizarraError
from pizarra.server.hosts import host
from pizarra.server.jobs.models import OPEN, AuditEntry, Job, State
from pizarra.server.jobs.registration import register_room
from pizarra.server.people.models import User
from pizarra.server.permissions import MAKES_CLASSROOM, Rule, check
from pizarra.server.rooms.models import Room, SeatAssignment
from pizarra.server.streams import look_again
from pizarra.service import uploads
from pizarra.service.commands.declaration import Command, Effect
from pizarra.service.commands.table import find_command

WELL = ("done", "unchanged")


def before_job(user: User, command: Command, wish: Any) -> None:
    """Run the effects that come before a job. Raises PermissionDenied, BadInput, NotFound."""
    if Effect.ADDS_CLASSROOM in command.effects:
        _check_name_free(user, wish.classroom)
        _check_few_classrooms(user, wish.classroom)
    if Effect.TAKES_UPLOAD in command.effects and wish.upload is not None:
        _check_upload(user, wish.upload)
    if Effect.SHOWS_MESSAGE in command.effects:
        _room(wish.classroom).show_message(wish.message, wish.numbers)
    if Effect.HIDES_MESSAGE in command.effects:
        room = _room(wish.classroom)
        if room.message:
            room.hide_message(wish.numbers, lambda: host().seat_numbers(wish.classroom))


def _room(name: str) -> Room:
    """Raises NotFound."""
    room = Room.objects.filter(name=name).first()
    if room is None:
        raise NotFound("There is no classroom {name!r}.", name=name)
    return room


def _check_upload(user: User, upload_id: UUID) -> None:
    upload = uploads.find(settings.PIZARRA.pages_folder, upload_id, user.pk)
    if not upload.whole:
        raise BadInput(
            "{received} of {size_bytes} bytes of this upload are here.",
            "Send the rest first.",
            received=upload.received,
            size_bytes=upload.size_bytes,
        )


def _check_name_free(user: User, name: str) -> None:
    """Raises PermissionDenied for the name of another teacher's classroom. The name of one that has
    gone from the host is free."""
    if not Room.objects.filter(name=name).exists():
        return
    with suppress(PizarraError):
        if name not in (one["classroom"] for one in host().query("classroom list")):
            return
    check(user, Rule.ROOM_TEACHER, name)


def _check_few_classrooms(user: User, name: str) -> None:
    """A limit of seats would be no limit without one of classrooms. A second click on the same
    name counts as one. Raises Forbidden."""
    most = settings.PIZARRA.teacher_classrooms
    making = Job.objects.filter(user=user, use_case=MAKES_CLASSROOM, state__in=OPEN)
    count = user.rooms_taught.count() + making.exclude(classroom=name).count()
    if not user.is_technician and count >= most:
        raise Forbidden(
            "A teacher may have {most} classrooms at most.",
            "Delete one that nobody needs, or ask a technician to make this one.",
            most=most,
        )


def _room_of(job: Job) -> Room | None:
    """The room of the classroom that a job is about, and of none that has its name later."""
    rooms = Room.objects.filter(name=job.classroom)
    if job.classroom_id:
        rooms = rooms.filter(classroom_id__in=("", job.classroom_id))
    return rooms.first()


def release_consoles_of(job: Job) -> None:
    """Close the consoles of the seats of a job, if the command says so."""
    effects = find_command(job.use_case).effects
    room = _room_of(job)
    if room and Effect.RELEASES_CONSOLES in effects and job.arguments.get("mode") != "hot":
        release_consoles(room, job.numbers)


def release_consoles(room: Room, numbers: Sequence[int] | None) -> None:
    """Close the consoles of these seats, with a student or without: their tickets stop working."""
    if numbers is None:
        Room.objects.filter(pk=room.pk).update(generation=F("generation") + 1)
    else:
        seats = [SeatAssignment(room=room, number=number) for number in numbers]
        SeatAssignment.objects.bulk_create(seats, ignore_conflicts=True)
        these = SeatAssignment.objects.filter(room=room, number__in=numbers)
        these.update(generation=F("generation") + 1)
    transaction.on_commit(look_again)


def lesson_minutes(job: Job, agent: HostClient) -> int:
    """The length of the lesson that begins with this job; 0 when no lesson begins."""
    if Effect.STARTS_LESSON not in find_command(job.use_case).effects or job.state != State.ENDED:
        return 0
    try:
        shown = agent.query("classroom show", {"classroom": job.classroom})
    except PizarraError:
        return 0  # the classroom has gone meanwhile
    return int(shown["policy"]["minutes"])


def after_job(job: Job, minutes: int) -> None:
    """Run the effects that come after a job. ``minutes`` is the length of a lesson that begins."""
    room = _room_of(job)
    if room and minutes and not room.is_on:
        room.ends_at = timezone.now() + timedelta(minutes=minutes)
        room.save(update_fields=["ends_at"])
    removes = Effect.REMOVES_CLASSROOM in find_command(job.use_case).effects
    if room and removes and outcome_of(job) == "done":
        room.delete()
    adds = Effect.ADDS_CLASSROOM in find_command(job.use_case).effects
    if adds and job.state == State.ENDED:
        register_room(job.host, job.classroom, job.classroom_id)
    if outcome_of(job) == "done":
        with suppress(NotFound):  # it may be gone
            for upload in _upload_of(job):
                uploads.drop(upload)
    AuditEntry.objects.filter(job=job).update(outcome=outcome_of(job))


@contextmanager
def opening_upload(job: Job) -> Iterator[int | None]:
    """The descriptor of the upload of a job, if the command takes one. Raises NotFound."""
    with ExitStack() as stack:
        yield next((stack.enter_context(uploads.opening(one)) for one in _upload_of(job)), None)


def _upload_of(job: Job) -> list[uploads.Upload]:
    """The upload that a job takes, if there is one. Raises NotFound."""
    upload_id = job.arguments.get("upload")
    if Effect.TAKES_UPLOAD not in find_command(job.use_case).effects or not upload_id:
        return []
    return [uploads.find(settings.PIZARRA.pages_folder, UUID(str(upload_id)), job.user_id or 0)]


def outcome_of(job: Job) -> str:
    """The outcome of a job in the audit."""
    if job.state in (State.QUEUED, State.RUNNING):
        return "asked"
    if job.state != State.ENDED:
        return "failed"
    seats = (job.result or {}).get("seats")
    if not isinstance(seats, list):  # a template's document counts them
        return "done"
    return "done" if all(one["outcome"] in WELL for one in seats) else "partly"
