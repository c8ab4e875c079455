"""The operations. Each names its rule; what changes a host is a job and is answered with 202."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.responses import Status

from pizarra import __version__
from pizarra.errors import PizarraError
from pizarra.model.names import check_name, parse_seat_numbers, seat_name
from pizarra.server import host_client
from pizarra.server.api import shapes, templates
from pizarra.server.api.callers import caller, rule, user_of
from pizarra.server.consoles import activity
from pizarra.server.consoles.tickets import ticket_for
from pizarra.server.jobs.models import AuditEntry, Job, JobEvent, State
from pizarra.server.jobs.queue import enqueue, write_audit
from pizarra.server.people.models import ApiToken, Scope
from pizarra.server.permissions import Rule, check, rooms_of
from pizarra.server.rooms import roster
from pizarra.server.rooms.models import Room

api = NinjaAPI(
    title="Pizarra",
    version=__version__,
    description="Classrooms of virtual machines, put back to their original state, and proven so.",
    auth=caller,
    urls_namespace="api-1",
    docs_url=None,
)
api.add_router("", templates.router)
_OWN = "own-"  # how checkpoints are called that a student made
_ROOM_VERBS = ("start", "stop", "reset", "undo", "verify", "freeze", "unfreeze")


@api.exception_handler(PizarraError)
def problem_response(request: HttpRequest, error: PizarraError) -> HttpResponse:
    """Our errors keep their words and their next step."""
    problem: dict[str, Any] = {"detail": str(error), "hint": error.advice}
    problem |= host_client.in_languages(error)
    return api.create_response(request, problem, status=error.http_status)


def _numbers(seats: str | None) -> list[int] | None:
    return None if seats is None or not seats.strip() else list(parse_seat_numbers(seats))


def _job(request: HttpRequest, use_case: str, **arguments: Any) -> Status[Job]:
    key = request.headers.get("Idempotency-Key", "")[:80]
    job = enqueue(user_of(request), use_case, arguments, request=request, key=key)
    return Status(202, job)


# ---- classrooms


@api.get("/classrooms", response=list[dict[str, Any]])
@rule(Rule.SIGNED_IN)
def classrooms(request: HttpRequest) -> list[dict[str, Any]]:
    """Those that the caller has to do with, as the host sees them."""
    names = {room.name: room for room in rooms_of(user_of(request))}
    return [
        {**one, "title": names[one["classroom"]].display_title}
        for one in host_client.query("rooms")
        if one["classroom"] in names
    ]


@api.post("/classrooms", response={202: shapes.JobOut})
@rule(Rule.STAFF, Scope.MANAGE)
def classroom_create(request: HttpRequest, wish: shapes.ClassroomIn) -> Status[Job]:
    """Make a classroom; the caller is its teacher."""
    check_name(wish.classroom, "classroom")
    check_name(wish.template, "template")
    room = Room.objects.filter(name=wish.classroom).first()
    if room is not None:
        check(user_of(request), Rule.ROOM_TEACHER, wish.classroom)
    else:
        room = Room.objects.create(name=wish.classroom, title=wish.title)
        room.teachers.add(user_of(request))
    return _job(request, "classroom create", **wish.model_dump(exclude={"title"}))


@api.get("/classrooms/{classroom}", response=dict[str, Any])
@rule(Rule.ROOM_TEACHER)
def classroom_show(request: HttpRequest, classroom: str) -> dict[str, Any]:
    """Every seat: power, how much changed, who sits there, when a console was last touched."""
    _ = request
    room = get_object_or_404(Room, name=classroom)
    sits = {one.number: one.student for one in room.assignments.select_related("student")}
    jobs = Job.objects.filter(classroom=classroom, state__in=(State.QUEUED, State.RUNNING))
    under_way = [
        {"id": str(one.id), "use_case": one.use_case, "numbers": one.numbers} for one in jobs
    ]
    try:
        told = host_client.room(classroom)
    except host_client.HostRefused as refused:
        if refused.http_status != 404 or not under_way:
            raise
        told = {"classroom": classroom, "seats": []}  # it is being made
    for seat in told["seats"]:
        student = sits.get(seat["number"])
        seat["student"] = student.display_name if student else ""
        seat["active_s_ago"] = activity.active_s_ago(classroom, seat["number"])
    return {**told, "title": room.display_title, "jobs": under_way}


@api.delete("/classrooms/{classroom}", response={202: shapes.JobOut})
@rule(Rule.ROOM_TEACHER, Scope.MANAGE)
def classroom_delete(request: HttpRequest, classroom: str) -> Status[Job]:
    """Remove its machines and disks."""
    return _job(request, "classroom delete", classroom=classroom)


@api.get("/classrooms/{classroom}/plan", response=dict[str, Any])
@rule(Rule.ROOM_TEACHER)
def reset_plan(
    request: HttpRequest,
    classroom: str,
    seats: str | None = None,
    mode: shapes.Mode | None = None,
    after: shapes.After | None = None,
) -> dict[str, Any]:
    """What a reset would do now, and what of it could not be undone."""
    _ = request
    plan: dict[str, Any] = host_client.query(
        "plan", classroom=classroom, numbers=_numbers(seats), mode=mode, after=after
    )
    return plan


@api.post("/classrooms/{classroom}/verbs/{verb}", response={202: shapes.JobOut})
@rule(Rule.ROOM_TEACHER, Scope.OPERATE)
def classroom_verb(
    request: HttpRequest, classroom: str, verb: str, how: shapes.VerbIn
) -> Status[Job]:
    """start, stop, reset, undo, verify, freeze or unfreeze: all seats, or some."""
    if verb not in _ROOM_VERBS:
        raise HttpError(404, f"There is no verb {verb!r}; there is {', '.join(_ROOM_VERBS)}.")
    numbers = _numbers(how.seats)
    of_verb: dict[str, dict[str, Any]] = {
        "reset": {"mode": how.mode, "after": how.after},
        "verify": {"deep": how.deep},
        "stop": {"grace": how.grace},
    }
    more = of_verb.get(verb, {})
    room = get_object_or_404(Room, name=classroom)
    if verb == "freeze":
        room.freeze(how.message, numbers)
    elif verb == "unfreeze" and room.message:
        room.unfreeze(numbers, lambda: host_client.seat_numbers(classroom))
    return _job(request, verb, classroom=classroom, numbers=numbers, **more)


# ---- one seat


@api.get("/classrooms/{classroom}/seats/{int:number}", response=shapes.SeatTold)
@rule(Rule.SEAT_USER)
def seat_show(request: HttpRequest, classroom: str, number: int) -> Room:
    """What its page tells: the teacher's message while all stand still, the end of the lesson."""
    _ = request
    room = get_object_or_404(Room, name=classroom)
    room.message = room.message_to(number)  # for this answer only
    return room


