"""Every page answers those whom its rule allows, in both languages."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from pizarra.agent.agent import Agent
from pizarra.server.people.models import User
from tests.web.test_api import host, sign_in

__all__ = ["host"]  # a fixture
School = dict[str, User]
PAGES = {
    "/": {"eva", "leo", "ada", "bob", "tec"},
    "/classrooms/net/": {"ada", "tec"},
    "/classrooms/net/people/": {"ada", "tec"},
    "/classrooms/net/1/": {"eva", "ada", "tec"},
    "/classrooms/new/": {"ada", "bob", "tec"},
    "/activity/": {"ada", "bob", "tec"},
    "/storage/": {"tec"},
    "/people/": {"tec"},
    "/tokens/": {"ada", "tec", "bob"},
}


@pytest.mark.parametrize("path", PAGES)
def test_page_when_asked_for_then_shown_to_these_and_to_nobody_else(
    path: str, school: School, host: Agent
) -> None:
    assert host
    answers = {who: sign_in(who, school).get(path).status_code for who in ("", *school)}
    assert {who for who, status in answers.items() if status == 200} == PAGES[path]
    assert answers[""] == 302


@pytest.mark.parametrize("path", PAGES)
def test_page_when_spanish_then_no_english_heading_is_left(
    path: str, school: School, host: Agent
) -> None:
    assert host
    school["tec"].language = "es"
    school["tec"].save()
    text = sign_in("tec", school).get(path).content.decode()
    assert '<html lang="es">' in text
    for english in ("Sign out", "My classrooms", "Storage</", "People</", "Reset class"):
        assert english not in text


def test_wall_when_the_worker_does_not_answer_then_the_home_says_what_to_do(
    school: School,
) -> None:
    answer = sign_in("ada", school).get("/")
    assert answer.status_code == 200
    assert "does not answer" in answer.content.decode()
    school["ada"].language = "es"
    school["ada"].save()
    assert "El agente de este equipo no responde" in (
        sign_in("ada", school).get("/").content.decode()
    )


def test_home_when_the_worker_goes_away_in_the_middle_then_the_page_says_so(
    school: School, settings: LazySettings, tmp_path: Path
) -> None:
    settings.PIZARRA = settings.PIZARRA.model_copy(update={"run_folder": tmp_path})
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(settings.PIZARRA.agent_socket))
        door.listen()

        def hang_up() -> None:
            while told := door.accept()[0]:
                last = told.recv(4096) == b""
                told.close()
                if last:
                    return

        listening = threading.Thread(target=hang_up, daemon=True)
        listening.start()
        answer = sign_in("ada", school).get("/")
        with socket.socket(socket.AF_UNIX) as nobody:  # who says nothing ends it
            nobody.connect(str(settings.PIZARRA.agent_socket))
        listening.join(10)
        assert answer.status_code == 200
        assert "it went away" in answer.content.decode()


def test_join_when_the_code_is_none_then_the_page_says_so(school: School, host: Agent) -> None:
    assert host
    answer = sign_in("eva", school).post("/join/", {"code": "NOSUCH"})
    assert answer.status_code == 400
    assert "no class with this code" in answer.content.decode()


def test_metrics_when_asked_from_elsewhere_then_refused(client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.9").status_code == 403


def test_lesson_when_given_minutes_then_students_see_the_time_left(
    school: School, host: Agent
) -> None:
    assert host
    ada, eva = sign_in("ada", school), sign_in("eva", school)
    seen = "/api/v1/classrooms/net/seats/1"
    assert eva.get(seen).json()["ends_at"] is None
    assert (
        ada.post("/classrooms/net/people/", {"act": "lesson", "minutes": "50"}).status_code == 302
    )
    assert eva.get(seen).json()["ends_at"]
    assert "It ends at" in ada.get("/classrooms/net/people/").content.decode()
    for wrong in ("", "x", "-1", "9999"):
        answer = ada.post("/classrooms/net/people/", {"act": "lesson", "minutes": wrong})
        assert "A lesson lasts 0 to" in answer.content.decode()
    ada.post("/classrooms/net/people/", {"act": "lesson", "minutes": "0"})
    assert eva.get(seen).json()["ends_at"] is None
    assert eva.post("/classrooms/net/people/", {"act": "lesson", "minutes": "5"}).status_code == 403
