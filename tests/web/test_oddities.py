"""Text that looks like something else: an error that says where it is, and never a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from pizarra.agent.agent import Agent
from pizarra.server.people.models import User
from pizarra.server.rooms.models import Room
from pizarra.server.serve import demonstration_host
from pizarra.settings import Settings
from tests.web.conftest import serving

School = dict[str, User]
NO_NUMBERS = ("²", "３", "٣", "1_0", "1e9", "0x10", "-1", "", " ", "9" * 30, "½", "\u202e3")
NO_NAMES = ("ｎｅｔ", "n\u0435t", "net\u200b", "net²", "NET", "né", "\u202enet")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("PIZARRA_RUN_FOLDER", str(tmp_path / "run"))
    agent = Agent(demonstration_host(Settings(), 4))
    with serving(agent):
        yield agent


@pytest.fixture
def ada(school: School, host: Agent) -> Any:
    assert host
    client = Client()
    client.force_login(school["ada"])
    return client


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_number_when_it_only_looks_like_one_then_the_page_says_so(text: str, ada: Any) -> None:
    form = {"classroom": "fresh", "template": "debian", "seats": text, "memory_mib": "512"}
    assert ada.post("/classrooms/new/", form).status_code == 400
    lesson = ada.post("/classrooms/net/people/", {"act": "lesson", "minutes": text})
    assert (lesson.status_code, b"problem" in lesson.content) == (200, True)


@pytest.mark.parametrize("text", NO_NUMBERS[:6])
def test_number_in_an_address_when_it_only_looks_like_one_then_404(text: str, ada: Any) -> None:
    assert ada.get(f"/classrooms/net/{text}/").status_code == 404
    assert ada.get(f"/api/v1/classrooms/net/seats/{text}").status_code == 404


def test_number_in_an_address_when_it_is_huge_then_no_500(ada: Any, school: School) -> None:
    student: Any = Client()
    student.force_login(school["eva"])
    for who in (ada, student):
        for path in ("/classrooms/net/{}/", "/api/v1/classrooms/net/seats/{}",
                     "/api/v1/classrooms/net/seats/{}/screenshot"):  # fmt: skip
            assert who.get(path.format("9" * 40)).status_code < 500


@pytest.mark.parametrize("name", NO_NAMES)
def test_name_when_it_only_looks_like_one_then_refused(name: str, ada: Any) -> None:
    wish = {"classroom": name, "template": "debian", "seats": 1}
    answer = ada.post("/api/v1/classrooms", json.dumps(wish), "application/json")
    assert answer.status_code in (400, 422)
    assert ada.get(f"/api/v1/classrooms/{name}").status_code in (403, 404)


def test_roster_when_a_line_has_an_oddity_then_that_line_is_named(ada: Any) -> None:
    lines = ["1,eva", "²,leo", "３,zoe", "2,mª", "3,zo\u200be", "4,\u202eleo", f"{'9' * 30},ana"]
    sent = json.dumps({"csv": "\n".join(lines), "apply": True})
    told = ada.post("/api/v1/classrooms/net/roster", sent, "application/json").json()
    assert [one["line"] for one in told["errors"]] == [2, 3, 4, 5, 6, 7]
    assert not told["applied"]


def test_class_code_when_letters_only_become_the_code_then_refused(
    school: School, host: Agent
) -> None:
    assert host
    Room.objects.filter(name="net").update(class_code="STREET")
    student: Any = Client()
    student.force_login(school["leo"])
    for code in ("\u017ftreet", "ﬆreet", "ＳＴＲＥＥＴ", "\0", "²"):
        sent = json.dumps({"code": code})
        answer = student.post("/api/v1/join", sent, "application/json")
        assert answer.status_code == 400, code
