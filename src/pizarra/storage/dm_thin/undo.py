"""What a rewind takes away, saved in the thin pool under an id that LVM never gives: no volume, no
LVM metadata, only the blocks that differ.

A seat has two slots for that content, ``UNDO_A`` and ``UNDO_B``. The caller names the free slot and
has written its name to the journal first, so each operation can be done again from its start:

    a reset:   slot := seat, unless the slot is filled;  seat := source
    an undo:   slot := seat, unless the slot is filled;  seat := what is kept;  the kept slot goes

A reset that keeps nothing puts the content under ``DISCARDED``. To delete the last id of a content
takes as long as much was written, because the pool gives each block back. That is done when the
machines have their disks. Callers hold LVM's lock.
"""

from __future__ import annotations

import errno
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.model.labels import Role
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.dm_thin.ids import DISCARDED, PROBE, RESCUE, SPAN, UNDO_A, UNDO_B
from pizarra.storage.dm_thin.metadata import Thin
from pizarra.storage.dm_thin.pool import ThinPool
from pizarra.storage.interface import PRESENT, ContentIds
from pizarra.system import devmapper

ThinDevices = Mapping[int, Thin]  # every thin id of a pool
_BASES = {UndoSlot.A: UNDO_A, UndoSlot.B: UNDO_B}


def slot_id(seat: int, slot: UndoSlot) -> int:
    """The thin id of what this slot of a seat holds."""
    return _BASES[slot] + seat


def filled_slots(seat: int, there: Container[int]) -> frozenset[UndoSlot]:
    """The slots of a seat that hold something."""
    return frozenset(slot for slot in UndoSlot if slot_id(seat, slot) in there)


def content_ids(seat: int, there: ThinDevices) -> ContentIds:
    """When the content of a seat and those of its slots were made, by the pool's count."""
    ids = {PRESENT: seat} | {str(slot): slot_id(seat, slot) for slot in UndoSlot}
    return {name: str(there[one].made) for name, one in ids.items() if one in there}


def rewind(pool: ThinPool, seat: int, source: int, slot: UndoSlot | None) -> None:
    """A seat gets the content of ``source``. What it had goes to the slot; or, where there is none
    or it is filled by what an earlier attempt took away, it is discarded."""
    if slot is None or not _copy(pool, slot_id(seat, slot), seat):
        _copy(pool, DISCARDED + seat, seat)
    _replace(pool, seat, source)


def save(pool: ThinPool, seat: int, slot: UndoSlot) -> None:
    """The slot holds what a seat has, unless it is filled."""
    _copy(pool, slot_id(seat, slot), seat)


def swap(pool: ThinPool, seat: int, kept: UndoSlot, to: UndoSlot, there: ThinDevices) -> None:
    """A seat gets what the slot ``kept`` holds; what it had goes to the slot ``to``. Nothing is
    left to do where only the latter is filled."""
    _copy(pool, slot_id(seat, to), seat)
    if slot_id(seat, kept) in there:
        _replace(pool, seat, slot_id(seat, kept))
        delete_thin(pool, slot_id(seat, kept))


def discard_all(pool: ThinPool, seat: int) -> None:
    """Both slots are empty, and nothing waits to be deleted."""
    for base in (UNDO_A, UNDO_B, DISCARDED, RESCUE):
        delete_thin(pool, base + seat)


def delete_thin(pool: ThinPool, thin_id: int) -> None:
    """Fine if it is not there."""
    try:
        devmapper.message(pool.device, f"delete {thin_id}")
    except StorageFault as error:
        if error.facts.get("errno") != errno.ENODATA:
            raise


def _copy(pool: ThinPool, to: int, source: int) -> bool:
    """Whether ``to`` is a copy now. No, where it is there already, or the source has no content."""
    try:
        devmapper.message(pool.device, f"create_snap {to} {source}")
    except StorageFault as error:
        if error.facts.get("errno") not in (errno.EEXIST, errno.ENODATA):
            raise
        return False
    return True


