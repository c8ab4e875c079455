"""A storage backend in memory, for tests of all that stands on one. It fails where it is told to.

``MemoryDisks`` is the hardware: it outlives the driver as disks outlive a process. Contents are
blocks that snapshots share, as in a thin pool. A rewind has the middle that a real one has:
after the seat's content is deleted and before the baseline's is there, a crash leaves neither.
"""

from __future__ import annotations

import errno
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
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
)
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.disk_source import BlockDevice
from pizarra.model.facts import Pool, RecordSeen, StorageFacts, Volume
from pizarra.model.labels import Labels, Role
from pizarra.model.sizes import size_text
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.interface import (
    NO_UNDO,
    Change,
    Changes,
    Faults,
    NewCheckpoint,
    NewVolume,
    Progress,
    Rebase,
    RewindTarget,
    ignore_progress,
    is_valid_source,
)
from pizarra.storage.memory.disks import (
    BLOCK_BYTES,
    Disk,
    is_checkpoint,
    own_blocks,
    saved_copy,
    snapshot,
)
from pizarra.storage.memory.driver import Crash as Crash
from pizarra.storage.memory.undo import MemoryUndo


class MemoryStore(MemoryUndo):
    """The backend; what a test does with it is in ``MemoryDriver``."""

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
        records = tuple(
            RecordSeen(kind=self.kind, place=self.place, classroom=name, record=record)
            for name, record in self.disks.records.items()
        )
        return StorageFacts(volumes=volumes, pools=(pool,), records=records)

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

    def create_golden(
        self,
        new: NewVolume,
        source: Volume | None = None,
        progress: Progress = ignore_progress,
    ) -> Volume:
        """Blank; or its blocks are those of ``source`` until they are written."""
        self._begin("create_draft" if source else "create_golden")()
        origin = self._find(source) if source else None
        made = self._make(
            new, new.labels, lambda volume: snapshot(volume, origin) if origin else Disk(volume)
        )
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
            disk = self._make(larger, one.labels, lambda volume: snapshot(volume, baseline), taken)
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

    def write_record(self, record: ClassroomRecord) -> None:
        """One step."""
        self._begin("write_record")()
        self._change()
        self.disks.records[record.classroom] = record

    def remove_record(self, classroom: str) -> None:
        """One step."""
        self._begin("remove_record")()
        self._change()
        self.disks.records.pop(classroom, None)

    def rebase(self, moves: Sequence[Rebase]) -> Faults:
        """A step each."""
        step = self._begin("rebase")
        faults: dict[str, PizarraError | None] = {}
        for move in moves:
            try:
                step()
                disk, golden = self._find(move.volume), self._find(move.golden)
            except PizarraError as error:
                faults[move.volume.uuid] = error
            else:
                self._change()
                size_bytes = max(disk.volume.size_bytes, golden.volume.size_bytes)
                disk.volume = replace(disk.volume, labels=move.labels, size_bytes=size_bytes)
                faults[move.volume.uuid] = None
        return faults

    def rewind(
        self, pairs: Sequence[RewindTarget], *, undo: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """Three steps a pair: before the last the seat has no content at all."""
        step = self._begin("rewind")
        faults: dict[str, PizarraError | None] = {}
        for pair in pairs:
            try:
                self._rewind(pair, step, undo.get(pair.volume.uuid))
            except PizarraError as error:
                faults[pair.volume.uuid] = error
            else:
                faults[pair.volume.uuid] = None
        return faults

    def _rewind(self, pair: RewindTarget, step: Callable[[], None], slot: UndoSlot | None) -> None:
        seat, baseline = self._find(pair.volume), self._find(pair.source)
        if not is_valid_source(pair):
            raise NotOurs("{name} is labelled for another baseline.", name=pair.volume.name)
        if baseline.blocks is None:
            raise StorageFault("{name} has no content.", name=pair.source.name)
        step()
        if slot is None or slot in seat.undo:
            seat.going += [seat.content()] if seat.blocks is not None else []
        else:
            self._save_undo(seat, slot)
        fresh = snapshot(seat.volume, baseline)
        if is_checkpoint(baseline):
            fresh.written, fresh.baseline = set(baseline.written), baseline.baseline
        self._replace(seat, fresh, step)

    def diff(self, targets: Sequence[RewindTarget], *, independently: bool = False) -> Changes:
        """From the record of what was written; independently, from the blocks themselves: which
        are not the baseline's own."""
        if independently:
            return self._diff("diff_independently", targets, own_blocks)
        return self._diff("diff", targets, lambda seat, _: len(seat.written))

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
                if is_checkpoint(baseline):
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

    def create_checkpoints(self, new: Sequence[NewCheckpoint]) -> Faults:
        """A step each."""
        step = self._begin("create_checkpoints")
        faults: dict[str, PizarraError | None] = {}
        for volume, one in new:
            faults[volume.uuid] = None
            try:
                step()
                disk = self._find(volume)
                if disk.blocks is None:
                    raise StorageFault("{name} has no content.", name=volume.name)
                made = self._make(one, one.labels, partial(saved_copy, disk))
                made.volume = replace(made.volume, read_only=True)
            except PizarraError as error:
                faults[volume.uuid] = error
        return faults

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

    @contextmanager
    def opening(
        self, volume: Volume, *, raw: bool = False, writable: bool = False
    ) -> Iterator[Path]:
        """A copy in a sparse temporary file; what is written to it is put back, or lost."""
        _ = raw  # it always is
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
            numbers = sorted({*blocks, *_blocks_with_data(file.fileno())}) if writable else ()
            for at in (number * BLOCK_BYTES for number in numbers):  # a disk may have 8 GiB
                part = os.pread(file.fileno(), min(BLOCK_BYTES, volume.size_bytes - at), at)
                if part != self.read(volume.name, at, len(part)):
                    self.write(volume.name, at, part)

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
            source=BlockDevice(Path("/memory") / self.place / new.name),
            size_bytes=new.size_bytes,
            labels=labels,
            read_only=labels.role is Role.BASELINE,
        )
        return self.disks.by_uuid.setdefault(volume.uuid, disk(volume))


def _volume(disk: Disk) -> Volume:
    used_share = len(disk.written) * BLOCK_BYTES / disk.volume.size_bytes
    labels = disk.volume.labels
    return replace(
        disk.volume,
        active=disk.blocks is not None,
        used_share=used_share,
        tags=labels.to_tags() if labels else (),
    )


def _blocks_with_data(fd: int) -> Iterator[int]:
    """The blocks of a sparse file that are no hole: lseek(2)."""
    end = 0
    while True:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data after that
                return
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield from range(start // BLOCK_BYTES, -(-end // BLOCK_BYTES))
