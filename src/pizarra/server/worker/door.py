"""The worker's door: a Unix socket that answers a fixed set of questions, to one user only.

A question is one line of JSON, the answer too; a picture follows as bytes, a console as a file
descriptor. Nothing that is asked here changes anything: what does is a job.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import struct
import time
from pathlib import Path
from typing import Any

from pizarra.engine.host import Host
from pizarra.errors import BadInput, NotFound, PizarraError
from pizarra.model.outcome import Mode
from pizarra.model.policy import After
from pizarra.server.worker.translations import error_json, with_translations
from pizarra.service import checkpoints, classrooms, templates, verbs
from pizarra.service.context import Context
from pizarra.service.guard import pool_json, sample

_CREDENTIALS = struct.Struct("3i")
_FRESH_S = 1.0  # a wall of three teachers looks at the host once a second, not three times
_LINE_BYTES_MOST = 64 * 1024


class Answers:
    """What can be asked."""

    def __init__(self, host: Host) -> None:
        self.context = Context(host)
        self._remembered: dict[str, tuple[float, Any]] = {}

    def answer(self, question: dict[str, Any]) -> Any:
        """Raises PizarraError."""
        name = str(question.get("ask"))
        ask = {
            "rooms": self.rooms, "room": self.room, "templates": self.templates,
            "pools": self.pools, "plan": self.plan, "checkpoints": self.checkpoints,
        }.get(name)  # fmt: skip
        if ask is None:
            raise BadInput("Nobody answers the question {name!r}.", name=name)
        key = json.dumps(question, sort_keys=True)
        then, known = self._remembered.get(key, (0.0, None))
        if time.monotonic() - then < _FRESH_S:
            return known
        found = with_translations(ask(question))
        if len(self._remembered) > 500:
            self._remembered.clear()
        self._remembered[key] = (time.monotonic(), found)
        return found

    def rooms(self, question: dict[str, Any]) -> Any:
        """All classrooms."""
        _ = question
        return [
            classrooms.classroom_json(room) for room in classrooms.list_classrooms(self.context)
        ]

    def room(self, question: dict[str, Any]) -> Any:
        """Its seats, as `pizarra status --json` tells them."""
        return verbs.status(self.context, str(question.get("classroom"))).to_json()

    def templates(self, question: dict[str, Any]) -> Any:
        """All versions of all templates."""
        _ = question
        return [templates.template_json(one) for one in templates.list_templates(self.context)]

    def pools(self, question: dict[str, Any]) -> Any:
        """Where space comes from."""
        _ = question
        pools = self.context.host.observe().pools
        return [pool_json(pool) | {"samples": sample(pool)} for pool in pools]

    def plan(self, question: dict[str, Any]) -> Any:
        """What a reset would do."""
        return verbs.reset_plan(
            self.context,
            str(question.get("classroom")),
            question.get("numbers"),
            mode=Mode(question["mode"]) if question.get("mode") else None,
            after=After(question["after"]) if question.get("after") else None,
        ).to_json()

    def checkpoints(self, question: dict[str, Any]) -> Any:
        """Of a classroom."""
        return checkpoints.list_checkpoints(self.context, str(question.get("classroom")))

    def machine(self, question: dict[str, Any]) -> str:
        """The UUID of a seat's machine. Raises NotFound."""
        room = self.context.host.observe().classroom(str(question.get("classroom")))
        for seat in room.seats:
            if seat.number == question.get("number"):
                return seat.domain_uuid
        raise NotFound("There is no such seat.")


class _Caller(socketserver.StreamRequestHandler):
    """One question."""

    server: Door

    def handle(self) -> None:
        peer = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(peer)[1] not in (0, self.server.user_id):
            return
        line = self.rfile.readline(_LINE_BYTES_MOST)
        try:
            self._answer(dict(json.loads(line)))
        except PizarraError as error:
            self._say({"error": error_json(error)})
        except (ValueError, TypeError, KeyError) as error:
            self._say({"error": {"error": "BadInput", "says": repr(error), "http_status": 400}})

    def _answer(self, question: dict[str, Any]) -> None:
        answers, compute = self.server.answers, self.server.answers.context.host.compute
        match question.get("ask"):
            case "screenshot":
                picture = compute.screenshot(answers.machine(question))
                self._say({"bytes": len(picture)})
                self.wfile.write(picture)
            case "console":
                fd = compute.console(answers.machine(question))
                try:
                    socket.send_fds(self.connection, [b'{"answer": true}\n'], [fd])
                finally:
                    os.close(fd)
            case _:
                self._say({"answer": answers.answer(question)})

    def _say(self, document: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(document).encode() + b"\n")


class Door(socketserver.ThreadingUnixStreamServer):
    """At a path; only root and one user may come in."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, host: Host, user_id: int) -> None:
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Caller)
        os.chown(path, user_id, -1)
        path.chmod(0o600)
        self.answers = Answers(host)
        self.user_id = user_id
