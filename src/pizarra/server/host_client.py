"""The web's side of the worker's door: asks, and never does anything by itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from pizarra.errors import HostNotFit, PizarraError
from pizarra.model.sentence import Sentence
from pizarra.server.worker.translations import error_json

SOCKET = "worker.sock"
_LIMIT_S = 30.0
_SAID = {"detail_in": "says", "hint_in": "hint"}


class HostRefused(PizarraError):
    """What the worker answered instead; with the status that goes with it."""

    def __init__(self, told: dict[str, Any]) -> None:
        says, hint = str(told.get("says", "")), str(told.get("hint", ""))
        super().__init__("{says}", "{hint}", says=says, hint=hint)
        self.http_status = int(told.get("http_status", 500))
        self.told = told


def in_languages(error: PizarraError) -> dict[str, Any]:
    """What an error says and advises in other languages: ``detail_in``, ``hint_in``."""
    told = error.told if isinstance(error, HostRefused) else error_json(error)
    return {name: told[f"{of}_in"] for name, of in _SAID.items() if f"{of}_in" in told}


def in_language(error: PizarraError, language: str) -> str:
    """An error and what to do, in one of our languages."""
    told = in_languages(error)
    parts = (("detail_in", str(error)), ("hint_in", error.advice))
    return " ".join(told.get(name, {}).get(language) or text for name, text in parts).strip()


@contextmanager
def _door() -> Iterator[socket.socket]:
    """Raises HostNotFit when the worker is not there, or goes away in the middle of an answer."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.settimeout(_LIMIT_S)
    try:
        with door:
            door.connect(str(Path(settings.PIZARRA.server_folder) / SOCKET))
            yield door
    except (OSError, ValueError) as error:  # an answer cut off is no JSON
        said = error.strerror if isinstance(error, OSError) else None
        raise HostNotFit(
            "The worker of this host does not answer: {why}.",
            "Start it: systemctl start pizarra; or pizarra serve",
            why=said or Sentence("it went away"),
        ) from None


def _first_line(data: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(data)
    if "error" in told:
        raise HostRefused(told["error"])
    return told


def query(question: str, **more: Any) -> Any:
    """The answer. Raises HostRefused, HostNotFit."""
    with _door() as door, door.makefile("rwb") as file:
        file.write(json.dumps({"ask": question, **more}).encode() + b"\n")
        file.flush()
        return _first_line(file.readline())["answer"]


def room(classroom: str) -> dict[str, Any]:
    """Its seats as `pizarra status --json` tells them. Raises HostRefused, HostNotFit."""
    told: dict[str, Any] = query("room", classroom=classroom)
    return told


def seat_numbers(classroom: str) -> list[int]:
    """Raises HostRefused, HostNotFit."""
    return [seat["number"] for seat in room(classroom)["seats"]]


def screenshot(classroom: str, number: int) -> bytes:
    """A picture. Raises HostRefused, HostNotFit."""
    with _door() as door, door.makefile("rwb") as file:
        question = {"ask": "screenshot", "classroom": classroom, "number": number}
        file.write(json.dumps(question).encode() + b"\n")
        file.flush()
        return file.read(int(_first_line(file.readline())["bytes"]))


def console(classroom: str, number: int) -> socket.socket:
    """A socket that speaks VNC with the machine. Raises HostRefused, HostNotFit."""
    with _door() as door:
        question = {"ask": "console", "classroom": classroom, "number": number}
        door.sendall(json.dumps(question).encode() + b"\n")
        data, fds, _, _ = socket.recv_fds(door, 65536, 1)
        _first_line(data)
        return socket.socket(fileno=fds[0])
