"""The API. Operations of commands come from their table (``commands.py``); the others are here, in
``seats.py`` and in ``uploads.py``. Each names its rule."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Generator
from contextlib import closing, suppress
from functools import partial
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.errors import ValidationError as InvalidRequest
from ninja.responses import Status

from pizarra import __version__
from pizarra.errors import PizarraError, TooManyStreams
from pizarra.model.names import parse_number
from pizarra.server import hosts
from pizarra.server.api import seats, shapes, uploads
from pizarra.server.api.callers import caller, proof_of, rule, user_of
from pizarra.server.api.commands import add_commands
from pizarra.server.jobs.audit import audit_for
from pizarra.server.jobs.models import OPEN, AuditEntry, Job, JobEvent
from pizarra.server.people import acts as people
from pizarra.server.people.models import ApiToken, Scope, User
from pizarra.server.permissions import Rule, check, meant_id
from pizarra.server.rooms import acts as rooms
from pizarra.server.rooms.models import Room
from pizarra.server.streams import LOOK_EVERY_S, Proof, check_few, looking

api = NinjaAPI(
    title="Pizarra",
    version=__version__,
    description="Classrooms of virtual machines, put back to their original state, and proven so.",
    auth=caller,
    urls_namespace="api-1",
    docs_url=None,
)
api.add_router("", uploads.router)
api.add_router("", seats.router)
add_commands(api)
_EVENTS_EVERY_S = 0.2
_CODES = {401: "not_signed_in", 403: "forbidden", 404: "not_found", 409: "conflict"}


def _problem(
    request: HttpRequest, status: int, code: str, says: Any, hint: str = "", **more: Any
) -> HttpResponse:
    """An error in the form of programs (``error``) and in the form of pages (``detail``,
    ``hint``)."""
    error = {"code": code, "says": says, "hint": hint}
    problem = {"detail": says, "hint": hint, "code": code, "error": error, **more}
    return api.create_response(request, problem, status=status)


@api.exception_handler(PizarraError)
def problem_response(request: HttpRequest, error: PizarraError) -> HttpResponse:
    """Answer one of our errors with its code, its sentence and its next step."""
    more = hosts.in_languages(error)
    return _problem(request, error.http_status, error.code, str(error), error.advice, **more)


@api.exception_handler(HttpError)
def refusal_response(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Answer a refusal of the API itself."""
    return _problem(request, error.status_code, _CODES.get(error.status_code, "failed"), str(error))


