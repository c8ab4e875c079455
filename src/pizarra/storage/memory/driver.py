"""What all parts of the memory driver share: its disks, and the steps at which a test stops it."""

from __future__ import annotations

from collections.abc import Callable

from pizarra.errors import NotOurs, PizarraError, StorageFault
from pizarra.model.facts import StorageKind, Volume
from pizarra.storage.interface import Capabilities
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.disks import Disk, MemoryDisks
from pizarra.system.flight import record


class Crash(BaseException):
    """The power went off. Nobody may catch it but a test, which then looks at the disks."""


class MemoryDriver:
    """``write``, ``read``, ``fail_at`` and ``crash_at`` are for whoever tests."""

    kind: StorageKind = Kind.MEMORY

    def __init__(self, disks: MemoryDisks | None = None, *, place: str = "memory") -> None:
        self.disks = disks or MemoryDisks()
        self.place = place
        self.capabilities = Capabilities(
            hot_reset=True,
            rebase_at_reset=True,
            new_is_zero=True,
            resize_at_create=True,
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
        disk.write(offset, data)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """As a guest would. Raises StorageFault in the middle of a rewind."""
        disk = self.disks.find(name)
        if disk.blocks is None:
            raise StorageFault("{name} cannot be read.", name=name)
        return disk.read(offset, length)

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

    def _find(self, volume: Volume) -> Disk:
        """The disk of this UUID and name, if it is ours. Raises NotOurs, StorageFault."""
        disk = self.disks.by_uuid.get(volume.uuid)
        if disk is None or disk.volume.name != volume.name:
            raise NotOurs("{name} is not the volume that it was.", name=volume.name)
        if disk.volume.labels is None:
            raise NotOurs("{name} carries no label of ours.", name=volume.name)
        return disk
