"""What resets took away and can be put back: since when, and for how long.

Whether something is kept is a fact that storage tells. *When* it was taken away, and that it was of
this very volume, is noted in a file by its UUID: LVM gives thin ids anew when a volume is gone, and
nobody shall get what another had. What is kept without a note is nobody's.

What changes the contents of several disks, or of a disk and what its machine keeps beside it, may
be cut off between two. So before it begins there is a second note of each volume, of what is done,
to what, and of the mark of what is kept: where it was done, something else is kept afterwards. It
is a symbolic link to that text, so that one flush of the folder makes all of them last.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pizarra.engine.events import Emit, Noted
from pizarra.engine.host import Host
from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Seat, Volume
from pizarra.model.policy import policy_of
from pizarra.planner.reset import pairs_of
from pizarra.storage.interface import Faults, Pair
from pizarra.system.file_copies import synced

NOTES = Path("/var/lib/pizarra/undo")
RESET, UNDO = "reset", "undo"


@dataclass(frozen=True, slots=True)
class _Note:
    """Of a volume whose content was about to change hands."""

    what: str
    source: str  # UUID of what its content was to be that of
    mark: str  # of what was kept of it before


def begun(host: Host, what: str, sources: Mapping[Volume, str]) -> None:
    """Now a reset or an undo takes away what these have, for what is in volumes of these UUIDs.
    Raises the storage's fault."""
    marks = host.kept_marks(list(sources))
    try:
        NOTES.mkdir(parents=True, exist_ok=True)
        for volume, source in sources.items():
            (NOTES / volume.uuid).touch()
            _under_way(volume).unlink(missing_ok=True)
            _under_way(volume).symlink_to(f"{what} {source} {marks.get(volume.uuid, '-')}")
        synced(NOTES)
    except OSError as error:
        raise StorageFault("{name}: {cause}.", name=NOTES, cause=error.strerror) from None


def ended(volumes: Sequence[Volume]) -> None:
    """All these were done."""
    for volume in volumes:
        _under_way(volume).unlink(missing_ok=True)


def _under_way(volume: Volume) -> Path:
    return NOTES / f"{volume.uuid}.under-way"


def _note(volume: Volume) -> _Note | None:
    try:
        words = str(_under_way(volume).readlink()).split()
    except FileNotFoundError:
        return None
    return _Note(*words) if len(words) == 3 else None


@dataclass(frozen=True, slots=True)
class CutOff:
    """What a reset or an undo of a seat was cut off in."""

    done: Mapping[Volume, _Note]
    left: Mapping[Volume, _Note]
    kept: frozenset[str]  # UUIDs of those of which something is kept

    @classmethod
    def of(cls, host: Host, volumes: Sequence[Volume]) -> CutOff:
        """Raises the storage's fault."""
        notes = {one: note for one in volumes if (note := _note(one))}
        marks = host.kept_marks(list(notes)) if notes else {}
        done = {
            one: note for one, note in notes.items() if marks.get(one.uuid, note.mark) != note.mark
        }
        left = {one: note for one, note in notes.items() if one not in done}
        return cls(done, left, frozenset(marks))

    def of_kind(self, what: str) -> bool:
        """Whether it was that."""
        return any(note.what == what for note in (*self.done.values(), *self.left.values()))


def original_again(host: Host, seat: Seat) -> frozenset[str]:
    """The UUIDs of the volumes that a reset of the seat put right before it was cut off, and that
    are so still: what that took away is what is to be kept of them. Nobody may be writing. Raises
    the storage's fault."""
    cut_off = CutOff.of(host, seat.volumes)
    if cut_off.of_kind(UNDO) or not cut_off.done:
        return frozenset()
    there = host.observe().volumes
    then = [
        Pair(seat=one, baseline=there[note.source])
        for one, note in cut_off.done.items()
        if note.source in there
    ]
    original = host.with_original_content(then)
    if len(original) < len(cut_off.done):
        return frozenset()  # somebody has worked since
    return original


def finished(host: Host, seat: Seat) -> None:
    """What was cut off between the disks of a seat, or before its machine's state, is done for the
    others too: an undo; and a reset, if these are original anyway. Nobody may be writing. Raises
    what stopped it."""
    cut_off = CutOff.of(host, seat.volumes)
    if cut_off.done and cut_off.of_kind(UNDO):
        _checked(host.put_back([one for one in cut_off.left if one.uuid in cut_off.kept]))
        _checked({one.uuid: host.states.exchanged(one) for one in cut_off.done})
    elif cut_off.done:
        pairs = {pair.seat: pair for pair in pairs_of(seat)}
        these = [pairs[one] for one in (*cut_off.done, *cut_off.left) if one in pairs]
        to = {pair.seat: pair.baseline.uuid for pair in these}
        if any(to.get(one) != note.source for one, note in cut_off.done.items()):
            return  # it was a checkpoint's; whoever does it again goes by the note
        if len(host.with_original_content(these)) < len(cut_off.done) + len(cut_off.left):
            return  # the next reset does it
        _checked(host.rewound([pairs[one] for one in cut_off.left], keep=True))
        _checked({one.uuid: host.states.put(pairs[one]) for one in cut_off.done})
    else:
        for volume in cut_off.left:
            host.states.not_done(volume)
    ended(seat.volumes)


def failed(host: Host, seat: Seat) -> None:
    """It could not be done of all its disks: what was saved for those left is for nothing."""
    with suppress(PizarraError):
        for volume in CutOff.of(host, seat.volumes).left:
            host.states.not_done(volume)


def undo_finished(host: Host, seat: Seat) -> None:
    """Only an undo."""
    if CutOff.of(host, seat.volumes).of_kind(UNDO):
        finished(host, seat)


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
        if len(known) == len(seat.volumes) and not _is_half_done(host, seat):
            found[seat.name] = min(known)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _is_half_done(host: Host, seat: Seat) -> bool:
    """Whether what is kept of its disks, or of its machine beside them, may not go together."""
    alone = len(seat.volumes) == 1 and not seat.labels.state
    return not alone and bool(CutOff.of(host, seat.volumes).done)


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
