"""A host: its drivers, and one look at everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pizarra.compute.interface import Compute
from pizarra.errors import BadInput, HostNotFit, PizarraError, StorageFault
from pizarra.model.facts import StorageFacts, StorageKind, Volume
from pizarra.planner.host_facts import HostFacts, assembled
from pizarra.settings import Settings
from pizarra.storage.interface import Capabilities, Change, Faults, Pair, Storage
from pizarra.storage.lvm_thick import LvmThickStorage
from pizarra.storage.lvm_thin import LvmThinStorage
from pizarra.storage.lvm_volumes import lvm_facts
from pizarra.storage.qcow2 import Qcow2Storage


class Storages(Protocol):
    """All storage of a host."""

    capabilities: Mapping[StorageKind, Capabilities]

    def observe(self) -> tuple[StorageFacts, ...]:
        """One report for each technology, whatever the number of volumes."""
        ...

    def at(self, kind: StorageKind, place: str) -> Storage:
        """The backend of this kind at this place."""
        ...


class RealStorages:
    """LVM's volume groups and the folder of qcow2 files."""

    capabilities: Mapping[StorageKind, Capabilities] = {
        driver.kind: driver.capabilities
        for driver in (LvmThinStorage, LvmThickStorage, Qcow2Storage)
    }

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def observe(self) -> tuple[StorageFacts, ...]:
        """A host without LVM has no volume groups, and that is no error."""
        files = Qcow2Storage(self.settings.folder)
        try:
            groups = lvm_facts()
        except HostNotFit:
            groups = StorageFacts()
        return (groups, files.observe())

    def at(self, kind: StorageKind, place: str) -> Storage:
        """Raises BadInput for a kind that no host has."""
        match kind:
            case StorageKind.LVM_THIN:
                return LvmThinStorage(place, self.settings.pool)
            case StorageKind.LVM_THICK:
                return LvmThickStorage(place)
            case StorageKind.QCOW2:
                return Qcow2Storage(self.settings.folder)
            case StorageKind.MEMORY:
                raise BadInput("The storage memory is for tests.", "Use lvm-thin.")


class Host:
    """What every use case needs."""

    def __init__(self, settings: Settings, compute: Compute, storages: Storages) -> None:
        self.settings = settings
        self.compute = compute
        self.storages = storages

    def observe(self) -> HostFacts:
        """What LVM, the folder and libvirt say now."""
        return assembled(self.storages.observe(), self.compute.observe())

    def storage_of(self, volume: Volume) -> Storage:
        """The backend that has this volume."""
        return self.storages.at(volume.kind, volume.place)

    def changes(
        self, pairs: list[Pair], *, witness: bool = False
    ) -> dict[str, Change | PizarraError]:
        """How each seat volume differs from its baseline, by its UUID; one question a backend.

        The content that a volume's name leads to may be original, and its device stand on nothing.
        """
        found: dict[str, Change | PizarraError] = {}
        for storage, these in self._by_storage(pairs):
            try:
                found |= storage.witnessed(these) if witness else storage.proven(these)
            except PizarraError as error:
                found |= {pair.seat.uuid: error for pair in these}
            found |= {
                pair.seat.uuid: fault
                for pair in these
                if isinstance(found[pair.seat.uuid], Change)
                and (fault := _detached(storage, pair)) is not None
            }
        return found

    def rewound(self, pairs: list[Pair]) -> Faults:
        """Every seat volume back to its baseline; a fault each."""
        faults: dict[str, PizarraError | None] = {}
        for storage, these in self._by_storage(pairs):
            try:
                faults |= storage.rewound(these)
            except PizarraError as error:
                faults |= {pair.seat.uuid: error for pair in these}
        return faults

    def removed(self, volumes: list[Volume]) -> Faults:
        """Remove volumes of ours, wherever they are."""
        faults: dict[str, PizarraError | None] = {}
        for place in sorted({(volume.kind, volume.place) for volume in volumes}):
            these = [volume for volume in volumes if (volume.kind, volume.place) == place]
            faults |= self.storages.at(*place).removed(these)
        return faults

    def _by_storage(self, pairs: list[Pair]) -> list[tuple[Storage, list[Pair]]]:
        places = sorted({(pair.seat.kind, pair.seat.place) for pair in pairs})
        return [
            (
                self.storages.at(*place),
                [pair for pair in pairs if (pair.seat.kind, pair.seat.place) == place],
            )
            for place in places
        ]


def _detached(storage: Storage, pair: Pair) -> PizarraError | None:
    try:
        if not storage.is_detached(pair.seat):
            return None
    except PizarraError as error:
        return error
    return StorageFault(
        "A reset of {place}/{name} was cut off.",
        "Run: pizarra recover",
        place=pair.seat.place,
        name=pair.seat.name,
    )
