"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from pizarra.model.names import seat_numbers_parsed

Classroom = Annotated[str, typer.Argument(help="The classroom's name.", metavar="CLASSROOM")]
Seats = Annotated[
    str | None,
    typer.Argument(
        help="Seat numbers and ranges: 3 or 1-8,11. All when left out.", metavar="SEATS"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def numbers(seats: str | None) -> tuple[int, ...] | None:
    """None for all."""
    return None if seats is None else seat_numbers_parsed(seats)
