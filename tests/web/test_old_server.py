"""The database of a server of version ab156f6 is taken over, and that version can have it back.

``tests/fixtures/server_1/make`` made it with that version: a class in use.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.web.test_server import serving

SAMPLE = Path(__file__).parents[1] / "fixtures/server_1/server.sql"
_LIMIT_S = 120.0


def write_old_folder(folder: Path) -> Path:
    """Make the server's folder as that version left it. Returns the database."""
    folder.mkdir()
    (folder / "static").mkdir()
    (folder / "secret-key").write_text("of-a-test\n")
    database = folder / "server.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SAMPLE.read_text(encoding="utf-8"))
    return database


def rows(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def dump(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("old")


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    """A server of this version over the folder of that one."""
    write_old_folder(place / "server")
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("PIZARRA_DATABASE", raising=False)  # the old one is a file
        with serving(place) as (address, password):
            assert not password, "there was a technician"
            yield address


def ask(url: str, path: str, who: str = "technician") -> Any:
    known = {"Authorization": f"Bearer piz_old-{who}"}
    answer = requests.get(f"{url}api/v1/{path}", headers=known, timeout=_LIMIT_S)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_people_when_the_database_is_older_then_sign_in_and_sit_where_they_sat(url: str) -> None:
    for name, seen in (("ada", "Redes"), ("eva", "Machine 1 is yours")):
        browser = requests.Session()
        browser.get(f"{url}sign-in/", timeout=_LIMIT_S)
        form = {"username": name, "password": f"pizarra-{name}",
                "csrfmiddlewaretoken": browser.cookies["csrftoken"]}  # fmt: skip
        browser.post(f"{url}sign-in/", form, headers={"Referer": url}, timeout=_LIMIT_S)
        assert seen in browser.get(url, timeout=_LIMIT_S).text, name


def test_jobs_when_the_database_is_older_then_those_that_waited_end_well(url: str) -> None:
    """A token that had no end is good too."""
    deadline = time.monotonic() + _LIMIT_S
    while {"queued", "running"} & {job["state"] for job in ask(url, "jobs")}:
        assert time.monotonic() < deadline, ask(url, "jobs")
        time.sleep(0.2)
    ended = [(job["use_case"], job["state"]) for job in ask(url, "jobs")]
    assert sorted(ended) == [
        ("reset", "ended"), ("reset", "ended"), ("start", "ended"), ("verify", "failed"),
    ]  # fmt: skip
    waited = ask(url, "jobs", "ada")[0]
    assert {one["seat"]: one["outcome"] for one in waited["result"]["seats"]} == {
        "net-01": "done", "net-02": "done",
    }  # fmt: skip


def test_database_when_it_was_older_then_all_is_there_and_as_it_was_beside_it(
    url: str, place: Path, tmp_path: Path
) -> None:
    assert url
    pages = place / "server/pages"
    old = write_old_folder(tmp_path / "server")
    assert dump(pages / "server.sqlite.before") == dump(old)
    for query in (
        "SELECT username, password, role, language, guest, first_name, last_name FROM people_user",
        "SELECT name, digest, scopes FROM people_apitoken",
        "SELECT name, title, class_code, ends_at, message, students_may_reset FROM rooms_room",
        "SELECT number, student_id FROM rooms_seatassignment",
        "SELECT who, action, classroom, target FROM jobs_auditentry WHERE id <= 5",
    ):
        assert rows(pages / "server.sqlite", query) == rows(old, query)
    assert (
        rows(pages / "server.sqlite", "SELECT * FROM people_apitoken WHERE expires IS NULL") == []
    )


def test_migration_when_it_fails_then_the_database_is_as_it_was(tmp_path: Path) -> None:
    database = write_old_folder(tmp_path / "pages")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE jobs_jobkey (in_the TEXT)")  # the way of the third
    before = dump(database)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "pizarra.server.prepare"], capture_output=True, text=True,
            env={"PIZARRA_SERVER_FOLDER": str(tmp_path), "PIZARRA_FIRST_PASSWORD": "not used",
                 "DJANGO_SETTINGS_MODULE": "pizarra.server.project.settings"},
            check=False,
        )  # fmt: skip
        assert (done.returncode, "jobs_jobkey" in done.stderr) == (1, True), done.stderr
        assert dump(database) == before
