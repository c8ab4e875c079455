"""A host: its drivers, and one look at everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from typing import Protocol, TypeVar

from pizarra.compute.interface import Compute
from pizarra.engine.definition_files import DefinitionFiles
from pizarra.engine.journal import Journal
from pizarra.engine.machine_state import MachineStates
from pizarra.engine.seat_parts import SeatParts
from pizarra.engine.undo_index import UndoIndex
from pizarra.errors import PizarraError, StorageFault, Unsupported
from pizarra.model.facts import Seat, StorageFacts, StorageKind, Volume
from pizarra.model.labels import Labels
from pizarra.model.undo_slot import UndoSlot
from pizarra.planner.host_facts import HostFacts, assemble
from pizarra.settings import Settings
from pizarra.storage.interface import (
    NO_UNDO,
    Capabilities,
    Change,
    CheckpointStore,
    ContentIds,
    DeviceStore,
    Faults,
    NewCheckpoint,
    RewindTarget,
    Storage,
    UndoStore,
    UndoSwap,
)
from pizarra.storage.registry import technologies, technology
from pizarra.system.refusals import reporting_refusals

T = TypeVar("T")
V = TypeVar("V", bound=Volume)


class Storages(Protocol):
    """All storage of a host."""

    capabilities: Mapping[StorageKind, Capabilities]  # in the order in which a place is looked for
    folders: Mapping[StorageKind, str]  # the place of each kind that is not in volume groups

    def observe(self) -> tuple[StorageFacts, ...]:
        """One report for each technology, whatever the number of volumes."""
        ...

    def at(self, kind: StorageKind, place: str) -> Storage:
        """The backend of this kind at this place."""
        ...


class RealStorages:
    """Every kind that the registry has, where the settings say."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        found = technologies()
        self.capabilities: Mapping[StorageKind, Capabilities] = {
            one.kind: one.capabilities for one in found
        }
        self.folders: Mapping[StorageKind, str] = {
            one.kind: one.folder(settings) for one in found if one.folder
        }

    def observe(self) -> tuple[StorageFacts, ...]:
        """Kinds that share a report are asked once."""
        reports = dict.fromkeys(technology(kind).observe for kind in self.capabilities)
        return tuple(report(self.settings) for report in reports)

    def at(self, kind: StorageKind, place: str) -> Storage:
        """Raises BadInput for a kind that no host has."""
        return technology(kind).store(self.settings, place)


