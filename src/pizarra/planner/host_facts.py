"""Volumes and domains put together into templates, classrooms and seats, with their faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pizarra.errors import AlreadyExists, HostNotFit, NotFound, PizarraError
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.facts import (
    Classroom,
    Domain,
    Maintenance,
    Pool,
    Power,
    RecordSeen,
    Seat,
    StorageFacts,
    StorageKind,
    Template,
    Volume,
    labelled,
)
from pizarra.model.labels import (
    IDENTITY,
    BaselineLabels,
    CheckpointLabels,
    SeatLabels,
    TemplateLabels,
)
from pizarra.model.names import seat_name
from pizarra.model.sentence import Sentence, join
from pizarra.planner.template_facts import maintenances, templates


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """Everything seen on a host at one moment."""

    volumes: Mapping[str, Volume]  # by UUID, ours and not
    pools: tuple[Pool, ...]
    domains: Mapping[str, Domain]  # by UUID, ours and not
    templates: tuple[Template, ...] = ()
    maintenances: tuple[Maintenance, ...] = ()
    records: tuple[RecordSeen, ...] = ()
    classrooms: Mapping[str, Classroom] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()  # that there is more, which could not be looked at, and why
    strange: tuple[str, ...] = ()  # what is there and is nobody's, and what to do about it

    def check_id(self, name: str, id_: str) -> None:
        """Raises NotFound when another classroom than the one with this id has the name."""
        there = self.classrooms.get(name)
        if there is not None and there.record.id != id_:
            raise NotFound(
                "The classroom {name} is another one now.",
                "The one that was meant has gone. Ask a technician who owns the new one.",
                name=name,
            )

    def classroom(self, name: str) -> Classroom:
        """Raises NotFound with the names that there are, HostNotFit."""
        if name in self.classrooms:
            return self.classrooms[name]
        if self.unseen:
            raise self._unseen(name)
        raise NotFound(
            "There is no classroom {name!r}.",
            "There is: {those}." if self.classrooms else "Make one with: pizarra classroom create",
            name=name,
            those=", ".join(sorted(self.classrooms)),
        )

    def template(
        self, name: str, kind: StorageKind | None = None, place: str = "", version: int = 0
    ) -> Template:
        """A version, or the newest, on the storage asked for. Raises NotFound, AlreadyExists."""
        found = self.versions(name, kind, place)
        if not version:
            return found[-1]
        for one in found:
            if one.version == version:
                return one
        raise NotFound(
            "The template {name} has no version {version}.",
            "It has: {those}.",
            name=name,
            version=version,
            those=", ".join(str(one.version) for one in found),
        )

    def versions(
        self, name: str, kind: StorageKind | None = None, place: str = ""
    ) -> tuple[Template, ...]:
        """All versions on the storage asked for, oldest first. Raises NotFound, AlreadyExists."""
        found = [
            one
            for one in self.templates
            if one.name == name and kind in (None, one.kind) and place in ("", one.place)
        ]
        if not found:
            raise self._no_template(name)
        if len({(one.kind, one.place) for one in found}) > 1:
            raise AlreadyExists(
                "The template {name} is on several storages: {those}.",
                "Say which with --storage and --vg.",
                name=name,
                those=", ".join(sorted(f"{one.kind} {one.place}" for one in found)),
            )
        return tuple(sorted(found, key=lambda one: one.version))

    def maintenance(self, template: str) -> Maintenance | None:
        """Of a template, if somebody is making its next version."""
        return next((one for one in self.maintenances if one.template == template), None)

    def _unseen(self, name: str) -> HostNotFit:
        """What is not found may be there."""
        return HostNotFit(
            "{name} was not found, and it may be in what could not be seen. {why}",
            "Run: pizarra host check",
            name=name,
            why=join(self.unseen),
        )

    def _no_template(self, name: str) -> PizarraError:
        elsewhere = [f"{one.kind} {one.place}" for one in self.templates if one.name == name]
        if elsewhere:
            return NotFound(
                "The template {name} is not on that storage, but on {those}.",
                "Leave out --storage and --vg, or import it there too.",
                name=name,
                those=", ".join(elsewhere),
            )
        if self.unseen:
            return self._unseen(name)
        return NotFound(
            "There is no template {name!r}.",
            "See those there are: pizarra template list; or import one: pizarra template import",
            name=name,
        )


def assemble(storage: Iterable[StorageFacts], domains: Sequence[Domain]) -> HostFacts:
    """One pass over everything; linear in the number of volumes and domains."""
    parts = list(storage)
    volumes = {volume.uuid: volume for part in parts for volume in part.volumes}
    by_uuid = {domain.uuid: domain for domain in domains}
    by_name = {domain.name: domain for domain in domains}
    records = tuple(record for part in parts for record in part.records)
    return HostFacts(
        volumes=volumes,
        pools=tuple(pool for part in parts for pool in part.pools),
        domains=by_uuid,
        templates=templates(volumes),
        maintenances=maintenances(volumes, by_uuid),
        records=records,
        classrooms=_classrooms(_seats(volumes, by_uuid, by_name), records),
        unseen=tuple(why for part in parts for why in part.unseen),
        strange=tuple(why for part in parts for why in part.strange),
    )


def _disk(volume: Volume[SeatLabels]) -> str:
    return volume.labels.disk


def _seats(
    volumes: Mapping[str, Volume], domains: Mapping[str, Domain], names: Mapping[str, Domain]
) -> list[Seat]:
    groups: dict[tuple[str, int, str], list[Volume[SeatLabels]]] = defaultdict(list)
    named: dict[tuple[str, int, str], list[Volume[CheckpointLabels]]] = defaultdict(list)
    for volume in labelled(volumes.values(), SeatLabels):
        groups[_machine_of(volume.labels)].append(volume)
    for saved in labelled(volumes.values(), CheckpointLabels):
        if saved.labels.checkpoint == IDENTITY:
            named[_machine_of(saved.labels)].append(saved)
    return [
        _seat(sorted(of_it, key=_disk), named.get(key, ()), volumes, domains, names)
        for key, of_it in groups.items()
    ]


def _machine_of(labels: SeatLabels | CheckpointLabels) -> tuple[str, int, str]:
    return labels.classroom, labels.seat, labels.machine


def _baselines(
    disks: Sequence[Volume[SeatLabels]],
    named: Sequence[Volume[CheckpointLabels]],
    volumes: Mapping[str, Volume],
) -> dict[str, Volume]:
    """The original of each disk: the template's, or the identity that the seat was given.

    The identity counts when it has all disks of the seat. After an upgrade the identity is of
    another original, and counts no more.
    """
    golden = {
        disk.uuid: volumes[disk.labels.baseline]
        for disk in disks
        if disk.labels.baseline in volumes
    }
    by_disk: dict[tuple[str, ...], Volume] = {
        (one.kind, one.place, one.labels.disk, one.labels.baseline): one for one in named
    }
    own = {
        disk.uuid: by_disk[key]
        for disk in disks
        if disk.uuid in golden
        if (key := (disk.kind, disk.place, disk.labels.disk, disk.labels.baseline)) in by_disk
    }
    return own if len(own) == len(disks) else golden


def _seat(
    disks: list[Volume[SeatLabels]],
    named: Sequence[Volume[CheckpointLabels]],
    volumes: Mapping[str, Volume],
    domains: Mapping[str, Domain],
    names: Mapping[str, Domain],
) -> Seat:
    data = tuple(disk for disk in disks if disk.labels.persistent)
    system = [disk for disk in disks if disk not in data]
    labels = (system or disks)[0].labels
    baselines = _baselines(system, named, volumes)
    name = labels.name or seat_name(labels.classroom, labels.seat, labels.machine)
    domain = domains.get(labels.domain)
    return Seat(
        classroom=labels.classroom,
        number=labels.seat,
        machine=labels.machine,
        name=name,
        domain_uuid=labels.domain,
        power=domain.power if domain else Power.ABSENT,
        has_saved_ram=domain is not None and domain.has_saved_ram,
        has_snapshots=domain is not None and domain.has_snapshots,
        volumes=tuple(system or disks),
        baselines=baselines,
        data=data if system else (),
        fault=_data_fault(system, data)
        or _seat_fault(system, baselines, name, domain, names.get(name)),
    )


def _data_fault(
    system: Sequence[Volume[SeatLabels]], data: Sequence[Volume[SeatLabels]]
) -> str | None:
    if not system:
        return Sentence("only its data disk is left")
    if len({_disk(disk) for disk in (*system, *data)}) != len(system) + len(data):
        return Sentence("two volumes say that they are the same disk of it")
    return next((join((disk.name, disk.fault), ": ") for disk in data if disk.fault), None)


def _seat_fault(
    disks: Sequence[Volume[SeatLabels]],
    baselines: Mapping[str, Volume],
    name: str,
    domain: Domain | None,
    namesake: Domain | None,
) -> str | None:
    """Why the seat may not be touched; the first reason is enough."""
    if len({_disk(disk) for disk in disks}) != len(disks):
        return Sentence("two volumes say that they are the same disk of it")
    if len({disk.labels.domain for disk in disks}) != 1:
        return Sentence("its disks name different machines")
    if len({disk.labels.version for disk in disks}) != 1:
        return Sentence("its upgrade was cut off: run pizarra recover")
    if namesake is not None and (domain is None or namesake.uuid != domain.uuid):
        return Sentence("the machine called {name} is not ours: its UUID is another", name=name)
    for disk in disks:
        if disk.fault:
            return join((disk.name, disk.fault), ": ")
        baseline = baselines.get(disk.uuid)
        if baseline is None:
            return Sentence("the original state of {name} is missing", name=disk.name)
        if not _is_original(baseline):
            return Sentence(
                "what {name} stands on ({original}) is not labelled as ours",
                name=disk.name,
                original=baseline.name,
            )
        if baseline.fault:
            return Sentence(
                "its original state, {name}: {why}", name=baseline.name, why=baseline.fault
            )
    return None


def _is_original(volume: Volume) -> bool:
    """Whether its labels are those of what a seat goes back to."""
    match volume.labels:
        case TemplateLabels() | BaselineLabels():
            return True
        case CheckpointLabels(checkpoint=name):
            return name == IDENTITY
        case _:
            return False


def _classrooms(seats: Iterable[Seat], records: Sequence[RecordSeen]) -> dict[str, Classroom]:
    groups: dict[str, list[Seat]] = defaultdict(list)
    for seat in seats:
        groups[seat.classroom].append(seat)
    by_name: dict[str, list[RecordSeen]] = defaultdict(list)
    for record in records:
        by_name[record.classroom].append(record)
    return {
        name: _classroom(name, sorted(of_it, key=_number), by_name[name])
        for name, of_it in sorted(groups.items())
    }


def _number(seat: Seat) -> tuple[int, str]:
    return seat.number, seat.machine


def _classroom(name: str, seats: Sequence[Seat], records: Sequence[RecordSeen]) -> Classroom:
    """The record of the place where its first seat is; or what seats of format 1 carry."""
    places = [volume.place for seat in seats for volume in seat.all_volumes]
    here = sorted(
        (one for one in records if one.place in places), key=lambda one: places.index(one.place)
    )
    carried = (volume.labels.record for seat in seats for volume in seat.all_volumes)
    found = here[0].record if here else next(filter(None, carried), None)
    fault = _record_fault(here, found, seats)
    record = found or ClassroomRecord(
        classroom=name, template=seats[0].labels.template, version=seats[0].labels.version
    )
    return Classroom(
        name=name,
        seats=tuple(replace(seat, record=record, fault=seat.fault or fault) for seat in seats),
        record=record,
        recorded_at=tuple(one.place for one in here),
        record_fault=fault,
    )


def _record_fault(
    here: Sequence[RecordSeen], found: ClassroomRecord | None, seats: Sequence[Seat]
) -> str | None:
    if found is not None or any(seat.is_adopted for seat in seats):
        return None  # machines that somebody else made are not described by it
    if here:
        return Sentence(
            "the record of its classroom cannot be read: pizarra classroom apply writes it again"
        )
    return Sentence("the record of its classroom is missing: run pizarra recover")


def choose_seats(classroom: Classroom, numbers: Iterable[int] | None) -> tuple[Seat, ...]:
    """All of them, or those of ``numbers``. Raises NotFound naming the ones that are not there."""
    if numbers is None:
        return classroom.seats
    by_number = {seat.number: seat for seat in classroom.seats}
    missing = [number for number in numbers if number not in by_number]
    if missing:
        raise NotFound(
            "The classroom {name} has no seat {missing}.",
            "It has seats {first} to {last}.",
            name=classroom.name,
            missing=", ".join(map(str, missing)),
            first=min(by_number),
            last=max(by_number),
        )
    return tuple(by_number[number] for number in numbers)
