"""Adopt machines that somebody else made, and let them go again.

An adoption replaces the machine's XML at one moment. Before that moment the machine and its files
are unchanged, and everything that was made is labelled with the machine's UUID. An adoption that is
cut off before that moment is reverted. One that is cut off after it is completed. The labels of the
baseline have all that the labels of the seat will have.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pizarra.compute.domain_edit import (
    DiskSeen,
    disks_of,
    remove_seat_metadata,
    seat_of,
    state_files_of,
)
from pizarra.engine import undo
from pizarra.engine.events import Advanced, Began, Settled
from pizarra.engine.stopwatch import Stopwatch
from pizarra.errors import BadInput, NotFound, PizarraError, StorageFault, Unsupported
from pizarra.model.classroom_record import new_id
from pizarra.model.facts import Power, Seat, StorageKind, Volume
from pizarra.model.labels import Role
from pizarra.model.names import check_name
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.sentence import N_, Sentence, join
from pizarra.planner.adoption import (
    Action,
    Destination,
    DiskFound,
    DiskPlan,
    MachineFound,
    MachinePlan,
    check_classroom,
    needs_a_place,
    plan_adoption,
)
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.placement import fits, place_for
from pizarra.planner.reset import pairs_of
from pizarra.service.adoption_ends import finish_adoption
from pizarra.service.context import Context
from pizarra.service.import_room import check_room, keeping_reserve
from pizarra.service.records import write_record
from pizarra.storage.images import (
    ImageInfo,
    copy,
    file_stamp,
    flush,
    image_info,
    is_same_content,
    snapshots_inside,
)
from pizarra.storage.interface import AdoptionStore, Change, Storage, raise_first

DEFAULT_CLASSROOM = "adopted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The arguments of the command."""

    classroom: str = DEFAULT_CLASSROOM
    kind: StorageKind | None = None
    vg: str = ""


def plan(context: Context, names: Sequence[str], wish: Wish) -> tuple[MachinePlan, ...]:
    """What an adoption would do to each machine, in the order of ``names``. Raises BadInput,
    HostNotFit."""
    check_name(wish.classroom, N_("classroom"))
    facts = context.host.observe()
    check_classroom(facts, wish.classroom)
    found = {name: _find(context, facts, name) for name in dict.fromkeys(names)}
    machines = [one for one in found.values() if isinstance(one, MachineFound)]
    to = _destination(context, facts, wish) if needs_a_place(machines) else None
    plans = {plan.name: plan for plan in plan_adoption(facts, wish.classroom, machines, to)}
    for name, one in found.items():
        if isinstance(one, PizarraError):
            plans[name] = MachinePlan(name=name, outcome=Outcome.FAILED, reason=join([one]))
    return tuple(plans[name] for name in found)


def _destination(context: Context, facts: HostFacts, wish: Wish) -> Destination:
    """The storage to which files are copied: the kind that the wish names, or the first that adopts
    volumes."""
    capabilities = context.host.storages.capabilities
    adopting = {kind: can.adoption for kind, can in capabilities.items() if can.adoption}
    kind = wish.kind or next(iter(adopting), "")
    if kind not in adopting:
        raise BadInput(
            "The disks of adopted machines go onto logical volumes, not {kind}.",
            "Choose --storage {those}.",
            kind=kind,
            those=", ".join(adopting),
        )
    folders = context.host.storages.folders
    _, place = place_for(facts, kind, wish.vg, context.host.settings.vg, capabilities, folders)
    return Destination(kind=kind, place=place, reset_method=adopting[kind])


def _volume_at(context: Context, facts: HostFacts, path: str) -> Volume | None:
    """The volume that a path of a domain's XML leads to, by whatever name or link."""
    for volume in facts.volumes.values():
        storage = context.host.storage_of(volume)
        if isinstance(storage, AdoptionStore) and storage.is_path_of(volume, path):
            return volume
    return None


def _adopting(storage: Storage) -> AdoptionStore:
    """The storage, as one that can adopt volumes. Raises Unsupported; the plan says so before."""
    if isinstance(storage, AdoptionStore):
        return storage
    raise Unsupported("Machines on {kind} cannot be adopted.", kind=storage.kind)


def _find(context: Context, facts: HostFacts, name: str) -> MachineFound | PizarraError:
    domain = next((one for one in facts.domains.values() if one.name == name), None)
    if domain is None:
        return NotFound(
            "there is no machine {name!r} in libvirt", "See: virsh list --all", name=name
        )
    try:
        xml = context.host.compute.xml(domain.uuid)
        disks = tuple(_find_disk(context, facts, seen) for seen in disks_of(xml))
    except PizarraError as error:
        return error
    return MachineFound(domain=domain, xml=xml, disks=disks)