class Host:
    """What every use case needs."""

    def __init__(
        self,
        settings: Settings,
        compute: Compute,
        storages: Storages,
        identity: str = "",
        boot: str = "",
    ) -> None:
        """``identity`` tells this host from others, in UUIDs and addresses of new machines;
        ``boot`` tells this boot of the host from others."""
        self.settings = settings
        self.identity = identity
        self.boot = boot
        self.compute = compute
        self.storages = storages
        state = settings.state_folder
        self.states = MachineStates(compute, state / "machines")
        self.journal = Journal(settings.journal_folder)
        self.undo_index = UndoIndex(state / "undo")
        self.definitions = DefinitionFiles(state / "definitions")
        self._meant = ("", "")

    def meaning(self, classroom: str, id_: str) -> Host:
        """The same host, for somebody who means one classroom and none that has its name later:
        the classroom of this name is not there unless its record has this id."""
        host = copy(self)
        host._meant = (classroom, id_)
        return host

    def observe(self) -> HostFacts:
        """What LVM, the folder and libvirt say now. Raises NotFound when another classroom has the
        name of the one that is meant."""
        facts = assemble(self.storages.observe(), self.compute.observe())
        if self._meant[1]:
            facts.check_id(*self._meant)
        return facts

    def storage_of(self, volume: Volume) -> Storage:
        """The backend that has this volume."""
        return self.storages.at(volume.kind, volume.place)

    def changes(
        self, pairs: list[RewindTarget], *, witness: bool = False
    ) -> dict[str, Change | PizarraError]:
        """How each seat volume differs from its baseline, by its UUID; one question a backend.

        The content that a volume's name leads to may be original, and its device stand on nothing.
        """

        by_uuid = {pair.volume.uuid: pair for pair in pairs}

        def diff(storage: Storage, these: list[Volume]) -> Mapping[str, Change | PizarraError]:
            targets = [by_uuid[volume.uuid] for volume in these]
            changes = storage.diff(targets, independently=witness)
            return {one.uuid: _whole(storage, one, changes) for one in these}

        found = self._by_storage([pair.volume for pair in pairs], diff)
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
        if not isinstance(storage, DeviceStore):
            return True
        return storage.activate(volume) and not storage.has_error_table(volume)

    def wake(self, seats: Iterable[Seat]) -> bool:
        """Their volumes are active, which somebody may have deactivated with the whole group.
        Whether there was one to wake. Raises StorageFault."""
        volumes = [volume for seat in seats for volume in seat.all_volumes]
        places = sorted({(one.kind, one.place) for one in volumes if not one.active})
        stores = [(place, self.storages.at(*place)) for place in places]
        asleep = [(place, one) for place, one in stores if isinstance(one, DeviceStore)]
        for place, storage in asleep:
            storage.wake([one for one in volumes if (one.kind, one.place) == place])
        return bool(asleep)

    def has_error_table(self, volume: Volume) -> bool:
        """Whether its device stands on nothing, for a rewind was cut off; only looks."""
        storage = self.storage_of(volume)
        return isinstance(storage, DeviceStore) and storage.has_error_table(volume)

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
        by_uuid = {pair.volume.uuid: pair for pair in sound}
        faults: dict[str, PizarraError | None] = dict(
            self._by_storage(
                [pair.volume for pair in sound],
                lambda storage, these: storage.rewind(
                    [by_uuid[one.uuid] for one in these], undo=undo
                ),
            )
        )
        for pair in sound:
            if faults[pair.volume.uuid] is None:
                faults[pair.volume.uuid] = self.states.commit(pair)
        return {**states, **faults}

    def save_undo(self, slots: Mapping[Volume, UndoSlot]) -> Faults:
        """The present content of each volume is in its slot too, unless that is filled; a fault
        each."""

        def save(storage: Storage, these: list[Volume]) -> Faults:
            if not isinstance(storage, UndoStore):
                raise Unsupported("Nothing is kept of what a reset took away.")
            return storage.save_undo({volume: slots[volume] for volume in these})

        return self._by_storage(list(slots), save)

    def undo_slots(
        self, volumes: Sequence[Volume]
    ) -> dict[str, frozenset[UndoSlot] | PizarraError]:
        """By UUID, the slots that hold something, or why nobody knows."""

        def slots(storage: Storage, these: list[Volume]) -> Mapping[str, frozenset[UndoSlot]]:
            found = storage.undo_slots(these) if isinstance(storage, UndoStore) else {}
            return {one.uuid: found.get(one.uuid, frozenset()) for one in these}

        return self._by_storage(volumes, slots)

    def content_ids(self, volumes: Sequence[Volume]) -> dict[str, ContentIds | PizarraError]:
        """By UUID, which content a volume and its slots have, as in storage; nothing of storage
        that keeps no undo."""

        def ids(storage: Storage, these: list[Volume]) -> Mapping[str, ContentIds]:
            return storage.content_ids(these) if isinstance(storage, UndoStore) else {}

        return self._by_storage(volumes, ids)

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

        def swap(storage: Storage, these: list[Volume]) -> Faults:
            if not isinstance(storage, UndoStore):
                raise Unsupported("Nothing is kept of what a reset took away.")
            return storage.swap_with_undo([by_uuid[one.uuid] for one in these])

        faults |= self._by_storage([one.volume for one in by_uuid.values()], swap)
        for uuid, one in by_uuid.items():
            if faults[uuid] is None:
                faults[uuid] = self.states.commit_swap(one)
        return faults

    def reclaim_space(
        self, volumes: Sequence[Volume], *, keep: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """The space of what rewinds took away for good is free; a fault each. ``keep`` as in
        storage, and for what machines have beside their disks."""

        def reclaim(storage: Storage, these: list[Volume]) -> Faults:
            if not isinstance(storage, UndoStore):
                return {one.uuid: None for one in these}
            return storage.reclaim_space(these, keep=keep)

        faults = self._by_storage(volumes, reclaim)
        for volume in volumes:
            if faults[volume.uuid] is None and volume.uuid in keep:
                faults[volume.uuid] = self.states.discard_slot(volume, keep[volume.uuid].other)
        return faults

    def discard_undo(self, volumes: Sequence[Volume]) -> Faults:
        """Nothing is kept of these any more; a fault each."""

        def discard(storage: Storage, these: list[Volume]) -> Faults:
            if not isinstance(storage, UndoStore):
                return {one.uuid: None for one in these}
            return storage.discard_undo(these)

        faults = self._by_storage(volumes, discard)
        gone = [one for one in volumes if not faults[one.uuid]]
        self.states.discard(gone, undo_only=True)
        self.undo_index.forget(gone)
        return faults

    def create_checkpoints(self, new: Sequence[NewCheckpoint]) -> Faults:
        """The present state of volumes, saved; a fault each, by the UUID of the volume."""
        names = {volume.uuid: to_be for volume, to_be in new}

        def save(storage: Storage, these: list[Volume]) -> Faults:
            if not isinstance(storage, CheckpointStore):
                raise Unsupported("{kind} has no checkpoints.", kind=storage.kind)
            return storage.create_checkpoints([(one, names[one.uuid]) for one in these])

        faults = self._by_storage([volume for volume, _ in new], save)
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
                with reporting_refusals(self.states.folder):
                    self.states.save(volume, made)
                    if to_be.labels.ram_bytes:
                        self.states.move_ram(volume, made)
            except PizarraError as error:
                faults[volume.uuid] = error
        return faults

    def set_labels(self, wished: Mapping[V, Labels]) -> None:
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
        gone = [one for one in volumes if faults.get(one.uuid) is None]
        self.states.discard(gone)
        self.undo_index.forget(gone)
        return faults

    def _by_storage(
        self,
        volumes: Sequence[Volume],
        ask: Callable[[Storage, list[Volume]], Mapping[str, T]],
    ) -> dict[str, T | PizarraError]:
        """Ask each backend for its volumes, all backends at once; one that fails fails its own."""
        places: dict[tuple[StorageKind, str], list[Volume]] = {}
        for volume in volumes:
            places.setdefault((volume.kind, volume.place), []).append(volume)

        def ask_one(place: tuple[StorageKind, str]) -> Mapping[str, T | PizarraError]:
            these = places[place]
            try:
                with reporting_refusals(place[1]):
                    return ask(self.storages.at(*place), these)
            except PizarraError as error:
                return {volume.uuid: error for volume in these}

        if len(places) < 2:
            answers = [ask_one(place) for place in places]
        else:
            with ThreadPoolExecutor(len(places)) as threads:
                answers = list(threads.map(ask_one, places))
        return {uuid: answer for one in answers for uuid, answer in one.items()}


def _whole(
    storage: Storage, volume: Volume, changes: Mapping[str, Change | PizarraError]
) -> Change | PizarraError:
    answer = changes[volume.uuid]
    if isinstance(answer, PizarraError) or not isinstance(storage, DeviceStore):
        return answer
    return _detached_fault(storage, volume) or answer


def _detached_fault(storage: DeviceStore, volume: Volume) -> PizarraError | None:
    try:
        if not storage.has_error_table(volume):
            return None
    except PizarraError as error:
        return error
    return StorageFault(
        "A reset of {place}/{name} was cut off.",
        "Run: pizarra recover",
        place=volume.place,
        name=volume.name,
    )
