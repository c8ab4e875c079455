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
from pizarra.model.labels import Role
from pizarra.storage.interface import Pair
from pizarra.system.file_copies import copied_whole, moved_whole, removed_whole, same_content

FOLDER = Path("/var/lib/pizarra/machines")
_UNDO = ".undo"


class MachineStates:
    """The states of one host's machines."""

    def __init__(self, compute: Compute) -> None:
        self.compute = compute
        self.folder = FOLDER

    def saved(self, volume: Volume, to: Volume) -> None:
        """What the machine of ``volume`` has now is that of ``to``."""
        if _kept(volume):
            self._saved(self._files(volume), self.folder / to.uuid)

    def saved_from(self, files: StateFiles, to: Volume) -> None:
        """What is in these files is that of ``to``."""
        self._saved(files, self.folder / to.uuid)

    def ready(self, pair: Pair, *, keep: bool | None) -> PizarraError | None:
        """What ``put`` needs is there: the baseline's, and a copy of what goes if it is to stay."""
        if not _kept(pair.seat):
            return None
        try:
            self._needed(pair.baseline)
            if keep:
                self._saved(self._files(pair.seat), self._going(pair.seat))
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(pair.seat, error)
        return None

    def put(self, pair: Pair, *, keep: bool | None = None) -> PizarraError | None:
        """The machine of a seat has again what its baseline has; ``keep`` as in storage, and None
        also where a rewind that was cut off is done again."""
        if not _kept(pair.seat):
            return None
        try:
            undo, going = self._undo(pair.seat), self._going(pair.seat)
            if keep is False:
                removed_whole(undo)
                removed_whole(going)
            _put(self._needed(pair.baseline), self._files(pair.seat))
            if going.is_dir():  # last: while it is there this is not done
                moved_whole(going, undo)
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(pair.seat, error)
        return None

    def exchange_ready(self, volume: Volume) -> PizarraError | None:
        """What ``exchanged`` needs is there: a copy of what the machine has now."""
        try:
            if _kept(volume) and self._undo(volume).is_dir():
                self._saved(self._files(volume), self._now(volume))
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(volume, error)
        return None

    def exchanged(self, volume: Volume) -> PizarraError | None:
        """What is kept and what was there change places. Again, if it was cut off."""
        undo, now = self._undo(volume), self._now(volume)
        if not _kept(volume) or not now.is_dir():
            return None
        try:
            if undo.is_dir():  # else it was cut off in the move
                _put(undo, self._files(volume))
            moved_whole(now, undo)
        except PizarraError as error:
            return error
        except OSError as error:
            return _fault(volume, error)
        return None

    def is_half_done(self, volume: Volume) -> bool:
        """Whether its disk was done and this was not: copies for afterwards are there."""
        return _kept(volume) and (self._going(volume).is_dir() or self._now(volume).is_dir())

    def kept_before(self, volume: Volume) -> PizarraError | None:
        """Its disk was done, and its machine has gone on: the copy is what is kept."""
        try:
            if _kept(volume) and self._going(volume).is_dir():
                moved_whole(self._going(volume), self._undo(volume))
        except OSError as error:
            return _fault(volume, error)
        return None

    def not_done(self, volume: Volume) -> None:
        """Its disk was not done: copies for afterwards are for nothing."""
        if _kept(volume):
            with suppress(OSError):  # the next one is written over it
                removed_whole(self._going(volume))
                removed_whole(self._now(volume))

    def difference(self, pair: Pair) -> str:
        """What is not the baseline's: "", "NVRAM", "TPM" or both. Raises StorageFault."""
        if not _kept(pair.seat) or not pair.seat.labels or pair.seat.labels.role is not Role.SEAT:
            return ""
        source, files = self._needed(pair.baseline), self._files(pair.seat)
        try:
            differs = (
                "" if same_content(source / "nvram", files.nvram) else "NVRAM",
                "" if same_content(source / "tpm", files.tpm) else "TPM",
            )
        except OSError as error:
            raise _fault(pair.seat, error) from None
        return ", ".join(filter(None, differs))

    def ram(self, volume: Volume) -> Path:
        """Where the RAM is that was saved with a checkpoint's volume; or just now, a seat's."""
        return self.folder / f"{volume.uuid}.ram"

    def ram_new(self, volume: Volume) -> Path:
        """The same, about to be written for a seat's volume."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.ram(volume)

    def ram_kept(self, volume: Volume, to: Volume) -> None:
        """What was saved of a seat's machine belongs to a checkpoint."""
        self.ram(to).unlink(missing_ok=True)
        self.ram(to).hardlink_to(self.ram(volume))

    def dropped(self, volumes: Iterable[Volume], *, undo_only: bool = False) -> None:
        """These are gone, or what is kept of them is."""
        for volume in volumes:
            if not undo_only:
                self.ram(volume).unlink(missing_ok=True)
            if not _kept(volume):
                continue
            removed_whole(self._undo(volume))
            self.not_done(volume)
            if not undo_only:
                removed_whole(self.folder / volume.uuid)
                for part in self.folder.glob(f".{volume.uuid}*"):  # of a copy that was cut off
                    removed_whole(part)

    def files(self, volume: Volume) -> dict[str, Path]:
        """What is kept for a template's volume, by name: ``nvram``, ``tpm``; for an export."""
        folder = self.folder / volume.uuid
        return {one.name: one for one in sorted(folder.iterdir())} if folder.is_dir() else {}

    def _files(self, volume: Volume) -> StateFiles:
        assert volume.labels is not None, "chosen by its labels"
        return state_files_of(self.compute.xml(volume.labels.domain))

    def _undo(self, volume: Volume) -> Path:
        return self.folder / f"{volume.uuid}{_UNDO}"

    def _going(self, volume: Volume) -> Path:
        return self.folder / f"{volume.uuid}{_UNDO}.new"

    def _now(self, volume: Volume) -> Path:
        return self.folder / f"{volume.uuid}.now"

    def _needed(self, baseline: Volume) -> Path:
        folder = self.folder / baseline.uuid
        if folder.is_dir():
            return folder
        raise StorageFault(
            "The firmware's original state of {name} is not there: {folder}.",
            "Put it back from a backup; or begin with a blank one: mkdir -p {folder}",
            name=baseline.name,
            folder=folder,
        )

    def _saved(self, files: StateFiles, folder: Path) -> None:
        """In a folder beside, which then takes its place."""
        part = folder.with_name(f".{folder.name}.part")
        removed_whole(part)
        part.mkdir(parents=True, mode=0o700)
        copied_whole(files.nvram, part / "nvram")
        copied_whole(files.tpm, part / "tpm")
        moved_whole(part, folder)


def _kept(volume: Volume) -> bool:
    return volume.labels is not None and bool(volume.labels.state)


def _put(source: Path, files: StateFiles) -> None:
    if files.nvram:
        copied_whole(source / "nvram", files.nvram)
    if files.tpm:
        copied_whole(source / "tpm", files.tpm)


def _fault(volume: Volume, error: OSError) -> StorageFault:
    return StorageFault(
        "The firmware state of {name} could not be handled: {why}.",
        "See: ls -l {path}",
        name=volume.name,
        why=error.strerror,
        path=error.filename or FOLDER,
    )
