"""Arguments that many commands share. Each is checked by the function that knows its rules."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field

from pizarra.model.names import NAME_LENGTH_MAX, check_name, parse_seat_numbers
from pizarra.service.commands.declaration import Arguments
from pizarra.storage.registry import check_kind, kinds

_NAME_PATTERN = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"  # what ``check_name`` allows, for the schema only
_NAME_SCHEMA = {"maxLength": NAME_LENGTH_MAX, "pattern": _NAME_PATTERN}


def _check_seats(text: str | None) -> str | None:
    """An empty text means all seats, as None does."""
    if text is None or not text.strip():
        return None
    parse_seat_numbers(text)
    return text


ClassroomName = Annotated[
    str,
    AfterValidator(partial(check_name, what="classroom")),
    Field(description="The classroom's name.", json_schema_extra=dict(_NAME_SCHEMA)),
]
TemplateName = Annotated[
    str,
    AfterValidator(partial(check_name, what="template")),
    Field(description="The template's name.", json_schema_extra=dict(_NAME_SCHEMA)),
]
CheckpointName = Annotated[
    str,
    AfterValidator(partial(check_name, what="checkpoint")),
    Field(description="The checkpoint's name.", json_schema_extra=dict(_NAME_SCHEMA)),
]
SeatsText = Annotated[
    Annotated[str, Field(max_length=400)] | None,
    AfterValidator(_check_seats),
    Field(description="Seat numbers and ranges: 3 or 1-8,11. All seats without it."),
]
SizeText = Annotated[str, Field(max_length=20, description="A size such as 10G or 512M.")]
VolumeGroup = Annotated[
    str, Field(max_length=128, description="The volume group, when there are several.")
]
Storage = (
    Annotated[str, AfterValidator(check_kind), Field(json_schema_extra={"enum": list(kinds())})]
    | None
)
Version = Annotated[int, Field(ge=0, le=99_999, description="The version; 0 is the newest.")]


class NoArguments(Arguments):
    """Of a command that takes none."""


class OfClassroom(Arguments):
    """A command about one classroom."""

    classroom: ClassroomName


class OfSeats(OfClassroom):
    """A command over all seats of a classroom, or over some."""

    seats: SeatsText = None

    @property
    def numbers(self) -> tuple[int, ...] | None:
        """The seats by number; None for all."""
        return None if self.seats is None else parse_seat_numbers(self.seats)
