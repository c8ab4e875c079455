"""A storage backend in memory, for tests of all that stands on one. It fails where it is told to.

``MemoryDisks`` is the hardware: it outlives the driver as disks outlive a process. Contents are
blocks that snapshots share, as in a thin pool. A rewind has the middle that a real one has:
after the seat's content is deleted and before the baseline's is there, a crash leaves neither.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pizarra.errors import (
    AlreadyExists,
    BadInput,
    NoSpace,
    NotOurs,
    OtherOriginal,
    PizarraError,
    StorageFault,
    Unsupported,
)
from pizarra.model.facts import Pool, StorageFacts, StorageKind, Volume
from pizarra.model.labels import Labels, Role
from pizarra.model.sentence import Sentence
from pizarra.model.sizes import size_text
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.interface import (
    NO_UNDO,
    Capabilities,
    Change,
    Changes,
    Faults,
    NewVolume,
    Progress,
    Rebase,
    RewindTarget,
    UndoSwap,
    ignore_progress,
    is_valid_source,
)
from pizarra.storage.memory.disks import (
    BLOCK_BYTES,
    Disk,
    MemoryDisks,
    copy_of,
    own_blocks,
    snapshot_of,
)
from pizarra.system.checksum import sha256_of
from pizarra.system.flight import record


class Crash(BaseException):
    """The power went off. Nobody may catch it but a test, which then looks at the disks."""


class MemoryStore:
    """The backend. ``write``, ``read``, ``fail_at`` and ``crash_at`` are for whoever tests."""

    kind = StorageKind.MEMORY

    def __init__(self, disks: MemoryDisks | None = None, *, place: str = "memory") -> None:
        self.disks = disks or MemoryDisks()
        self.place = place
        self.capabilities = Capabilities(
            hot_reset=True,
            disk_type="block",
            disk_format="raw",
            new_is_zero=True,
            moves_at_reset=True,
            undo=True,
            checkpoints=True,
        )
        self._failures: dict[tuple[str, int], PizarraError] = {}
        self._steps_to_crash = 0
        self._is_dead = False

    # what a test says

    def fail_at(self, call: str, step: int, error: PizarraError) -> None:
        """The ``step``-th step (from 1) of the next ``call`` that comes so far raises ``error``."""
        self._failures[call, step] = error

    def crash_at(self, step: int) -> None:
        """Raise Crash instead of the ``step``-th change (from 1) that is made from now on, and
        instead of all that follow: another driver on the same disks is the next process. 0 is
        never."""
        self._steps_to_crash = step

    def write(self, name: str, offset: int, data: bytes) -> None:
        """As a guest would. Raises StorageFault when it may not be written there."""
        disk = self.disks.find(name)
        if disk.volume.read_only or disk.blocks is None:
            raise StorageFault("{name} cannot be written.", name=name)
        if offset + len(data) > disk.volume.size_bytes:
            raise StorageFault("{name} ends before that.", name=name)
        disk.write_at(offset, data)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """As a guest would. Raises StorageFault in the middle of a rewind."""
        disk = self.disks.find(name)
        if disk.blocks is None:
            raise StorageFault("{name} cannot be read.", name=name)
        return disk.read_at(offset, length)

    def _begin(self, call: str) -> Callable[[], None]:
        """What the call does before each of its steps."""
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            error = self._failures.pop((call, done), None)
            if error is not None:
                raise error

        return step

    def _change(self) -> None:
        """Before each change of the disks. A driver that has crashed makes none any more."""
        record("memory change of a disk")
        if self._is_dead:
            raise Crash
        if self._steps_to_crash:
            self._steps_to_crash -= 1
            if not self._steps_to_crash:
                self._is_dead = True
                raise Crash

    # the backend

    def observe(self) -> StorageFacts:
        """All of it."""
        self._begin("observe")()
        pool = Pool(
            kind=self.kind,
            place=self.place,
            name=self.place,
            size_bytes=self.disks.size_bytes,
            free_bytes=self.disks.size_bytes - self.disks.used_bytes(),
        )
        volumes = tuple(_volume(disk) for disk in self.disks.by_uuid.values())
        return StorageFacts(volumes=volumes, pools=(pool,))

    def check_space(self, new_bytes: int, what: str) -> None:
        """Raises NoSpace."""
        free_bytes = self.disks.size_bytes - self.disks.used_bytes()
        if new_bytes > free_bytes:
            raise NoSpace(
                "{what} needs {needs}, and {place} has {free} free.",
                what=what,
                needs=size_text(new_bytes),
                place=self.place,
                free=size_text(free_bytes),
            )

    def create_golden(self, new: NewVolume) -> Volume:
        """Blank."""
        self._begin("create_golden")()
        return _volume(self._make(new, new.labels.but(role=Role.FILLING), Disk))

    def create_draft(
        self, golden: Volume, new: NewVolume, progress: Progress = ignore_progress
    ) -> Volume:
        """Its blocks are shared until they are written."""
        self._begin("create_draft")()
        source = self._find(golden)
        made = self._make(new, new.labels, lambda volume: snapshot_of(volume, source))
        progress(1.0)
        return _volume(made)

    def seal_golden(
        self, volume: Volume, labels: Labels, progress: Progress = ignore_progress
    ) -> Volume:
        """Read-only, then labelled: two steps."""
        step, disk = self._begin("seal_golden"), self._find(volume)
        step()
        self._change()
        disk.volume = replace(disk.volume, read_only=True)
        step()
        self._change()
        disk.volume = replace(disk.volume, labels=labels)
        disk.written.clear()
        progress(1.0)
        return _volume(disk)

    def create_seats(self, golden: Volume, new: Sequence[NewVolume]) -> None:
        """A step each."""
        step, baseline = self._begin("create_seats"), self._find(golden)
        taken = {one.volume.name for one in self.disks.by_uuid.values()}
        for one in new:
            step()
            size_bytes = max(one.size_bytes, golden.size_bytes)
            larger = replace(one, size_bytes=size_bytes)
            disk = self._make(
                larger, one.labels, lambda volume: snapshot_of(volume, baseline), taken
            )
            taken.add(one.name)
            disk.volume = replace(disk.volume, origin=golden.name)

    def set_labels(self, volumes: Mapping[str, Labels], facts: StorageFacts) -> None:
        """A step each."""
        step = self._begin("set_labels")
        by_uuid = {volume.uuid: volume for volume in facts.volumes}
        for name, labels in volumes.items():
            disk = self._find(by_uuid[name])
            step()
            self._change()
            disk.volume = replace(disk.volume, labels=labels)

    def rebase(self, moves: Sequence[Rebase]) -> Faults:
        """A step each."""
        by_uuid = {one.volume.uuid: one for one in moves}

        def rebase(volume: Volume, _: Callable[[], None]) -> None:
            disk, golden = self._find(volume), self._find(by_uuid[volume.uuid].golden).volume
            self._change()
            size_bytes = max(disk.volume.size_bytes, golden.size_bytes)
            labels = by_uuid[volume.uuid].labels
            disk.volume = replace(disk.volume, labels=labels, size_bytes=size_bytes)

        return self._try_each("rebase", [one.volume for one in moves], rebase)

    def rewind(
        self, pairs: Sequence[RewindTarget], *, undo: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """Three steps a pair: before the last the seat has no content at all."""
        by_uuid = {pair.volume.uuid: pair for pair in pairs}
        return self._try_each(
            "rewind",
            [pair.volume for pair in pairs],
            lambda one, step: self._rewind(by_uuid[one.uuid], step, undo.get(one.uuid)),
        )

    def _try_each(
        self,
        call: str,
        volumes: Iterable[Volume],
        act: Callable[[Volume, Callable[[], None]], None],
    ) -> Faults:
        step, faults = self._begin(call), dict[str, PizarraError | None]()
        for volume in volumes:
            faults[volume.uuid] = None
            try:
                step()
                act(volume, step)
            except PizarraError as error:
                faults[volume.uuid] = error
        return faults

    def _rewind(self, pair: RewindTarget, step: Callable[[], None], slot: UndoSlot | None) -> None:
        seat, baseline = self._find(pair.volume), self._find(pair.source)
        if not is_valid_source(pair):
            raise NotOurs("{name} is labelled for another baseline.", name=pair.volume.name)
        if baseline.blocks is None:
            raise StorageFault("{name} has no content.", name=pair.source.name)
        if slot is None or slot in seat.undo:
            seat.going += [seat.content()] if seat.blocks is not None else []
        else:
            self._save_undo(seat, slot)
        fresh = snapshot_of(seat.volume, baseline)
        if baseline.is_checkpoint:
            fresh.written, fresh.baseline = set(baseline.written), baseline.baseline
        self._replace(seat, fresh, step)

    def save_undo(self, slots: Mapping[Volume, UndoSlot]) -> Faults:
        """A step each."""
        save = lambda one, _: self._save_undo(self._find(one), slots[one])  # noqa: E731
        return self._try_each("save_undo", slots, save)

    def _save_undo(self, disk: Disk, slot: UndoSlot) -> None:
        if disk.blocks is not None and slot not in disk.undo:
            self._change()
            disk.undo[slot] = disk.content()

    def _replace(self, disk: Disk, by: Disk, step: Callable[[], None]) -> None:
        self._change()
        disk.blocks = None
        step()
        self._change()
        disk.blocks, disk.written, disk.baseline = by.blocks, by.written, by.baseline

    def undo_slots(self, volumes: Sequence[Volume]) -> Mapping[str, frozenset[UndoSlot]]:
        """Those that hold something. One step."""
        self._begin("undo_slots")()
        found = {one.uuid: frozenset(self._find(one).undo) for one in volumes}
        return {uuid: slots for uuid, slots in found.items() if slots}

    def swap_with_undo(self, swaps: Sequence[UndoSwap]) -> Faults:
        """Four steps each, as in a thin pool."""
        by_uuid = {one.volume.uuid: one for one in swaps}
        return self._try_each(
            "swap_with_undo",
            [one.volume for one in swaps],
            lambda one, step: self._swap(self._find(one), by_uuid[one.uuid], step),
        )

    def _swap(self, disk: Disk, one: UndoSwap, step: Callable[[], None]) -> None:
        if not disk.undo:
            raise StorageFault("Nothing is kept of what a reset took away.")
        self._save_undo(disk, one.to)
        if kept := disk.undo.get(one.kept):
            self._replace(disk, kept.content(), step)
            self._change()
            del disk.undo[one.kept]

    def reclaim_space(
        self, volumes: Sequence[Volume], *, keep: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """One step."""
        self._begin("reclaim_space")()
        for volume in volumes:
            disk = self._find(volume)
            disk.going.clear()
            if volume.uuid in keep and keep[volume.uuid].other in disk.undo:
                self._change()
                del disk.undo[keep[volume.uuid].other]
        return {volume.uuid: None for volume in volumes}

    def discard_undo(self, volumes: Sequence[Volume]) -> Faults:
        """A step each."""
        step = self._begin("discard_undo")
        for volume in volumes:
            step()
            disk = self._find(volume)
            if disk.undo:
                self._change()
                disk.undo.clear()
            disk.going.clear()
        return {volume.uuid: None for volume in volumes}

    def repair_after_crash(self, volumes: Sequence[Volume]) -> Sequence[str]:
        """An exchange has no middle; what goes may be left. One step."""
        self._begin("repair_after_crash")()
        left = [disk for one in volumes if (disk := self._find(one)).going]
        for disk in left:
            disk.going.clear()
        text = "{n} undos that were cut off or left behind are settled"
        return (Sentence(text, n=len(left)),) if left else ()

    def diff(self, pairs: Sequence[RewindTarget]) -> Changes:
        """From the record of what was written."""
        return self._diff("diff", pairs, lambda seat, _: len(seat.written))

    def diff_independently(self, pairs: Sequence[RewindTarget]) -> Changes:
        """From the blocks themselves: which are not the baseline's own."""
        return self._diff("diff_independently", pairs, own_blocks)

    def _diff(
        self, call: str, pairs: Sequence[RewindTarget], count: Callable[[Disk, Disk], int]
    ) -> Changes:
        step = self._begin(call)
        changes: dict[str, Change | PizarraError] = {}
        for pair in pairs:
            try:
                step()
                seat, baseline = self._find(pair.volume), self._find(pair.source)
                if seat.blocks is None:
                    raise StorageFault("{name} is not a whole seat.", name=pair.volume.name)
                if baseline.is_checkpoint:
                    blocks = own_blocks(seat, baseline) + own_blocks(baseline, seat)
                elif seat.baseline != pair.source.uuid:
                    raise OtherOriginal("{name} is another's seat.", name=pair.volume.name)
                else:
                    blocks = count(seat, baseline)
            except PizarraError as error:
                changes[pair.volume.uuid] = error
            else:
                changes[pair.volume.uuid] = Change(changed_bytes=BLOCK_BYTES * blocks)
        return changes

    def create_checkpoints(self, new: Sequence[tuple[Volume, NewVolume]]) -> Faults:
        """A step each."""
        by_uuid = {volume.uuid: one for volume, one in new}

        def save(volume: Volume, _: Callable[[], None]) -> None:
            disk, one = self._find(volume), by_uuid[volume.uuid]
            if disk.blocks is None:
                raise StorageFault("{name} has no content.", name=volume.name)
            made = self._make(one, one.labels, partial(copy_of, disk))
            made.volume = replace(made.volume, read_only=True)

        return self._try_each("create_checkpoints", [volume for volume, _ in new], save)

    def grow(self, volume: Volume, size_bytes: int) -> None:
        """Larger or the same."""
        self._begin("grow")()
        disk = self._find(volume)
        if size_bytes < disk.volume.size_bytes:
            raise BadInput(
                "{name} has {has} and can only grow.",
                name=volume.name,
                has=size_text(disk.volume.size_bytes),
            )
        self._change()
        disk.volume = replace(disk.volume, size_bytes=size_bytes)

    def remove(self, volumes: Sequence[Volume]) -> Faults:
        """A step each, those that stand on others first."""
        step = self._begin("remove")
        faults: dict[str, PizarraError | None] = {}
        for volume in sorted(volumes, key=lambda volume: not volume.origin):
            faults[volume.uuid] = None
            if volume.uuid not in self.disks.by_uuid:
                continue
            try:
                self._find(volume)
                step()
            except PizarraError as error:
                faults[volume.uuid] = error
            else:
                self._change()
                del self.disks.by_uuid[volume.uuid]
        return faults

    def has_error_table(self, volume: Volume) -> bool:
        """After a crash between the delete and the copy."""
        return self._find(volume).blocks is None

    def activate(self, volume: Volume) -> bool:
        """Never asleep; empty after a crash in the middle."""
        return not self.has_error_table(volume)

    def checksum(self, volume: Volume, size_bytes: int) -> str:
        """Of the raw content."""
        with self.opening(volume) as path:
            return sha256_of(path, size_bytes)

    def create_baseline(self, seat: Volume, new: NewVolume) -> Volume:
        """Unsupported, as on files."""
        raise Unsupported("{name} cannot be adopted in memory.", name=new.name or seat.name)

    @contextmanager
    def opening(self, volume: Volume) -> Iterator[Path]:
        """A copy in a sparse temporary file; what is written to it is lost."""
        blocks = self._find(volume).blocks
        if blocks is None:
            raise StorageFault("{name} has no content.", name=volume.name)
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(volume.size_bytes)
            for number, block in blocks.items():
                file.seek(number * BLOCK_BYTES)
                file.write(block.data)
            file.flush()
            yield Path(file.name)

    @contextmanager
    def opening_raw(self, volume: Volume, *, writable: bool = False) -> Iterator[Path]:
        """The copy, whose changes are put back."""
        with self.opening(volume) as path:
            yield path
            data = path.read_bytes() if writable else b""
            for at in range(0, len(data), BLOCK_BYTES):
                block = data[at : at + BLOCK_BYTES]
                if block != self.read(volume.name, at, len(block)):
                    self.write(volume.name, at, block)

    def _make(
        self,
        new: NewVolume,
        labels: Labels,
        disk: Callable[[Volume], Disk],
        taken: set[str] | None = None,
    ) -> Disk:
        """``taken``: the names that there are, for whoever makes many."""
        names = {one.volume.name for one in self.disks.by_uuid.values()} if taken is None else taken
        if new.name in names:
            raise AlreadyExists("There is a volume {name} already.", name=new.name)
        self._change()
        volume = Volume(
            kind=self.kind,
            place=self.place,
            name=new.name,
            uuid=str(uuid.uuid4()),
            path=Path("/memory") / self.place / new.name,
            size_bytes=new.size_bytes,
            labels=labels,
            read_only=labels.role is Role.BASELINE,
        )
        return self.disks.by_uuid.setdefault(volume.uuid, disk(volume))

    def _find(self, volume: Volume) -> Disk:
        """The disk of this UUID and name, if it is ours. Raises NotOurs, StorageFault."""
        disk = self.disks.by_uuid.get(volume.uuid)
        if disk is None or disk.volume.name != volume.name:
            raise NotOurs("{name} is not the volume that it was.", name=volume.name)
        if disk.volume.labels is None:
            raise NotOurs("{name} carries no label of ours.", name=volume.name)
        return disk


def _volume(disk: Disk) -> Volume:
    used_share = len(disk.written) * BLOCK_BYTES / disk.volume.size_bytes
    return replace(disk.volume, active=disk.blocks is not None, used_share=used_share)
