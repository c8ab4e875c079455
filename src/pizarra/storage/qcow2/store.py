"""qcow2 files in a folder: seats are overlays on a golden image, for hosts without LVM.

A rewind puts a fresh overlay in the place of the old one with a rename, so there is no middle: a
power cut leaves the one or the other. The machine must be off: a QEMU that has the old file open
would go on writing to it, so a file that is held open is left alone.
"""

from __future__ import annotations

import re
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pizarra.errors import (
    AlreadyExists,
    BadInput,
    NoSpace,
    NotOurs,
    PizarraError,
    StorageFault,
)
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.facts import StorageFacts, StorageKind, Volume
from pizarra.model.labels import InspectionLabels, Labels
from pizarra.model.sentence import N_, Sentence
from pizarra.model.sizes import size_text
from pizarra.model.undo_slot import UndoSlot
from pizarra.settings import Settings
from pizarra.storage.interface import (
    NO_UNDO,
    Attachment,
    Capabilities,
    Change,
    Changes,
    Faults,
    InRecords,
    NewCheckpoint,
    NewVolume,
    Progress,
    Rebase,
    RewindTarget,
    UndoSwap,
    ignore_progress,
)
from pizarra.storage.kinds import Kind
from pizarra.storage.qcow2 import nbd, records
from pizarra.storage.qcow2 import undo as qcow2_undo
from pizarra.storage.qcow2.checks import (
    check_expected,
    check_owned,
    check_unheld,
    qemu_img,
    refusals,
)
from pizarra.storage.qcow2.header import allocated_bytes, read_header
from pizarra.storage.qcow2.overlay import (
    changed_bytes,
    copy_over,
    flatten,
    mapped_bytes,
    new_path,
    overlays,
    replace_file,
    rewind_overlay,
    stands_on,
)
from pizarra.storage.qcow2.raw import as_raw
from pizarra.storage.qcow2.report import (
    IMAGE,
    SEATS,
    TEMPLATES,
    observe_folder,
    observe_volume,
    space_of,
)
from pizarra.storage.qcow2.sidecar import (
    Sidecar,
    create_sidecar,
    remove_sidecar,
    replace_sidecar,
)
from pizarra.storage.registry import Technology
from pizarra.system.file_copies import sync

_Found = TypeVar("_Found")
THREADS = 16
# of templates and checkpoints: libvirt gives a file that a machine stands on to QEMU's user, and
# nobody else on the host reads a student's disk
_SEALED = 0o400
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}", re.ASCII)


