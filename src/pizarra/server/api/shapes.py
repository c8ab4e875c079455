"""What goes in and out of the API, as its description shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import Field

from pizarra.service.uploads import PIECE_BYTES


class UploadIn(Schema):
    """An image that is to come."""

    size_bytes: int = Field(ge=1, le=1 << 44)


class UploadOut(Schema):
    """How far it is; what comes next is ``piece_bytes`` at most."""

    id: UUID
    size_bytes: int
    received: int
    piece_bytes: int = PIECE_BYTES


class RosterIn(Schema):
    """A roster as CSV: ``seat,username,full name`` a line."""

    csv: Annotated[str, Field(max_length=200_000)]
    apply: bool = False  # else only looked at


class RosterOut(Schema):
    """Line by line; nothing is written when one is wrong."""

    rows: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    applied: bool


class CodeOut(Schema):
    """What students type in."""

    class_code: str | None


class JoinIn(Schema):
    """A class code."""

    code: Annotated[str, Field(max_length=12)]


class SeatOut(Schema):
    """Where somebody sits."""

    classroom: str
    number: int


class SeatTold(Schema):
    """What whoever sits there should know."""

    message: str
    ends_at: datetime | None


class TicketOut(Schema):
    """Where to connect a console to; good for a minute, for this user and this seat."""

    path: str


class TokenIn(Schema):
    """A token to be made."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    scopes: list[Literal["read", "operate", "manage"]]


class TokenOut(Schema):
    """Shown this once."""

    id: int
    name: str
    scopes: list[str]
    token: str = ""


class JobOut(Schema):
    """One use case that was asked for."""

    id: UUID
    use_case: str
    classroom: str
    numbers: list[int] | None
    state: str
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    created: datetime
    started: datetime | None
    ended: datetime | None


class AuditOut(Schema):
    """Who did what."""

    at: datetime
    who: str
    action: str
    classroom: str
    target: str
    outcome: str
    facts: dict[str, Any]
