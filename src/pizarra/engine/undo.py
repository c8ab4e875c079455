"""What resets took away and can be put back: since when, and for how long.

Whether something is kept is a fact that storage tells. *When* it was taken away, and that it was of
this very volume, is noted in a file by its UUID: LVM gives thin ids anew when a volume is gone, and
nobody shall get what another had. What is kept without a note is nobody's.

Disks of one seat go together. While their contents change hands their notes say so; left behind by
a crash, that tells that some of the seat's disks may be ahead of the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pizarra.engine.events import Emit, Noted
from pizarra.engine.host import Host
from pizarra.errors import PizarraError
from pizarra.model.facts import Seat, Volume
from pizarra.model.policy import policy_of
from pizarra.system.file_copies import synced

NOTES = Path("/var/lib/pizarra/undo")
_UNDER_WAY = "under way"


def begun(volumes: Sequence[Volume]) -> None:
    """Now something is taken away of these, and what is noted lasts."""
    NOTES.mkdir(parents=True, exist_ok=True)
    for volume in volumes:
        (NOTES / volume.uuid).write_text(_UNDER_WAY, encoding="utf-8")
    synced(NOTES)


def ended(volumes: Sequence[Volume]) -> None:
    """It was taken away of all these."""
    for volume in volumes:
        (NOTES / volume.uuid).write_text("", encoding="utf-8")


def is_cut_off(seat: Seat) -> bool:
    """Whether the last time was begun only."""
    notes = [NOTES / volume.uuid for volume in seat.volumes]
    return any(note.exists() and note.read_text(encoding="utf-8") for note in notes)


def since(volume: Volume) -> float | None:
    """When it was (seconds since 1970); None when nothing was noted."""
    try:
        return (NOTES / volume.uuid).stat().st_mtime
    except FileNotFoundError:
        return None


def is_noted(seat: Seat) -> bool:
    """Whether something may be kept of it."""
    return any(since(volume) is not None for volume in seat.volumes)


def forgotten(volumes: Sequence[Volume]) -> None:
    """Nothing is kept of these any more."""
    for volume in volumes:
        (NOTES / volume.uuid).unlink(missing_ok=True)


def kept(host: Host, seats: Sequence[Seat]) -> dict[str, float]:
    """Name of seat -> since when, of those of which every disk is kept; the oldest first."""
    there = host.kept(seats)
    found: dict[str, float] = {}
    for seat in seats:
        times = [since(volume) for volume in seat.volumes if volume.uuid in there]
        known = [time for time in times if time is not None]
        if len(known) < len(seat.volumes) or (len(known) > 1 and is_cut_off(seat)):
            continue
        found[seat.name] = min(known)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def dropped(host: Host, seats: Sequence[Seat]) -> None:
    """Drop what is kept of seats. Raises what stopped it."""
    volumes = [volume for seat in seats for volume in seat.volumes]
    for fault in host.kept_dropped(volumes).values():
        if fault is not None:
            raise fault
    forgotten(volumes)


def hours(host: Host, seat: Seat) -> float:
    """How long a reset of it can be undone: as its policy says, or else the host's setting."""
    of_it = policy_of(seat.labels).undo_hours
    return host.settings.undo_hours if of_it is None else of_it


def aged_dropped(host: Host, seats: Sequence[Seat], emit: Emit) -> None:
    """Drop what is older than its policy or the setting says, and say so."""
    now, since_when = time.time(), kept(host, seats)
    old = [
        seat for seat in seats if since_when.get(seat.name, now) < now - hours(host, seat) * 3600
    ]
    if not old:
        return
    names = ", ".join(seat.name for seat in old)
    try:
        dropped(host, old)
    except PizarraError as error:
        emit(Noted(text="The undo of {names} could not be dropped: {why}",
                   facts={"names": names, "why": error}))  # fmt: skip
        return
    text = "The last reset of {names} can be undone no more: it was more than {hours:g} h ago."
    emit(Noted(text=text, facts={"names": names, "hours": min(hours(host, one) for one in old)}))
