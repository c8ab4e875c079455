"""The server's end of the protocol with an agent on the same machine."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pizarra.errors import HostNotFit, PizarraError
from pizarra.model.policy import ResetBy
from pizarra.model.sentence import Sentence

_LIMIT_S = 30.0
_PIECE_BYTES = 1 << 20


class HostRefused(PizarraError):
    """An error that the agent answered; its code, sentences and statuses are the agent's."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        says, hint = str(answer.get("says", "")), str(answer.get("hint", ""))
        super().__init__("{says}", "{hint}", says=says, hint=hint)
        self.code = str(answer.get("code", PizarraError.code))
        self.http_status = int(answer.get("http_status", PizarraError.http_status))
        self.exit_status = int(answer.get("exit_status", PizarraError.exit_status))
        self.answer = dict(answer)


class HostClient:
    """Asks the agent behind a socket. Every method raises HostRefused, HostNotFit."""

    def __init__(self, socket_path: Path) -> None:
        self.socket_path = socket_path

    def query(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        by: ResetBy = ResetBy.STUDENTS,
        *,
        dry_run: bool = False,
        classroom_id: str = "",
    ) -> Any:
        """The answer to a question, or with ``dry_run`` the plan of a command.

        Here and below: with ``classroom_id`` another classroom of the same name is NotFound.
        """
        return self._ask(
            {"ask": "query", "command": command, "arguments": dict(arguments or {}), "by": str(by),
             "dry_run": dry_run, "classroom_id": classroom_id}
        )  # fmt: skip

    def submit(
        self,
        job: str,
        command: str,
        arguments: Mapping[str, Any],
        by: ResetBy,
        upload: int | None = None,
        classroom_id: str = "",
    ) -> bool:
        """Begin a job. False when the agent knows it already.

        ``upload`` is the descriptor of a file that the command reads. The agent gets the open
        file, and not a name.
        """
        question = {"ask": "submit", "job": job, "command": command, "arguments": dict(arguments),
                    "by": str(by), "classroom_id": classroom_id}  # fmt: skip
        return bool(self._ask(question, upload))

    def events(self, job: str, since: int, wait_s: float = 0.0) -> dict[str, Any]:
        """``events`` after the first ``since``, ``ended``, ``result`` and ``error`` of a job."""
        answer: dict[str, Any] = self._ask(
            {"ask": "events", "job": job, "since": since, "wait_s": wait_s}
        )
        return answer

    def seats(self, classroom: str, classroom_id: str = "") -> list[dict[str, Any]]:
        """The seats of a classroom, as ``pizarra status --json`` has them."""
        wish = {"classroom": classroom}
        found: list[dict[str, Any]] = self.query("status", wish, classroom_id=classroom_id)["seats"]
        return found

    def seat_numbers(self, classroom: str, classroom_id: str = "") -> list[int]:
        """The numbers of a classroom's seats."""
        return [seat["number"] for seat in self.seats(classroom, classroom_id)]

    def record_activity(self, classroom: str, number: int) -> None:
        """Note that somebody is active now on a seat."""
        self._ask({"ask": "record_activity", "classroom": classroom, "number": number})

    def activity(self, classroom: str, numbers: Sequence[int]) -> dict[int, int | None]:
        """By the number of a seat: seconds since somebody was active there, or None."""
        question = {"ask": "activity", "classroom": classroom, "numbers": list(numbers)}
        return {int(number): ago for number, ago in self._ask(question).items()}

    def halt(self, classroom: str, number: int) -> dict[str, Any]:
        """Why the guard paused the machine of a seat: ``reason``, None when it did not."""
        answer: dict[str, Any] = self._ask(
            {"ask": "halt", "classroom": classroom, "number": number}
        )
        return answer

    def screenshot(self, classroom: str, number: int, classroom_id: str = "") -> bytes:
        """What a seat's machine shows now, as an image."""
        question = {"ask": "screenshot", "classroom": classroom, "number": number,
                    "classroom_id": classroom_id}  # fmt: skip
        return b"".join(self._bytes(question))

    def file(self, name: str) -> Generator[bytes, None, None]:
        """The content of a file that a command exported, piece by piece."""
        return self._bytes({"ask": "file", "name": name})

    def console(self, classroom: str, number: int, classroom_id: str = "") -> socket.socket:
        """A socket that speaks VNC with a seat's machine."""
        with self._connection() as door:
            question = {"ask": "console", "classroom": classroom, "number": number,
                        "classroom_id": classroom_id}  # fmt: skip
            _send(door, question)
            data, fds, _, _ = socket.recv_fds(door, 65536, 1)
            _parse(data)
            return socket.socket(fileno=fds[0])

    def _ask(self, question: dict[str, Any], fd: int | None = None) -> Any:
        with self._connection() as door, door.makefile("rb") as file:
            _send(door, question, fd)
            return _parse(file.readline())["answer"]

    def _bytes(self, question: dict[str, Any]) -> Generator[bytes, None, None]:
        with self._connection() as door, door.makefile("rb") as file:
            _send(door, question)
            left = int(_parse(file.readline())["bytes"])
            while left > 0:
                piece = file.read(min(left, _PIECE_BYTES))
                if not piece:
                    raise ValueError("the answer was cut off")
                left -= len(piece)
                yield piece

    @contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # unix(7): when the queue is full, a socket that does not block is refused at once
        door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(_LIMIT_S), 0))
        try:
            with door:
                door.connect(str(self.socket_path))
                door.settimeout(_LIMIT_S)
                yield door
        except (OSError, ValueError) as error:  # an answer that is cut off is no JSON
            why = error.strerror if isinstance(error, OSError) else None
            raise HostNotFit(
                "The agent of this host does not answer: {why}.",
                "Start it: systemctl start pizarra; or pizarra serve",
                why=why or Sentence("it went away"),
            ) from None


def _send(door: socket.socket, question: dict[str, Any], fd: int | None = None) -> None:
    """Send a question; a descriptor goes with its first byte."""
    line = json.dumps(question).encode() + b"\n"
    sent = 0 if fd is None else socket.send_fds(door, [line[:1]], [fd])
    door.sendall(line[sent:])


def _parse(line: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise HostRefused(answer["error"])
    return answer
