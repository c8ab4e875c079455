"""The API asked everything that its description allows, as a technician with all scopes."""

from __future__ import annotations

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error

from pizarra.server.people.models import ApiToken, User
from pizarra.server.worker.door import Answers
from tests.web.test_api import host

__all__ = ["host"]  # a fixture
_STREAM = "/api/v1/jobs/{job_id}/events"  # endless until the job ends
_EXAMPLES = 30


def test_api_when_asked_what_its_description_allows_then_never_breaks(
    school: dict[str, User], host: Answers, subtests: pytest.Subtests
) -> None:
    assert host
    token = ApiToken.issued(school["tec"], "everything", ["manage"])[1]
    known = {"Authorization": f"Bearer {token}"}
    described = schemathesis.openapi.from_wsgi(
        "/api/v1/openapi.json", get_wsgi_application(), headers=known
    )
    asked = 0
    for found in described.get_all_operations():
        operation = found.ok()
        if operation.path == _STREAM:
            continue
        asked += 1

        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def never_breaks(case: schemathesis.Case) -> None:
            answer = case.call(headers=known)
            case.validate_response(answer, checks=[not_a_server_error], headers=known)

        with subtests.test(msg=operation.label):
            never_breaks()
    assert asked > 20
