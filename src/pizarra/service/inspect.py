"""Look into a seat without changing it: what changed, its disks as devices, files copied out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pizarra.engine.events import Noted
from pizarra.engine.machines import examine
from pizarra.errors import BadInput, NotFound, PizarraError
from pizarra.model.facts import Power, Seat, Volume
from pizarra.model.labels import SeatLabels
from pizarra.model.names import seat_name
from pizarra.model.sentence import N_, join
from pizarra.planner.drift import content_fault
from pizarra.planner.reset import pairs_of
from pizarra.service import views
from pizarra.service.context import Context
from pizarra.service.views import View, Which
from pizarra.storage.interface import Change
from pizarra.storage.registry import technology
from pizarra.system import guest_files
from pizarra.system.guest_files import Copied
from pizarra.system.own_folder import opening_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which part of a seat: a disk, one of its states, a partition (None: the largest)."""

    which: Which = Which.PRESENT
    disk: str = ""  # the first
    partition: int | None = None


def find_seat(context: Context, name: str) -> Seat:
    """By its full name, or an adopted machine's own. Raises NotFound."""
    classrooms = context.host.observe().classrooms
    for classroom in classrooms.values():
        for seat in classroom.seats:
            if seat.name == name:
                return examine(context.host, [seat], content_fault)[0]
    raise NotFound(
        "There is no seat {name!r}.",
        "A seat is a classroom and a number, as in net-07, or an adopted machine's name. See: "
        "pizarra classroom list",
        name=name,
    )


def show(context: Context, name: str) -> dict[str, Any]:
    """What a seat is, and how much of each disk changed: from metadata, without reading data."""
    seat = find_seat(context, name)
    changes = {} if seat.fault else context.host.changes(list(pairs_of(seat)))
    labels = seat.labels
    return {
        "seat": seat.name,
        "classroom": seat.classroom,
        "number": seat.number,
        "power": str(seat.power),
        "template": labels.template or None,
        "version": labels.version or None,
        "adopted": seat.is_adopted,
        "fault": seat.fault,
        "disks": [_disk(seat, volume, changes.get(volume.uuid)) for volume in seat.volumes],
        "views": [_view(view) for view in views.views(context, seat.name)],
    }


def _disk(
    seat: Seat, volume: Volume[SeatLabels], change: Change | PizarraError | None
) -> dict[str, Any]:
    baseline = seat.baselines.get(volume.uuid)
    return {
        "disk": volume.labels.disk,
        "storage": str(volume.kind),
        "size_bytes": volume.size_bytes,
        "changed_bytes": change.changed_bytes if isinstance(change, Change) else None,
        "why": join([change]) if isinstance(change, PizarraError) else None,
        "present": str(volume.path),
        "original": str(baseline.path) if baseline else None,
    }


def _view(view: View) -> dict[str, Any]:
    return {
        "state": view.which,
        "disk": view.disk,
        "device": view.device or None,
        "mount": view.mount or None,
    }


def attach(context: Context, name: str, where: Where, at: Path | None = None) -> dict[str, Any]:
    """A read-only device of one state of a disk, mounted ``at`` a folder if one is named.

    It stays until ``detached``.
    """
    folder = _mount_point(at) if at else None
    seat = find_seat(context, name)
    with _claiming(context, seat):
        seat = find_seat(context, name)
        _check_used(seat, where)
        view = views.make(context, seat, _volume(seat, where), where.which, stays=True)
        if folder is not None:
            view = _mount(context, view, folder, where.partition)
    return {"seat": seat.name, **_view(view)}


def _check_used(seat: Seat, where: Where) -> None:
    """Raises BadInput when its machine writes to something else than the disk that is looked at."""
    if seat.drift.is_of_content and where.which is Which.PRESENT:
        raise BadInput("{seat}: {why}.", seat=seat.name, why=seat.fault)


def _claiming(context: Context, seat: Seat) -> AbstractContextManager[None]:
    number = seat_name(seat.classroom, seat.number)
    return context.claim([f"seat:{number}"], N_("inspect"), shared=[f"classroom:{seat.classroom}"])


def _mount_point(at: Path) -> Path:
    folder = at.absolute()
    if not folder.is_dir() or any(folder.iterdir()) or guest_files.is_mounted(folder):
        raise BadInput("{at} is no empty folder to mount at.", "Make one: mkdir {at}", at=folder)
    try:
        with opening_folder(folder, ours=True):
            return folder
    except OSError as error:
        raise BadInput(
            "Nothing can be mounted at {at}: {why}.",
            "This folder and those above must be root's alone to write to: ls -ld",
            at=folder,
            why=error.strerror,
        ) from None


def _volume(seat: Seat, where: Where) -> Volume[SeatLabels]:
    for volume in seat.volumes:
        if where.disk in ("", volume.labels.disk):
            return volume
    raise NotFound(
        "{seat} has no disk {disk}.",
        "It has: {those}.",
        seat=seat.name,
        disk=where.disk,
        those=", ".join(v.labels.disk for v in seat.volumes),
    )


def _mount(context: Context, view: View, folder: Path, partition: int | None) -> View:
    """Noted before it is mounted; a view that cannot be mounted is taken away again."""
    noted = replace(view, mount=str(folder)).write()
    try:
        guest_files.mount(Path(view.device), folder, partition)
    except BaseException:
        views.remove(context, noted)
        raise
    return noted


def detach(context: Context, name: str) -> list[dict[str, Any]]:
    """Take away every view of a seat; what was there."""
    seat = find_seat(context, name)
    with _claiming(context, seat):
        found = views.views(context, seat.name)
        for view in found:
            views.remove(context, view)
    return [_view(view) for view in found]


def copy(context: Context, name: str, paths: Sequence[str], to: Path, where: Where) -> Copied:
    """Copy files and folders out of a seat's disk. Raises NotFound, BadInput, AlreadyExists."""
    total = Copied()
    with _looking_into(context, name, where) as root:
        for path in paths:
            one = guest_files.copy_out(root, path, to.absolute())
            total.files += one.files
            total.size_bytes += one.size_bytes
            total.left_out += one.left_out
    return total


@contextmanager
def _looking_into(context: Context, name: str, where: Where) -> Iterator[Path]:
    """The seat's files, for as long as the block lasts. A thin seat may be reset meanwhile."""
    seat = find_seat(context, name)
    with ExitStack() as claim:
        claim.enter_context(_claiming(context, seat))
        seat = find_seat(context, name)
        _check_used(seat, where)
        volume = _volume(seat, where)
        view = views.make(context, seat, volume, where.which, stays=False)
        folder = context.host.settings.view_folder / f"{seat.name}.files"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        view = _mount(context, view, folder, where.partition)
        if context.host.storages.capabilities[volume.kind].live_view:
            claim.close()
        try:
            yield folder
        finally:
            views.remove(context, view)


def remove_views_of(context: Context, seat: Seat) -> None:
    """Before a seat is deleted. Raises StorageFault when somebody looks at it right now."""
    for view in views.views(context, seat.name):
        views.remove(context, view)


def remove_left_over(context: Context) -> None:
    """For ``recover``."""
    for name in views.remove_left_over(context):
        context.emit(Noted(text=N_("Removed {name}: nobody looks at it."), facts={"name": name}))


def advice(found: dict[str, Any]) -> str:
    """The next step for who reads ``shown``, as a command."""
    if found["power"] != str(Power.OFF) and any(
        not technology(disk["storage"]).capabilities.live_view for disk in found["disks"]
    ):
        return "pizarra inspect {seat} --attach original"
    return "pizarra inspect {seat} --copy /home --to ./{seat}"
