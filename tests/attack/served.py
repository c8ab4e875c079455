"""A real `pizarra serve` over a host in memory, with its pages as another user."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.attack.conftest import USER

LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The server: the agent's process, which is also the parent of the pages' and the pump's."""

    process: subprocess.Popen[str]
    port: int
    password: str  # of the user technician
    run_folder: Path

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


@contextmanager
def serving(place: Path, **more: str) -> Iterator[Served]:
    """Run the server for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    given = {
        "PIZARRA_SERVER_FOLDER": str(place / "server"),
        "PIZARRA_STATE_FOLDER": str(place / "state"),
        "PIZARRA_RUN_FOLDER": str(place / "run"),
        "PIZARRA_SERVER_LISTEN": f"127.0.0.1:{port}",
        "PIZARRA_SERVER_USER": USER,
        **more,
    }
    argv = [sys.executable, "-m", "pizarra", "serve", "--demonstration", "4", "--json"]
    server = subprocess.Popen(argv, env=os.environ | given, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        said = ""
        for line in server.stdout:
            said += line
            if line.rstrip() == "}":
                break
        yield Served(
            process=server,
            port=port,
            password=json.loads(said)["password"],
            # the host in memory has its own
            run_folder=place / "server" / "demonstration" / "run",
        )
        assert server.poll() is None, "the server must have lived to the end"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(LIMIT_S)


def memory_kib(pid: int, field: str = "VmHWM") -> int:
    """The most memory that a process has had, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.M)
    assert found, status
    return int(found[1])


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
