"""Classic volumes: a golden origin that nobody writes, each seat a copy-on-write snapshot of it.

The rewind in place empties the seat's COW store: the seat's device gets an ``error`` table, 4 KiB
of zeros go to the head of its store, and with the ``snapshot`` table back the kernel starts a new,
empty exception store. Constant, whatever was changed; it even brings back a snapshot that
overflowed. (The ``error`` table in between matters: a second snapshot table loaded over the same
store would take the exceptions over from the first.)

A volume that was *adopted* is an origin itself and its snapshot keeps the original. It goes back
the 2014 way: merge the snapshot, make it again. That copies every changed block.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pizarra.errors import PizarraError, StorageFault, Unsupported
from pizarra.model.facts import StorageKind, Volume
from pizarra.model.labels import Labels, Role, Way
from pizarra.model.sentence import Sentence
from pizarra.model.sizes import MIB, rounded_up
from pizarra.storage import lvm_commands
from pizarra.storage.images import copied
from pizarra.storage.interface import (
    Capabilities,
    Change,
    Changes,
    Faults,
    Move,
    NewVolume,
    Pair,
    Progress,
    first_raised,
    unseen,
)
from pizarra.storage.lvm_volumes import LvmVolumes, device_checked, lvm, lvm_batch, not_ours
from pizarra.storage.pairwise import each, in_batches
from pizarra.system import devmapper
from pizarra.system.locks import vg_locked
from pizarra.system.rcu import expedited
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
    return rounded_up(min(share, int(size_bytes * _OVERHEAD) + MIB), MIB)


class LvmThickStorage(LvmVolumes):
    """Classic volumes and snapshots in a volume group."""

    kind = StorageKind.LVM_THICK
    capabilities = Capabilities(
        hot_reset=True,
        disk_type="block",
        disk_format="raw",
        new_is_zero=False,
        moves_at_reset=False,
        undo=False,
        checkpoints=False,
    )

    def space_checked(self, new_bytes: int, what: str) -> None:
        """Against the free extents of the group."""
        self.space_of_group(new_bytes, what)

    def golden_created(self, new: NewVolume) -> Volume:
        """A plain volume, active."""
        lvm(lvm_commands.linear_create(self.place, new))
        return self.found(new.name)

    def draft_created(self, golden: Volume, new: NewVolume, progress: Progress = unseen) -> Volume:
        """A copy: the draft shall stand on nothing. FILLING until it is whole."""
        self.space_checked(new.size_bytes, Sentence("a copy of {name}", name=golden.name))
        filling = replace(new, labels=new.labels.but(role=Role.FILLING))
        volume = self.golden_created(filling)
        with self.opened(golden) as source:
            copied(source, "raw", volume.path, "raw", target_is_zero=False, progress=progress)
        self.relabelled({volume.uuid: new.labels}, self.observe())
        return self.found(new.name)

    def seats_created(self, golden: Volume, new: Sequence[NewVolume]) -> None:
        """Snapshots, fed to one ``lvm`` process. A snapshot is as large as its origin."""
        larger = [one for one in new if one.size_bytes > golden.size_bytes]
        if larger:
            raise StorageFault("A classic snapshot cannot be larger than its origin.")
        store = cow_bytes(golden.size_bytes)
        self.space_checked(store * len(new), Sentence("the stores of {n} seats", n=len(new)))
        lvm_batch([lvm_commands.cow_snapshot(self.place, golden.name, one, store) for one in new])

    def baseline_created(self, seat: Volume, new: NewVolume) -> Volume:
        """The original state of an adopted volume: a snapshot of it, which its writes fill."""
        store = cow_bytes(seat.size_bytes)
        self.space_checked(store, Sentence("the snapshot of {name}", name=seat.name))
        lvm(lvm_commands.cow_snapshot(self.place, seat.name, new, store))
        return self.found(new.name)

    def grown(self, volume: Volume, size_bytes: int) -> None:
        """Of a plain volume; a snapshot is as large as its origin (LVM would grow its store)."""
        if volume.origin:
            raise Unsupported(
                "{name} is a classic snapshot, and those are as large as their origin.",
                "Import the template on lvm-thin to have larger disks.",
                name=volume.name,
            )
        super().grown(volume, size_bytes)

    def store_extended(self, volume: Volume) -> None:
        """Half as much again for its changes. Raises NoSpace, NotOurs, StorageFault."""
        self._expected_checked(volume)
        more = rounded_up(cow_bytes(volume.size_bytes) // 2, MIB)
        self.space_checked(more, Sentence("the store of {name}", name=volume.name))
        lvm(lvm_commands.extend_by(self.place, volume.name, more))

    def _expected_checked(self, volume: Volume) -> None:
        first_raised(self.strangers([volume]))

    def moved(self, moves: Sequence[Move]) -> Faults:
        """Each snapshot made again, of the other origin, under its name."""
        faults = self.strangers([move.volume for move in moves])
        for move in moves:
            if move.volume.uuid in faults:
                continue
            try:
                self._moved(move)
            except PizarraError as error:
                faults[move.volume.uuid] = error
            else:
                faults[move.volume.uuid] = None
        return faults

    def _moved(self, move: Move) -> None:
        """The new one is there before the old one goes; ``move_ended`` finishes from any step."""
        self._closed_checked(move.volume)
        labels = move.labels.but(role=Role.FILLING, domain="")
        new = NewVolume(
            labels=labels, size_bytes=move.golden.size_bytes, name=move.volume.name + NEXT
        )
        self.seats_created(move.golden, [new])
        fault = self.removed([move.volume])[move.volume.uuid]
        if fault is not None:
            self.removed([self.found(new.name)])
            raise fault
        self.move_ended(self.found(new.name), move.labels.domain)

    def move_ended(self, following: Volume, domain: str) -> None:
        """A seat's next volume takes the place of the old one, which is gone."""
        name = following.name.removesuffix(NEXT)
        if name != following.name:
            lvm(lvm_commands.rename(self.place, following.name, name))
        present = self.found(name)
        assert present.labels is not None, "made with labels"
        labels = present.labels.but(role=Role.SEAT, domain=domain, still=0)
        self.relabelled({present.uuid: labels}, self.observe())

    def rewound(self, pairs: Sequence[Pair], *, keep: bool | None = None) -> Faults:
        """Stores emptied in place; adopted volumes merged, one after another."""
        _ = keep  # an emptied store is empty
        merges = [pair for pair in pairs if pair.seat.labels and pair.seat.labels.way is Way.MERGE]
        rewinds = [pair for pair in pairs if pair not in merges]
        faults = dict(in_batches(rewinds, self._batch_rewound))
        for pair in merges:
            try:
                self._merged(pair)
                faults[pair.seat.uuid] = None
            except PizarraError as error:
                faults[pair.seat.uuid] = error
        return faults

    def _batch_rewound(self, pairs: Sequence[Pair]) -> Faults:
        with vg_locked(self.place), expedited(), urgent():
            return each(pairs, _store_emptied)

    def _merged(self, pair: Pair) -> None:
        """The 2014 way. The seat must be closed, or LVM would put the merge off."""
        seat, baseline = pair.seat, pair.baseline
        if baseline.labels is None or baseline.origin != seat.name:
            raise not_ours(baseline, Sentence("it is not our snapshot of {name}", name=seat.name))
        device_checked(seat)
        self._closed_checked(seat, baseline)
        devmapper.flush_page_cache(seat.path)
        self._named_as_original(seat, MERGING)
        try:
            lvm(lvm_commands.merge(self.place, baseline.name))
        except PizarraError:
            if any(volume.uuid == baseline.uuid for volume in self.observe().volumes):
                self._named_as_original(seat, baseline.uuid)
            raise
        self.baseline_again(seat, baseline.labels, baseline.name)
        devmapper.flush_page_cache(seat.path)

    def baseline_again(self, seat: Volume, labels: Labels, name: str) -> None:
        """The snapshot that a merge used up, made anew: also by who mends a merge cut off."""
        new = NewVolume(labels=labels, size_bytes=seat.size_bytes, name=name)
        self._named_as_original(seat, self.baseline_created(seat, new).uuid)

    def _named_as_original(self, seat: Volume, uuid: str) -> None:
        facts = self.observe()
        labels = next((v.labels for v in facts.volumes if v.uuid == seat.uuid), None)
        if labels is None:
            raise not_ours(seat, "it carries no label of ours")
        self.relabelled({seat.uuid: labels.but(baseline=uuid)}, facts)

    def _closed_checked(self, *volumes: Volume) -> None:
        """LVM would put a merge off to the next activation, and report success."""
        opened = lvm(lvm_commands.open_volumes(self.place)).stdout.split()
        for volume in volumes:
            if volume.name in opened:
                raise StorageFault(
                    "{place}/{name} is held open by something; it cannot be changed now.",
                    "If somebody looks at it: pizarra inspect SEAT --detach; see also: lsof {path}",
                    place=self.place,
                    name=volume.name,
                    path=volume.path,
                )

    def checkpoints_created(self, new: Sequence[tuple[Volume, NewVolume]]) -> Faults:
        """Unsupported: a snapshot of a snapshot is none that LVM makes."""
        why = Unsupported("lvm-thick has no checkpoints.", "Checkpoints need lvm-thin or qcow2.")
        return {volume.uuid: why for volume, _ in new}

    def given_back(self, volumes: Sequence[Volume]) -> Faults:
        """A store that is emptied keeps its space."""
        return {volume.uuid: None for volume in volumes}

    def kept(self, volumes: Sequence[Volume]) -> frozenset[str]:
        """Never anything."""
        _ = volumes
        return frozenset()

    def kept_marks(self, volumes: Sequence[Volume]) -> Mapping[str, str]:
        """Nothing is ever kept."""
        _ = volumes
        return {}

    def put_back(self, volumes: Sequence[Volume]) -> Faults:
        """Unsupported; the plan of a reset says so before."""
        why = Unsupported("lvm-thick keeps nothing of what a reset takes away.")
        return {volume.uuid: why for volume in volumes}

    def kept_dropped(self, volumes: Sequence[Volume]) -> Faults:
        """There is nothing."""
        return {volume.uuid: None for volume in volumes}

    def settled(self, volumes: Sequence[Volume]) -> Sequence[str]:
        """There is nothing to settle."""
        _ = volumes
        return ()

    def proven(self, pairs: Sequence[Pair]) -> Changes:
        """From the kernel's own count: a store that holds no exception changed nothing."""
        return {pair.seat.uuid: _change(pair) for pair in self._as_merged(pairs)}

    def _as_merged(self, pairs: Sequence[Pair]) -> Sequence[Pair]:
        """A merge makes the snapshot anew, so one that was observed before it is gone."""
        if all(_is_live(_snapshot_of(pair)) for pair in pairs):
            return pairs
        now = {volume.uuid: volume for volume in self.observe().volumes}
        return [_as_now(pair, now) for pair in pairs]

    def witnessed(self, pairs: Sequence[Pair]) -> Changes:
        """The kernel is the only one who knows; ``verify --deep`` reads the data."""
        return self.proven(pairs)


