"""Making and deleting tokens: one function each for the page and the API."""

from __future__ import annotations

from django.http import HttpRequest

from pizarra.server.jobs.queue import write_audit
from pizarra.server.people.models import TOKEN_DAYS, ApiToken, User


def make_token(
    user: User, name: str, scopes: list[str], request: HttpRequest, days: int = TOKEN_DAYS
) -> tuple[ApiToken, str]:
    """The record, and the token itself, which is shown once."""
    record, token = ApiToken.issue(user, name, scopes, days)
    write_audit(user, "token", target=name, request=request)
    return record, token


def revoke_token(user: User, token_id: int, request: HttpRequest) -> bool:
    """Delete a token. False when the user has no such token."""
    gone, _ = user.tokens.filter(pk=token_id).delete()
    if gone:
        write_audit(user, "token taken back", target=str(token_id), request=request)
    return bool(gone)
