"""Whose turn it is, how many jobs a person has, and whose a classroom is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from pizarra.agent.agent import Agent
from pizarra.errors import NotFound
from pizarra.model.classroom_record import REBUILT
from pizarra.server import hosts
from pizarra.server.consoles.tickets import admission_of, admit, ticket_for
from pizarra.server.jobs.audit import audit_for
from pizarra.server.jobs.models import AuditEntry, Job, State
from pizarra.server.jobs.pump import Pump
from pizarra.server.jobs.queue import OPEN_MOST
from pizarra.server.jobs.registration import register_room
from pizarra.server.jobs.turns import choose
from pizarra.server.people.models import Role, User
from pizarra.server.permissions import NOBODYS_ID, Rule, may, meant_id
from pizarra.server.rooms.models import Room
from pizarra.server.serve import demonstration_host
from pizarra.settings import Settings
from tests.web.conftest import serving

School = dict[str, User]
START = timezone.now()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("PIZARRA_RUN_FOLDER", str(tmp_path / "run"))
    agent = Agent(demonstration_host(Settings(), 4))
    with serving(agent):
        yield agent


def job(classroom: str, numbers: list[int] | None, after_s: float = 0, user: int = 1) -> Job:
    created = START + timedelta(seconds=after_s)
    return Job(classroom=classroom, numbers=numbers, created=created, user_id=user)


def test_turn_when_seats_are_worked_on_then_a_job_with_others_comes_first() -> None:
    busy, other = job("net", [1, 2], 0), job("net", [3], 1)
    assert choose([busy, other], [job("net", [2])], {}) is other
    assert choose([busy], [job("net", None)], {}) is None
    assert choose([busy], [job("lab", None)], {}) is busy


def test_turn_when_one_person_has_all_places_but_one_then_the_last_is_for_others() -> None:
    """A teacher asks for an hour's work in each of four classrooms of theirs."""
    hers, his = job("d", None, 0, user=1), job("net", [1], 1, user=2)
    long = [job(name, None, user=1) for name in "abc"]
    assert choose([hers, his], long, {}, [1]) is his
    assert choose([hers], long, {}, [1]) is None


def test_pump_when_one_person_asks_for_work_in_many_classrooms_then_another_comes_next(
    school: School,
) -> None:
    ada, eva = school["ada"], school["eva"]
    for name in "abcd":
        Job.objects.create(host="local", use_case="verify", classroom=name, user=ada)
    pump = Pump(hosts.host())
    assert [one.classroom for one in (pump.take(), pump.take(), pump.take()) if one] == [*"abc"]
    assert pump.take() is None, "she has a fourth, and the last place stays free"
    Job.objects.create(host="local", use_case="start", classroom="net", numbers=[1], user=eva)
    next_one = pump.take()
    assert next_one and next_one.user == eva


def test_turn_when_the_whole_class_waits_then_no_later_seat_goes_before_it() -> None:
    everybody, later = job("net", None, 0), job("net", [3], 1)
    assert choose([everybody, later], [job("net", [2])], {}) is None
    assert choose([everybody, later], [], {}) is everybody


def test_turn_when_one_classroom_asks_for_much_then_the_other_comes_between() -> None:
    many = [job("net", [number], number) for number in range(1, 30)]
    one = job("lab", None, 60)
    assert choose([*many, one], [job("net", [40])], {}) is one
    assert choose([*many, one], [], {"net": START}) is one, "it had its turn longer ago"


def test_turn_when_one_person_asks_for_much_then_another_comes_between() -> None:
    running = [job("net", [40], user=1)]
    many = [job("net", [number], number, user=1) for number in range(1, 30)]
    other = job("net", [31], 60, user=2)
    assert choose([*many, other], running, {}) is other


def test_jobs_when_a_student_has_enough_then_429_and_a_repeated_click_is_fine(
    school: School, host: Agent
) -> None:
    assert host
    client: Any = Client()
    client.force_login(school["eva"])
    most = OPEN_MOST[Role.STUDENT]
    for number in range(most):
        Job.objects.create(host="local", use_case="verify", user=school["eva"], wish=str(number))
    refused = client.post("/api/v1/classrooms/net/seats/1/reset")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_jobs")
    Job.objects.filter(wish="0").update(state=State.ENDED)
    first = client.post("/api/v1/classrooms/net/seats/1/reset")
    again = client.post("/api/v1/classrooms/net/seats/1/reset")
    assert (first.status_code, again.json()["id"]) == (202, first.json()["id"])


