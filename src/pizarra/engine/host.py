"""A host: its drivers, and one look at everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol, TypeVar

from pizarra.compute.interface import Compute
from pizarra.engine.journal import Journal
from pizarra.engine.machine_state import MachineStates
from pizarra.engine.seat_parts import SeatParts
from pizarra.engine.undo_index import UndoIndex
from pizarra.errors import BadInput, HostNotFit, PizarraError, StorageFault
from pizarra.model.facts import StorageFacts, StorageKind, Volume
from pizarra.model.labels import Labels
from pizarra.model.undo_slot import UndoSlot
from pizarra.planner.host_facts import HostFacts, assemble
from pizarra.settings import Settings
from pizarra.storage.dm_snapshot.store import DmSnapshotStore
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.interface import (
    NO_UNDO,
    Capabilities,
    Change,
    Faults,
    NewVolume,
    RewindTarget,
    Storage,
    UndoSwap,
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
        state = settings.state_folder
        self.states = MachineStates(compute, state / "machines")
        self.journal = Journal(state / "journal")
        self.undo_index = UndoIndex(state / "undo")

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

    def activate(self, volume: Volume) -> bool:
        """Whether it has a content, and its device shows it from now on."""
        storage = self.storage_of(volume)
        return storage.activate(volume) and not storage.has_error_table(volume)

    def rewind(
        self, pairs: list[RewindTarget], *, undo: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """Every volume has the content of its source, and its machine what the source has beside
        the disk; a fault each. ``undo`` as in storage.

        What the machine has beside is saved before the disk is rewound, and replaced after it. All
        disks of a seat are saved before one of them changes (``seat_parts``).
        """
        slots = {pair.volume: slot for pair in pairs if (slot := undo.get(pair.volume.uuid))}
        parts = SeatParts(self, slots)
        states = parts.empty_partly_saved()
        for pair in pairs:
            slot = slots.get(pair.volume)
            states[pair.volume.uuid] = states.get(pair.volume.uuid) or self.states.prepare(
                pair, slot
            )
        states |= parts.save_together(states)
        sound = [pair for pair in pairs if states[pair.volume.uuid] is None]
        faults: dict[str, PizarraError | None] = dict(
            self._by_storage(sound, lambda storage, these: storage.rewind(these, undo=undo))
        )
        for pair in sound:
            if faults[pair.volume.uuid] is None:
                faults[pair.volume.uuid] = self.states.commit(pair)
        return {**states, **faults}

    def save_undo(self, slots: Mapping[Volume, UndoSlot]) -> Faults:
        """The present content of each volume is in its slot too, unless that is filled; a fault
        each."""

        def save(storage: Storage, these: list[RewindTarget]) -> Faults:
            return storage.save_undo({pair.volume: slots[pair.volume] for pair in these})

        return self._by_storage([_alone(volume) for volume in slots], save)

    def undo_slots(
        self, volumes: Sequence[Volume]
    ) -> dict[str, frozenset[UndoSlot] | PizarraError]:
        """By UUID, the slots that hold something, or why nobody knows."""

        def told(storage: Storage, these: list[RewindTarget]) -> Mapping[str, frozenset[UndoSlot]]:
            slots = storage.undo_slots([pair.volume for pair in these])
            return {pair.volume.uuid: slots.get(pair.volume.uuid, frozenset()) for pair in these}

        return self._by_storage([_alone(volume) for volume in volumes], told)

    def swap_with_undo(self, swaps: Sequence[UndoSwap]) -> Faults:
        """What is kept of volumes and what they have change places; a fault each. What their
        machines have beside them is saved before, and changes places afterwards."""
        parts = SeatParts(self, {one.volume: one.to for one in swaps})
        faults = parts.empty_partly_saved()
        for one in swaps:
            uuid = one.volume.uuid
            faults[uuid] = faults.get(uuid) or self.states.prepare_swap(one)
        faults |= parts.save_together(faults)
        by_uuid = {one.volume.uuid: one for one in swaps if faults[one.volume.uuid] is None}
        faults |= self._by_storage(
            [_alone(one.volume) for one in by_uuid.values()],
            lambda storage, these: storage.swap_with_undo([by_uuid[p.volume.uuid] for p in these]),
        )
        for uuid, one in by_uuid.items():
            if faults[uuid] is None:
                faults[uuid] = self.states.commit_swap(one)
        return faults

    def reclaim_space(
        self, volumes: Sequence[Volume], *, keep: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """The space of what rewinds took away for good is free; a fault each. ``keep`` as in
        storage, and for what machines have beside their disks."""
        faults = self._by_storage(
            [_alone(volume) for volume in volumes],
            lambda storage, these: storage.reclaim_space([p.volume for p in these], keep=keep),
        )
        for volume in volumes:
            if faults[volume.uuid] is None and volume.uuid in keep:
                faults[volume.uuid] = self.states.discard_slot(volume, keep[volume.uuid].other)
        return faults

    def discard_undo(self, volumes: Sequence[Volume]) -> Faults:
        """Nothing is kept of these any more; a fault each."""
        pairs = [_alone(volume) for volume in volumes]
        faults = self._by_storage(
            pairs, lambda storage, these: storage.discard_undo([pair.volume for pair in these])
        )
        gone = [one for one in volumes if not faults[one.uuid]]
        self.states.discard(gone, undo_only=True)
        self.undo_index.forget(gone)
        return faults

    def create_checkpoints(self, new: Sequence[tuple[Volume, NewVolume]]) -> Faults:
        """The present state of volumes, saved; a fault each, by the UUID of the volume."""
        names = {volume.uuid: to_be for volume, to_be in new}
        pairs = [_alone(volume) for volume, _ in new]

        def saved(storage: Storage, these: list[RewindTarget]) -> Faults:
            return storage.create_checkpoints([(p.volume, names[p.volume.uuid]) for p in these])

        faults = self._by_storage(pairs, saved)
        return {**faults, **self._save_states([(v, n) for v, n in new if faults[v.uuid] is None])}

    def _save_states(self, new: Sequence[tuple[Volume, NewVolume]]) -> Faults:
        """Beside checkpoints that were made; a fault each, of those that have a state."""
        having = [(v, to_be) for v, to_be in new if to_be.labels.state or to_be.labels.ram]
        if not having:
            return {}
        there = {(one.place, one.name): one for one in self.observe().volumes.values()}
        faults: dict[str, PizarraError | None] = {}
        for volume, to_be in having:
            try:
                made = there[volume.place, to_be.name]
                self.states.save(volume, made)
                if to_be.labels.ram:
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

    def remove(self, volumes: list[Volume]) -> Faults:
        """Remove volumes of ours, wherever they are."""
        faults: dict[str, PizarraError | None] = {}
        for place in sorted({(volume.kind, volume.place) for volume in volumes}):
            these = [volume for volume in volumes if (volume.kind, volume.place) == place]
            faults |= self.storages.at(*place).remove(these)
        gone = [one for one in volumes if faults.get(one.uuid) is None]
        self.states.discard(gone)
        self.undo_index.forget(gone)
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
