"""Rooms follow the classrooms of a host: a room is of one classroom, by the id in its record.

A room is made when its classroom is there, and goes when another classroom has the name: whoever
sat in the old one has no right to the new one.
"""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from django.db import IntegrityError, transaction

from pizarra.agent.client import HostClient
from pizarra.errors import PizarraError
from pizarra.model.classroom_record import REBUILT
from pizarra.server.jobs.models import AuditEntry, Job
from pizarra.server.rooms.models import Room
from pizarra.service.commands.declaration import Effect
from pizarra.service.commands.table import find_command

_OURS = "pizarra"  # who did it, in the audit


def register_rooms(agent: HostClient, host: str) -> None:
    """A room for each classroom of a host, whoever made it."""
    try:
        there = agent.query("classroom list")
    except PizarraError:
        return  # the pages say that the host does not answer
    for one in there:
        with suppress(IntegrityError):  # another thread was faster
            register_room(host, one["classroom"], one["id"])


@transaction.atomic
def register_room(host: str, name: str, classroom_id: str) -> None:
    """The room of a classroom that is there. The one who had it made is its teacher."""
    room = Room.objects.filter(name=name).first()
    if room is not None and room.classroom_id == classroom_id:
        return
    # a room of before there were ids, or a classroom whose record was lost with its id
    if room is not None and (not room.classroom_id or classroom_id.startswith(REBUILT)):
        room.classroom_id = classroom_id
        room.save(update_fields=["classroom_id"])
        return
    if room is not None:
        if not classroom_id:  # nobody knows which one it is, until its record is there again
            return
        room.delete()
        _audit("classroom replaced", name)
    maker = _maker(classroom_id)
    room = Room(name=name, host=host, classroom_id=classroom_id)
    if maker is not None:
        room.title, room.created = str(maker.arguments.get("title", "")), maker.created
    room.save(force_insert=True)
    if maker is not None and maker.user is not None:
        room.teachers.add(maker.user)


def _maker(classroom_id: str) -> Job | None:
    """The job that made a classroom: the classroom has its id."""
    try:
        job = Job.objects.filter(id=UUID(classroom_id)).first()
    except ValueError:
        return None
    makes = job is not None and Effect.ADDS_CLASSROOM in find_command(job.use_case).effects
    return job if makes else None


def _audit(action: str, classroom: str) -> None:
    AuditEntry.objects.create(who=_OURS, action=action, classroom=classroom, outcome="done")
