"""The jobs of an agent: each is one command, done by a thread, with the events that it emits.

Few jobs work at the same time. A job that waits for seats does not work, and takes nobody's turn.

Jobs are kept in memory. Who asked for a job (the server's pump) remembers it durably, and submits
it again when the agent does not know it any more: commands are safe to repeat.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pizarra.agent.events import event_json
from pizarra.agent.translations import error_json, with_translations
from pizarra.engine.events import Event
from pizarra.errors import Bug, Busy, NotFound, PizarraError
from pizarra.service.commands.table import find_command
from pizarra.service.context import Context

AT_ONCE = 4
_OPEN_MOST = 200  # a thread each
_ENDED_KEPT = 200
_SEATS_WAIT_S = 600.0  # for others who work on the same seats
_log = logging.getLogger("pizarra.agent")


@dataclass(slots=True)
class _Job:
    """One job, as far as it has come."""

    command: str
    arguments: Mapping[str, Any]
    context: Context  # that of the pages, before it is known where events go
    changed: threading.Condition = field(default_factory=threading.Condition)
    events: list[dict[str, Any]] = field(default_factory=list)
    waits: bool = False  # for seats that somebody else works on
    ended: bool = False
    result: Any = None
    error: dict[str, Any] | None = None
    upload: int | None = None  # the descriptor of a file that came with the job

    def add(self, event: Event) -> None:
        """Add an event. All threads of a command emit events."""
        with self.changed:
            self.events.append(event_json(event))
            self.changed.notify_all()

    def show_waiting(self, waits: bool) -> None:
        """Note whether it waits for seats."""
        with self.changed:
            self.waits = waits
            self.changed.notify_all()

    def close(self) -> None:
        """Close what came with the job."""
        if self.upload is not None:
            os.close(self.upload)

    def end(self, result: Any, error: dict[str, Any] | None) -> None:
        """End the job. No event comes after this."""
        with self.changed:
            self.result, self.error, self.ended = result, error, True
            self.changed.notify_all()


class Jobs:
    """Those that were submitted since the agent began, by the id that the server gave them."""

    def __init__(self, when_ended: Callable[[], None]) -> None:
        self.when_ended = when_ended
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(AT_ONCE)

    def submit(
        self,
        job_id: str,
        command: str,
        arguments: Mapping[str, Any],
        context: Context,
        upload: int | None = None,
    ) -> bool:
        """Begin a job when it is its turn. False when the job is known: nothing is done twice.

        The job gets a descriptor of its own of the file ``upload``. Raises Busy when there are too
        many jobs already.
        """
        with self._lock:
            if job_id in self._jobs:
                return False
            self._forget_oldest()
            if sum(not one.ended for one in self._jobs.values()) >= _OPEN_MOST:
                raise Busy("{n} jobs are under way or wait.", "Try again later.", n=_OPEN_MOST)
            job = _Job(command=command, arguments=arguments, context=context)
            job.upload = os.dup(upload) if upload is not None else None
            self._jobs[job_id] = job
        # it ends with the process: a job is safe to repeat
        threading.Thread(target=self._work, args=(job,), name=f"job-{job_id}", daemon=True).start()
        return True

    def progress(self, job_id: str, since: int, wait_s: float) -> dict[str, Any]:
        """The events after the first ``since``, once there are some or the job has ended.

        After ``wait_s`` seconds also without. Raises NotFound for a job that is not known.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFound("There is no such job.")
        deadline = time.monotonic() + wait_s
        with job.changed:
            while not job.ended and len(job.events) <= since:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not job.changed.wait(left_s):
                    break
            return {
                "events": job.events[since:],
                "waits": job.waits,
                "ended": job.ended,
                "result": job.result,
                "error": job.error,
            }

    def _work(self, job: _Job) -> None:
        with self._turns:
            result, error = self._run(job)
        job.close()
        self.when_ended()
        job.end(result, error)

    @contextmanager
    def _letting_others(self, job: _Job) -> Iterator[None]:
        """For as long as a job waits for seats, another has its turn."""
        self._turns.release()
        job.show_waiting(True)
        try:
            yield
        finally:
            self._turns.acquire()
            job.show_waiting(False)

    def _run(self, job: _Job) -> tuple[Any, dict[str, Any] | None]:
        context = replace(
            job.context,
            emit=job.add,
            wait_s=_SEATS_WAIT_S,
            upload=job.upload,
            while_waiting=partial(self._letting_others, job),
        )
        try:
            return with_translations(find_command(job.command)(context, job.arguments)), None
        except PizarraError as error:
            return None, error_json(error)
        except Exception as error:  # noqa: BLE001 - it must never take the agent with it
            _log.exception("command %s failed", job.command)
            bug = Bug(
                "A mistake of Pizarra's own: {what}.",
                "Make a report of it: pizarra report",
                what=repr(error),
            )
            return None, error_json(bug)

    def _forget_oldest(self) -> None:
        ended = [job_id for job_id, job in self._jobs.items() if job.ended]
        for job_id in ended[: max(0, len(ended) - _ENDED_KEPT)]:
            del self._jobs[job_id]
