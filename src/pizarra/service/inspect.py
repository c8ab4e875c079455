"""Look into a seat without changing it: what changed, its disks as devices, files copied out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizarra.compute.kvm_choice import is_kvm_usable
from pizarra.engine.events import Advanced, Began, Noted
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
from pizarra.system.appliance import Appliance, reading_disk
from pizarra.system.host_kernel import find_kernel
from pizarra.system.tar_stream import Copied


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which part of a seat to look at: a disk, a state of that disk, a partition. None is the
    largest partition."""

    which: Which = Which.PRESENT
    disk: str = ""  # the first
    partition: int | None = None


def find_seat(context: Context, name: str) -> Seat:
    """The seat of a full name, or of an adopted machine's own name. Raises NotFound."""
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


def attach(context: Context, name: str, where: Where) -> dict[str, Any]:
    """Make a read-only device of one state of a disk. It stays until it is detached. Pizarra mounts
    it nowhere."""
    seat = find_seat(context, name)
    with _claiming(context, seat):
        seat = find_seat(context, name)
        _check_used(seat, where)
        view = views.make(context, seat, _volume(seat, where), where.which, stays=True)
    return {"seat": seat.name, **_view(view)}


def _check_used(seat: Seat, where: Where) -> None:
    """Raises BadInput when the machine does not write to the disk that is looked at."""
    if seat.drift.is_of_content and where.which is Which.PRESENT:
        raise BadInput("{seat}: {why}.", seat=seat.name, why=seat.fault)


def _claiming(context: Context, seat: Seat) -> AbstractContextManager[None]:
    number = seat_name(seat.classroom, seat.number)
    return context.claim([f"seat:{number}"], N_("inspect"), shared=[f"classroom:{seat.classroom}"])


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


def detach(context: Context, name: str) -> list[dict[str, Any]]:
    """Remove all views of a seat. Returns the views that there were."""
    seat = find_seat(context, name)
    with _claiming(context, seat):
        found = views.views(context, seat.name)
        for view in found:
            views.remove(context, view)
    return [_view(view) for view in found]


def copy(context: Context, name: str, paths: Sequence[str], to: Path, where: Where) -> Copied:
    """Copy files and folders out of a seat's disk. Raises NotFound, BadInput, AlreadyExists."""
    names = [guest_files.names_of(path) for path in paths]
    total = Copied()
    with _looking_into(context, name, where) as (appliance, limit_bytes):
        size_bytes = sum(appliance.size_bytes("/".join(parts) or ".") for parts in names)
        what = N_("copy")
        context.emit(Began(what=what, total=size_bytes, unit="bytes"))

        def progress(done: int) -> None:
            context.emit(Advanced(what=what, done=min(total.size_bytes + done, size_bytes)))

        for path in paths:
            one = guest_files.copy_out(
                appliance,
                path,
                to.absolute(),
                limit_bytes=limit_bytes - total.size_bytes,
                progress=progress,
            )
            total.files += one.files
            total.size_bytes += one.size_bytes
            total.left_out += one.left_out
    return total


@contextmanager
def _looking_into(context: Context, name: str, where: Where) -> Iterator[tuple[Appliance, int]]:
    """The seat's files, and how many bytes its disk can hold. A thin seat may be reset meanwhile.

    A machine of its own reads them, so that nothing of a guest's disk is mounted here.
    """
    kernel = find_kernel()
    seat = find_seat(context, name)
    with ExitStack() as stack:
        claim = stack.enter_context(ExitStack())
        claim.enter_context(_claiming(context, seat))
        seat = find_seat(context, name)
        _check_used(seat, where)
        volume = _volume(seat, where)
        disk = _open(context, seat, volume, where.which, stack)
        if context.host.storages.capabilities[volume.kind].live_view:
            claim.close()
        text = N_("A small machine without a network starts, to read the disk of {seat}.")
        context.emit(Noted(text=text, facts={"seat": seat.name}))
        with reading_disk(disk, kernel, kvm=is_kvm_usable()) as appliance:
            guest_files.mount(appliance, where.partition)
            yield appliance, volume.size_bytes


def _open(
    context: Context, seat: Seat, volume: Volume[SeatLabels], which: Which, stack: ExitStack
) -> Path:
    """Open the content as a raw disk: a snapshot of the volume, or the volume itself."""
    if context.host.storages.capabilities[volume.kind].live_view:
        view = views.make(context, seat, volume, which, stays=False)
        stack.callback(views.remove, context, view)
        return Path(view.device)
    source = views.source_of(context, seat, volume, which)
    return stack.enter_context(context.host.storage_of(source).opening(source, raw=True))


def remove_views_of(context: Context, seat: Seat) -> None:
    """Remove the views of a seat before the seat is deleted. Raises StorageFault when somebody uses
    one."""
    for view in views.views(context, seat.name):
        views.remove(context, view)


def remove_left_over(context: Context) -> None:
    """For ``recover``: remove views that nobody wants any more."""
    for name in views.remove_left_over(context):
        context.emit(Noted(text=N_("Removed {name}: nobody looks at it."), facts={"name": name}))


def advice(found: dict[str, Any]) -> str:
    """The next step for a reader of ``shown``, as a command."""
    if found["power"] != str(Power.OFF) and any(
        not technology(disk["storage"]).capabilities.live_view for disk in found["disks"]
    ):
        return "pizarra inspect {seat} --attach original"
    return "pizarra inspect {seat} --copy /home --to ./{seat}"
