"""The documents that go into the API and come out of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import Base64Bytes, Field

from pizarra.server.people.models import TOKEN_DAYS, TOKEN_DAYS_MAX
from pizarra.service.uploads import PIECE_BYTES


class UploadIn(Schema):
    """The upload of an image that begins."""

    size_bytes: int = Field(ge=1, le=1 << 44)


class UploadOut(Schema):
    """The state of an upload. The next piece has at most ``piece_bytes``."""

    id: UUID
    size_bytes: int
    received: int
    piece_bytes: int = PIECE_BYTES


class RosterIn(Schema):
    """A roster as CSV: ``seat,username,full name`` a line. Or a file of it, in base64: CSV, or a
    OneRoster zip, of which ``course`` names the class."""

    csv: Annotated[str, Field(max_length=200_000)] = ""
    file: Base64Bytes = b""
    course: Annotated[str, Field(max_length=200)] = ""
    apply: bool = False  # else only looked at


class RosterOut(Schema):
    """The lines of a roster. Nothing is applied when one line is wrong."""

    csv: str  # as it was read, which the lines are counted in
    rows: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    applied: bool


class CodeOut(Schema):
    """The code that students type to join a class."""

    class_code: str | None


class JoinIn(Schema):
    """A class code."""

    code: Annotated[str, Field(max_length=12)]


class SeatOut(Schema):
    """The seat of a student."""

    classroom: str
    number: int


class SeatTold(Schema):
    """What the page of a seat shows to its student."""

    message: str
    ends_at: datetime | None
    reason: str | None = None  # why its machine was paused, which nobody asked for
    reason_in: dict[str, str] = Field(default_factory=dict)


class TicketOut(Schema):
    """The path of a console. It is valid for a minute, for one user and one seat."""

    path: str


class TokenIn(Schema):
    """The token that a user wants."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    scopes: list[Literal["read", "operate", "manage"]]
    days: int = Field(TOKEN_DAYS, ge=1, le=TOKEN_DAYS_MAX)  # that it is good for


class TokenOut(Schema):
    """A token. Only the answer that makes it shows the token itself."""

    id: int
    name: str
    scopes: list[str]
    expires: datetime | None = None
    token: str = ""


class JobOut(Schema):
    """One command that a user asked for."""

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
    """One line of the audit."""

    at: datetime
    who: str
    action: str
    classroom: str
    target: str
    outcome: str
    facts: dict[str, Any]
