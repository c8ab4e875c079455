"""Thin volumes: golden, thin snapshots of it, and the rewind in place.

A seat's content changes under its device (``thin_swap``); LVM's metadata says the same as before.
Each table swap waits for RCU grace periods; those of different seats overlap in threads. The pool
takes the messages one after another: it commits its metadata after each. LVM's lock is held all the
while, so no ``lvcreate`` of anybody sees the middle; a batch is small and goes before other work,
so nobody waits long.
"""

from __future__ import annotations

import errno
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pizarra.errors import AlreadyExists, HostNotFit, PizarraError, StorageFault
from pizarra.model.facts import Pool, StorageKind, Volume
from pizarra.model.labels import Role
from pizarra.model.sentence import Sentence
from pizarra.storage import lvm_commands, thin_ids, thin_pool, thin_swap, thin_undo
from pizarra.storage.interface import (
    Capabilities,
    Change,
    Changes,
    Faults,
    Move,
    NewVolume,
    Pair,
    Progress,
    unseen,
)
from pizarra.storage.lvm_volumes import (
    LvmVolumes,
    checked_space,
    lvm,
    lvm_batch,
    lvm_facts_unlocked,
    not_ours,
)
from pizarra.storage.pairwise import each, in_batches, in_phases, tried
from pizarra.storage.thin_metadata import Thin
from pizarra.storage.thin_transaction import messages_to_end, unended
from pizarra.storage.thin_undo import Todo
from pizarra.system import devmapper
from pizarra.system.locks import vg_locked
from pizarra.system.rcu import expedited
from pizarra.system.urgency import urgent

_SETTLED_AT_ONCE = 8  # seats under one hold of LVM's lock: what they had written is given back
_BETWEEN_S = 0.01  # those who wait for LVM's lock look each 2 ms
_POOL_SHARE_PERCENT = 80  # of the free space, for a pool we make: the rest lets it grow


