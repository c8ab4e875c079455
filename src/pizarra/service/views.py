"""A seat's disk to look at, read-only: made, noted, and removed again, also after a kill.

On thin volumes a view is a snapshot, so view and seat do not disturb each other. A classic volume
or a file is looked at itself, and must not change meanwhile. A view is noted under /run before it
is made, so that the next command finds it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from pizarra.errors import AlreadyExists, BadInput, StorageFault, Unsupported
from pizarra.model.facts import Power, Seat, Volume
from pizarra.model.labels import InspectionLabels, SeatLabels
from pizarra.model.sentence import N_
from pizarra.service.context import Context
from pizarra.storage.interface import Attachment, NewVolume, ViewStore, raise_first
from pizarra.system.process import run


class Which(StrEnum):
    """The state of a disk that is looked at."""

    ORIGINAL = N_("original")
    PRESENT = N_("present")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is known of one view."""

    folder: str  # where views are noted
    seat: str
    which: str
    disk: str
    pid: int  # who looks; 0 when it stays until it is detached
    device: str = ""  # where the content can be read
    mount: str = ""  # where version ab156f6 mounted it; nothing is mounted since
    loop: str = ""
    nbd: str = ""
    place: str = ""  # of the volume
    snapshot: str = ""
    kind: str = ""  # of its storage; a note of version ab156f6 does not say

    @property
    def note(self) -> Path:
        """The file of its note."""
        return Path(self.folder) / f"{self.seat}.{self.which}.json"

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still wants the view."""
        return self.pid == 0 or Path(f"/proc/{self.pid}").exists()

    def write(self) -> View:
        """Write the note."""
        self.note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.note.with_suffix(f".part{os.getpid()}")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(self.note)
        return self


def views(context: Context, seat: str = "") -> list[View]:
    """The views that are noted, of one seat or of all."""
    folder = context.host.settings.view_folder
    notes = (json.loads(path.read_text("utf-8")) for path in folder.glob("*.json"))
    found = (View(**{**note, "folder": str(folder)}) for note in notes)
    return [view for view in found if seat in ("", view.seat)]


def make(
    context: Context, seat: Seat, volume: Volume[SeatLabels], which: Which, *, stays: bool
) -> View:
    """Make a view of one disk of a seat. Raises AlreadyExists, BadInput, Unsupported,
    StorageFault."""
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
    source = source_of(context, seat, volume, which)
    storage = context.host.storage_of(source)
    if not isinstance(storage, ViewStore):
        raise Unsupported("A disk on {kind} cannot be looked at.", kind=volume.kind)
    view = replace(view, kind=source.kind, place=source.place).write()
    try:
        attachment = storage.attach(
            source,
            _new_snapshot(view, source, volume.labels),
            lambda made: _note(replace(view, **asdict(made))),
        )
        return replace(view, **asdict(attachment)).write()
    except BaseException:
        noted = (one for one in views(context, seat.name) if one.note == view.note)
        remove(context, next(noted, view))
        raise


def source_of(context: Context, seat: Seat, volume: Volume[SeatLabels], which: Which) -> Volume:
    """The volume that has the wanted state of a disk. Raises BadInput, StorageFault."""
    if which is Which.ORIGINAL:
        baseline = seat.baselines.get(volume.uuid)
        if baseline is None:
            raise StorageFault("The original state of {name} is missing.", name=volume.name)
        return baseline
    if not context.host.storages.capabilities[volume.kind].live_view:
        _check_off(seat)
    return volume


def _note(view: View) -> None:
    view.write()


def _new_snapshot(view: View, source: Volume, seat: SeatLabels) -> NewVolume[InspectionLabels]:
    labels = InspectionLabels(
        disk=seat.disk,
        classroom=seat.classroom,
        seat=seat.seat,
        machine=seat.machine,
        name=seat.name,
    )
    name = f"{view.seat}.{view.disk}.{view.which}-view"
    return NewVolume(labels=labels, size_bytes=source.size_bytes, name=name)


def _check_off(seat: Seat) -> None:
    if seat.power not in (Power.OFF, Power.ABSENT):
        raise BadInput(
            "{seat} is {power}; on its storage a disk can be looked at only while it is off.",
            "Stop it first, or look at --from original.",
            seat=seat.name,
            power=seat.power,
        )


def remove(context: Context, view: View) -> None:
    """Unmount and remove a view. It may be removed twice. Raises StorageFault when somebody uses
    it."""
    if view.mount:
        _unmount(Path(view.mount))
    attachment = Attachment(
        device=view.device, loop=view.loop, nbd=view.nbd, snapshot=view.snapshot
    )
    storages = context.host.storages
    for kind in (view.kind,) if view.kind else storages.capabilities:
        storage = storages.at(kind, storages.folders.get(kind, view.place))
        if isinstance(storage, ViewStore):
            storage.detach(attachment)
    view.note.unlink(missing_ok=True)


def _unmount(folder: Path) -> None:
    if os.path.ismount(folder):
        done = run(["umount", str(folder)], check=False)
        if done.returncode != 0:
            raise StorageFault(
                "{folder} is in use: {said}",
                "Leave that folder, then try again. Who is in it: fuser -vm {folder}",
                folder=folder,
                said=" ".join(done.stderr.split()),
            )


def _remove_snapshots(context: Context, wanted: Callable[[Volume], bool]) -> list[Volume]:
    facts = context.host.observe()
    found = [
        volume
        for volume in facts.volumes.values()
        if isinstance(volume.labels, InspectionLabels) and wanted(volume)
    ]
    raise_first(context.host.remove(found))
    return found


def remove_left_over(context: Context) -> list[str]:
    """For ``recover``: remove the views of dead processes, and snapshots without a note."""
    gone = []
    for view in views(context):
        if not view.is_wanted:
            remove(context, view)
            gone.append(f"{view.seat}.{view.which}")
    noted = {(view.place, view.snapshot) for view in views(context)}
    orphans = _remove_snapshots(context, lambda volume: (volume.place, volume.name) not in noted)
    return gone + [volume.name for volume in orphans]
