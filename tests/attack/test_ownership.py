"""Whose is what: names, networks, machines and turns that a teacher or a student reaches for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.attack.school import Browser, School, Wish, closed, until
from tests.attack.served import Served

CLASSROOM = "/classrooms/net"


def classrooms_of(who: Browser) -> set[str]:
    return {one["classroom"] for one in who.call("GET", "/classrooms").json()}


# ---- what a teacher may ask for


@pytest.mark.parametrize(
    "more",
    [
        {"network": "bridge=br0"},
        {"network": "bridge=pz-net"},
        {"seats": 900},
        {"memory_mib": 1024 * 1024},
        {"vcpus": 64},
        {"disk": "9999G"},
    ],
    ids=str,
)
def test_classroom_when_a_teacher_asks_for_too_much_then_refused_and_the_name_is_nobodys(
    more: dict[str, Any], school: School
) -> None:
    told = school.create(school.bob, "big", **more)
    assert (told["state"], told["error"]["code"]) == ("failed", "forbidden")
    assert "big" not in classrooms_of(school.bob)
    assert school.bob.call("GET", "/classrooms/big").status_code == 403


def test_network_of_another_classroom_when_a_technician_names_it_then_refused_too(
    school: School,
) -> None:
    told = school.create(school.tec, "beside", network="bridge=pz-net")
    assert told["error"]["code"] == "forbidden"


def test_classroom_when_it_grows_beyond_the_limit_then_refused(school: School) -> None:
    for body in ({"seats": 900}, {"disk": "9999G"}):
        told = school.ada.run("POST", f"{CLASSROOM}/resize", body)
        assert told["error"]["code"] == "forbidden"
    file = "classroom: net\ntemplate: debian\nseats: 4\nmemory: 64M\nnetwork: bridge=br0\n"
    told = school.ada.run("PUT", CLASSROOM, {"file": file})
    assert told["error"]["code"] == "forbidden"


# ---- whose a classroom is


def test_name_when_a_create_failed_then_another_teacher_gets_it(school: School) -> None:
    told = school.create(school.bob, "free", template="nosuch")
    assert told["state"] == "failed"
    assert school.create(school.ada, "free")["state"] == "ended"
    assert "free" in classrooms_of(school.ada)
    for path in ("/classrooms/free", "/classrooms/free/description"):
        assert school.bob.call("GET", path).status_code == 403
    assert school.bob.call("POST", "/classrooms", {"classroom": "free", "template": "debian",
                                                   "seats": 1}).status_code == 403  # fmt: skip


def test_namesake_when_made_at_the_terminal_then_nobody_of_last_term_gets_anything(
    school: School, served: Served
) -> None:
    assert school.create(school.ada, "term")["state"] == "ended"
    zoe = school.seat(school.ada, "term", "1,zoe")[0]
    student = Browser(served, "zoe", zoe["first_password"])
    assert student.console("term", 1)
    served.do("classroom delete", classroom="term")
    served.do("classroom create", classroom="term", template="debian", seats=2, memory_mib=64)
    seat = "/classrooms/term/seats/1"
    ticket = student.call("POST", f"{seat}/console")  # before the pump has seen the new one
    if ticket.status_code == 200:
        assert closed(student.open(ticket.json()["path"])) in (4403, 4404)
    assert student.call("GET", f"{seat}/screenshot").status_code in (403, 404)
    assert reset_of(student, seat) in (403, "not_found")
    assert reset_of(school.ada, "/classrooms/term/verbs") in (403, "not_found")
    until(lambda: classrooms_of(school.tec), lambda those: "term" in those)
    until(lambda: student.call("POST", f"{seat}/console").status_code, lambda told: told == 403)
    assert "term" not in classrooms_of(school.ada)
    audit = school.tec.call("GET", "/audit?classroom=term").json()
    assert "classroom replaced" in {one["action"] for one in audit}


def reset_of(who: Browser, path: str) -> object:
    """Why a reset is refused: by its status, or by the code of its job."""
    answer = who.call("POST", f"{path}/reset", {})
    if answer.status_code != 202:
        return answer.status_code
    return (who.end_of(answer.json()["id"])["error"] or {}).get("code")


@pytest.mark.long
def test_classroom_when_deleted_then_its_room_goes_with_it(school: School) -> None:
    assert school.create(school.bob, "gone")["state"] == "ended"
    assert school.bob.run("DELETE", "/classrooms/gone")["state"] == "ended"
    assert school.create(school.ada, "gone")["state"] == "ended"
    assert school.bob.call("GET", "/classrooms/gone").status_code == 403


# ---- who may reset


def test_reset_by_when_left_to_teachers_then_no_checkpoint_of_a_student_goes_around_it(
    school: School,
) -> None:
    file = "classroom: net\ntemplate: debian\nseats: 4\nmemory: 64M\nreset_by: "
    own = f"{CLASSROOM}/seats/1/checkpoints"
    assert school.eva.run("POST", own)["state"] == "ended"
    assert school.ada.run("PUT", CLASSROOM, {"file": file + "teachers"})["state"] == "ended"
    for path in (f"{own}/own-1/restore", f"{CLASSROOM}/seats/1/reset"):
        told = school.eva.run("POST", path)
        assert (told["state"], told["error"]["code"]) == ("failed", "forbidden")
    assert school.tec.run("PUT", CLASSROOM, {"file": file + "technicians"})["state"] == "ended"
    for verb in ("reset", "undo"):
        told = school.ada.run("POST", f"{CLASSROOM}/verbs/{verb}")
        assert told["error"]["code"] == "forbidden"
    told = school.ada.run("PUT", CLASSROOM, {"file": file + "teachers"})
    assert told["error"]["code"] == "forbidden", "nor does she change the policy"
    assert school.tec.run("PUT", CLASSROOM, {"file": file + "students"})["state"] == "ended"


def test_reset_by_when_left_to_technicians_then_no_teacher_makes_the_seats_anew(
    school: School,
) -> None:
    def file(seats: int, who: str) -> Wish:
        return {"file": f"classroom: own\ntemplate: debian\nseats: {seats}\nmemory: 64M\n"
                        f"reset_by: {who}\n"}  # fmt: skip

    assert School.create(school.ada, "own", seats=3)["state"] == "ended"
    path = "/classrooms/own"
    assert school.tec.run("PUT", path, file(3, "technicians"))["state"] == "ended"
    for method, place, wish in (
        ("POST", f"{path}/resize", {"seats": 1}),
        ("PUT", path, file(1, "technicians")),
        ("DELETE", path, None),
    ):
        told = school.ada.run(method, place, wish)
        assert told["state"] == "failed", f"{method} {place}: the machines of others are gone"
        assert told["error"]["code"] == "forbidden"
    assert school.ada.run("POST", f"{path}/resize", {"seats": 4})["state"] == "ended"
    assert school.tec.run("PUT", path, file(4, "teachers"))["state"] == "ended"
    assert school.ada.run("DELETE", path)["state"] == "ended"


# ---- turns


@pytest.mark.long
def test_jobs_when_one_student_asks_for_hundreds_then_few_are_taken_and_a_teacher_comes_through(
    school: School, served: Served
) -> None:
    with served.terminal.claim(["seat:net-01"], "a terminal's work"):  # they all wait for it

        def ask(number: int) -> int:
            path = f"{CLASSROOM}/seats/1/reset" if number % 2 else f"{CLASSROOM}/seats/1/restart"
            key = {"Idempotency-Key": str(number)}
            headers = {"X-CSRFToken": school.eva.session.cookies["csrftoken"] or "",
                       "Referer": served.url} | key  # fmt: skip
            url = f"{served.url}/api/v1{path}"
            return school.eva.session.post(url, headers=headers, timeout=120).status_code

        with ThreadPoolExecutor(8) as threads:
            codes = set(threads.map(ask, range(40)))
        assert codes <= {202, 429}
        mine = school.eva.call("GET", "/jobs?limit=500").json()
        assert len([one for one in mine if one["state"] in ("queued", "running")]) <= 4
        assert school.ada.run("POST", f"{CLASSROOM}/verbs/start", {"seats": "2"})["error"] is None
        assert school.create(school.bob, "other")["state"] == "ended"
    for one in mine:
        school.eva.end_of(one["id"])


def test_jobs_when_many_wait_for_seats_then_they_hold_no_slot(
    school: School, served: Served
) -> None:
    assert school.create(school.ada, "wide", seats=12)["state"] == "ended"
    claimed = [f"seat:wide-{number:02d}" for number in range(1, 11)]
    with served.terminal.claim(claimed, "a terminal's work"):
        path = "/classrooms/wide/verbs/start"
        waiting = [
            school.ada.call("POST", path, {"seats": str(number)}).json()["id"]
            for number in range(1, 11)
        ]
        told = school.ada.run("POST", path, {"seats": "11"})
        assert told["error"] is None
        states = {school.ada.call("GET", f"/jobs/{one}").json()["state"] for one in waiting}
        assert states <= {"queued", "running"}
    assert {school.ada.end_of(one)["state"] for one in waiting} == {"ended"}
