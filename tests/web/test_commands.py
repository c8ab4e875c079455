"""The table of commands in the API: all commands, one job for one wish, stable codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from pizarra.agent.agent import Agent
from pizarra.errors import BadInput
from pizarra.server.commands import check_text
from pizarra.server.jobs.models import AuditEntry, Job, JobKey
from pizarra.server.people.models import User
from pizarra.service.commands.table import all_commands
from tests.web.test_api import host, perform, sign_in

__all__ = ["host"]  # a fixture
School = dict[str, User]
TOOL = Path(__file__).parents[2] / "tools" / "with-postgresql"
STOP = "/api/v1/classrooms/net/verbs/stop"


def send(client: Any, path: str, key: str = "", **body: Any) -> Any:
    more = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    return client.post(path, json.dumps(body), content_type="application/json", **more)


def test_description_when_read_then_every_command_of_the_table_is_an_operation(
    client: Client,
) -> None:
    told = client.get("/api/v1/openapi.json").json()
    there = {
        one["operationId"]: (method.upper(), path)
        for path, methods in told["paths"].items()
        for method, one in methods.items()
    }
    assert {
        one.operation_id: (one.route.method, "/api/v1" + one.route.path) for one in all_commands()
    }.items() <= there.items()


def test_commands_when_asked_for_then_the_api_has_the_table(school: School, host: Agent) -> None:
    assert host
    told = sign_in("eva", school).get("/api/v1/commands").json()
    assert [one["name"] for one in told["commands"]] == [one.name for one in all_commands()]


def test_key_when_it_comes_with_other_arguments_then_409_and_nothing_is_queued(
    school: School, host: Agent
) -> None:
    assert host
    ada = sign_in("ada", school)
    first = send(ada, STOP, "k1", seats="1")
    assert send(ada, STOP, "k1", seats="1").json()["id"] == first.json()["id"]
    refused = send(ada, STOP, "k1", seats="2")
    assert (refused.status_code, refused.json()["code"]) == (409, "key_reused")
    assert refused.json()["error"]["hint"]
    perform(Job.objects.get())
    assert send(ada, STOP, "k1", seats="2").status_code == 409, "also when the job has ended"
    assert send(ada, STOP, "k2", seats="1").json()["id"] != first.json()["id"]


def test_keys_when_two_come_with_one_wish_then_both_stand_for_the_one_job(
    school: School, host: Agent
) -> None:
    assert host
    ada, tec = sign_in("ada", school), sign_in("tec", school)
    jobs = [send(ada, STOP, key, seats="1").json()["id"] for key in ("a", "b")]
    assert jobs[0] == jobs[1]
    assert JobKey.objects.count() == 2
    assert send(ada, STOP, "b", seats="2").status_code == 409
    assert send(tec, STOP, "a", seats="1").json()["id"] != jobs[0], "another's key, another's wish"


def test_request_when_it_gets_the_job_of_another_then_it_is_audited_all_the_same(
    school: School, host: Agent
) -> None:
    assert host
    ada = sign_in("ada", school)
    for _ in range(3):
        send(ada, STOP, seats="1")
    perform(Job.objects.get())
    assert [one.outcome for one in AuditEntry.objects.filter(action="stop")] == ["done"] * 3


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/classrooms/net/verbs/stop", 400, "bad_input"),
        ("/api/v1/jobs/00000000-0000-4000-8000-000000000000", 404, "not_found"),
        ("/api/v1/classrooms/lab", 403, "forbidden"),
    ],
)
def test_error_when_answered_then_it_has_a_stable_code_and_says_what_to_do(
    path: str, status: int, code: str, school: School, host: Agent
) -> None:
    assert host
    ada = sign_in("ada", school)
    answer = send(ada, path, seats="0") if "verbs" in path else ada.get(path)
    told = answer.json()
    assert (answer.status_code, told["code"], told["error"]["code"]) == (status, code, code)
    assert told["error"]["says"]


# what many requests at once get, on the database where they really are at once
RACE = """
import os, threading, django
os.environ["DJANGO_SETTINGS_MODULE"] = "pizarra.server.project.settings"
django.setup()
from django.core.management import call_command
from django.db import connection
call_command("migrate", verbosity=0)
from pizarra.server.jobs.models import AuditEntry, Job, JobKey
from pizarra.server.jobs.queue import enqueue
from pizarra.server.people.models import User
from pizarra.service.commands.table import find_command
user = User.objects.create_user("ada", password="x", role="teacher")
command = find_command("recover")
wish, together, got = command.parse({}), threading.Barrier(16), []
def ask(number):
    together.wait()
    got.append(enqueue(user, command, wish, key="key" if number % 2 else "").id)
    connection.close()
threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
for one in threads: one.start()
for one in threads: one.join()
print(len(got), len(set(got)), Job.objects.count(), JobKey.objects.count(),
      AuditEntry.objects.count())
"""


def test_job_when_sixteen_ask_at_once_on_postgresql_then_there_is_one() -> None:
    argv = [str(TOOL), sys.executable, "-c", RACE]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["16", "1", "1", "1", "16"], done.stderr


@pytest.mark.parametrize("text", ["a\0b", "\ud800", ["web", "x\0"], {"a": ["\udfff"]}])
def test_text_when_no_database_keeps_it_then_bad_input(text: object) -> None:
    with pytest.raises(BadInput):
        check_text({"domains": text})


def test_text_when_it_is_of_any_script_then_fine() -> None:
    check_text({"domains": ["mª.luz", "😀", "日本"], "seats": None, "n": 3})
