"""Takes jobs of this host from the queue, one thread each, and keeps what became of them.

A job is a row: it survives a restart of anything. Use cases are safe to repeat, so a job that was
under way when the worker died is begun again, three times at most. Seats are claimed below, so two
jobs on one seat follow each other.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from pizarra.engine.events import Event
from pizarra.engine.host import Host
from pizarra.errors import Bug, PizarraError
from pizarra.model.policy import ResetBy
from pizarra.server.jobs.models import AuditEntry, Job, JobEvent, State
from pizarra.server.people.models import User
from pizarra.server.rooms.models import Room
from pizarra.server.worker.events import event_json
from pizarra.server.worker.translations import error_json, with_translations
from pizarra.server.worker.use_cases import Document
from pizarra.server.worker.use_cases import perform as perform_use_case
from pizarra.service.context import Context
from pizarra.service.guard import guard

AT_ONCE = 4
_POLL_S = 0.2
_ROOMS_EVERY_S = 10.0
_GUARD_EVERY_S = 60.0
_ATTEMPTS = 3
_SEATS_WAIT_S = 600.0
_log = logging.getLogger("pizarra.worker")


class Worker:
    """One for each host."""

    def __init__(self, host: Host, name: str = "local") -> None:
        self.host = host
        self.name = name
        self._slots = threading.Semaphore(AT_ONCE)
        self.stopping = threading.Event()

    def run(self) -> None:
        """Until ``stopping``."""
        self.requeue_unfinished()
        threading.Thread(target=self._guard, daemon=True).start()
        looked = 0.0
        while not self.stopping.is_set():
            if time.monotonic() - looked > _ROOMS_EVERY_S:
                looked = time.monotonic()
                register_rooms(self.host, self.name)
            if not self.begin_next():
                self.stopping.wait(_POLL_S)

    def _guard(self) -> None:
        """Space is looked after also where no timer of the system does it."""
        context = Context(self.host, lambda event: _log.info("guard: %s", event))
        while not self.stopping.wait(_GUARD_EVERY_S):
            try:
                guard(context)
            except (PizarraError, OSError) as error:
                _log.warning("guard: %s", error)

    def requeue_unfinished(self) -> None:
        """What was under way when an earlier worker died."""
        mine = Job.objects.filter(host=self.name, state=State.RUNNING)
        error = {"error": "WorkerDied", "says": "the worker died in it, three times", "hint": ""}
        mine.filter(attempts__gte=_ATTEMPTS).update(
            state=State.FAILED, ended=timezone.now(), error=error
        )
        mine.update(state=State.QUEUED)

    def begin_next(self) -> bool:
        """Begin the oldest job that waits, if there is one and a thread is free."""
        if not self._slots.acquire(blocking=False):
            return False
        job = self._take()
        if job is None:
            self._slots.release()
            return False
        threading.Thread(target=self._finish, args=(job,), daemon=True).start()
        return True

    def _take(self) -> Job | None:
        with transaction.atomic():
            waiting = Job.objects.filter(host=self.name, state=State.QUEUED).order_by("created")
            if connection.features.has_select_for_update_skip_locked:
                waiting = waiting.select_for_update(skip_locked=True)
            job = waiting.first()
            if job is not None:
                job.state, job.started = State.RUNNING, timezone.now()
                job.attempts += 1
                job.save(update_fields=["state", "started", "attempts"])
            return job

    def _finish(self, job: Job) -> None:
        close_old_connections()
        try:
            perform(job, self.host)
        finally:
            self._slots.release()
            connection.close()


def register_rooms(host: Host, name: str) -> None:
    """Classrooms that somebody made at a terminal have people too, from now on."""
    try:
        there = host.observe().classrooms
    except PizarraError:
        return  # the pages say that the host does not answer
    for classroom in there:
        Room.objects.get_or_create(name=classroom, defaults={"host": name})


def perform(job: Job, host: Host) -> None:
    """Do it here and now, and write down what becomes of it.

    The work has a thread of its own, and its events come from many: only this one writes.
    """
    told: SimpleQueue[Event | None] = SimpleQueue()
    context = Context(host, told.put, wait_s=_SEATS_WAIT_S)
    arguments = {**job.arguments, "by": _rank(job.user)}

    def work() -> tuple[Document | None, dict[str, Any] | None]:
        try:
            return with_translations(perform_use_case(context, job.use_case, arguments)), None
        except PizarraError as error:
            return None, error_json(error)
        except Exception as error:  # noqa: BLE001 - it must never take the worker with it
            _log.exception("job %s failed", job.id)
            bug = Bug("A mistake of Pizarra's own: {what}.", "Make a report of it: pizarra report",
                      what=repr(error))  # fmt: skip
            return None, error_json(bug)
        finally:
            told.put(None)

    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(work)
        count = JobEvent.objects.filter(job=job).count()
        while (event := told.get()) is not None:
            count += 1
            JobEvent.objects.create(job=job, seq=count, event=event_json(event))
        job.result, job.error = working.result()
    job.state = State.FAILED if job.error else State.ENDED
    job.ended = timezone.now()
    job.save(update_fields=["state", "result", "error", "ended"])
    if job.use_case == "classroom delete" and _in_a_word(job) == "done":
        Room.objects.filter(name=job.classroom).delete()
    if job.use_case == "start" and job.state == State.ENDED:
        _starts_lesson(job, host)
    AuditEntry.objects.filter(job=job).update(outcome=_in_a_word(job))


def _rank(user: User | None) -> ResetBy:
    if user is not None and user.is_technician:
        return ResetBy.TECHNICIANS
    return ResetBy.TEACHERS if user is not None and user.is_teacher else ResetBy.STUDENTS


def _starts_lesson(job: Job, host: Host) -> None:
    """The first start of a classroom with a time limit: from now on its students see time left."""
    room = Room.objects.filter(name=job.classroom).first()
    classroom = host.observe().classrooms.get(job.classroom)
    minutes = classroom.record.policy.minutes if classroom else 0
    if room and minutes and (room.ends_at is None or room.ends_at < timezone.now()):
        room.ends_at = timezone.now() + timedelta(minutes=minutes)
        room.save(update_fields=["ends_at"])


def _in_a_word(job: Job) -> str:
    if job.state == State.FAILED:
        return "failed"
    seats = (job.result or {}).get("seats", [])
    well = all(one["outcome"] in ("done", "unchanged") for one in seats)
    return "done" if well else "partly"
