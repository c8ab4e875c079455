"""Machines that the guard paused, and why: a note each, for the pages and for whoever starts them.

A file a seat in a folder of root's, with the reason in it. A note counts while the machine is
paused; whoever lets the machine go on removes the note, and the guard removes what is left over.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from pizarra.model.facts import Power, Seat
from pizarra.model.names import seat_name
from pizarra.model.sentence import N_, Sentence


class Halt(StrEnum):
    """Why the guard paused a machine."""

    SPACE = "space"
    GROWTH = "growth"


_SENTENCES = {
    Halt.SPACE: N_("it is paused, for its storage is nearly full; what is on it is safe"),
    Halt.GROWTH: N_("it is paused, for it wrote as much as its classroom allows; a reset helps"),
}


def sentence(halt: Halt) -> str:
    """What a student and a teacher read."""
    return Sentence(_SENTENCES[halt])


def put_halt(folder: Path, seat: Seat, halt: Halt, speed_bytes: int = 0) -> None:
    """Note it, and how much the machine wrote in a minute. A machine is paused all the same where
    nothing can be noted."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        _file(folder, seat).write_text(f"{halt} {speed_bytes}\n", encoding="ascii")


def halt_of(folder: Path, classroom: str, number: int) -> Halt | None:
    """The note of a seat, if there is one."""
    try:
        return _read(folder / seat_name(classroom, number))[0]
    except (OSError, ValueError):
        return None


def speed_bytes(folder: Path, seat: Seat) -> int:
    """How much a machine wrote in a minute when it was paused for its space; else 0."""
    try:
        return _read(_file(folder, seat))[1] if halt_seen(folder, seat) is Halt.SPACE else 0
    except (OSError, ValueError):
        return 0


def _read(file: Path) -> tuple[Halt, int]:
    halt, speed = file.read_text(encoding="ascii").split()
    return Halt(halt), int(speed)


def halt_seen(folder: Path, seat: Seat) -> Halt | None:
    """The note of a machine that is paused."""
    return halt_of(folder, seat.classroom, seat.number) if seat.power is Power.PAUSED else None


def forget_halts(folder: Path, seats: Iterable[Seat]) -> None:
    """These go on, or are off."""
    for seat in seats:
        with suppress(OSError):
            _file(folder, seat).unlink()


def _file(folder: Path, seat: Seat) -> Path:
    return folder / seat_name(seat.classroom, seat.number)
