"""Which seats somebody used in the last minutes. The agent notes it, and a reset says it first.

Each seat has one file, in a folder that belongs to root. The file is empty: its time of change is
the moment of the last activity.
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
    """Note that somebody is active on this seat now. A note that a full disk refuses is left
    out."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        _file(folder, classroom, number).touch()


def active_s_ago(folder: Path, classroom: str, number: int) -> int | None:
    """How many seconds ago somebody was active on the seat. None when no activity is noted."""
    try:
        then = _file(folder, classroom, number).stat().st_mtime
    except OSError:
        return None
    return max(0, int(time.time() - then))


def warn_active(context: Context, seats: Sequence[Seat]) -> None:
    """Say which of these seats somebody used in the last ten minutes."""
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
    """Remove the notes of these seats, whose content is gone. A note that cannot be removed stays:
    then a later reset warns without need."""
    for seat in seats:
        folder = context.host.settings.activity_folder
        with suppress(OSError):
            _file(folder, seat.classroom, seat.number).unlink()


def _file(folder: Path, classroom: str, number: int) -> Path:
    return folder / seat_name(classroom, number)