class Qcow2Store:
    """The backend of one folder."""

    kind: StorageKind = Kind.QCOW2
    capabilities = Capabilities(
        rebase_at_reset=True,
        new_is_zero=True,
        resize_at_create=True,
        undo=True,
        checkpoints=True,
    )

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.place = str(self.folder)

    def observe(self) -> StorageFacts:
        """No process: sidecars and headers are read as they are."""
        with refusals(N_("read"), self.folder):
            return observe_folder(self.folder)

    def check_space(self, new_bytes: int, what: str) -> None:
        """What the file system has free for whoever is not root."""
        with refusals(N_("read"), self.folder):
            _, free_bytes = space_of(self.folder)
        if new_bytes > free_bytes:
            raise NoSpace(
                "{what} needs {needs}, and the file system of {place} has {free} free.",
                "Make room, or name a folder on another disk.",
                what=what,
                needs=size_text(new_bytes),
                place=self.place,
                free=size_text(free_bytes),
            )

    def create_golden(
        self,
        new: NewVolume,
        source: Volume | None = None,
        progress: Progress = ignore_progress,
    ) -> Volume:
        """The sidecar comes first: whatever a power cut leaves can be told as ours. With a
        ``source`` it is an overlay until it is sealed."""
        if source is not None:
            check_expected(source)
        image = self._image(TEMPLATES, new.name)
        self._claiming(image, new.labels)
        self._sync(TEMPLATES)
        try:
            if source is None:
                qemu_img("create", "-q", "-f", "qcow2", str(image), str(new.size_bytes))
            else:
                with overlays() as fresh:
                    replace_file(image, fresh(source, max(new.size_bytes, source.size_bytes)))
        except PizarraError:
            _forget(image)
            raise
        with refusals(N_("create"), image):
            image.chmod(0o600)
        self._sync(TEMPLATES)
        progress(1.0)
        return self._find(image)

    def seal_golden(
        self, volume: Volume, labels: Labels, progress: Progress = ignore_progress
    ) -> Volume:
        """An overlay becomes a whole file; on the disk first, then read-only, labelled last."""
        check_expected(volume)
        check_unheld(volume)
        flatten(volume.path, progress)
        with refusals(N_("seal"), volume.path):
            sync(volume.path)
            volume.path.chmod(_SEALED)
            replace_sidecar(volume.path, Sidecar(volume.uuid, labels))
        return self._find(volume.path)

    def create_seats(self, golden: Volume, new: Sequence[NewVolume]) -> None:
        """All or none, unless the power goes; then those there are whole or have a fault."""
        check_expected(golden)
        images = {self._image(SEATS, one.name): one for one in new}
        claimed: list[Path] = []
        try:
            with overlays() as fresh, ThreadPoolExecutor(THREADS) as threads:
                for image, one in images.items():
                    self._claiming(image, one.labels)
                    claimed.append(image)
                self._sync(SEATS)  # no image of ours may outlive a power cut without a sidecar
                sizes = [max(one.size_bytes, golden.size_bytes) for one in new]
                list(
                    threads.map(
                        lambda image, size: replace_file(image, fresh(golden, size)), images, sizes
                    )
                )
        except PizarraError:
            for image in claimed:
                _forget(image)
            raise
        self._sync(SEATS)

    def set_labels(self, volumes: Mapping[str, Labels], facts: StorageFacts) -> None:
        """All are looked at before the first is written."""
        by_uuid = {volume.uuid: volume for volume in facts.volumes}
        for name in volumes:
            if name not in by_uuid:
                raise NotOurs(
                    "No volume of {place} has the UUID {uuid}.", place=self.place, uuid=name
                )
            check_expected(by_uuid[name])
        for name, labels in volumes.items():
            with refusals(N_("label"), by_uuid[name].path):
                replace_sidecar(by_uuid[name].path, Sidecar(name, labels))

    def write_record(self, record: ClassroomRecord) -> None:
        """A file."""
        with refusals(N_("write"), self.folder):
            records.write_record(self.folder, record)

    def remove_record(self, classroom: str) -> None:
        """Fine if there is none."""
        path = records.record_path(self.folder, classroom)
        with refusals(N_("remove"), path):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync(path.parent)

    def rebase(self, moves: Sequence[Rebase]) -> Faults:
        """Another UUID in the sidecar; the next overlay stands on that one, and is as large."""

        def named(move: Rebase) -> PizarraError | None:
            try:
                check_expected(move.volume)
                with refusals(N_("label"), move.volume.path):
                    replace_sidecar(move.volume.path, Sidecar(move.volume.uuid, move.labels))
            except PizarraError as error:
                return error
            return None

        return {move.volume.uuid: named(move) for move in moves}

    def rewind(
        self, targets: Sequence[RewindTarget], *, undo: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """One process a golden volume and size, one small file a seat."""
        by_uuid = {one.volume.uuid: one for one in targets}
        with qcow2_undo.swapping(self.folder / SEATS), overlays() as fresh:
            faults = _faults(
                [one.volume for one in targets],
                lambda one: rewind_overlay(by_uuid[one.uuid], fresh, undo.get(one.uuid)),
            )
        self._sync(SEATS)
        return faults

    def save_undo(self, slots: Mapping[Volume, UndoSlot]) -> Faults:
        """A link each."""
        by_uuid = {one.uuid: slot for one, slot in slots.items()}

        def save(volume: Volume) -> None:
            check_expected(volume)
            check_unheld(volume)
            qcow2_undo.save_undo(volume.path, by_uuid[volume.uuid])

        with qcow2_undo.swapping(self.folder / SEATS):
            faults = _faults(list(slots), save)
        self._sync(SEATS)
        return faults

    def undo_slots(self, volumes: Sequence[Volume]) -> Mapping[str, frozenset[UndoSlot]]:
        """By the old overlays that lie beside the images."""
        found = {one.uuid: qcow2_undo.filled_slots(one.path) for one in volumes}
        return {uuid: slots for uuid, slots in found.items() if slots}

    def swap_with_undo(self, swaps: Sequence[UndoSwap]) -> Faults:
        """A link and a rename each."""
        by_uuid = {one.volume.uuid: one for one in swaps}
        with qcow2_undo.swapping(self.folder / SEATS):
            faults = _faults(
                [one.volume for one in swaps],
                lambda one: qcow2_undo.swap_with_undo(by_uuid[one.uuid]),
            )
        self._sync(SEATS)
        return faults

    def reclaim_space(
        self, volumes: Sequence[Volume], *, keep: Mapping[str, UndoSlot] = NO_UNDO
    ) -> Faults:
        """An overlay that nothing keeps goes as soon as another has its place."""
        faults = _faults(
            [one for one in volumes if one.uuid in keep],
            lambda one: qcow2_undo.discard_slot(one.path, keep[one.uuid].other),
        )
        return {**{one.uuid: None for one in volumes}, **faults}

    def discard_undo(self, volumes: Sequence[Volume]) -> Faults:
        """A file each."""
        return _faults(volumes, lambda one: qcow2_undo.discard_undo(one.path))

    def repair_after_crash(self, volumes: Sequence[Volume], in_records: InRecords) -> Sequence[str]:
        """By the files that are there."""
        with refusals(N_("read"), self.folder):
            _close_to_others(self.folder)
            count = qcow2_undo.repair_after_crash(self.folder / SEATS, volumes, in_records)
        text = N_("{n} undos that were cut off or left behind are settled")
        return (Sentence(text, n=count),) if count else ()

    def diff(self, targets: Sequence[RewindTarget], *, independently: bool = False) -> Changes:
        """From the overlay's own tables; independently, from ``qemu-img map``."""
        return _changes(targets, mapped_bytes if independently else allocated_bytes)

    def create_checkpoints(self, new: Sequence[NewCheckpoint]) -> Faults:
        """A copy of each overlay, which holds only what differs; the sidecar first."""
        names = {volume.uuid: one for volume, one in new}

        def save(volume: Volume) -> None:
            image = self._image(SEATS, names[volume.uuid].name)
            check_expected(volume)
            self._claiming(image, names[volume.uuid].labels)
            try:
                copy_over(image, volume.path)
                image.chmod(_SEALED)
            except (PizarraError, OSError):
                _forget(image)
                raise

        faults = _faults([volume for volume, _ in new], save)
        self._sync(SEATS)
        return faults

    def grow(self, volume: Volume, size_bytes: int) -> None:
        """``qemu-img resize``; a rewind keeps the new size."""
        check_expected(volume)
        with refusals(N_("read"), volume.path):
            has_bytes = read_header(volume.path).size_bytes
        if size_bytes < has_bytes or volume.read_only:
            raise BadInput(
                "{name} has {has}; a volume can only grow, and a template's not at all.",
                "Choose a size that is not below {has}.",
                name=volume.name,
                has=size_text(has_bytes),
            )
        if size_bytes > has_bytes:
            check_unheld(volume)
            qemu_img("resize", "-q", "-f", "qcow2", str(volume.path), str(size_bytes))
            qcow2_undo.discard_undo(volume.path)  # it would bring the old size back

    def remove(self, volumes: Sequence[Volume]) -> Faults:
        """What is gone already is fine; what is not ours, or is stood on, stays."""
        # by path too: of two with one UUID nobody knows which was meant
        present = {(volume.uuid, volume.path): volume for volume in self.observe().volumes}
        faults: dict[str, PizarraError | None] = {}
        for volume in sorted(volumes, key=lambda volume: volume.path.parent.name):  # seats first
            faults[volume.uuid] = None
            if found := present.get((volume.uuid, volume.path)):
                try:
                    self._remove(found)
                except PizarraError as error:
                    faults[volume.uuid] = error
        self._sync(SEATS)
        self._sync(TEMPLATES)
        return faults

    def _remove(self, volume: Volume) -> None:
        check_owned(volume)
        is_golden = volume.path.parent.name == TEMPLATES
        others = self.observe().volumes if is_golden else ()
        if standing := [other.name for other in others if stands_on(other, volume)]:
            raise StorageFault(
                "{name} is what {standing} stand on.",
                "Remove those first.",
                name=volume.name,
                standing=", ".join(standing),
            )
        if volume.active:
            check_unheld(volume)
        with refusals(N_("remove"), volume.path):
            _forget(volume.path)

    def attach(
        self,
        volume: Volume,
        new: NewVolume[InspectionLabels],
        note: Callable[[Attachment], None],
    ) -> Attachment:
        """The file, through a read-only nbd device of the kernel. Nobody may be writing."""
        _ = new
        return nbd.connect(volume.path, note)

    def detach(self, attachment: Attachment) -> None:
        """The nbd device is free again."""
        nbd.disconnect(attachment)

    @contextmanager
    def opening(
        self, volume: Volume, *, raw: bool = False, writable: bool = False
    ) -> Iterator[Path]:
        """The qcow2 file itself: read it with -f qcow2, and -U while a machine runs. As a raw
        file: one that QEMU's storage daemon gives to us alone (FUSE)."""
        check_expected(volume)
        if writable:
            check_unheld(volume)
        if raw or writable:
            with as_raw(volume.path, writable=writable) as path:
                yield path
        else:
            yield volume.path

    def _image(self, part: str, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise BadInput("{name!r} cannot be the name of an image.", name=name)
        return self.folder / part / f"{name}{IMAGE}"

    def _claiming(self, image: Path, labels: Labels) -> None:
        """Write the sidecar of an image that is not there yet."""
        with refusals(N_("create"), image):
            image.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            if image.exists():
                raise AlreadyExists("There is an image {path} already.", path=image)
            create_sidecar(image, Sidecar(str(uuid.uuid4()), labels))

    def _find(self, image: Path) -> Volume:
        with refusals(N_("read"), image):
            volume = observe_volume(self.folder, image)
        if volume is None:
            raise StorageFault("{path} is not there after all.", path=image)
        return volume

    def _sync(self, part: str) -> None:
        folder = self.folder / part
        if folder.is_dir():
            with refusals(N_("write out"), folder):
                sync(folder)


def _changes(targets: Sequence[RewindTarget], own_bytes: Callable[[Path], int]) -> Changes:
    by_uuid = {one.volume.uuid: one for one in targets}

    def change(volume: Volume) -> Change | PizarraError:
        try:
            return Change(changed_bytes=changed_bytes(by_uuid[volume.uuid], own_bytes))
        except PizarraError as error:
            return error

    return _each([one.volume for one in targets], change)


def _faults(volumes: Sequence[Volume], step: Callable[[Volume], None]) -> Faults:
    def fault(volume: Volume) -> PizarraError | None:
        try:
            step(volume)
        except PizarraError as error:
            return error
        return None

    return _each(volumes, fault)


def _each(volumes: Sequence[Volume], ask: Callable[[Volume], _Found]) -> dict[str, _Found]:
    """By UUID. In threads: each waits for the disk or for a process."""
    with ThreadPoolExecutor(THREADS) as threads:
        return dict(zip((one.uuid for one in volumes), threads.map(ask, volumes), strict=True))


def _close_to_others(folder: Path) -> None:
    """Versions before left templates and checkpoints open for everybody on the host to read."""
    for part in (TEMPLATES, SEATS):
        for path in (folder / part).glob(f"*{IMAGE}"):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                path.chmod(stat.S_IMODE(mode) & 0o700)


def _forget(image: Path) -> None:
    """The image first: a sidecar alone can still be told as ours."""
    image.unlink(missing_ok=True)
    new_path(image).unlink(missing_ok=True)
    qcow2_undo.discard_undo(image)
    remove_sidecar(image)


def _store_at(settings: Settings, place: str) -> Qcow2Store:
    _ = place  # there is one
    return Qcow2Store(settings.folder)


TECHNOLOGY = Technology(
    kind=Qcow2Store.kind,
    capabilities=Qcow2Store.capabilities,
    store=_store_at,
    observe=lambda settings: Qcow2Store(settings.folder).observe(),
    folder=lambda settings: str(settings.folder),
)
