"""The agent of a host, by its protocol over a real socket: questions, jobs, files."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pizarra.agent.agent import Agent
from pizarra.agent.client import HostClient, HostRefused
from pizarra.agent.door import Door
from pizarra.errors import HostNotFit
from pizarra.model.policy import ResetBy
from pizarra.service.commands.folders import exports
from tests.unit.test_reset import School

BY = ResetBy.TECHNICIANS


@pytest.fixture
def agent() -> Agent:
    """Of a host in memory with five seats."""
    return Agent(School().context.host)


@pytest.fixture
def client(agent: Agent, tmp_path: Path) -> Iterator[HostClient]:
    path = tmp_path / "agent.sock"
    with closing_door(Door(path, agent, os.geteuid())):
        yield HostClient(path)


class OneMinute(threading.Event):
    """Set at the second look."""

    def wait(self, timeout: float | None = None) -> bool:
        _ = timeout
        was = self.is_set()
        self.set()
        return was


def test_guard_when_it_has_something_to_say_then_the_log_keeps_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    school = School()
    school.compute.has_fence = False
    with caplog.at_level(logging.WARNING):  # that of the server, and of most others
        Agent(school.context.host).run_guard(OneMinute(), every_s=0)
    assert "guard: The firewall between seats was not whole: it stands again." in caplog.messages


def closing_door(door: Door) -> closing[Any]:
    threading.Thread(target=door.serve_forever, args=(0.01,), daemon=True).start()

    class Closing:
        def close(self) -> None:
            door.shutdown()
            door.server_close()

    return closing(Closing())


def ended(client: HostClient, job: str) -> dict[str, Any]:
    """What became of a job, and all of its events."""
    events: list[dict[str, Any]] = []
    while True:
        news = client.events(job, len(events), wait_s=5)
        events += news["events"]
        if news["ended"]:
            return {**news, "events": events}


def test_question_when_asked_then_is_answered_and_an_act_is_not(client: HostClient) -> None:
    assert len(client.seats("net")) == 5
    assert client.query("pools")[0]["samples"] == []
    with pytest.raises(HostRefused, match="changes something") as refused:
        client.query("start", {"classroom": "net"}, BY)
    assert (refused.value.code, refused.value.exit_status) == ("bad_input", 2)
    assert {seat["power"] for seat in client.seats("net")} == {"off"}


def test_plan_when_asked_for_then_nothing_is_done(client: HostClient) -> None:
    plan = client.query("reset", {"classroom": "net", "seats": "1"}, BY, dry_run=True)
    assert (plan["dry_run"], len(plan["seats"])) == (True, 1)


def test_job_when_submitted_twice_then_is_done_once_and_its_events_are_told_from_any_point(
    client: HostClient,
) -> None:
    wish = {"classroom": "net", "seats": "1-3"}
    assert client.submit("j1", "start", wish, BY) is True
    assert client.submit("j1", "start", wish, BY) is False
    end = ended(client, "j1")
    assert [seat["outcome"] for seat in end["result"]["seats"]] == ["done"] * 3
    assert [one["event"] for one in end["events"]].count("settled") == 3
    rest = client.events("j1", 1)
    assert rest["events"] == end["events"][1:]
    assert {seat["power"] for seat in client.seats("net")[:3]} == {"running"}, "no old answer"


def test_job_when_it_cannot_be_then_ends_with_the_error_and_its_spanish(client: HostClient) -> None:
    client.submit("j1", "start", {"classroom": "nowhere"}, BY)
    error = ended(client, "j1")["error"]
    assert (error["code"], error["http_status"]) == ("not_found", 404)
    assert error["says_in"]["es"] == "No hay ningún aula 'nowhere'."
    client.submit("j2", "start", {"classroom": "net", "mode": "cold"}, BY)
    assert "The argument mode of start" in ended(client, "j2")["error"]["says"]


def test_job_when_the_agent_does_not_know_it_then_not_found(client: HostClient) -> None:
    with pytest.raises(HostRefused) as refused:
        client.events("never", 0)
    assert refused.value.http_status == 404
    with pytest.raises(HostRefused, match="There is no command"):
        client.submit("j1", "no-such", {}, BY)


def test_reset_when_the_policy_leaves_it_to_others_then_the_rank_of_who_asks_counts(
    client: HostClient,
) -> None:
    client.submit("j1", "reset", {"classroom": "net", "seats": "1"}, ResetBy.STUDENTS)
    assert ended(client, "j1")["error"] is None


@pytest.mark.parametrize(
    ("command", "wish"),
    [
        ("template import", {"template": "t", "source": "/etc/shadow"}),
        ("template export", {"template": "debian", "folder": "/root/out"}),
        ("host check", {"fix": True, "install": True}),
    ],
)
def test_terminal_when_somebody_elsewhere_asks_for_what_is_its_alone_then_refused(
    command: str, wish: dict[str, Any], client: HostClient
) -> None:
    client.submit("j1", command, wish, BY)
    assert ended(client, "j1")["error"]["code"] == "bad_input"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "no-such", "", "link"])
def test_file_when_it_is_no_export_then_not_found(
    name: str, agent: Agent, client: HostClient
) -> None:
    folder = exports(agent.host.settings)
    (folder.parent / "secret").write_text("secret")
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "report.tar.gz").write_bytes(b"x" * 3_000_000)
    assert len(b"".join(client.file("report.tar.gz"))) == 3_000_000
    with pytest.raises(HostRefused) as refused:
        b"".join(client.file(name))
    assert refused.value.code == "not_found"


def test_door_when_what_comes_is_no_question_then_says_so_and_stays(client: HostClient) -> None:
    for line in (b"nonsense\n", b"[1]\n", b"{}\n", b'{"ask": "query"}\n', b"\n"):
        with socket.socket(socket.AF_UNIX) as door, door.makefile("rb") as answer:
            door.connect(str(client.socket_path))
            door.sendall(line)
            assert b'"code": "bad_input"' in answer.readline()
    assert client.query("classroom list")


def test_door_when_a_question_is_far_too_long_then_the_answer_comes_all_the_same(
    client: HostClient,
) -> None:
    for size in (300_000, 5_000_000):
        with socket.socket(socket.AF_UNIX) as door, door.makefile("rb") as answer:
            door.connect(str(client.socket_path))
            door.sendall(b'{"ask": "' + b"x" * size + b'"}\n')
            assert b"at most 262144 bytes" in answer.readline()


def test_client_when_nobody_is_there_then_the_host_is_not_fit(tmp_path: Path) -> None:
    with pytest.raises(HostNotFit, match="does not answer"):
        HostClient(tmp_path / "nobody").query("classroom list")
