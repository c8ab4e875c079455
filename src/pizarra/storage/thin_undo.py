"""What a rewind takes away, kept in the thin pool under an id that LVM never gives: no volume, no
LVM metadata, only the blocks that differ. One content for each seat.

LVM counts thin ids up from 1; ``GOING``, ``KEPT`` and ``MOVING`` are far above. Callers hold LVM's
lock, and no device of the seat maps its id meanwhile.

To delete the last id of a content costs what was written: each of its blocks is given back. So
what nobody needs any more first gets the id ``GOING``, in constant time, and is deleted when the
machines have their disks. An exchange of what is kept and what is there is

    moving := seat, seat := kept, kept := moving, (moving is dropped)

and after a crash anywhere in it the mapping roots tell where it was: whoever has the same root has
the same content.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping

from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.model.labels import Role
from pizarra.system import devmapper

GOING = 4 << 20  # of 24 bits
KEPT = 8 << 20
MOVING = 12 << 20
SPAN = 4 << 20


def dropped(pool: str, thin_id: int) -> None:
    """Fine if it is not there."""
    try:
        devmapper.message(pool, f"delete {thin_id}")
    except StorageFault as error:
        if error.facts.get("errno") != errno.ENODATA:
            raise


def copied(pool: str, to: int, source: int) -> None:
    """``to`` has the content of ``source``, whatever it had before."""
    try:
        devmapper.message(pool, f"create_snap {to} {source}")
    except StorageFault as error:
        if error.facts.get("errno") != errno.EEXIST:
            raise
        dropped(pool, to)
        devmapper.message(pool, f"create_snap {to} {source}")


def set_aside(pool: str, seat: int, thin_id: int) -> None:
    """``thin_id`` is free, whatever is in it, and at once. Fine if it is not there."""
    try:
        copied(pool, GOING + seat, thin_id)
    except StorageFault as error:
        if error.facts.get("errno") != errno.ENODATA:
            raise
        return
    dropped(pool, thin_id)


def given_back(pool: str, seat: int) -> None:
    """The blocks of what was set aside."""
    dropped(pool, GOING + seat)


def kept(pool: str, seat: int) -> None:
    """Keep the content of a seat; what was kept of it before is set aside."""
    set_aside(pool, seat, KEPT + seat)
    devmapper.message(pool, f"create_snap {KEPT + seat} {seat}")


def kept_if_there(pool: str, seat: int) -> None:
    """Keep the content of a seat that a crash may have left without any; then all stays as it is,
    for what is kept may be the only copy of a student's work."""
    try:
        devmapper.message(pool, f"create_snap {MOVING + seat} {seat}")
    except StorageFault as error:
        if error.facts.get("errno") not in (errno.ENODATA, errno.EEXIST):
            raise
        return
    copied(pool, KEPT + seat, MOVING + seat)
    dropped(pool, MOVING + seat)


def exchanged(pool: str, seat: int) -> None:
    """The seat has what was kept of it, and what it had is kept. Both are there, and alone."""
    copied(pool, MOVING + seat, seat)
    copied(pool, seat, KEPT + seat)
    copied(pool, KEPT + seat, MOVING + seat)
    dropped(pool, MOVING + seat)


def holders(volumes: Iterable[Volume]) -> tuple[frozenset[int], frozenset[int]]:
    """Thin ids of seats, and of volumes without a label that can be read: those may be a seat's."""
    thin = [one for one in volumes if one.thin_id]
    seats = {one.thin_id for one in thin if one.labels and one.labels.role is Role.SEAT}
    return frozenset(seats), frozenset(one.thin_id for one in thin if one.labels is None)


def settlement(
    roots: Mapping[int, int], seats: frozenset[int], strange: frozenset[int] = frozenset()
) -> list[tuple[str, int]]:
    """What is to be done after a crash, as (word, seat id): pure. ``roots`` of every thin id.

    Nothing for the ``strange``: what is kept of a seat waits until its label is mended.
    ``back``: the seat lost its content in an exchange, and gets it again. ``end``: what was there
    is kept now. ``drop``: nothing is lost by dropping what moved. ``forget``: the seat is gone.
    ``give``: what was set aside goes.
    """
    todo: list[tuple[str, int]] = []
    for seat in sorted({thin_id % SPAN for thin_id in roots if thin_id >= GOING}):
        here, kept, moving = (roots.get(base + seat) for base in (0, KEPT, MOVING))
        if seat in strange:
            continue
        if seat not in seats:
            todo.append(("forget", seat))
            continue
        if GOING + seat in roots:
            todo.append(("give", seat))
        if moving is None:
            continue
        if here is None:
            todo.append(("back", seat))
        elif moving in (here, kept):
            todo.append(("drop", seat))
        else:
            todo.append(("end", seat))
    return todo


def settled(pool: str, todo: list[tuple[str, int]]) -> None:
    """Do it. Twice changes nothing."""
    for word, seat in todo:
        if word == "give":  # in a hold of the lock each, by the caller
            continue
        if word == "back":
            devmapper.message(pool, f"create_snap {seat} {MOVING + seat}")
        if word == "end":
            copied(pool, KEPT + seat, MOVING + seat)
        if word == "forget":
            given_back(pool, seat)
            dropped(pool, KEPT + seat)
        dropped(pool, MOVING + seat)
