"""What a rewind takes away, kept in the thin pool under an id that LVM never gives: no volume, no
LVM metadata, only the blocks that differ. One content for each seat.

What is kept has the id ``FIRST`` or ``SECOND`` of its seat, whichever was free; ``GOING`` is what
nobody is to have again. Callers hold LVM's lock, know what is ``there``, and have it put right
first: then there is no other id but one that is kept.

    a reset:   free := seat;  seat := baseline.         What was kept before goes later.
    an undo:   free := seat;  seat := kept.             The id of what was kept goes.

To delete a content's last id costs what was written, for each block is given back: that is done
when the machines have their disks.

After a crash the pool itself tells where it was, for it counts when each id was made. A content
made after its seat is a copy for a step that was never taken. A seat without any content had the
youngest of the three, and gets it back; meanwhile ``STANDS`` is a copy of that one, so that a crash
in the middle of this is known for what it is.
"""

from __future__ import annotations

import errno
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.model.labels import Role
from pizarra.storage.dm_thin.ids import DISCARDED, PROBE, RESCUE, SPAN, UNDO_A, UNDO_B
from pizarra.storage.dm_thin.metadata import Thin
from pizarra.storage.dm_thin.pool import ThinPool
from pizarra.system import devmapper

ThinDevices = Mapping[int, Thin]  # every thin id of a pool


def undo_id(seat: int, there: Container[int]) -> int:
    """The id of what is kept of it, or 0."""
    return next((one for one in (UNDO_A + seat, UNDO_B + seat) if one in there), 0)


def _free(seat: int, there: ThinDevices) -> int:
    return UNDO_B + seat if UNDO_A + seat in there else UNDO_A + seat


def delete_thin(pool: ThinPool, thin_id: int) -> None:
    """Fine if it is not there."""
    try:
        devmapper.message(pool.device, f"delete {thin_id}")
    except StorageFault as error:
        if error.facts.get("errno") != errno.ENODATA:
            raise


def _copy(pool: ThinPool, to: int, source: int) -> None:
    devmapper.message(pool.device, f"create_snap {to} {source}")


def replace(pool: ThinPool, seat: int, source: int) -> None:
    """A seat whose own content has another id, or is lost, has that of ``source``."""
    delete_thin(pool, seat)
    _copy(pool, seat, source)


def set_aside(pool: ThinPool, seat: int, there: ThinDevices) -> None:
    """The content of a seat goes, if it has one."""
    if seat in there:
        _copy(pool, DISCARDED + seat, seat)


def save_undo(pool: ThinPool, seat: int, there: ThinDevices) -> None:
    """Keep the content of a seat, if it has one; what was kept before is the older from now on."""
    if seat in there:
        _copy(pool, _free(seat, there), seat)


def discard_undo(pool: ThinPool, seat: int) -> None:
    """Nothing is kept of a seat."""
    for base in (UNDO_A, UNDO_B):
        delete_thin(pool, base + seat)


def discard_all(pool: ThinPool, seat: int) -> None:
    """And nothing goes any more."""
    discard_undo(pool, seat)
    for base in (DISCARDED, RESCUE):
        delete_thin(pool, base + seat)


def swap_with_undo(pool: ThinPool, seat: int, there: ThinDevices) -> None:
    """The seat has what was kept of it, and what it had is kept."""
    old = undo_id(seat, there)
    _copy(pool, _free(seat, there), seat)
    replace(pool, seat, old)
    delete_thin(pool, old)


@dataclass(frozen=True, slots=True)
class PoolMessages:
    """What the pool is to be told for one seat, in this order."""

    seat: int
    messages: tuple[str, ...]


def holders(volumes: Iterable[Volume]) -> tuple[frozenset[int], frozenset[int]]:
    """Thin ids of seats, and of volumes without a label that can be read: those may be a seat's."""
    thin = [one for one in volumes if one.thin_id]
    seats = {one.thin_id for one in thin if one.labels and one.labels.role is Role.SEAT}
    return frozenset(seats), frozenset(one.thin_id for one in thin if one.labels is None)


def messages_after_crash(
    there: ThinDevices, seats: frozenset[int], strange: frozenset[int] = frozenset()
) -> list[PoolMessages]:
    """What there is to do after a reset, or after a crash in the middle of anything: pure.

    Nothing for the ``strange``: what is kept of a seat waits until its label is mended. Of a seat
    that is gone nothing stays.
    """
    ours = {thin_id % SPAN for thin_id in there if DISCARDED <= thin_id < PROBE}
    numbers = sorted(ours - strange)
    todo = [
        PoolMessages(
            seat, tuple(_put_right(there, seat) if seat in seats else _delete_all(there, seat))
        )
        for seat in numbers
    ]
    if PROBE in there:  # nobody is at it: whoever tries holds LVM's lock, as the caller does
        todo.append(PoolMessages(0, (f"delete {PROBE}",)))
    return [one for one in todo if one.messages]


def messages_for(seats: frozenset[int], there: ThinDevices) -> list[PoolMessages]:
    """Of these only."""
    return [one for one in messages_after_crash(there, seats) if one.seat in seats]


def _delete_all(there: ThinDevices, seat: int) -> list[str]:
    its = (base + seat for base in (UNDO_A, UNDO_B, DISCARDED, RESCUE))
    return [f"delete {one}" for one in its if one in there]


def _put_right(there: ThinDevices, seat: int) -> list[str]:
    """Its content is there, at most one is kept, and none is going."""
    going, stands = DISCARDED + seat, RESCUE + seat
    slots = [one for one in (UNDO_A + seat, UNDO_B + seat) if one in there]
    slots.sort(key=lambda one: there[one].made)
    needless, back, source = list[int](), list[str](), going
    if seat in there:
        needless = [one for one in slots if there[one].made > there[seat].made]
    elif stands in there:
        source = stands
        needless = [one for one in slots[-1:] if there[one].root == there[stands].root]
    elif slots and (going not in there or there[going].made < there[slots[-1]].made):
        source, needless = stands, slots[-1:]
        back = [f"create_snap {stands} {slots[-1]}"]
    older = [one for one in slots if one not in needless][:-1]
    back += [f"delete {one}" for one in [*needless, *older]]
    back += [f"create_snap {seat} {source}"] if seat not in there else []
    gone = {one for one in (going, stands) if one in there}
    gone |= {source} if seat not in there else set()
    return back + [f"delete {one}" for one in sorted(gone)]


def send(pool: ThinPool, todo: Iterable[PoolMessages]) -> None:
    """Do it. Twice changes nothing."""
    for one in todo:
        for text in one.messages:
            devmapper.message(pool.device, text)