def _find_disk(context: Context, facts: HostFacts, seen: DiskSeen) -> DiskFound:
    if not seen.path or seen.device != "disk" or seen.read_only:
        return DiskFound(seen=seen)
    volume = _volume_at(context, facts, seen.path)
    if volume is not None:
        method = context.host.storages.capabilities[volume.kind].adoption
        return DiskFound(seen=seen, volume=volume, reset_method=method)
    path = Path(seen.path)
    if not path.is_file():
        gone = "" if path.exists() else Sentence("{path} is not there", path=path)
        return DiskFound(seen=seen, why_not=gone)
    try:
        return DiskFound(seen=seen, image=_image(path, seen.format))
    except BadInput as error:
        return DiskFound(seen=seen, why_not=join([error]))


def _image(path: Path, form: str) -> ImageInfo:
    """The image as its machine reads it. Of a raw disk the format is not guessed: a guest may have
    written a header on it. Raises BadInput."""
    if form == "raw":
        return image_info(path, "raw")
    _check_no_snapshots(path)
    return image_info(path)


def _check_no_snapshots(path: Path) -> None:
    try:
        snapshots = snapshots_inside(path)
    except ValueError as error:
        raise BadInput("{path}: {why}.", path=path, why=error) from None
    if snapshots:
        raise BadInput(
            "{path} has {n} snapshots inside, which a logical volume cannot hold "
            "(virsh snapshot-delete)",
            path=path,
            n=snapshots,
        )


def adopt(context: Context, names: Sequence[str], wish: Wish) -> Report:
    """Adopt machines one after another. Each has its own outcome."""
    began = time.perf_counter()
    check_name(wish.classroom, N_("classroom"))
    outcomes: list[SeatOutcome] = []
    with context.claim(
        [f"classroom:{wish.classroom}.adopt"], N_("adopt"), shared=[f"classroom:{wish.classroom}"]
    ):
        plan(context, names, wish)  # what is wrong with the command is said before anything
        context.emit(Began(what=N_("adopt"), total=len(set(names))))
        for name in dict.fromkeys(names):
            outcome = _one(context, name, wish)
            outcomes.append(outcome)
            context.emit(Settled(outcome=outcome))
    return Report(
        classroom=wish.classroom,
        verb="adopt",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=tuple(outcomes),
    )


def _one(context: Context, name: str, wish: Wish) -> SeatOutcome:
    """Adopt one machine. It is looked at again first, as the machine before it may have the same
    disk."""
    try:
        domain = context.host.compute.find(name)
        if domain is not None:
            finish_adoption(context, domain.uuid)
        machine = plan(context, [name], wish)[0]
        if machine.outcome is not None:
            return SeatOutcome(seat=name, outcome=machine.outcome, reason=machine.reason)
        return _carry_out(context, machine)
    except PizarraError as error:
        return SeatOutcome(seat=name, outcome=Outcome.FAILED, reason=join([error]))


def _carry_out(context: Context, plan: MachinePlan) -> SeatOutcome:
    assert plan.domain is not None, "planned to be adopted"
    watch = Stopwatch()
    files = [disk.image.path for disk in plan.disks if disk.image]
    stamps = {path: file_stamp(path) for path in files}
    try:
        for disk in plan.disks:
            _check_space(context, disk)
        volumes = [_volume(context, plan, disk, watch) for disk in plan.disks]
        with watch.timing(N_("baseline"), [plan.name]):
            for disk, volume in zip(plan.disks, volumes, strict=True):
                storage = context.host.storages.at(disk.kind, disk.place)
                baseline = _adopting(storage).create_baseline(volume, disk.baseline)
                if disk.labels.firmware_state:
                    context.host.states.save_from(state_files_of(plan.xml), baseline)
        _check_untouched(context, plan, stamps)
        context.host.compute.redefine(plan.xml)
    finally:  # also when it cannot be known whether libvirt took the XML: this looks
        finish_adoption(context, plan.domain.uuid)
    _write_record(context, plan)
    return _outcome(context, plan, files, watch)


def _write_record(context: Context, plan: MachinePlan) -> None:
    """Write the classroom's record with its first machine, unless the classroom has one."""
    record = plan.record
    present = context.host.observe().classrooms.get(record.classroom) if record else None
    if record and present and not present.recorded_at:
        write_record(context, present, replace(record, id=new_id()))


def _check_space(context: Context, disk: DiskPlan) -> None:
    storage = context.host.storages.at(disk.kind, disk.place)
    store = _adopting(storage).baseline_bytes(disk.size_bytes)
    new = 0
    if disk.image is not None:
        what: str = Sentence("The disk {disk}", disk=disk.labels.disk)
        fits(context.host.observe().pools, disk.kind, disk.place, disk.size_bytes, what)
        new = disk.image.content_bytes if storage.capabilities.new_is_zero else disk.size_bytes
    if new + store:
        names = {"name": disk.labels.name, "disk": disk.labels.disk}
        check_room(context, storage, new + store, Sentence("{name}, its disk {disk},", **names))


