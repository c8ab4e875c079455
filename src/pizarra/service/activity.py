"""Whose hands were on which machine lately: the agent notes it, and every reset says it before.

A file a seat in a folder of root's; when it was touched is all that it says.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pizarra.engine.events import Noted
from pizarra.model.facts import Seat
from pizarra.model.names import seat_name
from pizarra.model.sentence import N_
from pizarra.service.context import Context

LATELY_S = 600


def record_activity(folder: Path, classroom: str, number: int) -> None:
    """Somebody is active now on this seat. A disk that is full keeps nobody from working."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        _file(folder, classroom, number).touch()


def active_s_ago(folder: Path, classroom: str, number: int) -> int | None:
    """None when nobody was, or not for as long as anything is known."""
    try:
        then = _file(folder, classroom, number).stat().st_mtime
    except OSError:
        return None
    return max(0, int(time.time() - then))


def warn_active(context: Context, seats: Sequence[Seat]) -> None:
    """Which of these are somebody's work of minutes ago."""
    folder = context.host.settings.activity_folder
    lately = []
    for seat in seats:
        ago = active_s_ago(folder, seat.classroom, seat.number)
        if ago is not None and ago < LATELY_S:
            lately.append(f"{seat.name} ({-(-ago // 60)} min)")
    if lately:
        text = N_("Somebody was active lately on: {names}. An undo brings their work back.")
        context.emit(Noted(text=text, facts={"names": ", ".join(lately)}))


def forget(context: Context, seats: Sequence[Seat]) -> None:
    """What was done there is no more. A note that cannot be removed says too much, no more."""
    for seat in seats:
        folder = context.host.settings.activity_folder
        with suppress(OSError):
            _file(folder, seat.classroom, seat.number).unlink()


def _file(folder: Path, classroom: str, number: int) -> Path:
    return folder / seat_name(classroom, number)