@api.post("/classrooms/{classroom}/seats/{int:number}/restart", response={202: shapes.JobOut})
@rule(Rule.SEAT_RESTART, Scope.OPERATE)
def seat_start(request: HttpRequest, classroom: str, number: int) -> Status[Job]:
    """Switch one machine on."""
    return _job(request, "start", classroom=classroom, numbers=[number])


@api.post("/classrooms/{classroom}/seats/{int:number}/reset", response={202: shapes.JobOut})
@rule(Rule.SEAT_RESET, Scope.OPERATE)
def seat_reset(request: HttpRequest, classroom: str, number: int) -> Status[Job]:
    """Put one machine back, and switch it on."""
    how = {"mode": None, "after": "running"}
    return _job(request, "reset", classroom=classroom, numbers=[number], **how)


@api.get("/classrooms/{classroom}/seats/{int:number}/screenshot", response={200: None})
@rule(Rule.SEAT_USER)
def screenshot(request: HttpRequest, classroom: str, number: int) -> HttpResponse:
    """A picture of what it shows now."""
    _ = request
    try:
        picture = host_client.screenshot(classroom, number)
    except host_client.HostRefused as refused:
        raise HttpError(404, f"There is nothing to see now: {refused}") from None
    kind = "image/png" if picture.startswith(b"\x89PNG") else "image/x-portable-pixmap"
    return HttpResponse(picture, content_type=kind, headers={"Cache-Control": "no-store"})


