"""After ``pizarra restore``: what was under way when the backup was made is over.

A job of last week must not run now, nobody is signed in, and no lesson goes on. People, rooms,
seats, tokens and the audit stay as they were.
"""

from __future__ import annotations

from pathlib import Path

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from pizarra.server.jobs.models import OPEN, AuditEntry, Job, State
from pizarra.server.rooms.models import Room
from pizarra.service.backup.manifest import RESTORED

_SAYS = "the database was restored from a backup that was made before this ended"


def end_what_was_open(pages: Path) -> int:
    """How many jobs were ended; once, for a database that was restored."""
    note = pages / RESTORED
    if not note.exists():
        return 0
    error = {"code": "restored", "says": _SAYS, "hint": "", "http_status": 500}
    with transaction.atomic():
        jobs = Job.objects.filter(state__in=OPEN)
        ended = jobs.update(state=State.FAILED, error=error, ended=timezone.now())
        Session.objects.all().delete()
        Room.objects.update(message="", message_seats=[], ends_at=None)
        AuditEntry.objects.create(who="root", action="restore", facts={"jobs": ended},
                                  outcome="done")  # fmt: skip
    note.unlink()
    return ended