@api.exception_handler(PermissionDenied)
def denial_response(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    """Answer a request that a rule forbids."""
    _ = error
    return _problem(request, 403, "forbidden", "You may not do this.")


@api.exception_handler(Http404)
def missing_response(request: HttpRequest, error: Http404) -> HttpResponse:
    """Answer a request for something that does not exist."""
    return _problem(request, 404, "not_found", str(error) or "Not Found")


@api.exception_handler(InvalidRequest)
def invalid_response(request: HttpRequest, error: InvalidRequest) -> HttpResponse:
    """Answer a request that does not match the description. ``detail`` names each wrong field."""
    return _problem(request, 422, "bad_input", error.errors)


@api.exception_handler(DataError)
def unkept_response(request: HttpRequest, error: DataError) -> HttpResponse:
    """Answer a request with what no database keeps, such as a NUL in a text."""
    _ = error
    return _problem(request, 400, "bad_input", "A text or a number in it cannot be kept.")


# ---- people of a classroom


@api.post("/classrooms/{classroom}/roster", response=shapes.RosterOut)
@rule(Rule.ROOM_TEACHER, Scope.MANAGE)
def roster_put(request: HttpRequest, classroom: str, sent: shapes.RosterIn) -> dict[str, Any]:
    """Check a roster, or apply all of it."""
    room = get_object_or_404(Room, name=classroom)
    read, applied = rooms.put_roster(
        user_of(request), room, sent.csv, apply=sent.apply, request=request
    )
    return {"rows": read.rows, "errors": read.errors, "applied": applied}


@api.post("/classrooms/{classroom}/code", response=shapes.CodeOut)
@rule(Rule.ROOM_TEACHER, Scope.MANAGE)
def code_make(request: HttpRequest, classroom: str) -> dict[str, str | None]:
    """Make a new class code. The old code stops working."""
    room = get_object_or_404(Room, name=classroom)
    return {"class_code": rooms.renew_code(user_of(request), room, request)}


@api.post("/join", response=shapes.SeatOut)
@rule(Rule.SIGNED_IN, Scope.OPERATE)
def join(request: HttpRequest, sent: shapes.JoinIn) -> dict[str, Any]:
    """Take a free machine of the class with this code. A second call gives the same machine."""
    seat = rooms.join(user_of(request), sent.code, request)
    return {"classroom": seat.room.name, "number": seat.number}


# ---- the host


@api.get("/pools", response=list[dict[str, Any]])
@rule(Rule.TECHNICIAN)
def pools(request: HttpRequest) -> list[dict[str, Any]]:
    """The storage pools of the host and their free space."""
    _ = request
    found: list[dict[str, Any]] = hosts.host().query("pools")
    return found


@api.get("/exports/{path:name}", response={200: None})
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def export_show(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """Download a file that `report` or an export wrote. ``name`` is its path in the folder of
    exports."""
    _ = request
    pieces = hosts.host().file(name)
    first = next(pieces, b"")  # here, so that an error is answered as one
    content = _one_by_one(first, pieces)
    return StreamingHttpResponse(content, content_type="application/octet-stream")


async def _one_by_one(first: bytes, pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """Django would read all of a plain iterator into memory first: a disk of a guest."""
    piece = first
    with closing(pieces):
        while piece:
            yield piece
            piece = await sync_to_async(partial(next, pieces, b""))()


@api.get("/audit", response=list[shapes.AuditOut])
@rule(Rule.STAFF)
def audit(request: HttpRequest, classroom: str = "", limit: int = 100) -> list[AuditEntry]:
    """The audit, newest first: for a teacher of their own classrooms, for a technician of all."""
    entries = audit_for(user_of(request))
    if classroom:
        entries = entries.filter(classroom=classroom)
    return list(entries[: max(1, min(limit, 1000))])


# ---- jobs


def _job_of(user: User, job_id: UUID) -> Job:
    job = get_object_or_404(Job, id=job_id)
    if job.user_id != user.pk:
        check(user, Rule.ROOM_TEACHER if job.classroom else Rule.TECHNICIAN, job.classroom)
        if job.classroom_id and meant_id(user, job.classroom) not in ("", job.classroom_id):
            raise PermissionDenied  # it was about another classroom of this name
    return job


def _may_follow(proof: Proof, job_id: UUID) -> bool:
    """Whether whoever asked for the events of a job may still see them."""
    user = proof.user()
    if user is None:
        return False
    try:
        return bool(_job_of(user, job_id))
    except (PermissionDenied, Http404):
        return False


@api.get("/jobs", response=list[shapes.JobOut])
@rule(Rule.SIGNED_IN)
def jobs(request: HttpRequest, limit: int = 50) -> list[Job]:
    """The jobs of the caller, or all jobs for a technician. The newest come first."""
    user = user_of(request)
    found = Job.objects.all() if user.is_technician else Job.objects.filter(user=user)
    return list(found[: max(1, min(limit, 500))])


@api.get("/jobs/{uuid:job_id}", response=shapes.JobOut)
@rule(Rule.SIGNED_IN)
def job(request: HttpRequest, job_id: UUID) -> Job:
    """The state of a job, and its result."""
    return _job_of(user_of(request), job_id)


@api.get("/jobs/{uuid:job_id}/events", response={200: None})
@rule(Rule.SIGNED_IN)
def job_events(request: HttpRequest, job_id: UUID) -> StreamingHttpResponse:
    """Server-sent events: `told` for each event of the job, then `ended` with the job."""
    after = parse_number(request.headers.get("Last-Event-ID", "")) or 0
    job, whose = _job_of(user_of(request), job_id), ("events", user_of(request).pk)
    check_few(whose)
    stream = _event_lines(job.id, after, proof_of(request), whose)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=headers)


async def _event_lines(job_id: UUID, after: int, proof: Proof, whose: object) -> AsyncIterator[str]:
    due = time.monotonic() + LOOK_EVERY_S
    with suppress(TooManyStreams), looking(whose) as look:  # others of theirs began meanwhile
        while True:
            now = await Job.objects.aget(id=job_id)  # before its events: none of them is missed
            news = JobEvent.objects.filter(job_id=job_id, seq__gt=after).order_by("seq")
            async for one in news:
                after = one.seq
                yield f"id: {after}\nevent: told\ndata: {json.dumps(one.event)}\n\n"
            if now.state not in OPEN:
                shown = await sync_to_async(shapes.JobOut.from_orm)(now)
                yield f"event: ended\ndata: {shown.model_dump_json()}\n\n"
                return
            if await look.next(_EVENTS_EVERY_S) or time.monotonic() > due:
                if not await sync_to_async(_may_follow)(proof, job_id):
                    return
                due = time.monotonic() + LOOK_EVERY_S


# ---- tokens


@api.get("/tokens", response=list[shapes.TokenOut])
@rule(Rule.SIGNED_IN)
def tokens(request: HttpRequest) -> list[ApiToken]:
    """The tokens of the caller, without their secrets."""
    return list(user_of(request).tokens.all())


@api.post("/tokens", response={201: shapes.TokenOut})
@rule(Rule.SIGNED_IN, Scope.MANAGE)
def token_make(request: HttpRequest, wish: shapes.TokenIn) -> Status[dict[str, Any]]:
    """Make a token. Only this answer shows the token itself."""
    scopes: list[str] = list(wish.scopes)
    record, token = people.make_token(user_of(request), wish.name, scopes, request, wish.days)
    shown = {"id": record.pk, "name": record.name, "scopes": record.scopes,
             "expires": record.expires, "token": token}  # fmt: skip
    return Status(201, shown)


@api.delete("/tokens/{int:token_id}", response={204: None})
@rule(Rule.SIGNED_IN, Scope.MANAGE)
def token_delete(request: HttpRequest, token_id: int) -> Status[None]:
    """Delete a token. It stops working."""
    if not people.revoke_token(user_of(request), token_id, request):
        raise HttpError(404, "There is no such token.")
    return Status(204, None)