@api.post("/classrooms/{classroom}/seats/{int:number}/console", response=shapes.TicketOut)
@rule(Rule.SEAT_USER, Scope.OPERATE)
def console(request: HttpRequest, classroom: str, number: int) -> dict[str, str]:
    """A ticket for its console: good for a minute."""
    user = user_of(request)
    write_audit(user, "console", classroom, target=str(number), request=request)
    return {"path": f"/console/{ticket_for(user, classroom, number)}"}


# ---- what a student keeps of their own machine


def _own(classroom: str, number: int) -> list[dict[str, Any]]:
    seat = seat_name(classroom, number)
    return [
        {"checkpoint": one["checkpoint"], "saved": one["saved"]}
        for one in host_client.query("checkpoints", classroom=classroom)
        if one["checkpoint"].startswith(_OWN) and seat in one["seats"]
    ]


def _check_own(name: str) -> str:
    if not name.startswith(_OWN):
        raise HttpError(404, "Nothing was kept of this machine by that name.")
    return check_name(name, "checkpoint")


@api.get("/classrooms/{classroom}/seats/{int:number}/checkpoints", response=list[dict[str, Any]])
@rule(Rule.SEAT_CHECKPOINT)
def own_checkpoints(request: HttpRequest, classroom: str, number: int) -> list[dict[str, Any]]:
    """What was kept of this one machine from its own page, the oldest first."""
    _ = request
    return _own(classroom, number)


@api.post("/classrooms/{classroom}/seats/{int:number}/checkpoints", response={202: shapes.JobOut})
@rule(Rule.SEAT_CHECKPOINT, Scope.OPERATE)
def own_checkpoint_save(request: HttpRequest, classroom: str, number: int) -> Status[Job]:
    """Keep its present state, within the classroom's quota."""
    quota = get_object_or_404(Room, name=classroom).checkpoint_quota
    taken = {one["checkpoint"] for one in _own(classroom, number)}
    free = [name for k in range(1, quota + 1) if (name := f"{_OWN}{k}") not in taken]
    if not free:
        raise HttpError(409, f"{quota} are kept already: forget one first.")
    return _job(
        request, "checkpoint save", classroom=classroom, checkpoint=free[0], numbers=[number]
    )


@api.post(
    "/classrooms/{classroom}/seats/{int:number}/checkpoints/{name}/restore",
    response={202: shapes.JobOut},
)
@rule(Rule.SEAT_CHECKPOINT, Scope.OPERATE)
def own_checkpoint_restore(
    request: HttpRequest, classroom: str, number: int, name: str
) -> Status[Job]:
    """Go back to it."""
    use_case = "checkpoint restore"
    return _job(
        request, use_case, classroom=classroom, checkpoint=_check_own(name), numbers=[number]
    )


@api.delete(
    "/classrooms/{classroom}/seats/{int:number}/checkpoints/{name}", response={202: shapes.JobOut}
)
@rule(Rule.SEAT_CHECKPOINT, Scope.OPERATE)
def own_checkpoint_delete(
    request: HttpRequest, classroom: str, number: int, name: str
) -> Status[Job]:
    """Forget it."""
    use_case = "checkpoint delete"
    return _job(
        request, use_case, classroom=classroom, checkpoint=_check_own(name), numbers=[number]
    )


# ---- checkpoints


@api.get("/classrooms/{classroom}/checkpoints", response=list[dict[str, Any]])
@rule(Rule.ROOM_TEACHER)
def checkpoints(request: HttpRequest, classroom: str) -> list[dict[str, Any]]:
    """The oldest first."""
    _ = request
    found: list[dict[str, Any]] = host_client.query("checkpoints", classroom=classroom)
    return found


