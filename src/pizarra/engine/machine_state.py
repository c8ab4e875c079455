"""What machines keep outside their disks, UEFI variables and the state of an emulated TPM, kept
for volumes: that of a template, a baseline or a checkpoint stands in a folder with its UUID.

The label ``state`` of a machine's first disk says what there is. A folder that is empty is a
blank state: the firmware's own variables, an unused TPM; libvirt makes them at the next start.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pizarra.compute.domain_edit import StateFiles, state_files_of
from pizarra.compute.interface import Compute
from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Seat, Volume
from pizarra.model.labels import MaintenanceLabels, SeatLabels, firmware_state_of
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.interface import RewindTarget, UndoSwap
from pizarra.system import flight
from pizarra.system.file_copies import (
    copy_atomically,
    move_atomically,
    remove_atomically,
    same_content,
)

_UNDO = ".undo"


class MachineStates:
    """The states of one host's machines."""

    def __init__(self, compute: Compute, folder: Path) -> None:
        self.compute = compute
        self.folder = folder

    def save(self, volume: Volume, to: Volume) -> None:
        """What the machine of ``volume`` has now is that of ``to``."""
        if _has_state(volume):
            self._save(self.files_in_use(volume), self.folder / to.uuid)

    def save_from(self, files: StateFiles, to: Volume) -> None:
        """What is in these files is that of ``to``."""
        self._save(files, self.folder / to.uuid)

    def prepare(self, pair: RewindTarget, slot: UndoSlot | None) -> PizarraError | None:
        """What ``commit`` needs is there: the source's, and in the slot a copy of what goes. A slot
        that is filled already stays as it is, as in storage."""
        if not _has_state(pair.volume):
            return None
        try:
            self._original(pair.source)
            if slot:
                self._fill(pair.volume, slot)
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(pair.volume, error)
        return None

    def commit(self, pair: RewindTarget) -> PizarraError | None:
        """The machine of a seat has what its source has. Twice is once."""
        if not _has_state(pair.volume):
            return None
        try:
            _put(self._original(pair.source), self.files_in_use(pair.volume))
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(pair.volume, error)
        return None

    def prepare_swap(self, one: UndoSwap) -> PizarraError | None:
        """A copy of what the machine has now is in the slot, if there is something to get."""
        try:
            if _has_state(one.volume) and self._slot(one.volume, one.kept).is_dir():
                self._fill(one.volume, one.to)
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(one.volume, error)
        return None

    def commit_swap(self, one: UndoSwap) -> PizarraError | None:
        """The machine has what the slot held, which is empty from now on. Twice is once."""
        kept = self._slot(one.volume, one.kept)
        if not _has_state(one.volume) or not kept.is_dir():
            return None
        try:
            _put(kept, self.files_in_use(one.volume))
            flight.record(f"state remove {kept.name}")
            remove_atomically(kept)
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(one.volume, error)
        return None

    def put_back(self, volume: Volume, folder: Path) -> None:
        """The machine of a seat, which is off, has what is in a folder. Raises StorageFault."""
        try:
            _put(folder, self.files_in_use(volume))
        except OSError as error:
            raise _fault(volume, error) from None

    def drop_ram(self, seat: Seat, slot: UndoSlot | None) -> None:
        """The RAM that libvirt saved of a machine is in the slot, if there is one, and libvirt has
        it no more: it may not meet another disk. Raises ComputeFault."""
        if slot:
            self.compute.keep_saved_ram(seat.domain_uuid, self._ram_slot(seat.volumes[0], slot))
        self.compute.drop_saved_ram(seat.domain_uuid)

    def put_ram(self, seat: Seat, slot: UndoSlot) -> bool:
        """Whether the slot held RAM, which libvirt has again. Raises ComputeFault."""
        kept = self._ram_slot(seat.volumes[0], slot)
        if not kept.is_file():
            return False
        self.compute.put_saved_ram(seat.domain_uuid, kept)
        kept.unlink()
        return True

    def discard_slot(self, volume: Volume, slot: UndoSlot) -> PizarraError | None:
        """This slot of a volume is empty."""
        try:
            self._ram_slot(volume, slot).unlink(missing_ok=True)
            if not _has_state(volume):
                return None
            remove_atomically(self._slot(volume, slot))
        except OSError as error:
            return _fault(volume, error)
        return None

    def has_old_undo(self, volume: Volume) -> bool:
        """Whether a Pizarra without a journal left something of it."""
        return _has_state(volume) and any(path.is_dir() for path in self._old(volume))

    def adopt_old_undo(self, volume: Volume, slot: UndoSlot) -> None:
        """What a Pizarra without a journal kept for an undo is in the slot; copies of operations
        that it was cut off in go. Raises StorageFault."""
        if not _has_state(volume):
            return
        old, *others = self._old(volume)
        try:
            if old.is_dir() and not self._slot(volume, slot).is_dir():
                move_atomically(old, self._slot(volume, slot))
            for path in (old, *others):
                remove_atomically(path)
        except OSError as error:
            raise _fault(volume, error) from None

    def difference(self, pair: RewindTarget) -> str:
        """What is not the baseline's: "", "NVRAM", "TPM" or both. Raises StorageFault."""
        if not _has_state(pair.volume) or not isinstance(pair.volume.labels, SeatLabels):
            return ""
        source, files = self._original(pair.source), self.files_in_use(pair.volume)
        try:
            differs = (
                "" if same_content(source / "nvram", files.nvram) else "NVRAM",
                "" if same_content(source / "tpm", files.tpm) else "TPM",
            )
        except OSError as error:
            raise _fault(pair.volume, error) from None
        return ", ".join(filter(None, differs))

    def ram(self, volume: Volume) -> Path:
        """Where the RAM is that was saved with a checkpoint's volume; or just now, a seat's."""
        return self.folder / f"{volume.uuid}.ram"

    def ram_new(self, volume: Volume) -> Path:
        """The same, about to be written for a seat's volume."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.ram(volume)

    def move_ram(self, volume: Volume, to: Volume) -> None:
        """What was saved of a seat's machine belongs to a checkpoint."""
        self.ram(to).unlink(missing_ok=True)
        self.ram(to).hardlink_to(self.ram(volume))

    def discard(self, volumes: Iterable[Volume], *, undo_only: bool = False) -> None:
        """These are gone, or what is kept of them is. Nobody reads what cannot be removed."""
        for volume in volumes:
            with suppress(OSError):
                self._discard(volume, undo_only=undo_only)

    def _discard(self, volume: Volume, *, undo_only: bool) -> None:
        if not undo_only:
            self.ram(volume).unlink(missing_ok=True)
        for slot in UndoSlot:
            self._ram_slot(volume, slot).unlink(missing_ok=True)
        if not _has_state(volume):
            return
        for undo in self.folder.glob(f"{volume.uuid}{_UNDO}*"):
            remove_atomically(undo)
        if not undo_only:
            remove_atomically(self.folder / volume.uuid)
            for part in self.folder.glob(f".{volume.uuid}*"):  # of a copy that was cut off
                remove_atomically(part)

    def files(self, volume: Volume) -> dict[str, Path]:
        """What is kept for a template's volume, by name: ``nvram``, ``tpm``; for an export."""
        folder = self.folder / volume.uuid
        return {one.name: one for one in sorted(folder.iterdir())} if folder.is_dir() else {}

    def files_in_use(self, volume: Volume) -> StateFiles:
        """Where libvirt keeps what the machine of a volume has now. Raises ComputeFault."""
        labels = volume.labels
        assert isinstance(labels, SeatLabels | MaintenanceLabels), "they have a machine"
        return state_files_of(self.compute.xml(labels.domain))

    def _slot(self, volume: Volume, slot: UndoSlot) -> Path:
        return self.folder / f"{volume.uuid}{_UNDO}-{slot}"

    def _ram_slot(self, volume: Volume, slot: UndoSlot) -> Path:
        return self.folder / f"{volume.uuid}{_UNDO}-{slot}.ram"

    def _old(self, volume: Volume) -> tuple[Path, ...]:
        """The undo first."""
        names = (f"{volume.uuid}{_UNDO}", f"{volume.uuid}{_UNDO}.new", f"{volume.uuid}.now")
        return tuple(self.folder / name for name in names)

    def _fill(self, volume: Volume, slot: UndoSlot) -> None:
        if not self._slot(volume, slot).is_dir():
            self._save(self.files_in_use(volume), self._slot(volume, slot))

    def _original(self, baseline: Volume) -> Path:
        folder = self.folder / baseline.uuid
        if folder.is_dir():
            return folder
        raise StorageFault(
            "The firmware's original state of {name} is not there: {folder}.",
            "Put it back from a backup; or begin with a blank one: mkdir -p {folder}",
            name=baseline.name,
            folder=folder,
        )

    def _save(self, files: StateFiles, folder: Path) -> None:
        """In a folder beside, which then takes its place."""
        flight.record(f"state save {folder.name}")
        part = folder.with_name(f".{folder.name}.part")
        remove_atomically(part)
        part.mkdir(parents=True, mode=0o700)
        copy_atomically(files.nvram, part / "nvram")
        copy_atomically(files.tpm, part / "tpm")
        move_atomically(part, folder)


def _has_state(volume: Volume) -> bool:
    return bool(firmware_state_of(volume.labels))


def _put(source: Path, files: StateFiles) -> None:
    flight.record(f"state put {source.name}")
    if files.nvram:
        copy_atomically(source / "nvram", files.nvram)
    if files.tpm:
        flight.record(f"state put the TPM of {source.name}")
        copy_atomically(source / "tpm", files.tpm)


def _fault(volume: Volume, error: OSError) -> StorageFault:
    return StorageFault(
        "The firmware state of {name} could not be handled: {why}.",
        "See: ls -l {path}",
        name=volume.name,
        why=error.strerror,
        path=error.filename or "",
    )
