"""Thin volumes: golden, thin snapshots of it, and the rewind in place.

LVM's metadata maps a volume's *name to a thin device id*; the pool knows what that id contains. So
the content goes back to the baseline under an unchanged volume, with no LVM metadata written:

1. the seat's device gets an ``error`` table (whoever holds it open keeps it open)
2. to the pool: ``delete <seat id>``, then ``create_snap <seat id> <baseline id>``; what is deleted
   has another id by then (``thin_undo``), so that this costs the same whatever was written
3. the seat's device gets its ``thin`` table back

Each table swap waits for RCU grace periods; those of different seats overlap in threads. The pool
takes the messages one after another: it commits its metadata after each. LVM's lock is held all the
while, so no ``lvcreate`` of anybody sees the middle; a batch is small and goes before other work,
so nobody waits long.
"""

from __future__ import annotations

import errno
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pizarra.errors import AlreadyExists, HostNotFit, PizarraError, StorageFault
from pizarra.model.facts import Pool, StorageKind, Volume
from pizarra.model.labels import Role
from pizarra.model.sentence import Sentence
from pizarra.storage import lvm_commands, thin_pool, thin_undo
from pizarra.storage.interface import (
    Capabilities,
    Change,
    Changes,
    Faults,
    Move,
    NewVolume,
    Pair,
    Progress,
    goes_together,
    unseen,
)
from pizarra.storage.lvm_volumes import (
    LvmVolumes,
    checked_space,
    device_checked,
    lvm,
    lvm_batch,
    lvm_facts_unlocked,
    not_ours,
)
from pizarra.storage.pairwise import each, in_batches, in_phases
from pizarra.storage.thin_transaction import messages_to_end, unended
from pizarra.system import devmapper
from pizarra.system.locks import vg_locked
from pizarra.system.rcu import expedited
from pizarra.system.urgency import urgent

_BETWEEN_S = 0.01  # those who wait for LVM's lock look each 2 ms
_TRIAL_ID = 16_777_214  # next to the largest of 24 bits; LVM counts up from 1
_POOL_SHARE_PERCENT = 80  # of the free space, for a pool we make: the rest lets it grow


_Swap = Callable[[Pair, bool], None]  # is told whether the seat surely has a content
_Check = Callable[[Sequence[Pair]], dict[str, PizarraError | None]]


