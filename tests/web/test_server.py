"""`pizarra serve` with its agent, pump and pages, and a terminal elsewhere."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

_LIMIT_S = 120.0
Ask = Callable[..., tuple[int, Any]]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve a classroom of four in memory; yields the address and the first password."""
    given = {
        "PIZARRA_SERVER_FOLDER": str(folder / "server"),
        "PIZARRA_STATE_FOLDER": str(folder / "state"),
        "PIZARRA_RUN_FOLDER": str(folder / "run"),
        "PIZARRA_SERVER_LISTEN": f"127.0.0.1:{free_port()}",
        "PIZARRA_SERVER_USER": "root",
    }
    command = [sys.executable, "-m", "pizarra", "serve", "--demonstration", "4", "--json"]
    server = subprocess.Popen(
        command, env=os.environ | given, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert server.stdout
        text = ""
        for line in server.stdout:
            text += line
            if line.rstrip() == "}":
                break
        told = json.loads(text)
        yield told["url"], told["password"]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(_LIMIT_S)


def token_of(url: str, password: str) -> str:
    """Make a token on the page, as a technician."""
    browser = requests.Session()
    browser.get(f"{url}sign-in/", timeout=_LIMIT_S)
    form = {"username": "technician", "password": password}

    def post(path: str, more: dict[str, str]) -> requests.Response:
        known = {"csrfmiddlewaretoken": browser.cookies["csrftoken"], **more}
        return browser.post(url + path, known, timeout=_LIMIT_S, headers={"Referer": url})

    post("sign-in/", form)
    page = post("tokens/", {"act": "make", "name": "laptop", "scope": "manage"}).text
    found = re.search(r"piz_[\w-]+", page)
    assert found, page
    return found[0]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A function that runs the command with ``--server``: its status and JSON document."""
    with serving(tmp_path_factory.mktemp("served")) as (url, password):
        known = ["--server", url, "--token", token_of(url, password)]

        def run(*argv: str) -> tuple[int, Any]:
            command = [sys.executable, "-m", "pizarra", *known, *argv, "--json"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
            assert "Traceback" not in done.stderr, done.stderr
            return done.returncode, json.loads(done.stdout)

        yield run


def test_verbs_when_asked_of_a_server_then_answer_as_on_the_host(ask: Ask) -> None:
    assert [one["classroom"] for one in ask("classroom", "list")[1]] == ["net"]
    status, told = ask("reset", "net", "1-2")
    assert (status, told["verb"], {one["outcome"] for one in told["seats"]}) == (
        0,
        "reset",
        {"done"},
    )
    assert ask("reset", "net", "1", "--dry-run", "--off")[1]["dry_run"]
    assert ask("freeze", "net", "1", "--message", "Eyes on me")[1]["verb"] == "freeze"
    seats = ask("status", "net", "1-2")[1]["seats"]
    assert [one["power"] for one in seats] == ["paused", "running"]
    assert ask("unfreeze", "net")[0] == 0
    assert ask("undo", "net", "1")[1]["seats"][0]["outcome"] == "done"
    assert ask("verify", "net", "2")[1]["seats"][0]["verified"]


def test_commands_of_every_noun_when_asked_of_a_server_then_answer(
    ask: Ask, tmp_path: Path
) -> None:
    assert ask("checkpoint", "save", "net", "lesson-3", "1")[0] == 0
    assert ask("checkpoint", "list", "net")[1]["checkpoints"][0]["seats"] == ["net-01"]
    assert ask("classroom", "create", "new", "--template", "debian", "--seats", "2")[0] == 0
    assert ask("classroom", "resize", "new", "--seats", "3")[1]["verb"] == "resize"
    assert len(ask("classroom", "show", "new")[1]["seats"]) == 3
    assert ask("classroom", "delete", "new", "--yes")[0] == 0
    assert ask("template", "show", "debian")[1]["seats"] == 4
    assert ask("template", "delete", "debian", "--yes")[0] == 2
    assert ask("recover")[1]["verb"] == "recover"
    assert ask("guard")[1]["pools"]
    assert "findings" in ask("host", "check")[1]
    assert ask("inspect", "net-01")[1]["seat"] == "net-01"
    assert len(ask("commands")[1]["commands"]) > 30
    target = tmp_path / "report.tar.gz"
    assert ask("report", "--output", str(target))[1]["bytes"] == target.stat().st_size


def test_errors_of_a_server_when_shown_then_have_their_code_and_exit_status(ask: Ask) -> None:
    for argv, status, code in (
        (("status", "nowhere"), 2, "not_found"),
        (("reset", "net", "9"), 2, "not_found"),
        (("template", "import", "t", "/no/such/file"), 2, "bad_input"),
        (("inspect", "net-01", "--detach"), 2, "bad_input"),
    ):
        ended, told = ask(*argv)
        assert (ended, told["error"]["code"]) == (status, code), told
