"""What the contract suite needs of each backend beside the backend: a hand on its contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pizarra.model.facts import Volume
from pizarra.model.labels import ResetMethod, TemplateLabels
from pizarra.model.sizes import MIB
from pizarra.storage.interface import NewVolume, Storage
from pizarra.storage.memory.store import MemoryStore


class Bench(Protocol):
    """A backend, and the same disks reached as a guest or a careless technician does."""

    storage: Storage
    seats_grow: bool
    seats_outlive_golden: bool  # their content survives when somebody takes it away
    adopts_as: ResetMethod | None  # None: no volume of somebody else's can become a seat

    def clear(self, *, but: str) -> None:
        """Remove all but the volume of this name."""
        ...

    def again(self) -> Storage:
        """Another driver on the same disks, which has seen nothing yet."""
        ...

    def write(self, volume: Volume, offset: int, data: bytes) -> None:
        """As a guest does; offset and length are multiples of 4096."""
        ...

    def read(self, volume: Volume, offset: int, length: int) -> bytes:
        """By every way there is, which must all say the same."""
        ...

    def holding(self, volume: Volume) -> AbstractContextManager[Callable[[int, int], bytes]]:
        """Open, as a running QEMU has it; gives what reads through that same opening."""
        ...

    def foreign(self, name: str) -> None:
        """Make a volume that is none of ours."""
        ...

    def lose(self, volume: Volume) -> None:
        """Take a volume away behind the driver's back."""
        ...


class MemoryBench:
    """The memory backend, new each time."""

    seats_grow = True
    seats_outlive_golden = True
    adopts_as: ResetMethod | None = None

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.storage: Storage = self.memory

    def clear(self, *, but: str) -> None:
        assert not self.memory.disks.by_uuid, but

    def again(self) -> Storage:
        return MemoryStore(self.memory.disks)

    def write(self, volume: Volume, offset: int, data: bytes) -> None:
        self.memory.write(volume.name, offset, data)

    def read(self, volume: Volume, offset: int, length: int) -> bytes:
        data = self.memory.read(volume.name, offset, length)
        with self.storage.opening(volume) as path:
            assert file_read(path, offset, length) == data
        return data

    @contextmanager
    def holding(self, volume: Volume) -> Iterator[Callable[[int, int], bytes]]:
        yield lambda offset, length: self.memory.read(volume.name, offset, length)

    def foreign(self, name: str) -> None:
        new = NewVolume(
            name=name, size_bytes=8 * MIB, labels=TemplateLabels(template="theirs", version=1)
        )
        made = self.memory.create_golden(new)
        disk = self.memory.disks.by_uuid[made.uuid]
        disk.volume = replace(disk.volume, labels=None)

    def lose(self, volume: Volume) -> None:
        del self.memory.disks.by_uuid[volume.uuid]


def file_read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
