"""A host in memory: the same use cases, no disk and no machine. For speed, never for the proof."""

from __future__ import annotations

from collections.abc import Mapping

from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host
from pizarra.errors import NotFound
from pizarra.model.facts import StorageFacts, StorageKind
from pizarra.settings import Settings
from pizarra.storage.interface import Capabilities, Storage


class MemoryStorages:
    """One backend at its one place."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.capabilities: Mapping[StorageKind, Capabilities] = {storage.kind: storage.capabilities}
        self.folders: Mapping[StorageKind, str] = {storage.kind: storage.place}

    def observe(self) -> tuple[StorageFacts, ...]:
        """What the one backend has."""
        return (self.storage.observe(),)

    def at(self, kind: StorageKind, place: str) -> Storage:
        """Raises NotFound for any other."""
        if (kind, place) != (self.storage.kind, self.storage.place):
            raise NotFound("There is no storage {kind} {place} here.", kind=kind, place=place)
        return self.storage


def memory_host(
    storage: Storage, compute: MemoryCompute, settings: Settings, boot: str = ""
) -> Host:
    """A host of the two memory drivers. Another ``boot`` is the same host after a reboot."""
    return Host(settings, compute, MemoryStorages(storage), boot=boot)