def _is_live(volume: Volume) -> bool:
    try:
        device_checked(volume)
    except PizarraError:
        return False
    return True


def _as_now(pair: Pair, now: Mapping[str, Volume]) -> Pair:
    """The pair with the baseline that the seat's label names now, if that is its snapshot."""
    seat = now.get(pair.seat.uuid)
    baseline = now.get(seat.labels.baseline) if seat and seat.labels else None
    merging = seat is not None and seat.labels is not None and seat.labels.way is Way.MERGE
    if not merging or baseline is None or baseline.origin != pair.seat.name:
        return pair
    return Pair(seat=pair.seat, baseline=baseline)


def _snapshot_of(pair: Pair) -> Volume:
    """Whose store tells what changed: the seat's own, or the snapshot of an adopted seat."""
    merging = pair.seat.labels is not None and pair.seat.labels.way is Way.MERGE
    return pair.baseline if merging else pair.seat


def _change(pair: Pair) -> Change | PizarraError:
    snapshot = _snapshot_of(pair)
    try:
        device_checked(snapshot)
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


def _store_emptied(pair: Pair) -> None:
    seat = pair.seat
    if seat.labels is None or seat.labels.baseline != pair.baseline.uuid:
        raise not_ours(seat, "its label does not name this baseline")
    if seat.origin != pair.baseline.name:
        raise not_ours(seat, "it is no snapshot of its baseline")
    name, device = devmapper.dm_name(seat.place, seat.name), device_checked(seat)
    target = device.targets[0]
    snapshot = target if target.kind == "snapshot" else _snapshot_target(pair, target.length)
    store = devmapper.device(f"{name}-cow")
    if store is None:
        raise not_ours(seat, "it has no store")
    devmapper.flush_page_cache(device.node)
    devmapper.swap(device, devmapper.error_target(target.length))
    _head_zeroed(store.node)
    devmapper.swap(device, snapshot, quiet=True)
    devmapper.flush_page_cache(device.node)


def _snapshot_target(pair: Pair, length: int) -> devmapper.Target:
    """The table that LVM had loaded, put together again after a crash left ``error`` there."""
    seat = devmapper.dm_name(pair.seat.place, pair.seat.name)
    origin = devmapper.dm_name(pair.baseline.place, pair.baseline.name)
    real, store = devmapper.device(f"{origin}-real"), devmapper.device(f"{seat}-cow")
    if real is None or store is None:
        raise StorageFault(
            "{place}/{name} has lost its store or its origin.",
            "Activate the group again: vgchange -ay {place}",
            place=pair.seat.place,
            name=pair.seat.name,
        )
    return devmapper.Target(0, length, "snapshot", f"{real.number} {store.number} P 8")


def _head_zeroed(store: Path) -> None:
    zeros = mmap.mmap(-1, HEAD_BYTES)  # page-aligned, as O_DIRECT wants it
    fd = os.open(store, os.O_WRONLY | os.O_DIRECT | os.O_SYNC | os.O_CLOEXEC)
    try:
        if os.pwrite(fd, zeros, 0) != HEAD_BYTES:
            raise StorageFault("{store} took only part of a block.", store=store)
    finally:
        os.close(fd)
        zeros.close()
