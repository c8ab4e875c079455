"""A reset or an undo that was cut off between several disks of a seat, or between its disk and what
its machine keeps beside it.

Before it began it noted of each volume what is done, to what, and the mark of what is kept
(``undo_notes``): where it was done, something else is kept afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pizarra.engine import undo_notes
from pizarra.engine.host import Host
from pizarra.engine.undo_notes import Note
from pizarra.errors import PizarraError
from pizarra.model.facts import Seat, Volume
from pizarra.planner.reset import pairs_of
from pizarra.storage.interface import Pair, first_raised

RESET, UNDO = "reset", "undo"


def begun(host: Host, what: str, sources: Mapping[Volume, str]) -> None:
    """Now a reset or an undo takes away what these have, for what is in volumes of these UUIDs.
    Raises the storage's fault."""
    undo_notes.begun(what, sources, host.kept_marks(list(sources)))


@dataclass(frozen=True, slots=True)
class CutOff:
    """What a reset or an undo of a seat was cut off in."""

    done: Mapping[Volume, Note]
    left: Mapping[Volume, Note]
    kept: frozenset[str]  # UUIDs of those of which something is kept

    @classmethod
    def of(cls, host: Host, volumes: Sequence[Volume]) -> CutOff:
        """Raises the storage's fault."""
        notes = {one: note for one in volumes if (note := undo_notes.under_way(one))}
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


def finished(host: Host, seat: Seat) -> bool:
    """What was cut off between the disks of a seat, or before its machine's state, is done for the
    others too: an undo; and a reset, if these are original anyway. Whether it was an undo that is
    done now. Nobody may be writing. Raises what stopped it."""
    cut_off = CutOff.of(host, seat.volumes)
    is_undone = bool(cut_off.done) and cut_off.of_kind(UNDO)
    if is_undone:
        first_raised(host.put_back([one for one in cut_off.left if one.uuid in cut_off.kept]))
        first_raised({one.uuid: host.states.exchanged(one) for one in cut_off.done})
    elif cut_off.done:
        pairs = {pair.seat: pair for pair in pairs_of(seat)}
        these = [pairs[one] for one in (*cut_off.done, *cut_off.left) if one in pairs]
        to = {pair.seat: pair.baseline.uuid for pair in these}
        if any(to.get(one) != note.source for one, note in cut_off.done.items()):
            return False  # it was a checkpoint's; whoever does it again goes by the note
        if len(host.with_original_content(these)) < len(cut_off.done) + len(cut_off.left):
            return False  # the next reset does it
        first_raised(host.rewound([pairs[one] for one in cut_off.left], keep=True))
        first_raised({one.uuid: host.states.put(pairs[one]) for one in cut_off.done})
    else:
        for volume in cut_off.left:
            host.states.not_done(volume)
    undo_notes.ended(seat.volumes)
    return is_undone


def failed(host: Host, seat: Seat) -> None:
    """It could not be done of all its disks: what was saved for those left is for nothing."""
    with suppress(PizarraError):
        for volume in CutOff.of(host, seat.volumes).left:
            host.states.not_done(volume)


def undo_finished(host: Host, seat: Seat) -> None:
    """Only an undo."""
    if CutOff.of(host, seat.volumes).of_kind(UNDO):
        finished(host, seat)


def is_half_done(host: Host, seat: Seat) -> bool:
    """Whether what is kept of its disks, or of its machine beside them, may not go together."""
    alone = len(seat.volumes) == 1 and not seat.labels.state
    return not alone and bool(CutOff.of(host, seat.volumes).done)
