"""Operations on one seat: what its student may do, its console, and the student's checkpoints."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Router
from ninja.errors import HttpError
from ninja.responses import Status

from pizarra.agent.client import HostRefused
from pizarra.errors import PizarraError
from pizarra.model.names import check_name, seat_name
from pizarra.model.sentence import N_
from pizarra.server.api import shapes
from pizarra.server.api.callers import rule, user_of
from pizarra.server.api.commands import key_of
from pizarra.server.commands import ask, submit
from pizarra.server.consoles.tickets import ticket_for
from pizarra.server.hosts import host
from pizarra.server.jobs.models import Job
from pizarra.server.jobs.queue import write_audit
from pizarra.server.people.models import Scope, User
from pizarra.server.permissions import Rule, meant_id
from pizarra.server.rooms.models import Room

router = Router()
_OWN = "own-"  # how checkpoints are called that a student made


def _job(request: HttpRequest, name: str, number: int, **arguments: Any) -> Status[Job]:
    """Submit a command for one seat."""
    user, key = user_of(request), key_of(request)
    wish = {**arguments, "seats": str(number)}
    return Status(202, submit(user, name, wish, request=request, key=key))


@router.get("/classrooms/{classroom}/seats/{int:number}", response=shapes.SeatTold)
@rule(Rule.SEAT_USER)
def seat_show(request: HttpRequest, classroom: str, number: int) -> dict[str, Any]:
    """What the page of a seat shows: the teacher's message, the end of the lesson, and why the
    machine stands still if the host paused it."""
    _ = request
    room = get_object_or_404(Room, name=classroom)
    try:
        halt = host().halt(classroom, number)
    except PizarraError:
        halt = {}  # the message comes all the same
    return {**halt, "message": room.message_to(number), "ends_at": room.ends_at}


@router.post("/classrooms/{classroom}/seats/{int:number}/restart", response={202: shapes.JobOut})
@rule(Rule.SEAT_RESTART, Scope.OPERATE)
def seat_start(request: HttpRequest, classroom: str, number: int) -> Status[Job]:
    """Start the machine of a seat."""
    return _job(request, "start", number, classroom=classroom)


@router.post("/classrooms/{classroom}/seats/{int:number}/reset", response={202: shapes.JobOut})
@rule(Rule.SEAT_RESET, Scope.OPERATE)
def seat_reset(request: HttpRequest, classroom: str, number: int) -> Status[Job]:
    """Reset the machine of a seat, and start it."""
    return _job(request, "reset", number, classroom=classroom, after="running")


@router.get("/classrooms/{classroom}/seats/{int:number}/screenshot", response={200: None})
@rule(Rule.SEAT_USER)
def screenshot(request: HttpRequest, classroom: str, number: int) -> HttpResponse:
    """A picture of the screen of a machine."""
    try:
        meant = meant_id(user_of(request), classroom)
        picture = host().screenshot(classroom, number, meant)
    except HostRefused as refused:
        raise HttpError(404, f"There is nothing to see now: {refused}") from None
    return HttpResponse(picture, content_type="image/png", headers={"Cache-Control": "no-store"})


@router.post("/classrooms/{classroom}/seats/{int:number}/console", response=shapes.TicketOut)
@rule(Rule.SEAT_USER, Scope.OPERATE)
def console(request: HttpRequest, classroom: str, number: int) -> dict[str, str]:
    """Make a ticket for the console of a seat. The ticket is valid for a minute."""
    user = user_of(request)
    write_audit(user, "console", classroom, target=str(number), request=request)
    return {"path": f"/console/{ticket_for(user, classroom, number)}"}


# ---- the checkpoints of a student


def _own(user: User, classroom: str, number: int) -> list[dict[str, Any]]:
    seat = seat_name(classroom, number)
    return [
        {"checkpoint": one["checkpoint"], "saved": one["saved"]}
        for one in ask(user, "checkpoint list", {"classroom": classroom})
        if one["checkpoint"].startswith(_OWN) and seat in one["seats"]
    ]


def _check_own(name: str) -> str:
    if not name.startswith(_OWN):
        raise HttpError(404, "Nothing was kept of this machine by that name.")
    return check_name(name, N_("checkpoint"))


@router.get("/classrooms/{classroom}/seats/{int:number}/checkpoints", response=list[dict[str, Any]])
@rule(Rule.SEAT_CHECKPOINT)
def own_checkpoints(request: HttpRequest, classroom: str, number: int) -> list[dict[str, Any]]:
    """The checkpoints that the student saved, the oldest first."""
    return _own(user_of(request), classroom, number)


@router.post(
    "/classrooms/{classroom}/seats/{int:number}/checkpoints", response={202: shapes.JobOut}
)
@rule(Rule.SEAT_CHECKPOINT, Scope.OPERATE)
def own_checkpoint_save(request: HttpRequest, classroom: str, number: int) -> Status[Job]:
    """Save the present state of a seat, within the quota of the classroom."""
    quota = get_object_or_404(Room, name=classroom).checkpoint_quota
    taken = {one["checkpoint"] for one in _own(user_of(request), classroom, number)}
    free = [name for k in range(1, quota + 1) if (name := f"{_OWN}{k}") not in taken]
    if not free:
        raise HttpError(409, f"{quota} are kept already: forget one first.")
    return _job(request, "checkpoint save", number, classroom=classroom, checkpoint=free[0])


@router.post(
    "/classrooms/{classroom}/seats/{int:number}/checkpoints/{name}/restore",
    response={202: shapes.JobOut},
)
@rule(Rule.SEAT_CHECKPOINT, Scope.OPERATE)
def own_checkpoint_restore(
    request: HttpRequest, classroom: str, number: int, name: str
) -> Status[Job]:
    """Restore a checkpoint that the student saved."""
    checkpoint = _check_own(name)
    return _job(request, "checkpoint restore", number, classroom=classroom, checkpoint=checkpoint)


@router.delete(
    "/classrooms/{classroom}/seats/{int:number}/checkpoints/{name}", response={202: shapes.JobOut}
)
@rule(Rule.SEAT_CHECKPOINT, Scope.OPERATE)
def own_checkpoint_delete(
    request: HttpRequest, classroom: str, number: int, name: str
) -> Status[Job]:
    """Delete a checkpoint that the student saved."""
    checkpoint = _check_own(name)
    return _job(request, "checkpoint delete", number, classroom=classroom, checkpoint=checkpoint)
