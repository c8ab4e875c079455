"""A real server over a host in memory: its agent, pages and pump are processes.

The agent is root's, the pages are another user's. The machines have a console that says one word,
so that a stream can be held open without a QEMU.

``python -m tests.attack.served SEATS`` is the server; ``pizarra serve --demonstration`` is the same
without consoles.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pizarra.agent.client import HostClient
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.memory_host import memory_host
from pizarra.model.policy import ResetBy
from pizarra.server.serve import demonstration_host, demonstration_settings, end_in_time, serve
from pizarra.service.context import Context
from pizarra.settings import Settings, read_settings
from pizarra.storage.demonstration import demonstration_store

USER = "nobody"  # whose processes the pages are
LIMIT_S = 120.0
HELLO = b"RFB 003.008\n"
_MODELS = """
from pizarra.server.people.models import ApiToken, Role, User
from pizarra.server.rooms.models import Room, SeatAssignment
"""


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


@dataclass(frozen=True, kw_only=True)
class Served:
    """The server: the agent's process, which is also the parent of the pages' and the pump's."""

    process: subprocess.Popen[str]
    port: int
    password: str  # of the user technician
    environment: dict[str, str]
    log: Path  # what all its processes say

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pages(self) -> int:
        """The process of the pages."""
        pid = self.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"pizarra.server.web" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        raise AssertionError("the pages have ended")

    @property
    def door(self) -> Path:
        """The socket of the agent."""
        return self.terminal.host.settings.agent_socket

    @cached_property
    def terminal(self) -> Context:
        """Another process of root's on this host. It sees the claims, and not the memory."""
        place = Settings(server_folder=Path(self.environment["PIZARRA_SERVER_FOLDER"]))
        settings = demonstration_settings(place)
        return Context(memory_host(demonstration_store(), MemoryCompute(), settings))

    def do(self, command: str, **arguments: object) -> None:
        """Do something to the host that the pages did not ask for, as at a terminal."""
        client, job = HostClient(self.door), f"terminal-{os.urandom(8).hex()}"
        client.submit(job, command, arguments, ResetBy.TECHNICIANS)
        told, seen = client.events(job, 0, LIMIT_S), 0
        while not told["ended"]:
            seen += len(told["events"])
            told = client.events(job, seen, LIMIT_S)
        assert told["error"] is None, told["error"]

    def change(self, code: str) -> None:
        """Change the database from another process, as a technician at a terminal does."""
        start = "import django; django.setup()\n" + _MODELS + code
        who = pwd.getpwnam(USER)
        subprocess.run(
            [sys.executable, "-c", start], env=self.environment, check=True, cwd="/",
            user=who.pw_uid, group=who.pw_gid, extra_groups=[],
        )  # fmt: skip


@contextmanager
def serving(place: Path, **more: str) -> Iterator[Served]:
    """Run the server for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    environment = os.environ | {
        "PIZARRA_SERVER_FOLDER": str(place / "server"),
        "PIZARRA_STATE_FOLDER": str(place / "state"),
        "PIZARRA_RUN_FOLDER": str(place / "run"),
        "PIZARRA_SERVER_LISTEN": f"127.0.0.1:{port}",
        "PIZARRA_SERVER_USER": USER,
        "DJANGO_SETTINGS_MODULE": "pizarra.server.project.settings",
        **more,
    }
    argv = [sys.executable, "-m", "tests.attack.served", "4"]
    log = place / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            argv, env=environment, stdout=subprocess.PIPE, stderr=said, text=True
        )
    try:
        assert process.stdout
        password = json.loads(process.stdout.readline())["password"]
        yield Served(
            process=process, port=port, password=password, environment=environment, log=log
        )
        assert process.poll() is None, "the server must have lived to the end"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)
        sys.stderr.write(log.read_text())


def memory_kib(pid: int, field: str = "VmHWM") -> int:
    """The most memory that a process has had, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.M)
    assert found, status
    return int(found[1])


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def main(seats: str) -> None:
    """Serve until a signal comes; the first line says the password of the technician."""
    settings = read_settings()

    def say(_url: str, password: str, _no_technician: bool) -> None:
        sys.stdout.write(json.dumps({"password": password}) + "\n")
        sys.stdout.flush()

    serve(settings, demonstration_host(settings, int(seats), SeenCompute()), say)
    end_in_time(0)


if __name__ == "__main__":
    main(sys.argv[1])