@api.post("/classrooms/{classroom}/checkpoints/{name}", response={202: shapes.JobOut})
@rule(Rule.ROOM_TEACHER, Scope.OPERATE)
def checkpoint_save(
    request: HttpRequest, classroom: str, name: str, which: shapes.SaveIn
) -> Status[Job]:
    """Save the present state under a name."""
    check_name(name, "checkpoint")
    numbers, ram = _numbers(which.seats), which.ram
    return _job(
        request, "checkpoint save", classroom=classroom, checkpoint=name, numbers=numbers, ram=ram
    )


@api.post("/classrooms/{classroom}/checkpoints/{name}/restore", response={202: shapes.JobOut})
@rule(Rule.ROOM_TEACHER, Scope.OPERATE)
def checkpoint_restore(
    request: HttpRequest, classroom: str, name: str, which: shapes.SeatsIn
) -> Status[Job]:
    """Go back to it."""
    check_name(name, "checkpoint")
    numbers, use_case = _numbers(which.seats), "checkpoint restore"
    return _job(request, use_case, classroom=classroom, checkpoint=name, numbers=numbers)


@api.post("/classrooms/{classroom}/checkpoints/{name}/hand-out", response={202: shapes.JobOut})
@rule(Rule.ROOM_TEACHER, Scope.OPERATE)
def checkpoint_hand_out(
    request: HttpRequest, classroom: str, name: str, whose: shapes.HandOutIn
) -> Status[Job]:
    """One seat's state is the start of all."""
    check_name(name, "checkpoint")
    return _job(
        request, "checkpoint hand-out", classroom=classroom, checkpoint=name, source=whose.source,
        numbers=_numbers(whose.seats),
    )  # fmt: skip


@api.delete("/classrooms/{classroom}/checkpoints/{name}", response={202: shapes.JobOut})
@rule(Rule.ROOM_TEACHER, Scope.OPERATE)
def checkpoint_delete(request: HttpRequest, classroom: str, name: str) -> Status[Job]:
    """Forget it."""
    check_name(name, "checkpoint")
    return _job(request, "checkpoint delete", classroom=classroom, checkpoint=name, numbers=None)


# ---- people of a classroom


@api.post("/classrooms/{classroom}/roster", response=shapes.RosterOut)
@rule(Rule.ROOM_TEACHER, Scope.MANAGE)
def roster_put(request: HttpRequest, classroom: str, sent: shapes.RosterIn) -> dict[str, Any]:
    """Look at a roster, or apply it: all of it, or nothing."""
    room = get_object_or_404(Room, name=classroom)
    read = roster.read_roster(room, sent.csv, set(host_client.seat_numbers(classroom)))
    apply = sent.apply and bool(read.rows) and not read.errors
    if apply:
        first_passwords = roster.apply_roster(room, read)
        for row in read.rows:
            row["first_password"] = first_passwords.get(row["username"], "")
        write_audit(
            user_of(request), "roster", classroom, facts={"n": len(read.rows)}, request=request
        )
    return {"rows": read.rows, "errors": read.errors, "applied": apply}


@api.post("/classrooms/{classroom}/code", response=shapes.CodeOut)
@rule(Rule.ROOM_TEACHER, Scope.MANAGE)
def code_make(request: HttpRequest, classroom: str) -> dict[str, str | None]:
    """A new class code; an old one is worth nothing from now on."""
    room = get_object_or_404(Room, name=classroom)
    write_audit(user_of(request), "class code", classroom, request=request)
    return {"class_code": roster.make_code(room)}


@api.post("/join", response=shapes.SeatOut)
@rule(Rule.SIGNED_IN, Scope.OPERATE)
def join(request: HttpRequest, sent: shapes.JoinIn) -> dict[str, Any]:
    """Take a free machine of the class with this code; always the same one."""
    seat = roster.join(user_of(request), sent.code, host_client.seat_numbers)
    write_audit(user_of(request), "join", seat.room.name, target=seat.seat, request=request)
    return {"classroom": seat.room.name, "number": seat.number}


# ---- the host


@api.get("/pools", response=list[dict[str, Any]])
@rule(Rule.TECHNICIAN)
def pools(request: HttpRequest) -> list[dict[str, Any]]:
    """Where space comes from, and how much is left."""
    _ = request
    found: list[dict[str, Any]] = host_client.query("pools")
    return found


