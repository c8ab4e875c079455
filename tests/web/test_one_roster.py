"""Rosters from files: every encoding that a spreadsheet writes, and OneRoster 1.1 and 1.2."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from pizarra.agent.agent import Agent
from pizarra.server.people.models import User
from pizarra.server.rooms.models import Room
from tests.web.test_api import host, request, sign_in

__all__ = ["host"]  # a fixture
School = dict[str, User]
PATH = "/classrooms/{classroom}/roster"
PAGE = "/classrooms/net/people/"
LINES = "3;zoe;Zoé Núñez\n4;max;Max Müller\n"

USERS_1_1 = """\
sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,\
familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password
u1,,,true,o1,student,zoe,,Zoe,Ruiz,,,,,,,,
u2,,,true,o1,student,li.wei,,伟,李,,,,,,,,
u3,,,true,o1,teacher,ada,,Ada,Gil,,,,,,,,
u4,,,false,o1,student,gone,,Gone,Away,,,,,,,,
u5,,,true,o1,student,eva,,Eva,"Ruiz, jr",,,,,,,,
"""
USERS_1_2 = """\
sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,\
identifier,email,sms,phone,agentSourcedIds,grades,password,userMasterIdentifier,metadata.house
u1,active,2026-09-01T00:00:00Z,true,zoe,,Zoe,Ruiz,,,,,,,,,,red
u2,active,,true,li.wei,,伟,李,,,,,,,,,,
u3,active,,true,ada,,Ada,Gil,,,,,,,,,,
u4,tobedeleted,,true,gone,,Gone,Away,,,,,,,,,,
u5,active,,true,eva,,Eva,"Ruiz, jr",,,,,,,,,,
"""
CLASSES = """\
sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,\
schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods
c1,,,Networks,,k1,NET-1A,scheduled,Lab 2,o1,t1,,,
c2,,,Latin,,k2,LAT,scheduled,,o1,t1,,,
"""
ENROLLMENTS = """\
sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,\
beginDate,endDate
e1,,,c1,o1,u1,student,,,
e2,,,c1,o1,u2,student,,,
e3,,,c1,o1,u3,teacher,true,,
e4,tobedeleted,,c1,o1,u4,student,,,
e5,,,c1,o1,u5,student,,,
e6,,,c2,o1,u1,student,,,
"""
MANIFEST = "propertyName,value\nmanifest.version,1.0\noneroster.version,{}\nfile.users,bulk\n"


def school_files(version: str = "1.1", **more: str | bytes) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {
        "manifest.csv": MANIFEST.format(version),
        "users.csv": USERS_1_1 if version == "1.1" else USERS_1_2,
        "classes.csv": CLASSES,
        "enrollments.csv": ENROLLMENTS,
        "academicSessions.csv": "sourcedId,status\nt1,\n",
    }
    return files | {name.replace("__", "/") + ".csv": text for name, text in more.items()}


def zip_of(files: dict[str, str | bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


def send(school: School, data: bytes, course: str = "", *, apply: bool = False) -> Any:
    sent = {"file": base64.b64encode(data).decode(), "course": course, "apply": apply}
    return request(sign_in("ada", school), "POST", PATH, sent)


def rows(told: Any) -> list[tuple[int, str, str]]:
    return [(one["number"], one["username"], one["name"]) for one in told["rows"]]


@pytest.mark.parametrize(
    "data",
    [
        LINES.encode(),
        b"\xef\xbb\xbf" + LINES.encode(),
        b"\xff\xfe" + LINES.encode("utf-16-le"),
        b"\xfe\xff" + LINES.encode("utf-16-be"),
        LINES.encode("utf-16-le"),
        LINES.encode("utf-16-be"),
        LINES.encode("cp1252"),
        LINES.replace(";", "\t").encode("utf-16"),
        ("sep=;\r\n" + LINES.replace("\n", "\r\n")).encode("cp1252"),
        b"\xef\xbb\xbfsep=,\r\n" + LINES.replace(";", ",").encode(),
    ],
)
def test_roster_when_its_file_has_a_usual_encoding_then_names_are_right(
    school: School, host: Agent, data: bytes
) -> None:
    assert host
    told = send(school, data).json()
    assert (told["errors"], told["applied"]) == ([], False)
    assert rows(told) == [(3, "zoe", "Zoé Núñez"), (4, "max", "Max Müller")]


@pytest.mark.parametrize("data", [b"\xff\xfe3", b"\x81\x8d\x8f,\x9d", b"\xfe\xff\xd8\x00"])
def test_roster_when_its_file_is_no_text_then_is_refused(
    school: School, host: Agent, data: bytes
) -> None:
    assert host
    answer = send(school, data)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_input")


def test_roster_when_a_name_only_looks_like_another_then_it_is_told_and_not_merged(
    school: School, host: Agent
) -> None:
    assert host
    User.objects.create_user("fina", role="student")
    told = send(school, "3,ﬁna,Fina\n4,ｍax,Max\n".encode(), apply=True).json()
    assert [one["line"] for one in told["errors"]] == [1, 2]
    assert "write fina" in told["errors"][0]["why"]
    assert (told["applied"], User.objects.filter(username="max").exists()) == (False, False)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_one_roster_when_a_class_is_named_then_its_students_sit_and_others_do_not(
    school: School, host: Agent, version: str
) -> None:
    """Eva keeps her seat. The teacher, and whoever is switched off or gone, is no student."""
    assert host
    told = send(school, zip_of(school_files(version)), "NET-1A").json()
    assert told["errors"] == []
    assert rows(told) == [(3, "zoe", "Zoe Ruiz"), (1, "eva", "Eva Ruiz, jr"),
                          (4, "li.wei", "伟 李")]  # fmt: skip
    assert not User.objects.filter(username="zoe").exists()
    done = send(school, zip_of(school_files(version)), "Networks", apply=True).json()
    assert done["applied"]
    zoe = User.objects.get(username="zoe")
    assert (zoe.role, zoe.assignments.get().number) == ("student", 3)
    assert Room.objects.get(name="net").assignments.get(number=1).student == school["eva"]
    again = send(school, zip_of(school_files(version)), "c1", apply=True).json()
    assert rows(again) == rows(done), "twice is once"


@pytest.mark.parametrize("course", ["", "Greek"])
def test_one_roster_when_no_class_or_another_is_named_then_those_of_the_file_are_told(
    school: School, host: Agent, course: str
) -> None:
    assert host
    answer = send(school, zip_of(school_files()), course)
    assert answer.status_code == 400
    assert "NET-1A, LAT" in answer.content.decode()


def test_one_roster_when_more_learn_than_sit_then_the_roster_says_so_and_nothing_is_done(
    school: School, host: Agent
) -> None:
    assert host
    users = USERS_1_1 + "".join(f"x{n},,,true,,student,x{n},,X,X{n},,,,,,,,\n" for n in range(9))
    more = ENROLLMENTS + "".join(f"f{n},,,c1,o1,x{n},student,,,\n" for n in range(9))
    told = send(school, zip_of(school_files(users=users, enrollments=more)), "c1", apply=True)
    assert told.json()["errors"], told.json()
    assert told.json()["applied"] is False
    assert not User.objects.filter(username="zoe").exists()


@pytest.mark.parametrize(
    ("table", "text", "line", "why"),
    [
        ("users", USERS_1_1 + "u9,,,true,o1,student,,,No,Name,,,,,,,,\n", 7, "username is empty"),
        ("users", USERS_1_1 + "u1,,,true,o1,student,twice,,T,T,,,,,,,,\n", 7, "on line 2 already"),
        ("users", USERS_1_1 + "u9,,,true,o1,student,z,,Zo\0e,T,,,,,,,,\n", 7, "cannot be read"),
        ("users", USERS_1_1.replace("username", "login"), 1, "no column username"),
        ("users", USERS_1_1 + 'u9,,,true,o1,student,z,,"Zoe', 7, "end of data"),
        ("enrollments", ENROLLMENTS + "e9,,,c1,o1,u99,student,,,\n", 8, "no user u99"),
        ("classes", CLASSES + "c3,,,,,,,,,,,,,\n", 4, "title is empty"),
        ("classes", CLASSES + "c3,,,T,,,,,,,,,,,,,more\n", 4, "columns instead of"),
    ],
)
def test_one_roster_when_a_line_is_wrong_then_its_table_and_line_are_told_and_nothing_is_done(
    school: School, host: Agent, table: str, text: str, line: int, why: str
) -> None:
    assert host
    people = User.objects.count()
    told = send(school, zip_of(school_files(**{table: text})), "c1", apply=True).json()
    assert told["errors"], told
    first = told["errors"][0]
    assert (first["line"], told["applied"]) == (line, False), first
    assert first["why"].startswith(f"{table}.csv: ")
    assert why in first["why"]
    assert User.objects.count() == people


def bomb() -> bytes:
    """60 MiB of lines in 60 kB."""
    return zip_of(school_files(users=USERS_1_1.encode() + b"," * (60 * 2**20)))


def liar() -> bytes:
    """The zip says of a table that it is small."""
    data, name = bytearray(bomb()), b"users.csv"
    at = data.rindex(name) - 46
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    return bytes(data)


def with_password() -> bytes:
    data = bytearray(zip_of(school_files()))
    data[data.rindex(b"users.csv") - 46 + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        bomb(),
        liar(),
        with_password(),
        zip_of(school_files())[:-40],
        zip_of(school_files())[:200],
        b"PK\x03\x04" + b"\0" * 100,
        zip_of(school_files() | {"../users.csv": "x"}),
        zip_of(school_files() | {"/etc/passwd": "x"}),
        zip_of(school_files() | {"c:\\users.csv": "x"}),
        zip_of(school_files() | {"school/users.csv": "x"}),
        zip_of(school_files() | {"a\nb.csv": "x"}),
        zip_of(school_files() | {"USERS.csv": "x"}),
        zip_of(school_files() | {f"{n}.csv": "x" for n in range(100)}),
        zip_of({"users.csv": USERS_1_1}),
        zip_of({"readme.txt": "hello"}),
        zip_of(school_files(manifest=MANIFEST.format("2.0"))),
    ],
    ids=range(16),
)
def test_one_roster_when_the_zip_is_hostile_or_another_then_is_refused_in_words(
    school: School, host: Agent, data: bytes
) -> None:
    assert host
    answer = send(school, data, "c1", apply=True)
    assert answer.status_code == 400, answer.json()
    assert answer.json()["code"] == "bad_input"
    assert not User.objects.filter(username="zoe").exists()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_one_roster_when_a_table_was_saved_by_a_spreadsheet_then_it_is_read(
    school: School, host: Agent, encoding: str
) -> None:
    assert host
    users = USERS_1_1.replace("伟,李", "Zoé,Núñez").replace('"Ruiz, jr"', "Gil")
    users = users.replace(",", ";").replace("\n", "\r\n")
    told = send(school, zip_of(school_files(users=users.encode(encoding))), "c1").json()
    assert told["errors"] == []
    assert "Zoé Núñez" in [one["name"] for one in told["rows"]]


def test_page_when_a_file_is_chosen_then_its_lines_are_shown_to_look_at_and_to_apply(
    school: School, host: Agent
) -> None:
    assert host
    client = Client()
    client.force_login(school["ada"])
    file = SimpleUploadedFile("school.zip", zip_of(school_files()))
    seen = client.post(PAGE, {"act": "preview", "file": file, "course": "NET-1A"}).content.decode()
    assert "3,zoe,Zoe Ruiz" in seen
    assert 'value="apply"' in seen
    assert not User.objects.filter(username="zoe").exists()
    file = SimpleUploadedFile("school.zip", zip_of(school_files()))
    several = client.post(PAGE, {"act": "preview", "file": file}).content.decode()
    assert "NET-1A, LAT" in several
    bad = SimpleUploadedFile("lines.csv", "99,zoe,Zoé\n".encode("cp1252"))
    refused = client.post(PAGE, {"act": "apply", "file": bad}).content.decode()
    assert "99,zoe,Zoé" in refused
    assert not User.objects.filter(username="zoe").exists()
