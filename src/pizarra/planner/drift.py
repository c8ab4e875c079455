"""What may not be done with a machine that is not as it was made, and why. Pure.

A verb names the judge that it needs: most verbs would act on a content that the machine does not
use, or would call it original. Only a reset puts a machine right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pizarra.model.definition import Difference, Grade
from pizarra.model.facts import Seat
from pizarra.model.policy import ChangedHardware
from pizarra.model.sentence import Sentence, join

Judge = Callable[[Seat], str | None]


def any_fault(seat: Seat) -> str | None:
    """Of a verb that acts on the content of a seat, or says what that is."""
    wrong = [one for one in to_put_right(seat) if one.grade is not Grade.LIMIT]
    return reset_fault(seat) or _mendable((*wrong, *seat.drift.live)) or _ram(seat)


def start_fault(seat: Seat) -> str | None:
    """Of a start: saved RAM is what it goes on with."""
    return _mendable(of_content(seat.drift.defined))


def content_fault(seat: Seat) -> str | None:
    """Of who looks into the disks of a seat."""
    every = (*seat.drift.defined, *seat.drift.live)
    return _mendable(of_content(every))


def redefine_fault(seat: Seat) -> str | None:
    """Of who defines a machine anew: what somebody changed would be lost without a word."""
    return reset_fault(seat) or content_fault(seat)


def reset_fault(seat: Seat) -> str | None:
    """Of a reset, which puts everything right but what somebody means to go back to."""
    if not seat.has_snapshots:
        return None
    return Sentence(
        "it has snapshots of libvirt's own, which Pizarra leaves alone: see virsh snapshot-list "
        "{name}; remove them with virsh snapshot-delete {name} SNAPSHOT --metadata",
        name=seat.name,
    )


def no_fault(_: Seat) -> str | None:
    """Of a verb that neither uses the content of a seat nor speaks of it."""
    return None


def to_put_right(seat: Seat) -> tuple[Difference, ...]:
    """What a reset changes of the machine's definition, by its classroom's policy."""
    if not is_kept(seat):
        return seat.drift.defined
    return tuple(one for one in seat.drift.defined if one.grade is not Grade.HARDWARE)


def is_kept(seat: Seat) -> bool:
    """Whether hardware that somebody changed stays, by its classroom's policy."""
    return seat.record.policy.changed_hardware is ChangedHardware.KEEP


def to_keep(seat: Seat) -> tuple[Difference, ...]:
    """What a reset leaves of what somebody changed of the machine's definition."""
    changing = to_put_right(seat)
    return tuple(one for one in seat.drift.defined if one not in changing)


def of_content(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """Those by which a machine boots, reads or writes something that is not its own."""
    return tuple(one for one in differences if one.grade is Grade.CONTENT)


def words(differences: tuple[Difference, ...]) -> str | None:
    """All of them, in one line; None when there is none."""
    return join([one.what for one in differences]) if differences else None


def _mendable(differences: tuple[Difference, ...]) -> str | None:
    if not differences:
        return None
    return Sentence("{what}: pizarra reset puts that right", what=words(differences))


def _ram(seat: Seat) -> str | None:
    if not seat.has_saved_ram:
        return None
    return Sentence("its RAM is saved: pizarra start goes on with it, pizarra reset drops it")
