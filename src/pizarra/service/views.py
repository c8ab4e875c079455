"""A seat's disk to look at, read-only: made, noted, taken away again, also after a kill.

On thin volumes a view is a snapshot of its own, so that nothing that goes on with the seat
disturbs it, nor it the seat. A classic volume or a file is looked at itself, which must not change
meanwhile. What is made is noted under /run first, so that the next one finds it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from pizarra.errors import AlreadyExists, BadInput, StorageFault, Unsupported
from pizarra.model.facts import Power, Seat, StorageKind, Volume
from pizarra.model.labels import Labels, Role
from pizarra.service.context import Context
from pizarra.storage.interface import NewVolume, raise_first
from pizarra.storage.lvm import commands as lvm_commands
from pizarra.storage.lvm.volumes import lvm
from pizarra.system.guest_files import unmount
from pizarra.system.process import run


class Which(StrEnum):
    """The state of a disk that is looked at."""

    ORIGINAL = "original"
    PRESENT = "present"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What there is of one view."""

    folder: str  # where views are noted
    seat: str
    which: str
    disk: str
    pid: int  # who looks; 0 when it stays until it is detached
    device: str = ""  # where the content can be read
    mount: str = ""
    loop: str = ""
    nbd: str = ""
    place: str = ""  # of the snapshot
    snapshot: str = ""

    @property
    def note(self) -> Path:
        """Where it is written down."""
        return Path(self.folder) / f"{self.seat}.{self.which}.json"

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still wants it."""
        return self.pid == 0 or Path(f"/proc/{self.pid}").exists()

    def write(self) -> View:
        """Note it."""
        self.note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.note.with_suffix(f".part{os.getpid()}")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(self.note)
        return self


def views(context: Context, seat: str = "") -> list[View]:
    """Those that are noted, of one seat or all."""
    folder = context.host.settings.view_folder
    notes = (json.loads(path.read_text("utf-8")) for path in folder.glob("*.json"))
    found = (View(**{**note, "folder": str(folder)}) for note in notes)
    return [view for view in found if seat in ("", view.seat)]


def make(context: Context, seat: Seat, volume: Volume, which: Which, *, stays: bool) -> View:
    """A view of one disk of a seat. Raises AlreadyExists, BadInput, Unsupported, StorageFault."""
    assert volume.labels is not None, "a seat's volume is labelled"
    view = View(
        folder=str(context.host.settings.view_folder),
        seat=seat.name,
        which=str(which),
        disk=volume.labels.disk,
        pid=0 if stays else os.getpid(),
    )
    if any(one.note == view.note and one.is_wanted for one in views(context, seat.name)):
        raise AlreadyExists(
            "The {which} state of {seat} is being looked at already.",
            "End that first: pizarra inspect {seat} --detach",
            which=which,
            seat=seat.name,
        )
    source = volume if which is Which.PRESENT else _original(seat, volume)
    if volume.kind is not StorageKind.LVM_THIN and which is Which.PRESENT:
        _check_off(seat)
    make = _MAKERS.get(volume.kind)
    if make is None:
        raise Unsupported("A disk on {kind} cannot be looked at.", kind=volume.kind)
    view.write()
    try:
        return make(view, source, volume.labels).write()
    except BaseException:
        noted = (one for one in views(context, seat.name) if one.note == view.note)
        remove(context, next(noted, view))
        raise


def _original(seat: Seat, volume: Volume) -> Volume:
    baseline = seat.baselines.get(volume.uuid)
    if baseline is None:
        raise StorageFault("The original state of {name} is missing.", name=volume.name)
    return baseline


def _check_off(seat: Seat) -> None:
    if seat.power not in (Power.OFF, Power.ABSENT):
        raise BadInput(
            "{seat} is {power}; on its storage a disk can be looked at only while it is off.",
            "Stop it first, or look at --from original.",
            seat=seat.name,
            power=seat.power,
        )


def _thin_view(view: View, source: Volume, labels: Labels) -> View:
    told = Labels(role=Role.INSPECTION, disk=labels.disk, classroom=labels.classroom,
                  seat=labels.seat, name=labels.name)  # fmt: skip
    name = f"{view.seat}.{view.disk}.{view.which}-view"
    noted = replace(view, place=source.place, snapshot=name).write()
    new = NewVolume(labels=told, size_bytes=source.size_bytes, name=name)
    lvm(lvm_commands.thin_view(source.place, source.name, new))
    return replace(noted, device=f"/dev/{source.place}/{name}")


def _classic_view(view: View, source: Volume, labels: Labels) -> View:
    _ = labels
    if source.read_only:
        return replace(view, device=str(source.path))
    loop = run(["losetup", "--read-only", "--find", "--show", str(source.path)]).stdout.strip()
    return replace(view, device=loop, loop=loop)


def _file_view(view: View, source: Volume, labels: Labels) -> View:
    _ = labels
    run(["modprobe", "nbd"], check=False)
    free = [path for path in sorted(Path("/sys/block").glob("nbd*")) if not (path / "pid").exists()]
    if not free:
        raise Unsupported(
            "A qcow2 disk is looked at through the kernel's nbd devices, and there is none free.",
            "Load them: modprobe nbd; or: qemu-img convert -U -O raw {path} FILE, while it is off.",
            path=source.path,
        )
    nbd = f"/dev/{free[0].name}"
    noted = replace(view, nbd=nbd).write()
    run(["qemu-nbd", "--read-only", "--format=qcow2", f"--connect={nbd}", str(source.path)])
    run(["udevadm", "settle", "--timeout=10"], check=False)
    return replace(noted, device=nbd)


_MAKERS: dict[StorageKind, Callable[[View, Volume, Labels], View]] = {
    StorageKind.LVM_THIN: _thin_view,
    StorageKind.LVM_THICK: _classic_view,
    StorageKind.QCOW2: _file_view,
}


def remove(context: Context, view: View) -> None:
    """Unmount and remove what there is of it; twice is fine. Raises StorageFault when in use."""
    if view.mount:
        unmount(Path(view.mount))
        if Path(view.mount).parent == Path(view.folder):  # one that we made for a copy
            Path(view.mount).rmdir()
    if view.loop:
        run(["losetup", "--detach", view.loop], check=False)
    if view.nbd:
        run(["qemu-nbd", "--disconnect", view.nbd], check=False)
    if view.snapshot:
        _remove_snapshots(context, lambda one: (one.place, one.name) == (view.place, view.snapshot))
    view.note.unlink(missing_ok=True)


def _remove_snapshots(context: Context, wanted: Callable[[Volume], bool]) -> list[Volume]:
    facts = context.host.observe()
    found = [
        volume
        for volume in facts.volumes.values()
        if volume.labels and volume.labels.role is Role.INSPECTION and wanted(volume)
    ]
    raise_first(context.host.remove(found))
    return found


def remove_left_over(context: Context) -> list[str]:
    """For ``recover``: views that a dead process left, and snapshots that nobody noted."""
    gone = []
    for view in views(context):
        if not view.is_wanted:
            remove(context, view)
            gone.append(f"{view.seat}.{view.which}")
    noted = {(view.place, view.snapshot) for view in views(context)}
    orphans = _remove_snapshots(context, lambda volume: (volume.place, volume.name) not in noted)
    return gone + [volume.name for volume in orphans]
