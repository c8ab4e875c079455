"""The disks of the memory driver: volumes that share blocks, as thin ones do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain, count

from pizarra.errors import StorageFault
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.facts import Volume
from pizarra.model.labels import CheckpointLabels
from pizarra.model.sizes import TIB
from pizarra.model.undo_slot import UndoSlot

BLOCK_BYTES = 4096
BLANK = bytes(BLOCK_BYTES)
next_made = count().__next__  # a thin pool counts too when it made each content


class Block:
    """What was once written to a block; two volumes that have the same one share it."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


@dataclass(slots=True)
class Disk:
    """A volume and its blocks."""

    volume: Volume
    blocks: dict[int, Block] | None = field(default_factory=dict)  # None: deleted, half a rewind
    written: set[int] = field(default_factory=set)  # since it was original
    baseline: str = ""  # UUID of what it was snapshot from
    undo: dict[UndoSlot, Disk] = field(default_factory=dict)  # what rewinds took away
    going: list[Disk] = field(default_factory=list)  # what takes space until it is reclaimed
    made: int = field(default_factory=next_made)  # of its content: a later one has a larger number

    def content(self) -> Disk:
        """What it holds now, by itself."""
        blocks = None if self.blocks is None else dict(self.blocks)
        return replace(self, blocks=blocks, written=set(self.written), undo={}, going=[],
                       made=next_made())  # fmt: skip

    def write(self, offset: int, data: bytes) -> None:
        """Blocks that another volume shares are copied first."""
        blocks = self.blocks or {}
        while data:
            number, start = divmod(offset, BLOCK_BYTES)
            part = data[: BLOCK_BYTES - start]
            old = blocks[number].data if number in blocks else BLANK
            blocks[number] = Block(old[:start] + part + old[start + len(part) :])
            self.written.add(number)
            offset, data = offset + len(part), data[len(part) :]
        self.blocks = blocks

    def read(self, offset: int, length: int) -> bytes:
        """What was never written is zeros."""
        blocks = self.blocks or {}
        first, last = offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES)
        data = b"".join(
            blocks[number].data if number in blocks else BLANK for number in range(first, last)
        )
        return data[offset - first * BLOCK_BYTES :][:length]


@dataclass(slots=True)
class MemoryDisks:
    """The disks of one place, by volume UUID."""

    size_bytes: int = TIB
    by_uuid: dict[str, Disk] = field(default_factory=dict)
    records: dict[str, ClassroomRecord | None] = field(default_factory=dict)  # None: damaged

    def find(self, name: str) -> Disk:
        """Raises StorageFault when there is none."""
        for disk in self.by_uuid.values():
            if disk.volume.name == name:
                return disk
        raise StorageFault("There is no volume {name}.", name=name)

    def used_bytes(self) -> int:
        """What all volumes hold of their own."""
        disks = list(self.by_uuid.values())
        beside = [[*disk.undo.values(), *disk.going] for disk in disks]
        return BLOCK_BYTES * sum(len(disk.written) for disk in [*disks, *chain(*beside)])


def saved_copy(disk: Disk, volume: Volume) -> Disk:
    """What a checkpoint of it has."""
    return Disk(volume, dict(disk.blocks or {}), set(disk.written), disk.baseline)


def snapshot(volume: Volume, baseline: Disk) -> Disk:
    """A volume that shares all blocks, and has written none of its own."""
    return Disk(volume, dict(baseline.blocks or {}), set(), baseline.volume.uuid)


def is_checkpoint(disk: Disk) -> bool:
    """Whether it is a seat's saved state."""
    return isinstance(disk.volume.labels, CheckpointLabels)


def own_blocks(seat: Disk, baseline: Disk) -> int:
    """How many blocks it does not share."""
    theirs = baseline.blocks or {}
    return sum(theirs.get(number) is not block for number, block in (seat.blocks or {}).items())