def test_classrooms_when_a_teacher_has_enough_then_forbidden_and_a_technician_may(
    school: School, host: Agent
) -> None:
    assert host
    for number in range(settings.PIZARRA.teacher_classrooms - 2):
        Room.objects.create(name=f"room-{number}").teachers.add(school["ada"])
    wish = {"template": "debian", "seats": 1}
    codes = {}
    for who, name in (("ada", "last"), ("ada", "more"), ("tec", "another")):
        client: Any = Client()
        client.force_login(school[who])
        sent = json.dumps({**wish, "classroom": name})
        codes[name] = client.post("/api/v1/classrooms", sent, "application/json").status_code
    assert codes == {"last": 202, "more": 403, "another": 202}


# ---- whose a classroom is


def test_audit_when_a_classroom_is_replaced_then_its_teacher_reads_nothing_of_the_old_one(
    school: School,
) -> None:
    AuditEntry.objects.create(who="leo", action="console", classroom="net")
    assert [one.action for one in audit_for(school["tec"])] == ["console"]
    register_room("local", "net", "one")
    register_room("local", "net", "two")
    Room.objects.get(name="net").teachers.add(school["ada"])
    AuditEntry.objects.create(who="eva", action="join", classroom="net")
    assert [one.action for one in audit_for(school["ada"])] == ["join"]
    assert len(audit_for(school["tec"])) == 3


def test_room_when_its_classroom_is_replaced_then_it_goes_with_all_its_people(
    school: School,
) -> None:
    Room.objects.filter(name="net").update(classroom_id="one")
    register_room("local", "net", "one")
    assert may(school["eva"], Rule.SEAT_USER, "net", 1)
    register_room("local", "net", "two")
    room = Room.objects.get(name="net")
    assert (room.classroom_id, room.teachers.count(), room.students.count()) == ("two", 0, 0)
    assert not any(may(school[who], Rule.ROOM_MEMBER, "net") for who in ("ada", "eva", "leo"))
    assert AuditEntry.objects.get().action == "classroom replaced"


@pytest.mark.parametrize("now", ["", REBUILT + "abc"])
def test_room_when_only_the_record_was_lost_then_its_people_stay(now: str, school: School) -> None:
    Room.objects.filter(name="net").update(classroom_id="one")
    register_room("local", "net", now)
    assert may(school["eva"], Rule.SEAT_USER, "net", 1)
    assert Room.objects.get(name="net").classroom_id == (now or "one")


def test_room_of_before_when_first_seen_then_bound_to_what_is_there(school: School) -> None:
    assert meant_id(school["ada"], "net") == ""
    ticket = ticket_for(school["ada"], "net", 1)
    register_room("local", "net", "one")
    assert admit(ticket, school["ada"]), "its consoles stay open"
    assert meant_id(school["ada"], "net") == "one"
    assert meant_id(school["tec"], "net") == "", "technicians work with whichever is there"


def test_room_when_a_job_made_the_classroom_then_whoever_asked_is_its_teacher(
    school: School,
) -> None:
    wish = {"classroom": "new", "title": "New"}
    made = Job.objects.create(host="local", use_case="classroom create", arguments=wish,
                              classroom="new", user=school["bob"])  # fmt: skip
    assert may(school["bob"], Rule.ROOM_TEACHER, "new"), "while it is being made"
    register_room("local", "new", str(made.id))
    register_room("local", "other", str(uuid4()))
    room = Room.objects.get(name="new")
    assert ([*room.teachers.all()], room.title) == ([school["bob"]], "New")
    assert not Room.objects.get(name="other").teachers.exists()


def test_create_when_it_is_under_way_then_no_right_to_what_has_the_name_on_the_host(
    school: School, host: Agent
) -> None:
    Room.objects.filter(name="net").delete()  # somebody made it at the terminal, just now
    made = Job.objects.create(host="local", use_case="classroom create", classroom="net",
                              user=school["bob"], classroom_id="bobs")  # fmt: skip
    bob: Any = Client()
    bob.force_login(school["bob"])
    assert bob.get("/api/v1/classrooms/net").json()["seats"] == [], "his is being made"
    assert bob.get("/api/v1/classrooms/net/seats/1/screenshot").status_code == 404
    admission = admission_of(school["bob"], "net", 1)
    assert admission and admission.classroom_id == "bobs"
    with pytest.raises(NotFound):
        host.screenshot("net", 1, "bobs")
    made.delete()
    assert admission_of(school["bob"], "net", 1) is None
    assert meant_id(school["bob"], "net") == NOBODYS_ID, "a question on its way finds nothing"


def test_create_when_it_is_under_way_then_no_right_to_a_room_that_is_there(school: School) -> None:
    Job.objects.create(host="local", use_case="classroom create", classroom="net",
                       user=school["bob"])  # fmt: skip
    assert not may(school["bob"], Rule.ROOM_TEACHER, "net")
