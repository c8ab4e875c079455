"""What resets took away and can be put back: since when, and for how long.

Whether something is kept is a fact that storage tells. *When* it was taken away, and that it was of
this very volume, is noted in a file by its UUID: LVM gives thin ids anew when a volume is gone, and
nobody shall get what another had. What is kept without a note is nobody's.

What changes the contents of several disks, or of a disk and what its machine keeps beside it, may
be cut off between two. So before it begins there is a second note of each volume, of what is done
and of the birth of the content that it has: those done already have another one afterwards. It is a
symbolic link to that text, so that one flush of the folder makes all of them last.
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
from pizarra.planner.reset import pairs_of
from pizarra.storage.interface import Faults
from pizarra.system.file_copies import synced

NOTES = Path("/var/lib/pizarra/undo")
RESET, UNDO = "reset", "undo"


def begun(host: Host, what: str, volumes: Sequence[Volume]) -> None:
    """Now a reset or an undo takes away what these have. Raises the storage's fault."""
    births = host.births(volumes)
    NOTES.mkdir(parents=True, exist_ok=True)
    for volume in volumes:
        (NOTES / volume.uuid).touch()
        _under_way(volume).unlink(missing_ok=True)
        _under_way(volume).symlink_to(f"{what} {births.get(volume.uuid, '-')}")
    synced(NOTES)


def ended(volumes: Sequence[Volume]) -> None:
    """All these were done."""
    for volume in volumes:
        _under_way(volume).unlink(missing_ok=True)


def _under_way(volume: Volume) -> Path:
    return NOTES / f"{volume.uuid}.under-way"


def _noted_birth(volume: Volume, what: str) -> str | None:
    """What its content was born as before that was cut off; None when it was not."""
    try:
        verb, birth = str(_under_way(volume).readlink()).split()
    except FileNotFoundError:
        return None
    return birth if verb == what else None


def done_before(host: Host, what: str, volumes: Sequence[Volume]) -> frozenset[str]:
    """The UUIDs of those whose contents were replaced already by what was cut off."""
    noted = {one.uuid: _noted_birth(one, what) for one in volumes}
    these = [one for one in volumes if noted[one.uuid] is not None]
    births = host.births(these) if these else {}
    return frozenset(uuid for uuid, birth in births.items() if birth != noted[uuid])


def finished(host: Host, seats: Sequence[Seat]) -> None:
    """What was cut off between the disks of a seat is done for the others too: an undo, and a reset
    if these are original anyway. Nobody may be writing. Raises what stopped it."""
    for seat in seats:
        if left := _left(host, UNDO, seat):
            _checked(host.put_back(left))
        if any(_noted_birth(volume, UNDO) for volume in seat.volumes):
            ended(seat.volumes)
        pairs = [pair for pair in pairs_of(seat) if pair.seat in _left(host, RESET, seat)]
        if pairs and len(host.with_original_content(pairs)) == len(pairs):
            _checked(host.rewound(pairs, keep=True))
            ended(seat.volumes)


def _left(host: Host, what: str, seat: Seat) -> list[Volume]:
    """The volumes of which that is still to be done, when it was done of some."""
    done = done_before(host, what, seat.volumes)
    return [volume for volume in seat.volumes if done and volume.uuid not in done]


def _checked(faults: Faults) -> None:
    for fault in filter(None, faults.values()):
        raise fault


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
        _under_way(volume).unlink(missing_ok=True)


def kept(host: Host, seats: Sequence[Seat]) -> dict[str, float]:
    """Name of seat -> since when, of those of which every disk is kept; the oldest first."""
    there = host.kept(seats)
    found: dict[str, float] = {}
    for seat in seats:
        times = [since(volume) for volume in seat.volumes if volume.uuid in there]
        known = [time for time in times if time is not None]
        # cut off between its disks, what is kept of them does not go together
        if len(known) == len(seat.volumes) and not _left(host, RESET, seat) + _left(
            host, UNDO, seat
        ):
            found[seat.name] = min(known)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def dropped(host: Host, seats: Sequence[Seat]) -> None:
    """Drop what is kept of seats. Raises what stopped it."""
    volumes = [volume for seat in seats for volume in seat.volumes]
    _checked(host.kept_dropped(volumes))
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
