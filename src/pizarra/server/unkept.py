"""What PostgreSQL cannot keep, such as a NUL in a text, is the fault of whoever sent it."""

from __future__ import annotations

from collections.abc import Callable

from django.db import DataError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.defaults import bad_request

_Answer = Callable[[HttpRequest], HttpResponseBase]


class RefusesWhatCannotBeKept:
    """Middleware: a page answers 400. The API has a handler of its own."""

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._answer(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """None leaves the error to others."""
        return bad_request(request, error) if isinstance(error, DataError) else None
