"""The first technician comes with a code of root's: it works once, for an hour, and is a hash."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from pizarra.server import first_code
from pizarra.server.first_code import make_first_code
from pizarra.server.jobs.models import AuditEntry
from pizarra.server.people import guesses
from pizarra.server.people.models import Role, User

PASSWORD = "a-long-word-of-mine"
FILE = settings.PIZARRA.server_folder / "first-code"


@pytest.fixture(autouse=True)
def first_day(db: None) -> Iterator[None]:
    """Nobody is there, and no code."""
    _ = db
    settings.PIZARRA.pages_folder.mkdir(parents=True, exist_ok=True)
    yield
    for one in (FILE, *settings.PIZARRA.pages_folder.glob("first-code-used-*")):
        one.unlink(missing_ok=True)


def visit(client: Client, code: str, **more: str) -> Any:
    form = {"code": code, "username": "root.of.us", "password": PASSWORD, "again": PASSWORD}
    return client.post("/first/", form | more)


def test_first_visit_when_the_code_is_right_then_a_technician_is_made_and_signed_in() -> None:
    client = Client()
    assert client.get("/", follow=True).redirect_chain[-1][0] == "/first/"
    code = make_first_code(settings.PIZARRA)
    answer = visit(client, code.lower().replace("-", " ").replace("0", "o").replace("1", "l"))
    assert (answer.status_code, answer["Location"]) == (302, "/")
    user = User.objects.get(role=Role.TECHNICIAN)
    assert (user.username, user.check_password(PASSWORD)) == ("root.of.us", True)
    assert client.get("/people/").status_code == 200
    assert AuditEntry.objects.filter(action="first visit", user=user).exists()
    assert client.get("/first/").status_code == visit(Client(), code).status_code == 404


def test_first_code_when_it_was_used_then_it_works_no_more_even_without_a_technician() -> None:
    code = make_first_code(settings.PIZARRA)
    assert visit(Client(), code).status_code == 302
    User.objects.all().delete()
    assert visit(Client(), code).status_code == 403
    assert visit(Client(), make_first_code(settings.PIZARRA)).status_code == 302


def test_first_code_when_an_hour_has_passed_or_a_new_one_is_made_then_it_works_no_more() -> None:
    old = make_first_code(settings.PIZARRA)
    code = make_first_code(settings.PIZARRA)
    assert visit(Client(), old).status_code == 403
    kept = json.loads(FILE.read_text())
    assert 0 < kept["until"] - time.time() <= first_code.GOOD_S
    FILE.write_text(json.dumps(kept | {"until": time.time() - 1}))
    assert visit(Client(), code).status_code == 403
    assert not User.objects.exists()


def test_first_code_when_kept_then_roots_file_has_its_hash_alone() -> None:
    code = make_first_code(settings.PIZARRA)
    assert code.replace("-", "") not in FILE.read_text()
    seen = FILE.stat()
    assert (seen.st_uid, stat.S_IMODE(seen.st_mode)) == (os.geteuid(), 0o644)
    assert len(code.replace("-", "")) * 5 >= 80, "no hash of so many bits is guessed"


def test_first_visit_when_somebody_guesses_then_the_address_is_closed_and_others_are_not() -> None:
    code = make_first_code(settings.PIZARRA)
    tries = [visit(Client(), f"WRONG-{n}").status_code for n in range(guesses.FIRST_CODE.most)]
    assert tries == [403] * guesses.FIRST_CODE.most
    assert visit(Client(), code).status_code == 429
    form = {"code": code, "username": "tec", "password": PASSWORD, "again": PASSWORD}
    assert Client().post("/first/", form, REMOTE_ADDR="10.0.0.1").status_code == 302


@pytest.mark.parametrize(
    "wrong", [{"again": "another-long-word"}, {"password": "short", "again": "short"},
              {"username": "no name!"}, {"username": "eva"}],
)  # fmt: skip
def test_first_visit_when_the_form_is_wrong_then_says_so_and_the_code_still_works(
    wrong: dict[str, str],
) -> None:
    User.objects.create_user("eva", password=PASSWORD)
    code = make_first_code(settings.PIZARRA)
    assert visit(Client(), code, **wrong).status_code == 400
    assert visit(Client(), code).status_code == 302


def test_first_visit_when_there_is_no_code_then_nobody_learns_who_is_there() -> None:
    User.objects.create_user("eva", password=PASSWORD)
    known, unknown = (visit(Client(), "X", username=name) for name in ("eva", "leo"))
    assert known.status_code == unknown.status_code == 403


def test_serve_when_asked_for_the_first_code_then_shows_it_and_ends(tmp_path: Path) -> None:
    given = {"PIZARRA_SERVER_FOLDER": str(tmp_path / "server"), "PIZARRA_SERVER_USER": "root"}
    argv = [sys.executable, "-m", "pizarra", "serve", "--first-code", "--json"]
    done = subprocess.run(argv, env=os.environ | given, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["page"].endswith("/first/")
    kept = (tmp_path / "server" / "first-code").read_text()
    assert first_code._digest(told["code"]) in kept
