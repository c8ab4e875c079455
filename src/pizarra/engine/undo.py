"""What resets took away and can be put back: since when, and for how long.

Whether something is kept is a fact that storage tells; since when, and of whom, is noted beside.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pizarra.engine.cut_off import is_half_done
from pizarra.engine.events import Emit, Noted
from pizarra.engine.host import Host
from pizarra.engine.undo_notes import forget, since
from pizarra.errors import PizarraError
from pizarra.model.facts import Seat
from pizarra.storage.interface import raise_first


def undo_ages(host: Host, seats: Sequence[Seat]) -> dict[str, float]:
    """Name of seat -> since when, of those of which every disk is kept; the oldest first."""
    there = host.volumes_with_undo(seats)
    found: dict[str, float] = {}
    for seat in seats:
        times = [since(volume) for volume in seat.volumes if volume.uuid in there]
        known = [time for time in times if time is not None]
        if len(known) == len(seat.volumes) and not is_half_done(host, seat):
            found[seat.name] = min(known)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def discard_undo(host: Host, seats: Sequence[Seat]) -> None:
    """Drop what is kept of seats. Raises what stopped it."""
    volumes = [volume for seat in seats for volume in seat.volumes]
    raise_first(host.discard_undo(volumes))
    forget(volumes)


def undo_hours(host: Host, seat: Seat) -> float:
    """How long a reset of it can be undone: as its policy says, or else the host's setting."""
    of_it = seat.record.policy.undo_hours
    return host.settings.undo_hours if of_it is None else of_it


def discard_old_undo(host: Host, seats: Sequence[Seat], emit: Emit) -> None:
    """Drop what is older than its policy or the setting says, and say so."""
    now, since_when = time.time(), undo_ages(host, seats)
    old = [
        seat
        for seat in seats
        if since_when.get(seat.name, now) < now - undo_hours(host, seat) * 3600
    ]
    if not old:
        return
    names = ", ".join(seat.name for seat in old)
    try:
        discard_undo(host, old)
    except PizarraError as error:
        emit(Noted(text="The undo of {names} could not be dropped: {why}",
                   facts={"names": names, "why": error}))  # fmt: skip
        return
    text = "The last reset of {names} can be undone no more: it was more than {hours:g} h ago."
    emit(
        Noted(text=text, facts={"names": names, "hours": min(undo_hours(host, one) for one in old)})
    )
