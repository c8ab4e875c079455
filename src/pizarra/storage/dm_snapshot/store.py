"""Classic volumes: a golden origin that nobody writes, each seat a copy-on-write snapshot of it.

The rewind in place empties the seat's COW store. The seat's device gets an ``error`` table, and
4 KiB of zeros are written to the head of the store. With the ``snapshot`` table back, the kernel
starts a new, empty exception store. The time is constant, whatever was changed, and a snapshot that
overflowed becomes valid again. The ``error`` table in between is necessary: a second snapshot table
over the same store would take the exceptions over from the first.

A volume that was *adopted* is an origin itself, and its snapshot keeps the original. It goes back
the 2014 way: merge the snapshot, and make it again. That copies every changed block.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pizarra.errors import PizarraError, StorageFault, Unsupported
from pizarra.model.facts import StorageKind, Volume, has_labels
from pizarra.model.labels import (
    BaselineLabels,
    FillingLabels,
    InspectionLabels,
    ResetMethod,
    SeatLabels,
    seat_labels_of,
)
from pizarra.model.names import seat_uuid
from pizarra.model.sentence import N_, P_, Counted, Sentence
from pizarra.model.sizes import MIB, round_up
from pizarra.model.undo_slot import UndoSlot
from pizarra.settings import Settings
from pizarra.storage.batches import run_each, run_in_batches
from pizarra.storage.images import copy
from pizarra.storage.interface import (
    NO_UNDO,
    ORIGINAL,
    Attachment,
    Capabilities,
    Change,
    Changes,
    Faults,
    NewVolume,
    Progress,
    Rebase,
    RewindTarget,
    ignore_progress,
    raise_first,
)
from pizarra.storage.kinds import Kind
from pizarra.storage.lvm import commands as lvm_commands
from pizarra.storage.lvm.volumes import (
    LvmVolumes,
    find_device,
    lvm,
    lvm_batch,
    lvm_facts_here,
    not_ours_error,
)
from pizarra.storage.registry import Technology
from pizarra.system import devmapper, lvm_calls
from pizarra.system.locks import holding_vg_lock
from pizarra.system.process import run
from pizarra.system.rcu import expediting
from pizarra.system.urgency import urgent

HEAD_BYTES = 4096
NEXT = ".next"  # behind the name of a seat's volume that is to take its place
MERGING = "merging"  # in the place of a baseline's UUID while its snapshot is merged
_COW_SHARE = 0.25  # of the origin, for a seat's store; its use is shown, and LVM can extend it
_COW_LEAST_BYTES = 64 * MIB
_OVERHEAD = 1.01  # exception tables: 16 bytes for each 4 KiB chunk, and a chunk for each table


def cow_bytes(size_bytes: int) -> int:
    """The store that a seat of this size gets: a quarter, and never more than can be used."""
    share = max(_COW_LEAST_BYTES, int(size_bytes * _COW_SHARE))
    return round_up(min(share, int(size_bytes * _OVERHEAD) + MIB), MIB)


class DmSnapshotStore(LvmVolumes):
    """Classic volumes and snapshots in a volume group."""

    kind: StorageKind = Kind.LVM_THICK
    capabilities = Capabilities(
        hot_reset=True,
        extendable_store=True,
        volume_groups=True,
        adoption=ResetMethod.MERGE,
    )

    def check_space(self, new_bytes: int, what: str) -> None:
        """Against the free extents of the group."""
        self.space_of_group(new_bytes, what)

    def create_golden(
        self,
        new: NewVolume,
        source: Volume | None = None,
        progress: Progress = ignore_progress,
    ) -> Volume:
        """A plain volume, active; a copy of ``source``, for it is to stand on nothing."""
        if source is not None:
            self.check_space(new.size_bytes, Sentence("a copy of {name}", name=source.name))
        lvm(lvm_commands.linear_create(self.place, new))
        volume = self.find_made(new)
        if source is not None:
            with self.opening(source) as path:
                copy(path, "raw", volume.path, "raw", target_is_zero=False, progress=progress)
        return volume

    def create_seats(self, golden: Volume, new: Sequence[NewVolume]) -> None:
        """Snapshots, fed to one ``lvm`` process. A snapshot is as large as its origin."""
        larger = [one for one in new if one.size_bytes > golden.size_bytes]
        if larger:
            raise StorageFault("A classic snapshot cannot be larger than its origin.")
        store = cow_bytes(golden.size_bytes)
        forms = P_("the store of {n} seat", "the stores of {n} seats")
        self.check_space(store * len(new), Sentence(Counted(len(new), *forms), n=len(new)))
        made = [lvm_commands.cow_snapshot(self.place, golden.name, one, store) for one in new]
        raise_first(self.unmade(new, lvm_batch(made)))

    def baseline_bytes(self, size_bytes: int) -> int:
        """The store of its snapshot."""
        return cow_bytes(size_bytes)

    def create_baseline(self, seat: Volume, new: NewVolume[BaselineLabels]) -> Volume:
        """The original state of an adopted volume: a snapshot of it, which its writes fill."""
        store = self.baseline_bytes(seat.size_bytes)
        self.check_space(store, Sentence("the snapshot of {name}", name=seat.name))
        lvm(lvm_commands.cow_snapshot(self.place, seat.name, new, store))
        return self.find_made(new)

    def grow(self, volume: Volume, size_bytes: int) -> None:
        """Of a plain volume; a snapshot is as large as its origin (LVM would grow its store)."""
        if volume.origin:
            raise Unsupported(
                "{name} is a classic snapshot, and those are as large as their origin.",
                "Import the template on lvm-thin to have larger disks.",
                name=volume.name,
            )
        super().grow(volume, size_bytes)

    def extend_store(self, volume: Volume) -> None:
        """Half as much again for its changes. Raises NoSpace, NotOurs, StorageFault."""
        self._check_expected(volume)
        more = round_up(cow_bytes(volume.size_bytes) // 2, MIB)
        self.check_space(more, Sentence("the store of {name}", name=volume.name))
        lvm(lvm_commands.extend_by(self.place, volume.name, more))

    def _check_expected(self, volume: Volume) -> None:
        raise_first(self.changed_since_observed([volume]))

    def rebase(self, moves: Sequence[Rebase]) -> Faults:
        """Each snapshot made again, of the other origin, under its name."""
        faults = self.changed_since_observed([move.volume for move in moves])
        for move in moves:
            if move.volume.uuid in faults:
                continue
            try:
                self._rebase(move)
            except PizarraError as error:
                faults[move.volume.uuid] = error
            else:
                faults[move.volume.uuid] = None
        return faults

    def _rebase(self, move: Rebase) -> None:
        """The new one is there before the old one goes; ``finish_rebase`` ends it at any step."""
        self._check_closed(move.volume)
        labels = FillingLabels(becoming=move.labels)
        new = NewVolume(
            labels=labels, size_bytes=move.golden.size_bytes, name=move.volume.name + NEXT
        )
        self.create_seats(move.golden, [new])
        fault = self.remove([move.volume])[move.volume.uuid]
        if fault is not None:
            self.remove([self.find(new.name)])
            raise fault
        self._finish_rebase(self.find(new.name))

    def _finish_rebase(self, following: Volume) -> None:
        """A seat's next volume takes the place of the old one, which is gone."""
        name = following.name.removesuffix(NEXT)
        if name != following.name:
            lvm(lvm_commands.rename(self.place, following.name, name))
        present = self.find(name)
        seat = seat_labels_of(present.labels)
        if seat is None:
            raise not_ours_error(present, N_("it carries no label of ours"))
        # the first version wrote no UUID here, and made it from the names
        domain = seat.domain or seat_uuid(seat.classroom, seat.seat, seat.machine)
        labels = replace(seat, domain=domain, content_version=0)
        self.set_labels({present.uuid: labels}, self.observe())

    def rewind(
        self, pairs: Sequence[RewindTarget], *, undo: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """Stores emptied in place; adopted volumes merged, one after another."""
        _ = undo  # an emptied store is empty
        merges = [pair for pair in pairs if _is_merged(pair.volume)]
        rewinds = [pair for pair in pairs if pair not in merges]
        targets = {pair.volume.uuid: pair for pair in rewinds}

        def rewind_batch(volumes: Sequence[Volume]) -> Faults:
            with holding_vg_lock(self.place), expediting(), urgent():
                return run_each(volumes, lambda one: _empty_store(targets[one.uuid]))

        faults = dict(run_in_batches([pair.volume for pair in rewinds], rewind_batch))
        for pair in merges:
            try:
                self._merge(pair)
                faults[pair.volume.uuid] = None
            except PizarraError as error:
                faults[pair.volume.uuid] = error
        return faults

    def _merge(self, pair: RewindTarget) -> None:
        """The 2014 way. The seat must be closed, or LVM would put the merge off."""
        seat, baseline = pair.volume, pair.source
        if not has_labels(baseline, BaselineLabels) or baseline.origin != seat.name:
            raise not_ours_error(
                baseline, Sentence("it is not our snapshot of {name}", name=seat.name)
            )
        find_device(seat)
        self._check_closed(seat, baseline)
        devmapper.flush_page_cache(seat.path)
        self._name_as_original(seat, MERGING)
        try:
            lvm(lvm_commands.merge(self.place, baseline.name))
        except PizarraError:
            if any(volume.uuid == baseline.uuid for volume in self.observe().volumes):
                self._name_as_original(seat, baseline.uuid)
            raise
        self._recreate_baseline(seat, baseline.labels, baseline.name)
        devmapper.flush_page_cache(seat.path)

    def _recreate_baseline(self, seat: Volume, labels: BaselineLabels, name: str) -> None:
        """The snapshot that a merge used up, made anew: also by who mends a merge cut off."""
        new = NewVolume(labels=labels, size_bytes=seat.size_bytes, name=name)
        self._name_as_original(seat, self.create_baseline(seat, new).uuid)

    def _name_as_original(self, seat: Volume, uuid: str) -> None:
        facts = self.observe()
        labels = next((v.labels for v in facts.volumes if v.uuid == seat.uuid), None)
        if not isinstance(labels, SeatLabels):
            raise not_ours_error(seat, N_("it carries no label of ours"))
        self.set_labels({seat.uuid: replace(labels, baseline=uuid)}, facts)

    def _check_closed(self, *volumes: Volume) -> None:
        """LVM would put a merge off to the next activation, and report success."""
        told = lvm_calls.rows(lvm(lvm_commands.open_volumes(self.place)).stdout)
        opened = {row["lv_name"] for row in told}
        for volume in volumes:
            if volume.name in opened:
                raise StorageFault(
                    "{place}/{name} is held open by something; it cannot be changed now.",
                    "If somebody looks at it: pizarra inspect SEAT --detach; see also: lsof {path}",
                    place=self.place,
                    name=volume.name,
                    path=volume.path,
                )

    def attach(
        self,
        volume: Volume,
        new: NewVolume[InspectionLabels],
        note: Callable[[Attachment], None],
    ) -> Attachment:
        """The volume itself, through a read-only loop device if somebody could write to it."""
        _ = new, note  # a loop device that nobody noted goes with the next restart
        if volume.read_only:
            return Attachment(device=str(volume.path))
        argv = ["losetup", "--read-only", "--find", "--show", str(volume.path)]
        loop = run(argv).stdout.strip()
        return Attachment(device=loop, loop=loop)

    def detach(self, attachment: Attachment) -> None:
        """The loop device goes."""
        if attachment.loop:
            run(["losetup", "--detach", attachment.loop], check=False)

    def unfinished(self, volumes: Sequence[Volume]) -> Sequence[Volume]:
        """Seats in the middle of a merge, and volumes that were to take a seat's place."""
        return [one for one in volumes if one.kind == self.kind and _is_unfinished(one)]

    def finish(self, volume: Volume) -> str:
        """A merge that was cut off has brought the original back, and gets its snapshot again. A
        volume that was to take a seat's place takes it, or goes if the old one stands."""
        if has_labels(volume, SeatLabels):
            original = BaselineLabels(of=replace(volume.labels, baseline=""))
            self._recreate_baseline(volume, original, f"{volume.name}{ORIGINAL}")
            return Sentence("{name}: its reset is ended", name=volume.labels.name)
        name = volume.name.removesuffix(NEXT)
        if any(one.name == name and one.uuid != volume.uuid for one in self.observe().volumes):
            raise_first(self.remove([volume]))
            return Sentence("Removed {name}: its upgrade never ended", name=volume.name)
        self._finish_rebase(volume)
        return Sentence("{name}: its upgrade is ended", name=name)

    def diff(self, targets: Sequence[RewindTarget], *, independently: bool = False) -> Changes:
        """From the kernel's own count: a store that holds no exception changed nothing.

        Nobody else knows; ``verify --deep`` reads the data.
        """
        _ = independently
        return {pair.volume.uuid: _change(pair) for pair in self._as_merged(targets)}

    def _as_merged(self, pairs: Sequence[RewindTarget]) -> Sequence[RewindTarget]:
        """A merge makes the snapshot anew, so one that was observed before it is gone."""
        if all(_is_live(_snapshot_of(pair)) for pair in pairs):
            return pairs
        now = {volume.uuid: volume for volume in self.observe().volumes}
        return [_as_now(pair, now) for pair in pairs]


def _is_live(volume: Volume) -> bool:
    try:
        find_device(volume)
    except PizarraError:
        return False
    return True


def _as_now(pair: RewindTarget, now: Mapping[str, Volume]) -> RewindTarget:
    """The pair with the baseline that the seat's label names now, if that is its snapshot."""
    seat = now.get(pair.volume.uuid)
    if seat is None or not has_labels(seat, SeatLabels) or not _is_merged(seat):
        return pair
    baseline = now.get(seat.labels.baseline)
    if baseline is None or baseline.origin != pair.volume.name:
        return pair
    return RewindTarget(volume=pair.volume, source=baseline)


def _snapshot_of(pair: RewindTarget) -> Volume:
    """Whose store tells what changed: the seat's own, or the snapshot of an adopted seat."""
    return pair.source if _is_merged(pair.volume) else pair.volume


def _is_unfinished(volume: Volume) -> bool:
    match volume.labels:
        case SeatLabels(baseline=baseline):
            return baseline == MERGING
        case FillingLabels(becoming=SeatLabels(template=template)):
            return bool(template)  # an adoption that fills a volume has none
        case _:
            return False


def _is_merged(seat: Volume) -> bool:
    labels = seat.labels
    return isinstance(labels, SeatLabels) and labels.reset_method is ResetMethod.MERGE


def _change(pair: RewindTarget) -> Change | PizarraError:
    snapshot = _snapshot_of(pair)
    try:
        find_device(snapshot)
        return _change_of(snapshot)
    except PizarraError as error:
        return error


def _change_of(snapshot: Volume) -> Change:
    """From ``<sectors used>/<sectors> <sectors of tables>``, or a word: Invalid, Overflow."""
    text = devmapper.status(devmapper.dm_name(snapshot.place, snapshot.name))[0].text
    used, _, rest = text.partition("/")
    words = rest.split()
    if not used.isdigit() or len(words) != 2:
        raise StorageFault(
            "The snapshot {place}/{name} is {state}: more was written than it has room for.",
            "A reset brings a seat back; for an adopted machine the original is gone.",
            place=snapshot.place,
            name=snapshot.name,
            state=(text or "gone").lower(),
        )
    sectors = int(used) - int(words[1])
    return Change(changed_bytes=sectors * devmapper.SECTOR_BYTES)


def _empty_store(pair: RewindTarget) -> None:
    seat = pair.volume
    if not has_labels(seat, SeatLabels) or seat.labels.baseline != pair.source.uuid:
        raise not_ours_error(seat, N_("its label does not name this baseline"))
    if seat.origin != pair.source.name:
        raise not_ours_error(seat, N_("it is no snapshot of its baseline"))
    name, device = devmapper.dm_name(seat.place, seat.name), find_device(seat)
    target = device.targets[0]
    snapshot = target if target.kind == "snapshot" else _snapshot_target(pair, target.length)
    store = devmapper.device(f"{name}-cow")
    if store is None:
        raise not_ours_error(seat, N_("it has no store"))
    devmapper.flush_page_cache(device.node)
    devmapper.swap(device, devmapper.error_target(target.length))
    _zero_head(store.node)
    devmapper.swap(device, snapshot, quiet=True)
    devmapper.flush_page_cache(device.node)


def _snapshot_target(pair: RewindTarget, length: int) -> devmapper.Target:
    """The table that LVM had loaded, put together again after a crash left ``error`` there."""
    seat = devmapper.dm_name(pair.volume.place, pair.volume.name)
    origin = devmapper.dm_name(pair.source.place, pair.source.name)
    real, store = devmapper.device(f"{origin}-real"), devmapper.device(f"{seat}-cow")
    if real is None or store is None:
        raise StorageFault(
            "{place}/{name} has lost its store or its origin.",
            "Activate the group again: vgchange -ay {place}",
            place=pair.volume.place,
            name=pair.volume.name,
        )
    return devmapper.Target(0, length, "snapshot", f"{real.number} {store.number} P 8")


def _zero_head(store: Path) -> None:
    zeros = mmap.mmap(-1, HEAD_BYTES)  # page-aligned, as O_DIRECT wants it
    fd = os.open(store, os.O_WRONLY | os.O_DIRECT | os.O_SYNC | os.O_CLOEXEC)
    try:
        if os.pwrite(fd, zeros, 0) != HEAD_BYTES:
            raise StorageFault("{store} took only part of a block.", store=store)
    finally:
        os.close(fd)
        zeros.close()


def _store_at(settings: Settings, place: str) -> DmSnapshotStore:
    _ = settings
    return DmSnapshotStore(place)


TECHNOLOGY = Technology(
    kind=DmSnapshotStore.kind,
    capabilities=DmSnapshotStore.capabilities,
    store=_store_at,
    observe=lvm_facts_here,
)
