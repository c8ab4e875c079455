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
from pizarra.model.facts import Volume
from pizarra.model.labels import MaintenanceLabels, SeatLabels, firmware_state_of
from pizarra.storage.interface import RewindTarget
from pizarra.system.file_copies import (
    copy_atomically,
    move_atomically,
    remove_atomically,
    same_content,
)

FOLDER = Path("/var/lib/pizarra/machines")
_UNDO = ".undo"


class MachineStates:
    """The states of one host's machines."""

    def __init__(self, compute: Compute) -> None:
        self.compute = compute
        self.folder = FOLDER

    def save(self, volume: Volume, to: Volume) -> None:
        """What the machine of ``volume`` has now is that of ``to``."""
        if _has_state(volume):
            self._save(self._files(volume), self.folder / to.uuid)

    def save_from(self, files: StateFiles, to: Volume) -> None:
        """What is in these files is that of ``to``."""
        self._save(files, self.folder / to.uuid)

    def prepare(self, pair: RewindTarget, *, keep: bool | None) -> PizarraError | None:
        """What ``put`` needs is there: the baseline's, and a copy of what goes if it is to stay."""
        if not _has_state(pair.volume):
            return None
        try:
            self._original(pair.source)
            if keep:
                self._save(self._files(pair.volume), self._going(pair.volume))
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(pair.volume, error)
        return None

    def commit(self, pair: RewindTarget, *, keep: bool | None = None) -> PizarraError | None:
        """The machine of a seat has again what its baseline has; ``keep`` as in storage, and None
        also where a rewind that was cut off is done again."""
        if not _has_state(pair.volume):
            return None
        try:
            undo, going = self._undo(pair.volume), self._going(pair.volume)
            if keep is False:
                remove_atomically(undo)
                remove_atomically(going)
            _put(self._original(pair.source), self._files(pair.volume))
            if going.is_dir():  # last: while it is there this is not done
                move_atomically(going, undo)
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(pair.volume, error)
        return None

    def prepare_swap(self, volume: Volume) -> PizarraError | None:
        """What ``exchanged`` needs is there: a copy of what the machine has now."""
        try:
            if _has_state(volume) and self._undo(volume).is_dir():
                self._save(self._files(volume), self._now(volume))
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(volume, error)
        return None

    def commit_swap(self, volume: Volume) -> PizarraError | None:
        """What is kept and what was there change places. Again, if it was cut off."""
        undo, now = self._undo(volume), self._now(volume)
        if not _has_state(volume) or not now.is_dir():
            return None
        try:
            if undo.is_dir():  # else it was cut off in the move
                _put(undo, self._files(volume))
            move_atomically(now, undo)
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(volume, error)
        return None

    def is_half_done(self, volume: Volume) -> bool:
        """Whether its disk was done and this was not: copies for afterwards are there."""
        return _has_state(volume) and (self._going(volume).is_dir() or self._now(volume).is_dir())

    def commit_undo(self, volume: Volume) -> PizarraError | None:
        """Its disk was done, and its machine has gone on: the copy is what is kept."""
        try:
            if _has_state(volume) and self._going(volume).is_dir():
                move_atomically(self._going(volume), self._undo(volume))
        except OSError as error:
            return _fault(volume, error)
        return None

    def discard_prepared(self, volume: Volume) -> None:
        """Its disk was not done: copies for afterwards are for nothing."""
        if _has_state(volume):
            with suppress(OSError):  # the next one is written over it
                remove_atomically(self._going(volume))
                remove_atomically(self._now(volume))

    def difference(self, pair: RewindTarget) -> str:
        """What is not the baseline's: "", "NVRAM", "TPM" or both. Raises StorageFault."""
        if not _has_state(pair.volume) or not isinstance(pair.volume.labels, SeatLabels):
            return ""
        source, files = self._original(pair.source), self._files(pair.volume)
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
        """These are gone, or what is kept of them is."""
        for volume in volumes:
            if not undo_only:
                self.ram(volume).unlink(missing_ok=True)
            if not _has_state(volume):
                continue
            remove_atomically(self._undo(volume))
            self.discard_prepared(volume)
            if not undo_only:
                remove_atomically(self.folder / volume.uuid)
                for part in self.folder.glob(f".{volume.uuid}*"):  # of a copy that was cut off
                    remove_atomically(part)

    def files(self, volume: Volume) -> dict[str, Path]:
        """What is kept for a template's volume, by name: ``nvram``, ``tpm``; for an export."""
        folder = self.folder / volume.uuid
        return {one.name: one for one in sorted(folder.iterdir())} if folder.is_dir() else {}

    def _files(self, volume: Volume) -> StateFiles:
        labels = volume.labels
        assert isinstance(labels, SeatLabels | MaintenanceLabels), "they have a machine"
        return state_files_of(self.compute.xml(labels.domain))

    def _undo(self, volume: Volume) -> Path:
        return self.folder / f"{volume.uuid}{_UNDO}"

    def _going(self, volume: Volume) -> Path:
        return self.folder / f"{volume.uuid}{_UNDO}.new"

    def _now(self, volume: Volume) -> Path:
        return self.folder / f"{volume.uuid}.now"

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
        part = folder.with_name(f".{folder.name}.part")
        remove_atomically(part)
        part.mkdir(parents=True, mode=0o700)
        copy_atomically(files.nvram, part / "nvram")
        copy_atomically(files.tpm, part / "tpm")
        move_atomically(part, folder)


def _has_state(volume: Volume) -> bool:
    return bool(firmware_state_of(volume.labels))


def _put(source: Path, files: StateFiles) -> None:
    if files.nvram:
        copy_atomically(source / "nvram", files.nvram)
    if files.tpm:
        copy_atomically(source / "tpm", files.tpm)


def _fault(volume: Volume, error: OSError) -> StorageFault:
    return StorageFault(
        "The firmware state of {name} could not be handled: {why}.",
        "See: ls -l {path}",
        name=volume.name,
        why=error.strerror,
        path=error.filename or FOLDER,
    )
