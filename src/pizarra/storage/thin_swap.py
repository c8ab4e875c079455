"""What a seat's device shows changes under it: the steps for one seat, and what is asked before.

LVM's metadata maps a volume's *name to a thin device id*; the pool knows what that id contains. So
the content changes under an unchanged volume, with no LVM metadata written:

1. the seat's device gets an ``error`` table (whoever holds it open keeps it open)
2. messages to the pool: what is there gets another id, and the seat's id another content
   (``thin_undo``), at the same cost whatever was written
3. the seat's device gets its ``thin`` table back

Callers hold LVM's lock from the first to the last.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Volume
from pizarra.storage import thin_undo
from pizarra.storage.interface import Pair, goes_together
from pizarra.storage.lvm_volumes import device_checked, not_ours
from pizarra.storage.thin_ids import TRIAL
from pizarra.storage.thin_pool import ThinPool, missing
from pizarra.storage.thin_undo import There
from pizarra.system import devmapper


def pool_of(seat: Volume) -> ThinPool:
    """The pool that it is in."""
    return ThinPool(seat.place, seat.pool)


def baselines_lost(pairs: Sequence[Pair]) -> dict[str, PizarraError | None]:
    """The seats that must keep what they have: their baseline could not be put in its place.

    Asked once for each baseline, with a snapshot that is dropped again at once.
    """
    lost: dict[str, PizarraError | None] = {}
    tried: dict[tuple[str, int], PizarraError | None] = {}
    for pair in pairs:
        try:
            _checked(pair)
            key = (pool_of(pair.seat).device, pair.baseline.thin_id)
            if key not in tried:
                tried[key] = _lost(*key)
            if tried[key]:
                lost[pair.seat.uuid] = tried[key]
        except PizarraError as error:
            lost[pair.seat.uuid] = error
    return lost


def _lost(pool: str, baseline: int) -> PizarraError | None:
    try:
        try:
            devmapper.message(pool, f"create_snap {TRIAL} {baseline}")
        except StorageFault as error:
            if error.facts.get("errno") != errno.EEXIST:  # there: a trial was cut off
                raise
            devmapper.message(pool, f"delete {TRIAL}")
            devmapper.message(pool, f"create_snap {TRIAL} {baseline}")
        devmapper.message(pool, f"delete {TRIAL}")
    except StorageFault as error:
        return error
    return None


def _checked(pair: Pair) -> None:
    seat, baseline = pair.seat, pair.baseline
    if not goes_together(pair):
        raise not_ours(seat, "its label does not name this baseline")
    if not (seat.thin_id and baseline.thin_id) or seat.pool != baseline.pool:
        raise not_ours(seat, "it and its baseline are not thin volumes of one pool")
    if seat.fault:
        raise not_ours(seat, seat.fault)
    if baseline.active:
        raise StorageFault(
            "{place}/{name} is a baseline and must not be active while a seat goes back to it.",
            "Deactivate it: lvchange -an {place}/{name}",
            place=baseline.place,
            name=baseline.name,
        )


def not_put_back(pair: Pair, there: There) -> PizarraError | None:
    """Why an exchange with what is kept cannot be."""
    seat = pair.seat.thin_id
    if pair.seat.labels is None or not seat:
        return not_ours(pair.seat, "it carries no label of ours")
    if seat not in there:
        return missing(seat)
    if not thin_undo.kept_of(seat, there):
        return StorageFault("Nothing is kept of what a reset took away.")
    return None


def detached(pair: Pair) -> None:
    """The seat's device stands on ``error``; nothing of the past is left in the page cache."""
    device = device_checked(pair.seat)
    target = device.targets[0]
    if target.kind == "thin" and target.text.split()[1] != str(pair.seat.thin_id):
        raise not_ours(pair.seat, "its device maps another thin id than LVM says")
    devmapper.flush_page_cache(device.node)
    devmapper.swap(device, devmapper.error_target(target.length))


def content_swapped(pair: Pair, there: There, *, keep: bool | None) -> None:
    """What goes has another id before it loses its own."""
    pool, seat = pool_of(pair.seat), pair.seat.thin_id
    if keep:
        thin_undo.kept(pool, seat, there)
    else:
        thin_undo.set_aside(pool, seat, there)
    thin_undo.replaced(pool, seat, pair.baseline.thin_id)
    if keep is False:
        thin_undo.none_kept(pool, seat)


def exchanged(pair: Pair, there: There) -> None:
    """With what is kept, which was looked at beforehand."""
    thin_undo.exchanged(pool_of(pair.seat), pair.seat.thin_id, there)


def all_dropped(pair: Pair) -> None:
    """Nothing is kept of it, and nothing goes any more."""
    thin_undo.all_dropped(pool_of(pair.seat), pair.seat.thin_id)


def attached(pair: Pair) -> None:
    """The seat's device shows its content."""
    its = pool_of(pair.seat)
    pool = devmapper.device(its.device)
    device = device_checked(pair.seat)
    if pool is None:
        raise StorageFault(
            "The thin pool {vg}/{pool} is not active.",
            "Activate it: vgchange -ay {vg}",
            vg=its.vg,
            pool=its.pool,
        )
    length = device.targets[0].length
    text = f"{pool.number} {pair.seat.thin_id}"
    devmapper.swap(device, devmapper.Target(0, length, "thin", text), quiet=True)
    devmapper.flush_page_cache(device.node)
