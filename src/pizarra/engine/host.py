"""A host: its drivers, and one look at everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol, TypeVar

from pizarra.compute.interface import Compute
from pizarra.engine.machine_state import MachineStates
from pizarra.errors import BadInput, HostNotFit, PizarraError, StorageFault
from pizarra.model.facts import Seat, StorageFacts, StorageKind, Volume
from pizarra.model.labels import Labels
from pizarra.planner.host_facts import HostFacts, assemble
from pizarra.settings import Settings
from pizarra.storage.dm_snapshot.store import DmSnapshotStore
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.interface import (
    Capabilities,
    Change,
    Faults,
    NewCheckpoint,
    RewindTarget,
    Storage,
)
from pizarra.storage.lvm.volumes import lvm_facts
from pizarra.storage.qcow2.store import Qcow2Store

T = TypeVar("T")


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
        driver.kind: driver.capabilities for driver in (DmThinStore, DmSnapshotStore, Qcow2Store)
    }

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def observe(self) -> tuple[StorageFacts, ...]:
        """A host without LVM has no volume groups, and that is no error."""
        files = Qcow2Store(self.settings.folder)
        try:
            groups = lvm_facts()
        except HostNotFit:
            groups = StorageFacts()
        return (groups, files.observe())

    def at(self, kind: StorageKind, place: str) -> Storage:
        """Raises BadInput for a kind that no host has."""
        match kind:
            case StorageKind.LVM_THIN:
                return DmThinStore(place, self.settings.pool)
            case StorageKind.LVM_THICK:
                return DmSnapshotStore(place)
            case StorageKind.QCOW2:
                return Qcow2Store(self.settings.folder)
            case StorageKind.MEMORY:
                raise BadInput("The storage memory is for tests.", "Use lvm-thin.")


class Host:
    """What every use case needs."""

    def __init__(self, settings: Settings, compute: Compute, storages: Storages) -> None:
        self.settings = settings
        self.compute = compute
        self.storages = storages
        self.states = MachineStates(compute)

    def observe(self) -> HostFacts:
        """What LVM, the folder and libvirt say now."""
        return assemble(self.storages.observe(), self.compute.observe())

    def storage_of(self, volume: Volume) -> Storage:
        """The backend that has this volume."""
        return self.storages.at(volume.kind, volume.place)

    def changes(
        self, pairs: list[RewindTarget], *, witness: bool = False
    ) -> dict[str, Change | PizarraError]:
        """How each seat volume differs from its baseline, by its UUID; one question a backend.

        The content that a volume's name leads to may be original, and its device stand on nothing.
        """

        def told(
            storage: Storage, these: list[RewindTarget]
        ) -> Mapping[str, Change | PizarraError]:
            changes = storage.diff_independently(these) if witness else storage.diff(these)
            return {pair.volume.uuid: _whole(storage, pair, changes) for pair in these}

        found = self._by_storage(pairs, told)
        return {pair.volume.uuid: self._with_state(pair, found[pair.volume.uuid]) for pair in pairs}

    def _with_state(
        self, pair: RewindTarget, answer: Change | PizarraError
    ) -> Change | PizarraError:
        if isinstance(answer, PizarraError):
            return answer
        try:
            return replace(answer, state=self.states.difference(pair))
        except PizarraError as error:
            return error

    def with_original_content(self, pairs: list[RewindTarget]) -> frozenset[str]:
        """The UUIDs of seat volumes that surely have their baseline's; a device may not show it."""
        return self._with_content(pairs, original=True)

    def with_other_content(self, pairs: list[RewindTarget]) -> frozenset[str]:
        """Of those that surely have another; one without any is in neither."""
        return self._with_content(pairs, original=False)

    def _with_content(self, pairs: list[RewindTarget], *, original: bool) -> frozenset[str]:
        found = self._by_storage(pairs, lambda storage, these: storage.diff(these))
        return frozenset(
            uuid
            for uuid, one in found.items()
            if isinstance(one, Change) and one.original is original
        )

    def activate(self, volume: Volume) -> bool:
        """Whether it has a content, and its device shows it from now on."""
        storage = self.storage_of(volume)
        return storage.activate(volume) and not storage.has_error_table(volume)

    def undo_generations(self, volumes: Sequence[Volume]) -> dict[str, str]:
        """By UUID, what is another when something else is kept; as in storage. Raises its fault."""
        pairs = [_alone(volume) for volume in volumes]

        def told(storage: Storage, these: list[RewindTarget]) -> Mapping[str, str]:
            marks = storage.undo_generations([pair.volume for pair in these])
            return {pair.volume.uuid: marks.get(pair.volume.uuid, "") for pair in these}

        found = self._by_storage(pairs, told)
        for one in found.values():
            if isinstance(one, PizarraError):
                raise one
        return {uuid: one for uuid, one in found.items() if isinstance(one, str) and one}

    def rewind(
        self, pairs: list[RewindTarget], *, keep: bool | None = None, give_back: bool = True
    ) -> Faults:
        """Every seat volume back to its baseline, and what its machine keeps beside it; a fault
        each. ``keep`` as in storage. ``give_back`` is False for one who does that later.

        What the machine keeps is saved before the disk, and replaced after it: cut off in between,
        it still has all, or its disk was done (``undo_generations``) and ``keep`` is None the next
        time.
        """
        states = {pair.volume.uuid: self.states.prepare(pair, keep=keep) for pair in pairs}
        sound = [pair for pair in pairs if states[pair.volume.uuid] is None]
        faults: dict[str, PizarraError | None] = dict(
            self._by_storage(sound, lambda storage, these: storage.rewind(these, keep=keep))
        )
        for pair in sound:
            if faults[pair.volume.uuid] is None:
                faults[pair.volume.uuid] = self.states.commit(pair, keep=keep)
        if give_back:
            self.reclaim_space([pair.volume for pair in sound])
        return {**states, **faults}

    def reclaim_space(self, volumes: Sequence[Volume]) -> Faults:
        """The space of what rewinds took away is free again; a fault each."""
        pairs = [_alone(volume) for volume in volumes]
        return self._by_storage(
            pairs, lambda storage, these: storage.reclaim_space([pair.volume for pair in these])
        )

    def volumes_with_undo(self, seats: Sequence[Seat]) -> frozenset[str]:
        """The UUIDs of their volumes whose content before the last rewind is kept."""
        pairs = [_alone(volume) for seat in seats for volume in seat.volumes]

        def told(storage: Storage, these: list[RewindTarget]) -> Mapping[str, bool]:
            kept = storage.volumes_with_undo([pair.volume for pair in these])
            return {pair.volume.uuid: pair.volume.uuid in kept for pair in these}

        answers = self._by_storage(pairs, told)
        return frozenset(uuid for uuid, is_kept in answers.items() if is_kept is True)

    def swap_with_undo(self, volumes: Sequence[Volume]) -> Faults:
        """What is kept of these and what they have change places; a fault each. What their machines
        have beside them is saved before, and changes places afterwards."""
        faults: dict[str, PizarraError | None] = {
            one.uuid: self.states.prepare_swap(one) for one in volumes
        }
        pairs = [_alone(one) for one in volumes if faults[one.uuid] is None]
        faults |= self._by_storage(
            pairs, lambda storage, these: storage.swap_with_undo([pair.volume for pair in these])
        )
        for volume in volumes:
            if faults[volume.uuid] is None:
                faults[volume.uuid] = self.states.commit_swap(volume)
        return faults

    def discard_undo(self, volumes: Sequence[Volume]) -> Faults:
        """Nothing is kept of these any more; a fault each."""
        pairs = [_alone(volume) for volume in volumes]
        faults = self._by_storage(
            pairs, lambda storage, these: storage.discard_undo([pair.volume for pair in these])
        )
        self.states.discard([one for one in volumes if not faults[one.uuid]], undo_only=True)
        return faults

    def create_checkpoints(self, new: Sequence[NewCheckpoint]) -> Faults:
        """The present state of volumes, saved; a fault each, by the UUID of the volume."""
        names = {volume.uuid: to_be for volume, to_be in new}
        pairs = [_alone(volume) for volume, _ in new]

        def saved(storage: Storage, these: list[RewindTarget]) -> Faults:
            return storage.create_checkpoints([(p.volume, names[p.volume.uuid]) for p in these])

        faults = self._by_storage(pairs, saved)
        return {**faults, **self._save_states([(v, n) for v, n in new if faults[v.uuid] is None])}

    def _save_states(self, new: Sequence[NewCheckpoint]) -> Faults:
        """Beside checkpoints that were made; a fault each, of those that have a state."""
        having = [
            (v, to_be) for v, to_be in new if to_be.labels.firmware_state or to_be.labels.ram_bytes
        ]
        if not having:
            return {}
        there = {(one.place, one.name): one for one in self.observe().volumes.values()}
        faults: dict[str, PizarraError | None] = {}
        for volume, to_be in having:
            try:
                made = there[volume.place, to_be.name]
                self.states.save(volume, made)
                if to_be.labels.ram_bytes:
                    self.states.move_ram(volume, made)
            except PizarraError as error:
                faults[volume.uuid] = error
        return faults

    def set_labels(self, wished: Mapping[Volume, Labels]) -> None:
        """Replace the labels of volumes, wherever they are. Raises StorageFault, NotOurs."""
        for place in sorted({(volume.kind, volume.place) for volume in wished}):
            these = {
                volume.uuid: labels
                for volume, labels in wished.items()
                if (volume.kind, volume.place) == place
            }
            storage = self.storages.at(*place)
            storage.set_labels(these, storage.observe())

    def remove(self, volumes: Sequence[Volume]) -> Faults:
        """Remove volumes of ours, wherever they are."""
        faults: dict[str, PizarraError | None] = {}
        for place in sorted({(volume.kind, volume.place) for volume in volumes}):
            these = [volume for volume in volumes if (volume.kind, volume.place) == place]
            faults |= self.storages.at(*place).remove(these)
        self.states.discard(one for one in volumes if faults.get(one.uuid) is None)
        return faults

    def _by_storage(
        self,
        pairs: list[RewindTarget],
        ask: Callable[[Storage, list[RewindTarget]], Mapping[str, T]],
    ) -> dict[str, T | PizarraError]:
        """Ask each backend for its pairs, all backends at once; one that fails fails its own."""
        places: dict[tuple[StorageKind, str], list[RewindTarget]] = {}
        for pair in pairs:
            places.setdefault((pair.volume.kind, pair.volume.place), []).append(pair)

        def asked(place: tuple[StorageKind, str]) -> Mapping[str, T | PizarraError]:
            these = places[place]
            try:
                return ask(self.storages.at(*place), these)
            except PizarraError as error:
                return {pair.volume.uuid: error for pair in these}

        if len(places) < 2:
            answers = [asked(place) for place in places]
        else:
            with ThreadPoolExecutor(len(places)) as threads:
                answers = list(threads.map(asked, places))
        return {uuid: answer for one in answers for uuid, answer in one.items()}


def _alone(volume: Volume) -> RewindTarget:
    """For what is asked of a volume by itself."""
    return RewindTarget(volume=volume, source=volume)


def _whole(
    storage: Storage, pair: RewindTarget, changes: Mapping[str, Change | PizarraError]
) -> Change | PizarraError:
    answer = changes[pair.volume.uuid]
    if isinstance(answer, PizarraError):
        return answer
    return _detached_fault(storage, pair) or answer


def _detached_fault(storage: Storage, pair: RewindTarget) -> PizarraError | None:
    try:
        if not storage.has_error_table(pair.volume):
            return None
    except PizarraError as error:
        return error
    return StorageFault(
        "A reset of {place}/{name} was cut off.",
        "Run: pizarra recover",
        place=pair.volume.place,
        name=pair.volume.name,
    )
