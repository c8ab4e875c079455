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
from collections.abc import Mapping, Sequence

from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Volume
from pizarra.model.sentence import N_
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.batches import AtOnce, Step
from pizarra.storage.dm_thin import undo as thin_undo
from pizarra.storage.dm_thin.ids import PROBE
from pizarra.storage.dm_thin.pool import ThinPool, check_active, missing
from pizarra.storage.dm_thin.undo import ThinDevices
from pizarra.storage.interface import RewindTarget, UndoSwap, is_valid_source
from pizarra.storage.lvm.volumes import find_device, not_ours_error
from pizarra.system import devmapper


def pool_of(seat: Volume) -> ThinPool:
    """The pool that it is in."""
    return ThinPool(seat.place, seat.pool)


def lost_sources(pairs: Sequence[RewindTarget]) -> dict[str, PizarraError | None]:
    """The seats that must keep what they have: their baseline could not be put in its place.

    Asked once for each baseline, with a snapshot that is dropped again at once.
    """
    lost: dict[str, PizarraError | None] = {}
    tried: dict[tuple[str, int], PizarraError | None] = {}
    for pair in pairs:
        try:
            _check(pair)
            key = (pool_of(pair.volume).device, pair.source.thin_id)
            if key not in tried:
                tried[key] = _lost(*key)
            if tried[key]:
                lost[pair.volume.uuid] = tried[key]
        except PizarraError as error:
            lost[pair.volume.uuid] = error
    return lost


def _lost(pool: str, baseline: int) -> PizarraError | None:
    try:
        try:
            devmapper.message(pool, f"create_snap {PROBE} {baseline}")
        except StorageFault as error:
            if error.facts.get("errno") != errno.EEXIST:  # there: a trial was cut off
                raise
            devmapper.message(pool, f"delete {PROBE}")
            devmapper.message(pool, f"create_snap {PROBE} {baseline}")
        devmapper.message(pool, f"delete {PROBE}")
    except StorageFault as error:
        return error
    return None


def _check(pair: RewindTarget) -> None:
    seat, baseline = pair.volume, pair.source
    if not is_valid_source(pair):
        raise not_ours_error(seat, N_("its label does not name this baseline"))
    if not (seat.thin_id and baseline.thin_id) or seat.pool != baseline.pool:
        raise not_ours_error(seat, N_("it and its baseline are not thin volumes of one pool"))
    if seat.fault:
        raise not_ours_error(seat, seat.fault)
    if baseline.active:
        raise StorageFault(
            "{place}/{name} is a baseline and must not be active while a seat goes back to it.",
            "Deactivate it: lvchange -an {place}/{name}",
            place=baseline.place,
            name=baseline.name,
        )


def refuse_foreign(volumes: Sequence[Volume]) -> dict[str, PizarraError | None]:
    """Why nothing of a volume can be saved; only of those."""
    return {
        one.uuid: not_ours_error(one, N_("it carries no label of ours"))
        for one in volumes
        if one.labels is None or not one.thin_id
    }


def refuse_swap(one: UndoSwap, there: ThinDevices) -> PizarraError | None:
    """Why a volume cannot change places with what is kept of it."""
    volume = one.volume
    if volume.labels is None or not volume.thin_id:
        return not_ours_error(volume, N_("it carries no label of ours"))
    filled = thin_undo.filled_slots(volume.thin_id, there)
    if not filled:
        return StorageFault("Nothing is kept of what a reset took away.")
    if one.kept not in filled and volume.thin_id not in there:
        return missing(volume.thin_id)
    return None


class TableSwaps:
    """The two table swaps of each seat of one batch. Each is a load and a resume: only the resume
    waits for the kernel.

    The devices are remembered in between. The kernel finds each by its UUID, so nobody has to look
    twice whether the device is still the same.
    """

    def __init__(self, seats: Sequence[Volume]) -> None:
        self._devices: dict[str, devmapper.Device] = {}  # by the UUID of the volume
        pools = {pool_of(seat) for seat in seats}
        self._pools = {pool: devmapper.device(pool.device) for pool in pools}

    def phases(self, change: Step) -> tuple[Step | AtOnce, ...]:
        """All steps of a rewind, with ``change`` while the devices stand on ``error``."""
        return (
            self.load_error,
            AtOnce(self.show_error),
            change,
            self.load_content,
            AtOnce(self.show_content),
            self.flush_page_cache,
        )

    def load_error(self, seat: Volume) -> None:
        """Check the seat's device, empty its page cache, and load an ``error`` table."""
        self._pool_number(seat)
        device = find_device(seat)
        target = device.targets[0]
        if target.kind == "thin" and target.text.split()[1] != str(seat.thin_id):
            raise not_ours_error(seat, N_("its device maps another thin id than LVM says"))
        devmapper.flush_page_cache(device.node)
        self._devices[seat.uuid] = device
        devmapper.load(device, devmapper.error_target(target.length))

    def show_error(self, seat: Volume) -> None:
        """Make the ``error`` table live: the pool may change what the seat contains."""
        devmapper.resume(self._devices[seat.uuid])

    def load_content(self, seat: Volume) -> None:
        """Load the ``thin`` table of the seat."""
        device = self._devices[seat.uuid]
        text = f"{self._pool_number(seat)} {seat.thin_id}"
        devmapper.load(device, devmapper.Target(0, device.targets[0].length, "thin", text))

    def show_content(self, seat: Volume) -> None:
        """Make the ``thin`` table live."""
        devmapper.resume(self._devices[seat.uuid], quiet=True)

    def flush_page_cache(self, seat: Volume) -> None:
        """Nothing that was read before the content changed is left in the page cache."""
        devmapper.flush_page_cache(self._devices[seat.uuid].node)

    def attach(self, seat: Volume) -> None:
        """Let the device of a seat that stands on ``error`` show its content."""
        self._devices[seat.uuid] = find_device(seat)
        for step in (self.load_content, self.show_content, self.flush_page_cache):
            step(seat)

    def _pool_number(self, seat: Volume) -> str:
        pool = pool_of(seat)
        return (self._pools[pool] or check_active(pool)).number


def swap_content(pair: RewindTarget, undo: Mapping[str, UndoSlot]) -> None:
    """What goes has another id before it loses its own."""
    pool, slot = pool_of(pair.volume), undo.get(pair.volume.uuid)
    thin_undo.rewind(pool, pair.volume.thin_id, pair.source.thin_id, slot)


def swap_with_undo(one: UndoSwap, there: ThinDevices) -> None:
    """With what is kept, which was looked at beforehand."""
    thin_undo.swap(pool_of(one.volume), one.volume.thin_id, one.kept, one.to, there)


def discard_all(seat: Volume) -> None:
    """Nothing is kept of it, and nothing waits to be deleted."""
    thin_undo.discard_all(pool_of(seat), seat.thin_id)
