"""A roster is read as it is meant, or refused with its line and the cause; never an error 500."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection

from pizarra.agent.agent import Agent
from pizarra.server.people.models import User
from tests.web.test_api import host, request, sign_in

__all__ = ["host"]  # a fixture
School = dict[str, User]
PATH = "/classrooms/{classroom}/roster"
PAGE = "/classrooms/net/people/"


def read(school: School, text: str, *, apply: bool = False) -> Any:
    answer = request(sign_in("ada", school), "POST", PATH, {"csv": text, "apply": apply})
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize(
    "text",
    [
        "3,zoe,Zoe Ruiz\n4,max,Max\n",
        "3;zoe;Zoe Ruiz\n4;max;Max\n",
        "3\tzoe\tZoe Ruiz\n4\tmax\tMax\n",
        "\ufeff3,zoe,Zoe Ruiz\n4,max,Max\n",
        "\ufeffsep=;\r\nseat;user;name\r\n3;zoe;Zoe Ruiz\r\n4;max;Max\r\n",
        "sep=,\n3,zoe,Zoe Ruiz\n4,max,Max\n",
        "\n\n  \nPuesto,usuario,nombre\n3,zoe,Zoe Ruiz\n4,max,Max\n",
        ",,\nseat,user,name,,\n3,zoe,Zoe Ruiz,,\n4,max,Max,,\n",
        "3,zoe,Zoe Ruiz\r4,max,Max\r",
        '3,zoe,"Zoe Ruiz"\n4, "max",Max\n',
        " 3 , ZOE , Zoe Ruiz\n net-04 ,max,Max",
    ],
)
def test_roster_when_it_is_written_in_a_usual_way_then_it_is_read(
    school: School, host: Agent, text: str
) -> None:
    assert host
    told = read(school, text)
    assert told["errors"] == []
    rows = [(row["number"], row["username"], row["name"]) for row in told["rows"]]
    assert rows == [(3, "zoe", "Zoe Ruiz"), (4, "max", "Max")]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('3,zoe,"Ruiz, Zoe"\n', "Ruiz, Zoe"),
        ("3;zoe;Ruiz, Zoe\n", "Ruiz, Zoe"),
        ("3\tzoe\tRuiz, Zoe; y más\n", "Ruiz, Zoe; y más"),
        ('3,zoe,"Zoe ""la Zo"" Ruiz"\n', 'Zoe "la Zo" Ruiz'),
        ("3,zoe,Jose\u0301\n", "Jose\u0301"),
    ],
)
def test_roster_when_a_name_has_separators_or_quotes_then_all_of_it_is_kept(
    school: School, host: Agent, text: str, name: str
) -> None:
    assert host
    told = read(school, text)
    assert [row["name"] for row in told["rows"]] == [name]
    assert told["errors"] == []


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('3,zoe,"Zoe Ruiz\n4,max,Max\n', 1, "not closed"),
        ('3,zoe,Zoe\n4,"max,Max\n', 2, "not closed"),
        ('3,zoe,"Zoe" Ruiz\n', 1, "written twice"),
        ("3,zoe,Ruiz, Zoe\n", 1, "4 columns"),
        ("3,mª.luz,Maria Luz\n4,ma.luz,Mar Luz\n", 1, "write ma.luz"),
        ("3,ﬁna,Fina\n", 1, "write fina"),
        ("²,zoe,Zoe\n", 1, "no seat ²"),
        ("٣,zoe,Zoe\n", 1, "no seat"),
        ("9" * 900 + ",zoe,Zoe\n", 1, "no seat"),
        ("\u200b3,zoe,Zoe\n", 1, "u200b3"),
        ("3,z\u200boe,Zoe\n", 1, "u200boe"),
        ("3,zoe," + "Z" * (128 * 1024 + 1) + "\n", 1, "characters"),
        ("3,zoe," + "Z" * 151 + "\n", 1, "151 characters"),
        ("3," + "z" * 151 + ",Zoe\n", 1, "user name"),
        ("3,zoe,Zo\0e\n", 1, "cannot be read"),
        ("3,zoe,Zo\ufffd\n", 1, "UTF-8"),
        ("3,zoe,Zoe\x1cRuiz\n", 1, "cannot be read"),
        ("3\n", 1, "needed"),
        ("\n\n3,zoe,Zoe\n\n3,max,Max\n", 5, "on line 3"),
    ],
)
def test_roster_when_a_line_cannot_be_read_then_its_line_and_the_cause_are_told(
    school: School, host: Agent, text: str, line: int, why: str
) -> None:
    assert host
    people = User.objects.count()
    told = read(school, text, apply=True)
    assert (told["errors"][0]["line"], told["applied"]) == (line, False)
    assert why in told["errors"][0]["why"]
    assert User.objects.count() == people


def test_roster_when_a_quote_is_not_closed_then_the_other_lines_are_still_read(
    school: School, host: Agent
) -> None:
    assert host
    told = read(school, '1,eva,"Eva\n2,leo,Leo\n3,zoe,Zoe\n')
    assert [row["username"] for row in told["rows"]] == ["leo", "zoe"]
    assert [one["line"] for one in told["errors"]] == [1]


def test_roster_when_an_accent_is_typed_in_two_ways_then_it_is_one_account(
    school: School, host: Agent
) -> None:
    assert host
    told = read(school, "3,jose\u0301,A\n4,josé,B\n")
    assert [one["line"] for one in told["errors"]] == [2]


@pytest.mark.parametrize("text", ["²,zoe,Zoe", '3,zoe,"Zoe', "3,zoe,Zo\0e", "3\rzoe", "\ufeff"])
def test_roster_when_it_comes_from_the_page_then_the_page_is_shown_again(
    school: School, host: Agent, text: str
) -> None:
    assert host
    client = sign_in("ada", school)
    assert client.post(PAGE, {"csv": text, "act": "apply"}).status_code == 200


@pytest.mark.parametrize("number", ["²", "٣", "9" * 5000, "-1", "1_0", ""])
def test_page_when_a_number_is_none_then_no_error_500(
    school: School, host: Agent, number: str
) -> None:
    assert host
    client = sign_in("ada", school)
    assert client.post(PAGE, {"act": "lesson", "minutes": number}).status_code == 200
    assert client.post("/tokens/", {"act": "delete", "id": number}).status_code == 200


@pytest.mark.parametrize("name", ["mª.luz", "a b", "", "z" * 151, "z\0e"])
def test_people_when_a_user_name_would_be_kept_as_another_then_refused(
    school: School, host: Agent, name: str
) -> None:
    assert host
    people = User.objects.count()
    answer = sign_in("tec", school).post("/people/", {"username": name, "role": "student"})
    assert answer.status_code == 200
    assert User.objects.count() == people


@pytest.mark.django_db(transaction=True)
def test_roster_when_students_are_new_then_no_password_is_hashed_while_others_wait_to_write(
    school: School, host: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hash takes a tenth of a second, and a class has forty."""
    assert host
    in_transaction = []

    def hash_it(password: str) -> str:
        in_transaction.append(connection.in_atomic_block)
        return make_password(password)

    monkeypatch.setattr("pizarra.server.rooms.roster.make_password", hash_it)
    told = read(school, "3,zoe,Zoe Ruiz\n4,leo,Leo\n", apply=True)
    assert in_transaction == [False]
    (zoe, leo) = told["rows"]
    assert User.objects.get(username="zoe").check_password(zoe["first_password"])
    assert leo["first_password"] == ""
