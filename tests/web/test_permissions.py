"""The rules of permissions, and that every address has a rule."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from pizarra.server.people.models import User
from pizarra.server.permissions import Rule, may, rule_of
from pizarra.server.rooms.models import Room

School = dict[str, User]
# who may do what with net-01, which is Eva's seat in Ada's room
NET_01 = {
    Rule.SIGNED_IN: {"ada", "bob", "eva", "leo", "tec"},
    Rule.STAFF: {"ada", "bob", "tec"},
    Rule.TECHNICIAN: {"tec"},
    Rule.ROOM_TEACHER: {"ada", "tec"},
    Rule.ROOM_MEMBER: {"ada", "eva", "leo", "tec"},
    Rule.SEAT_USER: {"ada", "eva", "tec"},
    Rule.SEAT_RESTART: {"ada", "eva", "tec"},
    Rule.SEAT_RESET: {"ada", "eva", "tec"},
    Rule.SEAT_CHECKPOINT: {"ada", "eva", "tec"},
}


def views(
    resolver: URLResolver | None = None, prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    """Every address with its view, without the API, whose operations have their own rules."""
    for one in (resolver or get_resolver()).url_patterns:
        if isinstance(one, URLPattern):
            yield prefix + str(one.pattern), one
        elif one.app_name != "ninja":
            yield from views(one, prefix + str(one.pattern))


@pytest.mark.parametrize("rule", [one for one in Rule if one is not Rule.ANYBODY])
def test_rule_when_asked_of_a_seat_then_only_these_may(rule: Rule, school: School) -> None:
    allowed = {name for name, user in school.items() if may(user, rule, "net", 1)}
    assert allowed == NET_01[rule]


@pytest.mark.parametrize(
    ("rule", "setting"),
    [
        (Rule.SEAT_RESTART, "students_may_restart"),
        (Rule.SEAT_RESET, "students_may_reset"),
        (Rule.SEAT_CHECKPOINT, "students_may_checkpoint"),
    ],
)
def test_rule_when_the_room_forbids_students_then_only_its_teachers_may(
    rule: Rule, setting: str, school: School
) -> None:
    Room.objects.filter(name="net").update(**{setting: False})
    assert {name for name, user in school.items() if may(user, rule, "net", 1)} == {"ada", "tec"}


def test_rule_when_a_user_is_no_longer_active_then_they_may_nothing(school: School) -> None:
    school["tec"].is_active = False
    assert [one for one in Rule if may(school["tec"], one, "net", 1)] == [Rule.ANYBODY]


def test_addresses_when_listed_then_each_has_a_rule() -> None:
    found = dict(views())
    assert len(found) > 3, "the addresses are not where this test looks"
    assert [path for path, one in found.items() if rule_of(one.callback) is None] == []


def test_page_when_nobody_is_signed_in_then_it_leads_to_the_way_in(client: Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in/?next=/")


def test_sign_in_when_the_password_is_right_then_home_is_shown(
    client: Client, school: School
) -> None:
    _ = school
    form = {"username": "eva", "password": "pizarra-eva"}
    assert client.post("/sign-in/", form).headers["Location"] == "/"
    answer = client.get("/")
    assert answer.status_code == 200
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]


def test_sign_in_when_guessed_too_often_then_locked_out_even_with_the_right_password(
    client: Client, school: School
) -> None:
    _ = school
    for _guess in range(8):
        client.post("/sign-in/", {"username": "eva", "password": "wrong"})
    answer = client.post("/sign-in/", {"username": "eva", "password": "pizarra-eva"})
    assert answer.status_code == 429


def test_language_when_a_user_chose_spanish_then_the_page_says_so(
    client: Client, school: School
) -> None:
    school["eva"].language = "es"
    school["eva"].save()
    client.force_login(school["eva"])
    assert '<html lang="es">' in client.get("/").content.decode()
