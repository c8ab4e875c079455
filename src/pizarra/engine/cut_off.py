"""A reset or an undo that was cut off: before a disk, between several of a seat, between a disk and
what its machine keeps beside it, or when all that was done and others were not.

Before it began it noted of each volume what is done, to what, and the mark of what is kept
(``undo_notes``): where it was done, something else is kept afterwards. The notes go when the whole
run is over, so whoever gives the command again goes on with it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pizarra.engine import undo_notes
from pizarra.engine.host import Host
from pizarra.engine.undo_notes import Note
from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Power, Seat, Volume
from pizarra.model.sentence import Sentence
from pizarra.planner.reset import pairs_of
from pizarra.storage.interface import RewindTarget, raise_first

RESET, UNDO = "reset", "undo"
SAME_S = 600.0  # a reset so long after one that was killed goes on with that one


def begin(host: Host, what: str, sources: Mapping[Volume, str]) -> None:
    """Now a reset or an undo takes away what these have, for what is in volumes of these UUIDs.
    Raises the storage's fault."""
    undo_notes.begin(what, sources, host.undo_generations(list(sources)))


@dataclass(frozen=True, slots=True)
class CutOff:
    """What a reset or an undo of a seat was cut off in."""

    done: Mapping[Volume, Note]
    left: Mapping[Volume, Note]
    kept: frozenset[str]  # UUIDs of those of which something is kept
    is_half: bool  # some of it was done, and not all

    @classmethod
    def of(cls, host: Host, seat: Seat) -> CutOff:
        """Raises the storage's fault."""
        notes: dict[Volume, Note] = {
            one: note for one in seat.volumes if (note := undo_notes.under_way(one))
        }
        marks = host.undo_generations(list(notes)) if notes else {}
        done = {
            one: note for one, note in notes.items() if marks.get(one.uuid, note.mark) != note.mark
        }
        left = {one: note for one, note in notes.items() if one not in done}
        is_half = bool(done) and (bool(left) or any(map(host.states.is_half_done, done)))
        return cls(done, left, frozenset(marks), is_half)

    def of_kind(self, what: str) -> bool:
        """Whether it was that: by what was done of it, if anything was."""
        return any(note.what == what for note in (self.done or self.left).values())

    @property
    def is_whole(self) -> bool:
        """All of it was done."""
        return bool(self.done) and not self.is_half

    @property
    def at(self) -> float:
        """When it began."""
        return min(note.at for note in (*self.done.values(), *self.left.values()))


def volumes_to_resume(host: Host, seat: Seat, pairs: Sequence[RewindTarget]) -> frozenset[str]:
    """The UUIDs of the volumes of which a reset before this one keeps already what is to be kept:
    it was cut off, and this is the same one. Nobody may be writing. Raises what stopped it."""
    cut_off = CutOff.of(host, seat)
    if cut_off.of_kind(UNDO):
        finish(host, seat)
        return frozenset()
    done = frozenset(volume.uuid for volume in cut_off.done)
    if not done or _is_same(cut_off, pairs) or not _has_been_used(host, cut_off):
        return done
    # what is kept of these does not go together any more
    raise_first(host.discard_undo(list(cut_off.left)))
    raise_first({one.uuid: host.states.commit_undo(one) for one in cut_off.done})
    return frozenset()


def _is_same(cut_off: CutOff, pairs: Sequence[RewindTarget]) -> bool:
    to = {pair.volume: pair.source.uuid for pair in pairs}
    is_to_the_same = all(note.source == to.get(one) for one, note in cut_off.done.items())
    return cut_off.is_whole and is_to_the_same and 0 <= time.time() - cut_off.at < SAME_S


def _has_been_used(host: Host, cut_off: CutOff) -> bool:
    """Whether somebody has worked on what was done. What has no content yet is not used."""
    there = host.observe().volumes
    then = [
        RewindTarget(volume=one, source=there[note.source])
        for one, note in cut_off.done.items()
        if note.source in there
    ]
    is_unknown = len(then) < len(cut_off.done) and cut_off.is_whole  # a half one is not started
    return is_unknown or bool(host.with_other_content(then))


def finish(host: Host, seat: Seat) -> bool:
    """What was cut off between the disks of a seat, or before its machine's state, is done for the
    others too: an undo; and a reset, if these are original anyway. Whether anything was to do. An
    undo's notes stay: who gives it again shall not take it back. Nobody may be writing. Raises what
    stopped it."""
    cut_off = CutOff.of(host, seat)
    if cut_off.is_half and cut_off.of_kind(UNDO):
        raise_first(host.swap_with_undo([one for one in cut_off.left if one.uuid in cut_off.kept]))
        raise_first({one.uuid: host.states.commit_swap(one) for one in cut_off.done})
    elif cut_off.is_half:
        pairs = {pair.volume: pair for pair in pairs_of(seat)}
        these = [pairs[one] for one in (*cut_off.done, *cut_off.left) if one in pairs]
        to = {pair.volume: pair.source.uuid for pair in these}
        if any(to.get(one) != note.source for one, note in cut_off.done.items()):
            return False  # it was a checkpoint's; whoever does it again goes by the note
        if len(host.with_original_content(these)) < len(cut_off.done) + len(cut_off.left):
            return False  # the next reset does it
        raise_first(host.rewind([pairs[one] for one in cut_off.left], keep=True))
        raise_first({one.uuid: host.states.commit(pairs[one]) for one in cut_off.done})
    elif cut_off.left:
        for volume in cut_off.left:
            host.states.discard_prepared(volume)
    if not (cut_off.done and cut_off.of_kind(UNDO)):
        undo_notes.end(seat.volumes)
    return cut_off.is_half


def is_undo_complete(host: Host, seat: Seat) -> bool:
    """Whether an undo that was cut off is done of it."""
    cut_off = CutOff.of(host, seat)
    return cut_off.is_whole and cut_off.of_kind(UNDO)


def cancel(host: Host, seat: Seat) -> None:
    """It could not be done of all its disks: what was saved for those left is for nothing."""
    with suppress(PizarraError):
        for volume in CutOff.of(host, seat).left:
            host.states.discard_prepared(volume)


def activate_all(host: Host, seat: Seat) -> None:
    """Its devices show what it has. Raises StorageFault where it has nothing."""
    woken = [host.activate(volume) for volume in seat.volumes]
    if not all(woken):
        text = "A reset or an undo of {name} was cut off: run pizarra recover."
        raise StorageFault(text, name=seat.name)


def is_half_done(host: Host, seat: Seat) -> bool:
    """Whether what is kept of its disks, or of its machine beside them, may not go together."""
    alone = len(seat.volumes) == 1 and not seat.labels.firmware_state
    return not alone and CutOff.of(host, seat).is_half


def ensure_startable(host: Host, seat: Seat) -> None:
    """It may start, or go on. Raises StorageFault when its disks are of two times."""
    if not undo_notes.is_under_way(seat):
        return
    if seat.power is Power.OFF:
        activate_all(host, seat)
        finish(host, seat)
    on_error = any(host.storage_of(volume).has_error_table(volume) for volume in seat.volumes)
    if on_error or is_half_done(host, seat):
        raise StorageFault("{name}: {why}.", name=seat.name, why=half_done_reason())


def already_undone_reason() -> Sentence:
    """Of a seat."""
    return Sentence("an undo of it was cut off: it has its work again")


def half_done_reason() -> Sentence:
    """Of a seat whose disks, or its machine beside them, are of two times."""
    return Sentence("a reset of it was cut off half done: reset it again, that can be undone")
