"""What resets took away and can be put back: since when, and for how long.

Storage tells whether something is kept; the index beside (``undo_index``) tells of which volume, in
which slot, and since when.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pizarra.engine.events import Emit, Noted
from pizarra.engine.host import Host
from pizarra.errors import PizarraError
from pizarra.model.facts import Seat
from pizarra.model.sentence import N_
from pizarra.storage.interface import raise_first


def undo_ages(host: Host, seats: Sequence[Seat]) -> dict[str, float]:
    """Name of seat -> since when, of those of which every disk is kept; the oldest first. Not of
    seats that a record is about: nobody may drop what that operation took away."""
    under_way = host.journal.entries()
    known = {volume.uuid: host.undo_index.get(volume) for seat in seats for volume in seat.volumes}
    chosen = [
        seat
        for seat in seats
        if seat.name not in under_way and all(known[volume.uuid] for volume in seat.volumes)
    ]
    there = host.undo_slots([volume for seat in chosen for volume in seat.volumes])
    found: dict[str, float] = {}
    for seat in chosen:
        filled = [there[volume.uuid] for volume in seat.volumes]
        times = [kept.since for volume in seat.volumes if (kept := known[volume.uuid])]
        if all(isinstance(one, frozenset) and one for one in filled):
            found[seat.name] = min(times)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def discard_undo(host: Host, seats: Sequence[Seat]) -> None:
    """Drop what is kept of seats. Raises what stopped it."""
    raise_first(host.discard_undo([volume for seat in seats for volume in seat.volumes]))


def undo_hours(host: Host, seat: Seat) -> float:
    """How long a reset of it can be undone: as its policy says, or else the host's setting."""
    of_it = seat.record.policy.undo_hours
    return host.settings.undo_hours if of_it is None else of_it


def seats_with_old_undo(host: Host, seats: Sequence[Seat]) -> list[Seat]:
    """Those whose undo is older than their policy or the setting says. Nothing is claimed to tell.

    The files beside say first which seats may be meant: storage is asked about those only.
    """
    now = time.time()

    def is_old(seat: Seat, since: float) -> bool:
        return since < now - undo_hours(host, seat) * 3600

    noted = [
        seat
        for seat in seats
        for notes in [[host.undo_index.get(volume) for volume in seat.volumes]]
        if any(kept and is_old(seat, kept.since) for kept in notes)
    ]
    since_when = undo_ages(host, noted) if noted else {}
    return [seat for seat in noted if is_old(seat, since_when.get(seat.name, now))]


def discard_old_undo(host: Host, seats: Sequence[Seat], emit: Emit) -> None:
    """Drop what is older than its policy or the setting says, and say so."""
    old = seats_with_old_undo(host, seats)
    if not old:
        return
    names = ", ".join(seat.name for seat in old)
    try:
        discard_undo(host, old)
    except PizarraError as error:
        emit(Noted(text=N_("The undo of {names} could not be dropped: {why}"),
                   facts={"names": names, "why": error}))  # fmt: skip
        return
    text = N_("The last reset of {names} can be undone no more: it was more than {hours:g} h ago.")
    emit(
        Noted(text=text, facts={"names": names, "hours": min(undo_hours(host, one) for one in old)})
    )
