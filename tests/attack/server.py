"""A real server for attacks: its pages and its pump are processes, and browsers sign in by HTTP.

The host is in memory. Its machines have a console that says one word, so that a stream can be held
open without a QEMU.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from pizarra.agent.agent import Agent
from pizarra.agent.door import Door
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host
from pizarra.engine.memory_host import memory_host
from pizarra.model.labels import FillingLabels, TemplateLabels
from pizarra.model.sizes import MIB
from pizarra.server.prepare import FIRST_PASSWORD, HAD_TECHNICIAN
from pizarra.service import classrooms
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.demonstration import demonstration_store
from pizarra.storage.interface import NewVolume

LIMIT_S = 120.0
HELLO = b"RFB 003.008\n"
Wish = dict[str, Any]


class SeenCompute(MemoryCompute):
    """Machines in memory whose console says hello and stays open."""

    def __init__(self) -> None:
        super().__init__()
        self.consoles: list[socket.socket] = []

    def console(self, uuid: str) -> int:
        self._machine(uuid)
        ours, theirs = socket.socketpair()
        ours.sendall(HELLO)
        self.consoles.append(ours)
        return theirs.detach()


@dataclass(frozen=True, slots=True)
class Server:
    """The address, the host behind it, and what its processes were given."""

    url: str
    agent: Agent
    environment: dict[str, str]
    password: str

    @property
    def host(self) -> Host:
        return self.agent.host

    @property
    def root(self) -> Context:
        """The terminal of the host."""
        return Context(self.host)

    def browser(self, name: str = "technician", password: str = "") -> Browser:
        """Somebody who has signed in."""
        return Browser(self, name, password or self.password)

    def change(self, code: str) -> None:
        """Change the database from another process, as a technician at a terminal does."""
        start = "import django; django.setup()\n" + _MODELS + code
        subprocess.run([sys.executable, "-c", start], env=self.environment, check=True)

    def delete_classroom(self, name: str) -> None:
        """At the terminal."""
        classrooms.delete(self.root, name)
        self.agent.forget_answers()


_MODELS = """
from pizarra.server.people.models import ApiToken, Role, User
from pizarra.server.rooms.models import Room, SeatAssignment
"""


class Browser:
    """A session, with its forms' tokens."""

    def __init__(self, server: Server, name: str, password: str) -> None:
        self.server, self.session = server, requests.Session()
        self.session.get(f"{server.url}sign-in/", timeout=LIMIT_S)
        answer = self.form("sign-in/", username=name, password=password)
        assert answer.status_code == 302, answer.text

    def form(self, path: str, **fields: str) -> requests.Response:
        """Send a form."""
        sent = {"csrfmiddlewaretoken": self.session.cookies["csrftoken"], **fields}
        return self.session.post(
            self.server.url + path,
            sent,
            timeout=LIMIT_S,
            allow_redirects=False,
            headers={"Referer": self.server.url},
        )

    def call(self, method: str, path: str, body: Wish | None = None) -> requests.Response:
        """Call the API."""
        return self.session.request(
            method,
            f"{self.server.url}api/v1{path}",
            json=body if method in ("POST", "PUT") else None,
            timeout=LIMIT_S,
            headers={
                "X-CSRFToken": self.session.cookies["csrftoken"] or "",
                "Referer": self.server.url,
            },
        )

    def run(self, method: str, path: str, body: Wish | None = None) -> Wish:
        """Call the API for a job, and wait for its end."""
        answer = self.call(method, path, body or {})
        assert answer.status_code == 202, answer.text
        return self.end_of(answer.json()["id"])

    def end_of(self, job: str) -> Wish:
        """Wait for the end of a job."""
        told: Wish = until(
            lambda: self.call("GET", f"/jobs/{job}").json(),
            lambda now: now["state"] not in ("queued", "running"),
        )
        return told

    def console(self, classroom: str, number: int) -> ClientConnection:
        """Open a console, and read its first word."""
        ticket = self.call("POST", f"/classrooms/{classroom}/seats/{number}/console")
        assert ticket.status_code == 200, ticket.text
        stream = self.open(ticket.json()["path"])
        assert stream.recv(LIMIT_S) == HELLO
        return stream

    def open(self, path: str) -> ClientConnection:
        """Open a stream of the pages."""
        cookies = "; ".join(f"{one.name}={one.value}" for one in self.session.cookies)
        address = self.server.url.removeprefix("http://").rstrip("/")
        return connect(
            f"ws://{address}{path}",
            origin=Origin(self.server.url.rstrip("/")),
            additional_headers={"Cookie": cookies},
            open_timeout=LIMIT_S,
            legacy=True,
        )


