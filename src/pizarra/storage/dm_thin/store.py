"""Thin volumes: golden, thin snapshots of it, and the rewind in place.

A seat's content changes under its device (``thin_swap``); LVM's metadata says the same as before.
Each table swap waits for RCU grace periods; those of different seats overlap in threads. The pool
takes the messages one after another: it commits its metadata after each. LVM's lock is held all the
while, so no ``lvcreate`` of anybody sees the middle; a batch is small and goes before other work,
so nobody waits long.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from pizarra.errors import AlreadyExists, HostNotFit, PizarraError, StorageFault
from pizarra.model.facts import Pool, StorageKind, Volume, labelled
from pizarra.model.labels import BaselineLabels, InspectionLabels, ResetMethod, Role
from pizarra.model.sentence import N_, P_, Counted, Sentence
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.batches import Step, run_each, run_in_batches, run_in_phases, try_step
from pizarra.storage.dm_thin import ids as thin_ids
from pizarra.storage.dm_thin import pool as thin_pool
from pizarra.storage.dm_thin import swap as thin_swap
from pizarra.storage.dm_thin import undo as thin_undo
from pizarra.storage.dm_thin.metadata import Thin
from pizarra.storage.dm_thin.repair import finish_transaction, send_in_turns
from pizarra.storage.dm_thin.undo import PoolMessages
from pizarra.storage.interface import (
    NO_UNDO,
    Attachment,
    Capabilities,
    Change,
    Changes,
    ContentIds,
    Faults,
    InRecords,
    NewCheckpoint,
    NewVolume,
    Progress,
    Rebase,
    RewindTarget,
    UndoSwap,
    ignore_progress,
    raise_first,
)
from pizarra.storage.kinds import Kind
from pizarra.storage.lvm import commands as lvm_commands
from pizarra.storage.lvm.volumes import (
    LvmVolumes,
    check_space,
    lvm,
    lvm_batch,
    lvm_facts_here,
    lvm_facts_unlocked,
    not_ours_error,
)
from pizarra.storage.registry import Technology
from pizarra.system import devmapper
from pizarra.system.locks import holding_vg_lock
from pizarra.system.rcu import expediting
from pizarra.system.urgency import urgent

_POOL_SHARE_PERCENT = 80  # of the free space, for a pool we make: the rest lets it grow


_Pools = Mapping[thin_pool.ThinPool, Mapping[int, Thin]]  # what each has
_Holding = Callable[[Sequence[Volume]], AbstractContextManager[object]]
_Check = Callable[[Sequence[Volume]], dict[str, PizarraError | None]]


class DmThinStore(LvmVolumes):
    """A thin pool in a volume group."""

    kind: StorageKind = Kind.LVM_THIN
    capabilities = Capabilities(
        hot_reset=True,
        rebase_at_reset=True,
        new_is_zero=True,
        resize_at_create=True,
        live_view=True,
        volume_groups=True,
        undo=True,
        checkpoints=True,
        adoption=ResetMethod.REWIND,
    )

    def __init__(self, vg: str, pool: str = "pizarra") -> None:
        super().__init__(vg)
        self.pool = pool

    def prepare(self) -> Pool:
        """The pool, made now if there is none."""
        pool = self._find_pool()
        if pool is None:
            lvm(lvm_commands.pool_create(self.place, self.pool, _POOL_SHARE_PERCENT))
            pool = self._find_pool()
        if pool is None:
            raise StorageFault("{vg}/{pool} is not there after all.", vg=self.place, pool=self.pool)
        return pool

    def _find_pool(self) -> Pool | None:
        pools = self.observe().pools
        return next((p for p in pools if p.name == self.pool and p.kind is self.kind), None)

    def check_space(self, new_bytes: int, what: str) -> None:
        """Against the free data blocks of the pool."""
        pool = self.prepare()
        if pool.fault:
            raise HostNotFit(
                "The thin pool {vg}/{pool} is not well: {fault}.",
                "See: lvs -a {vg}; and: pizarra host check",
                vg=self.place,
                pool=self.pool,
                fault=pool.fault,
            )
        check_space(pool.free_bytes, new_bytes, what, f"thin pool {self.place}/{self.pool}")

    def create_golden(
        self,
        new: NewVolume,
        source: Volume | None = None,
        progress: Progress = ignore_progress,
    ) -> Volume:
        """An empty thin volume, active; or a thin snapshot, whatever the size."""
        if source is None:
            self.prepare()
            lvm(lvm_commands.thin_create(self.place, self.pool, new))
        else:
            lvm(lvm_commands.thin_snapshot(self.place, source.name, new))
            if new.size_bytes > source.size_bytes:
                lvm(lvm_commands.extend(self.place, new.name, new.size_bytes))
        progress(1.0)
        return self.find_made(new)

    def _deactivate(self, volume: Volume) -> None:
        """Inactive: a snapshot of an active origin would copy a moving target."""
        if volume.active:
            devmapper.flush_page_cache(volume.path)
            lvm(lvm_commands.change(self.place, volume.name, "-an", "-ky"))

    def create_seats(self, golden: Volume, new: Sequence[NewVolume]) -> None:
        """Thin snapshots, fed to one ``lvm`` process, then grown if they are to be larger."""
        made = [lvm_commands.thin_snapshot(self.place, golden.name, one) for one in new]
        larger = [one for one in new if one.size_bytes > golden.size_bytes]
        grown = [lvm_commands.extend(self.place, one.name, one.size_bytes) for one in larger]
        raise_first(self.unmade(new, lvm_batch([*made, *grown])))
        self._discard_orphans({one.name for one in new})

    def _discard_orphans(self, names: Collection[str]) -> None:
        """LVM gives thin ids anew: nobody shall have what was kept of another."""
        seats = [one for one in self.observe().volumes if one.name in names and not one.fault]
        for pool, these in self._by_pool(seats).items():
            with holding_vg_lock(self.place):
                for one in these:
                    thin_undo.discard_all(pool, one.thin_id)

    def create_baseline(self, seat: Volume, new: NewVolume[BaselineLabels]) -> Volume:
        """The original state of an adopted volume: a snapshot that is only ever a source."""
        lvm(lvm_commands.thin_baseline(self.place, seat.name, new))
        return self.find_made(new)

    def baseline_bytes(self, size_bytes: int) -> int:
        """None: blocks are shared until they are written."""
        _ = size_bytes
        return 0

    def attach(
        self,
        volume: Volume,
        new: NewVolume[InspectionLabels],
        note: Callable[[Attachment], None],
    ) -> Attachment:
        """A snapshot of its own: what goes on with the volume does not disturb it."""
        made = Attachment(snapshot=new.name)
        note(made)
        lvm(lvm_commands.thin_view(self.place, volume.name, new))
        return replace(made, device=f"/dev/{self.place}/{new.name}")

    def detach(self, attachment: Attachment) -> None:
        """The snapshot goes. One of that name that is not for looking at stays."""
        snapshots = labelled(self.observe().volumes, InspectionLabels)
        raise_first(self.remove([one for one in snapshots if one.name == attachment.snapshot]))

    def create_checkpoints(self, new: Sequence[NewCheckpoint]) -> Faults:
        """Snapshots that sleep, fed to one process; LVM holds each origin still meanwhile."""
        taken = {volume.name for volume in self.observe().volumes}
        faults = self.changed_since_observed([volume for volume, _ in new])
        faults |= {
            volume.uuid: AlreadyExists("There is a volume {name} already.", name=one.name)
            for volume, one in new
            if one.name in taken
        }
        these = [(volume, one) for volume, one in new if volume.uuid not in faults]
        if not these:
            return faults
        said = lvm_batch([lvm_commands.thin_baseline(self.place, v.name, one) for v, one in these])
        unmade = self.unmade([one for _, one in these], said)
        return {**faults, **{volume.uuid: unmade.get(one.name) for volume, one in these}}

    def rebase(self, moves: Sequence[Rebase]) -> Faults:
        """Another UUID on the label, in one process; larger first if that one is larger."""
        strangers = self.changed_since_observed([move.volume for move in moves])
        moves = [move for move in moves if move.volume.uuid not in strangers]
        if not moves:
            return strangers
        smaller = [move for move in moves if move.volume.size_bytes < move.golden.size_bytes]
        grown = [
            lvm_commands.extend(self.place, move.volume.name, move.golden.size_bytes)
            for move in smaller
        ]
        named = [lvm_commands.set_labels(move.volume, move.labels) for move in moves]
        said = lvm_batch([*grown, *filter(None, named)])
        wished = {move.volume.uuid: move.labels for move in moves}
        sizes = {move.volume.uuid: move.golden.size_bytes for move in moves}
        left = self.unlabelled(wished, said, sizes)
        return {**strangers, **{uuid: left.get(uuid) for uuid in wished}}

    def rewind(
        self, pairs: Sequence[RewindTarget], *, undo: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """In place, batch by batch, each under one hold of LVM's lock."""
        targets = {pair.volume.uuid: pair for pair in pairs}

        def refused(volumes: Sequence[Volume]) -> dict[str, PizarraError | None]:
            return thin_swap.lost_sources([targets[one.uuid] for one in volumes])

        def swap(volume: Volume) -> None:
            thin_swap.swap_content(targets[volume.uuid], undo)

        return self._swap([pair.volume for pair in pairs], self._holding_lock, refused, swap)

    def save_undo(self, slots: Mapping[Volume, UndoSlot]) -> Faults:
        """As a rewind, without another content."""

        def save(volume: Volume) -> None:
            thin_undo.save(thin_swap.pool_of(volume), volume.thin_id, slots[volume])

        refused = thin_swap.refuse_foreign
        return self._swap([*slots], self._holding_lock, refused, save, wakes=False)

    def _swap(
        self,
        volumes: Sequence[Volume],
        holding: _Holding,
        refused: _Check,
        swap: Step,
        *,
        wakes: bool = True,
    ) -> Faults:
        """``swap`` what the seats contain, except of those that are ``refused`` beforehand. Volumes
        that sleep are active afterwards, if it ``wakes`` them."""
        asleep = [one for one in volumes if not one.active]
        awake = [one for one in volumes if one.active]
        active = partial(self._swap_active, holding=holding, refused=refused, swap=swap)
        asleep_swap = self._swap_inactive if wakes else self._swap_content
        inactive = partial(asleep_swap, holding=holding, refused=refused, swap=swap)
        return {**run_in_batches(awake, active), **run_in_batches(asleep, inactive)}

    @contextmanager
    def _holding_lock(self, volumes: Sequence[Volume]) -> Iterator[None]:
        """LVM's lock alone: a rewind need not know what the pools have."""
        _ = volumes
        with holding_vg_lock(self.place):
            yield

    @contextmanager
    def _holding_pools(self, volumes: Sequence[Volume]) -> Iterator[_Pools]:
        """LVM's lock, and what the pools have."""
        pools = self._by_pool(volumes)
        with ExitStack() as stack:
            for pool in sorted(pools, key=lambda one: one.device):
                stack.enter_context(thin_pool.claiming_metadata(pool))
            stack.enter_context(holding_vg_lock(self.place))
            yield {pool: thin_pool.read_thins_claimed(pool) for pool in pools}

    def _swap_active(
        self, volumes: Sequence[Volume], *, holding: _Holding, refused: _Check, swap: Step
    ) -> Faults:
        with holding(volumes), expediting(), urgent():
            left = refused(volumes)
            sound = [one for one in volumes if not left.get(one.uuid)]
            # a seat whose content could not be put right stays on its error table: it fails loudly
            tables = thin_swap.TableSwaps(sound)
            return {**left, **run_in_phases(sound, *tables.phases(swap))}

    def _swap_inactive(
        self, volumes: Sequence[Volume], *, holding: _Holding, refused: _Check, swap: Step
    ) -> Faults:
        """Volumes that are not active, as after a power cut in the middle: content, then device."""
        faults = self._swap_content(volumes, holding=holding, refused=refused, swap=swap)
        right = [one for one in volumes if faults.get(one.uuid) is None]
        return {**faults, **run_each(right, self.make_active)}

    def _swap_content(
        self, volumes: Sequence[Volume], *, holding: _Holding, refused: _Check, swap: Step
    ) -> dict[str, PizarraError | None]:
        """Nothing maps these volumes, so no table has to be swapped. LVM is asked again under its
        own lock whether the thin ids are still theirs."""
        with holding(volumes):
            faults = dict(refused(volumes))
            now = {one.uuid: one.thin_id for one in lvm_facts_unlocked(self.place).volumes}
            for volume in volumes:
                if now.get(volume.uuid) != volume.thin_id:
                    faults[volume.uuid] = not_ours_error(volume, N_("it changed meanwhile"))
                elif not faults.get(volume.uuid):
                    faults[volume.uuid] = try_step(swap, volume)
        return faults

    def reclaim_space(
        self, volumes: Sequence[Volume], *, keep: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """As long as much was written. A fault of one is that of its pool."""
        faults: dict[str, PizarraError | None] = {one.uuid: None for one in volumes}
        for pool, these in self._by_pool(volumes).items():
            stays = {one.thin_id: keep.get(one.uuid) for one in these}
            try:
                send_in_turns(pool, partial(thin_undo.messages_to_reclaim, stays))
            except StorageFault as error:
                faults |= {one.uuid: error for one in these}
        return faults

    def undo_slots(self, volumes: Sequence[Volume]) -> Mapping[str, frozenset[UndoSlot]]:
        """By the thin ids that the pools have."""
        found: dict[str, frozenset[UndoSlot]] = {}
        for pool, these in self._by_pool(volumes).items():
            there = thin_pool.read_thins(pool)
            found |= {one.uuid: thin_undo.filled_slots(one.thin_id, there) for one in these}
        return {uuid: slots for uuid, slots in found.items() if slots}

    def content_ids(self, volumes: Sequence[Volume]) -> Mapping[str, ContentIds]:
        """By when the pool made each: it counts, and never back."""
        found: dict[str, ContentIds] = {}
        for pool, these in self._by_pool(volumes).items():
            there = thin_pool.read_thins(pool)
            found |= {one.uuid: thin_undo.content_ids(one.thin_id, there) for one in these}
        return found

    def swap_with_undo(self, swaps: Sequence[UndoSwap]) -> Faults:
        """As a rewind, with another content."""
        by_uuid = {one.volume.uuid: one for one in swaps}
        there: dict[thin_pool.ThinPool, Mapping[int, Thin]] = {}

        @contextmanager
        def holding(volumes: Sequence[Volume]) -> Iterator[None]:
            with self._holding_pools(volumes) as pools:
                there.update(pools)
                yield

        def refused(volumes: Sequence[Volume]) -> dict[str, PizarraError | None]:
            found = {one.uuid: thin_swap.refuse_swap(*known(one)) for one in volumes}
            return {uuid: fault for uuid, fault in found.items() if fault}

        def known(volume: Volume) -> tuple[UndoSwap, Mapping[int, Thin]]:
            return by_uuid[volume.uuid], there.get(thin_swap.pool_of(volume), {})

        def swap(volume: Volume) -> None:
            thin_swap.swap_with_undo(*known(volume))

        return self._swap([one.volume for one in swaps], holding, refused, swap)

    def discard_undo(self, volumes: Sequence[Volume]) -> Faults:
        """Refused for a seat without a content: what is kept may be all that it has."""
        faults: dict[str, PizarraError | None] = {one.uuid: None for one in volumes}

        def discard_batch(batch: Sequence[Volume]) -> Faults:
            with self._holding_pools(batch) as pools:

                def discard(volume: Volume) -> None:
                    if volume.thin_id not in pools[thin_swap.pool_of(volume)]:
                        raise thin_pool.missing(volume.thin_id)
                    thin_swap.discard_all(volume)

                these = [one for one in batch if thin_swap.pool_of(one) in pools]
                return {one.uuid: try_step(discard, one) for one in these}

        return {**faults, **run_in_batches(volumes, discard_batch)}

    def repair_after_crash(self, volumes: Sequence[Volume], in_records: InRecords) -> Sequence[str]:
        """Told by the pools. Only ids that LVM never gives, in pools where it gave none of them."""
        told: list[str] = []
        there = self.observe().volumes
        # of a pool whose last seat is gone as well; a golden volume tells that it is ours
        for pool in sorted({one.pool for one in (*volumes, *there) if one.pool and one.labels}):
            its = thin_pool.ThinPool(self.place, pool)
            if any(one.pool == pool and one.thin_id >= thin_ids.DISCARDED for one in there):
                continue  # somebody counts differently: those ids are not ours
            seats, _ = thin_undo.holders([one for one in there if one.pool == pool])
            if not seats and devmapper.device(its.device) is None:
                continue  # it sleeps, as a pool of golden volumes may
            if finish_transaction(its, there):
                told.append(Sentence("{pool}: what LVM was cut off in is ended", pool=pool))
            if count := send_in_turns(its, partial(self._settlement, pool, in_records)):
                forms = P_(
                    "{pool}: {n} undo that was cut off or left behind is settled",
                    "{pool}: {n} undos that were cut off or left behind are settled",
                )
                told.append(Sentence(Counted(count, *forms), pool=pool, n=count))
        return told

    def _settlement(
        self, pool: str, in_records: InRecords, there: Mapping[int, Thin]
    ) -> list[PoolMessages]:
        """By what LVM says under its lock: a seat that was made since is none that is gone."""
        volumes = [one for one in lvm_facts_unlocked(self.place).volumes if one.pool == pool]
        seats, strange = thin_undo.holders(volumes)
        explained = in_records()
        strange |= {one.thin_id for one in volumes if one.uuid in explained}
        return thin_undo.messages_after_crash(there, seats, strange)

    def remove(self, volumes: Sequence[Volume]) -> Faults:
        """And what is kept of them, which only a pool that is active forgets."""
        self._wake_pools(volumes)
        faults = super().remove(volumes)
        gone = [one for one in volumes if one.thin_id and faults[one.uuid] is None]
        seats = [one for one in gone if one.labels and one.labels.role is Role.SEAT]
        if not seats:
            return faults
        with holding_vg_lock(self.place):
            sound = [one for one in seats if not one.fault]
            return {**faults, **{one.uuid: try_step(thin_swap.discard_all, one) for one in sound}}

    def wake(self, volumes: Sequence[Volume]) -> None:
        """The pools first."""
        self._wake_pools(volumes)
        super().wake(volumes)

    def _wake_pools(self, volumes: Sequence[Volume]) -> None:
        """Each by itself: one that is active for its volumes only sleeps with the last of them."""
        for pool in self._by_pool(volumes):
            if devmapper.device(pool.device) is None:
                lvm(lvm_commands.change(self.place, pool.pool, "-ay"))
                thin_pool.check_active(pool)

    def activate(self, volume: Volume) -> bool:
        """Also from the ``error`` table on which a rewind that was cut off left its device."""
        if not self.has_error_table(volume):
            return super().activate(volume)
        try:
            with holding_vg_lock(self.place):
                thin_swap.TableSwaps([volume]).attach(volume)
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

    def diff(self, targets: Sequence[RewindTarget], *, independently: bool = False) -> Changes:
        """By comparing mapping trees: those of an original seat and its baseline have one root.

        Independently: by ``thin_delta``, a process a seat.
        """
        ask = thin_pool.run_thin_delta if independently else thin_pool.read_changes
        return self._diff(targets, lambda pool, these: ask(pool, _ids(these)))

    def _diff(
        self,
        pairs: Sequence[RewindTarget],
        compare: Callable[
            [thin_pool.ThinPool, Sequence[RewindTarget]], list[Change | PizarraError]
        ],
    ) -> Changes:
        found: dict[str, Change | PizarraError] = {}
        for pool in sorted({pair.volume.pool for pair in pairs}):
            these = [pair for pair in pairs if pair.volume.pool == pool]
            changes = compare(thin_pool.ThinPool(self.place, pool), these)
            uuids = [pair.volume.uuid for pair in these]
            found |= dict(zip(uuids, changes, strict=True))
        return found


def _ids(pairs: Sequence[RewindTarget]) -> list[tuple[int, int]]:
    return [(pair.source.thin_id, pair.volume.thin_id) for pair in pairs]


TECHNOLOGY = Technology(
    kind=DmThinStore.kind,
    capabilities=DmThinStore.capabilities,
    store=lambda settings, place: DmThinStore(place, settings.pool),
    observe=lvm_facts_here,
)