class LvmThinStorage(LvmVolumes):
    """A thin pool in a volume group."""

    kind = StorageKind.LVM_THIN
    capabilities = Capabilities(
        hot_reset=True,
        disk_type="block",
        disk_format="raw",
        new_is_zero=True,
        moves_at_reset=True,
        undo=True,
        checkpoints=True,
    )

    def __init__(self, vg: str, pool: str = "pizarra") -> None:
        super().__init__(vg)
        self.pool = pool

    def prepared(self) -> Pool:
        """The pool, made now if there is none."""
        pool = self._pool_found()
        if pool is None:
            lvm(lvm_commands.pool_create(self.place, self.pool, _POOL_SHARE_PERCENT))
            pool = self._pool_found()
        if pool is None:
            raise StorageFault("{vg}/{pool} is not there after all.", vg=self.place, pool=self.pool)
        return pool

    def _pool_found(self) -> Pool | None:
        pools = self.observe().pools
        return next((p for p in pools if p.name == self.pool and p.kind is self.kind), None)

    def space_checked(self, new_bytes: int, what: str) -> None:
        """Against the free data blocks of the pool."""
        pool = self.prepared()
        if pool.fault:
            raise HostNotFit(
                "The thin pool {vg}/{pool} is not well: {fault}.",
                "See: lvs -a {vg}; and: pizarra host check",
                vg=self.place,
                pool=self.pool,
                fault=pool.fault,
            )
        checked_space(pool.free_bytes, new_bytes, what, f"thin pool {self.place}/{self.pool}")

    def golden_created(self, new: NewVolume) -> Volume:
        """An empty thin volume, active."""
        self.prepared()
        lvm(lvm_commands.thin_create(self.place, self.pool, new))
        return self.found(new.name)

    def draft_created(self, golden: Volume, new: NewVolume, progress: Progress = unseen) -> Volume:
        """A thin snapshot, whatever the size."""
        lvm(lvm_commands.thin_snapshot(self.place, golden.name, new))
        if new.size_bytes > golden.size_bytes:
            lvm(lvm_commands.extend(self.place, new.name, new.size_bytes))
        progress(1.0)
        return self.found(new.name)

    def _closed(self, volume: Volume) -> None:
        """Inactive: a snapshot of an active origin would copy a moving target."""
        if volume.active:
            devmapper.flush_page_cache(volume.path)
            lvm(lvm_commands.change(self.place, volume.name, "-an", "-ky"))

    def seats_created(self, golden: Volume, new: Sequence[NewVolume]) -> None:
        """Thin snapshots, fed to one ``lvm`` process, then grown if they are to be larger."""
        lvm_batch([lvm_commands.thin_snapshot(self.place, golden.name, one) for one in new])
        larger = [one for one in new if one.size_bytes > golden.size_bytes]
        lvm_batch([lvm_commands.extend(self.place, one.name, one.size_bytes) for one in larger])

    def baseline_created(self, seat: Volume, new: NewVolume) -> Volume:
        """The original state of an adopted volume: a snapshot that is only ever a source."""
        lvm(lvm_commands.thin_baseline(self.place, seat.name, new))
        return self.found(new.name)

    def checkpoints_created(self, new: Sequence[tuple[Volume, NewVolume]]) -> Faults:
        """Snapshots that sleep, fed to one process; LVM holds each origin still meanwhile."""
        taken = {volume.name for volume in self.observe().volumes}
        faults = self.strangers([volume for volume, _ in new])
        faults |= {
            volume.uuid: AlreadyExists("There is a volume {name} already.", name=one.name)
            for volume, one in new
            if one.name in taken
        }
        these = [(volume, one) for volume, one in new if volume.uuid not in faults]
        try:
            lvm_batch([lvm_commands.thin_baseline(self.place, v.name, one) for v, one in these])
        except PizarraError as error:
            there = {volume.name for volume in self.observe().volumes}
            failed = {v.uuid: error for v, one in these if one.name not in there}
            return {**faults, **{v.uuid: None for v, _ in these}, **failed}
        return {**faults, **{volume.uuid: None for volume, _ in these}}

    def moved(self, moves: Sequence[Move]) -> Faults:
        """Another UUID on the label, in one process; larger first if that one is larger."""
        strangers = self.strangers([move.volume for move in moves])
        moves = [move for move in moves if move.volume.uuid not in strangers]
        smaller = [move for move in moves if move.volume.size_bytes < move.golden.size_bytes]
        grown = [
            lvm_commands.extend(self.place, move.volume.name, move.golden.size_bytes)
            for move in smaller
        ]
        named = [lvm_commands.relabelled(move.volume, move.labels) for move in moves]
        try:
            lvm_batch([*grown, *filter(None, named)])
        except PizarraError as error:
            return {**strangers, **self._unmoved(moves, error)}
        return {**strangers, **{move.volume.uuid: None for move in moves}}

    def _unmoved(self, moves: Sequence[Move], error: PizarraError) -> Faults:
        """LVM complained of some: look which."""
        now = {volume.uuid: volume for volume in self.observe().volumes}
        return {
            move.volume.uuid: None
            if (present := now.get(move.volume.uuid))
            and present.labels == move.labels
            and present.size_bytes >= move.golden.size_bytes
            else error
            for move in moves
        }

    def rewound(self, pairs: Sequence[Pair], *, keep: bool | None = None) -> Faults:
        """In place, batch by batch, each under one hold of LVM's lock."""
        return self._swapped(pairs, _baselines_lost, partial(_content_swapped, keep=keep))

    def _swapped(self, pairs: Sequence[Pair], lost: _Check, swap: _Swap) -> Faults:
        """``swap`` what the seats contain, except of those that are ``lost`` beforehand."""
        asleep = [pair for pair in pairs if not pair.seat.active]
        awake = [pair for pair in pairs if pair.seat.active]
        return {
            **in_batches(awake, partial(self._awake_swapped, lost=lost, swap=swap)),
            **in_batches(asleep, partial(self._asleep_swapped, lost=lost, swap=swap)),
        }

    def _awake_swapped(self, pairs: Sequence[Pair], *, lost: _Check, swap: _Swap) -> Faults:
        with vg_locked(self.place), expedited(), urgent():
            left = lost(pairs)
            sound = [pair for pair in pairs if pair.seat.uuid not in left]
            # a seat whose content could not be put right stays on its error table: it fails loudly
            whole: set[str] = set()
            detached = partial(_detached, whole=whole)
            swapped = partial(_step_taken, swap, whole)
            return {**left, **in_phases(sound, detached, swapped, _attached)}

    def _asleep_swapped(self, pairs: Sequence[Pair], *, lost: _Check, swap: _Swap) -> Faults:
        """Volumes that are not active, as after a power cut in the middle: content, then device.

        Nothing maps them, so no table has to be swapped; LVM is asked again under its own lock
        whether the thin ids are still theirs.
        """
        with vg_locked(self.place):
            faults = dict(lost(pairs))
            now = {volume.uuid: volume.thin_id for volume in lvm_facts_unlocked(self.place).volumes}
            for pair in pairs:
                if now.get(pair.seat.uuid) != pair.seat.thin_id:
                    faults[pair.seat.uuid] = not_ours(pair.seat, "it changed meanwhile")
                elif pair.seat.uuid not in faults:
                    faults[pair.seat.uuid] = _refused(partial(_step_taken, swap, ()), pair)
        right = [pair for pair in pairs if faults.get(pair.seat.uuid) is None]
        return {**faults, **each(right, self._activated)}

    def given_back(self, volumes: Sequence[Volume]) -> Faults:
        """A message each, as long as much was written. The first that fails ends it."""
        faults: dict[str, PizarraError | None] = {one.uuid: None for one in volumes}
        these = [one for one in volumes if 0 < one.thin_id < thin_undo.SPAN]
        for number, volume in enumerate(these):
            try:
                self._given_back(_pool_device(volume), volume.thin_id)
            except (StorageFault, OSError) as error:
                why = error if isinstance(error, StorageFault) else _cause(volume, error)
                return faults | {one.uuid: why for one in these[number:]}
        return faults

    def _given_back(self, pool: str, seat: int) -> None:
        """Whoever waits for LVM's lock has it in between."""
        with vg_locked(self.place):
            thin_undo.given_back(pool, seat)
        time.sleep(_BETWEEN_S)

    def kept(self, volumes: Sequence[Volume]) -> frozenset[str]:
        """By the thin ids that the pools have."""
        found: set[str] = set()
        for pool, these in _by_pool(volumes).items():
            there = thin_pool.roots_read(thin_pool.ThinPool(self.place, pool)).keys()
            found |= {one.uuid for one in these if thin_undo.KEPT + one.thin_id in there}
        return frozenset(found)

    def put_back(self, volumes: Sequence[Volume]) -> Faults:
        """As a rewind, with another content."""
        why: dict[str, PizarraError | None] = {}
        for pool, these in _by_pool(volumes).items():
            there = thin_pool.roots_read(thin_pool.ThinPool(self.place, pool)).keys()
            why |= {one.uuid: _not_put_back(one.thin_id, there) for one in these}
        pairs = [Pair(seat=one, baseline=one) for one in volumes if why.get(one.uuid) is None]
        return {**why, **self._swapped(pairs, _strange, _exchanged)}

    def kept_dropped(self, volumes: Sequence[Volume]) -> Faults:
        """A message each."""
        pairs = [Pair(seat=one, baseline=one) for one in volumes]
        with vg_locked(self.place):
            return {pair.seat.uuid: _refused(_kept_dropped, pair) for pair in pairs}

    def settled(self, volumes: Sequence[Volume]) -> Sequence[str]:
        """Told by the mapping roots. Only ids that LVM never gives, and that none of them has."""
        told: list[str] = []
        there = self.observe().volumes
        if any(one.thin_id >= thin_undo.GOING for one in there):
            return told  # somebody counts differently: those ids are not ours
        # of a pool whose last seat is gone as well; a golden volume tells that it is ours
        for pool in sorted({one.pool for one in (*volumes, *there) if one.pool and one.labels}):
            its = thin_pool.ThinPool(self.place, pool)
            seats, strange = thin_undo.holders([one for one in there if one.pool == pool])
            if not seats and devmapper.device(its.device) is None:
                continue  # it sleeps, as a pool of golden volumes may
            if self._transaction_ended(its, there):
                told.append(Sentence("{pool}: what LVM was cut off in is ended", pool=pool))
            with vg_locked(self.place):
                todo = thin_undo.settlement(thin_pool.roots_read(its), seats, strange)
                thin_undo.settled(its.device, todo)
            for seat in [seat for word, seat in todo if word == "give"]:
                self._given_back(its.device, seat)
            if todo:
                text = "{pool}: {n} undos that were cut off or left behind are settled"
                told.append(Sentence(text, pool=pool, n=len(todo)))
        return told

    def _transaction_ended(self, pool: thin_pool.ThinPool, there: Sequence[Volume]) -> bool:
        """See storage/thin_transaction.py. Whether there was one to end."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "group"
            lvm(lvm_commands.metadata_to(self.place, str(file)))
            waiting = unended(file.read_text(encoding="utf-8"), pool.pool)
        if waiting is None:
            return False
        its = [one for one in there if one.pool == pool.pool]
        with vg_locked(self.place):
            counted = int(devmapper.status(pool.device)[0].text.split()[0])
            ids = {one.name: one.thin_id for one in its}
            ours = [one.name for one in its if one.labels]
            roots = thin_pool.roots_read(pool)
            messages = messages_to_end(waiting, counted, roots.keys(), ids, ours)
            for message in messages:
                devmapper.message(pool.device, message)
        return bool(messages)

    def removed(self, volumes: Sequence[Volume]) -> Faults:
        """And what is kept of them."""
        faults = super().removed(volumes)
        gone = [one for one in volumes if one.thin_id and faults[one.uuid] is None]
        seats = [one for one in gone if one.labels and one.labels.role is Role.SEAT]
        if seats:
            self.kept_dropped(seats)
        return faults

    def _activated(self, pair: Pair) -> None:
        lvm(lvm_commands.change(self.place, pair.seat.name, "-ay", "-K"))

    def proven(self, pairs: Sequence[Pair]) -> Changes:
        """By comparing mapping trees: those of an original seat and its baseline have one root."""
        return self._compared(pairs, lambda pool, these: thin_pool.changes_read(pool, _ids(these)))

    def witnessed(self, pairs: Sequence[Pair]) -> Changes:
        """By ``thin_delta``, a process a seat."""
        return self._compared(pairs, lambda pool, these: thin_pool.changes_told(pool, _ids(these)))

    def _compared(
        self,
        pairs: Sequence[Pair],
        compare: Callable[[thin_pool.ThinPool, Sequence[Pair]], list[Change | PizarraError]],
    ) -> Changes:
        found: dict[str, Change | PizarraError] = {}
        for pool in sorted({pair.seat.pool for pair in pairs}):
            these = [pair for pair in pairs if pair.seat.pool == pool]
            changes = compare(thin_pool.ThinPool(self.place, pool), these)
            uuids = [pair.seat.uuid for pair in these]
            found |= dict(zip(uuids, changes, strict=True))
        return found


def _by_pool(volumes: Sequence[Volume]) -> dict[str, list[Volume]]:
    found: dict[str, list[Volume]] = defaultdict(list)
    for volume in volumes:
        if volume.pool and volume.thin_id:
            found[volume.pool].append(volume)
    return found


def _ids(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    return [(pair.baseline.thin_id, pair.seat.thin_id) for pair in pairs]


def _pool_device(seat: Volume) -> str:
    return thin_pool.ThinPool(seat.place, seat.pool).device


def _baselines_lost(pairs: Sequence[Pair]) -> dict[str, PizarraError | None]:
    """The seats that must keep what they have: their baseline could not be put in its place.

    Asked once for each baseline, with a snapshot that is dropped again at once.
    """
    lost: dict[str, PizarraError | None] = {}
    tried: dict[tuple[str, int], PizarraError | None] = {}
    for pair in pairs:
        try:
            _checked(pair)
            key = (_pool_device(pair.seat), pair.baseline.thin_id)
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


def _detached(pair: Pair, *, whole: set[str]) -> None:
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


def _step_taken(swap: _Swap, whole: Collection[str], pair: Pair) -> None:
    swap(pair, pair.seat.uuid in whole)


def _content_swapped(pair: Pair, whole: bool, *, keep: bool | None) -> None:
    """What is kept is there before anything goes."""
    pool, seat = _pool_device(pair.seat), pair.seat.thin_id
    if keep and whole:
        thin_undo.kept(pool, seat)
    elif keep:
        thin_undo.kept_if_there(pool, seat)
    elif keep is False:
        thin_undo.dropped(pool, thin_undo.KEPT + seat)
    if keep:
        thin_undo.dropped(pool, seat)  # it has another id now
    else:
        thin_undo.set_aside(pool, seat, seat)
    devmapper.message(pool, f"create_snap {seat} {pair.baseline.thin_id}")


def _exchanged(pair: Pair, whole: bool) -> None:
    _ = whole  # was looked at beforehand
    thin_undo.exchanged(_pool_device(pair.seat), pair.seat.thin_id)


def _not_put_back(seat: int, there: Collection[int]) -> PizarraError | None:
    if seat not in there or thin_undo.MOVING + seat in there:
        return thin_pool.missing(seat)
    if thin_undo.KEPT + seat not in there:
        return StorageFault("Nothing is kept of what a reset took away.")
    return None


def _cause(volume: Volume, error: OSError) -> StorageFault:
    return StorageFault("{name}: {cause}.", name=volume.name, cause=error.strerror)


def _kept_dropped(pair: Pair) -> None:
    pool, seat = _pool_device(pair.seat), pair.seat.thin_id
    thin_undo.given_back(pool, seat)
    thin_undo.dropped(pool, thin_undo.KEPT + seat)
    thin_undo.dropped(pool, thin_undo.MOVING + seat)


def _strange(pairs: Sequence[Pair]) -> dict[str, PizarraError | None]:
    """Those that no exchange may touch."""
    return {
        pair.seat.uuid: not_ours(pair.seat, "it carries no label of ours")
        for pair in pairs
        if pair.seat.labels is None or not pair.seat.thin_id
    }


def _refused(step: Callable[[Pair], None], pair: Pair) -> PizarraError | None:
    try:
        step(pair)
    except StorageFault as error:
        return error
    return None


def _attached(pair: Pair) -> None:
    pool = devmapper.device(_pool_device(pair.seat))
    device = devmapper.device(devmapper.dm_name(pair.seat.place, pair.seat.name))
    assert pool is not None and device is not None, "both were there under this very lock"
    length = device.targets[0].length
    text = f"{pool.number} {pair.seat.thin_id}"
    devmapper.swap(device, devmapper.Target(0, length, "thin", text), quiet=True)
    devmapper.flush_page_cache(device.node)
