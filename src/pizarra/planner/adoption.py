"""An adoption as a plan: what happens to each disk of a machine that somebody else made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from pizarra.compute.domain_edit import (
    DiskSeen,
    add_seat_metadata,
    firmware_of,
    replace_disk_source,
    resources_of,
    state_of,
)
from pizarra.compute.seat_metadata import SeatMetadata
from pizarra.errors import BadInput
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.facts import Domain, Power, StorageKind, Volume
from pizarra.model.hardware import USUAL
from pizarra.model.labels import BaselineLabels, FillingLabels, ResetMethod, SeatLabels
from pizarra.model.names import SEATS_MAX
from pizarra.model.outcome import Outcome
from pizarra.model.sentence import Sentence, join
from pizarra.planner.domain_import import hardware_by_disk
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.provision import disk_name
from pizarra.storage.images import ImageInfo
from pizarra.storage.interface import ORIGINAL, NewVolume

# a tag and the name of a volume must be able to hold it; LVM allows 127 characters in all
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,79}", re.ASCII)
_DISK = re.compile(r"[a-z]{2,4}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where disks that are files are moved to, and how they go back there."""

    kind: StorageKind
    place: str
    reset_method: ResetMethod


class Action(StrEnum):
    """What happens to a disk."""

    MOVE = "move"  # from its file onto a new logical volume
    KEEP = "keep"  # it is a logical volume already


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFound:
    """A disk of a domain, and what of it is on this host."""

    seen: DiskSeen
    volume: Volume | None = None  # the logical volume that it is
    reset_method: ResetMethod | None = None  # of its storage; None: that adopts none
    image: ImageInfo | None = None  # the file that it is
    why_not: str = ""  # why its file cannot be moved


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFound:
    """A domain that is to be adopted, with its inactive XML."""

    domain: Domain
    xml: str
    disks: tuple[DiskFound, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlan:
    """One disk: where it will be, and where its original state will be kept."""

    action: Action
    kind: StorageKind
    place: str
    name: str  # of the logical volume
    size_bytes: int
    labels: SeatLabels  # all but for ``baseline``
    image: ImageInfo | None = None
    volume: Volume | None = None

    @property
    def filling(self) -> NewVolume:
        """The volume to move to, until the adoption has ended."""
        labels = FillingLabels(becoming=self.labels)
        return NewVolume(labels=labels, size_bytes=self.size_bytes, name=self.name)

    @property
    def baseline(self) -> NewVolume[BaselineLabels]:
        """What keeps the original state; its labels tell all that the seat's will."""
        labels = BaselineLabels(of=self.labels)
        return NewVolume(labels=labels, size_bytes=self.size_bytes, name=baseline_name(self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePlan:
    """One machine: what is done, or an outcome already and its reason."""

    name: str
    domain: Domain | None = None
    number: int = 0
    disks: tuple[DiskPlan, ...] = ()
    record: ClassroomRecord | None = None  # of its classroom, if that has none yet
    xml: str = ""  # as it will be
    outcome: Outcome | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For ``--dry-run --json``."""
        return {
            "seat": self.name,
            "number": self.number or None,
            "disks": [
                {
                    "disk": disk.labels.disk,
                    "action": str(disk.action),
                    "from": str(disk.image.path) if disk.image else None,
                    "format": disk.image.format if disk.image else None,
                    "to": f"/dev/{disk.place}/{disk.name}",
                    "storage": str(disk.kind),
                    "size_bytes": disk.size_bytes,
                    "way": str(disk.labels.reset_method),
                }
                for disk in self.disks
            ],
            "outcome": str(self.outcome) if self.outcome else None,
            "reason": self.reason,
        }


def baseline_name(volume: str) -> str:
    """``win11.vda.original``."""
    return f"{volume}{ORIGINAL}"


def check_classroom(facts: HostFacts, classroom: str) -> None:
    """Raises BadInput for a classroom whose seats are made of a template."""
    present = facts.classrooms.get(classroom)
    if present and any(not seat.is_adopted for seat in present.seats):
        raise BadInput(
            "The seats of the classroom {name} are made of a template.",
            "Adopted machines go into a classroom of their own: --classroom NAME.",
            name=classroom,
        )


def needs_a_place(machines: Iterable[MachineFound]) -> bool:
    """Whether some disk is a file, and needs a volume group to go to."""
    return any(_is_wanted(disk.seen) and disk.image for m in machines for disk in m.disks)


def plan_adoption(
    facts: HostFacts,
    classroom: str,
    machines: Sequence[MachineFound],
    to: Destination | None,
) -> tuple[MachinePlan, ...]:
    """``to`` is where files are moved to. One machine that cannot be never stops the others."""
    present = facts.classrooms.get(classroom)
    taken = {seat.number for seat in present.seats} if present else set()
    free = (number for number in range(1, SEATS_MAX + 1) if number not in taken)
    plans: list[MachinePlan] = []
    for machine in machines:
        settled = _already(facts, machine) or _refusal(machine)
        number = 0 if settled else next(free, 0)
        plans.append(settled or _plan(facts, classroom, machine, number, to))
    return tuple(plans)


def _already(facts: HostFacts, machine: MachineFound) -> MachinePlan | None:
    seats = (seat for room in facts.classrooms.values() for seat in room.seats)
    its = next((seat for seat in seats if seat.domain_uuid == machine.domain.uuid), None)
    if its is None:
        return None
    reason = Sentence(
        "it is a seat already: number {n} of the classroom {name}", n=its.number, name=its.classroom
    )
    return MachinePlan(
        name=machine.domain.name, number=its.number, outcome=Outcome.UNCHANGED, reason=reason
    )


def _refusal(machine: MachineFound) -> MachinePlan | None:
    why = _why_not(machine) or next(filter(None, map(_disk_refusal, machine.disks)), None)
    return _refuse(machine, why) if why else None


def _refuse(machine: MachineFound, why: str) -> MachinePlan:
    return MachinePlan(name=machine.domain.name, outcome=Outcome.SKIPPED, reason=why)


def _why_not(machine: MachineFound) -> str | None:
    domain = machine.domain
    if not _NAME.fullmatch(domain.name):
        return Sentence(
            "its name cannot be written on a volume: use letters, digits and . _ + - "
            "(virsh domrename)"
        )
    if domain.power is not Power.OFF:
        return Sentence(
            "it is {power}: shut it down first (virsh shutdown {name})",
            power=domain.power,
            name=domain.name,
        )
    if domain.has_snapshots:
        return Sentence(
            "it has snapshots of libvirt's own: remove them first (virsh snapshot-list {name})",
            name=domain.name,
        )
    if domain.has_saved_ram:
        drop = f"virsh managedsave-remove {domain.name}"
        return Sentence(
            "its RAM is saved: start it and shut it down, or drop that ({command})", command=drop
        )
    wanted = [disk for disk in machine.disks if _is_wanted(disk.seen)]
    if not wanted:
        return Sentence("it has no disk that could change")
    paths = [disk.volume.uuid if disk.volume else disk.seen.path for disk in wanted]
    same = len(set(paths)) != len(paths)
    return Sentence("two of its disks are the same") if same else None


def _is_wanted(disk: DiskSeen) -> bool:
    """What is read only, or a drive for CDs, stays as it is."""
    return disk.device not in ("cdrom", "floppy") and not disk.read_only


def _disk_refusal(disk: DiskFound) -> str | None:
    seen = disk.seen
    if not _is_wanted(seen):
        return None
    if not _DISK.fullmatch(seen.target) or seen.device != "disk":
        return Sentence("the disk {disk} is of the kind {kind}", disk=seen.target, kind=seen.device)
    if disk.volume is not None:
        why = _volume_refusal(disk.volume, disk.reset_method)
        which = f"{disk.volume.place}/{disk.volume.name}"
        if why is None:
            return None
        return Sentence("the disk {disk} is {which}: {why}", disk=seen.target, which=which, why=why)
    if disk.why_not:
        return Sentence(
            "the disk {disk} cannot be moved: {why}", disk=seen.target, why=disk.why_not
        )
    if disk.image is None:
        where = f" ({seen.path})" if seen.path else ""
        return Sentence(
            "the disk {disk} is of the type {type}{where}: only files and logical volumes can be "
            "adopted",
            disk=seen.target,
            type=seen.type,
            where=where,
        )
    if disk.image.format != seen.format:
        return Sentence(
            "the disk {disk} is {format} for its machine, but its file is {found}",
            disk=seen.target,
            format=seen.format,
            found=disk.image.format,
        )
    return None


def _volume_refusal(volume: Volume, method: ResetMethod | None) -> str | None:
    if volume.labels is not None:
        return Sentence("it is ours already, as {role}", role=str(volume.labels.role))
    if volume.fault:
        return volume.fault
    if method is None:
        return Sentence("it is no logical volume")
    if not volume.active:
        return Sentence(
            "it is not active (lvchange -ay {place}/{name})", place=volume.place, name=volume.name
        )
    if volume.read_only:
        return Sentence("it is read-only")
    if volume.origin and method is ResetMethod.MERGE:
        return Sentence("it is a classic snapshot of {origin}", origin=volume.origin)
    return None


def _plan(
    facts: HostFacts,
    classroom: str,
    machine: MachineFound,
    number: int,
    to: Destination | None,
) -> MachinePlan:
    if not number:
        return _refuse(machine, Sentence("the classroom {name} is full", name=classroom))
    wanted = [disk for disk in machine.disks if _is_wanted(disk.seen)]
    disks = [
        _disk_plan(disk, labels, to)
        for disk, labels in zip(wanted, _labels(machine, classroom, number, wanted), strict=True)
    ]
    why = next(filter(None, (_in_the_way(facts, disk) for disk in disks)), None)
    if why:
        return _refuse(machine, why)
    try:
        xml = _xml(machine, classroom, number, disks)
    except BadInput as error:
        return _refuse(machine, join([error]))
    return MachinePlan(
        name=machine.domain.name,
        domain=machine.domain,
        number=number,
        disks=tuple(disks),
        record=_record(machine, classroom),
        xml=xml,
    )


def _labels(
    machine: MachineFound, classroom: str, number: int, disks: Sequence[DiskFound]
) -> list[SeatLabels]:
    """Of each disk; the first one speaks for the machine."""
    hardware = hardware_by_disk(machine.xml, [disk.seen.target for disk in disks])
    return [
        SeatLabels(
            classroom=classroom,
            seat=number,
            domain=machine.domain.uuid,
            name=machine.domain.name,
            firmware=firmware_of(machine.xml),
            firmware_state="" if disk is not disks[0] else state_of(machine.xml),
            hardware=hardware.get(disk.seen.target, USUAL),
        )
        for disk in disks
    ]


def _record(machine: MachineFound, classroom: str) -> ClassroomRecord:
    """Of a classroom that begins with this machine."""
    memory_bytes, vcpus = resources_of(machine.xml)
    return ClassroomRecord(classroom=classroom, memory_bytes=memory_bytes, vcpus=vcpus)


def _disk_plan(disk: DiskFound, labels: SeatLabels, to: Destination | None) -> DiskPlan:
    volume, target = disk.volume, disk.seen.target
    if volume is not None:
        return DiskPlan(
            action=Action.KEEP,
            kind=volume.kind,
            place=volume.place,
            name=volume.name,
            size_bytes=volume.size_bytes,
            labels=replace(labels, disk=target, reset_method=_method(disk)),
            volume=volume,
        )
    assert disk.image is not None and to is not None, "refused, or asked for, before"
    return DiskPlan(
        action=Action.MOVE,
        kind=to.kind,
        place=to.place,
        name=disk_name(labels.name, target),
        size_bytes=disk.image.virtual_size_bytes,
        labels=replace(labels, disk=target, reset_method=to.reset_method),
        image=disk.image,
    )


def _method(disk: DiskFound) -> ResetMethod:
    assert disk.reset_method is not None, "refused before"
    return disk.reset_method


def _in_the_way(facts: HostFacts, disk: DiskPlan) -> str | None:
    """A volume that has a name which we need, or a source of content that a rewind would lose."""
    needed = {baseline_name(disk.name), *({disk.name} if disk.action is Action.MOVE else ())}
    there = {volume.name: volume for volume in facts.volumes.values() if volume.place == disk.place}
    if taken := sorted(needed & there.keys()):
        return Sentence("there is a volume {place}/{name} already", place=disk.place, name=taken[0])
    volume = disk.volume
    if volume is not None and volume.origin and volume.pool:
        origin = there.get(volume.origin)
        if origin is None or origin.pool != volume.pool:
            return Sentence(
                "{place}/{name} stands on {origin}, which is outside its pool",
                place=disk.place,
                name=disk.name,
                origin=volume.origin,
            )
    return None


def _xml(machine: MachineFound, classroom: str, number: int, disks: Sequence[DiskPlan]) -> str:
    """As found, but for the sources of moved disks and our metadata."""
    xml = machine.xml
    for disk in disks:
        if disk.action is Action.MOVE:
            xml = replace_disk_source(xml, disk.labels.disk, Path("/dev") / disk.place / disk.name)
    seat = SeatMetadata(classroom=classroom, number=number, template="", version=0)
    return add_seat_metadata(xml, seat)