def _volume(context: Context, plan: MachinePlan, disk: DiskPlan, watch: Stopwatch) -> Volume:
    """The volume that the disk becomes: a new one that is filled from the file and compared with
    it, or the machine's own volume."""
    if disk.action is Action.KEEP:
        assert disk.volume is not None, "kept because it is one"
        return disk.volume
    assert disk.image is not None, "moved because it is a file"
    storage = context.host.storages.at(disk.kind, disk.place)
    volume = storage.create_golden(disk.filling)
    source, size_bytes = disk.image, disk.image.virtual_size_bytes
    what = f"{plan.name} {disk.labels.disk}"
    context.emit(Began(what=what, total=size_bytes, unit="bytes"))

    def progress(share: float) -> None:
        context.emit(Advanced(what=what, done=share * size_bytes))

    with watch.timing(N_("copy"), [plan.name]):
        copy(
            source.path,
            source.format,
            volume.path,
            "raw",
            target_is_zero=storage.capabilities.new_is_zero,
            progress=keeping_reserve(context, storage, progress),
            seen=source,
        )
        flush(volume.path)
    with watch.timing(N_("compare"), [plan.name]):
        if not is_same_content(source.path, source.format, volume.path, "raw"):
            raise StorageFault(
                "The copy of {path} differs from it.",
                "Is the machine, or something else, writing to the file?",
                path=source.path,
            )
    return volume


def _check_untouched(
    context: Context, plan: MachinePlan, stamps: dict[Path, tuple[int, int, int, int]]
) -> None:
    """Check that nobody has started the machine or written to its file meanwhile. Raises
    BadInput."""
    domain = context.host.compute.find(plan.name)
    if domain is None or domain.power is not Power.OFF:
        raise BadInput("{name} was started while it was adopted.", name=plan.name)
    for path, stamp in stamps.items():
        if file_stamp(path) != stamp:
            raise BadInput("{path} was written to while it was moved.", path=path)


def _outcome(
    context: Context, plan: MachinePlan, files: Sequence[Path], watch: Stopwatch
) -> SeatOutcome:
    """The outcome of one machine, judged by what is there now and not by what was done."""
    rooms = context.host.observe().classrooms.values()
    its = [seat for room in rooms for seat in room.seats if seat.name == plan.name]
    if not its or its[0].fault:
        why = its[0].fault if its else Sentence("it is no seat after all")
        return SeatOutcome(seat=plan.name, outcome=Outcome.FAILED, reason=why, verified=False)
    seat = its[0]
    changes = context.host.changes(list(pairs_of(seat)))
    original = all(isinstance(one, Change) and one.original for one in changes.values())
    kept = ", ".join(map(str, files))
    text = N_("its file is kept, and may be removed when you are content: {kept}")
    reason = Sentence(text, kept=kept) if kept else None
    return SeatOutcome(
        seat=plan.name,
        outcome=Outcome.DONE if original else Outcome.UNKNOWN,
        reason=reason if original else Sentence("it could not be proven to be original"),
        verified=original,
        timings_ms=dict(watch.of(plan.name)),
        extra={"number": seat.number, "kept_files": [str(path) for path in files]},
    )


def let_go(context: Context, seat: Seat) -> SeatOutcome:
    """Make an ordinary machine of a seat. Our XML element goes first, then the content for an undo,
    our snapshots and our labels.

    The labels go last, so a run that is cut off can be repeated.
    """
    host = context.host
    _check_whole(context, seat)
    if seat.power is not Power.ABSENT:
        xml = host.compute.xml(seat.domain_uuid)
        if seat_of(xml):
            host.compute.redefine(remove_seat_metadata(xml))
    undo.discard_undo(host, [seat])
    snapshots = [
        volume
        for volume in seat.baselines.values()
        if volume.labels and volume.labels.role is Role.BASELINE
    ]
    faults = host.remove(snapshots)
    if fault := next(filter(None, faults.values()), None):
        return SeatOutcome(seat=seat.name, outcome=Outcome.FAILED, reason=join([fault]))
    host.states.discard(seat.volumes)
    host.definitions.forget(seat.domain_uuid)
    for volume in seat.volumes:
        _adopting(host.storage_of(volume)).remove_labels(volume)
    return SeatOutcome(
        seat=seat.name, outcome=Outcome.DONE, reason=N_("let go: it is an ordinary machine again")
    )


def _check_whole(context: Context, seat: Seat) -> None:
    """Check that the disks are active and have their contents. Raises StorageFault, because nothing
    repairs them once the seat is let go."""
    host = context.host
    is_off = seat.power in (Power.OFF, Power.ABSENT)
    if is_off or not any(map(host.has_error_table, seat.volumes)):
        for volume in seat.volumes:
            host.activate(volume)
        raise_first(host.reclaim_space(seat.volumes))
    for volume in seat.volumes:
        if host.has_error_table(volume) or not host.activate(volume):
            raise StorageFault(
                "A reset of {place}/{name} was cut off.",
                "Run: pizarra recover",
                place=volume.place,
                name=volume.name,
            )