def closed(stream: ClientConnection) -> int:
    """Why the server closed a stream."""
    with pytest.raises(ConnectionClosed) as end:
        while True:
            stream.recv(LIMIT_S)
    assert end.value.rcvd
    return end.value.rcvd.code


def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """The first answer that is good."""
    deadline = time.monotonic() + LIMIT_S
    while not good(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server with a template and no classroom; the agent is in this process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "server" / "pages").mkdir(parents=True)
    password = secrets.token_urlsafe(12)
    given = {
        "PIZARRA_SERVER_FOLDER": str(folder / "server"),
        "PIZARRA_STATE_FOLDER": str(folder / "state"),
        "PIZARRA_RUN_FOLDER": str(folder / "run"),
        "PIZARRA_SERVER_LISTEN": listen,
        "DJANGO_SETTINGS_MODULE": "pizarra.server.project.settings",
        FIRST_PASSWORD: password,
    }
    settings = Settings(state_folder=folder / "state", run_folder=folder / "run")
    agent = Agent(_host(settings))
    door = Door(settings.agent_socket, agent, os.geteuid())
    threading.Thread(target=door.serve_forever, args=(0.05,), daemon=True).start()
    environment = os.environ | given
    argv = [sys.executable, "-m", "pizarra.server.prepare"]
    assert subprocess.run(argv, env=environment).returncode in (0, HAD_TECHNICIAN)
    with ExitStack() as stack:
        stack.callback(door.server_close)
        stack.callback(door.shutdown)
        for module in ("pump", "web"):
            argv = [sys.executable, "-m", f"pizarra.server.{module}"]
            process = stack.enter_context(subprocess.Popen(argv, env=environment))
            stack.callback(process.terminate)
        until(lambda: _answers(listen), bool)
        yield Server(f"http://{listen}/", agent, environment, password)


def _answers(listen: str) -> bool:
    name, _, port = listen.partition(":")
    with socket.socket() as one:
        return one.connect_ex((name, int(port))) == 0


def _host(settings: Settings) -> Host:
    storage = demonstration_store()
    host = memory_host(storage, SeenCompute(), settings)
    labels = TemplateLabels(template="debian", version=1)
    new = NewVolume(labels=FillingLabels(becoming=labels), size_bytes=8 * MIB, name="debian.v1.vda")
    storage.seal_golden(storage.create_golden(new), labels)
    return host


class School:
    """A server with Ada and Bob, who teach, and Eva and Leo in Ada's classroom ``net``."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.tec = server.browser()
        self.ada, self.bob = self._teacher("ada"), self._teacher("bob")
        assert self.create(self.ada, "net")["state"] == "ended"
        rows = self.seat(self.ada, "net", "1,eva", "2,leo")
        passwords = {row["username"]: row["first_password"] for row in rows}
        self.eva = server.browser("eva", passwords["eva"])
        self.leo = server.browser("leo", passwords["leo"])

    def _teacher(self, name: str) -> Browser:
        page = self.tec.form("people/", username=name, role="teacher").text
        found = re.search(rf"first password of {name} is (\S+)\. It", page)
        assert found, page
        return self.server.browser(name, found[1])

    @staticmethod
    def create(who: Browser, name: str, **more: object) -> Wish:
        """Ask for a classroom, and wait for what becomes of it."""
        wish = {"classroom": name, "template": "debian", "seats": 4, "memory_mib": 64} | more
        return who.run("POST", "/classrooms", wish)

    @staticmethod
    def seat(who: Browser, name: str, *lines: str) -> list[Wish]:
        """Give seats to students."""
        wish = {"csv": "\n".join(lines), "apply": True}
        answer = who.call("POST", f"/classrooms/{name}/roster", wish)
        assert answer.json()["applied"], answer.text
        rows: list[Wish] = answer.json()["rows"]
        return rows