def _replace(pool: ThinPool, seat: int, source: int) -> None:
    delete_thin(pool, seat)
    devmapper.message(pool.device, f"create_snap {seat} {source}")


@dataclass(frozen=True, slots=True)
class PoolMessages:
    """What the pool is to be told for one seat, in this order."""

    seat: int
    messages: tuple[str, ...]


def messages_to_reclaim(
    keep: Mapping[int, UndoSlot | None], there: ThinDevices
) -> list[PoolMessages]:
    """What seats discarded is deleted; ``keep`` tells for each seat which slot stays, None for
    both. A seat without a content of its own keeps all that it has."""
    found = []
    for seat, slot in sorted(keep.items()):
        needless = [DISCARDED + seat, RESCUE + seat]
        needless += [slot_id(seat, slot.other)] if slot else []
        gone = [f"delete {one}" for one in needless if one in there and seat in there]
        found += [PoolMessages(seat, tuple(gone))] if gone else []
    return found


def holders(volumes: Iterable[Volume]) -> tuple[frozenset[int], frozenset[int]]:
    """Thin ids of seats, and of volumes without a label that can be read: those may be a seat's."""
    thin = [one for one in volumes if one.thin_id]
    seats = {one.thin_id for one in thin if one.labels and one.labels.role is Role.SEAT}
    return frozenset(seats), frozenset(one.thin_id for one in thin if one.labels is None)


def messages_after_crash(
    there: ThinDevices, seats: frozenset[int], strange: frozenset[int] = frozenset()
) -> list[PoolMessages]:
    """What to tell a pool about contents that no record explains: pure.

    Nothing is told of the ``strange``: seats with a damaged label, whose slots wait until it is
    mended, and seats that a record is about. Of a seat that is gone nothing stays. What the journal
    does not explain was left by a Pizarra without a journal: the pool's count of when each content
    was made tells what to do with it.
    """
    ours = {thin_id % SPAN for thin_id in there if DISCARDED <= thin_id < PROBE}
    todo = [
        PoolMessages(seat, tuple(_unexplained(there, seat) if seat in seats else _all(there, seat)))
        for seat in sorted(ours - strange)
    ]
    if PROBE in there:  # nobody is at it: whoever tries holds LVM's lock, as the caller does
        todo.append(PoolMessages(0, (f"delete {PROBE}",)))
    return [one for one in todo if one.messages]


def _all(there: ThinDevices, seat: int) -> list[str]:
    its = (base + seat for base in (UNDO_A, UNDO_B, DISCARDED, RESCUE))
    return [f"delete {one}" for one in its if one in there]


def _unexplained(there: ThinDevices, seat: int) -> list[str]:
    """A seat without a content gets back the youngest of its contents. One slot stays: not one
    that was filled for a step that was never taken, and of two the younger."""
    slots = [slot_id(seat, slot) for slot in filled_slots(seat, there)]
    slots.sort(key=lambda one: there[one].made)
    gone = [base + seat for base in (DISCARDED, RESCUE) if base + seat in there]
    if seat in there:
        needless = [one for one in slots if there[one].made > there[seat].made]
        older = [one for one in slots if one not in needless][:-1]
        return [f"delete {one}" for one in (*needless, *older, *gone)]
    if not slots and not gone:
        return []
    youngest = max((*slots, *gone), key=lambda one: there[one].made)
    left = [one for one in slots if one != youngest]
    needless = [*left[:-1], *(one for one in gone if one != youngest), youngest]
    return [f"create_snap {seat} {youngest}", *(f"delete {one}" for one in needless)]


def send(pool: ThinPool, todo: Iterable[PoolMessages]) -> None:
    """Do it. Twice changes nothing."""
    for one in todo:
        for text in one.messages:
            devmapper.message(pool.device, text)
