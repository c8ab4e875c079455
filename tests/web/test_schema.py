"""Sends the API all that its description allows, as a technician with all scopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok

from pizarra.agent.agent import Agent
from pizarra.server.people.models import ApiToken, User
from tests.web.test_api import host

__all__ = ["host"]  # a fixture
_STREAM = "/api/v1/jobs/{job_id}/events"  # endless until the job ends
_EXAMPLES = 30


@pytest.fixture(autouse=True)
def one_transaction() -> Iterator[None]:
    """Keep the database connection open over requests, as Django's own test client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def test_api_when_asked_what_its_description_allows_then_never_breaks(
    school: dict[str, User], host: Agent, subtests: pytest.Subtests
) -> None:
    assert host
    token = ApiToken.issue(school["tec"], "everything", ["manage"])[1]
    known = {"Authorization": f"Bearer {token}"}
    described = schemathesis.openapi.from_wsgi(
        "/api/v1/openapi.json", get_wsgi_application(), headers=known
    )
    asked = 0
    for found in described.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path == _STREAM:
            continue
        asked += 1

        @settings(
            max_examples=_EXAMPLES,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def never_breaks(case: schemathesis.Case[Any]) -> None:
            answer = case.call(headers=known)
            case.validate_response(answer, checks=[not_a_server_error], headers=known)

        with subtests.test(msg=operation.label):
            never_breaks()
    assert asked > 20
