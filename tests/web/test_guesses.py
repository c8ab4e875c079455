"""Whoever guesses is slowed down, nobody else is locked out, and the audit has each try."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from pizarra.agent.agent import Agent
from pizarra.server.addresses import group_of
from pizarra.server.jobs.models import AuditEntry
from pizarra.server.people import guesses
from pizarra.server.people.models import User
from pizarra.server.rooms.models import Room
from tests.web.test_api import host, sign_in

__all__ = ["host"]  # a fixture
School = dict[str, User]
ATTACKER, TEACHER = "10.0.0.66", "10.0.0.1"


def post(client: Client, name: str, password: str, address: str = ATTACKER) -> int:
    form = {"username": name, "password": password}
    status: int = client.post("/sign-in/", form, REMOTE_ADDR=address).status_code
    client.post("/sign-out/")  # the cookie of a known browser stays
    return status


def test_password_when_one_address_guesses_many_names_then_it_is_throttled(school: School) -> None:
    assert school
    tries = [post(Client(), f"name{n}", "wrong") for n in range(guesses.ADDRESS.most + 2)]
    assert tries == [200] * guesses.ADDRESS.most + [429, 429]
    assert post(Client(), "ada", "pizarra-ada") == 429
    assert post(Client(), "ada", "pizarra-ada", TEACHER) == 302


def test_password_when_many_addresses_guess_one_name_then_it_is_throttled(school: School) -> None:
    assert school
    tries = [
        post(Client(), "ada", "wrong", f"10.1.{n // 250}.{n % 250}")
        for n in range(guesses.NAME.most + 1)
    ]
    assert tries == [200] * guesses.NAME.most + [429]


def test_teacher_when_a_student_guesses_on_and_on_then_signs_in_elsewhere_and_in_their_browser(
    school: School,
) -> None:
    """From another address at once; from the same address in a browser that the teacher knows."""
    assert school
    own = Client()
    assert post(own, "ada", "pizarra-ada", ATTACKER) == 302
    for n in range(80):
        post(Client(), "ada", f"guess{n}")
    assert post(Client(), "ada", "pizarra-ada") == 429
    assert post(Client(), "ada", "pizarra-ada", TEACHER) == 302
    assert post(own, "ada", "pizarra-ada") == 302


def test_browser_when_its_cookie_is_taken_then_it_gives_few_guesses(school: School) -> None:
    assert school
    own = Client()
    assert post(own, "ada", "pizarra-ada") == 302
    tries = [post(own, "ada", "wrong") for _ in range(30)]
    assert tries.count(200) == guesses.BROWSER.most + guesses.PAIR.most
    forged = Client()
    forged.cookies["pizarra-known"] = f"x/{school['ada'].pk}:0:forged"
    assert post(forged, "ada", "pizarra-ada") == 429


def test_browser_when_a_whole_school_signs_in_with_it_then_its_cookie_stays_short(
    school: School,
) -> None:
    own = Client()
    for n in range(40):
        User.objects.create_user(f"s{n}", password="pizarra")
        assert post(own, f"s{n}", "pizarra") == 302
    assert post(own, "ada", "pizarra-ada") == 302
    assert len(own.cookies["pizarra-known"].value) < 200
    assert school


def test_address_when_it_is_ipv6_then_the_whole_network_counts() -> None:
    assert group_of("2001:db8::1") == group_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert group_of("::ffff:10.0.0.1") == "10.0.0.1"
    assert group_of("fe80::1%eth0") == "fe80::/64"
    assert group_of("testclient") == "testclient"


def test_address_when_a_visitor_says_another_one_then_their_own_counts(school: School) -> None:
    assert school
    tries = [
        Client().post(
            "/sign-in/",
            {"username": f"n{n}", "password": "x"},
            REMOTE_ADDR=ATTACKER,
            headers={"X-Forwarded-For": f"10.9.0.{n}"},
        )
        for n in range(guesses.ADDRESS.most + 1)
    ]
    assert tries[-1].status_code == 429


def entries(**wanted: Any) -> list[tuple[str, str, str, str | None]]:
    found = AuditEntry.objects.filter(**wanted).order_by("id")
    return [(one.who, one.action, one.outcome, one.address) for one in found]


def test_audit_when_people_sign_in_and_out_then_has_it(school: School) -> None:
    assert school
    client = Client(REMOTE_ADDR=TEACHER)
    client.post("/sign-in/", {"username": "ada", "password": "wrong"})
    client.post("/sign-in/", {"username": "ada", "password": "pizarra-ada"})
    client.post("/sign-out/")
    assert entries() == [
        ("", "sign-in", "refused", TEACHER),
        ("ada", "sign-in", "done", TEACHER),
        ("ada", "sign-out", "done", TEACHER),
    ]
    assert AuditEntry.objects.order_by("id")[0].target == "ada"


def test_audit_when_somebody_types_a_password_as_their_name_then_does_not_have_it(
    school: School,
) -> None:
    assert school
    post(Client(), "pizarra-ada", "ada")
    assert "pizarra-ada" not in str(list(AuditEntry.objects.values()))


def test_audit_when_somebody_guesses_on_and_on_then_does_not_grow_on_and_on(
    school: School,
) -> None:
    assert school
    for n in range(80):
        post(Client(), f"name{n}", "wrong")
    assert len(entries()) == guesses.ADDRESS.most
    assert [one[2] for one in entries()][-1] == "throttled"


@pytest.mark.parametrize("path", ["/join/", "/api/v1/join"])
def test_class_code_when_a_student_guesses_then_is_throttled_and_others_join(
    path: str, school: School, host: Agent
) -> None:
    assert host
    Room.objects.filter(name="net").update(class_code="ABCDEF")

    def join(who: str, code: str) -> int:
        client, body = sign_in(who, school), {"code": code}
        kind = {"content_type": "application/json"} if path.startswith("/api") else {}
        answer = client.post(path, body, REMOTE_ADDR=ATTACKER, **kind)
        return int(answer.status_code)

    tries = [join("eva", f"NONE{n}") for n in range(guesses.CODE_USER.most + 2)]
    assert tries == [400] * guesses.CODE_USER.most + [429, 429]
    assert join("eva", "ABCDEF") == 429
    assert join("leo", "ABCDEF") in (200, 302)
    assert entries(action="join", outcome="throttled") == [("eva", "join", "throttled", ATTACKER)]


def test_metrics_when_a_proxy_passes_them_on_then_refused(client: Client) -> None:
    answer = client.get(
        "/metrics", REMOTE_ADDR="127.0.0.1", headers={"X-Forwarded-For": "10.0.0.9"}
    )
    assert answer.status_code == 403


def test_tables_of_the_counts_of_before_when_the_database_is_old_then_they_are_gone(
    db: None,
) -> None:
    _ = db
    assert not [name for name in connection.introspection.table_names() if name.startswith("axes")]
