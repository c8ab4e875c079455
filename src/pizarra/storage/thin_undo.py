"""What a rewind takes away, kept in the thin pool under an id that LVM never gives: no volume, no
LVM metadata, only the blocks that differ. One content for each seat.

LVM counts thin ids up from 1; ours are far above. What is kept has the id ``FIRST`` or ``SECOND``
of its seat, whichever was free; ``GOING`` is what nobody is to have again. Callers hold LVM's lock,
and no device of the seat maps its id meanwhile.

    a reset:   free := seat;  seat := baseline.         What was kept before goes later.
    an undo:   free := seat;  seat := kept.             The id of what was kept goes.

So a content always has another id before it loses its own. To delete its last id costs what was
written, for each block is given back: that is done when the machines have their disks.

After a crash the pool itself tells where it was, for it counts when each id was made. A content
made after its seat is a copy for a step that was never taken. A seat without any content had the
youngest of the three, and gets it back; ``GOING`` stands for that one until it has, so that a crash
in the middle of this is known for what it is.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.model.labels import Role
from pizarra.storage.thin_metadata import Thin
from pizarra.storage.thin_pool import ThinPool, thins_read
from pizarra.system import devmapper

GOING = 4 << 20  # of 24 bits
FIRST = 8 << 20
SECOND = 12 << 20
SPAN = 4 << 20


def is_kept(seat: int, there: Iterable[int]) -> bool:
    """Whether something is kept of it among all thin ids."""
    return not {FIRST + seat, SECOND + seat}.isdisjoint(there)


def dropped(pool: ThinPool, thin_id: int) -> None:
    """Fine if it is not there."""
    try:
        devmapper.message(pool.device, f"delete {thin_id}")
    except StorageFault as error:
        if error.facts.get("errno") != errno.ENODATA:
            raise


def none_kept(pool: ThinPool, seat: int) -> None:
    """Nothing is kept of a seat."""
    for base in (FIRST, SECOND):
        dropped(pool, base + seat)


def all_dropped(pool: ThinPool, seat: int) -> None:
    """And nothing goes any more."""
    dropped(pool, GOING + seat)
    none_kept(pool, seat)


def _copied(pool: ThinPool, to: int, source: int) -> bool:
    """Whether ``to`` was free: then it has the content of ``source`` now."""
    try:
        devmapper.message(pool.device, f"create_snap {to} {source}")
    except StorageFault as error:
        if error.facts.get("errno") != errno.EEXIST:
            raise
        return False
    return True


def replaced(pool: ThinPool, seat: int, source: int) -> None:
    """A seat, whose own content has another id or is lost, has that of ``source``."""
    dropped(pool, seat)
    devmapper.message(pool.device, f"create_snap {seat} {source}")


def set_aside(pool: ThinPool, seat: int) -> None:
    """The content of a seat goes. Fine if it has none."""
    try:
        while not _copied(pool, GOING + seat, seat):
            dropped(pool, GOING + seat)
    except StorageFault as error:
        if error.facts.get("errno") != errno.ENODATA:
            raise


def kept(pool: ThinPool, seat: int) -> None:
    """Keep the content of a seat, which has one; what was kept before is the older from now on."""
    if _copied(pool, FIRST + seat, seat) or _copied(pool, SECOND + seat, seat):
        return
    there = thins_read(pool)  # both are there: the older one was not given back
    older = min((FIRST + seat, SECOND + seat), key=lambda thin_id: there[thin_id].made)
    dropped(pool, older)
    devmapper.message(pool.device, f"create_snap {older} {seat}")


def kept_if_work(pool: ThinPool, seat: int, baseline: int) -> None:
    """Keep the content of a seat that a crash may have left without any, or with the original:
    then all stays as it is, for what is kept may be the only copy of a student's work."""
    there = thins_read(pool)
    if seat in there and there[seat].root != there[baseline].root:
        kept(pool, seat)


def exchanged(pool: ThinPool, seat: int) -> None:
    """The seat has what was kept of it, and what it had is kept. Only one of them may be there."""
    free, old = FIRST + seat, SECOND + seat
    if not _copied(pool, free, seat):
        free, old = old, free
        devmapper.message(pool.device, f"create_snap {free} {seat}")
    replaced(pool, seat, old)
    dropped(pool, old)


@dataclass(frozen=True, slots=True)
class Todo:
    """What the pool is to be told for one seat, in this order."""

    seat: int
    messages: tuple[str, ...]


def holders(volumes: Iterable[Volume]) -> tuple[frozenset[int], frozenset[int]]:
    """Thin ids of seats, and of volumes without a label that can be read: those may be a seat's."""
    thin = [one for one in volumes if one.thin_id]
    seats = {one.thin_id for one in thin if one.labels and one.labels.role is Role.SEAT}
    return frozenset(seats), frozenset(one.thin_id for one in thin if one.labels is None)


def settlement(
    there: Mapping[int, Thin], seats: frozenset[int], strange: frozenset[int] = frozenset()
) -> list[Todo]:
    """What there is to do after a reset, or after a crash in the middle of anything: pure.

    ``there``: every thin id. Nothing for the ``strange``: what is kept of a seat waits until its
    label is mended. Of a seat that is gone nothing stays.
    """
    numbers = sorted({thin_id % SPAN for thin_id in there if thin_id >= GOING} - strange)
    todo = [
        Todo(seat, tuple(_put_right(there, seat) if seat in seats else _all_deleted(there, seat)))
        for seat in numbers
    ]
    return [one for one in todo if one.messages]


def _all_deleted(there: Mapping[int, Thin], seat: int) -> list[str]:
    its = (base + seat for base in (FIRST, SECOND, GOING))
    return [f"delete {one}" for one in its if one in there]


def _put_right(there: Mapping[int, Thin], seat: int) -> list[str]:
    """Its content is there, at most one is kept, and none is going. What is going goes last."""
    going = GOING + seat
    slots = [one for one in (FIRST + seat, SECOND + seat) if one in there]
    slots.sort(key=lambda one: there[one].made)
    youngest = max([*slots, *([going] if going in there else [])], key=lambda one: there[one].made)
    ends = [f"delete {going}"] if going in there else []
    if seat in there:
        needless = [one for one in slots if there[one].made > there[seat].made]
        needless += _same(there, going, slots)
        back = []
    elif youngest == going:
        needless = _same(there, going, slots)
        back = [f"create_snap {seat} {going}"]
    else:
        needless = [youngest]
        back = [*ends, f"create_snap {going} {youngest}", f"create_snap {seat} {going}"]
        ends = [f"delete {going}"]
    kept = [one for one in slots if one not in needless]
    drop = dict.fromkeys([*needless, *kept[:-1]])
    return [*back, *(f"delete {one}" for one in drop), *ends]


def _same(there: Mapping[int, Thin], going: int, slots: Iterable[int]) -> list[int]:
    """Those of which ``going`` is a copy: it stands for them."""
    stands = there.get(going)
    return [
        one
        for one in slots
        if stands and there[one].root == stands.root and there[one].made < stands.made
    ]


def settlement_of(seats: frozenset[int], there: Mapping[int, Thin]) -> list[Todo]:
    """Of these only."""
    return [one for one in settlement(there, seats) if one.seat in seats]


def settled(pool: ThinPool, todo: Iterable[Todo]) -> None:
    """Do it. Twice changes nothing."""
    for one in todo:
        for text in one.messages:
            devmapper.message(pool.device, text)
