"""Streams that were let in: each closes when whoever opened it may look no longer."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.attack.school import Browser, School, closed
from tests.attack.served import LIMIT_S, Served

LET_GO = 4410


def again(school: School, name: str) -> Browser:
    """A new session of a student, who was given another password."""
    code = f"u = User.objects.get(username={name!r}); u.set_password('again-and-again'); u.save()"
    school.served.change(code)
    return Browser(school.served, name, "again-and-again")


def sign_out(school: School, who: Browser) -> None:
    _ = school
    assert who.form("/sign-out/").status_code == 302


def take_seat_away(school: School, who: Browser) -> None:
    _ = who
    school.seat(school.ada, "net", "3,eva")


def reset(school: School, who: Browser) -> None:
    _ = who
    assert school.ada.run("POST", "/classrooms/net/verbs/reset", {"seats": "3"})["error"] is None


def switch_off(school: School, who: Browser) -> None:
    _ = who
    school.served.change("User.objects.filter(username='eva').update(is_active=False)")


@pytest.mark.parametrize("event", [sign_out, take_seat_away, reset, switch_off])
def test_console_of_a_student_when_the_right_ends_then_closed(
    event: Callable[[School, Browser], None], school: School
) -> None:
    school.served.change("User.objects.filter(username='eva').update(is_active=True)")
    number = 3 if event in (reset, switch_off) else 1
    school.seat(school.ada, "net", f"{number},eva")
    eva = again(school, "eva")
    stream = eva.console("net", number)
    event(school, eva)
    assert closed(stream) == LET_GO


@pytest.mark.long
def test_console_of_a_seat_without_a_student_when_reset_then_closed(school: School) -> None:
    stream = school.ada.console("net", 4)
    assert school.ada.run("POST", "/classrooms/net/verbs/reset", {"seats": "4"})["error"] is None
    assert closed(stream) == LET_GO
    stream = school.ada.console("net", 4)
    assert school.ada.run("POST", "/classrooms/net/verbs/reset")["error"] is None
    assert closed(stream) == LET_GO


@pytest.mark.long
def test_console_when_its_teacher_is_removed_then_closed(school: School) -> None:
    add = "Room.objects.get(name='net').teachers.{}(User.objects.get(username='bob'))"
    school.served.change(add.format("add"))
    stream = school.bob.console("net", 4)
    school.served.change(add.format("remove"))
    assert closed(stream) == LET_GO


@pytest.mark.long
def test_console_when_its_classroom_is_another_one_then_closed(school: School) -> None:
    assert school.create(school.ada, "short")["state"] == "ended"
    stream = school.ada.console("short", 1)
    assert school.ada.run("DELETE", "/classrooms/short")["state"] == "ended"
    assert closed(stream) == LET_GO


def test_ticket_when_whoever_asked_has_signed_out_then_it_opens_nothing(school: School) -> None:
    leo = again(school, "leo")
    path = leo.call("POST", "/classrooms/net/seats/2/console").json()["path"]
    cookies = leo.session.cookies.copy()
    sign_out(school, leo)
    leo.session.cookies = cookies
    assert closed(leo.open(path)) == 4403


@pytest.mark.long
def test_events_of_a_job_when_whoever_reads_signs_out_then_they_end(
    school: School, served: Served
) -> None:
    with served.terminal.claim(["seat:net-04"], "a terminal's work"):  # the job goes on meanwhile
        tec = Browser(served)
        job = tec.call("POST", "/classrooms/net/verbs/start", {"seats": "4"}).json()["id"]
        events = tec.session.get(
            f"{served.url}/api/v1/jobs/{job}/events", stream=True, timeout=LIMIT_S
        )
        lines = events.iter_lines()
        sign_out(school, tec)
        assert b"event: ended" not in list(lines), "the stream ends, and the job does not"


def test_token_when_made_then_it_ends_by_itself_and_its_streams_with_it(school: School) -> None:
    made = school.bob.call("POST", "/tokens", {"name": "t", "scopes": ["read"], "days": 1}).json()
    assert made["expires"]
    assert school.bob.call("POST", "/tokens", {"name": "t", "scopes": ["read"], "days": 9999}
                           ).status_code == 422  # fmt: skip
    known = {"Authorization": f"Bearer {made['token']}"}

    def status() -> int:
        session = type(school.bob.session)()
        return session.get(
            f"{school.served.url}/api/v1/jobs", headers=known, timeout=60
        ).status_code

    assert status() == 200
    school.served.change(
        "from django.utils import timezone\n"
        f"ApiToken.objects.filter(pk={json.dumps(made['id'])}).update(expires=timezone.now())"
    )
    assert status() == 401
