"""What goes in and out of the API, as its description shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import Field

from pizarra.model.names import NAME_LENGTH_MAX, SEATS_MAX
from pizarra.server.uploads import PIECE_BYTES
from pizarra.storage.registry import kinds

Seats = Annotated[str | None, Field(None, description="such as 1-8,11; all when left out",
                                    max_length=400)]  # fmt: skip
Name = Annotated[str, Field(max_length=NAME_LENGTH_MAX)]


Storage = Annotated[str, Field(pattern=f"^({'|'.join(kinds())})$")]
Mode = Literal["cold", "hot", "warm"]
After = Literal["as found", "running", "off"]


class Problem(Schema):
    """Why not, and what to do."""

    detail: str
    hint: str = ""


class VerbIn(Schema):
    """Over which seats, and how."""

    seats: Seats = None
    mode: Mode | None = None  # of a reset; as the policy says
    after: After | None = None
    message: Annotated[str, Field(max_length=200)] = ""  # of a freeze, for the students to read
    deep: bool = False  # verify from the data itself
    grace: float | None = Field(None, ge=0, le=3600)  # seconds that a stop waits for guests


class SeatsIn(Schema):
    """Over which seats."""

    seats: Seats = None


class SaveIn(SeatsIn):
    """Over which seats, and with their RAM or without."""

    ram: bool = False


class HandOutIn(Schema):
    """Whose state, for whom."""

    source: int = Field(ge=1, le=SEATS_MAX)
    seats: Seats = None


class ClassroomIn(Schema):
    """A classroom to be made."""

    classroom: Name
    template: Name
    seats: int = Field(ge=1, le=SEATS_MAX)
    memory_mib: int = Field(2048, ge=16, le=1 << 20)
    vcpus: int = Field(2, ge=1, le=64)
    network: Annotated[str, Field(max_length=40)] = "isolated"
    identify: bool = False
    warm: bool = False
    title: Annotated[str, Field(max_length=80)] = ""


class UploadIn(Schema):
    """An image that is to come."""

    size_bytes: int = Field(ge=1, le=1 << 44)


class UploadOut(Schema):
    """How far it is; what comes next is ``piece_bytes`` at most."""

    id: UUID
    size_bytes: int
    received: int
    piece_bytes: int = PIECE_BYTES


class TemplateIn(Schema):
    """A template to be made of an upload."""

    template: Name
    upload: UUID
    firmware: Literal["bios", "uefi"] = "bios"
    tpm: bool = False
    new_version: bool = False
    storage: Storage | None = None
    vg: Annotated[str, Field(max_length=128)] = ""


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
