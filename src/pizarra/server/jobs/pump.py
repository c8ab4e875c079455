"""The pump carries jobs from the database to the agent of a host, and events back.

The pump runs as the user of the pages. A job is a row: it survives a restart of anything. A job
that an agent forgot, because the agent was restarted, is submitted again, three times at most.
Seats are claimed on the host, so two jobs on one seat follow each other. Few jobs work at once;
one that waits on the host for seats, which a terminal may have claimed, leaves its place to others.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import OperationalError, close_old_connections, connection, transaction
from django.db.models import Max
from django.utils import timezone

from pizarra.agent.client import HostClient, HostRefused
from pizarra.agent.translations import error_json
from pizarra.errors import HostNotFit, NotFound
from pizarra.model.policy import ResetBy
from pizarra.server.jobs.effects import after_job, lesson_minutes, opening_upload
from pizarra.server.jobs.models import Job, JobEvent, State
from pizarra.server.jobs.registration import register_rooms
from pizarra.server.jobs.turns import choose
from pizarra.server.people.models import User

AT_ONCE = 4  # jobs that work
_FOLLOWED_MOST = 40  # with those that wait for seats on the host
_WAITING_MOST = 2000  # that are looked at for the next turn
_TURNS_COUNT = timedelta(days=1)  # a turn of before that counts as none
_POLL_S = 0.2
_AGAIN_S = 0.5  # the agent does not answer: it is being restarted
_WAIT_S = 5.0  # for the next event
_ROOMS_EVERY_S = 10.0
_ATTEMPTS = 3


class Pump:
    """The pump of one host."""

    def __init__(self, agent: HostClient, name: str = "local") -> None:
        self.agent = agent
        self.name = name
        self._waits: dict[UUID, bool] = {}  # of the jobs under way: whether it waits for seats
        self.stopping = threading.Event()

    def run(self) -> None:
        """Carry jobs until ``stopping`` is set."""
        for job in Job.objects.filter(host=self.name, state=State.RUNNING):
            self._follow_beside(job)
        looked = 0.0
        while not self.stopping.is_set():
            try:
                if time.monotonic() - looked > _ROOMS_EVERY_S:
                    looked = time.monotonic()
                    register_rooms(self.agent, self.name)
                if not self.begin_one():
                    self.stopping.wait(_POLL_S)
            except OperationalError:  # the database is being restarted, or its disk is full
                connection.close()
                self.stopping.wait(_AGAIN_S)

    def begin_one(self) -> bool:
        """Begin the job whose turn it is, if there is one and a place is free."""
        followed = list(self._waits.values())
        if followed.count(False) >= AT_ONCE or len(followed) >= _FOLLOWED_MOST:
            return False
        job = self.take()
        if job is not None:
            self._follow_beside(job)
        return job is not None

    def take(self) -> Job | None:
        """The job whose turn it is, marked as running; None when no job can begin."""
        here = Job.objects.filter(host=self.name).defer("arguments", "result", "error")
        waiting = list(here.filter(state=State.QUEUED).order_by("created")[:_WAITING_MOST])
        if not waiting:
            return None
        rooms = {job.classroom for job in waiting}
        lately = timezone.now() - _TURNS_COUNT
        began = Job.objects.filter(classroom__in=rooms, created__gte=lately, started__isnull=False)
        last = dict(
            began.order_by()
            .values("classroom")
            .annotate(Max("started"))
            .values_list("classroom", "started__max")
        )
        running = list(here.filter(state=State.RUNNING))
        places = Counter(job.user_id for job in running if not self._waits.get(job.pk))
        busy = [person for person, count in places.items() if count >= AT_ONCE - 1]
        job = choose(waiting, running, last, busy)
        if job is None:
            return None
        job.state, job.started = State.RUNNING, timezone.now()
        still = Job.objects.filter(pk=job.pk, state=State.QUEUED)
        return job if still.update(state=job.state, started=job.started) else None

    def _follow_beside(self, job: Job) -> None:
        self._waits[job.pk] = False
        threading.Thread(target=self._follow, args=(job,), daemon=True).start()

    def _follow(self, job: Job) -> None:
        close_old_connections()
        try:
            follow(job, self.agent, self.stopping, partial(self._note, job.pk))
        finally:
            del self._waits[job.pk]
            connection.close()

    def _note(self, job_id: UUID, waits: bool) -> None:
        self._waits[job_id] = waits


def _pass_over(waits: bool) -> None:
    _ = waits


def follow(
    job: Job,
    agent: HostClient,
    stopping: threading.Event | None = None,
    note: Callable[[bool], None] = _pass_over,
) -> None:
    """Submit a job, and write its events and its result to the database. ``note`` is told whether
    the job waits for seats."""
    stopping = stopping or threading.Event()
    while not stopping.is_set():
        try:
            if _write_news(job, agent, note):
                return
        except HostNotFit:
            stopping.wait(_AGAIN_S)
        except OperationalError:  # the database is being restarted
            connection.close()
            stopping.wait(_AGAIN_S)
        except HostRefused as refused:
            _write_end(job, agent, None, refused.answer)
            return


def _write_news(job: Job, agent: HostClient, note: Callable[[bool], None]) -> bool:
    """Write new events. True when the job has ended. Raises HostNotFit, HostRefused."""
    try:
        news = agent.events(str(job.id), job.events.count() - job.first_seq, _WAIT_S)
    except HostRefused as refused:
        if refused.http_status != 404:
            raise
        return _submit(job, agent)
    note(bool(news["waits"]))
    before = job.events.count()
    JobEvent.objects.bulk_create(
        JobEvent(job=job, seq=before + number, event=event)
        for number, event in enumerate(news["events"], 1)
    )
    if news["ended"]:
        _write_end(job, agent, news["result"], news["error"])
    return bool(news["ended"])


def _submit(job: Job, agent: HostClient) -> bool:
    """Submit a job that the agent does not know: a new job, or the agent was restarted."""
    if job.attempts >= _ATTEMPTS:
        says = "the agent died in it, three times"
        died = {"code": "agent_died", "says": says, "hint": "", "http_status": 500}
        _write_end(job, agent, None, died)
        return True
    job.attempts += 1
    job.first_seq = job.events.count()
    job.save(update_fields=["attempts", "first_seq"])
    try:
        with opening_upload(job) as upload:
            by = rank_of(job.user)
            agent.submit(str(job.id), job.use_case, job.arguments, by, upload, job.classroom_id)
    except NotFound as error:  # HostRefused is of the agent
        _write_end(job, agent, None, error_json(error))
        return True
    return False


def _write_end(job: Job, agent: HostClient, result: Any, error: dict[str, Any] | None) -> None:
    job.result, job.error = result, error
    job.state = State.FAILED if error else State.ENDED
    job.ended = timezone.now()
    minutes = lesson_minutes(job, agent)
    with transaction.atomic():
        job.save(update_fields=["state", "result", "error", "ended"])
        after_job(job, minutes)


def rank_of(user: User | None) -> ResetBy:
    """The rank of a user in the policies of classrooms."""
    if user is not None and user.is_technician:
        return ResetBy.TECHNICIANS
    return ResetBy.TEACHERS if user is not None and user.is_teacher else ResetBy.STUDENTS
