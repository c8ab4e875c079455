"""The language that a user chose comes before the language of the browser."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation

from pizarra.server.people.models import User

_Answer = Callable[[HttpRequest], HttpResponseBase]


def user_language(answer: _Answer) -> _Answer:
    """Middleware, after the one that knows the user."""

    def answered(request: HttpRequest) -> HttpResponseBase:
        if isinstance(request.user, User) and request.user.language:
            translation.activate(request.user.language)
            request.LANGUAGE_CODE = translation.get_language()
        return answer(request)

    return answered