_Pools = Mapping[thin_pool.ThinPool, Mapping[int, Thin]]  # what each has
_Swap = Callable[[Pair, Mapping[int, Thin]], None]
_Check = Callable[[Sequence[Pair], _Pools], dict[str, PizarraError | None]]


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
        self._nobodys_dropped({one.name for one in new})

    def _nobodys_dropped(self, names: Collection[str]) -> None:
        """LVM gives thin ids anew: nobody shall have what was kept of another."""
        seats = [one for one in self.observe().volumes if one.name in names and not one.fault]
        for pool, these in self._by_pool(seats).items():
            with vg_locked(self.place):
                for one in these:
                    thin_undo.all_dropped(pool, one.thin_id)

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
        swap = partial(thin_swap.content_swapped, keep=keep)
        return self._swapped(pairs, lambda these, _: thin_swap.baselines_lost(these), swap)

    def _swapped(self, pairs: Sequence[Pair], refused: _Check, swap: _Swap) -> Faults:
        """``swap`` what the seats contain, except of those that are ``refused`` beforehand."""
        asleep = [pair for pair in pairs if not pair.seat.active]
        awake = [pair for pair in pairs if pair.seat.active]
        return {
            **in_batches(awake, partial(self._awake_swapped, refused=refused, swap=swap)),
            **in_batches(asleep, partial(self._asleep_swapped, refused=refused, swap=swap)),
        }

    @contextmanager
    def _held(self, pairs: Sequence[Pair]) -> Iterator[_Pools]:
        """LVM's lock, and what the pools have. What seats were cut off in is put right first."""
        pools = self._by_pool([pair.seat for pair in pairs])
        with ExitStack() as stack:
            for pool in sorted(pools, key=lambda one: one.device):
                stack.enter_context(thin_pool.metadata_claimed(pool))
            stack.enter_context(vg_locked(self.place))
            yield {pool: _put_right(pool, these) for pool, these in pools.items()}

    def _awake_swapped(self, pairs: Sequence[Pair], *, refused: _Check, swap: _Swap) -> Faults:
        with self._held(pairs) as pools, expedited(), urgent():
            left = refused(pairs, pools)
            sound = [pair for pair in pairs if not left.get(pair.seat.uuid)]
            # a seat whose content could not be put right stays on its error table: it fails loudly
            step = partial(_step_taken, swap, pools)
            return {**left, **in_phases(sound, thin_swap.detached, step, thin_swap.attached)}

    def _asleep_swapped(self, pairs: Sequence[Pair], *, refused: _Check, swap: _Swap) -> Faults:
        """Volumes that are not active, as after a power cut in the middle: content, then device.

        Nothing maps them, so no table has to be swapped; LVM is asked again under its own lock
        whether the thin ids are still theirs.
        """
        with self._held(pairs) as pools:
            faults = dict(refused(pairs, pools))
            now = {volume.uuid: volume.thin_id for volume in lvm_facts_unlocked(self.place).volumes}
            for pair in pairs:
                if now.get(pair.seat.uuid) != pair.seat.thin_id:
                    faults[pair.seat.uuid] = not_ours(pair.seat, "it changed meanwhile")
                elif not faults.get(pair.seat.uuid):
                    faults[pair.seat.uuid] = tried(partial(_step_taken, swap, pools), pair)
        right = [pair for pair in pairs if faults.get(pair.seat.uuid) is None]
        return {**faults, **each(right, self._activated)}

    def given_back(self, volumes: Sequence[Volume]) -> Faults:
        """As long as much was written. A fault of one is that of its pool."""
        faults: dict[str, PizarraError | None] = {one.uuid: None for one in volumes}
        for pool, these in self._by_pool(volumes).items():
            try:
                self._undos_settled(pool, partial(thin_undo.settlement_of, _ids_of(these)))
            except StorageFault as error:
                faults |= {one.uuid: error for one in these}
        return faults

    def _undos_settled(
        self, pool: thin_pool.ThinPool, chosen: Callable[[Mapping[int, Thin]], list[Todo]]
    ) -> int:
        """A few at a time: whoever waits for LVM's lock has it in between. How many there were."""
        count = 0
        while True:
            with thin_pool.metadata_claimed(pool), vg_locked(self.place):
                todo = chosen(thin_pool.claimed_thins_read(pool))
                thin_undo.settled(pool, todo[:_SETTLED_AT_ONCE])
            count += len(todo[:_SETTLED_AT_ONCE])
            if len(todo) <= _SETTLED_AT_ONCE:
                return count
            time.sleep(_BETWEEN_S)

    def kept(self, volumes: Sequence[Volume]) -> frozenset[str]:
        """By the thin ids that the pools have."""
        found: set[str] = set()
        for pool, these in self._by_pool(volumes).items():
            there = thin_pool.thins_read(pool)
            found |= {one.uuid for one in these if thin_undo.kept_of(one.thin_id, there)}
        return frozenset(found)

    def kept_marks(self, volumes: Sequence[Volume]) -> Mapping[str, str]:
        """The pool's count when it was made."""
        with self._held([Pair(seat=one, baseline=one) for one in volumes]) as pools:
            return {
                volume.uuid: str(pools[pool][kept].made)
                for pool, these in self._by_pool(volumes).items()
                for volume in these
                if (kept := thin_undo.kept_of(volume.thin_id, pools[pool]))
            }

    def put_back(self, volumes: Sequence[Volume]) -> Faults:
        """As a rewind, with another content."""
        pairs = [Pair(seat=one, baseline=one) for one in volumes]
        return self._swapped(pairs, _not_put_back, thin_swap.exchanged)

    def kept_dropped(self, volumes: Sequence[Volume]) -> Faults:
        """What was cut off is put right before: what is kept may be all that a seat has."""
        faults: dict[str, PizarraError | None] = {one.uuid: None for one in volumes}
        pairs = [Pair(seat=one, baseline=one) for one in volumes]

        def batch_dropped(batch: Sequence[Pair]) -> Faults:
            with self._held(batch) as pools:
                these = [pair for pair in batch if thin_swap.pool_of(pair.seat) in pools]
                return {pair.seat.uuid: tried(thin_swap.all_dropped, pair) for pair in these}

        return {**faults, **in_batches(pairs, batch_dropped)}

    def settled(self, volumes: Sequence[Volume]) -> Sequence[str]:
        """Told by the pools. Only ids that LVM never gives, in pools where it gave none of them."""
        told: list[str] = []
        there = self.observe().volumes
        # of a pool whose last seat is gone as well; a golden volume tells that it is ours
        for pool in sorted({one.pool for one in (*volumes, *there) if one.pool and one.labels}):
            its = thin_pool.ThinPool(self.place, pool)
            if any(one.pool == pool and one.thin_id >= thin_ids.GOING for one in there):
                continue  # somebody counts differently: those ids are not ours
            seats, _ = thin_undo.holders([one for one in there if one.pool == pool])
            if not seats and devmapper.device(its.device) is None:
                continue  # it sleeps, as a pool of golden volumes may
            if self._transaction_ended(its, there):
                told.append(Sentence("{pool}: what LVM was cut off in is ended", pool=pool))
            if count := self._undos_settled(its, partial(self._settlement, pool)):
                text = "{pool}: {n} undos that were cut off or left behind are settled"
                told.append(Sentence(text, pool=pool, n=count))
        return told

    def _settlement(self, pool: str, there: Mapping[int, Thin]) -> list[Todo]:
        """By what LVM says under its lock: a seat that was made since is none that is gone."""
        volumes = lvm_facts_unlocked(self.place).volumes
        seats, strange = thin_undo.holders([one for one in volumes if one.pool == pool])
        return thin_undo.settlement(there, seats, strange)

    def _transaction_ended(self, pool: thin_pool.ThinPool, there: Sequence[Volume]) -> bool:
        """See storage/thin_transaction.py. Whether there was one to end."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "group"
            lvm(lvm_commands.metadata_to(self.place, str(file)))
            waiting = unended(file.read_text(encoding="utf-8"), pool.pool)
        if waiting is None:
            return False
        its = [one for one in there if one.pool == pool.pool]
        with thin_pool.metadata_claimed(pool), vg_locked(self.place):
            counted = int(devmapper.status(pool.device)[0].text.split()[0])
            ids = {one.name: one.thin_id for one in its}
            ours = [one.name for one in its if one.labels]
            there_now = thin_pool.claimed_thins_read(pool).keys()
            messages = messages_to_end(waiting, counted, there_now, ids, ours)
            for message in messages:
                devmapper.message(pool.device, message)
        return bool(messages)

    def removed(self, volumes: Sequence[Volume]) -> Faults:
        """And what is kept of them."""
        faults = super().removed(volumes)
        gone = [one for one in volumes if one.thin_id and faults[one.uuid] is None]
        seats = [one for one in gone if one.labels and one.labels.role is Role.SEAT]
        if not seats:
            return faults
        with vg_locked(self.place):
            pairs = [Pair(seat=one, baseline=one) for one in seats if not one.fault]
            return {**faults, **{p.seat.uuid: tried(thin_swap.all_dropped, p) for p in pairs}}

    def woken(self, volume: Volume) -> bool:
        """Also from the ``error`` table on which a rewind that was cut off left its device."""
        if not self.is_detached(volume):
            return super().woken(volume)
        try:
            with vg_locked(self.place):
                thin_swap.attached(Pair(seat=volume, baseline=volume))
        except StorageFault as error:
            if error.facts.get("errno") == errno.ENODATA:
                return False
            raise
        return True

    def _by_pool(self, volumes: Sequence[Volume]) -> dict[thin_pool.ThinPool, list[Volume]]:
        found: dict[thin_pool.ThinPool, list[Volume]] = defaultdict(list)
        for volume in volumes:
            if volume.pool and 0 < volume.thin_id < thin_ids.SPAN and not volume.fault:
                found[thin_pool.ThinPool(self.place, volume.pool)].append(volume)
        return found

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


def _ids(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    return [(pair.baseline.thin_id, pair.seat.thin_id) for pair in pairs]


def _ids_of(volumes: Sequence[Volume]) -> frozenset[int]:
    return frozenset(one.thin_id for one in volumes)


def _put_right(pool: thin_pool.ThinPool, seats: Sequence[Volume]) -> Mapping[int, Thin]:
    there = thin_pool.claimed_thins_read(pool)
    if todo := thin_undo.settlement_of(_ids_of(seats), there):
        thin_undo.settled(pool, todo)
        return thin_pool.claimed_thins_read(pool)
    return there


def _not_put_back(pairs: Sequence[Pair], pools: _Pools) -> dict[str, PizarraError | None]:
    found = {
        pair.seat.uuid: thin_swap.not_put_back(pair, pools.get(thin_swap.pool_of(pair.seat), {}))
        for pair in pairs
    }
    return {uuid: fault for uuid, fault in found.items() if fault}


def _step_taken(swap: _Swap, pools: _Pools, pair: Pair) -> None:
    swap(pair, pools[thin_swap.pool_of(pair.seat)])
