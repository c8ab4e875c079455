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
from pizarra.storage.thin_pool import ThinPool
from pizarra.system import devmapper

_TRIAL_ID = 16_777_214  # next to the largest of 24 bits; LVM counts up from 1


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


def strangers(pairs: Sequence[Pair]) -> dict[str, PizarraError | None]:
    """Those that no exchange may touch."""
    return {
        pair.seat.uuid: not_ours(pair.seat, "it carries no label of ours")
        for pair in pairs
        if pair.seat.labels is None or not pair.seat.thin_id
    }


def _lost(pool: str, baseline: int) -> PizarraError | None:
    try:
        try:
            devmapper.message(pool, f"create_snap {_TRIAL_ID} {baseline}")
        except StorageFault as error:
            if error.facts.get("errno") != errno.EEXIST:  # there: a trial was cut off
                raise
            devmapper.message(pool, f"delete {_TRIAL_ID}")
            devmapper.message(pool, f"create_snap {_TRIAL_ID} {baseline}")
        devmapper.message(pool, f"delete {_TRIAL_ID}")
    except StorageFault as error:
        return error
    return None


def _checked(pair: Pair) -> None:
    seat, baseline = pair.seat, pair.baseline
    if not goes_together(pair):
        raise not_ours(seat, "its label does not name this baseline")
    if not (seat.thin_id and baseline.thin_id) or seat.pool != baseline.pool:
        raise not_ours(seat, "it and its baseline are not thin volumes of one pool")
    if seat.thin_id >= thin_undo.SPAN:
        raise not_ours(seat, "its thin id is one of those that undos have")
    if baseline.active:
        raise StorageFault(
            "{place}/{name} is a baseline and must not be active while a seat goes back to it.",
            "Deactivate it: lvchange -an {place}/{name}",
            place=baseline.place,
            name=baseline.name,
        )


def detached(pair: Pair, *, whole: set[str]) -> None:
    """The seat's device stands on ``error``; nothing of the past is left in the page cache.

    ``whole`` gets those that surely have a content: their device had it until now.
    """
    device = device_checked(pair.seat)
    target = device.targets[0]
    if target.kind == "thin":
        whole.add(pair.seat.uuid)
    if target.kind == "thin" and target.text.split()[1] != str(pair.seat.thin_id):
        raise not_ours(pair.seat, "its device maps another thin id than LVM says")
    devmapper.flush_page_cache(device.node)
    devmapper.swap(device, devmapper.error_target(target.length))


def content_swapped(pair: Pair, whole: bool, *, keep: bool | None) -> None:
    """What goes has another id before it loses its own."""
    pool, seat, baseline = pool_of(pair.seat), pair.seat.thin_id, pair.baseline.thin_id
    if keep and whole:
        thin_undo.kept(pool, seat)
    elif keep:
        thin_undo.kept_if_work(pool, seat, baseline)
    else:
        thin_undo.set_aside(pool, seat)
    thin_undo.replaced(pool, seat, baseline)
    if keep is False:
        thin_undo.none_kept(pool, seat)


def exchanged(pair: Pair, whole: bool) -> None:
    """With what is kept, which was looked at beforehand."""
    _ = whole
    thin_undo.exchanged(pool_of(pair.seat), pair.seat.thin_id)


def all_dropped(pair: Pair) -> None:
    """Nothing is kept of it."""
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
