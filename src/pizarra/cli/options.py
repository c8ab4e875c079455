"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from pizarra.errors import BadInput
from pizarra.model.facts import StorageKind
from pizarra.model.names import parse_seat_numbers
from pizarra.storage.registry import kinds

STORAGES = kinds()

Classroom = Annotated[str, typer.Argument(help="The classroom's name.", metavar="CLASSROOM")]
Seats = Annotated[
    str | None,
    typer.Argument(
        help="Seat numbers and ranges: 3 or 1-8,11. All when left out.", metavar="SEATS"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Wait = Annotated[
    float,
    typer.Option(min=0, help="Seconds to wait for somebody else who works on the same machines."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def parse_storage(text: str) -> StorageKind:
    """A kind that a host has. Raises BadInput."""
    if text in STORAGES:
        return text
    raise BadInput(
        "--storage {text!r} is not one.", "Choose {those}.", text=text, those=", ".join(STORAGES)
    )


Storage = Annotated[
    StorageKind | None,
    typer.Option(
        parser=parse_storage, metavar="|".join(STORAGES), help="Where the template's disks are."
    ),
]


def check_seats(seats: str | None) -> str | None:
    """Seats as typed; None for all. An empty text is no list of seats. Raises BadInput."""
    if seats is not None:
        parse_seat_numbers(seats)
    return seats
