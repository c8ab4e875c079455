"""The agent of one host: all that the server may ask of it."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pizarra.agent.jobs import Jobs
from pizarra.agent.pictures import Pictures
from pizarra.agent.translations import with_translations
from pizarra.engine.events import Event, Noted
from pizarra.engine.halts import halt_of, sentence
from pizarra.engine.host import Host
from pizarra.errors import BadInput, NotFound, PizarraError
from pizarra.model.classroom_record import check_id
from pizarra.model.names import check_name
from pizarra.model.policy import ResetBy
from pizarra.model.sentence import N_
from pizarra.service import activity
from pizarra.service.commands.folders import exported_file
from pizarra.service.commands.table import find_command
from pizarra.service.context import Context
from pizarra.service.guard import guard, last_guard_s_ago, pool_json, sample

_FRESH_S = 1.0  # a wall of three teachers looks at the host once a second, not three times
_GUARD_EVERY_S = 60.0
_LATELY = 0.75  # of that time: another guard looked so short a while ago
_PIECE_BYTES = 1 << 20
_log = logging.getLogger("pizarra.agent")


class Agent:
    """Its methods are the protocol: ``query``, ``submit``, ``events``, ``screenshot``, ``console``,
    ``record_activity``, ``activity``, ``halt``, ``file``. Each raises PizarraError. Arguments come
    from the unprivileged side: the command checks each of them again."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._answers: dict[str, tuple[float, Any]] = {}
        self._consoles: set[tuple[str, int]] = set()
        self._pictures = Pictures(host.compute.screenshot)
        self.jobs = Jobs(self.forget_answers)

    def query(
        self,
        command: str,
        arguments: Mapping[str, Any],
        by: ResetBy = ResetBy.STUDENTS,
        *,
        dry_run: bool = False,
        classroom_id: str = "",
    ) -> Any:
        """The answer to a question, or with ``dry_run`` the plan of a command. Nothing changes.

        ``classroom_id`` says which classroom of this name is meant; empty for whichever it is.
        """
        key = json.dumps([command, arguments, dry_run, by, classroom_id], sort_keys=True)
        then, known = self._answers.get(key, (0.0, None))
        if time.monotonic() - then < _FRESH_S:
            return known
        context = context_of(self.host, arguments, by, classroom_id)
        found = with_translations(self._answer(command, arguments, context, dry_run=dry_run))
        now = time.monotonic()
        for old in [key for key, (then, _) in list(self._answers.items()) if now - then > _FRESH_S]:
            self._answers.pop(old, None)
        self._answers[key] = (now, found)
        return found

    def forget_answers(self) -> None:
        """The next question is answered anew, also within the second: something has changed."""
        self._answers.clear()

    def _answer(
        self, command: str, arguments: Mapping[str, Any], context: Context, *, dry_run: bool
    ) -> Any:
        if command == "pools":  # of the pages alone: where space comes from
            settings, pools = self.host.settings, self.host.observe().pools
            return [
                pool_json(settings, pool) | {"samples": sample(settings, pool)} for pool in pools
            ]
        known = find_command(command)
        if not (known.is_question or dry_run):
            raise BadInput("The command {name} changes something: submit it.", name=command)
        return known(context, arguments, dry_run=dry_run)

    def submit(
        self,
        job_id: str,
        command: str,
        arguments: Mapping[str, Any],
        by: ResetBy,
        upload: int | None = None,
        classroom_id: str = "",
    ) -> bool:
        """Begin a job. False when it is known already.

        ``upload`` is the descriptor of a file that the command reads. ``classroom_id`` says which
        classroom of this name is meant, and is the id of a new one; empty for whichever it is.
        """
        find_command(command)
        context = context_of(self.host, arguments, by, classroom_id)
        return self.jobs.submit(job_id, command, arguments, context, upload)

    def events(self, job_id: str, since: int, wait_s: float = 0.0) -> dict[str, Any]:
        """How far a job is: the events after the first ``since``, and its end."""
        return self.jobs.progress(job_id, since, wait_s)

    def screenshot(self, classroom: str, number: int, classroom_id: str = "") -> bytes:
        """What a seat's machine shows now, as a small PNG."""
        return self._pictures.of(self._machine(classroom, number, classroom_id))

    def console(self, classroom: str, number: int, classroom_id: str = "") -> int:
        """A file descriptor that speaks VNC with a seat's machine; the caller closes it."""
        machine = self._machine(classroom, number, classroom_id)
        self._consoles.add((classroom, number))
        return self.host.compute.console(machine)

    def record_activity(self, classroom: str, number: int) -> None:
        """Note that somebody is active now on a seat whose console was asked for."""
        if (classroom, number) in self._consoles:  # so the seat exists
            activity.record_activity(self.host.settings.activity_folder, classroom, number)

    def activity(self, classroom: str, numbers: Sequence[int]) -> dict[str, int | None]:
        """By the number of a seat: seconds since somebody was active there, or None."""
        folder = self.host.settings.activity_folder
        check_name(classroom, N_("classroom"))
        return {str(one): activity.active_s_ago(folder, classroom, one) for one in numbers}

    def halt(self, classroom: str, number: int) -> dict[str, Any]:
        """Why the guard paused the machine of a seat: ``reason``, and the same in languages."""
        check_name(classroom, N_("classroom"))
        why = halt_of(self.host.settings.halt_folder, classroom, number)
        return dict(with_translations({"reason": sentence(why) if why else None}))

    def file(self, name: str) -> tuple[int, Iterator[bytes]]:
        """Size in bytes and content of a file that a command exported."""
        path = exported_file(self.host.settings, name)
        return path.stat().st_size, _pieces(path)

    def _machine(self, classroom: str, number: int, classroom_id: str) -> str:
        """The UUID of a seat's machine. Raises NotFound."""
        facts = self.host.meaning(classroom, classroom_id).observe()
        for seat in facts.classroom(classroom).seats:
            if seat.number == number:
                return seat.domain_uuid
        raise NotFound("There is no such seat.")

    def run_guard(self, stopping: threading.Event, every_s: float = _GUARD_EVERY_S) -> None:
        """Guard the space each minute, where no timer of the system does."""
        context = Context(self.host, _log_note)
        while not stopping.wait(every_s):
            if last_guard_s_ago(self.host.settings) < every_s * _LATELY:
                continue
            try:
                guard(context)
            except (PizarraError, OSError) as error:
                _log.warning("guard: %s", error)


def context_of(host: Host, arguments: Mapping[str, Any], by: ResetBy, classroom_id: str) -> Context:
    """What a command of the pages works with. Raises BadInput for what cannot be an id."""
    if not classroom_id:
        return Context(host, by=by)
    meant = host.meaning(str(arguments.get("classroom", "")), check_id(classroom_id))
    return Context(meant, by=by, classroom_id=classroom_id)


def _log_note(event: Event) -> None:
    """What the guard has to say is kept: somebody looks for it when a class stands still."""
    if isinstance(event, Noted):
        _log.warning("guard: %s", event)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
