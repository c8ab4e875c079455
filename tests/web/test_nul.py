"""Texts with a NUL, which PostgreSQL keeps nowhere: an error of whoever sends one, not of ours."""

from __future__ import annotations

import pytest
from django.test import Client

from pizarra.agent.agent import Agent
from pizarra.server.people.models import User
from tests.web.test_api import host, sign_in

__all__ = ["host"]  # a fixture
School = dict[str, User]


@pytest.mark.parametrize(
    ("who", "method", "path", "form"),
    [
        ("", "post", "/sign-in/", {"username": "a\0", "password": "x"}),
        ("", "get", "/api/v1/classrooms/a%00", None),
        ("eva", "post", "/join/", {"code": "A\0"}),
        ("eva", "get", "/classrooms/a%00/", None),
        ("eva", "get", "/api/v1/classrooms/a%00/seats/1", None),
        ("ada", "get", "/api/v1/audit?classroom=a%00", None),
        ("ada", "post", "/tokens/", {"act": "make", "name": "a\0", "scope": "read"}),
        ("ada", "post", "/classrooms/net/people/", {"act": "look", "csv": "1,a\0,b"}),
        ("tec", "post", "/people/", {"username": "a\0", "role": "student"}),
    ],
)
def test_text_when_it_has_a_nul_then_no_error_of_the_server(
    school: School, host: Agent, who: str, method: str, path: str, form: dict[str, str] | None
) -> None:
    assert host
    client = sign_in(who, school) if who else Client()
    client.raise_request_exception = False
    assert getattr(client, method)(path, form or {}).status_code < 500


@pytest.mark.parametrize(
    ("who", "path", "body"),
    [
        ("eva", "/join", {"code": "A\0"}),
        ("ada", "/tokens", {"name": "a\0", "scopes": ["read"]}),
        ("ada", "/classrooms", {"classroom": "a\0", "template": "t", "seats": 1}),
        ("ada", "/classrooms/net/roster", {"csv": "1,a\0,b"}),
        ("ada", "/classrooms/net/verbs/freeze", {"message": "a\0"}),
    ],
)
def test_document_when_it_has_a_nul_then_no_error_of_the_server(
    school: School, host: Agent, who: str, path: str, body: dict[str, object]
) -> None:
    assert host
    client = sign_in(who, school)
    client.raise_request_exception = False
    answer = client.post(f"/api/v1{path}", body, content_type="application/json")
    assert answer.status_code < 500
