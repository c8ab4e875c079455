"""How `pizarra serve` ends: with 0 when it was asked to, whichever process heard of it first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web.test_server import free_port

_LIMIT_S = 300.0


def children(pid: int, module: str) -> list[int]:
    """The processes of the server that run a module."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    named = f"pizarra.server.{module}".encode()
    return [int(one) for one in found if named in Path(f"/proc/{one}/cmdline").read_bytes()]


def ask(server: subprocess.Popen[str]) -> None:
    server.terminate()


def ask_pages_first(server: subprocess.Popen[str]) -> None:
    for module in ("web", "pump"):
        (child,) = children(server.pid, module)
        os.kill(child, signal.SIGTERM)
    server.terminate()


def kill_pages(server: subprocess.Popen[str]) -> None:
    (child,) = children(server.pid, "web")
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("end", "status"), [(ask, 0), (ask_pages_first, 0), (kill_pages, 3)],
    ids=["asked", "pages first", "pages died"],
)  # fmt: skip
def test_serve_when_it_ends_then_its_status_says_whether_it_was_asked(
    end: Callable[[subprocess.Popen[str]], None], status: int, tmp_path: Path
) -> None:
    given = {
        "PIZARRA_SERVER_FOLDER": str(tmp_path / "server"),
        "PIZARRA_STATE_FOLDER": str(tmp_path / "state"),
        "PIZARRA_RUN_FOLDER": str(tmp_path / "run"),
        "PIZARRA_SERVER_LISTEN": f"127.0.0.1:{free_port()}",
        "PIZARRA_SERVER_USER": "root",
        "PIZARRA_DATABASE": "",  # in a database that others use too there may be a technician
    }
    argv = [sys.executable, "-m", "pizarra", "serve", "--demonstration", "4"]
    server = subprocess.Popen(argv, env=os.environ | given, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        said = [server.stdout.readline() for _ in range(2)]
        assert said[0].startswith("The dashboard: http://127.0.0.1:")
        assert said[1].endswith("pizarra serve --first-code\n"), "no password: a journal keeps it"
        end(server)
        assert server.wait(_LIMIT_S) == status
    finally:
        server.kill()
        server.wait()