@api.get("/audit", response=list[shapes.AuditOut])
@rule(Rule.STAFF)
def audit(request: HttpRequest, classroom: str = "", limit: int = 100) -> list[AuditEntry]:
    """Who did what, the newest first: a teacher's own classrooms, a technician's all."""
    entries = AuditEntry.objects.all()
    if not user_of(request).is_technician:
        entries = entries.filter(classroom__in=[one.name for one in rooms_of(user_of(request))])
    if classroom:
        entries = entries.filter(classroom=classroom)
    return list(entries[: max(1, min(limit, 1000))])


# ---- jobs


def _job_of(request: HttpRequest, job_id: UUID) -> Job:
    job = get_object_or_404(Job, id=job_id)
    user = user_of(request)
    if job.user_id != user.pk:
        check(user, Rule.ROOM_TEACHER if job.classroom else Rule.TECHNICIAN, job.classroom)
    return job


@api.get("/jobs", response=list[shapes.JobOut])
@rule(Rule.SIGNED_IN)
def jobs(request: HttpRequest, limit: int = 50) -> list[Job]:
    """The caller's, or a technician's all; the newest first."""
    user = user_of(request)
    found = Job.objects.all() if user.is_technician else Job.objects.filter(user=user)
    return list(found[: max(1, min(limit, 500))])


@api.get("/jobs/{uuid:job_id}", response=shapes.JobOut)
@rule(Rule.SIGNED_IN)
def job(request: HttpRequest, job_id: UUID) -> Job:
    """How far it is, and what became of it."""
    return _job_of(request, job_id)


@api.get("/jobs/{uuid:job_id}/events", response={200: None})
@rule(Rule.SIGNED_IN)
def job_events(request: HttpRequest, job_id: UUID) -> StreamingHttpResponse:
    """Server-sent events: what is told while it is done, then `ended` with the job."""
    after = request.headers.get("Last-Event-ID", "0")
    stream = _event_lines(_job_of(request, job_id).id, int(after) if after.isdigit() else 0)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=headers)


async def _event_lines(job_id: UUID, after: int) -> AsyncIterator[str]:
    while True:
        now = await Job.objects.aget(id=job_id)  # before its events: none of them is missed
        news = JobEvent.objects.filter(job_id=job_id, seq__gt=after).order_by("seq")
        async for one in news:
            after = one.seq
            yield f"id: {after}\nevent: told\ndata: {json.dumps(one.event)}\n\n"
        if now.state not in (State.QUEUED, State.RUNNING):
            shown = await sync_to_async(shapes.JobOut.from_orm)(now)
            yield f"event: ended\ndata: {shown.model_dump_json()}\n\n"
            return
        await asyncio.sleep(0.2)


# ---- tokens


@api.get("/tokens", response=list[shapes.TokenOut])
@rule(Rule.SIGNED_IN)
def tokens(request: HttpRequest) -> list[ApiToken]:
    """The caller's own, without what is secret."""
    return list(user_of(request).tokens.all())


@api.post("/tokens", response={201: shapes.TokenOut})
@rule(Rule.SIGNED_IN, Scope.MANAGE)
def token_make(request: HttpRequest, wish: shapes.TokenIn) -> Status[dict[str, Any]]:
    """The token itself is shown this once."""
    record, token = ApiToken.issue(user_of(request), wish.name, list(wish.scopes))
    write_audit(user_of(request), "token", target=wish.name, request=request)
    shown = {"id": record.pk, "name": record.name, "scopes": record.scopes, "token": token}
    return Status(201, shown)


@api.delete("/tokens/{int:token_id}", response={204: None})
@rule(Rule.SIGNED_IN, Scope.MANAGE)
def token_delete(request: HttpRequest, token_id: int) -> Status[None]:
    """Worth nothing from now on."""
    get_object_or_404(ApiToken, pk=token_id, user=user_of(request)).delete()
    return Status(204, None)
