"""The port to the queue: ask for a command, get a job. A second click gets the same job."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest

from pizarra.errors import KeyReused, TooManyJobs
from pizarra.server.jobs.effects import outcome_of, release_consoles_of
from pizarra.server.jobs.models import OPEN, AuditEntry, Job, JobKey
from pizarra.server.people.models import Role, User
from pizarra.server.permissions import meant_id
from pizarra.server.rooms.models import Room
from pizarra.service.commands.declaration import Arguments, Command, Effect

_TRIES = 5  # each lost race is won by somebody
# jobs of one person that have not ended
OPEN_MOST = {Role.STUDENT: 4, Role.TEACHER: 40, Role.TECHNICIAN: 200}


def enqueue(
    user: User,
    command: Command,
    wish: Arguments,
    *,
    request: HttpRequest | None = None,
    key: str = "",
) -> Job:
    """The job for a wish: the job of the same user and the same wish that has not ended, the job
    of an idempotency key that was used before, or a new one. Every request is audited.

    The database keeps both unique, so that two requests at once get one job. Raises KeyReused
    (409) when the key was used for another wish, TooManyJobs (429).
    """
    classroom = str(getattr(wish, "classroom", ""))
    room = Room.objects.filter(name=classroom).first()
    job = Job(
        host=room.host if room else "local",
        use_case=command.name,
        arguments=wish.model_dump(mode="json"),
        classroom=classroom,
        numbers=getattr(wish, "numbers", None),
        user=user,
    )
    job.classroom_id = meant_id(user, classroom)
    job.wish = _digest(job)
    if Effect.ADDS_CLASSROOM in command.effects:
        job.classroom_id = str(job.id)  # of the new one, so that everybody knows who made it
    found, is_new = _find_or_create(user, job, key)
    facts = wish.facts()
    write_audit(user, command.name, classroom, facts=facts, job=found, request=request)
    if is_new:
        release_consoles_of(found)
    return found


def _digest(job: Job) -> str:
    """A digest of host, command, arguments and the classroom that is meant."""
    told = json.dumps([job.host, job.use_case, job.arguments, job.classroom_id], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _find_or_create(user: User, job: Job, key: str) -> tuple[Job, bool]:
    """Raises IntegrityError when every race was lost, which nobody has seen."""
    for attempt in range(_TRIES):
        if (known := _of_key(user, job, key)) is not None:
            return known, False
        same = Job.objects.filter(user=user, wish=job.wish, state__in=OPEN).first()
        try:
            with transaction.atomic():
                if same is None:
                    _check_few(user)
                    job.save(force_insert=True)
                if key:
                    JobKey.objects.create(user=user, key=key, job=same or job)
        except IntegrityError:  # another request was faster
            if attempt == _TRIES - 1:
                raise
        else:
            return same or job, same is None
    raise AssertionError("the last attempt returns or raises")


def _check_few(user: User) -> None:
    """In the transaction that adds the job: requests at once are counted one after another.

    Raises TooManyJobs.
    """
    User.objects.select_for_update().filter(pk=user.pk).first()
    most = OPEN_MOST[Role(user.role)]
    if Job.objects.filter(user=user, state__in=OPEN).count() >= most:
        raise TooManyJobs(
            "{n} things that you asked for are under way or wait.",
            "Wait until one of them has ended.",
            n=most,
        )


def _of_key(user: User, job: Job, key: str) -> Job | None:
    """The job that the key stands for. Raises KeyReused."""
    used = JobKey.objects.select_related("job").filter(user=user, key=key).first()
    if not key or used is None:
        return None
    if used.job.wish != job.wish:
        raise KeyReused(
            "The idempotency key {key!r} was used for another request.",
            "Send each request with a key of its own.",
            key=key,
        )
    return used.job


def write_audit(
    user: User | None,
    action: str,
    classroom: str = "",
    *,
    target: str = "",
    facts: dict[str, Any] | None = None,
    job: Job | None = None,
    request: HttpRequest | None = None,
    outcome: str = "done",
) -> AuditEntry:
    """Add an entry to the audit. ``user`` is None for a visitor who has not signed in."""
    return AuditEntry.objects.create(
        user=user,
        who=user.username if user else "",
        address=request.META.get("REMOTE_ADDR") or None if request else None,
        action=action,
        target=target,
        classroom=classroom,
        facts=facts or {},
        outcome=outcome_of(job) if job else outcome,
        job=job,
    )
