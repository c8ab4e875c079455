"""The callers of the API: a signed-in browser or a program with a token, and what each may do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar, get_type_hints

from django.db import OperationalError, transaction
from django.http import HttpRequest
from django.utils import timezone
from ninja.errors import HttpError
from ninja.utils import check_csrf

from pizarra.server.people.models import ApiToken, Scope, User
from pizarra.server.permissions import NotSignedIn, Rule, check
from pizarra.server.streams import Proof

F = TypeVar("F", bound=Callable[..., Any])
_ENOUGH = {
    Scope.READ: {Scope.READ, Scope.OPERATE, Scope.MANAGE},
    Scope.OPERATE: {Scope.OPERATE, Scope.MANAGE},
    Scope.MANAGE: {Scope.MANAGE},
}


def caller(request: HttpRequest) -> User | None:
    """The user of a request, for ninja's ``auth``. Ninja answers 401 when this is None."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if token and kind.lower() == "bearer":
        return _of_token(request, token.strip())
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return None
    if request.method not in ("GET", "HEAD", "OPTIONS") and check_csrf(request) is not None:
        raise HttpError(403, "The form has expired: load the page again.")
    request.scopes = frozenset(Scope)  # type: ignore[attr-defined]
    return user


def _of_token(request: HttpRequest, token: str) -> User | None:
    found = ApiToken.objects.select_related("user").filter(digest=ApiToken.digest_of(token)).first()
    now = timezone.now()
    if found is None or not found.is_good(now):
        return None
    with suppress(OperationalError), transaction.atomic():  # a disk that is full keeps nobody out
        ApiToken.objects.filter(pk=found.pk).update(last_used=now)
    request.scopes = frozenset(map(Scope, found.scopes))  # type: ignore[attr-defined]
    request.token_id = found.pk  # type: ignore[attr-defined]
    return found.user


def proof_of(request: HttpRequest) -> Proof:
    """What ``caller`` let the user in by, for a stream that goes on."""
    token_id: int | None = getattr(request, "token_id", None)
    if token_id is not None:
        return Proof(token_id=token_id)
    return Proof(session_key=request.session.session_key or "")


def user_of(request: HttpRequest) -> User:
    """The user whom ``caller`` found."""
    user = request.auth  # type: ignore[attr-defined]
    assert isinstance(user, User), "every operation has this auth"
    return user


def _resolve(operation: Callable[..., Any]) -> inspect.Signature:
    """The signature of an operation with real types; ninja would look their names up in this
    module."""
    hints = get_type_hints(operation, include_extras=True)
    signature = inspect.signature(operation)
    return signature.replace(
        parameters=[
            one.replace(annotation=hints.get(name, one.annotation))
            for name, one in signature.parameters.items()
        ]
    )


def rule(one: Rule, scope: Scope = Scope.READ) -> Callable[[F], F]:
    """Give an operation its rule, and check the rule before each call. The path names ``classroom``
    and ``number``."""

    def named(operation: F) -> F:
        @wraps(operation)
        def kept(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                number = kwargs.get("number")
                check(user_of(request), one, kwargs.get("classroom", ""), number)
            except NotSignedIn:
                raise HttpError(401, "Sign in first.") from None
            if not _ENOUGH[scope] & request.scopes:  # type: ignore[attr-defined]
                raise HttpError(403, f"This token lacks the scope {scope}.")
            return operation(request, *args, **kwargs)

        kept.rule = one  # type: ignore[attr-defined]
        kept.__signature__ = _resolve(operation)  # type: ignore[attr-defined]
        return kept  # type: ignore[return-value]

    return named
